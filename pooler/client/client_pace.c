/* SPDX-License-Identifier: ISC */
/* client_pace.c - logins and farewells in small pieces, so that a storm of them does not get between the queries of those
 * who are there and their replies.
 *
 *   one turn of the loop:  | events: queries, replies, steps of logins | sends | logins begin, farewells | their sends |
 *                          |<------------------- work ---------------------->|  |<---------- allowance ------------>|
 *
 * While queries pass, they get a quarter of the time that the rest of a turn takes, and BUSY_LEAST at least: a query waits
 * a quarter longer, however many log in. What a piece took too much is taken from the next turns. When nobody asks
 * anything they get QUIET at a time: that is what a query that comes meanwhile has to wait. What a login says after its first
 * message (SCRAM), and the first queries of those who have logged in, are served in the order in which they come: putting
 * them off made the storm longer than it made the turns shorter. */
#include "pooler/client/client_priv.h"

#define BUSY_SHARE 4
#define BUSY_LEAST ((PwUsec)25)
#define BUSY_MOST  ((PwUsec)1000)
#define QUIET      ((PwUsec)200)
/* Queries pass if one did this short a time ago. */
#define LATELY ((PwUsec)1000)
#define ACCEPT_LEAST 8u
#define ACCEPT_QUIET 32u

static bool is_busy(const Pace *p, PwUsec now)
{
    return now - p->busy_at <= LATELY;
}

/* What this turn may spend, at `now`, the end of its other work. */
static PwUsec allowance(WorkerCtx *ctx, PwUsec now)
{
    Pace *p = &ctx->pace;
    if (ctx->queries_done != p->queries_seen)
        p->busy_at = now;
    p->queries_seen = ctx->queries_done;
    if (!is_busy(p, now))
        return QUIET;
    PwUsec work = ctx->worker->turns == p->turn + 1 ? now - p->ended : 0; /* else it is not known */
    PwUsec share = work / BUSY_SHARE;
    return share > BUSY_MOST ? BUSY_MOST : share < BUSY_LEAST ? BUSY_LEAST : share;
}

static bool one_piece(Worker *w)
{
    Pace *p = &worker_ctx(w)->pace;
    PoolWaiter *first = TAILQ_FIRST(&p->due);
    if (first) {
        client_close(client_of_waiter(first), NULL, NULL);
        return true;
    }
    p->begun++;
    return client_begin_next(w);
}

static bool run(Worker *w)
{
    WorkerCtx *ctx = worker_ctx(w);
    Pace *p = &ctx->pace;
    PwUsec begin = pw_time_mono(), most = allowance(ctx, begin);
    p->credit = p->credit + most < most ? p->credit + most : most;
    p->begun = 0;
    ctx->n_accepted = 0;
    bool more = true;
    while (more && pw_time_mono() - begin < p->credit)
        more = one_piece(w);
    worker_flush(w); /* it belongs to what they cost */
    p->ended = pw_time_mono();
    p->turn = w->turns;
    p->credit -= p->ended - begin;
    if (TAILQ_EMPTY(&p->due) && STAILQ_EMPTY(&ctx->arrivals)) {
        p->credit = 0;
        return false;
    }
    if (p->credit < -BUSY_MOST) /* the kernel did not run us meanwhile */
        p->credit = -BUSY_MOST;
    ctx->logins_paced += is_busy(p, p->ended);
    return true;
}

void client_pace_arrival(Worker *w)
{
    worker_at_turn_end(w, run);
}

void client_pace(Client *c)
{
    Worker *w = c->relay.stream.worker;
    TAILQ_INSERT_TAIL(&worker_ctx(w)->pace.due, &c->waiter, link);
    worker_at_turn_end(w, run);
}

void client_pace_not(Client *c)
{
    TAILQ_REMOVE(&client_ctx(c)->pace.due, &c->waiter, link);
}

unsigned client_pace_accept(const WorkerCtx *ctx)
{
    const Pace *p = &ctx->pace;
    if (!is_busy(p, p->ended))
        return ACCEPT_QUIET;
    return 2 * p->begun > ACCEPT_LEAST ? 2 * p->begun : ACCEPT_LEAST;
}
