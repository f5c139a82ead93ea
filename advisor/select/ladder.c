/* SPDX-License-Identifier: ISC */
/* ladder.c - the answer to a budget: the best of the sets found for it and for all smaller ones.
 *
 * Budgets are looked at from the smallest on, on rungs that are the same whatever budget is asked for: round numbers, as people write them; one that
 * lies between two rungs is answered by the lower one. What is asked at a rung, and how many plans it may cost, depends only on the rungs
 * below. So two runs with different budgets go the same way up to the lower one, and the higher one has all the answers of the other to
 * choose from: more space never gives a dearer result, neither in plans nor with the upkeep of the indexes. */
#include "advisor/select/search_priv.h"

#include <math.h>

#include "advisor/select/cover.h"

#define CURVE_POINTS 8
/* A set that seems to save less than this share of the workload's cost over the last one is not asked about. */
#define WORTH_ASKING_MAIN 2e-3
#define WORTH_ASKING 1e-2
#define WORTH_ASKING_LATE 2e-2 /* when the plans of the search are used up */
#define WORTH_ASKING_FULL 3e-2 /* when those for what sets cost are used up too */
#define KNOWN_ONLY 1 /* plans asked for: there were more before */
/* Plans that the search may ask for at a rung, by statement. */
#define MAIN_CALLS 3.0
#define OTHER_CALLS 0.5
#define OTHER_STARTS 2
#define LARGE 100 /* statements */

static const double steps[] = {1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.25, 2.5, 2.75, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 9};

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

/* Each rung looks at all statements and moves: with many of them it is fewer rungs, and one start. */
static bool is_large(const Search *s)
{
    return s->workload->n_queries > LARGE;
}

static bool is_left_out(const Search *s, const Rung *rung)
{
    double step = steps[rung->step];
    return is_large(s) && !is_main(rung) && step != 1.5 && step != 2 && step != 3.5 && step != 7;
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
    bool full = adv_oracle_backend_calls(l->s->oracle) >= l->s->calls_most;
    double worth = full ? WORTH_ASKING_FULL : is_main(&l->rung) ? WORTH_ASKING_MAIN : l->calls_until == KNOWN_ONLY ? WORTH_ASKING_LATE : WORTH_ASKING;
    if (state->total >= l->reached.total - worth * l->s->cost_before)
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
        adv_oracle_save(s->oracle, KNOWN_ONLY);
        search_prune(s, &state);
        adv_oracle_save(s->oracle, l->calls_until);
        offer(l, &state);
    }
}

/* The set as it would be advised. Weak indexes are told by known plans, unless the user has said what is weak. */
static State finished(Ladder *l)
{
    Search *s = l->s;
    State state = search_keep(s, &l->reached);
    adv_oracle_save(s->oracle, s->limits->min_gain > 0 ? 0 : KNOWN_ONLY);
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
    return state;
}

static void answer_rung(Ladder *l)
{
    if (l->found) {
        State state = finished(l);
        double cost = search_statements_cost(l->s, &state);
        if (state.total < l->answer.total && cost <= l->answer_cost) {
            l->answer = search_keep(l->s, &state);
            l->answer_cost = cost;
        }
    }
    l->found = false;
    if (l->answer.n == 0)
        return;
    ADV_ROOM(l->s->arena, l->points, l->n_points);
    l->points[l->n_points++] =
        (AdvCurvePoint){.budget = l->s->budget, .bytes = l->answer.bytes, .cost = l->answer_cost, .n = l->answer.n};
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
    adv_oracle_save(s->oracle, KNOWN_ONLY);
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
        return KNOWN_ONLY;
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
        if (s->budget < least || is_left_out(s, &l.rung))
            continue;
        l.calls_until = calls_until(&l);
        adv_oracle_save(s->oracle, l.calls_until);
        search_rung(&l);
        adv_oracle_save(s->oracle, 0);
        late = search_late(s);
        if (late)
            break;
        answer_rung(&l);
    }
    if (late)
        hurry(&l, budget);
    s->deadline = deadline;
    s->budget = s->limits->budget;
    draw_curve(&l, budget, ret_curve);
    return l.answer;
}
