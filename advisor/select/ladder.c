/* SPDX-License-Identifier: ISC */
/* ladder.c - the answer to a budget: the best of the sets found for it and for all smaller ones (contract: ladder.h).
 *
 * Budgets are looked at from the smallest on, on rungs that are the same whatever budget is asked for: round numbers, as people write them. At each the
 * search is made anew; between two of them the lower one's answer is topped up. What is asked on the way, and how many plans it may cost,
 * depends only on what lies below. */
#include "advisor/select/ladder.h"

#include <math.h>

#include "advisor/select/cover.h"

#define CURVE_POINTS 8
/* A set that seems to save less than this share of the workload's cost over the last one is not asked about. */
#define WORTH_ASKING_MAIN 2e-3
#define WORTH_ASKING 5e-3
#define WORTH_ASKING_LATE 1e-2 /* when the plans of the search are used up */
/* Plans that the search may ask for at a rung, by statement. */
#define MAIN_CALLS 3.0
#define OTHER_CALLS 0.5
#define OTHER_STARTS 2
#define TOP_UP_MISSES 2 /* top-ups of a rung that did not keep what they promised */
#define LARGE 100       /* statements */
#define IDLE_SEEMS 3e-4
#define IDLE 1e-5       /* of the cost: by less an answer may become dearer without an index */

static const double steps[] = {1, 1.5, 2, 2.5, 3.5, 5, 7};

typedef struct Rung {
    double unit;   /* kB, MB, ... */
    double decade; /* 1, 10, 100 */
    size_t step;
} Rung;

static const Rung first_rung = {.unit = 1024, .decade = 10};

typedef struct Ladder {
    Search *s;
    Rung rung;
    State reached;      /* the best set found so far, on which the next rung goes on */
    State answer;       /* the best one without weak indexes */
    double answer_cost; /* of the statements */
    bool found;         /* something better has been reached on this rung */
    int n_points;       /* what each rung so far was answered with */
    AdvCurvePoint *points;
    uint64_t calls_until; /* plans after which this rung makes do with known ones */
} Ladder;

static double bytes_of(const Rung *rung)
{
    return rung->unit * rung->decade * steps[rung->step];
}

static void climb(Rung *rung)
{
    if (++rung->step < PW_ARRAY_LEN(steps))
        return;
    rung->step = 0;
    rung->decade *= 10;
    if (rung->decade > 100) {
        rung->decade = 1;
        rung->unit *= 1024;
    }
}

static int rungs_up_to(double bytes)
{
    int n = 0;
    for (Rung r = first_rung; bytes_of(&r) <= bytes; climb(&r))
        n++;
    return n;
}

/* 1, 2.5 and 5 of each decade get all starts and more plans; between them the path is the same for most of its way. */
static bool is_main(const Rung *rung)
{
    double step = steps[rung->step];
    return step == 1 || step == 2.5 || step == 5;
}

/* Each rung looks at all statements and moves: with many of them there is one start. */
static bool is_large(const Search *s)
{
    return s->workload->n_queries > LARGE;
}

static size_t starts_at(const Search *s, const Rung *rung, size_t all)
{
    if (is_large(s))
        return is_main(rung);
    return is_main(rung) ? all : OTHER_STARTS;
}

/* Only what may be better costs plans. */
static void offer(Ladder *l, State *state)
{
    double worth = is_main(&l->rung) ? WORTH_ASKING_MAIN : l->calls_until == ADV_KNOWN_ONLY ? WORTH_ASKING_LATE : WORTH_ASKING;
    if (state->total >= l->reached.total - worth * l->s->measure)
        return;
    adv_oracle_save(l->s->oracle, 0);
    bool better = search_beats(l->s, &l->reached, state);
    adv_oracle_save(l->s->oracle, l->calls_until);
    if (!better)
        return;
    l->reached = *state;
    l->found = true;
}

static void search_rung(Ladder *l)
{
    static const double floors[] = {0, 0.1, 0.3, 1};
    Search *s = l->s;
    State state = search_keep(s, &l->reached);
    search_greedy(s, &state, 0);
    offer(l, &state);
    for (size_t i = 0; i < starts_at(s, &l->rung, PW_ARRAY_LEN(floors)); i++) {
        state = search_empty(s);
        search_greedy(s, &state, floors[i]);
        search_merge(s, &state);
        adv_oracle_save(s->oracle, ADV_KNOWN_ONLY);
        search_prune(s, &state);
        adv_oracle_save(s->oracle, l->calls_until);
        offer(l, &state);
    }
}

/* Known plans tell too much of some indexes: what the set is not cheaper with goes. Asked only of those that seem to save next to nothing. */
static void drop_idle(Search *s, State *state)
{
    for (int i = state->n - 1; i >= 0; i--) {
        adv_oracle_save(s->oracle, ADV_KNOWN_ONLY);
        const State *seems = search_apply(s, state, NULL, 0, &state->ids[i], 1);
        adv_oracle_save(s->oracle, 0);
        if (seems->total > state->total + IDLE_SEEMS * s->measure)
            continue;
        double limit = state->total * (1 + IDLE);
        State *without = search_outline(s, state, NULL, 0, &state->ids[i], 1);
        s->exact = true;
        if (search_settle(s, state, without, limit) && without->total < limit)
            *state = search_keep(s, without);
        s->exact = false;
    }
}

