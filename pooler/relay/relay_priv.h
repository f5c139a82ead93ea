/* SPDX-License-Identifier: ISC */
/* relay_priv.h - between the files of pooler/relay. */
#ifndef POOLER_RELAY_RELAY_PRIV_H
#define POOLER_RELAY_RELAY_PRIV_H

#include "pooler/relay/relay.h"
#include "poolwise/wire.h"

/* Requests up to this size are held until complete, so that their text can be observed; larger ones are streamed. */
#define RELAY_WHOLE_MAX (32 * 1024)
/* Bytes of requests held for a client before its socket is left unread. */
#define RELAY_HELD_MAX (64 * 1024)

/* Unanswered requests of one client before it is left unread; it goes on at half of it. */
#define RELAY_DEPTH_MAX 8192

/* relay_reply.c */
void relay_server_input(Server *s);

void relay_renamed(Relay *r); /* relay_reply.c: r->ident is there, and application_name has changed */

/* relay_error.c: what of an ErrorResponse is there (a very long one may be cut) */
PW_COLD void relay_note_error(Relay *r, Server *s, const uint8_t *payload, size_t n);
/* One to a request that used a statement, whole: where its message has the shared name, appends the same ErrorResponse with the
 * client's own and returns true. */
bool relay_error_renamed(Relay *r, const PipelineEntry *e, const uint8_t *payload, size_t n, PwBuf *out);

/* relay_sync.c: true when nothing has to be done before the first request */
bool relay_sync_start(Relay *r);
bool relay_sync_ready(Relay *r); /* ReadyForQuery of our own statement; false: the server was closed */

/* relay_state.c */
void relay_state_pinned(Relay *r, unsigned before); /* state.pins changed: tells it */
bool relay_state_is_reported(void *relay, const char *name); /* does the server tell of this setting by itself? */

/* relay.c */
extern const ServerUser relay_server_user;
void relay_fail(Relay *r, const char *text, const char *reason); /* closes the client; not from inside a loop */
void relay_fail_later(Relay *r, const char *text, const char *reason);
bool relay_check_close(Relay *r); /* acts upon relay_fail_later; true when closed */
void relay_drop_entry(void *arg, const PipelineEntry *e);
void relay_forget_extended(Relay *r);
/* The Parse of the unnamed statement, empty if none is kept. */
static inline const PwBuf *relay_unnamed_parse(const Relay *r)
{
    static const PwBuf none;
    return r->unnamed ? &r->unnamed->parse : &none;
}
/* Makes r->ext. */
RelayExtended *relay_extended(Relay *r);
/* The server goes: what is known of the unnamed statement and portal, and of the group of messages, is of no use. */
static inline void relay_reset_extended(Relay *r)
{
    if (r->ext)
        relay_forget_extended(r);
    r->group.state = GROUP_NONE; /* relay_stale_begin sets the rest */
    r->group.alone = false;
    r->group.tries = 0;
}
void relay_turn_over(Relay *r); /* clean ReadyForQuery: release or go on */

static inline unsigned relay_lex_flags(const Relay *r)
{
    return r->params.backslashes ? PW_LEX_BACKSLASH : 0;
}
/* Keeps an execution's values if query_log_samples asks for them; `bind` is Bind's payload or NULL. */
void relay_sample(Relay *r, QueryEntry *q, const char *sql, size_t len, const uint8_t *bind, size_t bind_len);

/* relay_refuse.c: true when need_server refused; then the message was answered */
bool relay_refuse_in_walk(Relay *r, uint8_t type);
/* One message of the extended protocol fails with this error, at its place: something that fails goes to the server instead. */
void relay_fail_request(Relay *r, const PwErrorText *error, PwBuf *out, PwUsec now);
/* listen_mode = refuse */
static inline bool relay_refuses_listen(const Relay *r)
{
    return PW_UNLIKELY(r->local->settings.listen_mode == LISTEN_MODE_REFUSE) && r->state.on;
}
void relay_fail_listen(Relay *r, PwBuf *out, PwUsec now);
/* Is this Query or Parse (one whose name is not followed) a LISTEN? Then it was made to fail. */
bool relay_refuse_listen(Relay *r, uint8_t type, const uint8_t *payload, size_t avail, PwBuf *out, PwUsec now);

/* relay_request.c: walks requests, returns how many bytes were used */
void relay_note_parse(Relay *r, const uint8_t *payload, size_t avail); /* the unnamed statement is now this one */
size_t relay_requests(Relay *r, const uint8_t *bytes, size_t n);

#endif
