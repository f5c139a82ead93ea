/* SPDX-License-Identifier: ISC */
/* fuzz_pipeline.c - any requests and any replies in any order: the queue stays sound, each entry ends once, and a
 * mismatch is an answer like any other. A byte is a request (low half: kind, then action) or a reply (its type). */
#include <stdint.h>
#include <stdlib.h>

#include "pooler/session/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_STEPS 20000

typedef struct State {
    unsigned char *ended, *marker; /* per pushed entry */
    size_t pushed;
} State;

static void end(State *s, const PipelineEntry *e)
{
    size_t i = (size_t)(uintptr_t)e->query;
    if (i >= s->pushed || s->ended[i]++ || e->sent != (PwUsec)i)
        abort();
}

static void on_drop(void *arg, const PipelineEntry *e)
{
    end(arg, e);
}

static void check(const Pipeline *p)
{
    unsigned owed = 0;
    if (p->count > p->size || (p->size & (p->size - 1)) || (p->size && p->head >= p->size))
        abort();
    for (unsigned i = 0; i < p->count; i++) {
        uint8_t kind = p->ring[(p->head + i) & (p->size - 1)].kind;
        owed += kind == PIPE_QUERY || kind == PIPE_SYNC || kind == PIPE_FUNCTION;
    }
    if (owed != p->owed_ready)
        abort();
    if (pipeline_is_clean(p) && pipeline_head(p))
        abort();
    if (p->copy_in && !pipeline_head(p))
        abort();
}

static void push(Pipeline *p, State *s, uint8_t byte)
{
    PipelineKind kind = (PipelineKind)(byte % 16 % PIPE_KIND_COUNT);
    size_t number = s->pushed++;
    s->marker[number] = kind == PIPE_COPY_END;
    pipeline_push(p, kind, (PipelineAction)(byte / 16 % 3), (void *)(uintptr_t)number, NULL, (PwUsec)number);
}

static void step(Pipeline *p, State *s, uint8_t byte)
{
    static const uint8_t replies[] = "TDCIGHdcWZ123tnsVEZEG";
    PipelineEntry e;
    bool completed;
    if (byte < 64) {
        push(p, s, byte);
    } else if (byte == 255) {
        pipeline_clear(p);
        if (!pipeline_is_clean(p))
            abort();
    } else {
        while (pipeline_take_fake(p, &e)) /* whoever passes a reply on answers for himself first */
            end(s, &e);
        (void)pipeline_reply(p, byte >= 128 ? byte : replies[byte % (sizeof(replies) - 1)], &e, &completed);
        if (completed)
            end(s, &e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MAX_STEPS)
        size = MAX_STEPS;
    State s = {.ended = calloc(size + 1, 1), .marker = calloc(size + 1, 1)};
    if (!s.ended || !s.marker)
        abort();
    Pipeline p;
    pipeline_init(&p);
    p.on_drop = on_drop;
    p.arg = &s;
    for (size_t i = 0; i < size; i++) {
        step(&p, &s, data[i]);
        check(&p);
    }
    pipeline_finish(&p);
    for (size_t i = 0; i < s.pushed; i++)
        if (!s.ended[i] && !s.marker[i]) /* a marker owes nothing and may go silently */
            abort();
    free(s.ended);
    free(s.marker);
    return 0;
}
