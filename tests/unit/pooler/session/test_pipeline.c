/* SPDX-License-Identifier: ISC */
/* test_pipeline.c - each rule of pipeline.h by itself. A conversation is a string:
 *
 *   upper row   requests: Q P B d(escribe statement) D(escribe portal) E C F S, c for CopyDone or CopyFail
 *   lower row   replies, by their bytes on the wire
 *
 * Entries carry their place in the conversation, so that it is seen which one was done and which dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pooler/session/pipeline.h"
#include "poolwise/wire.h"

typedef struct Fixture {
    Pipeline p;
    uint32_t payload_max;
    char done[4096], dropped[4096]; /* letters of the requests, in order */
    uintptr_t next;
    char letter[200000];
} Fixture;

static Fixture f;

static void on_drop(void *arg, const PipelineEntry *e)
{
    Fixture *x = arg;
    uintptr_t i = (uintptr_t)e->query;
    size_t n = strlen(x->dropped);
    if (n + 1 < sizeof(x->dropped))
        x->dropped[n] = x->letter[i];
}

static int start(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    pipeline_init(&f.p);
    f.p.on_drop = on_drop;
    f.p.arg = &f;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pipeline_finish(&f.p);
    return 0;
}

static PipelineKind kind_of(char letter)
{
    static const char letters[] = "QPBdDECFSc";
    static const PipelineKind kinds[] = {PIPE_QUERY,   PIPE_PARSE, PIPE_BIND,     PIPE_DESCRIBE_STATEMENT, PIPE_DESCRIBE_PORTAL,
                                         PIPE_EXECUTE, PIPE_CLOSE, PIPE_FUNCTION, PIPE_SYNC,               PIPE_COPY_END};
    const char *at = strchr(letters, letter);
    assert_true(letter && at);
    return kinds[at - letters];
}

static void push_as(char letter, PipelineAction action)
{
    f.letter[f.next] = letter;
    pipeline_push(&f.p, kind_of(letter), action, (void *)f.next++, NULL, 0);
}

static void push(const char *letters)
{
    for (; *letters; letters++)
        push_as(*letters, PIPE_FORWARD);
}

static PipelineVerdict reply(char type)
{
    PipelineEntry e;
    bool completed;
    PipelineVerdict v = pipeline_reply(&f.p, (uint8_t)type, &e, &completed);
    size_t n = strlen(f.done);
    if (completed && n + 1 < sizeof(f.done))
        f.done[n] = f.letter[(uintptr_t)e.query];
    return v;
}

static void replies(const char *types)
{
    for (; *types; types++)
        assert_int_equal(reply(*types), PIPE_VERDICT_FORWARD);
}

#define CLEAN() assert_true(pipeline_is_clean(&f.p))
#define NOT_CLEAN() assert_false(pipeline_is_clean(&f.p))
#define DONE(text) assert_string_equal(f.done, text)
#define DROPPED(text) assert_string_equal(f.dropped, text)

/* ---- ordinary ---- */

static void test_each_kind(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"Q", "Z"},       {"Q", "TDDCZ"}, {"Q", "IZ"},   {"Q", "CTCZ"}, {"Q", "HddcCZ"}, {"Q", "EZ"},   {"Q", "TDEZ"},
        {"P", "1"},       {"B", "2"},     {"C", "3"},    {"d", "tT"},   {"d", "tn"},     {"D", "T"},    {"D", "n"},
        {"E", "DDC"},     {"E", "I"},     {"E", "Ds"},   {"E", "C"},    {"E", "HdcC"},   {"F", "VZ"},   {"F", "EZ"},
        {"S", "Z"},       {"S", "EZ"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        stop(NULL);
        start(NULL);
        push(cases[i].request);
        for (const char *p = cases[i].answer; *p; p++) {
            NOT_CLEAN();
            assert_int_equal(reply(*p), PIPE_VERDICT_FORWARD);
        }
        DONE(cases[i].request);
        DROPPED("");
        CLEAN();
        assert_int_equal(f.p.owed_ready, 0);
    }
}

