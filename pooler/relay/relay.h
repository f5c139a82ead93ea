/* SPDX-License-Identifier: ISC */
/* relay.h - a logged-in client's traffic: requests to a server, replies back, and when the server may go.
 *
 * The relay is the client's side of the data path. Bytes are walked message by message in the worker's scratch
 * buffer and sent on in one piece; what cannot be used yet is held. It owns no login, no timeouts and no lists:
 * RelayOps tells the client. Everything in pooler/relay is called on the client's own worker, which is its server's too while they
 * are linked.
 *
 * A request is read on only when nothing holds it:
 *   HOLD_SERVER  waits for a server of the pool
 *   HOLD_SYNC    the server is checked or gets the client's parameters first
 *   HOLD_TURN    somebody waits for the pool: nothing is forwarded past a Query or Sync before its ReadyForQuery
 *   HOLD_FLOW    the server's socket is full, or very many requests are unanswered; without a server: the client's socket is full
 *   HOLD_PROBE   the server is asked whether its session still holds something of the client's
 *   HOLD_SHAPE   the server is asked what rows a statement returns now (relay_stale.h)
 *   HOLD_RETRY   a group of requests is about to be sent again (relay_stale.h)
 *   HOLD_LISTEN  the pool's shared connection does not listen yet on what it asks for (relay_listen.h)
 *   HOLD_CLOSED  the client is being closed */
#ifndef POOLER_RELAY_RELAY_H
#define POOLER_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "pooler/capture/capture.h"
#include "pooler/net/stream.h"
#include "pooler/pool/registry.h"
#include "pooler/server/server.h"
#include "pooler/session/own_errors.h"
#include "pooler/session/params.h"
#include "pooler/session/effects.h"
#include "pooler/session/names.h"
#include "pooler/session/prepared.h"
#include "pooler/session/state.h"
#include "poolwise/buf.h"

typedef struct Relay Relay;

typedef enum RelayHold {
    HOLD_SERVER = 1 << 0,
    HOLD_SYNC = 1 << 1,
    HOLD_TURN = 1 << 2,
    HOLD_FLOW = 1 << 3,
    HOLD_CLOSED = 1 << 4,
    HOLD_PROBE = 1 << 5,
    HOLD_SHAPE = 1 << 6,
    HOLD_RETRY = 1 << 7,
    HOLD_LISTEN = 1 << 8,
} RelayHold;

typedef struct RelayOps {
    /* The first request without a server: HOLD_SERVER is set. Ends in relay_linked or relay_refuse, at once or later. `again`: the
     * server it had was lost before anything was sent; it keeps its place in the queue. */
    void (*need_server)(Relay *r, bool again);
    /* The client must go. `text` is for a FATAL message (sqlstate 08P01) or NULL when it is gone already; `reason` for
     * the log. Must end in relay_finish, soon if not at once. Called at most once, never from inside need_server. */
    void (*close)(Relay *r, const char *text, const char *reason);
    void (*log)(Relay *r, int level, const char *text);
} RelayOps;

/* A question to the server under way (relay_state.h). */
typedef struct RelayProbe {
    bool full, failed, answered;
    bool resets;           /* startup_reset had not been seen to, or late */
    unsigned pins;         /* SessionPin bits */
    const Settings *found; /* with `full` */
    const Settings *asked; /* the same: names with a dot that it asks for */
    const Settings *reported; /* the same: names that the session has set and the server reports */
    PwUsec since;
} RelayProbe;

/* The Sync group under way: can it be sent again? (relay_stale.h) */
typedef enum RelayGroupState {
    GROUP_NONE,
    GROUP_BEGUN,
    GROUP_KEPT, /* from here on its bytes are in Server.group */
    GROUP_CLOSED,
    GROUP_LOST,
} RelayGroupState;

typedef struct RelayGroup {
    RelayGroupState state;
    bool alone;    /* nothing goes out behind its Sync before that is answered */
    uint8_t tries; /* times that it was sent again */
    const uint8_t *end; /* of what the walk has */
} RelayGroup;

/* Of which statement a Describe of the portal that was bound last tells. */
typedef struct RelayPortal {
    char portal[64];
    ClientStatement *name; /* one reference, or NULL */
    uint64_t id, plan;     /* as in PipelineEntry; id 0: nothing is known */
} RelayPortal;

/* A RowDescription that arrives in pieces. */
typedef struct RelayTelling {
    bool on;
    PwBuf bytes;
    PipelineEntry entry; /* of the Describe that it answers; with a reference to its name */
} RelayTelling;

