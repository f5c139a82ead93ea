/* SPDX-License-Identifier: ISC */
#include "pooler/net/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/net/stream_tls.h"
#include "pooler/net/sys.h"
#include "poolwise/mem.h"

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    Stream *s = arg;
    if (PW_UNLIKELY(s->tls != NULL) && stream_tls_on_event(s, false))
        return;
    s->ops->on_readable(s);
}

/* Bytes taken; -1 would block; -2 the peer is gone. */
static inline ssize_t send_some(Stream *s, const void *bytes, size_t n)
{
    if (PW_UNLIKELY(s->tls != NULL))
        return stream_tls_send(s, bytes, n);
    for (;;) {
        ssize_t sent = sys_send(s->fd, bytes, n);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return errno == EAGAIN ? -1 : -2;
    }
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    Stream *s = arg;
    if (PW_UNLIKELY(s->tls != NULL) && stream_tls_on_event(s, true))
        return;
    while (pw_buf_unread(&s->out) > 0) {
        ssize_t n = send_some(s, pw_buf_head(&s->out), pw_buf_unread(&s->out));
        if (n == -1)
            return;
        if (n < 0) {
            stream_watch_writable(s, false);
            s->ops->on_write_error(s);
            return;
        }
        s->bytes_out += (uint64_t)n;
        pw_buf_consume(&s->out, (size_t)n);
    }
    pw_buf_release_if_empty(&s->out);
    stream_watch_writable(s, false);
    s->ops->on_drained(s);
}

void stream_watch_writable(Stream *s, bool on)
{
    if (on && !s->write_event) {
        s->write_event = pw_xmalloc(sizeof(*s->write_event));
        event_assign(s->write_event, s->worker->base, s->fd, EV_WRITE | EV_PERSIST, on_write, s);
        worker_watch(s->worker, s->write_event);
    } else if (!on && s->write_event) {
        worker_unwatch(s->worker, s->write_event);
        free(s->write_event);
        s->write_event = NULL;
    }
}

static bool send_staged(Stream *s);

static void assign(Stream *s)
{
    event_assign(&s->read_event, s->worker->base, s->fd, EV_READ | EV_PERSIST, on_read, s);
}

void stream_open(Stream *s, Worker *w, int fd, const StreamOps *ops)
{
    s->fd = fd;
    s->worker = w;
    s->ops = ops;
    s->tls = NULL;
    s->reading = false;
    s->write_event = NULL;
    s->staged = SEND_SLOT_EMPTY;
    s->bytes_in = s->bytes_out = 0;
    pw_buf_init(&s->out);
    assign(s);
}

void stream_close(Stream *s)
{
    if (s->fd < 0)
        return;
    send_staged(s);
    if (s->reading)
        worker_unwatch(s->worker, &s->read_event);
    stream_watch_writable(s, false);
    s->reading = false;
    if (s->tls) {
        stream_tls_say_end(s);
        stream_tls_free(s);
    }
    close(s->fd);
    s->fd = -1;
    pw_buf_finish(&s->out);
}

void stream_read_start(Stream *s)
{
    if (!s->reading && s->fd >= 0) {
        worker_watch(s->worker, &s->read_event);
        s->reading = true;
        if (PW_UNLIKELY(s->tls != NULL))
            stream_tls_wake(s);
    }
}

void stream_read_later(Stream *s)
{
    s->reading = s->fd >= 0;
}

void stream_read_arm(Stream *s)
{
    if (s->reading)
        worker_watch(s->worker, &s->read_event);
}

void stream_read_stop(Stream *s)
{
    if (s->reading) {
        worker_unwatch(s->worker, &s->read_event);
        s->reading = false;
    }
}

