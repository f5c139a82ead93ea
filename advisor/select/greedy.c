/* SPDX-License-Identifier: ISC */
/* greedy.c - one index (or a set that only pays together) after the other, the best gain for its price first.
 *
 * The queue is lazy: a move's gain in an earlier state is taken as the upper bound of its gain now, and only the move on top is asked about
 * again. What "price" means differs between the starts: bytes finds many small indexes, nothing at all finds the big ones, a
 * floor on the bytes lies between. */
#include "advisor/select/search_priv.h"

#include <math.h>

static double price_of(const Search *s, double bytes, double floor_share)
{
    if (floor_share >= 1)
        return 1; /* gain alone counts */
    return fmax(bytes, fmax(s->budget * floor_share, 8192));
}

/* `chosen`: by candidate. */
static double move_bytes(const Search *s, const Move *move, const bool *chosen)
{
    double bytes = 0;
    for (int i = 0; i < move->add.n; i++)
        if (!chosen[move->add.ids[i]])
            bytes += s->pool->items[move->add.ids[i]]->bytes;
    return bytes;
}

static void add_gain(Search *s, Move *move, int q, double gain)
{
    int n = move->n_gains;
    ADV_ROOM(s->arena, move->queries, n);
    ADV_ROOM(s->arena, move->gains, n);
    move->queries[n] = q;
    move->gains[n] = gain;
    move->n_gains++;
    move->bound += gain;
}

/* Before anything was asked: each statement that has used one of its indexes at its best, others as far as known plans go. */
static void first_bound(Search *s, Move *move)
{
    for (int q = 0; q < s->workload->n_queries; q++) {
        const AdvQuery *query = s->workload->queries[q];
        bool relevant = false, evidence = false;
        for (int i = 0; i < move->add.n && query->weight > 0 && !evidence; i++) {
            relevant = relevant || adv_oracle_relevant(s->oracle, q, move->add.ids[i]);
            evidence = relevant && adv_shortlist_has_evidence(&s->list, q, move->add.ids[i]);
        }
        double lower = query->cost_today, upper;
        if (evidence)
            adv_oracle_bounds(s->oracle, q, move->add.ids, move->add.n, &lower, &upper);
        else if (relevant)
            lower = adv_oracle_guess(s->oracle, q, move->add.ids, move->add.n);
        double gain = query->cost_today - fmax(lower, s->list.best[q]);
        if (relevant && (gain > 0 || evidence))
            add_gain(s, move, q, query->weight * fmax(gain, 0));
    }
    for (int i = 0; i < move->add.n; i++) {
        const AdvCandidate *c = s->pool->items[move->add.ids[i]];
        move->bound -= c->write_cost + c->bytes * s->byte_price;
    }
}

void search_make_moves(Search *s)
{
    s->moves = ADV_NEW_ARRAY(s->arena, Move, s->list.n + s->list.n_joint + 1);
    s->n_moves = 0;
    for (int i = 0; i < s->list.n; i++) {
        int *id = ADV_NEW(s->arena, int);
        *id = s->list.ids[i];
        s->moves[s->n_moves++].add = (AdvIdSet){1, id};
    }
    for (int i = 0; i < s->list.n_joint; i++)
        s->moves[s->n_moves++].add = s->list.joint[i];
    for (int m = 0; m < s->n_moves; m++)
        first_bound(s, &s->moves[m]);
}

typedef struct Greedy {
    Search *s;
    State *state;
    double floor_share;
    double *bounds; /* by move: gain in the state of `rounds` */
    double **gains; /* by move and statement, of the same state */
    bool *chosen;   /* by candidate: in the state */
    int *rounds;    /* in which the bound was made sure; -1: never */
} Greedy;

/* What a move may gain now: for each statement not more than it did before, nor more than is left to gain. */
static double current_bound(const Greedy *g, int m, int round)
{
    const Search *s = g->s;
    const Move *move = &s->moves[m];
    double bound = g->bounds[m];
    if (g->rounds[m] == round)
        return bound;
    for (int i = 0; i < move->n_gains; i++) {
        int q = move->queries[i];
        double left = s->workload->queries[q]->weight * fmax(g->state->costs[q] - s->list.best[q], 0);
        if (g->gains[m][i] > left)
            bound -= g->gains[m][i] - left;
    }
    return bound;
}

