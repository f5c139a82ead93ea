/* SPDX-License-Identifier: ISC */
/* model.h - costs without HypoPG: a small planner of our own on pg_class and pg_stats.
 *
 * For each table of a statement it compares sequential, index, bitmap and index-only scans by the server's own formulas
 * and cost settings, for joins hash joins with look-ups by a parameterised index, and it knows which indexes
 * deliver an order. The result is scaled by today's real plan: its cost times model(with) / model(today). Pure;
 * no I/O. */
#ifndef ADVISOR_COST_MODEL_H
#define ADVISOR_COST_MODEL_H

#include "advisor/cost/oracle.h"

/* What the statement costs with the indexes that exist, and the rows that it returns or writes, by the model alone. */
double adv_model_cost_today(const AdvCatalog *catalog, const AdvQuery *query, double *ret_rows);

const AdvCostBackend *adv_model_create(AdvArena *arena, const AdvCatalog *catalog);

#endif
