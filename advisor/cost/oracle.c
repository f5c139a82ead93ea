/* SPDX-License-Identifier: ISC */
#include "advisor/cost/oracle.h"

#define UNKNOWN_RELEVANCE 2

typedef struct QueryCache {
    int n;
    AdvAnswer **answers;
    int n_relevance;
    unsigned char *relevance; /* by candidate id */
} QueryCache;

struct AdvOracle {
    AdvArena *arena;
    AdvPool *pool;
    AdvWorkload *workload;
    const AdvCostBackend *backend;
    QueryCache *caches;
    int cap_scratch;
    int *scratch;
    uint64_t questions;
    uint64_t backend_calls;
    uint64_t max_calls; /* 0: no limit */
    uint64_t saved_from; /* 0: never */
};

AdvOracle *adv_oracle_create(AdvArena *arena, AdvPool *pool, AdvWorkload *workload, const AdvCostBackend *backend)
{
    AdvOracle *oracle = ADV_NEW(arena, AdvOracle);
    oracle->arena = arena;
    oracle->pool = pool;
    oracle->workload = workload;
    oracle->backend = backend;
    oracle->caches = ADV_NEW_ARRAY(arena, QueryCache, workload->n_queries + 1);
    return oracle;
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

bool adv_oracle_relevant(AdvOracle *oracle, int q, int candidate)
{
    QueryCache *cache = &oracle->caches[q];
    if (candidate >= cache->n_relevance) {
        int n = oracle->pool->n + 64;
        unsigned char *larger = adv_arena_alloc(oracle->arena, (size_t)n);
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

/* Leaves in oracle->scratch what can matter for the statement; returns how many. */
static int reduce(AdvOracle *oracle, int q, const int *ids, int n)
{
    if (n > oracle->cap_scratch) {
        oracle->cap_scratch = n * 2;
        oracle->scratch = ADV_NEW_ARRAY(oracle->arena, int, oracle->cap_scratch);
    }
    int m = 0;
    for (int i = 0; i < n; i++)
        if (adv_oracle_relevant(oracle, q, ids[i]))
            oracle->scratch[m++] = ids[i];
    return m;
}

void adv_oracle_bounds(AdvOracle *oracle, int q, const int *ids, int n, double *ret_lower, double *ret_upper)
{
    const QueryCache *cache = &oracle->caches[q];
    int m = reduce(oracle, q, ids, n);
    AdvIdSet wanted = {m, oracle->scratch};
    double lower = 0, upper = oracle->workload->queries[q]->cost_today;
    for (int i = cache->n - 1; i >= 0; i--) {
        const AdvAnswer *a = cache->answers[i];
        bool has_plan = a->cost <= upper && subset(&a->used, oracle->scratch, m);
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

double adv_oracle_guess(AdvOracle *oracle, int q, const int *ids, int n)
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

void adv_oracle_limit(AdvOracle *oracle, uint64_t max_calls)
{
    oracle->max_calls = max_calls;
}

bool adv_oracle_is_exhausted(const AdvOracle *oracle)
{
    return oracle->max_calls && oracle->backend_calls >= oracle->max_calls;
}

void adv_oracle_save(AdvOracle *oracle, uint64_t calls)
{
    oracle->saved_from = calls;
}

/* The cheapest known plan that the set allows: true of the statement even if the planner would find a better one. */
static const AdvAnswer *best_known(AdvOracle *oracle, int q, int m)
{
    const QueryCache *cache = &oracle->caches[q];
    const AdvAnswer *best = NULL;
    for (int i = 0; i < cache->n; i++)
        if ((!best || cache->answers[i]->cost < best->cost) && subset(&cache->answers[i]->used, oracle->scratch, m))
            best = cache->answers[i];
    if (best && best->cost <= oracle->workload->queries[q]->cost_today)
        return best;
    AdvAnswer *today = ADV_NEW(oracle->arena, AdvAnswer);
    today->cost = oracle->workload->queries[q]->cost_today;
    return today;
}

const AdvAnswer *adv_oracle_ask(AdvOracle *oracle, int q, const int *ids, int n)
{
    oracle->questions++;
    int m = reduce(oracle, q, ids, n);
    QueryCache *cache = &oracle->caches[q];
    const AdvAnswer *known = look_up(cache, oracle->scratch, m);
    if (known)
        return known;
    if (adv_oracle_is_exhausted(oracle) || (oracle->saved_from && oracle->backend_calls >= oracle->saved_from))
        return best_known(oracle, q, m);
    const AdvQuery *query = oracle->workload->queries[q];
    AdvAnswer *answer = ADV_NEW(oracle->arena, AdvAnswer);
    answer->asked = copy_ids(oracle->arena, oracle->scratch, m);
    AdvCandidate **set = ADV_NEW_ARRAY(oracle->arena, AdvCandidate *, m ? m : 1);
    bool *used = ADV_NEW_ARRAY(oracle->arena, bool, m ? m : 1);
    for (int i = 0; i < m; i++)
        set[i] = oracle->pool->items[answer->asked.ids[i]];
    oracle->backend_calls++;
    answer->cost = query->cost_today;
    int *used_ids = ADV_NEW_ARRAY(oracle->arena, int, m ? m : 1);
    if (!oracle->backend->cost(oracle->backend->self, query, set, m, &answer->cost, used))
        for (int i = 0; i < m; i++)
            if (used[i])
                used_ids[answer->used.n++] = answer->asked.ids[i];
    answer->used.ids = used_ids;
    ADV_ROOM(oracle->arena, cache->answers, cache->n);
    cache->answers[cache->n++] = answer;
    return answer;
}

uint64_t adv_oracle_questions(const AdvOracle *oracle)
{
    return oracle->questions;
}

uint64_t adv_oracle_backend_calls(const AdvOracle *oracle)
{
    return oracle->backend_calls;
}
