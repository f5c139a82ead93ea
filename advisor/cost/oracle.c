/* SPDX-License-Identifier: ISC */
#include "advisor/cost/oracle.h"

#include "advisor/lanes.h"

#define UNKNOWN_RELEVANCE 2

typedef struct QueryCache {
    int n;
    AdvAnswer **answers;
    int n_relevance;
    unsigned char *relevance; /* by candidate id */
} QueryCache;

/* What a thread has for itself. */
struct AdvLane {
    AdvArena *arena;
    const AdvCostBackend *backend;
    int cap_scratch;
    int *scratch;
    uint64_t questions;
    uint64_t calls;
};

struct AdvOracle {
    AdvArena *arena;
    AdvPool *pool;
    AdvWorkload *workload;
    QueryCache *caches; /* by statement: touched by the one thread that works on it */
    int n_lanes;
    AdvLane lanes[ADV_LANES_MAX]; /* the first is the caller's own */
    uint64_t max_calls; /* 0: no limit */
    uint64_t saved_from; /* 0: never */
};

AdvOracle *adv_oracle_create(AdvArena *arena, AdvPool *pool, AdvWorkload *workload, const AdvCostBackend *backend)
{
    AdvOracle *oracle = ADV_NEW(arena, AdvOracle);
    oracle->arena = arena;
    oracle->pool = pool;
    oracle->workload = workload;
    oracle->n_lanes = 1;
    oracle->lanes[0] = (AdvLane){.arena = arena, .backend = backend};
    oracle->caches = ADV_NEW_ARRAY(arena, QueryCache, workload->n_queries + 1);
    return oracle;
}

void adv_oracle_add_lane(AdvOracle *oracle, const AdvCostBackend *backend)
{
    if (oracle->n_lanes < ADV_LANES_MAX)
        oracle->lanes[oracle->n_lanes++] = (AdvLane){.arena = adv_arena_create_under(oracle->arena), .backend = backend};
}

static bool leads(const AdvFacts *facts, int rel, const AdvIndexKey *key)
{
    for (int i = 0; i < facts->n_preds; i++)
        if (facts->preds[i].rel == rel && facts->preds[i].column == key->column &&
            (!key->expr || (facts->preds[i].expr && strcmp(facts->preds[i].expr, key->expr) == 0)))
            return true;
    for (int i = 0; i < facts->n_preds && key->expr; i++)
        if (facts->preds[i].rel == rel && facts->preds[i].expr && strcmp(facts->preds[i].expr, key->expr) == 0)
            return true;
    for (int i = 0; i < facts->n_joins; i++)
        if ((facts->joins[i].rel_a == rel && facts->joins[i].column_a == key->column) ||
            (facts->joins[i].rel_b == rel && facts->joins[i].column_b == key->column))
            return true;
    for (int b = 0; b < facts->n_blocks; b++) {
        const AdvBlock *block = &facts->blocks[b];
        for (int i = 0; i < block->n_order; i++)
            if (block->order[i].rel == rel && (block->order[i].column == key->column || key->expr))
                return true;
        for (int i = 0; i < block->n_group; i++)
            if (block->group[i].rel == rel && (block->group[i].column == key->column || key->expr))
                return true;
        for (int i = 0; i < block->n_minmax; i++)
            if (block->minmax[i].rel == rel && (block->minmax[i].column == key->column || key->expr))
                return true;
    }
    return false;
}

static bool covers(const AdvRel *rel, const AdvIndex *def)
{
    if (strcmp(def->method, "btree") != 0)
        return false;
    for (int c = 0; c < rel->table->n_columns; c++)
        if (rel->used[c] && !adv_index_has_column(def, c + 1))
            return false;
    return true;
}

static bool compute_relevance(const AdvFacts *facts, const AdvIndex *def)
{
    for (int r = 0; facts && r < facts->n_rels; r++) {
        const AdvRel *rel = &facts->rels[r];
        if (rel->kind != ADV_REL_TABLE || rel->table != def->table)
            continue;
        if (leads(facts, r, &def->keys[0]) || covers(rel, def) || def->predicate)
            return true;
    }
    return false;
}

