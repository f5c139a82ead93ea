/* SPDX-License-Identifier: ISC */
#include "advisor/select/filter.h"

#include <stdlib.h>

#define TOURNAMENT 40 /* candidates of one table in one question; the planner slows down with more */
#define PEEL_ROUNDS 4
#define NARROW_ROUNDS 2
#define OTHERS_ROUNDS 2

typedef struct Filter {
    AdvArena *arena;
    AdvOracle *oracle;
    AdvPool *pool;
    AdvShortlist *list;
    bool *chosen; /* by candidate id */
    int q;
} Filter;

static int compare_ids(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static bool contains(const AdvIdSet *set, int id)
{
    for (int i = 0; i < set->n; i++)
        if (set->ids[i] == id)
            return true;
    return false;
}

static void add_joint(Filter *f, const AdvIdSet *used)
{
    if (used->n < 2)
        return;
    for (int i = 0; i < f->list->n_joint; i++)
        if (f->list->joint[i].n == used->n &&
            memcmp(f->list->joint[i].ids, used->ids, (size_t)used->n * sizeof(int)) == 0)
            return;
    ADV_ROOM(f->arena, f->list->joint, f->list->n_joint);
    f->list->joint[f->list->n_joint++] = *used;
}

static const AdvAnswer *ask(Filter *f, const int *ids, int n)
{
    const AdvAnswer *answer = adv_oracle_ask(f->oracle, f->q, ids, n);
    if (answer->cost < f->list->best[f->q])
        f->list->best[f->q] = answer->cost;
    for (int i = 0; i < answer->used.n; i++)
        f->list->evidence[f->q][answer->used.ids[i]] = true;
    return answer;
}

static int remove_used(int *ids, int n, const AdvIdSet *used)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!contains(used, ids[i]))
            ids[kept++] = ids[i];
    return kept;
}

static void peel(Filter *f, const int *from, int n, int rounds)
{
    int *ids = ADV_NEW_ARRAY(f->arena, int, n + 1);
    if (n)
        memcpy(ids, from, (size_t)n * sizeof(int));
    for (int round = 0; round < rounds && n > 0; round++) {
        const AdvAnswer *answer = ask(f, ids, n);
        if (answer->used.n == 0)
            break;
        for (int i = 0; i < answer->used.n; i++)
            f->chosen[answer->used.ids[i]] = true;
        add_joint(f, &answer->used);
        n = remove_used(ids, n, &answer->used);
    }
}

/* Cuts the list to at most TOURNAMENT per table: heats of that size, whose users go on. */
static int tournament(Filter *f, int *ids, int n)
{
    for (int round = 0; round < 4; round++) {
        int *place = ADV_NEW_ARRAY(f->arena, int, n + 1);
        int heats = 1;
        for (int i = 0; i < n; i++) {
            int before = 0;
            for (int k = 0; k < i; k++)
                before += f->pool->items[ids[k]]->def.table == f->pool->items[ids[i]]->def.table;
            place[i] = before / TOURNAMENT;
            if (place[i] + 1 > heats)
                heats = place[i] + 1;
        }
        if (heats == 1)
            return n;
        bool *wins = ADV_NEW_ARRAY(f->arena, bool, f->pool->n + 1);
        int *heat = ADV_NEW_ARRAY(f->arena, int, n + 1);
        for (int h = 0; h < heats; h++) {
            int m = 0;
            for (int i = 0; i < n; i++)
                if (place[i] == h)
                    heat[m++] = ids[i];
            /* Two rounds a heat, so that the second best of a heat is not lost. */
            for (int again = 0; again < 2 && m > 0; again++) {
                const AdvAnswer *answer = ask(f, heat, m);
                for (int i = 0; i < answer->used.n; i++)
                    wins[answer->used.ids[i]] = true;
                m = answer->used.n ? remove_used(heat, m, &answer->used) : 0;
            }
        }
        int kept = 0;
        for (int i = 0; i < n; i++)
            if (wins[ids[i]])
                ids[kept++] = ids[i];
        if (kept == n)
            return n;
        n = kept;
    }
    return n;
}

