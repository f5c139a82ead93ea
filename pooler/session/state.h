/* SPDX-License-Identifier: ISC */
/* state.h - what one client's session holds beyond the reported parameters: its settings through transactions and
 * savepoints, the channels it listens on, and why it may have to keep its server.
 *
 *   request sent  ----> due |= what it might do (class)         even if it fails: a lock outlives an error
 *   CommandComplete --> working changes by its effect           in order, as the server did it
 *   ErrorResponse ----> the implicit transaction is lost
 *   COMMIT, or ReadyForQuery idle without an error ---> committed = working
 *   ROLLBACK, or ReadyForQuery idle after an error ---> working = committed
 *
 * A pure data structure, its worker only. Savepoints are kept only while something is uncommitted: those that were set before
 * that are older than every one kept, so a name that is not found means "back to where the transaction began". */
#ifndef POOLER_SESSION_STATE_H
#define POOLER_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "pooler/session/effects.h"
#include "pooler/session/params.h"
#include "pooler/session/settings.h"
#include "pooler/session/stmt_class.h"

/* Why a client keeps its server. A probe answers for those of SESSION_PINS_PROBED; the others stay until DISCARD ALL (LOAD: until
 * the client goes). */
typedef enum SessionPin {
    SESSION_PIN_LISTEN = 1 << 0,
    SESSION_PIN_ADVISORY = 1 << 1,
    SESSION_PIN_TEMP = 1 << 2,
    SESSION_PIN_CURSOR = 1 << 3,
    SESSION_PIN_PREPARED = 1 << 4,
    SESSION_PIN_SETTING = 1 << 5, /* settings that cannot be followed; session_state = pin */
    SESSION_PIN_UNKNOWN = 1 << 6, /* the probe failed */
    SESSION_PIN_LOAD = 1 << 7,
} SessionPin;
#define SESSION_PIN_COUNT 8
#define SESSION_PINS_PROBED \
    (SESSION_PIN_LISTEN | SESSION_PIN_ADVISORY | SESSION_PIN_TEMP | SESSION_PIN_CURSOR | SESSION_PIN_PREPARED | SESSION_PIN_UNKNOWN)

/* "listen", "advisory_lock", ...: names of the bits, joined with "+"; "" for 0. Returns buf. */
#define SESSION_PIN_TEXT 96
const char *session_pin_text(unsigned pins, char buf[SESSION_PIN_TEXT]);

typedef enum SessionDue {
    SESSION_DUE_PINS = 1 << 0, /* short probe */
    SESSION_DUE_ALL = 1 << 1,  /* full probe: settings and role too */
} SessionDue;

typedef struct SessionSavepoint {
    char *name;
    const Settings *settings, *channels;
} SessionSavepoint;

typedef struct SessionState {
    bool on;    /* session_state is not off, and the client is not in session mode */
    bool strict; /* session_state = pin */
    bool dirty; /* working is not committed, or savepoints are kept */
    bool failed; /* an error since the transaction began, while dirty */
    uint8_t due;  /* SessionDue bits: the server is to be asked before it is released */
    unsigned pins; /* SessionPin bits */
    unsigned statement; /* of the Query at the head of the queue: completed so far */
    const Settings *committed, *working;
    const Settings *startup; /* what the start-up packet asked for: a RESET goes back to it. NULL: nothing, or nobody looks */
    const Settings *channels, *channels_working; /* names that it listens on: committed, and as the transaction has it; values are "" */
    SessionSavepoint *savepoints;
    unsigned n_savepoints, cap_savepoints;
} SessionState;

void session_state_init(SessionState *st);
void session_state_finish(SessionState *st);

/* A request with these StmtClass bits goes to the server. */
void session_state_sent(SessionState *st, unsigned class, const Effects *effects);

/* CommandComplete for a forwarded request; effects may be NULL. `is_reported` tells whether the server reports a setting
 * by itself (then its ParameterStatus counts, not ours). */
typedef bool (*SessionIsReported)(void *arg, const char *name);
void session_state_complete(SessionState *st, const Effects *effects, const char *tag, SessionIsReported is_reported, void *arg);

/* Digest of what the server's parse analysis reads beside the text: settings of literals and names, role. */
uint64_t session_parse_digest(const ParamSet *params, const Settings *settings);

void session_state_error(SessionState *st);
/* ReadyForQuery. */
void session_state_ready(SessionState *st, uint8_t txn_status);

/* The answer of a probe. `settings` replaces what is known when it was a full one (a reference is taken over). */
void session_state_probed(SessionState *st, unsigned pins);
void session_state_adopt(SessionState *st, const Settings *settings);

#endif
