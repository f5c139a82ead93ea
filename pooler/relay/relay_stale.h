/* SPDX-License-Identifier: ISC */
/* relay_stale.h - prepared statements whose result DDL has changed (transaction and statement mode).
 *
 * On a direct connection the server refuses such a statement: "cached plan must not change result type", 0A000. With statements that
 * are shared, and that move from server to server, two things could happen besides, and must not:
 *
 *   - rows that the client reads wrongly: it was told of the result before the DDL, the server at hand prepared the text after it.
 *     So no Bind goes out unless the plan there has the shape that the client was told (`ClientStatement.told`), or the client
 *     asks again (a Describe of the portal follows). Where that is not known the text is prepared anew and described first
 *     (HOLD_SHAPE, one round trip); what differs is refused with the server's own error.
 *   - an error that the client has not earned: it prepared the text after the DDL, the plan at hand is from before.
 *     Then the Sync group is sent again: the plan is closed, the text prepared anew, and the client sees nothing of it.
 *
 * A group can be sent again if it began on an idle server that owed nothing, all its bytes are kept, nothing was
 * answered yet, and nothing was sent behind it:
 *
 *   NONE --first message--> BEGUN --a use that may be stale--> KEPT --Sync--> CLOSED
 *     ^                       |                                  |              |
 *     |                     the bytes are gone          too long, answered   more sent behind it
 *     +--ReadyForQuery------ LOST <------------------------------+--------------+
 *
 * Inside a transaction nothing can be sent again. Where an error would not be the client's own there, the text is
 * prepared anew beforehand. */
#ifndef POOLER_RELAY_RELAY_STALE_H
#define POOLER_RELAY_RELAY_STALE_H

#include "pooler/relay/relay.h"

/* Bytes of one group that are kept. */
#define RELAY_GROUP_MAX (16 * 1024)
/* PipelineEntry.statement_id of the unnamed statement; its `plan` is Relay.unnamed_turn. */
#define RELAY_UNNAMED UINT64_MAX

/* A walk over requests begins, with bytes up to `end`; and ends: what is not kept then is gone. */
static inline void relay_stale_walk(Relay *r, const uint8_t *end)
{
    r->group.end = end;
}
static inline void relay_stale_walked(Relay *r)
{
    if (r->group.state == GROUP_BEGUN)
        r->group.state = GROUP_LOST;
}

/* A message of the extended protocol at p is about to be handled. */
void relay_stale_begin(Relay *r, const uint8_t *p);
static inline void relay_stale_enter(Relay *r, const uint8_t *p)
{
    if (r->group.state == GROUP_NONE)
        relay_stale_begin(r, p);
}

/* A message of any type (`take` of its `total` bytes are at p) has gone to the server. */
void relay_stale_keep_on(Relay *r, uint8_t type, const uint8_t *p, size_t take, size_t total);
static inline void relay_stale_passed(Relay *r, uint8_t type, const uint8_t *p, size_t take, size_t total)
{
    if (r->group.state == GROUP_NONE)
        r->group.state = GROUP_LOST; /* not a group, or nobody began to follow it */
    else if (r->group.state != GROUP_LOST)
        relay_stale_keep_on(r, type, p, take, total);
}

/* The message at p uses a plan that may be stale: keeps the group. False: it cannot be sent again. */
bool relay_stale_arm(Relay *r, const uint8_t *p);

/* Does a Describe of this portal follow the Bind of `total` bytes at p? */
bool relay_stale_asks(const Relay *r, const uint8_t *p, size_t have, size_t total, const char *portal);

/* A Bind to `portal` passes: of which statement a Describe of that portal tells. name NULL, id RELAY_UNNAMED: the unnamed one. */
void relay_stale_bound(Relay *r, const char *portal, ClientStatement *name, uint64_t id, uint64_t plan);
/* A Describe is entered into the queue: completes `e`. payload: kind and name. */
void relay_stale_describe(Relay *r, PipelineEntry *e, const uint8_t *payload, size_t avail);

/* A Describe of the pooler's own, for a plan of `st`, NULL: for the unnamed statement. `wait`: the client's requests wait for the
 * answer (Flush, HOLD_SHAPE). */
void relay_stale_ask(Relay *r, const Statement *st, const ServerStatement *plan, bool wait, PwBuf *out, PwUsec now);

/* An answer to the Describe `e`: ParameterDescription, RowDescription, NoData. `avail` bytes of it are there; the rest of a
 * RowDescription that is not `whole` comes by relay_stale_more. */
void relay_stale_told(Relay *r, const PipelineEntry *e, uint8_t type, const uint8_t *payload, size_t avail, bool whole);
void relay_stale_more(Relay *r, const uint8_t *bytes, size_t n, bool last);

/* Are the replies of the group looked at before the client is told of any? */
static inline bool relay_stale_is_kept(const Relay *r)
{
    return r->group.state == GROUP_KEPT || r->group.state == GROUP_CLOSED;
}
/* An ErrorResponse, before anything is done about it; `out`: bytes for the client so far. True: it is not the client's; the
 * group is sent again after its ReadyForQuery (HOLD_RETRY). False: see relay_stale_error. */
bool relay_stale_retry(Relay *r, const uint8_t *payload, size_t n, uint64_t out);
void relay_stale_resend(Relay *r);
/* The client is told this error, for the request `e` (NULL: none that was sent): if its plan was stale, nobody uses that again. */
void relay_stale_error(Server *s, const PipelineEntry *e, const uint8_t *payload, size_t n);

void relay_stale_forget(RelayExtended *x); /* it is cleared or freed next: gives back what is known of a portal and of a RowDescription under way */

#endif