/* Every backend message against every kind: what may not answer is a mismatch and changes nothing. */
static void test_mismatch(void **state)
{
    (void)state;
    static const char *const rows[] = {"QTDCIGHdcWZE", "P1E", "B2E", "dtTnE", "DTnE", "EDGHdcWCIsE", "C3E", "FVZE", "SZE"};
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        for (unsigned type = 0; type < 256; type++) {
            stop(NULL);
            start(NULL);
            push((char[]){rows[i][0], '\0'});
            bool allowed = type && strchr(rows[i] + 1, (int)type);
            PipelineVerdict v = reply((char)type);
            assert_int_equal(v, allowed ? PIPE_VERDICT_FORWARD : PIPE_VERDICT_MISMATCH);
            if (!allowed) {
                assert_int_equal(f.p.count, 1);
                DONE("");
            }
        }
    }
}

static void test_nothing_owed(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++)
        assert_int_equal(reply((char)type), type == PW_B_ERROR ? PIPE_VERDICT_FORWARD : PIPE_VERDICT_MISMATCH);
    CLEAN(); /* an error out of the blue is FATAL: the end of the connection follows */
}

static void test_pipeline_of_all(void **state)
{
    (void)state;
    push("QPdBDECSFS");
    replies("TDCZ" "1" "tT" "2" "n" "DC" "3" "Z" "VZ");
    NOT_CLEAN();
    replies("Z");
    DONE("QPdBDECSFS");
    CLEAN();
}

static void test_portal_suspended(void **state)
{
    (void)state;
    push("BEEES");
    replies("2" "DDs" "DDs" "DC" "Z");
    DONE("BEEES");
    CLEAN();
}

/* ---- errors ---- */

static void test_skip_until_sync(void **state)
{
    (void)state;
    push("PBESPBES");
    replies("1E");
    DONE("PB");
    DROPPED("E");
    replies("Z12CZ");
    DONE("PBSPBES");
    DROPPED("E");
    CLEAN();
}

/* A Query or FunctionCall between the error and the Sync is not read either, and owes no ReadyForQuery. */
static void test_skip_discards_query_and_function(void **state)
{
    (void)state;
    push("PQFPS");
    assert_int_equal(f.p.owed_ready, 3);
    replies("E");
    assert_int_equal(f.p.owed_ready, 1);
    DROPPED("QFP");
    replies("Z");
    CLEAN();
}

static void test_skip_requests_not_yet_sent(void **state)
{
    (void)state;
    push("PB");
    replies("E");
    NOT_CLEAN(); /* a Sync must follow */
    push("EQFC");
    DROPPED("BEQFC");
    assert_int_equal(f.p.count, 0);
    NOT_CLEAN();
    assert_int_equal(reply('Z'), PIPE_VERDICT_MISMATCH);
    push("S");
    NOT_CLEAN();
    replies("Z");
    CLEAN();
    push("Q");
    replies("CZ");
    DONE("PSQ");
}

static void test_error_in_simple_discards_nothing(void **state)
{
    (void)state;
    push("QQFPS");
    replies("EZ" "CZ" "EZ" "1Z");
    DONE("QQFPS");
    DROPPED("");
}

static void test_error_in_sync(void **state)
{
    (void)state;
    push("SPS");
    replies("EZ1Z");
    DONE("SPS");
    DROPPED("");
}

/* ---- copy in ---- */

static void test_copy_simple(void **state)
{
    (void)state;
    push("Q");
    replies("G");
    assert_true(f.p.copy_in);
    push("c");
    replies("C");
    assert_false(f.p.copy_in);
    NOT_CLEAN();
    replies("Z");
    CLEAN(); /* the marker is gone too */
    push("Qc");
    replies("GCZ");
    CLEAN();
    push("Qc");
    replies("GEZ");
    CLEAN();
    DROPPED("");
}

