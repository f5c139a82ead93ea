/* SPDX-License-Identifier: ISC */
/* server_own.c - servers that belong to one client from their login to their end (replication connections).
 *
 * Such a client waits in the pool like any other, so that limits and order hold for it too. What it is granted is
 * only the slot: an idle server is closed ("evicted") and its slot connected anew with the client's own start-up
 * parameters; and where the pool would open a server for this client it makes a blank one, which has no socket.
 *
 *   (grow for such a waiter) --> BLANK --granted--> CONNECT --> LOGIN --> LINKED --> closed
 *   idle server --granted--> BLANK -->  ^ */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* The waiter that the server to be opened now is for: those before it have theirs under way. */
bool server_wanted_blank(const PoolShard *shard)
{
    int skip = shard->n_demand;
    PoolWaiter *w;
    TAILQ_FOREACH(w, &shard->waiting, link)
        if (skip-- == 0)
            return w->wants_slot;
    return false;
}

static void on_up(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    Server *s = arg;
    event_free(s->blank_up);
    s->blank_up = NULL;
    pool_server_up_slot(&s->ps);
}

/* PoolOps.connect must not grant anything itself: the loop does. */
void server_blank_start(Server *s)
{
    Worker *w = server_local(s)->worker;
    s->phase = SERVER_BLANK;
    s->stream.worker = w;
    s->blank_up = evtimer_new(w->base, on_up, s);
    if (s->blank_up)
        event_active(s->blank_up, EV_TIMEOUT, 0);
    else
        s->failed_early = "out of memory";
}

/* An ordinary server gives its slot up. */
static void strip(Server *s)
{
    PoolLocal *local = server_local(s);
    PwUsec now = worker_now(local->worker);
    server_log_closing(s, "evicted");
    server_send_terminate(s);
    stream_close(&s->stream);
    server_forget_session(s);
    s->tls_asked = false;
    s->phase = SERVER_BLANK;
    s->id = context_next_id();
    s->connected_at = now;
    s->connected_wall = s->request_wall = pw_time_wall();
    s->reconnect_epoch = local->reconnect_epoch;
    s->backend_pid = 0;
    s->cancel_key_len = 0;
    s->txn_status = 0;
}

void server_connect_own(Server *s, const ServerUser *user, void *arg, Replication replication, PwBuf *startup)
{
    if (s->phase != SERVER_BLANK)
        strip(s);
    s->replication = replication;
    s->startup = *startup;
    pw_buf_init(startup);
    s->user = user;
    s->user_arg = arg;
    s->phase = SERVER_CONNECT;
    server_connect_start(s);
}

const char *server_own_retire_reason(const Server *s)
{
    const PoolLocal *local = server_local(s);
    if (!local->dbconf)
        return "database removed";
    if (s->close_needed || s->reconnect_epoch != local->reconnect_epoch)
        return "database configuration changed";
    return NULL;
}
