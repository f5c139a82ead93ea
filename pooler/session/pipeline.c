/* SPDX-License-Identifier: ISC */
#include "pooler/session/pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"
#include "poolwise/wire.h"

#define FIRST_SIZE 16

/* Each backend message that can answer something is a bit, so that a test is one AND. */
enum {
    BIT_ROW_DESC = 1 << 0,
    BIT_DATA_ROW = 1 << 1,
    BIT_COMPLETE = 1 << 2,
    BIT_EMPTY = 1 << 3,
    BIT_COPY_IN = 1 << 4,
    BIT_COPY_OUT = 1 << 5,
    BIT_COPY_BOTH = 1 << 6,
    BIT_COPY_DATA = 1 << 7,
    BIT_COPY_DONE = 1 << 8,
    BIT_READY = 1 << 9,
    BIT_PARSE = 1 << 10,
    BIT_BIND = 1 << 11,
    BIT_CLOSE = 1 << 12,
    BIT_PARAM_DESC = 1 << 13,
    BIT_NO_DATA = 1 << 14,
    BIT_SUSPENDED = 1 << 15,
    BIT_FUNCTION = 1 << 16,
};

#define BITS_COPY (BIT_COPY_IN | BIT_COPY_OUT | BIT_COPY_BOTH | BIT_COPY_DATA | BIT_COPY_DONE)
/* Passed on without a further look while they stay: none of them changes the queue. */
#define BITS_BULK (BIT_ROW_DESC | BIT_DATA_ROW | BIT_COPY_DATA | BIT_COPY_DONE | BIT_FUNCTION)

static const uint32_t bit_of[256] = {
    [PW_B_ROW_DESC] = BIT_ROW_DESC,           [PW_B_DATA_ROW] = BIT_DATA_ROW,
    [PW_B_COMMAND_COMPLETE] = BIT_COMPLETE,   [PW_B_EMPTY_QUERY] = BIT_EMPTY,
    [PW_B_COPY_IN] = BIT_COPY_IN,             [PW_B_COPY_OUT] = BIT_COPY_OUT,
    [PW_B_COPY_BOTH] = BIT_COPY_BOTH,         [PW_B_COPY_DATA] = BIT_COPY_DATA,
    [PW_B_COPY_DONE] = BIT_COPY_DONE,         [PW_B_READY] = BIT_READY,
    [PW_B_PARSE_COMPLETE] = BIT_PARSE,        [PW_B_BIND_COMPLETE] = BIT_BIND,
    [PW_B_CLOSE_COMPLETE] = BIT_CLOSE,        [PW_B_PARAM_DESC] = BIT_PARAM_DESC,
    [PW_B_NO_DATA] = BIT_NO_DATA,             [PW_B_PORTAL_SUSPENDED] = BIT_SUSPENDED,
    [PW_B_FUNCTION_RESULT] = BIT_FUNCTION,
};

/* Which backend messages may answer the head of each kind: `stays` leave it owed, `ends` complete it.
 * An ErrorResponse is handled apart: extended kinds end with it, the others stay until ReadyForQuery. */
typedef struct KindRow {
    const char *name;
    uint32_t stays, ends;
    bool extended;
} KindRow;

static const KindRow kinds[] = {
    [PIPE_QUERY] = {"Query", BIT_ROW_DESC | BIT_DATA_ROW | BIT_COMPLETE | BIT_EMPTY | BITS_COPY, BIT_READY, false},
    [PIPE_PARSE] = {"Parse", 0, BIT_PARSE, true},
    [PIPE_BIND] = {"Bind", 0, BIT_BIND, true},
    [PIPE_DESCRIBE_STATEMENT] = {"Describe", BIT_PARAM_DESC, BIT_ROW_DESC | BIT_NO_DATA, true},
    [PIPE_DESCRIBE_PORTAL] = {"Describe", 0, BIT_ROW_DESC | BIT_NO_DATA, true},
    [PIPE_EXECUTE] = {"Execute", BIT_DATA_ROW | BITS_COPY, BIT_COMPLETE | BIT_EMPTY | BIT_SUSPENDED, true},
    [PIPE_CLOSE] = {"Close", 0, BIT_CLOSE, true},
    [PIPE_FUNCTION] = {"FunctionCall", BIT_FUNCTION, BIT_READY, false},
    [PIPE_SYNC] = {"Sync", 0, BIT_READY, false},
    [PIPE_REFUSED] = {"Bind", 0, 0, true},
    [PIPE_COPY_END] = {"CopyDone", 0, 0, false},
};
_Static_assert(PW_ARRAY_LEN(kinds) == PIPE_KIND_COUNT, "one row a kind");

