/* SPDX-License-Identifier: ISC */
/* improve.c - a finished selection made better: two indexes merged, one replaced, one taken out and the room filled again. */
#include "advisor/select/search_priv.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/cost/write_cost.h"

#define SECOND_INDEX_GAIN 0.10
#define MERGED_INCLUDE_MAX 12

static bool enough(const Search *s)
{
    return search_late(s) || adv_oracle_is_exhausted(s->oracle) || adv_oracle_backend_calls(s->oracle) >= s->calls_soft ||
           pw_time_mono() > s->improve_until;
}

static bool halves_a_statement(const Search *s, const State *with, const State *without)
{
    for (int q = 0; q < s->workload->n_queries; q++)
        if (s->workload->queries[q]->weight > 0 && with->costs[q] <= 0.5 * without->costs[q])
            return true;
    return false;
}

/* Its keys are those of an existing index; only the INCLUDE columns are new. Such a second index must save more,
 * unless a budget says how much space there is for luxury. */
static bool only_covers(const Search *s, int id)
{
    AdvIndex plain = s->pool->items[id]->def;
    plain.n_include = 0;
    return s->budget <= 0 && adv_index_served_by_existing(&plain) != NULL;
}

static bool is_weak(const Search *s, const State *with, const State *without, int id)
{
    double gain = without->total - with->total;
    if (only_covers(s, id))
        return gain < fmax(s->min_gain, SECOND_INDEX_GAIN) * s->cost_before;
    return gain < s->min_gain * s->cost_before && !halves_a_statement(s, with, without);
}

/* What taking out each index of a state would cost, by candidate. Thousands of indexes may go, one after the other: what is known stays known until
 * an index goes that some statement could use in the other's place. */
typedef struct Losses {
    double *loss; /* NAN: not known */
    bool *weak;
} Losses;

static Losses no_losses(const Search *s)
{
    Losses l = {ADV_NEW_ARRAY(s->arena, double, s->pool->n + 1), ADV_NEW_ARRAY(s->arena, bool, s->pool->n + 1)};
    for (int id = 0; id < s->pool->n; id++)
        l.loss[id] = NAN;
    return l;
}

static void find_loss(Search *s, const State *state, Losses *l, int id)
{
    if (!isnan(l->loss[id]))
        return;
    const State *without = search_apply(s, state, NULL, 0, &id, 1);
    l->loss[id] = without->total - state->total;
    l->weak[id] = is_weak(s, state, without, id);
}

static void take_out(Search *s, State *state, Losses *l, int id)
{
    *state = search_keep(s, search_apply(s, state, NULL, 0, &id, 1));
    int *queries, n = adv_oracle_statements_of(s->oracle, &id, 1, &queries);
    for (int q = 0; q < n; q++)
        for (int i = 0; i < state->n; i++)
            if (adv_oracle_relevant(s->oracle, queries[q], state->ids[i]))
                l->loss[state->ids[i]] = NAN;
}

void search_prune(Search *s, State *state)
{
    Losses l = no_losses(s);
    for (int least = 0; least >= 0;) {
        least = -1;
        for (int i = 0; i < state->n; i++) {
            int id = state->ids[i];
            find_loss(s, state, &l, id);
            if (l.loss[id] <= state->total * EPSILON && (least < 0 || l.loss[id] < l.loss[least]))
                least = id;
        }
        if (least >= 0)
            take_out(s, state, &l, least);
    }
}