static void test_copy_twice_in_one_query(void **state)
{
    (void)state;
    push("Q");
    replies("G");
    push("c");
    replies("CG");
    assert_true(f.p.copy_in);
    assert_false(f.p.copy_ended); /* that CopyDone was the first copy's */
    push("c");
    assert_true(f.p.copy_ended);
    replies("CTDCZ");
    CLEAN();
    push("Qcc");
    replies("GCG");
    assert_true(f.p.copy_ended);
    replies("CZ");
    CLEAN();
}

static void test_copy_fails_then_next_query(void **state)
{
    (void)state;
    push("QcQ");
    replies("GE");
    NOT_CLEAN();
    replies("Z" "CZ");
    DONE("QQ");
    CLEAN();
}

static void test_copy_extended(void **state)
{
    (void)state;
    push("PBE");
    replies("12G");
    push("cS");
    replies("CZ");
    DONE("PBES");
    CLEAN();
    push("PBEcS");
    replies("12GCZ");
    CLEAN();
}

/* Syncs before the copy's end are ignored by the server, those behind it count. */
static void test_copy_extended_sync_before(void **state)
{
    (void)state;
    push("PBES");
    replies("12G");
    DROPPED("S");
    assert_int_equal(f.p.owed_ready, 0);
    assert_true(f.p.open); /* whoever winds this up has to send a Sync */
    push("SScS");
    DROPPED("SSS");
    replies("CZ");
    CLEAN();
    assert_false(f.p.open);
    push("PBEScSQ");
    replies("12GC" "Z" "CZ");
    CLEAN();
}

/* What stands behind another request is not this copy's. */
static void test_copy_then_other_copy(void **state)
{
    (void)state;
    push("QEScS");
    replies("GE"); /* refused before anything was read, or because of Execute: PostgreSQL up to 13 goes on after that */
    assert_true(f.p.ambiguous);
    DROPPED("");
    replies("ZG");
    DROPPED("S");
    replies("CZ");
    DONE("QES");
    NOT_CLEAN();
}

/* The copy failed. Was the Sync that was sent meanwhile read before? If nothing else was sent, ReadyForQuery tells. */
static void test_copy_fails_before_sync_was_read(void **state)
{
    (void)state;
    push("PBES");
    replies("12GE");
    NOT_CLEAN();
    replies("Z");
    CLEAN();
    assert_false(f.p.ambiguous);
    push("Q");
    replies("CZ");
    CLEAN();
}

static void test_copy_fails_after_sync_was_read(void **state)
{
    (void)state;
    push("PBES");
    replies("12GE");
    push("c"); /* discarded or ignored, as it may be */
    assert_false(f.p.ambiguous);
    push("S");
    assert_true(f.p.ambiguous); /* one ReadyForQuery or two */
    replies("ZZ");
    NOT_CLEAN();
}

static void test_request_between_failed_copy_and_its_sync(void **state)
{
    (void)state;
    push("PBES");
    replies("12GE");
    push("P"); /* skipped, or answered because the Sync counted */
    assert_true(f.p.ambiguous);
    replies("Z1");
    NOT_CLEAN();
    stop(NULL);
    start(NULL);
    push("PBESP");
    replies("12GE");
    assert_true(f.p.ambiguous);
}

static void test_copy_simple_ignored_sync(void **state)
{
    (void)state;
    push("Q");
    replies("G");
    push("S");
    DROPPED("S");
    push("c");
    replies("CZ");
    CLEAN(); /* it was ignored for certain: the copy was read to its end */
    push("QS");
    replies("GE");
    assert_true(f.p.ambiguous);
    replies("ZZ");
    NOT_CLEAN();
}

static void test_something_else_than_the_copys_end(void **state)
{
    (void)state;
    push("QQ");
    replies("GE");
    assert_true(f.p.ambiguous);
    NOT_CLEAN();
    replies("ZTDCZ"); /* whatever comes is the client's, never a mismatch */
    replies("1AZ");
    NOT_CLEAN();
    pipeline_clear(&f.p);
    CLEAN();
}

static void test_stray_copy_end(void **state)
{
    (void)state;
    push("ccc");
    CLEAN();
    push("QcccQc");
    replies("CZ" "CZ");
    CLEAN();
    push("PcBcS");
    replies("12Z");
    CLEAN();
    push("Pc");
    replies("E");
    push("cc");
    NOT_CLEAN();
    push("S");
    replies("Z");
    CLEAN();
}

