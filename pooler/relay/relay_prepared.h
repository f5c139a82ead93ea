/* SPDX-License-Identifier: ISC */
/* relay_prepared.h - named prepared statements on their way through the relay (transaction and statement mode).
 *
 *   Parse  known to this server: answered by the pooler (FAKE); else sent under the shared name
 *   Bind, Describe  sent under the shared name, after a Parse of our own (SWALLOW) where the server lacks it
 *   Close  answered by the pooler; the server keeps the statement for others until its list is full
 *
 * Unnamed statements and portals pass through as they are. */
#ifndef POOLER_RELAY_RELAY_PREPARED_H
#define POOLER_RELAY_RELAY_PREPARED_H

#include "pooler/relay/relay.h"

typedef enum PreparedStep {
    PREPARED_PASS,  /* not a named statement: forward it as it is */
    PREPARED_TAKEN, /* `*ret_used` bytes of the message were replaced by what is now in `out` (the rest of it is streamed) */
    PREPARED_MORE,  /* needs more of the message: hold it */
    PREPARED_WAIT,  /* what is in `out` goes first; the message comes again when it is answered (HOLD_SHAPE) */
    PREPARED_FAIL,  /* the client is to be closed (relay_fail_later was called) */
} PreparedStep;

/* One request of type P, B, D or C: `have` of its `total` bytes are at p (header included). */
PreparedStep relay_prepared_request(Relay *r, const uint8_t *p, size_t have, size_t total, PwBuf *out, size_t *ret_used,
                                    PwUsec now);

/* Digest of the settings that parse analysis reads, for a statement with that text that is prepared now, or was just prepared by SQL. Where nobody knows
 * them before answers come it is like no other: the statement is then shared with nobody. session_state = off: texts alone count. */
uint64_t relay_prepared_digest(Relay *r, const char *text);

/* An error dropped an entry, or it failed: the client's part (server_entry_dropped does the server's). */
void relay_prepared_dropped(Relay *r, const PipelineEntry *e);

/* CommandComplete "DEALLOCATE ALL" or "DISCARD ALL". */
void relay_prepared_tag(Relay *r, const char *tag);

/* Answers of the pooler's own that are due now: appends them to out. */
void relay_prepared_fakes(Relay *r, PwBuf *out);

#endif