/* The move with the best bound for its price; *ret_second: the score of the next best. -1: none gains. */
static int best_move(const Greedy *g, int round, double *ret_second)
{
    const Search *s = g->s;
    int best = -1;
    double best_score = 0;
    *ret_second = 0;
    for (int m = 0; m < s->n_moves; m++) {
        double bound = current_bound(g, m, round);
        if (bound <= EPSILON * s->measure)
            continue;
        double bytes = move_bytes(s, &s->moves[m], g->chosen);
        double score = bytes > 0 ? bound / price_of(s, bytes, g->floor_share) : 0;
        if (score > best_score) {
            *ret_second = best_score;
            best_score = score;
            best = m;
        } else if (score > *ret_second) {
            *ret_second = score;
        }
    }
    return best;
}

/* Remembers what a tried move gained, or may gain at most; NULL: it does not fit. */
static void note_gains(Greedy *g, int m, const State *tried)
{
    Search *s = g->s;
    Move *move = &s->moves[m];
    g->bounds[m] = tried ? g->state->total - tried->total : 0;
    for (int i = 0; i < move->n_gains && tried; i++) {
        int q = move->queries[i];
        g->gains[m][i] = s->workload->queries[q]->weight * fmax(g->state->costs[q] - tried->costs[q], 0);
    }
    if (!tried || g->state->n > 0)
        return;
    move->bound = g->bounds[m];
    memcpy(move->gains, g->gains[m], (size_t)move->n_gains * sizeof(double));
}

/* Asks about moves until the best one is known; -1: there is none. */
static int find_winner(Greedy *g, int round)
{
    Search *s = g->s;
    while (!search_late(s)) {
        double second;
        int m = best_move(g, round, &second);
        if (m < 0 || g->rounds[m] == round)
            return m;
        /* Asked about only until it is clear that another move is the better one; the margin lets one of two equal moves win. */
        Move *move = &s->moves[m];
        State *tried = search_outline(s, g->state, move->add.ids, move->add.n, NULL, 0);
        double rival = second * price_of(s, move_bytes(s, move, g->chosen), g->floor_share);
        bool fits = search_allowed(s, tried);
        if (fits && search_settle(s, g->state, tried, g->state->total - rival + EPSILON * s->measure))
            g->rounds[m] = round;
        note_gains(g, m, fits ? tried : NULL);
    }
    return -1;
}

void search_greedy(Search *s, State *state, double floor_share)
{
    Greedy g = {.s = s, .state = state, .floor_share = floor_share};
    g.bounds = ADV_NEW_ARRAY(s->arena, double, s->n_moves + 1);
    g.rounds = ADV_NEW_ARRAY(s->arena, int, s->n_moves + 1);
    g.gains = ADV_NEW_ARRAY(s->arena, double *, s->n_moves + 1);
    for (int m = 0; m < s->n_moves; m++) {
        const Move *move = &s->moves[m];
        g.gains[m] = ADV_NEW_ARRAY(s->arena, double, move->n_gains + 1);
        for (int i = 0; i < move->n_gains; i++)
            g.gains[m][i] = move->gains[i];
        g.bounds[m] = s->moves[m].bound;
        g.rounds[m] = -1;
    }
    g.chosen = ADV_NEW_ARRAY(s->arena, bool, s->pool->n + 1);
    for (int round = 0;; round++) {
        memset(g.chosen, 0, (size_t)s->pool->n * sizeof(bool));
        for (int i = 0; i < state->n; i++)
            g.chosen[state->ids[i]] = true;
        int winner = state->total < s->enough ? -1 : find_winner(&g, round);
        if (winner < 0)
            return;
        const State *next = search_apply(s, state, s->moves[winner].add.ids, s->moves[winner].add.n, NULL, 0);
        if (next->total >= state->total * (1 - EPSILON))
            return;
        *state = search_keep(s, next);
        g.bounds[winner] = 0;
    }
}
