/* SPDX-License-Identifier: ISC */
/* top_up.c - what a little more space than a rung's could be used for. Nothing is asked here: what the sets really cost is up to the ladder. */
#include <math.h>
#include <stdlib.h>

#include "advisor/select/ladder.h"

typedef struct Change {
    double bytes; /* of the whole set then */
    int move;
    int out;      /* the candidate that leaves; NOBODY */
    bool on_rung; /* to the rung's set, not to the answer */
} Change;

#define NOBODY (-1)
#define LARGE 100 /* statements: with more of them one move saves little of the whole, and to try all pairs takes too long */

typedef struct TopUp {
    Search *s;
    const State *answer;
    const State *rung;
    double above, until;
    int n;
    Change *changes;
} TopUp;

static bool is_large(const Search *s)
{
    return s->workload->n_queries > LARGE;
}

static int by_bytes(const void *a, const void *b)
{
    const Change *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    if (x->move != y->move)
        return x->move - y->move;
    if (x->out != y->out)
        return x->out - y->out;
    return x->on_rung - y->on_rung;
}

/* What the move may still gain over the set, by what it gains alone. */
static double bound_over(const Search *s, const Move *move, const State *state)
{
    double bound = 0;
    for (int i = 0; i < move->n_gains; i++) {
        int q = move->queries[i];
        bound += fmin(move->gains[i], s->workload->queries[q]->weight * fmax(state->costs[q] - s->list.best[q], 0));
    }
    return bound;
}

static const State *base_of(const TopUp *t, const Change *change)
{
    return change->on_rung ? t->rung : t->answer;
}

static State *outline(const TopUp *t, const Change *change)
{
    const AdvIdSet *add = &t->s->moves[change->move].add;
    return search_outline(t->s, base_of(t, change), add->ids, add->n, &change->out, change->out != NOBODY);
}

/* Most changes lead far away from the space that there is, which can be told without making the set. */
static double most_bytes(const TopUp *t, const Change *change)
{
    const State *base = base_of(t, change);
    const AdvIdSet *add = &t->s->moves[change->move].add;
    AdvCandidate *const *items = t->s->pool->items;
    double bytes = base->bytes - (change->out == NOBODY ? 0 : items[change->out]->bytes);
    for (int i = 0; i < add->n; i++)
        if (!search_has(base->ids, base->n, add->ids[i]))
            bytes += items[add->ids[i]]->bytes;
    return bytes;
}

static void note(TopUp *t, Change change)
{
    if (most_bytes(t, &change) <= t->above)
        return;
    const State *to = outline(t, &change);
    change.bytes = to->bytes;
    if (to->bytes <= t->above || to->bytes > t->until || !search_allowed(t->s, to))
        return;
    ADV_ROOM(t->s->arena, t->changes, t->n);
    t->changes[t->n++] = change;
}

static void find_changes(TopUp *t, double worth)
{
    for (int m = 0; m < t->s->n_moves; m++) {
        const AdvIdSet *add = &t->s->moves[m].add;
        if (bound_over(t->s, &t->s->moves[m], t->answer) < worth)
            continue;
        note(t, (Change){.move = m, .out = NOBODY});
        if (t->rung)
            note(t, (Change){.move = m, .out = NOBODY, .on_rung = true});
        for (int i = 0; i < t->answer->n && !is_large(t->s); i++)
            if (!search_has(add->ids, add->n, t->answer->ids[i]))
                note(t, (Change){.move = m, .out = t->answer->ids[i]});
    }
    if (t->n)
        qsort(t->changes, (size_t)t->n, sizeof(*t->changes), by_bytes);
}

/* Small moves one after the other, until they are worth it together. */
static State several_moves(Search *s, const State *answer, double enough)
{
    State state = search_keep(s, answer);
    s->enough = enough;
    search_greedy(s, &state, 0);
    s->enough = -INFINITY;
    return state;
}

bool search_top_up(Search *s, const State *answer, const State *rung, double above, double until, double worth, State *ret_next)
{
    TopUp t = {.s = s, .answer = answer, .rung = rung, .above = above, .until = until};
    double budget = s->budget, limit = answer->total - worth, bytes = INFINITY;
    s->budget = until;
    find_changes(&t, worth);
    adv_oracle_save(s->oracle, ADV_KNOWN_ONLY);
    if (is_large(s)) {
        *ret_next = several_moves(s, answer, limit);
        if (ret_next->total < limit && ret_next->bytes > above) {
            limit = ret_next->total;
            bytes = ret_next->bytes;
        }
    }
    for (int i = 0; i < t.n && t.changes[i].bytes <= bytes; i++) {
        State *to = outline(&t, &t.changes[i]);
        limit = to->bytes < bytes ? answer->total - worth : limit; /* smaller, or cheaper at the same size */
        if (!search_settle(s, base_of(&t, &t.changes[i]), to, limit) || to->total >= limit)
            continue;
        *ret_next = search_keep(s, to);
        limit = to->total;
        bytes = to->bytes;
    }
    adv_oracle_save(s->oracle, 0);
    s->budget = budget;
    return bytes < INFINITY;
}
