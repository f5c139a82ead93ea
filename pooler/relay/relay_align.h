/* SPDX-License-Identifier: ISC */
/* relay_align.h - what a server must have, or must not have, before a request that takes it for granted (session_state on).
 *
 *   Bind, Describe of the unnamed statement in another transaction than its Parse: this server has none, or
 *     another client's. It gets the client's Parse again, or loses what it has.
 *   PREPARE, EXECUTE, DEALLOCATE of a name: the server gets what the name means to this client, and loses what it means
 *     to another one. The server itself then answers as it would on a direct connection, mistakes included.
 *   DEALLOCATE of a name that was prepared by the protocol (on servers it has another name): a statement of
 *     that name is made for it to find.
 *
 * What is put in front of the request is the pooler's own: its replies are swallowed. If the server skips it, because of an error earlier in the
 * group, the server is not what it was made to be; so nothing goes out behind such a group before it is answered (Relay.aligned). */
#ifndef POOLER_RELAY_RELAY_ALIGN_H
#define POOLER_RELAY_RELAY_ALIGN_H

#include "pooler/relay/relay.h"

/* A Parse of the unnamed statement passes; payload: all of it, or NULL when it is too long to be kept. */
void relay_align_keep(Relay *r, const uint8_t *payload, size_t n);
/* The client was told the types of its parameters (payload of a ParameterDescription): it has these on other servers too. */
void relay_align_types(Relay *r, const uint8_t *payload, size_t n);
/* A simple Query passes, or the Parse with this turn failed: the server has dropped the unnamed statement. */
void relay_align_forget(Relay *r);
void relay_align_parse_failed(Relay *r, uint64_t turn);
/* The server never read a Parse of it by the client, which has left the queue. */
void relay_align_parse_skipped(Relay *r, const PipelineEntry *e);
/* Before a Bind or Describe of the unnamed statement when !r->unnamed_here. */
void relay_align_unnamed(Relay *r, PwBuf *out, PwUsec now);
/* Does what went out for the unnamed statement belong to a group that is not answered yet? An error may skip it, and the server then still
 * has another client's: nothing that relies on it goes out before the answer. */
bool relay_align_is_unsure(const Relay *r);
/* Is it a Parse of the unnamed statement that is followed, or a message of relay_align_unnamed? One of those was skipped. */
bool relay_align_is_unnamed(const PipelineEntry *e);
void relay_align_unnamed_skipped(Relay *r, const PipelineEntry *e);

/* Are SQL-level prepared statements followed? If not they pin. */
static inline bool relay_follows_names(const Relay *r)
{
    return r->state.on && !r->state.strict && r->ctx->config->max_prepared_statements > 0;
}

/* Can a name in a text that begins so mean something else here than to the client? Not while neither it nor this server has
 * anything that was prepared by SQL; then only a DEALLOCATE of what was prepared by the protocol matters. */
static inline bool relay_align_may_differ(const Relay *r, char first)
{
    bool by_sql = r->names.table || r->server->names.table;
    return (by_sql || (r->statements.table && (first | 32) == 'd')) && r->state.on;
}
/* Does this text name a prepared statement at all? */
bool relay_align_concerns(const Relay *r, const char *sql, size_t len);
/* In front of a Query (`simple`), or of a Bind of a statement with this text, whose class has CLASS_NAMES. */
void relay_align_names(Relay *r, bool simple, const char *sql, size_t len, PwBuf *out, PwUsec now);
/* In front of a Query within a group of extended messages: only what the names mean to others is taken away, which neither fails nor ends
 * the group. The client's own is not brought: EXECUTE may then find nothing. */
void relay_align_take_names(Relay *r, const char *sql, size_t len, PwBuf *out, PwUsec now);
/* In front of a Parse or Bind of the unnamed statement, whose text and class are known: what it names, if anything. */
static inline void relay_align_unnamed_names(Relay *r, PwBuf *out, PwUsec now)
{
    const PwBuf *sql = &r->ext->unnamed_sql;
    if (PW_UNLIKELY(r->ext->unnamed_class & CLASS_NAMES) && relay_align_may_differ(r, 'd'))
        relay_align_names(r, false, (const char *)pw_buf_head(sql), pw_buf_unread(sql), out, now);
}
/* Close by the protocol of a name that was prepared by SQL; and if the server skips it. */
void relay_align_close(Relay *r, SqlName *name, PwBuf *out, PwUsec now);
void relay_align_close_skipped(Relay *r, const PipelineEntry *e);
/* In front of a Bind or Describe by the protocol of a name that was prepared by SQL; of those and Close of one that an unanswered request prepares, or that only the
 * server knows, which its client keeps for that. False: it is none of these. */
bool relay_align_name(Relay *r, uint8_t type, const char *name, PwBuf *out, PwUsec now);
/* Statement number `statement` of the text completed with this tag. */
void relay_align_completed(Relay *r, const Effects *effects, unsigned statement, const char *tag);
/* A request of our own failed, or an error dropped it: if it was about a name, nobody knows what that means there now. */
void relay_align_failed(Server *s, const PipelineEntry *e);
/* A plan that a text with these EXECUTEs used is stale: what they mean is brought anew before the next use. */
void relay_align_stale(Server *s, const Effects *effects);
/* A text with EXECUTEs goes out: what runs is the text that was prepared. */
void relay_align_executes(Relay *r, const Effects *effects);

#endif
