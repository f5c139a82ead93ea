/* SPDX-License-Identifier: ISC */
/* relay_count.h - what a client's traffic counts in SHOW STATS, SHOW QUERIES and the query log.
 *
 * A request counts once, when it ends: with its answer, or without one when the client or the server goes. What never
 * reached a server counts nothing. */
#ifndef POOLER_RELAY_RELAY_COUNT_H
#define POOLER_RELAY_RELAY_COUNT_H

#include "pooler/relay/relay.h"

/* An execution has ended; q NULL: one that is not observed. `out`: bytes for the client so far, sent or not. */
void relay_count_query(Relay *r, QueryEntry *q, PwUsec now, uint64_t out);
/* ReadyForQuery: a request is done, and with it a transaction, perhaps. */
void relay_count_ready(Relay *r, PwUsec now);
/* The same of a Sync, before it: an error since the Sync before has not been counted by an execution. */
PW_COLD void relay_count_failed_group(Relay *r, PwUsec now, uint64_t out);

/* The server's error is about this request. When that is none that counts (a Parse or Bind), the Execute that is
 * discarded because of it fails with its code. */
PW_COLD void relay_count_blame(Relay *r, const PipelineEntry *about);
/* A request leaves the queue unanswered. True: its `query` is kept here, to be counted. */
bool relay_count_keeps(Relay *r, const PipelineEntry *e);
/* The server went by itself: with its own words, if it had any. */
void relay_count_server_gone(Relay *r);
/* The client goes: what it has not been answered is counted. Its server, if it has one, is still there. */
void relay_count_end(Relay *r);

/* Sends a message of the pooler's own to the client, and counts its bytes; empties `out`. */
PW_MUSTCHECK bool relay_tell(Relay *r, PwBuf *out);

#endif