/* ---- own requests ---- */

static void test_swallow(void **state)
{
    (void)state;
    push_as('Q', PIPE_SWALLOW);
    push_as('P', PIPE_SWALLOW);
    push_as('B', PIPE_FORWARD);
    assert_int_equal(reply('C'), PIPE_VERDICT_SWALLOW);
    assert_int_equal(reply('E'), PIPE_VERDICT_SWALLOW);
    assert_int_equal(reply('Z'), PIPE_VERDICT_SWALLOW);
    assert_int_equal(reply('1'), PIPE_VERDICT_SWALLOW);
    assert_int_equal(reply('2'), PIPE_VERDICT_FORWARD);
    CLEAN();
    DONE("QPB");
}

static void test_fake(void **state)
{
    (void)state;
    PipelineEntry e;
    push_as('B', PIPE_FORWARD);
    push_as('P', PIPE_FAKE);
    push_as('c', PIPE_FORWARD);
    push_as('C', PIPE_FAKE);
    push_as('S', PIPE_FORWARD);
    assert_false(pipeline_take_fake(&f.p, &e));
    replies("2");
    assert_true(pipeline_take_fake(&f.p, &e));
    assert_int_equal(e.kind, PIPE_PARSE);
    assert_true(pipeline_take_fake(&f.p, &e));
    assert_int_equal(e.kind, PIPE_CLOSE);
    assert_false(pipeline_take_fake(&f.p, &e));
    replies("Z");
    assert_false(pipeline_take_fake(&f.p, &e));
    CLEAN();
}

static void test_error_drops_fakes(void **state)
{
    (void)state;
    PipelineEntry e;
    push_as('B', PIPE_FORWARD);
    push_as('P', PIPE_FAKE);
    push_as('S', PIPE_FORWARD);
    replies("E");
    DROPPED("P");
    assert_false(pipeline_take_fake(&f.p, &e));
    replies("Z");
    push_as('B', PIPE_FORWARD);
    replies("E");
    push_as('P', PIPE_FAKE);
    DROPPED("PP");
    assert_false(pipeline_take_fake(&f.p, &e));
}

/* ---- the ring ---- */

static void test_growth_and_wrap(void **state)
{
    (void)state;
    unsigned owed = 0;
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < round % 41 + 1; i++, owed++)
            push(i % 2 ? "Q" : "S");
        for (unsigned i = 0; i < round % 37 && owed; i++, owed--)
            replies("Z");
        assert_int_equal(f.p.count, owed);
        assert_int_equal(f.p.owed_ready, owed);
    }
    assert_true(f.p.size >= f.p.count && f.p.size >= 256 && (f.p.size & (f.p.size - 1)) == 0);
    memset(f.done, 0, sizeof(f.done));
    uintptr_t first = f.next - owed;
    for (unsigned i = 0; i < owed; i++)
        replies("Z");
    for (unsigned i = 0; i < owed; i++)
        assert_int_equal(f.done[i], f.letter[first + i]);
    CLEAN();
}

static void test_clear_drops_each_once(void **state)
{
    (void)state;
    push("PBES");
    replies("12");
    push("QQ");
    pipeline_clear(&f.p);
    DROPPED("ESQQ");
    CLEAN();
    assert_int_equal(f.p.owed_ready, 0);
    assert_false(f.p.open);
    pipeline_clear(&f.p);
    DROPPED("ESQQ");
    push("Q");
    replies("Z");
    CLEAN();
}

static void visit(void *arg, PipelineEntry *e)
{
    (*(unsigned *)arg) = *(unsigned *)arg * 10 + e->kind;
    e->query = (void *)f.next;
}

static void test_visit(void **state)
{
    (void)state;
    unsigned seen = 0;
    push("QPB");
    replies("Z");
    f.letter[f.next] = '*';
    pipeline_visit(&f.p, visit, &seen);
    assert_int_equal(seen, PIPE_PARSE * 10 + PIPE_BIND);
    replies("1");
    DONE("Q*");
}

