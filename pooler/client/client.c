/* SPDX-License-Identifier: ISC */
#include "pooler/client/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/client/client_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

const ClientConsoleOps *client_console;

/* Clients per worker, read by the acceptor; each is written by its worker (and by the acceptor when it hands a
 * socket over, so that a burst is spread). Relaxed: a little off is fine. */
static PW_ATOMIC(int) per_worker[WORKER_MAX];

void client_set_console(const ClientConsoleOps *ops)
{
    client_console = ops;
}

void client_log(const Client *c, int level, const char *fmt, ...)
{
    if (!pw_log_enabled((PwLogLevel)level))
        return;
    char text[600], where[NET_ADDR_TEXT];
    NetAddr peer;
    client_peer(c, &peer);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    pw_log((PwLogLevel)level, "C-%p: %s/%s@%s %s", (const void *)c, c->database ? c->database : "(nodb)",
           c->user ? c->user : "(nouser)", net_addr_text(&peer, where, sizeof(where)), text);
}

/* ---- input ---- */

static Client *client_of_stream(Stream *st)
{
    return (Client *)((char *)st - offsetof(Relay, stream));
}

static void console_input(Client *c)
{
    PwBuf *held = &c->relay.held;
    while (c->state == CLIENT_CONSOLE && pw_buf_unread(held) >= PW_WIRE_HEADER) {
        const uint8_t *p = pw_buf_head(held);
        uint32_t len = pw_be32(p + 1);
        const PwMsgInfo *info = pw_msg_frontend(p[0]);
        if (!info->name || len < info->min_length || len > PW_AUTH_MAX) {
            client_close(c, "bad packet header", "bad packet header");
            return;
        }
        if (pw_buf_unread(held) < (size_t)len + 1)
            return;
        if (p[0] == PW_F_TERMINATE) {
            c->console_said_bye = true;
            client_close(c, NULL, "client close request");
            return;
        }
        client_console->message(c, p[0], p + PW_WIRE_HEADER, len - 4);
        if (c->state == CLIENT_CONSOLE)
            pw_buf_consume(held, (size_t)len + 1);
    }
}

/* Nobody asked for anything: somebody looked whether the port is open (a load balancer, each second), or psql went to ask its user for
 * a password. The log need not know. */
static bool is_probe(const Client *c)
{
    return (c->state == CLIENT_STARTUP || c->state == CLIENT_AUTH) && pw_buf_unread(&c->relay.held) == 0;
}

/* Before READY: everything goes through `held`. */
static PW_COLD void early_input(Client *c)
{
    Worker *w = c->relay.stream.worker;
    uint8_t *scratch = w->scratch + WORKER_SCRATCH_HEADROOM;
    ssize_t got = stream_recv(&c->relay.stream, scratch, WORKER_SCRATCH_SIZE);
    if (got == -1)
        return;
    if (got <= 0) {
        client_close(c, NULL, got < 0 ? stream_error(&c->relay.stream) : is_probe(c) ? NULL : "client unexpected eof");
        return;
    }
    if (pw_buf_unread(&c->relay.held) + (size_t)got > 2 * PW_AUTH_MAX) {
        client_close(c, "bad packet header", "too much data before the login is done");
        return;
    }
    pw_buf_append(&c->relay.held, scratch, (size_t)got);
    switch (c->state) {
    case CLIENT_STARTUP:
        client_startup_input(c);
        return;
    case CLIENT_AUTH:
        client_login_input(c);
        return;
    case CLIENT_CONSOLE:
        console_input(c);
        return;
    case CLIENT_LOOKUP:
    case CLIENT_WELCOME: /* nothing to say yet: it waits in `held` */
    case CLIENT_CANCEL:
    case CLIENT_READY:
    case CLIENT_LEAVING:
    case CLIENT_CLOSED:
    case CLIENT_STATE_COUNT:
        return;
    }
}

static void on_readable(Stream *st)
{
    Client *c = client_of_stream(st);
    if (PW_LIKELY(c->state == CLIENT_READY))
        relay_client_input(&c->relay);
    else if (c->state != CLIENT_CLOSED)
        early_input(c);
}

