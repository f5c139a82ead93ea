/* SPDX-License-Identifier: ISC */
/* Tallies: parts merged are equal to the whole whatever the order, samples are bounded and exact, a summary reads back equal. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "advisor/source/fill.h"
#include "advisor/source/pour.h"
#include "advisor/source/summary.h"

static void add(AdvTally *t, const char *text, const char *params, uint64_t us, int64_t rows)
{
    const AdvExecution x = {.text = text, .len = strlen(text), .params = params, .params_len = params ? strlen(params) : 0, .calls = 1, .us = us, .rows = rows};
    adv_tally_add(t, &x);
}

/* The i-th of a made-up log: hot and rare texts, with and without values. */
static void add_nth(AdvTally *t, unsigned i)
{
    char text[128], params[64];
    unsigned v = i * 2654435761u;
    switch (v % 5) {
    case 0:
        snprintf(text, sizeof(text), "SELECT * FROM a WHERE x = %u", v % 7 == 0 ? 1 : v % 1000);
        add(t, text, NULL, v % 100, -1);
        break;
    case 1:
        snprintf(params, sizeof(params), "$1 = '%u'", v % 50);
        add(t, "SELECT * FROM b WHERE y = $1", params, 0, 3);
        break;
    case 2:
        snprintf(params, sizeof(params), "$1 = '%u...'", v % 50); /* cut: the text stays open */
        add(t, "UPDATE b SET y = $1", params, 5, 1);
        break;
    case 3:
        snprintf(text, sizeof(text), "DELETE FROM t%u WHERE x = %u", v % 20, v % 1000);
        add(t, text, NULL, 1000, -1);
        break;
    default:
        add(t, "COMMIT", NULL, 1, -1);
        break;
    }
}

static PwBuf written(const AdvTally *t)
{
    PwBuf out;
    pw_buf_init(&out);
    adv_summary_write(t, false, &out);
    return out;
}

static void assert_same(const AdvTally *a, const AdvTally *b)
{
    PwBuf x = written(a), y = written(b);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    pw_buf_finish(&x);
    pw_buf_finish(&y);
}

#define N 20000

static void test_parts_are_the_whole(void **state)
{
    (void)state;
    AdvTally *whole = adv_tally_create(), *backwards = adv_tally_create(), *sum = adv_tally_create();
    for (unsigned i = 0; i < N; i++) {
        add_nth(whole, i);
        add_nth(backwards, N - 1 - i);
    }
    assert_same(whole, backwards);
    for (unsigned part = 0; part < 7; part++) {
        AdvTally *t = adv_tally_create();
        for (unsigned i = part; i < N; i += 7)
            add_nth(t, i);
        adv_tally_merge(sum, t);
        adv_tally_destroy(t);
    }
    assert_same(whole, sum);
    assert_int_equal(adv_tally_counts(sum)->statements, N);
    adv_tally_destroy(whole);
    adv_tally_destroy(backwards);
    adv_tally_destroy(sum);
}

static void test_samples_are_exact(void **state)
{
    (void)state;
    AdvTally *t = adv_tally_create();
    char text[64];
    size_t n;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(text, sizeof(text), "SELECT * FROM t WHERE a = %u", i);
            add(t, text, NULL, 2000, 3);
        }
    AdvShape **shapes = adv_tally_sorted(t, &n);
    assert_int_equal(n, 1);
    assert_int_equal(shapes[0]->calls, 3000);
    assert_int_equal(shapes[0]->rows_calls, 3000);
    assert_int_equal(shapes[0]->n_samples, ADV_TALLY_SAMPLES);
    for (unsigned i = 0; i < ADV_TALLY_SAMPLES; i++)
        assert_int_equal(shapes[0]->samples[i].calls, 3);
    free(shapes);
    adv_tally_destroy(t);
}

static void test_values_go_before_texts_without(void **state)
{
    (void)state;
    AdvTally *t = adv_tally_create();
    size_t n;
    for (unsigned i = 0; i < 100; i++) {
        char params[64];
        snprintf(params, sizeof(params), "$1 = '%u...'", i);
        add(t, "SELECT * FROM t WHERE a = $1", params, 0, -1);
    }
    add(t, "SELECT * FROM t WHERE a = $1", "$1 = 'whole'", 0, -1);
    AdvShape **shapes = adv_tally_sorted(t, &n);
    assert_string_equal(shapes[0]->samples[0].text, "SELECT * FROM t WHERE a = 'whole'");
    assert_true(shapes[0]->samples[1].key & ADV_TEXT_OPEN);
    free(shapes);
    adv_tally_destroy(t);
}