static void test_open(void **state)
{
    (void)state;
    assert_false(f.p.open);
    push("Q");
    assert_false(f.p.open);
    push("P");
    assert_true(f.p.open);
    push("S");
    assert_false(f.p.open);
    push("B");
    replies("Z1Z2");
    assert_true(f.p.open);
    push("Q");
    assert_false(f.p.open);
    push("BF");
    assert_false(f.p.open);
}

/* The group is sent again: with its Sync, and before that was sent. */
static void test_withdraw(void **state)
{
    (void)state;
    push_as('P', PIPE_FAKE);
    assert_null(pipeline_first_sent(&f.p));
    assert_false(pipeline_owes_client(&f.p));
    push("BDES");
    assert_true(pipeline_owes_client(&f.p));
    assert_int_equal(pipeline_first_sent(&f.p)->kind, PIPE_BIND);
    assert_true(pipeline_withdraw(&f.p));
    DROPPED("PBDE");
    assert_int_equal(reply('Z'), PIPE_VERDICT_SWALLOW);
    CLEAN();
    push("BD");
    assert_false(pipeline_withdraw(&f.p));
    NOT_CLEAN();
    push("E"); /* the server discards it unread */
    DROPPED("PBDEBDE");
    push_as('S', PIPE_SWALLOW);
    assert_false(pipeline_owes_client(&f.p));
    assert_int_equal(reply('Z'), PIPE_VERDICT_SWALLOW);
    CLEAN();
    assert_false(f.p.open);
}

static size_t bulk(const char *bytes, size_t n, uint32_t *ret_left)
{
    *ret_left = 0;
    return pipeline_bulk(&f.p, (const uint8_t *)bytes, n, f.payload_max, ret_left);
}

static void test_bulk(void **state)
{
    (void)state;
    /* RowDescription of 2 bytes, DataRow of 1, CommandComplete */
    static const char stream[] = "T\0\0\0\6abD\0\0\0\5rC\0\0\0\6x\0";
    static const char bad[] = "D\0\0\0\5rD\0\0\0\3";
    static const char negative[] = "D\0\0\0\5rD\377\377\377\377rrr";
    f.payload_max = INT32_MAX - 4;
    uint32_t left;
    assert_int_equal(bulk(stream, 20, &left), 0); /* nothing is owed */
    push("Q");
    assert_int_equal(bulk(stream, 20, &left), 13);
    assert_int_equal(left, 0);
    assert_int_equal(bulk(stream, 11, &left), 7); /* the second header is not whole */
    assert_int_equal(left, 0);
    assert_int_equal(bulk(stream, 5, &left), 5);
    assert_int_equal(left, 2);
    assert_int_equal(bulk(stream, 6, &left), 6);
    assert_int_equal(left, 1);
    assert_int_equal(bulk(stream, 4, &left), 0);
    assert_int_equal(bulk(bad, 11, &left), 6); /* a length below its own four bytes is the caller's to refuse */
    assert_int_equal(left, 0);
    assert_int_equal(bulk(negative, 14, &left), 6); /* so is one that no message has */
    assert_int_equal(left, 0);
    f.payload_max = 1; /* and one over max_packet_size, whether it is there to its end or not */
    assert_int_equal(bulk(stream + 7, 13, &left), 6);
    assert_int_equal(bulk(stream, 20, &left), 0);
    assert_int_equal(bulk(stream, 6, &left), 0);
    assert_int_equal(left, 0);
    f.payload_max = INT32_MAX - 4;
    replies("CZ");
    push("E");
    assert_int_equal(bulk(stream, 20, &left), 0); /* an Execute has no RowDescription */
    assert_int_equal(bulk(stream + 7, 13, &left), 6);
    replies("C");
    push_as('Q', PIPE_SWALLOW);
    assert_int_equal(bulk(stream, 20, &left), 0); /* not the client's */
    assert_int_equal(left, 0);
}