/* With fewer bytes than this a look for runs of equal messages costs more than it saves. */
#define FEW_BYTES 1024

static inline size_t step_over(const uint8_t *bytes, size_t n, uint32_t bulk, bool runs, uint32_t payload_max, uint32_t *ret_left)
{
    size_t at = 0;
    PwRun run = {0};
    while (n - at >= PW_WIRE_HEADER && (bit_of[bytes[at]] & bulk)) {
        uint32_t len = pw_be32(bytes + at + 1);
        if (PW_UNLIKELY(len - 4 > payload_max)) /* also when len < 4 */
            break; /* the caller finds out */
        if (n - at - 1 < len) {
            *ret_left = len - (uint32_t)(n - at - 1);
            return n;
        }
        at += runs ? pw_run_step(&run, bytes + at, n - at, (size_t)len + 1) : (size_t)len + 1;
    }
    return at;
}

static __attribute__((noinline)) size_t step_over_many(const uint8_t *bytes, size_t n, uint32_t bulk, uint32_t payload_max, uint32_t *ret_left)
{
    return step_over(bytes, n, bulk, true, payload_max, ret_left);
}

size_t pipeline_bulk(const Pipeline *p, const uint8_t *bytes, size_t n, uint32_t payload_max, uint32_t *ret_left)
{
    const PipelineEntry *head = pipeline_head(p);
    if (!head || head->action != PIPE_FORWARD)
        return 0;
    uint32_t bulk = kinds[head->kind].stays & BITS_BULK;
    return PW_LIKELY(n < FEW_BYTES) ? step_over(bytes, n, bulk, false, payload_max, ret_left)
                                    : step_over_many(bytes, n, bulk, payload_max, ret_left);
}

const char *pipeline_kind_name(PipelineKind kind)
{
    return kinds[kind].name;
}

void pipeline_init(Pipeline *p)
{
    memset(p, 0, sizeof(*p));
}

static void drop(Pipeline *p, const PipelineEntry *e)
{
    if (p->on_drop)
        p->on_drop(p->arg, e);
}

static PipelineEntry *at(Pipeline *p, unsigned i)
{
    return &p->ring[(p->head + i) & (p->size - 1)];
}

static bool owes_ready(const PipelineEntry *e)
{
    return e->kind == PIPE_QUERY || e->kind == PIPE_SYNC || e->kind == PIPE_FUNCTION;
}

static PipelineEntry pop(Pipeline *p)
{
    PipelineEntry e = p->ring[p->head];
    p->owed_ready -= owes_ready(&e);
    p->head = (p->head + 1) & (p->size - 1);
    p->count--;
    return e;
}

void pipeline_clear(Pipeline *p)
{
    while (p->count) {
        PipelineEntry e = pop(p);
        drop(p, &e);
    }
    p->skipping = p->copy_in = p->copy_ended = p->maybe_ready = p->ambiguous = p->open = false;
    p->syncs_in_copy = 0;
}

void pipeline_finish(Pipeline *p)
{
    pipeline_clear(p);
    free(p->ring);
    p->ring = NULL;
    p->size = p->head = 0;
}

static PW_COLD void grow(Pipeline *p)
{
    unsigned size = p->size ? p->size * 2 : FIRST_SIZE;
    PipelineEntry *ring = pw_xmalloc(size * sizeof(*ring));
    for (unsigned i = 0; i < p->count; i++)
        ring[i] = *at(p, i);
    free(p->ring);
    p->ring = ring;
    p->size = size;
    p->head = 0;
}

/* A Sync sent to a server that copies in: it is ignored, unless the copy has failed before it is read. */
static PW_COLD void ignore_sync(Pipeline *p, const PipelineEntry *e)
{
    p->open = true;
    p->syncs_in_copy++;
    drop(p, e);
}