static void on_drained(Stream *st)
{
    Client *c = client_of_stream(st);
    if (c->state == CLIENT_READY)
        relay_client_drained(&c->relay);
}

static void on_write_error(Stream *st)
{
    Client *c = client_of_stream(st);
    client_close(c, NULL, "client unexpected eof");
}

static void on_tls(Stream *st, bool ok)
{
    client_tls_done(client_of_stream(st), ok);
}

static const StreamOps stream_ops = {on_readable, on_drained, on_write_error, on_tls};

/* ---- birth ---- */

/* A worker keeps the memory of some clients that are gone for its next logins: they are too large for malloc's fast ways.
 * Not with the sanitizers, which are to see who uses a client that is gone. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPARE_CLIENTS 0
#else
#define SPARE_CLIENTS 32
#endif

static Client *of_deferred(WorkerDeferred *d)
{
    return (Client *)((char *)d - offsetof(Client, deferred));
}

static void client_free(WorkerDeferred *d)
{
    Client *c = of_deferred(d);
    WorkerCtx *ctx = client_ctx(c);
    if (!c->names_borrowed) {
        free(c->user);
        free(c->database);
    }
    free(c->options);
    if (ctx->n_spare_clients >= SPARE_CLIENTS) {
        free(c);
        return;
    }
    d->next = ctx->spare_clients;
    ctx->spare_clients = d;
    ctx->n_spare_clients++;
}

static Client *client_alloc(WorkerCtx *ctx)
{
    WorkerDeferred *d = ctx->spare_clients;
    if (!d)
        return pw_xcalloc(1, sizeof(Client));
    ctx->spare_clients = d->next;
    ctx->n_spare_clients--;
    Client *c = of_deferred(d);
    memset(c, 0, sizeof(*c));
    return c;
}

void client_free_later(Client *c)
{
    c->deferred.free_it = client_free;
    worker_defer(c->relay.stream.worker, &c->deferred);
}

Client *client_create(Worker *w, int fd, const NetAddr *peer, bool is_unix)
{
    WorkerCtx *ctx = worker_ctx(w);
    Client *c = client_alloc(ctx);
    c->login = pw_xcalloc(1, sizeof(*c->login));
    c->id = context_next_id();
    net_peer_of(peer, &c->peer);
    c->is_unix = is_unix;
    c->connected_at = worker_now(w);
    c->connected_wall = pw_time_wall();
    c->waiter.ticket = POOL_NO_TICKET;
    c->state = CLIENT_STARTUP;
    stream_open(&c->relay.stream, w, fd, &stream_ops);
    TAILQ_INSERT_TAIL(&ctx->clients, c, link);
    ctx->n_clients++;
    ctx->accepted++;
    return c;
}

void client_begin(Client *c)
{
    if (worker_ctx(c->relay.stream.worker)->suspended)
        return;
    stream_read_later(&c->relay.stream);
    early_input(c);
    stream_read_arm(&c->relay.stream);
}

void client_joins_worker(unsigned worker)
{
    pw_atomic_add(&per_worker[worker], 1);
}

void client_left_worker(unsigned worker)
{
    pw_atomic_sub(&per_worker[worker], 1);
}

int client_count_worker(unsigned worker)
{
    return pw_atomic_load_relaxed(&per_worker[worker]);
}

Client *client_find(WorkerCtx *ctx, uint64_t id)
{
    Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link)
        if (c->id == id)
            return c;
    return NULL;
}

const char *client_state_name(const Client *c)
{
    switch (c->state) {
    case CLIENT_STARTUP:
    case CLIENT_LOOKUP:
    case CLIENT_AUTH:
        return "login";
    case CLIENT_WELCOME:
        return "waiting";
    case CLIENT_CANCEL:
        return client_cancel_waits(c) ? "waiting_cancel_req" : "active_cancel_req";
    case CLIENT_CONSOLE:
        return "active";
    case CLIENT_READY:
        if (c->relay.server)
            return "active";
        return client_is_waiting(c) ? "waiting" : "idle";
    case CLIENT_LEAVING:
        return "idle";
    case CLIENT_CLOSED:
    case CLIENT_STATE_COUNT:
        break;
    }
    return "closed";
}
