/* SPDX-License-Identifier: ISC */
/* relay_state.h - the state of the client's session on its way through the relay (transaction and statement mode).
 *
 *   request out   its class is looked up (cached with its fingerprint); what it may do is noted (session/state.h)
 *   reply in      CommandComplete, ErrorResponse and ReadyForQuery move the settings
 *   released      the server remembers what is set on it; the next client's relay_sync makes the difference
 *   not released  while pinned. Where only the server can know, a probe asks it first (HOLD_PROBE): the client has its
 *                 reply already, its next request waits for the answer
 *
 * Statements that cannot matter cost one look at a byte. */
#ifndef POOLER_RELAY_RELAY_STATE_H
#define POOLER_RELAY_RELAY_STATE_H

#include "pooler/relay/relay.h"

void relay_state_init(Relay *r);
void relay_state_finish(Relay *r);
void relay_state_encoding(Relay *r); /* client_encoding is known */
/* The answer to `head` (or nothing) changed it. Settings that are not plain ASCII were written in the one before: only this server knows them. */
void relay_state_encoding_changed(Relay *r, const PipelineEntry *head);

/* Does a text with this entry need none of the calls below? `payload` ends with the text's NUL when it is whole. */
static inline bool relay_state_is_plain(const Relay *r, QueryEntry *q, const uint8_t *payload, size_t avail)
{
    const uint8_t *note = q ? query_entry_note(q) : NULL;
    return !r->state.on || (note && *note == CLASS_SEEN && !r->lex_unsafe && avail > 0 && payload[avail - 1] == 0);
}

/* The same for a text inside a Parse: its NUL is followed by the types. */
static inline bool relay_state_is_text_plain(const Relay *r, QueryEntry *q, const uint8_t *text, size_t avail)
{
    const uint8_t *note = q ? query_entry_note(q) : NULL;
    return !r->state.on || (note && *note == CLASS_SEEN && !r->lex_unsafe && memchr(text, 0, avail));
}

/* A Query goes out. What its completion will do, or NULL; a reference of the caller's. */
Effects *relay_state_query(Relay *r, QueryEntry *q, const char *sql, size_t avail);
/* Parse of the unnamed statement; a Bind of it; a Bind of a shared named one. */
void relay_state_parse(Relay *r, QueryEntry *q, const char *sql, size_t avail);
void relay_state_bind_unnamed(Relay *r, const uint8_t *payload, size_t avail);
void relay_state_bind(Relay *r, unsigned class, const char *sql, size_t len, const uint8_t *payload, size_t avail);
/* Parse of a named statement that is not followed (max_prepared_statements = 0). */
void relay_state_named_parse(Relay *r, const char *sql, size_t avail);
/* Execute of the portal `payload` begins with. */
Effects *relay_state_execute(Relay *r, const uint8_t *payload, size_t avail);
/* A text, or values, that do what cannot be followed: the server will be asked for the settings that are named there. */
void relay_state_ask_about(Relay *r, const char *bytes, size_t n);
void relay_state_function(Relay *r, const uint8_t *payload, size_t avail);

/* A SET is unanswered, or what may take one back: what is set when a request that goes out now is read, nobody knows. (Reported parameters are
 * known at ReadyForQuery.) */
static inline bool relay_state_is_unsettled(const Relay *r)
{
    return r->settings_sent || ((r->state.dirty || r->changed) && r->server && r->server->pipeline.count > 0);
}
/* ... and standard_conforming_strings or client_encoding may be other ones by then: where a string of this text ends is not sure. */
bool relay_state_may_misread(const Relay *r, const char *sql, size_t len);

/* CommandComplete for the request at the head of the queue. */
static inline bool relay_state_cares(const Relay *r, const PipelineEntry *head, const uint8_t *tag)
{
    return head && head->action == PIPE_FORWARD &&
           (head->effects || r->state.dirty || (tag[0] == 'S' && tag[1] == 'E' && tag[2] == 'T'));
}
/* A client's start-up packet has a parameter that is not in r->params; `name` as settings_name spells it. It may be called before relay_init. */
void relay_state_ask_for(Relay *r, const char *name, const char *value);
/* The client has logged in, r->params and these are what it asked for. */
void relay_state_startup(Relay *r);
/* A request with these effects goes out. */
void relay_state_resets(Relay *r, const Effects *effects);
/* With startup_reset, a message of this type has gone out whole: may a request of our own follow it? It must not meet a server that copies
 * in, whose COPY it would end. */
bool relay_state_may_restore(Relay *r, uint8_t type, const uint8_t *payload, size_t n);
/* Appends it; its replies are swallowed. */
void relay_state_restore(Relay *r, PwBuf *out, PwUsec now);

void relay_state_complete(Relay *r, const PipelineEntry *head, const uint8_t *tag, size_t n);

/* At a clean, idle ReadyForQuery with state.due: asks the server. False: it was closed. */
bool relay_state_probe(Relay *r);
void relay_state_probe_drop(Relay *r); /* nobody waits for the answer */
void relay_state_probe_row(Relay *r, const uint8_t *payload, size_t n, bool whole);
void relay_state_probe_error(Relay *r, const char *text);
void relay_state_probe_done(Relay *r);

/* The server is given back, clean. */
static inline void relay_state_release(Relay *r)
{
    if (PW_UNLIKELY(r->server->applied != r->state.committed))
        server_set_applied(r->server, r->state.committed);
}
/* The client goes while it has a server: what must be washed off it? False: the server must be closed. */
bool relay_state_abandon(Relay *r);

#endif