static int narrow(const Filter *f, const int *ids, int n, int max_keys, int *out)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        if (f->pool->items[ids[i]]->def.n_include == 0 && f->pool->items[ids[i]]->def.n_keys <= max_keys)
            out[m++] = ids[i];
    return m;
}

static void filter_query(Filter *f, const int *from, int n_from)
{
    int *ids = ADV_NEW_ARRAY(f->arena, int, n_from + 1), *few = ADV_NEW_ARRAY(f->arena, int, n_from + 1);
    if (n_from)
        memcpy(ids, from, (size_t)n_from * sizeof(int));
    int n = n_from;
    qsort(ids, (size_t)n, sizeof(int), compare_ids);
    int m = narrow(f, ids, n, 99, few);
    n = tournament(f, ids, n);
    peel(f, ids, n, PEEL_ROUNDS);
    m = tournament(f, few, m);
    peel(f, few, m, NARROW_ROUNDS);
    for (int i = 0; i < n_from; i++)
        ids[i] = from[i];
    qsort(ids, (size_t)n_from, sizeof(int), compare_ids);
    m = narrow(f, ids, n_from, 1, few);
    peel(f, few, m, 1);
}

/* What other statements chose may help this one too, which did not ask for exactly that. */
static void meet_others(Filter *f)
{
    int *ids = ADV_NEW_ARRAY(f->arena, int, f->pool->n + 1), n = 0;
    for (int i = 0; i < f->pool->n; i++)
        if (f->chosen[i] && adv_oracle_relevant(f->oracle, f->q, i))
            ids[n++] = i;
    n = tournament(f, ids, n);
    peel(f, ids, n, OTHERS_ROUNDS);
}

bool adv_shortlist_has_evidence(const AdvShortlist *list, int q, int candidate)
{
    return candidate >= list->n_known || list->evidence[q][candidate];
}

/* A covering winner brings along the same keys without INCLUDE: smaller, and perhaps nearly as good. */
static void add_plain_versions(Filter *f, int n_queries)
{
    for (int i = 0; i < f->pool->n; i++) {
        if (!f->chosen[i] || f->pool->items[i]->def.n_include == 0)
            continue;
        AdvIndex plain = f->pool->items[i]->def;
        plain.n_include = 0;
        for (int k = 0; k < f->pool->n; k++)
            if (adv_index_same(&f->pool->items[k]->def, &plain)) {
                f->chosen[k] = true;
                for (int q = 0; q < n_queries; q++)
                    f->list->evidence[q][k] = f->list->evidence[q][k] || f->list->evidence[q][i];
            }
    }
}

void adv_filter(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, AdvShortlist *ret_list)
{
    memset(ret_list, 0, sizeof(*ret_list));
    ret_list->best = ADV_NEW_ARRAY(arena, double, workload->n_queries + 1);
    Filter f = {.arena = arena, .oracle = oracle, .pool = pool, .list = ret_list};
    f.chosen = ADV_NEW_ARRAY(arena, bool, pool->n + 1);
    ret_list->n_known = pool->n;
    ret_list->evidence = ADV_NEW_ARRAY(arena, bool *, workload->n_queries + 1);
    for (int q = 0; q < workload->n_queries; q++)
        ret_list->evidence[q] = ADV_NEW_ARRAY(arena, bool, pool->n + 1);
    for (f.q = 0; f.q < workload->n_queries; f.q++) {
        ret_list->best[f.q] = workload->queries[f.q]->cost_today;
        if (n_ids[f.q] > 0 && workload->queries[f.q]->weight > 0)
            filter_query(&f, ids[f.q], n_ids[f.q]);
    }
    add_plain_versions(&f, workload->n_queries);
    for (f.q = 0; f.q < workload->n_queries; f.q++)
        if (n_ids[f.q] > 0 && workload->queries[f.q]->weight > 0)
            meet_others(&f);
    ret_list->ids = ADV_NEW_ARRAY(arena, int, pool->n + 1);
    for (int i = 0; i < pool->n; i++)
        if (f.chosen[i])
            ret_list->ids[ret_list->n++] = i;
}
