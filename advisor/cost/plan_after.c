/* SPDX-License-Identifier: ISC */
/* plan_after.c - which of the existing indexes plans use once the advice is followed: one that no plan uses today may be the other half of
 * what a new index makes possible (an OR of two columns, a join that turns round). */
#include "advisor/cost/hypopg.h"

static bool has_idle_index(const AdvTable *table)
{
    for (int i = 0; i < table->n_indexes; i++)
        if (table->indexes[i]->valid && table->indexes[i]->scans == 0)
            return true;
    return false;
}

static bool is_concerned(const AdvQuery *query)
{
    for (int r = 0; query->facts && r < query->facts->n_rels; r++)
        if (query->facts->rels[r].kind == ADV_REL_TABLE && has_idle_index(query->facts->rels[r].table))
            return query->weight > 0;
    return false;
}

void adv_plan_after(AdvHypopg *h, AdvArena *arena, AdvWorkload *w, const AdvCandidate *const *advised, int n)
{
    w->planned_after = true;
    for (int q = 0; q < w->n_queries && n > 0; q++) {
        AdvQuery *query = w->queries[q];
        if (is_concerned(query) && adv_hypopg_indexes(h, arena, query, advised, n, &query->indexes_after, &query->n_indexes_after))
            w->planned_after = false;
    }
}
