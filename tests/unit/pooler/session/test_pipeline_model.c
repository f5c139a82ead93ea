/* SPDX-License-Identifier: ISC */
/* test_pipeline_model.c - the queue of replies owed against a small model of PostgreSQL.
 *
 *   client --push--> [to server] --serve--> model of PostgreSQL --> [to client] --pipeline_reply--> compared
 *
 * The three steps are interleaved at random, so that each request may be pushed before, between and after the
 * replies to earlier ones. The model is written from the server's side (what it reads, and in which mode), not
 * from the queue's. Checked for each seed:
 *   - no reply is a mismatch, and each answers the request that the model answered with it;
 *   - whenever the queue says clean, the server will not say another word;
 *   - when the server has nothing left to say, the queue says clean;
 *   - each request is either done once or dropped once, whichever of the two ways there are takes a ReadyForQuery.
 * After a copy whose history the bytes do not tell (`ambiguous`) only the last two, and never clean again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pooler/session/pipeline.h"
#include "poolwise/wire.h"

#ifndef MODEL_SEEDS
#define MODEL_SEEDS 300000
#endif
#define MAX_REQUESTS 64
#define MAX_REPLIES 4096
#define NOBODY 0xffff

typedef struct Reply {
    uint8_t type;
    uint16_t request; /* whose; NOBODY: a farewell */
} Reply;

typedef struct World {
    uint64_t rng;
    Pipeline pipeline;
    unsigned char fate[MAX_REQUESTS]; /* times done or dropped */
    bool counted[MAX_REQUESTS];       /* pushed as an entry that must meet its fate */

    uint8_t requests[MAX_REQUESTS]; /* message types */
    unsigned n_requests, pushed, served;
    Reply replies[MAX_REPLIES];
    unsigned n_replies, delivered;

    /* the server */
    bool skipping, gone;
    int copying;      /* the request that copies in, -1: none */
    bool copy_simple; /* of a Query: what follows it in the Query decides the rest */
} World;

static unsigned n_ambiguous, n_clean, n_gone, n_last;
static bool tell; /* with MODEL_SEED in the environment: prints each step */

static uint32_t pick(World *w, uint32_t n)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return (uint32_t)((w->rng >> 11) % n);
}

static bool chance(World *w, uint32_t percent)
{
    return pick(w, 100) < percent;
}

/* ---- the server ---- */

static void say(World *w, uint8_t type, unsigned request)
{
    assert_true(w->n_replies < MAX_REPLIES);
    w->replies[w->n_replies++] = (Reply){type, (uint16_t)request};
}

static void refuse(World *w, unsigned request, bool extended)
{
    say(w, PW_B_ERROR, request);
    if (extended)
        w->skipping = true;
    else
        say(w, PW_B_READY, request);
}

static void copy_out(World *w, unsigned request)
{
    say(w, PW_B_COPY_OUT, request);
    for (unsigned i = pick(w, 3); i > 0; i--)
        say(w, PW_B_COPY_DATA, request);
    say(w, PW_B_COPY_DONE, request);
}

static void copy_in(World *w, unsigned request, bool simple)
{
    say(w, PW_B_COPY_IN, request);
    if (chance(w, 15)) { /* a view, or a trigger before the first row: fails before anything is read */
        refuse(w, request, !simple);
        return;
    }
    w->copying = (int)request;
    w->copy_simple = simple;
}

/* The statements of a simple Query, from wherever it is. */
static void run_query(World *w, unsigned request, bool first)
{
    if (first && chance(w, 10)) {
        say(w, PW_B_EMPTY_QUERY, request);
        say(w, PW_B_READY, request);
        return;
    }
    for (unsigned i = first ? 1 + pick(w, 3) : pick(w, 3); i > 0; i--) {
        switch (pick(w, 6)) {
        case 0:
            refuse(w, request, false);
            return;
        case 1:
            copy_out(w, request);
            say(w, PW_B_COMMAND_COMPLETE, request);
            break;
        case 2:
        case 3:
            copy_in(w, request, true);
            return; /* goes on when the copy ends */
        case 4:
            say(w, PW_B_ROW_DESC, request);
            for (unsigned k = pick(w, 3); k > 0; k--)
                say(w, PW_B_DATA_ROW, request);
            say(w, PW_B_COMMAND_COMPLETE, request);
            break;
        default:
            say(w, PW_B_COMMAND_COMPLETE, request);
            break;
        }
    }
    say(w, PW_B_READY, request);
}

