/* SPDX-License-Identifier: ISC */
/* search.c - greedy from several starts, then merges and swaps. All questions go through the oracle's cache, so that later
 * phases are cheap. */
#include "advisor/select/search_priv.h"

#include <math.h>

/* Without a budget storage still has a price: indexes as large as all the tables cost this share of the workload. */
#define STORAGE_PRICE 0.04
#define STORAGE_FLOOR (64.0 * 1024 * 1024)
#define TABLE_BYTES_PER_PAGE 8192.0
/* Plans after which nothing is improved any more; a time or call limit of the user's ends everything sooner. */
#define IMPROVE_SHARE 0.25 /* of the time limit */
#define CALLS_BASE 250
#define CALLS_PER_STATEMENT 25
/* Plans after which known ones must do; the last question of all, what the answer costs, is asked in any case. */
#define CALLS_MOST_BASE 150
#define CALLS_MOST_PER_STATEMENT 37
#define CURVE_POINTS 8

static double table_bytes(const AdvCatalog *catalog)
{
    double bytes = 0;
    for (int i = 0; i < catalog->n_tables; i++)
        if (catalog->tables[i]->referenced)
            bytes += catalog->tables[i]->pages * TABLE_BYTES_PER_PAGE;
    return bytes;
}

static void finish(const Search *s, const State *state, AdvSelection *selection)
{
    selection->n = state->n;
    selection->ids = state->ids;
    selection->bytes = state->bytes;
    selection->cost_before = s->cost_before;
    for (int i = 0; i < state->n; i++)
        selection->write_cost += s->pool->items[state->ids[i]]->write_cost;
    for (int q = 0; q < s->workload->n_queries; q++)
        selection->cost_after += s->workload->queries[q]->weight * state->costs[q];
    selection->out_of_time = search_late(s);
}

static void consider(Search *s, State *best, State *state)
{
    search_exact(s, state);
    if (state->total < best->total)
        *best = *state;
}

/* The best of the starts for the budget set in s. */
static State starts(Search *s)
{
    static const double floors[] = {0, 0.1, 0.3, 1};
    State best = search_empty(s);
    for (size_t i = 0; i < PW_ARRAY_LEN(floors) && (i == 0 || adv_oracle_backend_calls(s->oracle) < s->calls_soft); i++) {
        State state = search_empty(s);
        if (s->budget <= 0 && floors[i] > 0 && floors[i] < 1)
            continue; /* they are shares of the budget */
        search_greedy(s, &state, floors[i]);
        consider(s, &best, &state);
    }
    return best;
}

static double queries_cost(const Search *s, const State *state)
{
    double cost = 0;
    for (int q = 0; q < s->workload->n_queries; q++)
        cost += s->workload->queries[q]->weight * state->costs[q];
    return cost;
}

/* Budgets from the smallest on, each going on from the last one's answer, so that more space never brings less; all share the cache. The
 * last one is the real budget (or what was chosen without one): if the sweep found something better for it, that is the answer. */
static void sweep(Search *s, State *best, AdvCurve *curve)
{
    double most = s->limits->budget > 0 ? s->limits->budget : best->bytes;
    State last = search_empty(s);
    curve->points = ADV_NEW_ARRAY(s->arena, AdvCurvePoint, CURVE_POINTS);
    for (int k = CURVE_POINTS - 1; k >= 0 && best->n > 0; k--) {
        s->budget = most / pow(2, k);
        State state = search_keep(s, &last);
        search_greedy(s, &state, 0);
        consider(s, &last, &state);
        if (adv_oracle_backend_calls(s->oracle) < s->calls_soft * 3 / 2) {
            state = search_empty(s);
            search_greedy(s, &state, 0);
            search_improve(s, &state); /* merges only, once the plans are used up */
            consider(s, &last, &state);
        }
        if (k == 0 && best->total < last.total)
            last = search_keep(s, best);
        if (last.n > 0)
            curve->points[curve->n++] =
                (AdvCurvePoint){.budget = s->budget, .bytes = last.bytes, .cost = queries_cost(s, &last), .n = last.n};
    }
    s->budget = s->limits->budget;
    if (s->limits->budget > 0 && last.total < best->total)
        *best = last;
}

void adv_search(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, const AdvSearchLimits *limits, AdvSelection *ret_selection)
{
    memset(ret_selection, 0, sizeof(*ret_selection));
    Search s = {.arena = arena, .oracle = oracle, .pool = pool, .workload = workload, .limits = limits, .budget = limits->budget};
    s.open = ADV_NEW_ARRAY(arena, double, workload->n_queries + 1);
    s.deadline = pw_time_mono() + (PwUsec)(limits->max_seconds * 1e6);
    s.improve_until = pw_time_mono() + (PwUsec)(limits->max_seconds * 1e6 * IMPROVE_SHARE);
    adv_filter(arena, oracle, pool, workload, ids, n_ids, &s.list);
    int n_statements = 0;
    for (int q = 0; q < workload->n_queries; q++)
        n_statements += workload->queries[q]->weight > 0;
    s.calls_soft = CALLS_BASE + CALLS_PER_STATEMENT * (uint64_t)n_statements;
    State empty = search_empty(&s);
    s.cost_before = empty.total;
    if (limits->budget <= 0)
        s.byte_price = STORAGE_PRICE * empty.total / fmax(table_bytes(pool->catalog), STORAGE_FLOOR);
    uint64_t most = CALLS_MOST_BASE + CALLS_MOST_PER_STATEMENT * (uint64_t)n_statements;
    adv_oracle_save(oracle, most);
    search_make_moves(&s);
    State best = starts(&s);
    search_improve(&s, &best);
    search_exact(&s, &best);
    adv_oracle_save(oracle, 2 * most);
    if (limits->curve)
        sweep(&s, &best, &ret_selection->curve);
    else
        adv_oracle_save(oracle, most);
    s.exact = true;
    search_drop_weak(&s, &best);
    adv_oracle_save(oracle, 0);
    search_exact(&s, &best);
    finish(&s, &best, ret_selection);
}
