/* SPDX-License-Identifier: ISC */
/* relay_known.h - what can be answered without a server: the Parse of a text that is prepared in this pool, with nothing but
 * its Sync behind it (libpq's PQprepare).
 *
 * A client without a server would wait for one only to hear ParseComplete, which the pooler gives by itself once it has that
 * server. Waiting can be worse than slow: a program that prepares with a blocking call for one of its connections, while
 * others of them hold all servers, waits for itself (pgbench -M prepared with more clients than servers). */
#ifndef POOLER_RELAY_RELAY_KNOWN_H
#define POOLER_RELAY_RELAY_KNOWN_H

#include "pooler/relay/relay.h"

typedef enum KnownStep {
    KNOWN_NOT,      /* a server is needed */
    KNOWN_ANSWERED, /* `*ret_size` bytes are done with */
    KNOWN_MORE,     /* of so many bytes the last ones are not there; until then nobody waits for an answer */
} KnownStep;

/* The client has no server; the n bytes at p begin with a message. */
KnownStep relay_known_answer(Relay *r, const uint8_t *p, size_t n, size_t *ret_size);

#endif