static void run_execute(World *w, unsigned request)
{
    switch (pick(w, 7)) {
    case 0:
        say(w, PW_B_EMPTY_QUERY, request);
        return;
    case 1:
        say(w, PW_B_DATA_ROW, request);
        say(w, PW_B_PORTAL_SUSPENDED, request);
        return;
    case 2:
        copy_out(w, request);
        break;
    case 3:
    case 4:
        copy_in(w, request, false);
        return;
    default:
        for (unsigned k = pick(w, 3); k > 0; k--)
            say(w, PW_B_DATA_ROW, request);
        break;
    }
    if (chance(w, 10))
        refuse(w, request, true);
    else
        say(w, PW_B_COMMAND_COMPLETE, request);
}

/* One message read by a server that copies in. */
static void serve_copying(World *w, uint8_t type)
{
    unsigned request = (unsigned)w->copying;
    bool simple = w->copy_simple;
    switch (type) {
    case PW_F_SYNC:
    case PW_F_FLUSH:
        return;
    case PW_F_COPY_DATA:
        if (!chance(w, 12))
            return;
        break; /* a row that it does not like */
    case PW_F_COPY_DONE:
        if (chance(w, 15))
            break;
        w->copying = -1;
        say(w, PW_B_COMMAND_COMPLETE, request);
        if (simple)
            run_query(w, request, false);
        return;
    case PW_F_COPY_FAIL:
        break;
    default: /* "unexpected message type during COPY", and the end of the connection */
        say(w, PW_B_ERROR, request);
        say(w, PW_B_ERROR, NOBODY);
        w->gone = true;
        return;
    }
    w->copying = -1;
    refuse(w, request, !simple);
}

static void serve(World *w)
{
    unsigned request = w->served++;
    uint8_t type = w->requests[request];
    if (tell)
        print_message("  serve %u '%c'%s\n", request, type,
                      w->copying >= 0 ? ", copying" : w->skipping && type != PW_F_SYNC ? ", skipped" : "");
    bool error = chance(w, 8);
    if (w->copying >= 0) {
        serve_copying(w, type);
        return;
    }
    if (w->skipping && type != PW_F_SYNC)
        return;
    switch (type) {
    case PW_F_QUERY:
        run_query(w, request, true);
        return;
    case PW_F_FUNCTION:
        if (!error)
            say(w, PW_B_FUNCTION_RESULT, request);
        else
            say(w, PW_B_ERROR, request);
        say(w, PW_B_READY, request);
        return;
    case PW_F_SYNC:
        if (error && !w->skipping)
            say(w, PW_B_ERROR, request); /* a deferred constraint */
        w->skipping = false;
        say(w, PW_B_READY, request);
        return;
    case PW_F_FLUSH:
    case PW_F_COPY_DATA:
    case PW_F_COPY_DONE:
    case PW_F_COPY_FAIL:
        return;
    default:
        break;
    }
    if (error) {
        refuse(w, request, true);
        return;
    }
    switch (type) {
    case PW_F_PARSE:
        say(w, PW_B_PARSE_COMPLETE, request);
        return;
    case PW_F_BIND:
        say(w, PW_B_BIND_COMPLETE, request);
        return;
    case PW_F_CLOSE:
        say(w, PW_B_CLOSE_COMPLETE, request);
        return;
    case PW_F_DESCRIBE: /* of a statement or of a portal: see kind_of */
        if (request % 2)
            say(w, PW_B_PARAM_DESC, request);
        say(w, chance(w, 50) ? PW_B_ROW_DESC : PW_B_NO_DATA, request);
        return;
    default:
        run_execute(w, request);
        return;
    }
}

/* Has the server said its last word, whatever it still has to read? */
static bool server_is_done(const World *w)
{
    if (w->copying >= 0 || w->skipping || w->delivered < w->n_replies)
        return false;
    for (unsigned i = w->served; i < w->pushed; i++) {
        uint8_t type = w->requests[i];
        if (type != PW_F_FLUSH && type != PW_F_COPY_DATA && type != PW_F_COPY_DONE && type != PW_F_COPY_FAIL)
            return false;
    }
    return true;
}

