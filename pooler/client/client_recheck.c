/* SPDX-License-Identifier: ISC */
/* client_recheck.c - is the server still a standby, or read-only? Asked before a login tells so.
 *
 *   client_login: what the pool knows is old, and says so -> an idle server of the pool, or a new one -> client_login
 *
 * Drivers that want a primary (target_session_attrs, targetServerType) go by what the login reports, and send nothing if it does not
 * suit them. PostgreSQL tells of a promotion, and of another default_transaction_read_only, only in the answer to the next
 * query: where all clients are of that kind none would ever come, and the new primary would stay unused. Who only logs in waits
 * for this no longer than a moment, and not at all while all servers are busy: then the news comes with the next answer. */
#include <stdlib.h>
#include <string.h>

#include "pooler/client/client_priv.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* A session may have its own default_transaction_read_only: what counts is that of a new one. in_hot_standby comes by itself. */
#define QUESTION "SELECT reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'default_transaction_read_only'"

/* What is known may be so old; and longest wait for something newer. */
#define MOMENT PW_USEC_PER_SEC

struct ClientRecheck {
    PoolWaiter waiter;
    Client *client;
    Server *server; /* while it is asked */
    PwUsec since;
};

static void stop(Client *c)
{
    ClientRecheck *k = c->recheck;
    c->recheck = NULL;
    pool_cancel(c->relay.local->shard, &k->waiter);
    if (k->server) {
        k->server->let_finish = true; /* it has been asked next to nothing: no cancel request for that */
        server_unlink(k->server, false);
    }
    free(k);
    client_welcome_given_up(c);
}

static void go_on(Client *c)
{
    stop(c);
    client_login_finish(c);
}

void client_recheck_abort(Client *c)
{
    if (c->recheck)
        stop(c);
}

void client_recheck_tick(Client *c, PwUsec now)
{
    if (now - c->recheck->since >= MOMENT)
        go_on(c);
}

static void take_answer(void *arg, const ServerMessage *m)
{
    ClientRecheck *k = arg;
    char text[8];
    PwCursor c = pw_cursor(m->payload, m->n);
    if (m->type != PW_B_DATA_ROW || pw_cursor_be16(&c) != 1)
        return;
    uint32_t len = pw_cursor_be32(&c);
    const uint8_t *value = len < sizeof(text) ? pw_cursor_bytes(&c, len) : NULL;
    if (c.bad || !value)
        return;
    memcpy(text, value, len);
    text[len] = '\0';
    pool_entry_correct_welcome(k->client->entry, "default_transaction_read_only", text);
}

static void on_input(Server *s)
{
    ClientRecheck *k = s->user_arg;
    if (!server_read_answers(s, take_answer, k))
        return;
    pool_entry_confirm_welcome(k->client->entry, worker_now(s->stream.worker));
    go_on(k->client);
}

static void on_gone(Server *s, const char *reason)
{
    ClientRecheck *k = s->user_arg;
    (void)reason;
    k->server = NULL;
    go_on(k->client);
}

static const ServerUser recheck_user = {on_input, NULL, on_gone, NULL};

static void on_server(PoolWaiter *w, PoolServer *ps)
{
    ClientRecheck *k = (ClientRecheck *)w;
    Server *s = server_of(ps);
    k->server = s;
    server_link(s, &recheck_user, k);
    if (s->connected_at >= k->since) /* it has told all at its login */
        go_on(k->client);
    else
        server_send_own(s, QUESTION);
}

static void on_fail(PoolWaiter *w, PwErr why)
{
    (void)why;
    client_close(((ClientRecheck *)w)->client, "server shutting down", "server shutting down");
}

static const PoolWaiterOps waiter_ops = {.on_server = on_server, .on_fail = on_fail};

/* A server can be had at once, or there is none and one will be connected. */
static bool is_easy(const PoolLocal *local)
{
    Pool *pool = local->entry->pool;
    if (local->shard->blocked || !local->dbconf || worker_ctx(local->worker)->shutdown != SHUTDOWN_NONE || pool_has_waiters(pool))
        return false;
    if (pool_size_used(pool) == 0)
        return pw_atomic_load(&local->entry->failed_at) == 0;
    for (unsigned i = 0; i < pool->n_shards; i++)
        if (pw_atomic_load_relaxed(&pool->shards[i].n_idle) > 0)
            return true;
    return false;
}

bool client_recheck_start(Client *c, Welcome *known)
{
    PwUsec now = worker_now(c->relay.stream.worker);
    int nobody = 0;
    if (!known->is_restrictive || now - pw_atomic_load_relaxed(&known->as_of) < MOMENT || !is_easy(c->relay.local) ||
        !pw_atomic_cas(&c->entry->welcome_asked, &nobody, 1))
        return false;
    c->asks_welcome = true;
    ClientRecheck *k = c->recheck = pw_xcalloc(1, sizeof(*k));
    k->client = c;
    k->since = now;
    k->waiter.ops = &waiter_ops;
    k->waiter.ticket = POOL_NO_TICKET;
    k->waiter.since = now;
    pool_acquire(c->relay.local->shard, &k->waiter);
    return true;
}