bool adv_lane_relevant(AdvOracle *oracle, AdvLane *lane, int q, int candidate)
{
    QueryCache *cache = &oracle->caches[q];
    if (candidate >= cache->n_relevance) {
        int n = oracle->pool->n + 64;
        unsigned char *larger = adv_arena_alloc(lane->arena, (size_t)n);
        memset(larger, UNKNOWN_RELEVANCE, (size_t)n);
        if (cache->n_relevance)
            memcpy(larger, cache->relevance, (size_t)cache->n_relevance);
        cache->relevance = larger;
        cache->n_relevance = n;
    }
    if (cache->relevance[candidate] == UNKNOWN_RELEVANCE)
        cache->relevance[candidate] =
            compute_relevance(oracle->workload->queries[q]->facts, &oracle->pool->items[candidate]->def);
    return cache->relevance[candidate];
}

bool adv_oracle_relevant(AdvOracle *oracle, int q, int candidate)
{
    return adv_lane_relevant(oracle, &oracle->lanes[0], q, candidate);
}

int adv_oracle_statements_of(AdvOracle *oracle, const int *candidates, int n_candidates, int **ret_queries)
{
    const AdvWorkload *w = oracle->workload;
    int n = 0;
    *ret_queries = ADV_NEW(oracle->arena, int); /* not NULL, which stands for all statements */
    for (int q = 0; q < w->n_queries; q++) {
        bool relevant = false;
        for (int i = 0; i < n_candidates && w->queries[q]->weight > 0 && !relevant; i++)
            relevant = adv_oracle_relevant(oracle, q, candidates[i]);
        if (!relevant)
            continue;
        ADV_ROOM(oracle->arena, *ret_queries, n);
        (*ret_queries)[n++] = q;
    }
    return n;
}

bool adv_id_set_has(const AdvIdSet *set, int id)
{
    for (int i = 0; i < set->n; i++)
        if (set->ids[i] == id)
            return true;
    return false;
}

static bool subset(const AdvIdSet *small, const int *ids, int n)
{
    if (small->n > n)
        return false;
    int k = 0;
    for (int i = 0; i < small->n; i++) {
        while (k < n && ids[k] < small->ids[i])
            k++;
        if (k == n || ids[k] != small->ids[i])
            return false;
        k++;
    }
    return true;
}

static const AdvAnswer *look_up(const QueryCache *cache, const int *ids, int n)
{
    AdvIdSet wanted = {n, ids};
    for (int i = cache->n - 1; i >= 0; i--) {
        const AdvAnswer *a = cache->answers[i];
        if (a->asked.n >= n && subset(&a->used, ids, n) && subset(&wanted, a->asked.ids, a->asked.n))
            return a;
    }
    return NULL;
}

static AdvIdSet copy_ids(AdvArena *arena, const int *ids, int n)
{
    int *copy = ADV_NEW_ARRAY(arena, int, n ? n : 1);
    if (n)
        memcpy(copy, ids, (size_t)n * sizeof(int));
    return (AdvIdSet){n, copy};
}

/* Leaves in lane->scratch what can matter for the statement; returns how many. */
static int reduce(AdvOracle *oracle, AdvLane *lane, int q, const int *ids, int n)
{
    if (n > lane->cap_scratch) {
        lane->cap_scratch = n * 2;
        lane->scratch = ADV_NEW_ARRAY(lane->arena, int, lane->cap_scratch);
    }
    int m = 0;
    for (int i = 0; i < n; i++)
        if (adv_lane_relevant(oracle, lane, q, ids[i]))
            lane->scratch[m++] = ids[i];
    return m;
}

void adv_oracle_bounds(AdvOracle *oracle, int q, const int *ids, int n, double *ret_lower, double *ret_upper)
{
    const QueryCache *cache = &oracle->caches[q];
    int m = reduce(oracle, &oracle->lanes[0], q, ids, n);
    const int *reduced = oracle->lanes[0].scratch;
    AdvIdSet wanted = {m, reduced};
    double lower = 0, upper = oracle->workload->queries[q]->cost_today;
    for (int i = cache->n - 1; i >= 0; i--) {
        const AdvAnswer *a = cache->answers[i];
        bool has_plan = a->cost <= upper && subset(&a->used, reduced, m);
        bool is_wider = (has_plan || a->cost > lower) && subset(&wanted, a->asked.ids, a->asked.n);
        if (has_plan && is_wider) {
            *ret_lower = *ret_upper = a->cost;
            return;
        }
        if (has_plan)
            upper = a->cost;
        if (is_wider && a->cost > lower)
            lower = a->cost;
    }
    /* The planner rounds: what it says of two sets may contradict by a hair. */
    *ret_upper = upper;
    *ret_lower = lower < upper ? lower : upper;
}

