/* SPDX-License-Identifier: ISC */
/* client_wait.c - waiting for a server, and every timeout of a client.
 *
 * Timeouts cost nothing per query: the data path stores times, and one walk per tick compares them. */
#include <stdio.h>
#include <string.h>

#include "pooler/client/client_priv.h"
#include "pooler/pool/failure.h"
#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_priv.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

static void wake_visit(Worker *w, void *arg);

/* Its wait is over; how long it was. */
static PwUsec count_wait(Client *c)
{
    Relay *r = &c->relay;
    PwUsec waited = worker_now(r->stream.worker) - c->waiter.since;
    if (waited > r->wait_usec)
        r->local->stats.wait_time += (uint64_t)(waited - r->wait_usec);
    return waited > 0 ? waited : 0;
}

void client_count_failed_wait(Client *c)
{
    if (!client_is_waiting_since(c))
        return;
    count_wait(c);
    c->relay.local->stats.wait_failed_count++;
}

/* The pool's first server has told what clients hear at login. */
static void welcome(Client *c)
{
    count_wait(c);
    client_login_finish(c);
}

static void on_server(PoolWaiter *w, PoolServer *ps)
{
    Client *c = client_of_waiter(w);
    c->notified = false;
    if (c->replication != REPLICATION_NONE) {
        count_wait(c);
        client_replication_granted(c, server_of(ps));
        return;
    }
    if (c->state == CLIENT_WELCOME) {
        /* only its parameters were wanted; what it told at its login may have been forgotten since (RECONNECT, RELOAD): another one must */
        Welcome *known = pool_entry_welcome(c->entry);
        server_of(ps)->phase = SERVER_READY;
        client_welcome_given_up(c);
        if (known) {
            welcome_unref(c->entry, known);
            pool_release(c->relay.local->shard, ps);
            worker_tour(c->relay.stream.worker, wake_visit, NULL, c->entry);
        } else {
            server_close(server_of(ps), "obsolete connection");
        }
        welcome(c);
        return;
    }
    relay_linked(&c->relay, server_of(ps), count_wait(c));
}

static void on_fail(PoolWaiter *w, PwErr why)
{
    (void)why;
    Client *c = client_of_waiter(w);
    client_close(c, "server shutting down", "server shutting down");
}

static void warm(PoolWaiter *w)
{
    relay_warm(&client_of_waiter(w)->relay);
}

static void warm_more(PoolWaiter *w)
{
    relay_warm_held(&client_of_waiter(w)->relay);
}

static const PoolWaiterOps waiter_ops = {on_server, on_fail, warm, warm_more};

void client_waiter_init(Client *c)
{
    c->waiter.ops = &waiter_ops;
    c->waiter.ticket = POOL_NO_TICKET;
}

bool client_pool_is_failing(PoolEntry *e, char *text, size_t size)
{
    PwUsec failed = pw_atomic_load(&e->failed_at);
    /* one that is being connected is no live server yet: who comes now is told at once, as by PgBouncer */
    if (!failed || pool_size_used(e->pool) > pw_atomic_load(&e->pool->n_connecting))
        return false;
    pthread_mutex_lock(&e->lock);
    snprintf(text, size, "server login has been failing, cached error: %s (server_login_retry)", e->fail_text);
    pthread_mutex_unlock(&e->lock);
    return true;
}

void client_pool_try_again(PoolLocal *local)
{
    if (pool_entry_pauses(local->entry, worker_now(local->worker), worker_ctx(local->worker)->config->server_login_retry) ||
        pool_size_used(local->entry->pool) > 0)
        return;
    pool_kick(local->shard);
    pool_grow(local->shard, POOL_GROW_NORMAL);
}

/* Can a failed wait be answered like a failed query? During the login there is no query. */
static bool goes_on_after_failure(const Client *c)
{
    return c->state == CLIENT_READY && client_ctx(c)->config->error_behaviour == ERROR_BEHAVIOUR_POSTGRES;
}

/* Waiting for a server is useless. */
static void refuse_request(Client *c, const char *text)
{
    Relay *r = &c->relay;
    const char *sqlstate, *shown;
    char buf[OWN_ERROR_TEXT];
    if (!goes_on_after_failure(c)) {
        relay_fail_later(r, text, text);
        return;
    }
    own_error(text, true, &sqlstate, &shown, buf);
    if (shown == buf)
        shown = strcpy(relay_own_text(r), buf);
    relay_refuse(r, sqlstate, shown, NULL);
}

/* The pool's last attempt has failed. */
static PW_COLD bool refuse_failing(Client *c)
{
    char text[OWN_ERROR_TEXT];
    if (!client_pool_is_failing(c->entry, text, sizeof(text)))
        return false;
    client_pool_try_again(c->relay.local);
    refuse_request(c, strcpy(relay_own_text(&c->relay), text));
    return true;
}

