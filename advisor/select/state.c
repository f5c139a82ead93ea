/* SPDX-License-Identifier: ISC */
/* state.c - a set of indexes and what the workload costs with it, asked for as little as possible.
 *
 * A statement is asked about only when an index comes or goes that some plan of it has used (the shortlist's evidence); for the others a plan
 * that is known serves as estimate, with an index in the place of one whose work it does as well. */
#include "advisor/select/search_priv.h"

#include <math.h>

#define NOT_WORTH_ASKING 5e-4 /* of the workload's cost */

bool search_late(const Search *s)
{
    return pw_time_mono() > s->deadline;
}

bool search_has(const int *ids, int n, int id)
{
    for (int i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void insert_id(State *state, int id)
{
    int at = state->n;
    while (at > 0 && state->ids[at - 1] > id) {
        state->ids[at] = state->ids[at - 1];
        at--;
    }
    state->ids[at] = id;
    state->n++;
}

static void remove_id(State *state, int id)
{
    int kept = 0;
    for (int i = 0; i < state->n; i++)
        if (state->ids[i] != id)
            state->ids[kept++] = state->ids[i];
    state->n = kept;
}

State search_empty(const Search *s)
{
    State state = {.ids = ADV_NEW(s->arena, int)};
    state.costs = ADV_NEW_ARRAY(s->arena, double, s->workload->n_queries + 1);
    for (int q = 0; q < s->workload->n_queries; q++) {
        state.costs[q] = s->workload->queries[q]->cost_today;
        state.total += s->workload->queries[q]->weight * state.costs[q];
    }
    return state;
}

State search_keep(const Search *s, const State *state)
{
    State copy = *state;
    copy.ids = ADV_NEW_ARRAY(s->arena, int, state->n + 1);
    if (state->n)
        memcpy(copy.ids, state->ids, (size_t)state->n * sizeof(int));
    copy.costs = ADV_NEW_ARRAY(s->arena, double, s->workload->n_queries + 1);
    memcpy(copy.costs, state->costs, (size_t)s->workload->n_queries * sizeof(double));
    return copy;
}

static void price(const Search *s, State *state)
{
    state->bytes = 0;
    state->write = 0;
    for (int i = 0; i < state->n; i++) {
        state->bytes += s->pool->items[state->ids[i]]->bytes;
        state->write += s->pool->items[state->ids[i]]->write_cost;
    }
    state->total = state->write + state->bytes * s->byte_price;
}

State *search_outline(Search *s, const State *from, const int *add, int n_add, const int *remove, int n_remove)
{
    State *to = &s->trial;
    if (from->n + n_add + 1 > s->trial_room) {
        s->trial_room = 2 * (from->n + n_add) + 16;
        to->ids = ADV_NEW_ARRAY(s->arena, int, s->trial_room);
    }
    if (!to->costs)
        to->costs = ADV_NEW_ARRAY(s->arena, double, s->workload->n_queries + 1);
    if (from->n)
        memcpy(to->ids, from->ids, (size_t)from->n * sizeof(int));
    memcpy(to->costs, from->costs, (size_t)s->workload->n_queries * sizeof(double));
    to->n = from->n;
    for (int i = 0; i < n_remove; i++)
        remove_id(to, remove[i]);
    for (int i = 0; i < n_add; i++)
        if (!search_has(to->ids, to->n, add[i]))
            insert_id(to, add[i]);
    for (int i = 0; i < n_add; i++)
        for (int k = to->n - 1; k >= 0; k--)
            if (to->ids[k] != add[i] && !search_has(add, n_add, to->ids[k]) &&
                adv_index_serves(&s->pool->items[add[i]]->def, &s->pool->items[to->ids[k]]->def))
                remove_id(to, to->ids[k]);
    price(s, to);
    return to;
}

typedef enum Touch { UNTOUCHED, ESTIMATED, ASKED } Touch;

/* The indexes that only one of the two sets has, into s->changed. */
static void find_changes(Search *s, const State *from, const State *to)
{
    if (from->n + to->n > s->changed_room) {
        s->changed_room = 2 * (from->n + to->n);
        s->changed = ADV_NEW_ARRAY(s->arena, int, s->changed_room);
    }
    s->n_changed = 0;
    int i = 0, k = 0;
    while (i < from->n || k < to->n) {
        if (i < from->n && k < to->n && from->ids[i] == to->ids[k]) {
            i++;
            k++;
        } else if (k == to->n || (i < from->n && from->ids[i] < to->ids[k])) {
            s->changed[s->n_changed++] = from->ids[i++];
        } else {
            s->changed[s->n_changed++] = to->ids[k++];
        }
    }
}

/* What the changes mean for a statement. */
static Touch touch(const Search *s, int q)
{
    Touch touched = UNTOUCHED;
    for (int i = 0; i < s->n_changed; i++) {
        if (!adv_oracle_relevant(s->oracle, q, s->changed[i]))
            continue;
        if (s->exact || adv_shortlist_has_evidence(&s->list, q, s->changed[i]))
            return ASKED;
        touched = ESTIMATED;
    }
    return touched;
}

bool search_allowed(const Search *s, const State *state)
{
    if (s->budget > 0 && state->bytes > s->budget)
        return false;
    if (s->limits->max_write > 0 && state->write > s->limits->max_write * s->cost_before)
        return false;
    return s->limits->max_indexes <= 0 || state->n <= s->limits->max_indexes;
}

/* The statement's cost as far as it is known; returns how uncertain it is, weighted. */
static double known_cost(Search *s, int q, const State *from, State *to)
{
    double lower, upper, weight = s->workload->queries[q]->weight;
    Touch touched = touch(s, q);
    if (touched == UNTOUCHED)
        return 0;
    adv_oracle_bounds(s->oracle, q, to->ids, to->n, &lower, &upper);
    double open = weight * (upper - lower);
    if (touched == ESTIMATED)
        open = fmin(open, weight * fabs(from->costs[q] - adv_oracle_guess(s->oracle, q, to->ids, to->n)));
    if (upper > lower && !s->exact && open < NOT_WORTH_ASKING * s->measure) {
        to->costs[q] = touched == ESTIMATED ? fmax(lower, fmin(from->costs[q], upper)) : upper;
        return 0;
    }
    to->costs[q] = lower;
    return open;
}

/* All of them will be asked about: then at once, the most uncertain ones first should the plans run out. */
static void ask_open(const Search *s, const State *to, int n_open)
{
    int *queries = s->open_queries, n = 0;
    for (int q = 0; q < s->workload->n_queries && n < n_open; q++) {
        if (s->open[q] <= 0)
            continue;
        int at = n++;
        for (; at > 0 && s->open[queries[at - 1]] < s->open[q]; at--)
            queries[at] = queries[at - 1];
        queries[at] = q;
    }
    adv_oracle_ask_all(s->oracle, queries, n, to->ids, to->n);
}

bool search_settle(Search *s, const State *from, State *to, double limit)
{
    int n_open = 0;
    find_changes(s, from, to);
    for (int q = 0; q < s->workload->n_queries; q++) {
        double weight = s->workload->queries[q]->weight;
        s->open[q] = 0;
        if (weight <= 0)
            continue;
        s->open[q] = known_cost(s, q, from, to);
        n_open += s->open[q] > 0;
        to->total += weight * to->costs[q];
    }
    if (limit == INFINITY)
        ask_open(s, to, n_open);
    for (; n_open > 0 && to->total < limit; n_open--) {
        int q = 0;
        for (int i = 1; i < s->workload->n_queries; i++)
            if (s->open[i] > s->open[q])
                q = i;
        double cost = adv_oracle_ask(s->oracle, q, to->ids, to->n)->cost;
        to->total += s->workload->queries[q]->weight * (cost - to->costs[q]);
        to->costs[q] = cost;
        s->open[q] = 0;
    }
    return n_open == 0;
}

State *search_apply(Search *s, const State *from, const int *add, int n_add, const int *remove, int n_remove)
{
    State *to = search_outline(s, from, add, n_add, remove, n_remove);
    search_settle(s, from, to, INFINITY);
    return to;
}

void search_exact(Search *s, State *state)
{
    price(s, state);
    adv_oracle_ask_all(s->oracle, NULL, 0, state->ids, state->n);
    for (int q = 0; q < s->workload->n_queries; q++) {
        if (s->workload->queries[q]->weight > 0)
            state->costs[q] = adv_oracle_ask(s->oracle, q, state->ids, state->n)->cost;
        state->total += s->workload->queries[q]->weight * state->costs[q];
    }
}

bool search_beats(Search *s, const State *from, State *state)
{
    memcpy(state->costs, from->costs, (size_t)s->workload->n_queries * sizeof(double));
    price(s, state);
    s->exact = true;
    bool done = search_settle(s, from, state, from->total);
    s->exact = false;
    return done && state->total < from->total;
}

double search_statements_cost(const Search *s, const State *state)
{
    double cost = 0;
    for (int q = 0; q < s->workload->n_queries; q++)
        cost += s->workload->queries[q]->weight * state->costs[q];
    return cost;
}

bool search_take_if_better(Search *s, State *state, const int *add, int n_add, const int *remove, int n_remove)
{
    State *to = search_outline(s, state, add, n_add, remove, n_remove);
    double limit = state->total * (1 - BETTER);
    if (!search_allowed(s, to) || !search_settle(s, state, to, limit) || to->total >= limit)
        return false;
    *state = search_keep(s, to);
    return true;
}