/* ---- the client and the queue ---- */

static int kind_of(uint8_t type, unsigned request)
{
    switch (type) {
    case PW_F_QUERY:
        return PIPE_QUERY;
    case PW_F_PARSE:
        return PIPE_PARSE;
    case PW_F_BIND:
        return PIPE_BIND;
    case PW_F_DESCRIBE:
        return request % 2 ? PIPE_DESCRIBE_STATEMENT : PIPE_DESCRIBE_PORTAL;
    case PW_F_EXECUTE:
        return PIPE_EXECUTE;
    case PW_F_CLOSE:
        return PIPE_CLOSE;
    case PW_F_FUNCTION:
        return PIPE_FUNCTION;
    case PW_F_SYNC:
        return PIPE_SYNC;
    case PW_F_COPY_DONE:
    case PW_F_COPY_FAIL:
        return PIPE_COPY_END;
    default:
        return -1;
    }
}

static void *tag(unsigned request)
{
    return (void *)(uintptr_t)(request + 1);
}

static unsigned untag(const PipelineEntry *e)
{
    return (unsigned)(uintptr_t)e->query - 1;
}

static void on_drop(void *arg, const PipelineEntry *e)
{
    World *w = arg;
    assert_true(e->query != NULL);
    w->fate[untag(e)]++;
}

static void push(World *w)
{
    unsigned request = w->pushed++;
    int kind = kind_of(w->requests[request], request);
    if (kind < 0)
        return;
    if (tell)
        print_message("push %u %s\n", request, pipeline_kind_name((PipelineKind)kind));
    w->counted[request] = kind != PIPE_COPY_END; /* a marker owes nothing and may go silently */
    pipeline_push(&w->pipeline, (PipelineKind)kind, PIPE_FORWARD, tag(request), NULL, (PwUsec)request);
}

/* The entry that the next reply will be held against: markers do not count. */
static const PipelineEntry *head(const Pipeline *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        const PipelineEntry *e = &p->ring[(p->head + i) & (p->size - 1)];
        if (e->kind != PIPE_COPY_END)
            return e;
    }
    return NULL;
}

static void deliver(World *w)
{
    Reply reply = w->replies[w->delivered++];
    const PipelineEntry *h = head(&w->pipeline);
    if (tell)
        print_message("    reply '%c' to %u%s\n", reply.type, reply.request, w->pipeline.ambiguous ? ", ambiguous" : "");
    /* a Sync that was dropped as ignored turns out to have counted */
    bool late = w->pipeline.maybe_ready && reply.type == PW_B_READY && !h;
    bool certain = !w->pipeline.ambiguous && reply.request != NOBODY && !late;
    if (certain) {
        assert_non_null(h);
        assert_int_equal(untag(h), reply.request);
    }
    const PipelineEntry *last = reply.type == PW_B_READY && chance(w, 50) ? pipeline_end_last(&w->pipeline) : NULL;
    if (last) {
        n_last++;
        assert_true(certain && untag(last) == reply.request);
        assert_true(pipeline_is_clean(&w->pipeline));
        w->fate[untag(last)]++;
        return;
    }
    PipelineEntry done;
    bool completed;
    PipelineVerdict verdict = pipeline_reply(&w->pipeline, reply.type, &done, &completed);
    assert_int_not_equal(verdict, PIPE_VERDICT_MISMATCH);
    if (completed) {
        if (certain)
            assert_int_equal(untag(&done), reply.request);
        w->fate[untag(&done)]++;
    }
}

static void check(const World *w)
{
    const Pipeline *p = &w->pipeline;
    unsigned owed = 0;
    for (unsigned i = 0; i < p->count; i++) {
        uint8_t kind = p->ring[(p->head + i) & (p->size - 1)].kind;
        owed += kind == PIPE_QUERY || kind == PIPE_SYNC || kind == PIPE_FUNCTION;
    }
    assert_int_equal(owed, p->owed_ready);
    if (w->gone)
        return;
    if (pipeline_is_clean(p))
        assert_true(server_is_done(w));
    else if (!p->ambiguous && p->count == 0)
        assert_false(server_is_done(w));
}

/* ---- scripts ---- */

static void add(World *w, uint8_t type)
{
    if (w->n_requests < MAX_REQUESTS)
        w->requests[w->n_requests++] = type;
}