/* However many shapes there are, a tally stays small and loses no call. */
static void test_forgets_the_lightest(void **state)
{
    (void)state;
    AdvTally *t = adv_tally_create();
    char text[64];
    size_t n;
    uint64_t calls = 0;
    for (unsigned i = 0; i < 3 * ADV_TALLY_SHAPES; i++) {
        snprintf(text, sizeof(text), "SELECT * FROM table_%u", i);
        add(t, text, NULL, 1, -1);
        if (i % 100 == 0)
            add(t, "SELECT heavy FROM big", NULL, 1000000, -1);
    }
    AdvShape **shapes = adv_tally_sorted(t, &n);
    assert_true(n <= ADV_TALLY_SHAPES);
    assert_string_equal(shapes[0]->samples[0].text, "SELECT heavy FROM big");
    assert_int_equal(shapes[0]->calls, 3 * ADV_TALLY_SHAPES / 100);
    for (size_t i = 0; i < n; i++)
        calls += shapes[i]->calls;
    assert_int_equal(calls + adv_tally_counts(t)->forgotten_calls, adv_tally_counts(t)->statements);
    free(shapes);
    adv_tally_destroy(t);
}

static void test_a_time_told_later(void **state)
{
    (void)state;
    AdvTally *a = adv_tally_create(), *b = adv_tally_create();
    size_t n;
    const AdvExecution x = {.text = "SELECT 1", .len = 8, .calls = 1, .rows = -1};
    AdvTallied what = adv_tally_add(a, &x);
    adv_tally_add_time(b, what, 700);
    adv_tally_merge(a, b);
    AdvShape **shapes = adv_tally_sorted(a, &n);
    assert_int_equal(n, 1);
    assert_int_equal(shapes[0]->us, 700);
    assert_int_equal(adv_tally_counts(a)->timed, 1);
    free(shapes);
    adv_tally_destroy(a);
    adv_tally_destroy(b);
}

static void test_summary_reads_back(void **state)
{
    (void)state;
    AdvTally *t = adv_tally_create(), *again = adv_tally_create();
    for (unsigned i = 0; i < 500; i++)
        add_nth(t, i);
    add(t, "SELECT 'quote \" back \\ tab \t line \n \xc3\xbc \xff'", NULL, 3, -1);
    memcpy(adv_tally_counts(t)->first, "2026-01-02 03:04:05.678", 24);
    memcpy(adv_tally_counts(t)->last, "2026-01-02 03:04:05.999", 24);
    PwBuf text = written(t);
    assert_null(adv_summary_read(again, (const char *)text.data, text.len, NULL));
    assert_same(t, again);
    /* Torn, of a later version, or something else. */
    AdvTally *bad = adv_tally_create();
    assert_non_null(adv_summary_read(bad, (const char *)text.data, text.len - 5, NULL));
    static const char later[] = "{\"poolwise_summary\":2}\n", other[] = "{\"a\":1}\n", minus[] = "{\"poolwise_summary\":1,\"us\":-1}\n";
    assert_non_null(strstr(adv_summary_read(bad, later, strlen(later), NULL), "later version"));
    assert_non_null(adv_summary_read(bad, other, strlen(other), NULL));
    assert_non_null(adv_summary_read(bad, minus, strlen(minus), NULL));
    pw_buf_finish(&text);
    adv_tally_destroy(t);
    adv_tally_destroy(again);
    adv_tally_destroy(bad);
}

static void test_redacted(void **state)
{
    (void)state;
    AdvTally *t = adv_tally_create();
    PwBuf out;
    for (int i = 0; i < 10; i++) {
        char text[64];
        snprintf(text, sizeof(text), "SELECT * FROM t WHERE a = 'secret %d'", i);
        add(t, text, NULL, 1, -1);
    }
    pw_buf_init(&out);
    adv_summary_write(t, true, &out);
    assert_null(memmem(out.data, out.len, "secret", 6));
    assert_non_null(memmem(out.data, out.len, "a = $1", 6));
    pw_buf_finish(&out);
    adv_tally_destroy(t);
}

