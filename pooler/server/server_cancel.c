/* SPDX-License-Identifier: ISC */
/* server_cancel.c - cancel requests: a short connection of its own to the server's resolved address.
 *
 * The request names the backend, not the query, so the server must not get another client's query while one is
 * under way: Server.cancels counts them and the server is released only when all have ended. A request has ended
 * when its connection saw end of file after the whole packet went out: by then the signal was delivered.
 * If it fails before anything was sent nothing happened; if it fails half-way nobody knows, and the server is
 * closed instead of released. A server that was asked for TLS is asked again here: the key is a secret too.
 *
 *   WAITS --a place--> [ASKS --'S'--> SHAKES] --> SPEAKS, the packet is with the kernel or waits for it --> end of file
 *
 * A pool has as many places for these connections as for servers, all workers together. Who finds none waits: for the end
 * of a request of the same worker, or for the next tick. Waiting holds nobody up: a server that is released meanwhile
 * has nothing left to cancel, and the request ends. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/net/stream_tls.h"
#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* For the log, PgBouncer's words. */
static const char failed[] = "failed to send cancel request";
static const char too_late[] = "not sending cancel request for client that is now idle";

typedef enum CancelPhase {
    CANCEL_WAITS,  /* for a place; no connection yet */
    CANCEL_ASKS,   /* SSLRequest goes out, or its answer is awaited */
    CANCEL_SHAKES, /* TLS handshake */
    CANCEL_SPEAKS,
} CancelPhase;

typedef struct CancelRequest {
    WorkerDeferred deferred;
    LIST_ENTRY(CancelRequest) of_server;
    TAILQ_ENTRY(CancelRequest) of_local; /* PoolLocal.cancels_waiting or cancels_active */
    Stream stream;
    Worker *worker;
    PoolLocal *local; /* as long as `server` */
    Server *server;   /* NULL: closed meanwhile */
    NetAddr addr;
    CancelPhase phase;
    PwBuf packet; /* before SPEAKS */
    size_t packet_len;
    bool sent;
    const TlsSet *tls; /* one reference, or NULL: without TLS */
    char *host;        /* with tls: the server's, for its certificate */
    ServerCancelCaller caller;
    struct event timer;
    uint64_t id;
    PwUsec connected_wall;
} CancelRequest;

static void cancel_free(WorkerDeferred *d)
{
    CancelRequest *r = (CancelRequest *)((char *)d - offsetof(CancelRequest, deferred));
    pw_buf_finish(&r->packet);
    tls_set_unref(r->tls);
    free(r->host);
    free(r);
}

/* ---- places ---- */

static bool take_place(PoolLocal *local)
{
    int max = local->settings.pool_size, n = pw_atomic_load(&local->entry->cancels);
    do {
        if (max > 0 && n >= max)
            return false;
    } while (!pw_atomic_cas(&local->entry->cancels, &n, n + 1));
    return true;
}

/* Neither its server nor its pool knows it any more. */
static void detach(CancelRequest *r)
{
    PoolLocal *local = r->local;
    if (!r->server)
        return;
    LIST_REMOVE(r, of_server);
    if (r->phase == CANCEL_WAITS) {
        TAILQ_REMOVE(&local->cancels_waiting, r, of_local);
    } else {
        TAILQ_REMOVE(&local->cancels_active, r, of_local);
        pw_atomic_sub(&local->entry->cancels, 1);
        r->server->cancels--;
    }
    r->server = NULL;
    r->local = NULL;
}

static void begin(CancelRequest *r);

void server_cancel_serve(PoolLocal *local)
{
    CancelRequest *r;
    while ((r = TAILQ_FIRST(&local->cancels_waiting)) && take_place(local))
        begin(r);
}

static void finish(CancelRequest *r, bool certain, const char *why)
{
    Server *s = r->server;
    PoolLocal *local = r->local;
    evtimer_del(&r->timer);
    stream_close(&r->stream);
    if (s && !certain) {
        s->close_needed = true;
        s->close_why = "cancel request failed half-way";
    }
    detach(r);
    if (r->caller.done)
        r->caller.done(r->caller.arg, why);
    worker_defer(r->worker, &r->deferred);
    if (local)
        server_cancel_serve(local);
    if (s && s->phase == SERVER_CHORE)
        server_chore_next(s);
}

/* ---- the connection ---- */

static CancelRequest *of_stream(Stream *st)
{
    return (CancelRequest *)((char *)st - offsetof(CancelRequest, stream));
}

/* Of an encrypted packet nobody can say how much went out. */
static bool nothing_sent(const CancelRequest *r)
{
    return r->phase != CANCEL_SPEAKS || (!r->stream.tls && stream_pending(&r->stream) == r->packet_len);
}

static void speak(CancelRequest *r)
{
    r->phase = CANCEL_SPEAKS;
    if (!stream_send_buf(&r->stream, &r->packet))
        finish(r, !r->stream.tls, failed); /* refused: nothing was sent */
    else
        r->sent = stream_pending(&r->stream) == 0;
}

/* The answer to SSLRequest. */
static void on_tls_answer(CancelRequest *r)
{
    uint8_t byte = 0;
    ssize_t n = stream_recv(&r->stream, &byte, 1);
    if (n == -1)
        return;
    if (n == 1 && byte == 'N' && r->tls->server_mode < SSL_MODE_REQUIRE) {
        speak(r);
        return;
    }
    r->phase = CANCEL_SHAKES;
    if (n != 1 || byte != 'S' || stream_tls_start(&r->stream, r->tls->server, r->host, NULL, 0) != PW_OK)
        finish(r, true, failed);
}