/* One index that does the work of two of the same table: the longer keys, all other columns included. */
static int merged(Search *s, int a, int b)
{
    const AdvIndex *x = &s->pool->items[a]->def, *y = &s->pool->items[b]->def;
    if (x->table != y->table || strcmp(x->method, "btree") != 0 || strcmp(y->method, "btree") != 0 || x->keys[0].column != y->keys[0].column ||
        x->keys[0].column == 0 || x->predicate || y->predicate)
        return -1;
    AdvIndex m = *x;
    m.include = adv_arena_grow(s->arena, x->include, (size_t)x->n_include * sizeof(int),
                               ((size_t)x->n_include + (size_t)y->n_keys + (size_t)y->n_include + 1) * sizeof(int));
    for (int i = 0; i < y->n_keys + y->n_include; i++) {
        int column = i < y->n_keys ? y->keys[i].column : y->include[i - y->n_keys];
        if (column == 0)
            return -1;
        if (!adv_index_has_column(&m, column))
            m.include[m.n_include++] = column;
    }
    if (m.n_include > MERGED_INCLUDE_MAX)
        return -1;
    int known = s->pool->n;
    int id = adv_pool_add(s->pool, &m);
    if (id == known)
        adv_price(s->pool->catalog, s->workload, s->workload->unit, s->pool->items[id]);
    return id;
}

static bool try_merges(Search *s, State *state)
{
    for (int i = 0; i < state->n; i++)
        for (int k = 0; k < state->n && !search_late(s); k++) {
            int id = i == k ? -1 : merged(s, state->ids[i], state->ids[k]);
            if (id < 0 || id == state->ids[i] || id == state->ids[k])
                continue;
            int gone[2] = {state->ids[i], state->ids[k]};
            if (search_take_if_better(s, state, &id, 1, gone, 2))
                return true;
        }
    return false;
}

static bool try_replacements(Search *s, State *state)
{
    for (int i = 0; i < state->n; i++)
        for (int k = 0; k < s->list.n && !enough(s); k++) {
            int id = s->list.ids[k];
            if (search_has(state->ids, state->n, id) ||
                s->pool->items[id]->def.table != s->pool->items[state->ids[i]]->def.table)
                continue;
            if (search_take_if_better(s, state, &id, 1, &state->ids[i], 1))
                return true;
        }
    return false;
}

typedef struct Weakness {
    int id;
    double loss; /* for each byte */
} Weakness;

static int by_loss(const void *a, const void *b)
{
    const Weakness *x = a, *y = b;
    if (x->loss != y->loss)
        return x->loss < y->loss ? -1 : 1;
    return x->id - y->id;
}

/* The indexes that bring least for their space go first: there the room is worth most. */
static bool try_refills(Search *s, State *state)
{
    static const double floors[] = {0, 0.3};
    Weakness *order = ADV_NEW_ARRAY(s->arena, Weakness, state->n + 1);
    for (int i = 0; i < state->n && !enough(s); i++) {
        const State *without = search_apply(s, state, NULL, 0, &state->ids[i], 1);
        order[i] = (Weakness){state->ids[i], (without->total - state->total) / fmax(state->bytes - without->bytes, 8192)};
    }
    qsort(order, (size_t)state->n, sizeof(*order), by_loss);
    for (int i = 0; i < state->n; i++)
        for (size_t f = 0; f < PW_ARRAY_LEN(floors) && !enough(s); f++) {
            State next = search_keep(s, search_apply(s, state, NULL, 0, &order[i].id, 1));
            search_greedy(s, &next, floors[f]);
            if (next.total < state->total * (1 - BETTER)) {
                *state = next;
                return true;
            }
        }
    return false;
}

/* Covering indexes grow column by column: two of one table are often one, and the room that this frees is filled again. */
void search_merge(Search *s, State *state)
{
    while (!search_late(s) && try_merges(s, state)) {
        while (try_merges(s, state))
            continue;
        search_greedy(s, state, 0);
    }
}

void search_improve(Search *s, State *state)
{
    search_merge(s, state);
    search_prune(s, state);
    while (!enough(s) && (try_replacements(s, state) || try_refills(s, state))) {
        search_merge(s, state);
        search_prune(s, state);
    }
}

void search_drop_weak(Search *s, State *state)
{
    Losses l = no_losses(s);
    for (int least = 0; least >= 0;) {
        least = -1;
        for (int i = 0; i < state->n; i++) {
            int id = state->ids[i];
            find_loss(s, state, &l, id);
            if (l.weak[id] && (least < 0 || l.loss[id] < l.loss[least]))
                least = id;
        }
        if (least >= 0)
            take_out(s, state, &l, least);
    }
}