static bool has_or_serves(const AdvOracle *oracle, const int *ids, int n, int wanted)
{
    for (int i = 0; i < n; i++)
        if (ids[i] == wanted)
            return true;
    const AdvIndex *def = &oracle->pool->items[wanted]->def;
    for (int i = 0; i < n; i++)
        if (oracle->pool->items[ids[i]]->def.table == def->table && adv_index_serves(&oracle->pool->items[ids[i]]->def, def))
            return true;
    return false;
}

static double guess_of(const AdvOracle *oracle, int q, const int *ids, int n)
{
    const QueryCache *cache = &oracle->caches[q];
    double best = oracle->workload->queries[q]->cost_today;
    for (int i = 0; i < cache->n; i++) {
        const AdvAnswer *a = cache->answers[i];
        bool all = a->cost < best;
        for (int k = 0; k < a->used.n && all; k++)
            all = has_or_serves(oracle, ids, n, a->used.ids[k]);
        if (all)
            best = a->cost;
    }
    return best;
}

double adv_oracle_guess(AdvOracle *oracle, int q, const int *ids, int n)
{
    return guess_of(oracle, q, ids, n);
}

void adv_oracle_limit(AdvOracle *oracle, uint64_t max_calls)
{
    oracle->max_calls = max_calls;
}

bool adv_oracle_is_exhausted(const AdvOracle *oracle)
{
    return oracle->max_calls && adv_oracle_backend_calls(oracle) >= oracle->max_calls;
}

uint64_t adv_oracle_max_calls(const AdvOracle *oracle)
{
    return oracle->max_calls;
}

void adv_oracle_save(AdvOracle *oracle, uint64_t calls)
{
    oracle->saved_from = calls;
}

/* Nothing more is asked. When the user has said so: the cheapest known plan that the set allows, true of the statement even if the planner would find a
 * better one. When the search saves plans: an estimate that may let an index stand for another. */
static const AdvAnswer *best_known(AdvOracle *oracle, int q, const int *ids, int n)
{
    const QueryCache *cache = &oracle->caches[q];
    const AdvAnswer *best = NULL;
    double today = oracle->workload->queries[q]->cost_today;
    for (int i = 0; i < cache->n; i++)
        if ((!best || cache->answers[i]->cost < best->cost) && subset(&cache->answers[i]->used, ids, n))
            best = cache->answers[i];
    if (best && best->cost > today)
        best = NULL;
    double guess = adv_oracle_is_exhausted(oracle) ? today : guess_of(oracle, q, ids, n);
    if (best && best->cost <= guess)
        return best;
    AdvAnswer *answer = ADV_NEW(oracle->arena, AdvAnswer);
    answer->cost = guess;
    return answer;
}

/* The set is in lane->scratch. */
static const AdvAnswer *ask_backend(AdvOracle *oracle, AdvLane *lane, int q, int m)
{
    const AdvQuery *query = oracle->workload->queries[q];
    QueryCache *cache = &oracle->caches[q];
    AdvAnswer *answer = ADV_NEW(lane->arena, AdvAnswer);
    answer->asked = copy_ids(lane->arena, lane->scratch, m);
    AdvCandidate **set = ADV_NEW_ARRAY(lane->arena, AdvCandidate *, m ? m : 1);
    bool *used = ADV_NEW_ARRAY(lane->arena, bool, m ? m : 1);
    for (int i = 0; i < m; i++)
        set[i] = oracle->pool->items[answer->asked.ids[i]];
    lane->calls++;
    answer->cost = query->cost_today;
    int *used_ids = ADV_NEW_ARRAY(lane->arena, int, m ? m : 1);
    if (!lane->backend->cost(lane->backend->self, query, set, m, &answer->cost, used))
        for (int i = 0; i < m; i++)
            if (used[i])
                used_ids[answer->used.n++] = answer->asked.ids[i];
    answer->used.ids = used_ids;
    ADV_ROOM(lane->arena, cache->answers, cache->n);
    cache->answers[cache->n++] = answer;
    return answer;
}

