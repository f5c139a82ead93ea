/* SPDX-License-Identifier: ISC */
#include "pooler/session/pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"
#include "poolwise/wire.h"

#define FIRST_SIZE 16

/* Which backend messages may answer the head of each kind: `stays` leave it owed, `ends` complete it.
 * An ErrorResponse is handled apart: extended kinds end with it, the others stay until ReadyForQuery. */
typedef struct KindRow {
    const char *name;
    const char *stays;
    const char *ends;
    bool extended;
} KindRow;

static const KindRow kinds[] = {
    [PIPE_QUERY] = {"Query", "TDCIGHdcW", "Z", false},
    [PIPE_PARSE] = {"Parse", "", "1", true},
    [PIPE_BIND] = {"Bind", "", "2", true},
    [PIPE_DESCRIBE_STATEMENT] = {"Describe", "t", "Tn", true},
    [PIPE_DESCRIBE_PORTAL] = {"Describe", "", "Tn", true},
    [PIPE_EXECUTE] = {"Execute", "DGHdcW", "CIs", true},
    [PIPE_CLOSE] = {"Close", "", "3", true},
    [PIPE_FUNCTION] = {"FunctionCall", "V", "Z", false},
    [PIPE_SYNC] = {"Sync", "", "Z", false},
    [PIPE_COPY_END] = {"CopyDone", "", "", false},
};
_Static_assert(PW_ARRAY_LEN(kinds) == PIPE_KIND_COUNT, "one row a kind");

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
    p->skipping = p->copy_in = p->copy_ended = p->sync_in_copy = p->maybe_ready = p->ambiguous = p->open = false;
}

void pipeline_finish(Pipeline *p)
{
    pipeline_clear(p);
    free(p->ring);
    p->ring = NULL;
    p->size = p->head = 0;
}

static void grow(Pipeline *p)
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

void pipeline_push(Pipeline *p, PipelineKind kind, PipelineAction action, void *query, void *statement, PwUsec now)
{
    PipelineEntry e = {.kind = (uint8_t)kind, .action = (uint8_t)action, .query = query, .statement = statement, .sent = now};
    pipeline_push_entry(p, &e);
}

void pipeline_push_entry(Pipeline *p, const PipelineEntry *entry)
{
    PipelineEntry e = *entry;
    PipelineKind kind = (PipelineKind)e.kind;
    if (kinds[kind].extended)
        p->open = true;
    else if (kind == PIPE_SYNC)
        p->open = false;
    if (p->skipping) {
        if (kind != PIPE_SYNC) {
            drop(p, &e); /* the server discards it unread */
            return;
        }
        p->skipping = false;
        if (p->maybe_ready) /* one ReadyForQuery or two? */
            p->ambiguous = true;
        p->maybe_ready = false;
    }
    if (p->copy_in && !p->copy_ended && kind == PIPE_SYNC) {
        p->open = p->sync_in_copy = true; /* the server ignores it, unless the copy has failed meanwhile */
        drop(p, &e);
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
    *at(p, p->count++) = e;
    p->owed_ready += owes_ready(&e);
}

/* Markers that reached the head mark nothing any more. */
static void pop_markers(Pipeline *p)
{
    while (p->count && p->ring[p->head].kind == PIPE_COPY_END)
        pop(p);
}

/* The copy of the head is over; its marker, if it was sent, with it (a simple Query may copy again). */
static void end_copy(Pipeline *p)
{
    bool found = false;
    for (unsigned i = 1; i < p->count; i++) {
        if (found)
            *at(p, i - 1) = *at(p, i);
        else
            found = at(p, i)->kind == PIPE_COPY_END;
    }
    p->count -= found;
    p->copy_in = p->copy_ended = p->sync_in_copy = false;
}

/* CopyInResponse for the head: the Syncs queued behind it before the copy's end are ignored by the server. */
static void begin_copy_in(Pipeline *p)
{
    p->copy_in = true;
    p->copy_ended = p->sync_in_copy = false;
    unsigned kept = 1;
    for (unsigned i = 1; i < p->count; i++) {
        PipelineEntry e = *at(p, i);
        if (e.kind == PIPE_COPY_END)
            p->copy_ended = true;
        if (e.kind == PIPE_SYNC && !p->copy_ended) {
            p->owed_ready--;
            p->open = p->sync_in_copy = true;
            drop(p, &e);
            continue;
        }
        *at(p, kept++) = e;
    }
    p->count = kept;
}

static void on_error(Pipeline *p, const KindRow *row, PipelineEntry *ret_done, bool *ret_completed)
{
    bool maybe_ready = false;
    if (p->copy_in) {
        /* If something else than the copy's end follows a simple COPY: did it cause the error (and was eaten) or will
         * it still be run? And did the server read a Sync before it failed (and ignored it) or after? */
        if (!row->extended && p->count > 1 && !p->copy_ended)
            p->ambiguous = true;
        maybe_ready = row->extended && p->sync_in_copy;
        end_copy(p);
    }
    if (!row->extended)
        return; /* ReadyForQuery follows */
    *ret_done = pop(p);
    *ret_completed = true;
    while (p->count && p->ring[p->head].kind != PIPE_SYNC) {
        PipelineEntry e = pop(p);
        drop(p, &e);
    }
    p->skipping = p->count == 0;
    p->maybe_ready = maybe_ready && p->skipping;
    if (maybe_ready && !p->skipping)
        p->ambiguous = true;
}

PipelineVerdict pipeline_reply(Pipeline *p, uint8_t type, PipelineEntry *ret_done, bool *ret_completed)
{
    *ret_completed = false;
    pop_markers(p);
    if (p->count == 0) {
        /* An error out of the blue is the server saying good-bye; after an ambiguous copy a ReadyForQuery may come. */
        if (type == PW_B_ERROR)
            return PIPE_VERDICT_FORWARD;
        if (type == PW_B_READY && (p->ambiguous || p->maybe_ready)) {
            p->skipping = p->maybe_ready = false;
            p->open = false; /* that Sync counted after all */
            return PIPE_VERDICT_FORWARD;
        }
        return PIPE_VERDICT_MISMATCH;
    }
    PipelineEntry *head = &p->ring[p->head];
    const KindRow *row = &kinds[head->kind];
    PipelineVerdict verdict = head->action == PIPE_SWALLOW ? PIPE_VERDICT_SWALLOW : PIPE_VERDICT_FORWARD;
    if (type == PW_B_ERROR) {
        on_error(p, row, ret_done, ret_completed);
        return verdict;
    }
    if (type && strchr(row->ends, type)) {
        if (p->copy_in)
            end_copy(p);
        *ret_done = pop(p);
        *ret_completed = true;
        return verdict;
    }
    if (type && strchr(row->stays, type)) {
        if (type == PW_B_COPY_IN)
            begin_copy_in(p);
        else if (p->copy_in && type == PW_B_COMMAND_COMPLETE)
            end_copy(p); /* a simple Query goes on with its next statement */
        return verdict;
    }
    if (p->ambiguous && type == PW_B_READY)
        return verdict;
    return PIPE_VERDICT_MISMATCH;
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