static void on_readable(Stream *st)
{
    CancelRequest *r = of_stream(st);
    if (r->phase == CANCEL_ASKS) {
        on_tls_answer(r);
        return;
    }
    char buf[64];
    ssize_t n = stream_recv(st, buf, sizeof(buf));
    if (n == -1 || n > 0)
        return; /* the server sends nothing here; end of file is the answer */
    /* PostgreSQL may reset the connection instead of closing it; the packet was read all the same */
    finish(r, r->sent || nothing_sent(r), r->sent ? NULL : failed);
}

static void on_drained(Stream *st)
{
    CancelRequest *r = of_stream(st);
    r->sent = r->phase == CANCEL_SPEAKS;
}

static void on_write_error(Stream *st)
{
    finish(of_stream(st), nothing_sent(of_stream(st)), failed);
}

static void on_tls(Stream *st, bool ok)
{
    CancelRequest *r = of_stream(st);
    if (ok) {
        speak(r);
        return;
    }
    const char *why = stream_tls_error(st);
    if (r->server)
        server_log(r->server, PW_LOG_WARNING, "cancel request: TLS handshake error: %s", why ? why : "server closed the connection");
    finish(r, true, failed);
}

static const StreamOps stream_ops = {on_readable, on_drained, on_write_error, on_tls};

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    finish(arg, nothing_sent(arg), "cancel_wait_timeout");
}

/* False: the request has ended. */
static bool connect_it(CancelRequest *r)
{
    int fd = net_addr_connect(&r->addr);
    if (fd >= 0) {
        stream_open(&r->stream, r->worker, fd, &stream_ops);
        return true;
    }
    server_log(r->server, PW_LOG_WARNING, "cannot connect for a cancel request: %s", strerror(errno));
    finish(r, true, failed);
    return false;
}

/* A place was taken for it. */
static void begin(CancelRequest *r)
{
    Server *s = r->server;
    if (!stream_flush(&s->stream)) /* a request that overtakes its query cancels nothing */
        server_log(s, PW_LOG_DEBUG, "was gone already");
    TAILQ_REMOVE(&r->local->cancels_waiting, r, of_local);
    TAILQ_INSERT_TAIL(&r->local->cancels_active, r, of_local);
    s->cancels++;
    r->phase = CANCEL_ASKS;
    r->id = context_next_id();
    r->connected_wall = pw_time_wall();
    if (r->caller.waits)
        pw_atomic_store(r->caller.waits, 0);
    if (!connect_it(r))
        return;
    pw_msg_cancel(&r->packet, s->cancel_key, s->cancel_key_len);
    r->packet_len = pw_buf_unread(&r->packet);
    stream_read_start(&r->stream);
    if (!s->tls_asked) {
        speak(r);
        return;
    }
    r->tls = tls_set_ref(s->tls);
    r->host = pw_xstrdup(s->host);
    PwBuf ask;
    pw_buf_init(&ask);
    server_build_ssl_request(&ask);
    if (!stream_send_buf(&r->stream, &ask))
        finish(r, true, failed);
    pw_buf_finish(&ask);
}

/* ---- from outside ---- */

void server_cancel_orphan(Server *s)
{
    CancelRequest *r;
    while ((r = LIST_FIRST(&s->cancel_list))) {
        bool waits = r->phase == CANCEL_WAITS;
        detach(r);
        if (waits)
            finish(r, true, too_late);
    }
}

void server_cancel_too_late(Server *s)
{
    CancelRequest *r, *next;
    for (r = LIST_FIRST(&s->cancel_list); r; r = next) {
        next = LIST_NEXT(r, of_server);
        if (r->phase != CANCEL_WAITS)
            continue;
        detach(r);
        finish(r, true, too_late);
    }
}

void server_cancel_send(Server *s, const ServerCancelCaller *caller)
{
    Worker *w = s->stream.worker;
    if (s->cancel_key_len == 0) { /* some other pooler: it gave no key */
        if (caller && caller->done)
            caller->done(caller->arg, failed);
        return;
    }
    CancelRequest *r = pw_xcalloc(1, sizeof(*r));
    r->deferred.free_it = cancel_free;
    r->server = s;
    r->worker = w;
    r->local = server_local(s);
    r->addr = s->addr;
    r->stream.fd = -1;
    if (caller)
        r->caller = *caller;
    LIST_INSERT_HEAD(&s->cancel_list, r, of_server);
    TAILQ_INSERT_TAIL(&r->local->cancels_waiting, r, of_local);
    worker_ctx(w)->cancels++;
    evtimer_assign(&r->timer, w->base, on_timeout, r);
    PwUsec limit = worker_ctx(w)->config->cancel_wait_timeout;
    if (limit > 0) {
        struct timeval tv = pw_timeval(limit);
        evtimer_add(&r->timer, &tv);
    }
    if (r->caller.waits)
        pw_atomic_store(r->caller.waits, 1);
    server_cancel_serve(r->local);
}

static void tell(const CancelRequest *r, void (*each)(void *arg, const ServerCancelInfo *info), void *arg)
{
    ServerCancelInfo info = {
        .waits = r->phase == CANCEL_WAITS,
        .asked = r->caller.done != NULL,
        .id = r->id,
        .request = r,
        .stream = &r->stream,
        .addr = &r->addr,
        .connected_wall = r->connected_wall,
    };
    each(arg, &info);
}

void server_cancel_each(const PoolLocal *local, void (*each)(void *arg, const ServerCancelInfo *info), void *arg)
{
    const CancelRequest *r;
    TAILQ_FOREACH(r, &local->cancels_active, of_local)
        tell(r, each, arg);
    TAILQ_FOREACH(r, &local->cancels_waiting, of_local)
        tell(r, each, arg);
}
