/* SPDX-License-Identifier: ISC */
/* relay_align.h - what a server must have, or must not have, before a request that takes it for granted (session_state on).
 *
 *   Bind, Describe of the unnamed statement in another transaction than its Parse: this server has none, or
 *     another client's. It gets the client's Parse again, or loses what it has.
 *   DEALLOCATE of a name that was prepared by the protocol: on this server it has another name, or is not there. It gets
 *     a statement of that name, so that the server itself answers as it would on a direct connection.
 *
 * What is put in front of the request is the pooler's own: its replies are swallowed. */
#ifndef POOLER_RELAY_RELAY_ALIGN_H
#define POOLER_RELAY_RELAY_ALIGN_H

#include "pooler/relay/relay.h"

/* A Parse of the unnamed statement passes; payload: all of it, or NULL when it is too long to be kept. */
void relay_align_keep(Relay *r, const uint8_t *payload, size_t n);
/* Before a Bind or Describe of the unnamed statement when !r->unnamed_here. */
void relay_align_unnamed(Relay *r, PwBuf *out, PwUsec now);

/* May this text be a DEALLOCATE of a statement of the client's? One look at its first letter. */
static inline bool relay_align_may_deallocate(const Relay *r, uint8_t first)
{
    return r->statements.table && (first | 32) == 'd' && r->state.on;
}
/* In front of a Query (`simple`), or of a Parse. */
void relay_align_deallocate(Relay *r, bool simple, const char *sql, size_t avail, PwBuf *out, PwUsec now);
/* DEALLOCATE completed: statement number `statement` of the text. */
void relay_align_deallocated(Relay *r, const Effects *effects, unsigned statement);

#endif