static bool refuse_wait(Client *c)
{
    Relay *r = &c->relay;
    if (client_ctx(c)->shutdown == SHUTDOWN_WAIT_FOR_SERVERS) {
        relay_fail_later(r, "server shutting down", "server shutting down");
        return true;
    }
    if (!r->local->dbconf) {
        relay_fail_later(r, "database removed", "database removed");
        return true;
    }
    return PW_UNLIKELY(pw_atomic_load(&c->entry->failed_at) != 0) && c->replication == REPLICATION_NONE && refuse_failing(c);
}

static void ask(Client *c)
{
    PwUsec now = worker_now(c->relay.stream.worker);
    if (!c->waiter.keep_ticket) { /* else the server that this wait has led to was of no use, and what of it is counted stays so */
        c->waiter.since = now;
        c->relay.wait_usec = 0;
    }
    pw_atomic_store_relaxed(&c->entry->db->last_used, now);
    pool_acquire(c->relay.local->shard, &c->waiter);
}

/* One client of a pool asks for a server, to learn what to tell at login; all others that log in meanwhile wait for what it
 * learns, or a cold pool would open a server for each of them before anybody has a query. */
static void ask_welcome(Client *c)
{
    int nobody = 0;
    if (c->replication == REPLICATION_NONE && !pw_atomic_cas(&c->entry->welcome_asked, &nobody, 1))
        return; /* tick_welcome looks again, should that one go away */
    c->asks_welcome = c->replication == REPLICATION_NONE;
    ask(c);
}

void client_wait_welcome(Client *c)
{
    if (refuse_wait(c)) {
        relay_check_close(&c->relay);
        return;
    }
    c->waiter.since = worker_now(c->relay.stream.worker);
    ask_welcome(c);
}

void client_welcome_given_up(Client *c)
{
    if (c->asks_welcome)
        pw_atomic_store(&c->entry->welcome_asked, 0);
    c->asks_welcome = false;
}

/* A client that waits for another one's welcome. True: it is in, or asks itself now. */
static bool tick_welcome(Client *c)
{
    if (c->replication != REPLICATION_NONE || client_is_waiting(c) || c->asks_welcome)
        return false;
    Welcome *w = pool_entry_welcome(c->entry);
    if (w) {
        welcome_unref(c->entry, w);
        welcome(c);
        return true;
    }
    PwUsec since = c->waiter.since; /* its wait began with its login */
    ask_welcome(c);
    if (c->state == CLIENT_WELCOME)
        c->waiter.since = since;
    return c->state != CLIENT_WELCOME;
}

static void wake_visit(Worker *w, void *arg)
{
    const PoolEntry *e = arg; /* only compared: it may be gone */
    Client *c, *next;
    for (c = TAILQ_FIRST(&worker_ctx(w)->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->state == CLIENT_WELCOME && c->entry == e)
            tick_welcome(c);
    }
}

static void need_server(Relay *r, bool again)
{
    Client *c = client_of_relay(r);
    if (refuse_wait(c)) {
        if (!r->pumping) /* not called from a walk over requests: nobody else looks */
            relay_check_close(r);
        return;
    }
    c->waiter.keep_ticket = again;
    ask(c);
}

static void close_relay(Relay *r, const char *text, const char *reason)
{
    Client *c = client_of_relay(r);
    if (PW_UNLIKELY(r->sync_failed) && text && text == relay_own_text(r)) /* the server's own words */
        client_close_with(c, r->sqlstate, text, reason);
    else if (text || !client_leave(c, reason))
        client_close(c, text, reason);
}

static void log_relay(Relay *r, int level, const char *text)
{
    client_log(client_of_relay(r), level, "%s", text);
}

const RelayOps client_relay_ops = {need_server, close_relay, log_relay};

/* ---- timeouts ---- */

static bool over(PwUsec limit, PwUsec since, PwUsec now)
{
    return limit > 0 && now - since >= limit;
}

static void notify_waiting(Client *c)
{
    PwBuf out;
    pw_buf_init(&out);
    PwErrorText text = {.severity = "NOTICE",
                        .sqlstate = "00000",
                        .message = "No server connection available in postgres backend, client being queued"};
    pw_msg_notice(&out, &text);
    c->notified = true;
    if (!relay_tell(&c->relay, &out))
        client_close(c, NULL, "client unexpected eof");
    pw_buf_finish(&out);
}

/* The wait of a client is over without a server. `sqlstate` NULL: an error of our own. */
static void fail_wait(Client *c, const char *sqlstate, const char *text)
{
    const char *state = sqlstate, *shown = text;
    char buf[OWN_ERROR_TEXT];
    if (!goes_on_after_failure(c)) {
        if (sqlstate)
            client_close_with(c, sqlstate, text, text);
        else
            client_close(c, text, text);
        return;
    }
    if (!sqlstate)
        own_error(text, true, &state, &shown, buf);
    char why[CLIENT_EXPLAIN_TEXT];
    const char *detail = client_explain_wait(c, text, why);
    client_count_failed_wait(c);
    pool_cancel(c->relay.local->shard, &c->waiter);
    c->notified = false;
    relay_refuse(&c->relay, state, shown, detail);
}

