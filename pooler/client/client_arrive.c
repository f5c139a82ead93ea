/* SPDX-License-Identifier: ISC */
/* client_arrive.c - sockets that were accepted, until their worker begins their login.
 *
 *   acceptor: client_accept -> (mailbox of another worker) -> WorkerCtx.arrivals -> end of a turn: a Client, which reads
 *
 * How many begin in a turn is client_pace.c's affair; the acceptor takes not many more out of the kernel's queue either.
 * The start-up packet is mostly there already (tcp_defer_accept): the login goes as far as it can without waiting for
 * the loop. */
#include <stdlib.h>

#include "pooler/client/client_priv.h"
#include "poolwise/mem.h"

typedef struct Arrival {
    MailNode node; /* first */
    STAILQ_ENTRY(Arrival) link;
    unsigned worker;
    int fd;
    NetAddr peer;
    bool is_unix;
} Arrival;

bool client_begin_next(Worker *w)
{
    WorkerCtx *ctx = worker_ctx(w);
    Arrival *a = STAILQ_FIRST(&ctx->arrivals);
    if (!a)
        return false;
    STAILQ_REMOVE_HEAD(&ctx->arrivals, link);
    Client *c = client_create(w, a->fd, &a->peer, a->is_unix);
    free(a);
    client_begin(c);
    return true;
}

static void arrive(Worker *w, Arrival *a)
{
    STAILQ_INSERT_TAIL(&worker_ctx(w)->arrivals, a, link);
    client_pace_arrival(w);
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
    client_pace_arrival(w); /* at the end of the turn the count begins anew */
    return ++ctx->n_accepted < client_pace_accept(ctx) * n;
}
