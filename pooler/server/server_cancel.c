/* SPDX-License-Identifier: ISC */
/* server_cancel.c - cancel requests: a short connection of its own to the server's resolved address.
 *
 * The request names the backend, not the query, so the server must not get another client's query while one is
 * under way: Server.cancels counts them and the server is released only when all have ended. A request has ended
 * when its connection saw end of file after the whole packet went out: by then the signal was delivered.
 * If it fails before anything was sent nothing happened; if it fails half-way nobody knows, and the server is
 * closed instead of released. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

typedef struct CancelRequest {
    WorkerDeferred deferred;
    LIST_ENTRY(CancelRequest) link;
    Stream stream;
    Server *server; /* NULL: closed meanwhile */
    bool sent;
    size_t packet_len;
    void (*done)(void *arg);
    void *arg;
    struct event timer;
} CancelRequest;

static void cancel_free(WorkerDeferred *d)
{
    free((char *)d - offsetof(CancelRequest, deferred));
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

static void on_readable(Stream *st)
{
    char buf[64];
    ssize_t n = stream_recv(st, buf, sizeof(buf));
    if (n == -1 || n > 0)
        return; /* the server sends nothing here; end of file is the answer */
    CancelRequest *r = of_stream(st);
    /* PostgreSQL may reset the connection instead of closing it; the packet was read all the same */
    finish(r, r->sent || stream_pending(st) == r->packet_len);
}

static void on_drained(Stream *st)
{
    of_stream(st)->sent = true;
}

static void on_write_error(Stream *st)
{
    finish(of_stream(st), stream_pending(st) == of_stream(st)->packet_len);
}

static const StreamOps stream_ops = {on_readable, on_drained, on_write_error};

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    finish(arg, false);
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
    PwBuf packet;
    pw_buf_init(&packet);
    size_t mark = pw_msg_begin(&packet, 0);
    pw_buf_append_be32(&packet, PW_CODE_CANCEL);
    pw_buf_append(&packet, s->cancel_key, s->cancel_key_len);
    pw_msg_end(&packet, mark);
    r->packet_len = pw_buf_unread(&packet);
    stream_read_start(&r->stream);
    bool ok = stream_send_buf(&r->stream, &packet);
    pw_buf_finish(&packet);
    if (!ok)
        finish(r, true); /* refused: nothing was sent */
    else
        r->sent = stream_pending(&r->stream) == 0;
}