const AdvAnswer *adv_lane_ask(AdvOracle *oracle, AdvLane *lane, int q, const int *ids, int n)
{
    lane->questions++;
    int m = reduce(oracle, lane, q, ids, n);
    const AdvAnswer *known = look_up(&oracle->caches[q], lane->scratch, m);
    return known ? known : ask_backend(oracle, lane, q, m);
}

/* Plans that may still be asked for. */
static uint64_t calls_left(const AdvOracle *oracle)
{
    uint64_t calls = adv_oracle_backend_calls(oracle), left = UINT64_MAX;
    if (oracle->max_calls)
        left = oracle->max_calls > calls ? oracle->max_calls - calls : 0;
    if (oracle->saved_from && oracle->saved_from <= calls)
        left = 0;
    else if (oracle->saved_from && oracle->saved_from - calls < left)
        left = oracle->saved_from - calls;
    return left;
}

const AdvAnswer *adv_oracle_ask(AdvOracle *oracle, int q, const int *ids, int n)
{
    AdvLane *lane = &oracle->lanes[0];
    lane->questions++;
    int m = reduce(oracle, lane, q, ids, n);
    const AdvAnswer *known = look_up(&oracle->caches[q], lane->scratch, m);
    if (known)
        return known;
    return calls_left(oracle) > 0 ? ask_backend(oracle, lane, q, m) : best_known(oracle, q, lane->scratch, m);
}

typedef struct Batch {
    AdvOracle *oracle;
    const int *queries;
    const int *ids; /* asked about, of all of them */
    int n;
    AdvStatementWork work;
    void *arg;
} Batch;

static void ask_one(void *arg, int lane_number, int item)
{
    const Batch *batch = arg;
    AdvLane *lane = &batch->oracle->lanes[lane_number];
    int q = batch->queries[item], m = reduce(batch->oracle, lane, q, batch->ids, batch->n);
    (void)ask_backend(batch->oracle, lane, q, m);
}

void adv_oracle_ask_all(AdvOracle *oracle, const int *queries, int n_queries, const int *ids, int n)
{
    AdvLane *lane = &oracle->lanes[0];
    const AdvWorkload *w = oracle->workload;
    int all = queries ? n_queries : w->n_queries, n_open = 0;
    uint64_t left = calls_left(oracle);
    if (oracle->n_lanes == 1)
        return; /* one after the other, as they are asked for */
    int *open = ADV_NEW_ARRAY(oracle->arena, int, all + 1);
    for (int i = 0; i < all && (uint64_t)n_open < left; i++) {
        int q = queries ? queries[i] : i;
        if (w->queries[q]->weight <= 0)
            continue;
        int m = reduce(oracle, lane, q, ids, n);
        if (!look_up(&oracle->caches[q], lane->scratch, m))
            open[n_open++] = q;
    }
    Batch batch = {.oracle = oracle, .queries = open, .ids = ids, .n = n};
    adv_lanes_run(oracle->n_lanes, n_open, ask_one, &batch);
}

static void work_on_one(void *arg, int lane_number, int item)
{
    const Batch *batch = arg;
    batch->work(batch->arg, &batch->oracle->lanes[lane_number], batch->queries[item]);
}

void adv_oracle_each(AdvOracle *oracle, const int *queries, int n_queries, AdvStatementWork work, void *arg)
{
    Batch batch = {.oracle = oracle, .queries = queries, .work = work, .arg = arg};
    adv_lanes_run(oracle->n_lanes, n_queries, work_on_one, &batch);
}

AdvArena *adv_lane_arena(AdvLane *lane)
{
    return lane->arena;
}

uint64_t adv_lane_calls(const AdvLane *lane)
{
    return lane->calls;
}

uint64_t adv_oracle_questions(const AdvOracle *oracle)
{
    uint64_t sum = 0;
    for (int i = 0; i < oracle->n_lanes; i++)
        sum += oracle->lanes[i].questions;
    return sum;
}

uint64_t adv_oracle_backend_calls(const AdvOracle *oracle)
{
    uint64_t sum = 0;
    for (int i = 0; i < oracle->n_lanes; i++)
        sum += oracle->lanes[i].calls;
    return sum;
}