/* The server's error for clients that cannot even log in; PostgreSQL that is starting up (57P03) is waited for. */
bool client_login_refused(Client *c, PoolEntry *e, PwUsec since)
{
    char text[256], sqlstate[6];
    PwUsec failed = pw_atomic_load(&e->failed_at);
    if (!failed || failed < since)
        return false;
    pthread_mutex_lock(&e->lock);
    /* Servers that still work are worth waiting for, unless they are on their way out (RECONNECT forgot the welcome). */
    if (pool_size_used(e->pool) > 0 && e->welcome) {
        pthread_mutex_unlock(&e->lock);
        return false;
    }
    snprintf(text, sizeof(text), "%s", e->fail_text);
    memcpy(sqlstate, e->fail_sqlstate, 6);
    pthread_mutex_unlock(&e->lock);
    if (!sqlstate[0] || strcmp(sqlstate, "57P03") == 0)
        return false;
    fail_wait(c, sqlstate, text);
    return true;
}

static void tick_waiting(Client *c, PwUsec now)
{
    const Config *config = client_ctx(c)->config;
    const ClientSettings *s = &c->settings;
    if (c->replication == REPLICATION_NONE && client_login_refused(c, c->entry, c->waiter.since))
        return;
    if (over(s->query_wait_timeout, c->waiter.since, now))
        fail_wait(c, NULL, "query_wait_timeout");
    else if (over(s->query_timeout, c->waiter.since, now))
        fail_wait(c, NULL, "query_timeout");
    else if (c->state == CLIENT_WELCOME && over(config->client_login_timeout, c->connected_at, now))
        client_close(c, "client_login_timeout (server down)", "client_login_timeout (server down)");
    else if (c->state == CLIENT_READY && !c->notified && over(config->query_wait_notify, c->waiter.since, now))
        notify_waiting(c); /* libpq gives up a login that begins with a notice */
}

static void drop_with_server(Client *c, const char *text)
{
    Server *s = c->relay.server;
    if (s) {
        s->user = NULL;
        c->relay.reply_cut = server_is_inside_reply(s);
        server_close(s, text); /* drops what is owed, which looks at the relay's server */
        c->relay.server = NULL;
    }
    client_close(c, text, text);
}

static void tick_ready(Client *c, PwUsec now)
{
    Relay *r = &c->relay;
    const ClientSettings *s = &c->settings;
    if (PW_UNLIKELY(r->listen != NULL)) {
        relay_listen_tick(r, now);
        if (c->state != CLIENT_READY)
            return;
    }
    if (!r->server) {
        if (over(s->client_idle_timeout, r->idle_since, now))
            client_close(c, "client_idle_timeout", "client_idle_timeout");
        return;
    }
    if ((r->hold & HOLD_SYNC) && over(client_ctx(c)->config->server_connect_timeout, r->server->linked_at, now))
        server_close(r->server, "server check timeout"); /* the client asks for another one */
    else if ((r->hold & HOLD_PROBE) && over(client_ctx(c)->config->server_connect_timeout, r->probe->since, now))
        server_close(r->server, "server check timeout");
    else if (r->request_start && over(s->query_timeout, r->request_start, now))
        drop_with_server(c, "query timeout");
    else if (r->xact_start && over(s->transaction_timeout, r->xact_start, now))
        drop_with_server(c, "transaction timeout");
    else if (!r->request_start && relay_in_transaction(r) && over(s->idle_transaction_timeout, r->idle_since, now))
        drop_with_server(c, "idle transaction timeout");
    else if (!r->request_start && !relay_in_transaction(r) && over(s->client_idle_timeout, r->idle_since, now))
        client_close(c, "client_idle_timeout", "client_idle_timeout");
    else if (r->session_mode && !relay_is_busy(r) && client_ctx(c)->config->server_fast_close && server_is_obsolete(r->server))
        client_close(c, "database configuration changed", "database configuration changed");
}

void client_tick(WorkerCtx *ctx, PwUsec now)
{
    Client *c, *next;
    for (c = TAILQ_FIRST(&ctx->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        switch (c->state) {
        case CLIENT_STARTUP:
        case CLIENT_AUTH:
        case CLIENT_CANCEL:
            if (over(ctx->config->client_login_timeout, c->connected_at, now))
                client_close(c, "client_login_timeout", "client_login_timeout");
            break;
        case CLIENT_LOOKUP:
            if (over(ctx->config->client_login_timeout, c->connected_at, now))
                client_close(c, "client_login_timeout", "client_login_timeout");
            else
                client_lookup_tick(c, now);
            break;
        case CLIENT_WELCOME:
            if (c->recheck)
                client_recheck_tick(c, now);
            else if (!tick_welcome(c))
                tick_waiting(c, now);
            break;
        case CLIENT_READY:
            if (client_is_waiting(c))
                tick_waiting(c, now);
            else
                tick_ready(c, now);
            break;
        case CLIENT_CONSOLE:
        case CLIENT_LEAVING:
        case CLIENT_CLOSED:
        case CLIENT_STATE_COUNT:
            break;
        }
    }
}
