/* SPDX-License-Identifier: ISC */
/* client_arrive.c - sockets that were accepted, until their worker begins their login.
 *
 *   acceptor: client_accept -> (mailbox of another worker) -> WorkerCtx.arrivals -> end of the turn: a Client, which reads
 *
 * A login costs as much as several queries, so a storm of them must not get between a query and its reply: as long as a
 * worker passes queries it begins ARRIVE_PACED logins after each turn of its loop, else ARRIVE_MOST. The acceptor takes
 * no more than that out of the kernel's queue either. The start-up packet is mostly there already (tcp_defer_accept): the
 * login goes as far as it can without waiting for the loop. */
#include <stdlib.h>

#include "pooler/client/client_priv.h"
#include "poolwise/mem.h"

#define ARRIVE_MOST  32
#define ARRIVE_PACED 8

typedef struct Arrival {
    MailNode node; /* first */
    STAILQ_ENTRY(Arrival) link;
    unsigned worker;
    int fd;
    NetAddr peer;
    bool is_unix;
} Arrival;

static bool passes_queries(const WorkerCtx *ctx)
{
    return ctx->queries_done != ctx->quiet_mark;
}

static bool begin_logins(Worker *w)
{
    WorkerCtx *ctx = worker_ctx(w);
    unsigned most = passes_queries(ctx) ? ARRIVE_PACED : ARRIVE_MOST;
    ctx->quiet_mark = ctx->queries_done;
    ctx->n_accepted = 0;
    Arrival *a;
    for (unsigned n = 0; n < most && (a = STAILQ_FIRST(&ctx->arrivals)) != NULL; n++) {
        STAILQ_REMOVE_HEAD(&ctx->arrivals, link);
        Client *c = client_create(w, a->fd, &a->peer, a->is_unix);
        free(a);
        client_begin(c);
    }
    if (STAILQ_EMPTY(&ctx->arrivals))
        return false;
    ctx->logins_paced++;
    return true;
}

static void arrive(Worker *w, Arrival *a)
{
    STAILQ_INSERT_TAIL(&worker_ctx(w)->arrivals, a, link);
    worker_at_turn_end(w, begin_logins);
}

static void on_arrival(MailNode *node)
{
    Arrival *a = (Arrival *)node;
    arrive(worker_get(a->worker), a);
}

bool client_accept(Worker *w, int fd, const NetAddr *peer, bool is_unix)
{
    static unsigned turn; /* the acceptor's */
    WorkerCtx *ctx = worker_ctx(w);
    unsigned n = workers_count(), best = turn++ % n;
    for (unsigned i = 0; i < n; i++)
        if (client_count_worker(i) < client_count_worker(best))
            best = i;
    client_joins_worker(best);
    Arrival *a = pw_xcalloc(1, sizeof(*a));
    a->node.run = on_arrival;
    a->worker = best;
    a->fd = fd;
    a->peer = *peer;
    a->is_unix = is_unix;
    if (best == w->index)
        arrive(w, a);
    else
        worker_post(best, &a->node);
    worker_at_turn_end(w, begin_logins);
    if (++ctx->n_accepted < (passes_queries(ctx) ? ARRIVE_PACED : ARRIVE_MOST) * n)
        return true;
    ctx->logins_paced++;
    return false;
}