/* The set as it would be advised, within s->budget. Weak indexes are told by known plans, unless the user has said what is weak. */
static State finished(Search *s, const State *from)
{
    State state = search_keep(s, from);
    adv_oracle_save(s->oracle, s->limits->min_gain > 0 ? 0 : ADV_KNOWN_ONLY);
    s->exact = true;
    search_drop_weak(s, &state);
    s->exact = false;
    adv_oracle_save(s->oracle, 0);
    search_exact(s, &state);
    AdvSearchLimits limits = *s->limits;
    limits.budget = s->budget;
    AdvSelection selection;
    search_finish(s, &state, &selection);
    adv_cover(s->arena, s->oracle, s->pool, s->workload, &limits, &selection);
    state.n = selection.n;
    state.ids = selection.ids;
    search_exact(s, &state);
    drop_idle(s, &state);
    return state;
}

/* True: it is the answer now. */
static bool is_better_answer(Ladder *l, const State *from)
{
    Search *s = l->s;
    State state = finished(s, from);
    double cost = search_statements_cost(s, &state);
    if (state.total >= l->answer.total || cost > l->answer_cost)
        return false;
    l->answer = search_keep(s, &state);
    l->answer_cost = cost;
    return true;
}

static void mark_point(Ladder *l, double budget)
{
    if (l->answer.n == 0)
        return;
    ADV_ROOM(l->s->arena, l->points, l->n_points);
    l->points[l->n_points++] = (AdvCurvePoint){.budget = budget, .bytes = l->answer.bytes, .cost = l->answer_cost, .n = l->answer.n};
}

static void answer_rung(Ladder *l)
{
    if (l->found)
        (void)is_better_answer(l, &l->reached);
    l->found = false;
    mark_point(l, l->s->budget);
}

/* From the smallest top-up to the largest one that fits the budget, or up to the next rung. */
static void top_up_rung(Ladder *l, double budget)
{
    Search *s = l->s;
    Rung next = l->rung;
    climb(&next);
    bool spent = adv_oracle_backend_calls(s->oracle) >= s->ladder_most;
    double worth = s->measure * fmax(spent ? WORTH_ASKING_LATE : WORTH_ASKING, s->limits->min_gain);
    State rung = l->answer, larger;
    double above = s->budget;
    for (int misses = 0; misses < TOP_UP_MISSES && !search_late(s);) {
        if (!search_top_up(s, &l->answer, l->answer.ids == rung.ids ? NULL : &rung, above, bytes_of(&next), worth, &larger) || larger.bytes > budget)
            break;
        above = larger.bytes;
        s->budget = above;
        if (!search_beats(s, &l->answer, &larger) || !is_better_answer(l, &larger)) {
            misses++;
            continue;
        }
        mark_point(l, above);
        if (l->answer.total < l->reached.total)
            l->reached = l->answer;
    }
}

/* Some points, each about twice the space of the last one. */
static void draw_curve(const Ladder *l, double most, AdvCurve *ret_curve)
{
    *ret_curve = (AdvCurve){.points = ADV_NEW_ARRAY(l->s->arena, AdvCurvePoint, CURVE_POINTS + 1)};
    int last = -1;
    for (int k = CURVE_POINTS - 1; k >= 0; k--) {
        int at = -1;
        for (int i = 0; i < l->n_points && l->points[i].budget <= most / pow(2, k); i++)
            at = i;
        if (at > last)
            ret_curve->points[ret_curve->n++] = l->points[at];
        last = at;
    }
}

static void candidates_span(const Search *s, double *ret_least, double *ret_all)
{
    *ret_least = INFINITY;
    *ret_all = 0;
    for (int i = 0; i < s->list.n; i++) {
        *ret_least = fmin(*ret_least, s->pool->items[s->list.ids[i]]->bytes);
        *ret_all += s->pool->items[s->list.ids[i]]->bytes;
    }
}

/* The time is over before the budget's own rung: one way through what is known, which takes no plans. */
static void hurry(Ladder *l, double budget)
{
    Search *s = l->s;
    State state = search_empty(s);
    s->budget = budget;
    s->deadline = INT64_MAX;
    adv_oracle_save(s->oracle, ADV_KNOWN_ONLY);
    search_greedy(s, &state, 0);
    if (state.total < l->answer.total)
        l->answer = state;
}

static uint64_t calls_until(const Ladder *l)
{
    const Search *s = l->s;
    uint64_t calls = adv_oracle_backend_calls(s->oracle);
    double share = (is_main(&l->rung) ? MAIN_CALLS : OTHER_CALLS) * s->workload->n_queries;
    if (calls >= s->ladder_most)
        return ADV_KNOWN_ONLY;
    calls += 1 + (uint64_t)share;
    return calls < s->ladder_most ? calls : s->ladder_most;
}

State search_ladder(Search *s, double budget, AdvCurve *ret_curve)
{
    Ladder l = {.s = s, .rung = first_rung, .reached = search_empty(s), .answer = search_empty(s)};
    PwUsec deadline = s->deadline;
    double least, all;
    candidates_span(s, &least, &all);
    l.answer_cost = search_statements_cost(s, &l.answer);
    int last = rungs_up_to(all) + 1; /* from there on everything fits */
    bool late = false;
    for (int i = 0; bytes_of(&l.rung) <= budget && i < last && s->list.n > 0; i++, climb(&l.rung)) {
        s->budget = bytes_of(&l.rung);
        if (s->budget >= least) {
            l.calls_until = calls_until(&l);
            adv_oracle_save(s->oracle, l.calls_until);
            search_rung(&l);
            adv_oracle_save(s->oracle, 0);
            late = search_late(s);
            if (late)
                break;
            answer_rung(&l);
        }
        top_up_rung(&l, budget);
    }
    if (late)
        hurry(&l, budget);
    s->deadline = deadline;
    s->budget = s->limits->budget;
    draw_curve(&l, budget, ret_curve);
    return l.answer;
}
