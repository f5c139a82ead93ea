/* SPDX-License-Identifier: ISC */
/* stream.h - a non-blocking socket on a worker's loop: try-send first, buffer only what the kernel refused.
 *
 * With io_engine = io_uring stream_send_soon puts short sends off to the end of the loop turn, where they go out together
 * (send_batch.h). Whatever else is done with the stream has them out first.
 *
 * Reads go into the caller's buffer (the worker's scratch). The read event stays registered all the
 * time; it is taken off only for back-pressure. The write event exists only after EAGAIN. With stream_tls_start
 * the same calls carry TLS; without it TLS costs one look at a pointer.
 * Owned by one worker; stream_detach / stream_attach move it to another. */
#ifndef POOLER_NET_STREAM_H
#define POOLER_NET_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/types.h>

#include "pooler/net/send_batch.h"
#include "pooler/net/worker.h"
#include "poolwise/buf.h"

typedef struct Stream Stream;
typedef struct StreamTls StreamTls;

typedef struct StreamOps {
    void (*on_readable)(Stream *s);
    void (*on_drained)(Stream *s);  /* the buffered output is all sent */
    void (*on_write_error)(Stream *s); /* a later send failed: the peer is gone; called from the loop */
    void (*on_tls)(Stream *s, bool ok); /* after stream_tls_start (stream_tls.h): the handshake ended; from the loop */
} StreamOps;

struct Stream {
    int fd; /* -1: closed */
    Worker *worker;
    const StreamOps *ops;
    StreamTls *tls; /* NULL: plain */
    bool reading;
    struct event *write_event; /* NULL: not waited for */
    struct event read_event;
    SendSlot staged; /* in the worker's batch; then `out` is empty */
    PwBuf out;
    uint64_t bytes_in, bytes_out;
};

/* Takes the fd over. Not reading yet. */
void stream_open(Stream *s, Worker *w, int fd, const StreamOps *ops);
void stream_close(Stream *s); /* closes the fd, frees the output; idempotent */

void stream_read_start(Stream *s);
void stream_read_stop(Stream *s);

/* The same in two steps: it counts as reading, but the loop is asked with stream_read_arm only, unless the stream was closed or
 * stopped meanwhile. Who reads in between what has come already saves the loop a look at it. */
void stream_read_later(Stream *s);
void stream_read_arm(Stream *s);

/* > 0 bytes; 0 end of file; -1 would block; -2 error (errno). */
ssize_t stream_recv(Stream *s, void *buf, size_t n);

/* Right after stream_recv said -2: why. Static storage. */
const char *stream_error(const Stream *s);

/* All workers batch their sends from now on. Main thread, before the workers run. An error: none does, `why` says it. */
PW_MUSTCHECK PwErr stream_batch_sends(char *why, size_t why_size);

/* Sends now what can be sent and buffers the rest. False: the peer is gone (the caller closes). */
PW_MUSTCHECK bool stream_send(Stream *s, const void *bytes, size_t n);
PW_MUSTCHECK bool stream_send_buf(Stream *s, PwBuf *buf); /* sends and empties buf */

/* The same, at the end of this loop turn where workers batch their sends: for the messages of clients and servers that
 * are relayed. That the peer is gone then shows later, as with what was buffered. */
PW_MUSTCHECK bool stream_send_soon(Stream *s, const void *bytes, size_t n);
/* What was put off goes out now. False as with stream_send. After the end of the turn nobody hears of it (on_drained is for
 * what the kernel refused), so whoever is about to wait for stream_pending to be 0 calls this first. */
PW_MUSTCHECK bool stream_flush(Stream *s);

/* Given to stream_send or stream_send_soon and not taken by the kernel yet. */
static inline size_t stream_pending(const Stream *s)
{
    return pw_buf_unread(&s->out) + s->staged.len;
}

/* The kernel did not take all of it. on_drained comes when it has; until then whoever reads for this peer stops: what is read
 * would have to be kept here, while the kernel's buffers on both sides hold megabytes. */
static inline bool stream_is_full(const Stream *s)
{
    return pw_buf_unread(&s->out) > 0;
}

/* All bytes that were ever given, sent or not. */
static inline uint64_t stream_bytes_given(const Stream *s)
{
    return s->bytes_out + stream_pending(s);
}

/* Input that was taken off the socket but not yet asked for: only with TLS. A server with such input is not released. */
bool stream_input_held(const Stream *s);

/* Nothing more will be sent: the peer sees end of file after what it has got. */
void stream_end_output(Stream *s);

/* Off this loop for a hand-over (nothing may be pending), and onto another, reading. */
void stream_detach(Stream *s);
void stream_attach(Stream *s, Worker *w);

/* True when there is data or end of file to read right now (one recv). */
bool stream_has_input(Stream *s);

/* ---- for stream_tls.c ---- */

/* on_drained or TLS's turn comes when the socket takes bytes again. The event is made for that: few streams need one, and
 * most of them for once. */
void stream_watch_writable(Stream *s, bool on);

#endif