ssize_t stream_recv(Stream *s, void *buf, size_t n)
{
    if (PW_UNLIKELY(s->tls != NULL))
        return stream_tls_recv(s, buf, n);
    for (;;) {
        ssize_t got = sys_recv(s->fd, buf, n);
        if (got >= 0) {
            s->bytes_in += (uint64_t)got;
            return got;
        }
        if (errno == EINTR)
            continue;
        return errno == EAGAIN ? -1 : -2;
    }
}

const char *stream_error(const Stream *s)
{
    const char *why = s->tls ? stream_tls_reason(s) : NULL;
    return why ? why : strerror(errno);
}

/* ---- sending ---- */

static void keep(Stream *s, const uint8_t *bytes, size_t n)
{
    pw_buf_append(&s->out, bytes, n);
    stream_watch_writable(s, true);
}

/* The batch was sent, this much of it not. A broken socket is found out by the write event. */
static void on_batch_left(SendSlot *slot, size_t sent, const uint8_t *bytes, size_t n)
{
    Stream *s = (Stream *)((char *)slot - offsetof(Stream, staged));
    s->bytes_out += sent;
    if (n > 0)
        keep(s, bytes, n);
}

PwErr stream_batch_sends(char *why, size_t why_size)
{
    for (unsigned i = 0; i < workers_count(); i++) {
        PwErr err = send_batch_create(on_batch_left, &worker_get(i)->batch, why, why_size);
        if (!err)
            continue;
        while (i-- > 0) { /* all of them or none */
            send_batch_destroy(worker_get(i)->batch);
            worker_get(i)->batch = NULL;
        }
        return err;
    }
    return PW_OK;
}

static bool send_now(Stream *s, const uint8_t *p, size_t n)
{
    if (pw_buf_unread(&s->out) == 0) {
        while (n > 0) {
            ssize_t sent = send_some(s, p, n);
            if (sent == -1)
                break;
            if (sent < 0)
                return false;
            s->bytes_out += (uint64_t)sent;
            p += sent;
            n -= (size_t)sent;
        }
    }
    if (n > 0)
        keep(s, p, n);
    return true;
}

/* What was put off goes out now. False: the peer is gone. */
static bool send_staged(Stream *s)
{
    if (s->staged.entry < 0)
        return true;
    const uint8_t *bytes;
    size_t n = send_batch_take(s->worker->batch, &s->staged, &bytes);
    return send_now(s, bytes, n);
}

bool stream_flush(Stream *s)
{
    return send_staged(s);
}

bool stream_send(Stream *s, const void *bytes, size_t n)
{
    return send_staged(s) && send_now(s, bytes, n);
}

bool stream_send_soon(Stream *s, const void *bytes, size_t n)
{
    SendBatch *batch = s->worker->batch;
    if (batch && !s->tls && pw_buf_unread(&s->out) == 0 && send_batch_add(batch, &s->staged, s->fd, bytes, n))
        return true;
    return stream_send(s, bytes, n);
}

bool stream_send_buf(Stream *s, PwBuf *buf)
{
    bool ok = stream_send(s, pw_buf_head(buf), pw_buf_unread(buf));
    pw_buf_consume(buf, pw_buf_unread(buf));
    return ok;
}

void stream_detach(Stream *s)
{
    send_staged(s); /* nothing is staged for an idle server; if something were, it would not get lost */
    stream_read_stop(s);
    s->worker = NULL;
}

void stream_attach(Stream *s, Worker *w)
{
    s->worker = w;
    assign(s);
    stream_read_start(s);
}

bool stream_input_held(const Stream *s)
{
    return PW_UNLIKELY(s->tls != NULL) && stream_tls_buffered(s);
}

void stream_end_output(Stream *s)
{
    send_staged(s);
    if (s->tls)
        stream_tls_say_end(s);
    shutdown(s->fd, SHUT_WR);
}

bool stream_has_input(Stream *s)
{
    if (PW_UNLIKELY(s->tls != NULL))
        return stream_tls_has_input(s);
    char byte;
    ssize_t n;
    do
        n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0 || errno != EAGAIN;
}
