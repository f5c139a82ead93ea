/* SPDX-License-Identifier: ISC */
#include "advisor/select/filter.h"

#include <stdlib.h>

#define TOURNAMENT 40 /* candidates of one table in one question; the planner slows down with more */
#define PEEL_ROUNDS 4
#define NARROW_ROUNDS 2
#define OTHERS_ROUNDS 2
/* Of the plans that the user allows; the rest is for the search. */
#define OWN_SHARE 0.5
#define OTHERS_SHARE 0.15

/* One statement; several are looked at at once, each by one thread, and put together in their order. */
typedef struct Filter {
    const struct Round *round;
    AdvArena *arena;
    AdvOracle *oracle;
    AdvLane *lane;
    AdvPool *pool;
    AdvShortlist *list; /* only what belongs to this statement is written to */
    bool *chosen;       /* by candidate id */
    int n_joint;
    AdvIdSet *joint;
    int q;
    uint64_t until;     /* plans of the lane after which the statement asks no more */
} Filter;

/* All statements, once. */
typedef struct Round {
    AdvArena *arena;
    AdvOracle *oracle;
    AdvPool *pool;
    AdvShortlist *list;
    bool *chosen;  /* by some statement so far; nobody writes to it during the work */
    PwUsec deadline;
    int *const *ids;
    const int *n_ids;
    int n;
    int *queries;
    int *place;    /* of a statement, in queries */
    double allowed; /* plans of all together; 0: no limit */
    Filter *filters; /* by place */
    void (*look)(Filter *f, const int *ids, int n_ids);
} Round;

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
    ADV_ROOM(f->arena, f->joint, f->n_joint);
    f->joint[f->n_joint++] = *used;
}

static const AdvAnswer *ask(Filter *f, const int *ids, int n)
{
    const AdvAnswer *answer = adv_lane_ask(f->oracle, f->lane, f->q, ids, n);
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

static bool is_spent(const Filter *f)
{
    return adv_lane_calls(f->lane) >= f->until || pw_time_mono() > f->round->deadline;
}

static void peel(Filter *f, const int *from, int n, int rounds)
{
    int *ids = ADV_NEW_ARRAY(f->arena, int, n + 1);
    if (n)
        memcpy(ids, from, (size_t)n * sizeof(int));
    for (int round = 0; round < rounds && n > 0 && !is_spent(f); round++) {
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
            for (int again = 0; again < 2 && m > 0 && !is_spent(f); again++) {
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
static void meet_others(Filter *f, const int *from, int n_from)
{
    (void)from;
    (void)n_from;
    int *ids = ADV_NEW_ARRAY(f->arena, int, f->pool->n + 1), n = 0;
    for (int i = 0; i < f->pool->n; i++)
        if (f->round->chosen[i] && adv_lane_relevant(f->oracle, f->lane, f->q, i))
            ids[n++] = i;
    n = tournament(f, ids, n);
    peel(f, ids, n, OTHERS_ROUNDS);
}

bool adv_shortlist_has_evidence(const AdvShortlist *list, int q, int candidate)
{
    return candidate >= list->n_known || list->evidence[q][candidate];
}

/* A covering winner brings along the same keys without INCLUDE: smaller, and perhaps nearly as good. */
static void add_plain_versions(const Round *r, int n_queries)
{
    for (int i = 0; i < r->pool->n; i++) {
        if (!r->chosen[i] || r->pool->items[i]->def.n_include == 0)
            continue;
        AdvIndex plain = r->pool->items[i]->def;
        plain.n_include = 0;
        for (int k = 0; k < r->pool->n; k++)
            if (adv_index_same(&r->pool->items[k]->def, &plain)) {
                r->chosen[k] = true;
                for (int q = 0; q < n_queries; q++)
                    r->list->evidence[q][k] = r->list->evidence[q][k] || r->list->evidence[q][i];
            }
    }
}

static void look_at_one(void *arg, AdvLane *lane, int q)
{
    const Round *r = arg;
    int place = r->place[q];
    Filter *f = &r->filters[place];
    *f = (Filter){.round = r, .arena = adv_lane_arena(lane), .oracle = r->oracle, .lane = lane, .pool = r->pool, .list = r->list, .q = q};
    f->chosen = ADV_NEW_ARRAY(f->arena, bool, r->pool->n + 1);
    f->until = UINT64_MAX;
    if (r->allowed > 0) /* each the same part */
        f->until = adv_lane_calls(lane) + (uint64_t)(r->allowed * (place + 1) / r->n) - (uint64_t)(r->allowed * place / r->n);
    r->look(f, r->ids[q], r->n_ids[q]);
}

static void note_joint(const Round *r, const AdvIdSet *used)
{
    AdvShortlist *list = r->list;
    for (int i = 0; i < list->n_joint; i++)
        if (list->joint[i].n == used->n && memcmp(list->joint[i].ids, used->ids, (size_t)used->n * sizeof(int)) == 0)
            return;
    ADV_ROOM(r->arena, list->joint, list->n_joint);
    list->joint[list->n_joint++] = *used;
}

/* `share`: of the plans that the user allows. */
static void look_at_all(Round *r, double share, void (*look)(Filter *f, const int *ids, int n_ids))
{
    r->look = look;
    r->allowed = share * (double)adv_oracle_max_calls(r->oracle);
    adv_oracle_each(r->oracle, r->queries, r->n, look_at_one, r);
    for (int p = 0; p < r->n; p++) {
        const Filter *f = &r->filters[p];
        for (int i = 0; i < r->pool->n; i++)
            r->chosen[i] = r->chosen[i] || f->chosen[i];
        for (int i = 0; i < f->n_joint; i++)
            note_joint(r, &f->joint[i]);
    }
}

void adv_filter(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, PwUsec deadline, AdvShortlist *ret_list)
{
    int n = workload->n_queries;
    *ret_list = (AdvShortlist){.n_known = pool->n};
    ret_list->best = ADV_NEW_ARRAY(arena, double, n + 1);
    ret_list->evidence = ADV_NEW_ARRAY(arena, bool *, n + 1);
    Round r = {.arena = arena, .oracle = oracle, .pool = pool, .list = ret_list, .deadline = deadline, .ids = ids, .n_ids = n_ids};
    r.chosen = ADV_NEW_ARRAY(arena, bool, pool->n + 1);
    r.queries = ADV_NEW_ARRAY(arena, int, n + 1);
    r.place = ADV_NEW_ARRAY(arena, int, n + 1);
    r.filters = ADV_NEW_ARRAY(arena, Filter, n + 1);
    for (int q = 0; q < n; q++) {
        ret_list->evidence[q] = ADV_NEW_ARRAY(arena, bool, pool->n + 1);
        ret_list->best[q] = workload->queries[q]->cost_today;
        if (n_ids[q] == 0 || workload->queries[q]->weight <= 0)
            continue;
        r.place[q] = r.n;
        r.queries[r.n++] = q;
    }
    look_at_all(&r, OWN_SHARE, filter_query);
    add_plain_versions(&r, n);
    look_at_all(&r, OTHERS_SHARE, meet_others);
    ret_list->ids = ADV_NEW_ARRAY(arena, int, pool->n + 1);
    for (int i = 0; i < pool->n; i++)
        if (r.chosen[i])
            ret_list->ids[ret_list->n++] = i;
}
