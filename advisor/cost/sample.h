/* SPDX-License-Identifier: ISC */
/* sample.h - a look at some rows of a table, for what pg_stats does not say: how many combinations of columns there are, and what expressions
 * yield. Values leave the server only as hashes. One thread. */
#ifndef ADVISOR_COST_SAMPLE_H
#define ADVISOR_COST_SAMPLE_H

#include "advisor/candidate/candidate.h"
#include "advisor/catalog/db.h"

/* Samples the tables of candidates with several keys or with expressions, at most some hundred pages each, and fills table->sample
 * and table->exprs. Tables that this role may not read are left without. Corrects n_distinct of columns that lie in the order of
 * the table, where ANALYZE sees too few. */
void adv_sample_tables(AdvDb *db, AdvCatalog *catalog, const AdvPool *pool);

/* Bounds n_distinct of foreign keys by the rows of the table they point at. */
void adv_bound_distinct(AdvCatalog *catalog);

#endif