static void add_copy_tail(World *w)
{
    for (unsigned i = pick(w, 4); i > 0; i--)
        add(w, PW_F_COPY_DATA);
    if (chance(w, 20))
        add(w, PW_F_SYNC);
    add(w, chance(w, 80) ? PW_F_COPY_DONE : PW_F_COPY_FAIL);
}

static void add_group(World *w)
{
    static const uint8_t parts[] = {PW_F_PARSE, PW_F_BIND, PW_F_DESCRIBE, PW_F_EXECUTE, PW_F_CLOSE, PW_F_FLUSH};
    switch (pick(w, 6)) {
    case 0: /* simple, perhaps a copy */
        add(w, PW_F_QUERY);
        if (chance(w, 50))
            add_copy_tail(w);
        return;
    case 1: /* as libpq does it: Sync before and after */
        add(w, PW_F_PARSE);
        add(w, PW_F_BIND);
        add(w, PW_F_EXECUTE);
        add(w, PW_F_SYNC);
        add_copy_tail(w);
        add(w, PW_F_SYNC);
        return;
    case 2: /* a copy in the middle of a group */
        add(w, PW_F_EXECUTE);
        add_copy_tail(w);
        add(w, PW_F_SYNC);
        return;
    case 3:
        add(w, chance(w, 50) ? PW_F_FUNCTION : PW_F_SYNC);
        return;
    case 4: /* a stray one */
        add_copy_tail(w);
        return;
    default:
        for (unsigned i = 1 + pick(w, 6); i > 0; i--)
            add(w, parts[pick(w, sizeof(parts))]);
        if (chance(w, 85))
            add(w, PW_F_SYNC);
        return;
    }
}

static void step(World *w)
{
    bool can_push = w->pushed < w->n_requests && !w->gone;
    bool can_serve = w->served < w->pushed && !w->gone;
    bool can_deliver = w->delivered < w->n_replies;
    for (;;) {
        switch (pick(w, 3)) {
        case 0:
            if (can_push) {
                push(w);
                return;
            }
            break;
        case 1:
            if (can_serve) {
                serve(w);
                return;
            }
            break;
        default:
            if (can_deliver) {
                deliver(w);
                return;
            }
            break;
        }
    }
}

static void run(uint64_t seed)
{
    static World world;
    World *w = &world;
    memset(w, 0, sizeof(*w));
    w->rng = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    w->copying = -1;
    pipeline_init(&w->pipeline);
    w->pipeline.on_drop = on_drop;
    w->pipeline.arg = w;
    for (unsigned i = 1 + pick(w, 8); i > 0; i--)
        add_group(w);
    while ((!w->gone && w->served < w->n_requests) || w->delivered < w->n_replies) {
        step(w);
        check(w);
    }
    n_ambiguous += w->pipeline.ambiguous;
    n_gone += w->gone;
    n_clean += pipeline_is_clean(&w->pipeline);
    if (!w->gone && !w->pipeline.ambiguous)
        assert_int_equal(pipeline_is_clean(&w->pipeline), server_is_done(w));
    pipeline_finish(&w->pipeline);
    for (unsigned i = 0; i < w->pushed; i++)
        if (w->counted[i])
            assert_int_equal(w->fate[i], 1);
}

static uint64_t running; /* what to set MODEL_SEED to, to see one failure again */

static int tell_seed(void **state)
{
    (void)state;
    if (running && running <= MODEL_SEEDS)
        print_message("failed with MODEL_SEED=%llu\n", (unsigned long long)running);
    return 0;
}

static void test_model(void **state)
{
    (void)state;
    const char *only = getenv("MODEL_SEED");
    if (only) {
        tell = true;
        run(strtoull(only, NULL, 10));
        return;
    }
    for (running = 1; running <= MODEL_SEEDS; running++)
        run(running);
    print_message("%d seeds: %u ended clean, %u ambiguous, %u with the connection's end, %u requests that were the last\n", MODEL_SEEDS, n_clean,
                  n_ambiguous, n_gone, n_last);
    assert_true(n_clean > MODEL_SEEDS / 10); /* the scripts reach what they are for */
    assert_true(n_last > MODEL_SEEDS / 100);
    assert_true(n_ambiguous > MODEL_SEEDS / 1000);
    assert_true(n_ambiguous < MODEL_SEEDS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_model, tell_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
