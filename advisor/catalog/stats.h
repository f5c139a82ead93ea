/* SPDX-License-Identifier: ISC */
/* stats.h - selectivities and typical values out of pg_stats, by the planner's rules. Pure functions. */
#ifndef ADVISOR_CATALOG_STATS_H
#define ADVISOR_CATALOG_STATS_H

#include "advisor/sql/facts.h"

/* Distinct values, at least 1. */
double adv_column_distinct(const AdvTable *table, int column);
/* Share of the rows that hold `value`; for a value outside the common ones: the average of the others. */
double adv_value_selectivity(const AdvTable *table, int column, const char *value);
/* Share of the rows for one predicate (0..1). */
double adv_pred_selectivity(const AdvTable *table, const AdvPred *pred);
/* The same for a range predicate together with the other range conditions on its column (x >= a AND x < b): both
 * bounds count; 1 for all of them but the first, so that a product over all predicates is right. */
double adv_range_selectivity(const AdvFacts *facts, const AdvPred *pred, bool *ret_first);
/* The value below which the share f of the rows lies; NULL when there are no statistics. */
const char *adv_column_quantile(const AdvColumn *column, double f);
/* A value about as frequent as the average one; NULL when there are no statistics. `nth` gives different ones. */
const char *adv_column_typical(const AdvTable *table, int column, int nth);
/* -1, 0, 1 in the order of the column's type, as far as texts tell. */
int adv_compare_values(const AdvColumn *column, const char *a, const char *b);

/* What a sample told of an expression; NULL: nothing. */
const AdvExprStats *adv_table_expr(const AdvTable *table, const char *expr);

/* Different combinations of the columns in the whole table: `product` of their own numbers unless a sample shows that they depend on each other. */
double adv_table_distinct(const AdvTable *table, const int *columns, int n, double product);

#endif