static const char *filled(const char *text, const char *params)
{
    static PwBuf buf;
    buf.off = buf.len = 0;
    if (!adv_fill(&buf, text, strlen(text), params, strlen(params)))
        return NULL;
    pw_buf_append_u8(&buf, '\0');
    return (const char *)buf.data;
}

static void test_parameters(void **state)
{
    (void)state;
    assert_string_equal(filled("SELECT $1, '$2', $2 -- $1", "$1 = 'it''s', $2 = NULL"), "SELECT 'it''s', '$2', NULL -- $1");
    assert_string_equal(filled("SELECT $10", "$1 = 'a', $10 = ', $1 = ''x'''"), "SELECT ', $1 = ''x'''");
    assert_string_equal(filled("SELECT $1", "$1 = ''"), "SELECT ''");
    assert_null(filled("SELECT $2", "$1 = 'a'"));
    assert_null(filled("SELECT $1", "$1 = 'cut...'"));
    assert_null(filled("SELECT $1", "$1 = 'open"));
    assert_null(filled("SELECT $1", "$1 = 'open''"));
    assert_null(filled("SELECT $1", "$1 = "));
    assert_null(filled("SELECT $1", "$99999999999 = 'x'"));
    assert_true(adv_has_parameter("SELECT $1", 9) && !adv_has_parameter("SELECT '$1'", 11));
}

static void no_note(void *arg, const char *note)
{
    (void)note;
    ++*(int *)arg;
}

/* Calls of texts that were not kept are shared out, none is lost. */
static void test_pour(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    AdvWorkload *w = adv_workload_create(arena);
    AdvTally *t = adv_tally_create();
    int notes = 0;
    double calls = 0, ms = 0;
    for (int i = 0; i < 5000; i++) {
        char text[64];
        snprintf(text, sizeof(text), "SELECT * FROM t%d WHERE a = %d", i % 3, i);
        add(t, text, NULL, 2000, 3);
    }
    add(t, "BEGIN", NULL, 0, -1);
    adv_pour(w, t, NULL, no_note, &notes);
    assert_int_equal(w->n_queries, 3 * ADV_TALLY_SAMPLES);
    for (int i = 0; i < w->n_queries; i++) {
        calls += w->queries[i]->calls;
        ms += w->queries[i]->total_ms;
        assert_true(w->queries[i]->rows_per_call > 2.99 && w->queries[i]->rows_per_call < 3.01);
        assert_true(w->queries[i]->calls > 400);
    }
    assert_true(calls > 4999.99 && calls < 5000.01 && ms > 9999.9 && ms < 10000.1);
    assert_true(w->utility == 1 && w->measured && w->statements == 5001 && notes == 0);
    adv_tally_destroy(t);
    adv_arena_destroy(arena);
}

/* Longer texts may take the places of shorter ones: also then the memory has an end. */
static void test_bytes_have_an_end(void **state)
{
    (void)state;
    AdvTally *t = adv_tally_create();
    static char text[16000];
    for (unsigned i = 0; i < 6 * 700; i++) {
        int n = snprintf(text, sizeof(text), "SELECT * FROM t%u WHERE x = '%u", i % 700, i);
        size_t len = i < 700 ? (size_t)n : sizeof(text) - 2;
        memset(text + n, 'x', len - (size_t)n);
        text[len] = '\'';
        text[len + 1] = '\0';
        add(t, text, NULL, 1, -1);
    }
    assert_true(adv_tally_counts(t)->forgotten > 100);
    PwBuf out = written(t);
    assert_true(out.len < 40 * 1024 * 1024);
    pw_buf_finish(&out);
    adv_tally_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_the_whole),  cmocka_unit_test(test_samples_are_exact), cmocka_unit_test(test_values_go_before_texts_without),
        cmocka_unit_test(test_forgets_the_lightest), cmocka_unit_test(test_a_time_told_later), cmocka_unit_test(test_summary_reads_back),
        cmocka_unit_test(test_redacted),             cmocka_unit_test(test_parameters),        cmocka_unit_test(test_bytes_have_an_end), cmocka_unit_test(test_pour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
