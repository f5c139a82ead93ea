/* SPDX-License-Identifier: ISC */
#include "advisor/select/cover.h"

#include "advisor/cost/write_cost.h"

#define VISIBLE_ENOUGH 0.20 /* from here on the planner's own costs decide */
#define COLUMNS_MAX 3
#define WIDTH_MAX 64.0
#define GROWTH_MAX 3.0

static bool in_set(const AdvIdSet *set, int id)
{
    for (int i = 0; i < set->n; i++)
        if (set->ids[i] == id)
            return true;
    return false;
}

/* The statement that the index saves most for. */
static const AdvQuery *main_query(AdvOracle *oracle, const AdvWorkload *w, const AdvSelection *s, int id)
{
    const AdvQuery *best = NULL;
    double most = 0;
    for (int q = 0; q < w->n_queries; q++) {
        const AdvQuery *query = w->queries[q];
        if (query->weight <= 0)
            continue;
        const AdvAnswer *answer = adv_oracle_ask(oracle, q, s->ids, s->n);
        double saved = query->weight * (query->cost_today - answer->cost);
        if (in_set(&answer->used, id) && saved > most) {
            most = saved;
            best = query;
        }
    }
    return best;
}

static bool add_missing(AdvArena *arena, AdvIndex *def, const AdvFacts *facts)
{
    double width = 0;
    int added = 0;
    for (int r = 0; r < facts->n_rels; r++) {
        const AdvRel *rel = &facts->rels[r];
        if (rel->table != def->table)
            continue;
        if (rel->target)
            return false; /* the row itself is changed: the table is visited anyway */
        for (int c = 0; c < rel->table->n_columns; c++) {
            if (!rel->used[c] || adv_index_has_column(def, c + 1))
                continue;
            width += rel->table->columns[c].avg_width;
            if (++added > COLUMNS_MAX || width > WIDTH_MAX)
                return false;
            def->include = adv_arena_grow(arena, def->include, (size_t)def->n_include * sizeof(int),
                                          ((size_t)def->n_include + 1) * sizeof(int));
            def->include[def->n_include++] = c + 1;
        }
    }
    return added > 0;
}

static bool wants_cover(const AdvCandidate *c, const AdvQuery *query)
{
    const AdvTable *t = c->def.table;
    if (!query || query->facts->locks_rows || t->pages <= 0 || t->all_visible / t->pages >= VISIBLE_ENOUGH)
        return false;
    for (int k = 0; k < c->def.n_keys; k++)
        if (!c->def.keys[k].column)
            return false;
    /* A table whose rows change all the time never becomes all-visible. */
    return t->updated + t->deleted < 0.2 * t->rows;
}

static void replace(AdvSelection *s, int old, int new, double more_bytes)
{
    int n = 0;
    for (int i = 0; i < s->n; i++)
        if (s->ids[i] != old)
            s->ids[n++] = s->ids[i];
    while (n > 0 && s->ids[n - 1] > new) {
        s->ids[n] = s->ids[n - 1];
        n--;
    }
    s->ids[n] = new;
    s->bytes += more_bytes;
}

void adv_cover(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *w,
               const AdvSearchLimits *limits, AdvSelection *s)
{
    int *ids = ADV_NEW_ARRAY(arena, int, s->n + 1);
    int n = s->n;
    for (int i = 0; i < n; i++)
        ids[i] = s->ids[i];
    for (int i = 0; i < n; i++) {
        const AdvCandidate *c = pool->items[ids[i]];
        const AdvQuery *query = main_query(oracle, w, s, ids[i]);
        if (!wants_cover(c, query))
            continue;
        AdvIndex def = c->def;
        def.include = adv_arena_grow(arena, c->def.include, (size_t)c->def.n_include * sizeof(int),
                                     ((size_t)c->def.n_include + 1) * sizeof(int));
        if (!add_missing(arena, &def, query->facts))
            continue;
        int id = adv_pool_add(pool, &def);
        AdvCandidate *wide = pool->items[id];
        wide->fraction = c->fraction;
        adv_price(pool->catalog, w, w->unit, wide);
        double more = wide->bytes - c->bytes;
        if (wide->bytes > GROWTH_MAX * c->bytes || (limits->budget > 0 && s->bytes + more > limits->budget) || in_set(&(AdvIdSet){s->n, s->ids}, id))
            continue;
        s->write_cost += wide->write_cost - c->write_cost;
        replace(s, ids[i], id, more);
    }
    s->cost_after = 0;
    for (int q = 0; q < w->n_queries; q++)
        if (w->queries[q]->weight > 0)
            s->cost_after += w->queries[q]->weight * adv_oracle_ask(oracle, q, s->ids, s->n)->cost;
}
