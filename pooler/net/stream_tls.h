/* SPDX-License-Identifier: ISC */
/* stream_tls.h - TLS inside a Stream: the owner goes on using stream_recv and stream_send.
 *
 *   stream_tls_start -> handshake on the loop -> StreamOps.on_tls(ok) -> stream_recv, stream_send as before
 *
 * Nothing blocks: OpenSSL reads and writes through a BIO that gives what the socket has. A stream may be handed to
 * another worker between two callbacks (stream_detach, stream_attach): what OpenSSL holds moves along. */
#ifndef POOLER_NET_STREAM_TLS_H
#define POOLER_NET_STREAM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pooler/net/stream.h"
#include "pooler/net/tls_ctx.h"
#include "poolwise/err.h"

/* Begins the handshake on an open stream that has nothing buffered; reading is switched on. Until on_tls nothing may be sent and
 * on_readable is not called. `host`: CONNECT, the name that is asked for and, if the context says so,
 * checked; else NULL. `first`, `n_first`: bytes of the peer's that were read already. The context is referenced. */
PW_MUSTCHECK PwErr stream_tls_start(Stream *s, TlsCtx *ctx, const char *host, const uint8_t *first, size_t n_first);

/* The handshake is done. False without TLS. */
bool stream_tls_is_open(const Stream *s);

/* "TLSv1.3/TLS_AES_256_GCM_SHA384"; "" without TLS. Lives until this thread's next call. */
const char *stream_tls_text(const Stream *s);

/* Why the handshake or the last stream_recv failed; NULL: the peer just went away. For the log. */
const char *stream_tls_error(const Stream *s);

/* Did the handshake go on with an earlier session (tls_tickets.h)? */
bool stream_tls_is_resumed(const Stream *s);

/* Did both sides agree on ALPN protocol "postgresql"? */
bool stream_tls_has_alpn(const Stream *s);

/* The peer's certificate (checked as the context says). `match` is called with each common name, DNS name and e-mail address of
 * it until it says true; the answer is whether it did. False without a certificate. */
bool stream_tls_peer_has_cert(const Stream *s);
bool stream_tls_peer_names(const Stream *s, bool (*match)(void *arg, const char *name), void *arg);

/* Channel binding tls-server-end-point (RFC 5929): the hash of the certificate of the side that accepted. Returns its
 * length; 0: none, or a signature algorithm without a hash of its own. */
#define STREAM_TLS_HASH_MAX 64
size_t stream_tls_endpoint_hash(const Stream *s, uint8_t hash[STREAM_TLS_HASH_MAX]);

/* ---- for stream.c ---- */

const char *stream_tls_reason(const Stream *s); /* as stream_error; NULL: errno has it */

/* Never inlined: the plain path must stay small enough to be inlined itself. */
#define STREAM_APART __attribute__((noinline))

/* As stream_recv. */
STREAM_APART ssize_t stream_tls_recv(Stream *s, void *buf, size_t n);
/* Bytes taken; -1 would block; -2 the peer is gone. */
STREAM_APART ssize_t stream_tls_send(Stream *s, const void *bytes, size_t n);
/* True: the handshake's; nothing is left for the caller to do. */
STREAM_APART bool stream_tls_on_event(Stream *s, bool writable);
STREAM_APART void stream_tls_wake(Stream *s); /* reading was switched on: what is buffered inside counts as input */
STREAM_APART bool stream_tls_buffered(const Stream *s); /* input that no socket event will announce */
bool stream_tls_has_input(Stream *s);     /* as stream_has_input */
void stream_tls_say_end(Stream *s);       /* close_notify, if it can be sent */
void stream_tls_free(Stream *s);

#endif