/* What the extended protocol needs while a server is linked. Made by the first of its messages, given back with the server; a
 * worker keeps some for the next clients (WorkerCtx.spare_extended), all zero. */
typedef struct RelayExtended {
    struct RelayExtended *next_spare;
    QueryEntry *unnamed, *bound; /* of the unnamed statement; of the last Bind */
    Effects *bound_effects;      /* of the unnamed portal */
    uint64_t unnamed_turn;       /* rises with each Parse of it by the client */
    uint64_t unnamed_found;      /* shape of its rows as this server says (relay_stale.h) */
    uint64_t checked;       /* ServerStatement.since of the plan that was described last for a Bind that waits; RELAY_UNNAMED */
    unsigned unnamed_class; /* StmtClass of the unnamed statement */
    PwBuf unnamed_sql;      /* its text, if it has effects or may have */
    PwBuf unnamed_text;     /* only with query_log_samples */
    QueryEntry *failed; /* what an error or an end kept from being answered, until it is counted (relay_count.h); NULL */
    bool blames;        /* the Execute that is discarded next has failed with Relay.sqlstate */
    bool cut;           /* what was running when the client or the server went is known */
    const uint8_t *group_begin; /* GROUP_BEGUN: the first byte */
    uint64_t group_mark;        /* bytes for the client when the group began */
    RelayPortal portal;
    RelayTelling telling;
} RelayExtended;

/* The unnamed statement, which its client may bind in another transaction. */
typedef struct RelayUnnamed {
    PwBuf parse;   /* its Parse, without the header */
    uint64_t told; /* shape of its rows as the client was told (relay_stale.h) */
} RelayUnnamed;

/* An error of the pooler's own whose text is made for it. */
typedef struct RelayOwnError {
    const char *sqlstate, *text; /* relay_refuse inside a walk; the text is `buf` or static; NULL: none */
    char buf[OWN_ERROR_TEXT];
} RelayOwnError;

/* What every query touches comes first: of a thousand clients each one's lines are cold when its turn comes. */
struct Relay {
    const RelayOps *ops;
    Stream stream; /* to the client */
    PoolLocal *local;
    WorkerCtx *ctx;
    Server *server;
    PwBuf held;        /* request bytes that could not go on yet */
    uint32_t want;     /* bytes of the message at the head of `held` that must be there at once; 0: no such wish */
    uint32_t msg_left; /* of a request being streamed */
    unsigned hold;     /* RelayHold bits */
    uint32_t told_pid; /* process id that it was told at login, for cancel requests; 0: none */
    bool msg_discard;
    bool discard_to_sync; /* an error was answered by the pooler itself: drop through the next Sync */
    bool pumping;
    bool turn_ends;   /* the message being streamed is a Query, Sync or FunctionCall */
    bool at_ready;    /* the server's last message (asynchronous ones apart) was a clean ReadyForQuery */
    bool release_due; /* a clean ReadyForQuery came while a stray message was still being streamed */
    bool terminated;  /* the client sent Terminate */
    bool session_mode; /* fixed at login */
    bool disable_pqexec;
    bool lex_unsafe;       /* client_encoding is one that the lexer may misread */
    bool only_encoding;    /* with HOLD_SYNC: client_encoding was set, the rest comes next */
    bool only_checks;      /* with HOLD_SYNC: server_check_query was sent, nothing is set */
    bool pin_told;         /* the log knows that this client pins */
    bool effects_in_flight; /* relay_finish: an unanswered request has effects */
    bool names_end;        /* a Close, DEALLOCATE or DISCARD ALL is about to go out that ends names of `statements` */
    bool settings_sent;    /* since the last clean ReadyForQuery something went out that sets settings: what they are, only answers will tell */
    bool aligned;          /* the group under way has messages of our own (relay_align.h, relay_prepared.h) that an error would skip */
    bool startup_reset;    /* a RESET of `state.startup` went out; behind its Sync the server is set right (relay_state_restore) */
    uint16_t changed;      /* bits: reported parameters that the requests since relay_linked have changed */
    bool identity_reset;   /* the same, of a role or user among them */
    bool identity_sent;    /* the last one sent had it */
    bool restore_late;     /* it could not be sent right behind: another transaction than the RESET's may have taken it back */
    bool sync_failed;      /* with HOLD_SYNC: the server refuses what was to be set; `own_error` has its words, `sqlstate` its code */
    bool unnamed_here;     /* the server's unnamed statement is this client's */
    bool unnamed_was_here; /* ... was, before the last Parse of it */
    bool unnamed_fresh;    /* ... since a Parse in the group under way: an error skips what relies on it, too */
    bool reply_cut;        /* the server went in the middle of a message to the client */

