/* SPDX-License-Identifier: ISC */
/* pipeline.h - the replies a server owes: a queue with one entry per request that was forwarded.
 *
 * A pure data structure of one server connection; its worker only. Every backend message is held against
 * the head of the queue; a message that cannot answer it is a mismatch and the server is closed.
 *
 *   pushed ->  [Parse][Bind][Execute][Sync][Query] -> answered from the left
 *
 * PostgreSQL's rules that it models (documentation, "Message Flow"; tcop/postgres.c, copyfromparse.c):
 * - an error in an extended message discards everything up to the next Sync, Query and FunctionCall too;
 * - a simple Query, a FunctionCall and a Sync owe one ReadyForQuery each; an error in them discards nothing;
 * - while copying in, Sync and Flush are ignored until CopyDone or CopyFail; afterwards stray CopyData,
 *   CopyDone and CopyFail are ignored.
 * Where the bytes on the wire do not tell which of two histories happened (a Sync sent while a copy was
 * failing) the queue is marked `ambiguous`: everything is still relayed to the same client, but the server
 * is never given to another one. */
#ifndef POOLER_SESSION_PIPELINE_H
#define POOLER_SESSION_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "poolwise/err.h"
#include "poolwise/time.h"

typedef enum PipelineKind {
    PIPE_QUERY,
    PIPE_PARSE,
    PIPE_BIND,
    PIPE_DESCRIBE_STATEMENT,
    PIPE_DESCRIBE_PORTAL,
    PIPE_EXECUTE,
    PIPE_CLOSE,
    PIPE_FUNCTION,
    PIPE_SYNC,
    PIPE_REFUSED,  /* Bind that the server will refuse: the pooler has its own text for the client (in `statement`) */
    PIPE_COPY_END, /* CopyDone or CopyFail: owes nothing, marks a place */
    PIPE_KIND_COUNT
} PipelineKind;

typedef enum PipelineAction {
    PIPE_FORWARD, /* the reply is the client's */
    PIPE_SWALLOW, /* the request was the pooler's own: the client does not see the reply */
    PIPE_FAKE,    /* nothing was sent: the pooler itself answers when the entry reaches the head */
} PipelineAction;

typedef struct PipelineEntry {
    uint8_t kind;    /* PipelineKind */
    uint8_t action;  /* PipelineAction */
    bool replaces;   /* Parse behind a Close of an older plan of the same statement; of the unnamed one: behind another one of this client's */
    uint32_t max_rows; /* Execute: rows that it asks for at most; 0: all */
    void *query;     /* what the request runs (a QueryEntry), or NULL; borrowed */
    void *statement; /* prepared statement the entry is about (a Statement), or NULL; a reference of the entry's.
                      * PIPE_REFUSED: a PwBuf with the ErrorResponse, the entry's own */
    void *name;      /* the client's name for it (a ClientStatement), or NULL; a reference of the entry's. Of Parse, Close, Describe */
    void *effects; /* what it does to the session (an Effects), or NULL; a reference of the entry's */
    uint64_t statement_id; /* Statement.id that the request uses, 0: none */
    uint64_t plan;         /* ServerStatement.since of it; Parse of the unnamed one: Relay.unnamed_turn; Close of a name of
                            * SQL's (which has effects): its digest */
    PwUsec sent;
} PipelineEntry;

typedef struct Pipeline {
    PipelineEntry *ring; /* [size], a power of two; NULL while never used */
    unsigned size, head, count;
    bool skipping;     /* an extended message failed and no Sync is queued yet */
    bool copy_in;      /* the head is copying in */
    bool copy_ended;   /* ... and CopyDone or CopyFail was sent for it */
    unsigned syncs_in_copy; /* ... and Syncs that were sent before that */
    bool maybe_ready;  /* skipping, but a Sync sent during the failed copy may have ended that already */
    bool ambiguous;
    unsigned owed_ready; /* entries that owe a ReadyForQuery */
    bool open; /* extended messages were sent since the last Sync, Query or FunctionCall: a transaction may be open of which
                * ReadyForQuery has not told */
    void (*on_drop)(void *arg, const PipelineEntry *entry); /* an error discarded it, or pipeline_clear; may be NULL */
    void *arg;
} Pipeline;

void pipeline_init(Pipeline *p);
void pipeline_finish(Pipeline *p);
void pipeline_clear(Pipeline *p); /* forgets everything owed */

/* A request goes to the server. Requests that the server will discard are not queued (and dropped at once). */
void pipeline_push_entry(Pipeline *p, const PipelineEntry *entry);
void pipeline_push(Pipeline *p, PipelineKind kind, PipelineAction action, void *query, void *statement, PwUsec now);

typedef enum PipelineVerdict {
    PIPE_VERDICT_FORWARD,
    PIPE_VERDICT_SWALLOW,
    PIPE_VERDICT_MISMATCH, /* nothing owed can be answered by this message */
} PipelineVerdict;

/* A backend message arrived. When it completes an entry, *ret_done gets a copy and *ret_completed is true.
 * Notice, ParameterStatus and Notification are not for here: they come at any time. */
PipelineVerdict pipeline_reply(Pipeline *p, uint8_t type, PipelineEntry *ret_done, bool *ret_completed);

/* What pipeline_reply does with a ReadyForQuery, by a short way: when all that is owed is the end of one simple Query of the client's, or
 * one Sync, and nothing else hangs on it, takes that off the queue, which is clean then. The entry is good until the next push. NULL: it is
 * not so, nothing was done. */
const PipelineEntry *pipeline_end_last(Pipeline *p);

/* Rows, copied data and the like for a client: may simply be passed on, the queue stays as it is. How many of the n bytes, which
 * begin with a message, are of that kind; *ret_left: how much of the last one is still to come. None has a longer payload than
 * `payload_max`, or a length that cannot be. */
size_t pipeline_bulk(const Pipeline *p, const uint8_t *bytes, size_t n, uint32_t payload_max, uint32_t *ret_left);

/* The entry at the head if it is FAKE: taken off and copied to *ret_entry. */
bool pipeline_take_fake(Pipeline *p, PipelineEntry *ret_entry);

/* The request at the head failed, and its group will be sent again: drops all up to its Sync, whose ReadyForQuery is then nobody's.
 * False: it has no Sync yet; the caller sends one of its own. */
bool pipeline_withdraw(Pipeline *p);

/* May what is sent now be skipped, because of an error in an extended message behind which no Sync was sent? */
bool pipeline_may_skip(const Pipeline *p);

/* Is anything owed that was not the pooler's own? */
bool pipeline_owes_client(const Pipeline *p);

/* The first entry that is not FAKE, NULL. */
const PipelineEntry *pipeline_first_sent(const Pipeline *p);

/* Calls `visit` for each entry, head first; it may change what the entry points to, nothing else. */
void pipeline_visit(Pipeline *p, void (*visit)(void *arg, PipelineEntry *entry), void *arg);

static inline const PipelineEntry *pipeline_head(const Pipeline *p)
{
    return p->count ? &p->ring[p->head] : NULL;
}

/* Nothing owed, nothing being skipped, no copy: with an idle transaction status the server may change hands. */
static inline bool pipeline_is_clean(const Pipeline *p)
{
    return p->count == 0 && !p->skipping && !p->copy_in && !p->ambiguous;
}

/* Copies in, and the end of the data was not sent: the client must be read. */
static inline bool pipeline_wants_copy(const Pipeline *p)
{
    return p->copy_in && !p->copy_ended;
}

const char *pipeline_kind_name(PipelineKind kind);

#endif
