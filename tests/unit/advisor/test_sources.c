/* SPDX-License-Identifier: ISC */
/* Logs of PostgreSQL: parameters put in, CSV taken apart, what counts as an execution. */
#include "fixture.h"

#include "advisor/source/collect.h"
#include "advisor/source/lines.h"
#include "advisor/source/source.h"

static void test_parameters(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    assert_string_equal(adv_fill_parameters(arena, "SELECT $1, '$2', $2 -- $1", "$1 = 'it''s', $2 = NULL"), "SELECT 'it''s', '$2', NULL -- $1");
    assert_string_equal(adv_fill_parameters(arena, "SELECT $10", "$1 = 'a', $10 = ', $1 = ''x'''"), "SELECT ', $1 = ''x'''");
    assert_null(adv_fill_parameters(arena, "SELECT $2", "$1 = 'a'"));
    assert_null(adv_fill_parameters(arena, "SELECT $1", "$1 = 'cut...'"));
    assert_null(adv_fill_parameters(arena, "SELECT $1", "$1 = 'open"));
    assert_null(adv_fill_parameters(arena, "SELECT $1", "$99999999999 = 'x'"));
    adv_arena_destroy(arena);
}

static void test_csv(void **state)
{
    (void)state;
    char record[] = "a,\"b \"\"c\"\", d\",,\"e\nf\"", *fields[3];
    assert_int_equal(adv_csv_fields(record, fields, 3), 4);
    assert_string_equal(fields[0], "a");
    assert_string_equal(fields[1], "b \"c\", d");
    assert_string_equal(fields[2], "");
    static const char text[] = "x,\"1\n2\"\nlast";
    AdvLines *lines = adv_lines_open_text(text, strlen(text));
    size_t len;
    assert_string_equal(adv_lines_peek(lines), "x,\"1");
    assert_string_equal(adv_lines_next_record(lines, &len), "x,\"1\n2\"");
    assert_string_equal(adv_lines_next_record(lines, &len), "last");
    assert_null(adv_lines_next_record(lines, &len));
    adv_lines_close(lines);
}

/* Of a shape a few texts are kept, and all calls. */
static void test_samples_are_bounded(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    AdvWorkload *w = adv_workload_create(arena);
    AdvCollector *c = adv_collector_create(w, "log");
    double calls = 0;
    for (int i = 0; i < 5000; i++) {
        const char *text = adv_arena_printf(arena, "SELECT * FROM t%d WHERE a = %d", i % 3, i);
        adv_collect(c, text, strlen(text), NULL, 1, 2, 3);
    }
    adv_collect(c, "BEGIN", 5, NULL, 1, 0, -1);
    adv_collector_destroy(c);
    assert_int_equal(w->n_queries, 12);
    for (int i = 0; i < w->n_queries; i++) {
        calls += w->queries[i]->calls;
        assert_true(w->queries[i]->rows_per_call > 2.99 && w->queries[i]->rows_per_call < 3.01);
        assert_true(w->queries[i]->calls > 300);
    }
    assert_true(calls == 5000 && w->utility == 1 && w->measured);
    adv_arena_destroy(arena);
}

static void test_what_counts(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    static const struct {
        const char *text;
        double calls;
    } rows[] = {
        {"x LOG:  duration: 1.0 ms  statement: SELECT 1\n", 1},
        {"x LOG:  statement: SELECT 1\nx LOG:  duration: 1.0 ms\n", 1},
        {"x LOG:  execute s: SELECT $1\nx DETAIL:  parameters: $1 = '1'\n", 1},
        {"x LOG:  duration: 1.0 ms  parse s: SELECT 1\nx LOG:  duration: 1.0 ms  bind s: SELECT 1\n", 0},
        {"x LOG:  duration: 1.0 ms  execute fetch from s: SELECT 1\n", 0},
        {"x LOG:  duration: 1.0 ms  statement: SELECT 1\nx ERROR:  no\nx STATEMENT:  SELECT 2\n", 1},
        {"x LOG:  duration: oops ms  statement: SELECT 1\n", 0},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        AdvWorkload *w = adv_workload_create(arena);
        const char *note;
        assert_int_equal(adv_source_log_text(w, rows[i].text, strlen(rows[i].text), &note), PW_OK);
        double calls = 0;
        for (int q = 0; q < w->n_queries; q++)
            calls += w->queries[q]->calls;
        if (calls != rows[i].calls)
            fail_msg("%s: %.0f calls", rows[i].text, calls);
    }
    AdvWorkload *w = adv_workload_create(arena);
    const char *note;
    assert_int_equal(adv_source_log_text(w, "SELECT 1;\n", 10, &note), PW_ERR_UNSUPPORTED);
    adv_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parameters), cmocka_unit_test(test_csv),
                                       cmocka_unit_test(test_samples_are_bounded), cmocka_unit_test(test_what_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