    /* measured; times are worker_now's */
    char sqlstate[6];     /* of the error in the current request, "" if none */
    PwUsec request_start; /* of the oldest unanswered request; 0: none */
    PwUsec xact_start;    /* 0: not in a transaction */
    PwUsec idle_since;    /* last ReadyForQuery (idle or in a transaction) */
    PwUsec last_done, wait_usec; /* wait_usec: of a client that waits again, what is counted already */
    uint64_t done_in, done_out; /* stream.bytes_in/out when the last query was counted */
    uint64_t rows;
    QueryIdent *ident; /* database, user, application_name */
    struct RelayListen *listen; /* relay_listen.h; NULL: it does not listen by the shared connection */

    const char *close_text, *close_reason; /* set inside a loop, acted upon at its end */
    RelayGroup group;
    SessionState state;
    ParamSet params; /* what this client wants */
    ClientStatements statements; /* its named prepared statements */
    SqlNames names;              /* its SQL-level prepared statements */
    const char *user;            /* the login's, borrowed from the client */
    RelayExtended *ext;          /* NULL: no message of the extended protocol since the server was linked */
    RelayUnnamed *unnamed;       /* NULL: it has no unnamed statement, or one whose Parse is not kept */
    uint64_t id;             /* for statements that are shared with nobody; 0: not needed yet */
    RelayProbe *probe;       /* with HOLD_PROBE */
    const Settings *asked;   /* names of settings that the next full probe asks for (session/dotted.h); one reference */
    uint64_t suspect, pin_query; /* fingerprints: the last statement that may pin, the one that did */
    RelayOwnError *own_error; /* NULL: none is being told (relay_own_text) */
};

/* stream must be open and reading. */
void relay_init(Relay *r, const RelayOps *ops, PoolLocal *local, WorkerCtx *ctx);
/* Gives the server back (recovering it if need be) and frees what is held. Not the stream. */
void relay_finish(Relay *r);

void relay_client_input(Relay *r);   /* the client's socket is readable */
void relay_client_drained(Relay *r); /* its output buffer is empty again */

/* A server was granted after need_server. */
void relay_linked(Relay *r, Server *s, PwUsec waited);

/* Cancelled in the queue, or while its server is made ready: answers the request at the head of what is held with an error and
 * goes on. */
void relay_cancel_held(Relay *r);

/* OWN_ERROR_TEXT bytes for the text of an error that ends in relay_refuse or in a close. */
char *relay_own_text(Relay *r);

/* The wait for a server has failed: all requests received so far are answered with an error, and the client goes on. Also
 * from inside need_server, which then returns with HOLD_SERVER still set. */
void relay_refuse(Relay *r, const char *sqlstate, const char *text, const char *detail); /* detail: NULL, or more on it; not kept */

/* Looks at held requests again after a hold was cleared. */
void relay_pump(Relay *r);

/* Nothing of the client is under way or kept but its parameters and named statements: they are all that
 * another process would need to go on (client_handover.c). */
bool relay_is_at_rest(const Relay *r);

/* Whose it is. NULL: no client's, or it is asked something for a login (auth_query), or listens for many. */
const Relay *relay_of_server(const Server *s);

/* In a transaction, or a request is unanswered? */
static inline bool relay_is_busy(const Relay *r)
{
    return r->server && (r->server->txn_status != 'I' || !pipeline_is_clean(&r->server->pipeline));
}
/* It will be linked soon: fetches what that touches into the cache, then what it holds. */
static inline void relay_warm(const Relay *r)
{
    for (const char *p = (const char *)r; p < (const char *)&r->statements; p += 64)
        __builtin_prefetch(p);
}
static inline void relay_warm_held(const Relay *r)
{
    __builtin_prefetch(r->held.data);
}
/* Part of a message of the server has gone to the client: whatever came next would be taken for the rest of it. */
static inline bool relay_is_inside_reply(const Relay *r)
{
    return r->reply_cut || (r->server && server_is_inside_reply(r->server));
}
static inline bool relay_in_transaction(const Relay *r)
{
    return r->server && r->server->txn_status != 'I' && r->server->txn_status != 0;
}

#endif
