/* SPDX-License-Identifier: ISC */
/* search.c - without a budget: greedy from two starts, then merges and swaps. With one: ladder.c. All questions go through the oracle's
 * cache, so that later phases are cheap. */
#include "advisor/select/ladder.h"

#include <math.h>
#include <stdlib.h>

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
#define LADDER_BASE 200
#define LADDER_PER_STATEMENT 20
/* See measure_of(). Of a few statements each has a large share. */
#define SHARE_MAX 0.2
#define SHARE_MAX_FEW 0.5
#define FEW_STATEMENTS 8
/* What an index must save, as a share of the workload's cost, when the user does not say: under a budget the budget itself is the limit. */
#define MIN_GAIN_DEFAULT 0.005
#define MIN_GAIN_BUDGET 0.0002

static double table_bytes(const AdvCatalog *catalog)
{
    double bytes = 0;
    for (int i = 0; i < catalog->n_tables; i++)
        if (catalog->tables[i]->referenced)
            bytes += catalog->tables[i]->pages * TABLE_BYTES_PER_PAGE;
    return bytes;
}

void search_finish(const Search *s, const State *state, AdvSelection *selection)
{
    selection->n = state->n;
    selection->ids = state->ids;
    selection->bytes = state->bytes;
    selection->cost_before = s->cost_before;
    selection->cost_after = search_statements_cost(s, state);
    selection->write_cost = state->write;
    selection->out_of_time = search_late(s);
}

static void consider(Search *s, State *best, State *state)
{
    search_exact(s, state);
    if (state->total < best->total)
        *best = *state;
}

/* Without a budget gain per byte finds many small indexes, and gain alone the big ones. */
static State without_budget(Search *s)
{
    static const double floors[] = {0, 1};
    State best = search_empty(s);
    for (size_t i = 0; i < PW_ARRAY_LEN(floors) && (i == 0 || adv_oracle_backend_calls(s->oracle) < s->calls_soft); i++) {
        State state = search_empty(s);
        search_greedy(s, &state, floors[i]);
        consider(s, &best, &state);
    }
    search_improve(s, &best);
    search_exact(s, &best);
    s->exact = true;
    search_drop_weak(s, &best);
    s->exact = false;
    return best;
}

/* What smaller budgets bring, by the rules that hold with a budget. */
static void add_curve(Search *s, const State *best, AdvCurve *ret_curve)
{
    s->byte_price = 0;
    s->min_gain = s->limits->min_gain >= 0 ? s->limits->min_gain : MIN_GAIN_BUDGET;
    search_make_moves(s);
    (void)search_ladder(s, best->bytes, ret_curve);
}

static int dearer_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The workload's cost with the largest statements cut down, so that none has more than a share of it: beside one report that reads a table for
 * each row of another everything else is nothing, and would get no index. */
static double measure_of(const Search *s)
{
    int n = 0;
    double *costs = ADV_NEW_ARRAY(s->arena, double, s->workload->n_queries + 1);
    for (int q = 0; q < s->workload->n_queries; q++)
        if (s->workload->queries[q]->weight > 0)
            costs[n++] = s->workload->queries[q]->weight * s->workload->queries[q]->cost_today;
    double share = n >= FEW_STATEMENTS ? SHARE_MAX : SHARE_MAX_FEW, rest = s->cost_before;
    qsort(costs, (size_t)n, sizeof(*costs), dearer_first);
    for (int cut = 0; cut < n; cut++) {
        double most = share * rest / (1 - share * cut); /* so the first `cut` of them have exactly the share */
        if (costs[cut] <= most || share * (cut + 2) > 1 + EPSILON)
            return rest + cut * most;
        rest -= costs[cut];
    }
    return s->cost_before;
}

static void set_limits(Search *s, const AdvSearchLimits *limits)
{
    int n = 0;
    for (int q = 0; q < s->workload->n_queries; q++)
        n += s->workload->queries[q]->weight > 0;
    s->calls_soft = CALLS_BASE + CALLS_PER_STATEMENT * (uint64_t)n;
    s->calls_most = CALLS_MOST_BASE + CALLS_MOST_PER_STATEMENT * (uint64_t)n;
    s->ladder_most = LADDER_BASE + LADDER_PER_STATEMENT * (uint64_t)n;
    s->deadline = pw_time_mono() + (PwUsec)(limits->max_seconds * 1e6);
    s->improve_until = pw_time_mono() + (PwUsec)(limits->max_seconds * 1e6 * IMPROVE_SHARE);
    s->min_gain = limits->min_gain >= 0 ? limits->min_gain : limits->budget > 0 ? MIN_GAIN_BUDGET : MIN_GAIN_DEFAULT;
}

void adv_search(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, const AdvSearchLimits *limits, AdvSelection *ret_selection)
{
    memset(ret_selection, 0, sizeof(*ret_selection));
    Search s = {.arena = arena, .oracle = oracle, .pool = pool, .workload = workload, .limits = limits, .budget = limits->budget, .enough = -INFINITY};
    s.open = ADV_NEW_ARRAY(arena, double, workload->n_queries + 1);
    s.open_queries = ADV_NEW_ARRAY(arena, int, workload->n_queries + 1);
    set_limits(&s, limits);
    adv_filter(arena, oracle, pool, workload, ids, n_ids, s.deadline, &s.list);
    State best = search_empty(&s);
    s.cost_before = best.total;
    s.measure = measure_of(&s);
    if (limits->budget <= 0)
        s.byte_price = STORAGE_PRICE * s.measure / fmax(table_bytes(pool->catalog), STORAGE_FLOOR);
    search_make_moves(&s);
    if (limits->budget > 0) {
        best = search_ladder(&s, limits->budget, &ret_selection->curve);
    } else {
        adv_oracle_save(oracle, s.calls_most);
        best = without_budget(&s);
        if (limits->curve)
            add_curve(&s, &best, &ret_selection->curve);
    }
    adv_oracle_save(oracle, 0);
    search_exact(&s, &best);
    search_finish(&s, &best, ret_selection);
    if (!limits->curve)
        ret_selection->curve = (AdvCurve){0};
}
