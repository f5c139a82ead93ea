/* SPDX-License-Identifier: ISC */
/* server_cancel.c - cancel requests: a short connection of its own to the server's resolved address.
 *
 * The request names the backend, not the query, so the server must not get another client's query while one is
 * under way: Server.cancels counts them and the server is released only when all have ended. A request has ended
 * when its connection saw end of file after the whole packet went out: by then the signal was delivered.
 * If it fails before anything was sent nothing happened; if it fails half-way nobody knows, and the server is
 * closed instead of released. A server that was asked for TLS is asked again here: the key is a secret too.
 *
 *   [ASKS --'S'--> SHAKES] --> SPEAKS, the packet is with the kernel or waits for it --> end of file */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/net/stream_tls.h"
#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

typedef enum CancelPhase {
    CANCEL_ASKS,   /* SSLRequest goes out, or its answer is awaited */
    CANCEL_SHAKES, /* TLS handshake */
    CANCEL_SPEAKS,
} CancelPhase;

typedef struct CancelRequest {
    WorkerDeferred deferred;
    LIST_ENTRY(CancelRequest) link;
    Stream stream;
    Server *server; /* NULL: closed meanwhile */
    CancelPhase phase;
    PwBuf packet; /* before SPEAKS */
    size_t packet_len;
    bool sent;
    const TlsSet *tls; /* one reference, or NULL: without TLS */
    char *host;        /* with tls: the server's, for its certificate */
    void (*done)(void *arg);
    void *arg;
    struct event timer;
} CancelRequest;

static void cancel_free(WorkerDeferred *d)
{
    CancelRequest *r = (CancelRequest *)((char *)d - offsetof(CancelRequest, deferred));
    pw_buf_finish(&r->packet);
    tls_set_unref(r->tls);
    free(r->host);
    free(r);
}

static void finish(CancelRequest *r, bool certain)
{
    Server *s = r->server;
    Worker *w = r->stream.worker;
    evtimer_del(&r->timer);
    stream_close(&r->stream);
    if (s) {
        LIST_REMOVE(r, link);
        s->cancels--;
        PoolLocal *local = server_local(s);
        local->cancels_active--;
        if (!certain) {
            s->close_needed = true;
            s->close_why = "cancel request failed half-way";
        }
    }
    if (r->done)
        r->done(r->arg);
    worker_defer(w, &r->deferred);
    if (s && s->phase == SERVER_CHORE)
        server_chore_next(s);
}

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
        finish(r, !r->stream.tls); /* refused: nothing was sent */
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
        finish(r, true);
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
    finish(r, r->sent || nothing_sent(r));
}

static void on_drained(Stream *st)
{
    CancelRequest *r = of_stream(st);
    r->sent = r->phase == CANCEL_SPEAKS;
}

static void on_write_error(Stream *st)
{
    finish(of_stream(st), nothing_sent(of_stream(st)));
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
    finish(r, true);
}

static const StreamOps stream_ops = {on_readable, on_drained, on_write_error, on_tls};

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    finish(arg, nothing_sent(arg));
}

void server_cancel_orphan(Server *s)
{
    CancelRequest *r;
    while ((r = LIST_FIRST(&s->cancel_list))) {
        LIST_REMOVE(r, link);
        r->server = NULL;
        s->cancels--;
        server_local(s)->cancels_active--;
    }
}

void server_cancel_send(Server *s, void (*done)(void *arg), void *arg)
{
    Worker *w = s->stream.worker;
    if (s->cancel_key_len == 0) { /* some other pooler: it gave no key */
        if (done)
            done(arg);
        return;
    }
    int fd = socket(net_addr_family(&s->addr), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || (connect(fd, net_addr_sa(&s->addr), s->addr.len) != 0 && errno != EINPROGRESS)) {
        server_log(s, PW_LOG_WARNING, "cannot connect for a cancel request: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        if (done)
            done(arg);
        return;
    }
    CancelRequest *r = pw_xcalloc(1, sizeof(*r));
    r->deferred.free_it = cancel_free;
    r->server = s;
    r->done = done;
    r->arg = arg;
    LIST_INSERT_HEAD(&s->cancel_list, r, link);
    s->cancels++;
    server_local(s)->cancels_active++;
    worker_ctx(w)->cancels++;
    stream_open(&r->stream, w, fd, &stream_ops);
    evtimer_assign(&r->timer, w->base, on_timeout, r);
    PwUsec limit = worker_ctx(w)->config->cancel_wait_timeout;
    if (limit > 0) {
        struct timeval tv = {.tv_sec = (time_t)(limit / PW_USEC_PER_SEC), .tv_usec = (suseconds_t)(limit % PW_USEC_PER_SEC)};
        evtimer_add(&r->timer, &tv);
    }
    size_t mark = pw_msg_begin(&r->packet, 0);
    pw_buf_append_be32(&r->packet, PW_CODE_CANCEL);
    pw_buf_append(&r->packet, s->cancel_key, s->cancel_key_len);
    pw_msg_end(&r->packet, mark);
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
        finish(r, true);
    pw_buf_finish(&ask);
}