void pipeline_push(Pipeline *p, PipelineKind kind, PipelineAction action, void *query, void *statement, PwUsec now)
{
    PipelineEntry e = {.kind = (uint8_t)kind, .action = (uint8_t)action, .query = query, .statement = statement, .sent = now};
    pipeline_push_entry(p, &e);
}

void pipeline_push_entry(Pipeline *p, const PipelineEntry *entry)
{
    PipelineKind kind = (PipelineKind)entry->kind;
    if (kinds[kind].extended)
        p->open = true;
    else if (owes_ready(entry)) /* Query and FunctionCall commit what was open as Sync does */
        p->open = false;
    if (p->skipping) {
        if (kind != PIPE_SYNC) {
            if (p->maybe_ready && kind != PIPE_COPY_END)
                p->ambiguous = true; /* or does it not skip any more, and will it answer this? */
            drop(p, entry); /* the server discards it unread */
            return;
        }
        p->skipping = false;
        if (p->maybe_ready) /* one ReadyForQuery or two? */
            p->ambiguous = true;
        p->maybe_ready = false;
    }
    if (p->copy_in && !p->copy_ended && kind == PIPE_SYNC) {
        ignore_sync(p, entry);
        return;
    }
    if (kind == PIPE_COPY_END) {
        if (p->copy_in)
            p->copy_ended = true;
        if (!p->count)
            return; /* stray: ignored by the server */
    }
    if (p->count == p->size)
        grow(p);
    *at(p, p->count++) = *entry;
    p->owed_ready += owes_ready(entry);
}

/* Markers that reached the head mark nothing any more. */
static void pop_markers(Pipeline *p)
{
    while (p->count && p->ring[p->head].kind == PIPE_COPY_END)
        pop(p);
}

/* Takes n entries behind the head out of the queue. */
static void take_out(Pipeline *p, unsigned n)
{
    if (n == 0)
        return;
    for (unsigned i = n + 1; i < p->count; i++)
        *at(p, i - n) = *at(p, i);
    p->count -= n;
}

/* The copy of the head is over; its marker, if it was sent, with it (a simple Query may copy again). */
static PW_COLD void end_copy(Pipeline *p)
{
    take_out(p, p->count > 1 && at(p, 1)->kind == PIPE_COPY_END);
    p->copy_in = p->copy_ended = false;
    p->syncs_in_copy = 0;
}

/* CopyInResponse for the head: the Syncs right behind it, before the copy's end, are ignored by the server. (Behind any
 * other request they are not this copy's: it fails before that, or because of it.) */
static PW_COLD void begin_copy_in(Pipeline *p)
{
    p->copy_in = true;
    unsigned syncs = 0;
    while (syncs + 1 < p->count && at(p, syncs + 1)->kind == PIPE_SYNC) {
        PipelineEntry e = *at(p, ++syncs);
        p->owed_ready--;
        ignore_sync(p, &e);
    }
    take_out(p, syncs);
    p->copy_ended = p->count > 1 && at(p, 1)->kind == PIPE_COPY_END;
}

/* What is left of the group that failed is not answered. */
static void drop_to_sync(Pipeline *p)
{
    while (p->count && p->ring[p->head].kind != PIPE_SYNC) {
        PipelineEntry e = pop(p);
        drop(p, &e);
    }
    p->skipping = p->count == 0;
}

static PW_COLD void on_error(Pipeline *p, const KindRow *row, PipelineEntry *ret_done, bool *ret_completed)
{
    bool maybe_ready = false;
    if (p->copy_in) {
        /* If something else than the copy's end follows a simple COPY: did it cause the error (and was eaten) or will
         * it still be run? And did the server read a Sync before it failed (and ignored it) or after? Of one Sync
         * in an extended copy the next ReadyForQuery tells, unless more is sent before it comes. */
        if (row->extended ? p->syncs_in_copy > 1 : p->syncs_in_copy > 0 || (p->count > 1 && !p->copy_ended))
            p->ambiguous = true;
        maybe_ready = row->extended && p->syncs_in_copy > 0;
        end_copy(p);
    }
    if (!row->extended)
        return; /* ReadyForQuery follows */
    *ret_done = pop(p);
    *ret_completed = true;
    pop_markers(p);
    if (maybe_ready && p->count)
        p->ambiguous = true; /* are these skipped, or run behind that Sync? */
    drop_to_sync(p);
    p->maybe_ready = maybe_ready && p->skipping;
}