/* Where more hangs on a ReadyForQuery than the end of one Query or Sync, only pipeline_reply will do. */
static void test_end_last(void **state)
{
    (void)state;
    assert_null(pipeline_end_last(&f.p));
    push("Q");
    const PipelineEntry *e = pipeline_end_last(&f.p);
    assert_non_null(e);
    assert_int_equal(e->kind, PIPE_QUERY);
    assert_true(pipeline_is_clean(&f.p));
    assert_int_equal(f.p.owed_ready, 0);

    push("QQ");
    assert_null(pipeline_end_last(&f.p));
    replies("CZCZ");
    push("PS");
    assert_null(pipeline_end_last(&f.p)); /* the Parse is first */
    replies("1");
    assert_int_equal(pipeline_end_last(&f.p)->kind, PIPE_SYNC);
    push("F");
    assert_null(pipeline_end_last(&f.p));
    replies("VZ");
    push("PB");
    replies("E"); /* skips up to a Sync that is not there */
    assert_null(pipeline_end_last(&f.p));
    push("S");
    replies("Z");
    push("Q");
    replies("G");
    assert_null(pipeline_end_last(&f.p)); /* copies in */
    push("c");
    replies("CZ");
    push_as('Q', PIPE_SWALLOW);
    assert_null(pipeline_end_last(&f.p));
    pipeline_clear(&f.p);
    int thing;
    pipeline_push_entry(&f.p, &(PipelineEntry){.kind = PIPE_QUERY, .effects = &thing});
    assert_null(pipeline_end_last(&f.p));
    pipeline_clear(&f.p);
    pipeline_push(&f.p, PIPE_QUERY, PIPE_FORWARD, NULL, &thing, 0);
    assert_null(pipeline_end_last(&f.p));
    pipeline_clear(&f.p);
    assert_true(pipeline_is_clean(&f.p));
}

/* A Query or a FunctionCall ends a group only if nothing in it failed: what is sent behind it may still be skipped. */
static void test_what_may_be_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *sent;
        bool may_skip;
    } cases[] = {{"", false},    {"Q", false},   {"F", false},   {"S", false},   {"P", true},     {"PS", false},  {"PQ", true},
                 {"PF", true},   {"PQQ", true},  {"PSQ", false}, {"PSQF", false}, {"SB", true},   {"PBEQS", false}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        push(cases[i].sent);
        assert_int_equal(pipeline_may_skip(&f.p), cases[i].may_skip);
        pipeline_clear(&f.p);
    }
    push_as('C', PIPE_FAKE);
    push("Q");
    assert_false(pipeline_may_skip(&f.p)); /* it is not sent */
    pipeline_clear(&f.p);
    push("PQ");
    replies("1IZ");
    assert_false(pipeline_may_skip(&f.p)); /* nothing failed */
    push("P");
    replies("E");
    push("Q");
    assert_true(pipeline_may_skip(&f.p));
    push("S");
    assert_false(pipeline_may_skip(&f.p));
    pipeline_clear(&f.p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, start, stop)
    const struct CMUnitTest tests[] = {
        T(each_kind),
        T(mismatch),
        T(nothing_owed),
        T(pipeline_of_all),
        T(portal_suspended),
        T(skip_until_sync),
        T(skip_discards_query_and_function),
        T(skip_requests_not_yet_sent),
        T(what_may_be_skipped),
        T(error_in_simple_discards_nothing),
        T(error_in_sync),
        T(copy_simple),
        T(copy_twice_in_one_query),
        T(copy_fails_then_next_query),
        T(copy_extended),
        T(copy_extended_sync_before),
        T(copy_then_other_copy),
        T(copy_fails_before_sync_was_read),
        T(copy_fails_after_sync_was_read),
        T(request_between_failed_copy_and_its_sync),
        T(copy_simple_ignored_sync),
        T(something_else_than_the_copys_end),
        T(stray_copy_end),
        T(swallow),
        T(fake),
        T(error_drops_fakes),
        T(growth_and_wrap),
        T(clear_drops_each_once),
        T(visit),
        T(open),
        T(withdraw),
        T(bulk),
        T(end_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
