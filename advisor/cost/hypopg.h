/* SPDX-License-Identifier: ISC */
/* hypopg.h - costs from the server's own planner: today's plans, and plans with hypothetical indexes (HypoPG).
 *
 * HypoPG keeps its indexes in the memory of our session; nothing is written. One thread. */
#ifndef ADVISOR_COST_HYPOPG_H
#define ADVISOR_COST_HYPOPG_H

#include "advisor/catalog/db.h"
#include "advisor/cost/explain.h"
#include "advisor/cost/oracle.h"

/* Plans each statement as the database is today: finds values for its parameters, sets bound and cost_today, or
 * why_not. As many statements at once as there are sessions. */
void adv_plan_today(AdvDb *const *sessions, int n_sessions, AdvCatalog *catalog, AdvWorkload *workload);

/* The same without a server: values from the statistics of the snapshot, costs of the model. */
void adv_plan_offline(AdvCatalog *catalog, AdvWorkload *workload);

/* One EXPLAIN. PW_ERR_IO: the server refused (adv_db_error). */
PW_MUSTCHECK PwErr adv_explain(AdvDb *db, AdvArena *arena, const char *sql, AdvPlan *ret_plan);
/* The same of a statement: as it is bound, or generic. */
PW_MUSTCHECK PwErr adv_explain_query(AdvDb *db, AdvArena *arena, const AdvQuery *query, AdvPlan *ret_plan);

typedef struct AdvHypopg AdvHypopg;

/* Fails when the extension cannot be used by this user; *ret_why says why. */
PW_MUSTCHECK PwErr adv_hypopg_create(AdvArena *arena, AdvDb *db, AdvCatalog *catalog, AdvHypopg **ret_hypopg,
                                     const char **ret_why);
const AdvCostBackend *adv_hypopg_backend(AdvHypopg *hypopg);
/* EXPLAIN's text for the statement with exactly these candidates (NULL and 0: as the database is); hypothetical names are replaced by what
 * the index is on. NULL when the server refuses. */
const char *adv_hypopg_plan_text(AdvHypopg *hypopg, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n);
/* The names of the indexes in that plan. */
PW_MUSTCHECK PwErr adv_hypopg_indexes(AdvHypopg *hypopg, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n,
                                      const char ***ret_names, int *ret_n);
/* Fills indexes_after of the statements on tables that have an index without scans. */
void adv_plan_after(AdvHypopg *hypopg, AdvArena *arena, AdvWorkload *workload, const AdvCandidate *const *advised, int n);
/* The same of today's indexes, with any connection. */
const char *adv_plan_text(AdvDb *db, AdvArena *arena, const AdvQuery *query);
void adv_hypopg_finish(AdvHypopg *hypopg); /* forgets the hypothetical indexes */

#endif