PipelineVerdict pipeline_reply(Pipeline *p, uint8_t type, PipelineEntry *ret_done, bool *ret_completed)
{
    *ret_completed = false;
    pop_markers(p);
    if (p->count == 0) {
        /* An error out of the blue is the server saying good-bye; after an ambiguous copy a ReadyForQuery may come. */
        if (type == PW_B_READY && (p->ambiguous || p->maybe_ready)) {
            p->skipping = p->maybe_ready = false;
            p->open = false; /* that Sync counted after all */
            return PIPE_VERDICT_FORWARD;
        }
        return type == PW_B_ERROR || p->ambiguous ? PIPE_VERDICT_FORWARD : PIPE_VERDICT_MISMATCH;
    }
    PipelineEntry *head = &p->ring[p->head];
    const KindRow *row = &kinds[head->kind];
    PipelineVerdict verdict = head->action == PIPE_SWALLOW ? PIPE_VERDICT_SWALLOW : PIPE_VERDICT_FORWARD;
    if (type == PW_B_ERROR) {
        on_error(p, row, ret_done, ret_completed);
        return verdict;
    }
    uint32_t bit = bit_of[type];
    if (row->ends & bit) {
        if (p->copy_in)
            end_copy(p);
        *ret_done = pop(p);
        *ret_completed = true;
        pop_markers(p); /* or the queue would not look clean */
        return verdict;
    }
    if (row->stays & bit) {
        if (type == PW_B_COPY_IN)
            begin_copy_in(p);
        else if (p->copy_in && type == PW_B_COMMAND_COMPLETE)
            end_copy(p); /* a simple Query goes on with its next statement */
        return verdict;
    }
    return p->ambiguous ? PIPE_VERDICT_FORWARD : PIPE_VERDICT_MISMATCH; /* which request it answers nobody knows */
}

const PipelineEntry *pipeline_end_last(Pipeline *p)
{
    if (p->count != 1 || p->skipping || p->copy_in || p->ambiguous)
        return NULL;
    const PipelineEntry *e = &p->ring[p->head];
    if ((e->kind != PIPE_QUERY && e->kind != PIPE_SYNC) || e->action != PIPE_FORWARD || e->effects || e->statement || e->name)
        return NULL;
    p->head = (p->head + 1) & (p->size - 1);
    p->count = p->owed_ready = 0;
    return e;
}

bool pipeline_withdraw(Pipeline *p)
{
    drop_to_sync(p);
    if (p->count)
        p->ring[p->head].action = PIPE_SWALLOW;
    return p->count > 0;
}

/* A Query or FunctionCall behind the message that fails is skipped like all others: it ends a group only if nothing in it failed. */
bool pipeline_may_skip(const Pipeline *p)
{
    if (p->open || p->skipping || pipeline_wants_copy(p))
        return true;
    for (unsigned i = p->count; i > 0; i--) {
        const PipelineEntry *e = &p->ring[(p->head + i - 1) & (p->size - 1)];
        if (e->kind == PIPE_SYNC)
            return false;
        if (kinds[e->kind].extended && e->action != PIPE_FAKE)
            return true;
    }
    return false;
}

bool pipeline_owes_client(const Pipeline *p)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->ring[(p->head + i) & (p->size - 1)].action == PIPE_FORWARD)
            return true;
    return false;
}

const PipelineEntry *pipeline_first_sent(const Pipeline *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        const PipelineEntry *e = &p->ring[(p->head + i) & (p->size - 1)];
        if (e->action != PIPE_FAKE && e->kind != PIPE_COPY_END)
            return e;
    }
    return NULL;
}

void pipeline_visit(Pipeline *p, void (*visit)(void *arg, PipelineEntry *entry), void *arg)
{
    for (unsigned i = 0; i < p->count; i++)
        visit(arg, at(p, i));
}

bool pipeline_take_fake(Pipeline *p, PipelineEntry *ret_entry)
{
    pop_markers(p);
    if (!p->count || p->ring[p->head].action != PIPE_FAKE)
        return false;
    *ret_entry = pop(p);
    return true;
}
