/* SPDX-License-Identifier: ISC */
/* top_up.c - what a little more space than a rung's could be used for. Nothing is asked here: what the sets really cost is up to the ladder. */
#include <math.h>
#include <stdlib.h>

#include "advisor/select/ladder.h"

typedef struct Change {
    double bytes; /* of the whole set then */
    int move;
    int n_out;    /* the candidates that leave */
    const int *out;
    bool on_rung; /* to the rung's set, not to the answer */
} Change;

#define WEAK_MAX 6 /* that leave together */
#define LARGE 100 /* statements: with more of them one move saves little of the whole, and to try all pairs takes too long */

typedef struct TopUp {
    Search *s;
    const State *answer;
    const State *rung;
    int n_weak;   /* of the answer: what it needs least for its size, the weakest first */
    int weak[WEAK_MAX];
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
    if (x->n_out != y->n_out)
        return x->n_out - y->n_out;
    if (x->n_out && *x->out != *y->out)
        return *x->out - *y->out;
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
    return search_outline(t->s, base_of(t, change), add->ids, add->n, change->out, change->n_out);
}

/* Most changes lead far away from the space that there is, which can be told without making the set. */
static double most_bytes(const TopUp *t, const Change *change)
{
    const State *base = base_of(t, change);
    const AdvIdSet *add = &t->s->moves[change->move].add;
    AdvCandidate *const *items = t->s->pool->items;
    double bytes = base->bytes;
    for (int i = 0; i < change->n_out; i++)
        bytes -= items[change->out[i]]->bytes;
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

/* Small ones that each saved a little may have to make room for a large one. By known plans, each as if the others stayed. */
static void find_weak(TopUp *t)
{
    double loss[WEAK_MAX];
    for (int i = 0; i < t->answer->n && !is_large(t->s); i++) {
        int id = t->answer->ids[i];
        const State *without = search_apply(t->s, t->answer, NULL, 0, &id, 1);
        double mine = (without->total - t->answer->total) / t->s->pool->items[id]->bytes;
        int at = t->n_weak < WEAK_MAX ? t->n_weak++ : WEAK_MAX;
        for (; at > 0 && loss[at - 1] > mine; at--) {
            if (at == WEAK_MAX)
                continue;
            loss[at] = loss[at - 1];
            t->weak[at] = t->weak[at - 1];
        }
        if (at == WEAK_MAX)
            continue;
        loss[at] = mine;
        t->weak[at] = id;
    }
}

static void find_changes(TopUp *t, double worth)
{
    for (int m = 0; m < t->s->n_moves; m++) {
        const AdvIdSet *add = &t->s->moves[m].add;
        if (bound_over(t->s, &t->s->moves[m], t->answer) < worth)
            continue;
        note(t, (Change){.move = m});
        if (t->rung)
            note(t, (Change){.move = m, .on_rung = true});
        for (int i = 0; i < t->answer->n && !is_large(t->s); i++)
            if (!search_has(add->ids, add->n, t->answer->ids[i]))
                note(t, (Change){.move = m, .n_out = 1, .out = &t->answer->ids[i]});
        for (int k = 2; k <= t->n_weak; k++)
            note(t, (Change){.move = m, .n_out = k, .out = t->weak});
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
    adv_oracle_save(s->oracle, ADV_KNOWN_ONLY);
    find_weak(&t);
    find_changes(&t, worth);
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
