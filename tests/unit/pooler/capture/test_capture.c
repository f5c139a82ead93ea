/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pooler/capture/capture.h"
#include "poolwise/buf.h"

static QueryEntry *see(QueryTable *table, QueryIdent *ident, const char *sql)
{
    return query_table_observe(table, ident, sql, strlen(sql), 0);
}

static void run(QueryTable *table, QueryIdent *ident, const char *sql, PwUsec usec)
{
    query_entry_done(see(table, ident, sql), usec, 1, 2, 3, 4, NULL);
}

static QueryMerge *collect(QueryTable *table, QueryCollect what)
{
    QueryMerge *merge = query_merge_create(what);
    query_table_collect(table, merge);
    query_merge_sort(merge);
    return merge;
}

static uint64_t calls_of(const QueryMerge *merge)
{
    uint64_t calls = 0;
    for (size_t i = 0; i < query_merge_count(merge); i++)
        calls += query_merge_get(merge, i)->counts.calls;
    return calls;
}

static void test_one_entry_for_one_query(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(100, 0);
    QueryIdent *web = query_ident_acquire(table, "shop", "web", "app");
    QueryIdent *cron = query_ident_acquire(table, "shop", "cron", NULL);
    QueryEntry *a = see(table, web, "select 1"), *b = see(table, web, "SELECT 2"), *c = see(table, cron, "select 1");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_true(query_entry_fingerprint(a) == query_entry_fingerprint(c));
    assert_true(query_entry_fingerprint(a) == pw_fingerprint("select 1", 8, 0));
    assert_ptr_equal(query_table_observe_hashed(table, web, query_text_hash("select 1", 8), "select 1", 8, 0), a);
    query_entry_done(a, 100, 5, 1, 10, 20, NULL);
    query_entry_done(a, 300, 7, 1, 10, 20, "23505");
    query_entry_done(b, 200, 0, 1, 10, 20, "");
    query_entry_drop(c);

    QueryTableStats stats;
    query_table_stats(table, &stats);
    assert_int_equal(stats.observed, 4);
    assert_int_equal(stats.cache_hits, 1);
    assert_int_equal(stats.created, 2);
    assert_int_equal(stats.entries, 2);
    assert_int_equal(stats.idents, 2);

    QueryMerge *merge = collect(table, QUERY_COLLECT_TOTALS);
    assert_int_equal(query_merge_count(merge), 1); /* the dropped one counted nothing */
    const PwWorkloadRecord *record = query_merge_get(merge, 0);
    assert_string_equal(record->query, "select $1");
    assert_string_equal(record->database, "shop");
    assert_string_equal(record->user, "web");
    assert_string_equal(record->application_name, "app");
    assert_int_equal(record->kind, PW_SQL_SELECT);
    assert_int_equal(record->counts.calls, 3);
    assert_int_equal(record->counts.failed, 1);
    assert_string_equal(record->counts.errors[0].sqlstate, "23505");
    assert_int_equal(record->counts.server.sum, 600);
    assert_int_equal(record->counts.server_min_us, 100);
    assert_int_equal(record->counts.server_max_us, 300);
    assert_int_equal(record->counts.wait_us, 12);
    assert_int_equal(record->counts.wait_max_us, 7);
    assert_int_equal(record->counts.bytes_out, 60);
    query_merge_destroy(merge);
    query_ident_release(table, web);
    query_ident_release(table, cron);
    query_table_destroy(table);
}

/* Two clients of one identity share it; an identity lives while a client or an entry needs it. */
static void test_identities(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(2, 0);
    QueryTableStats before, after;
    query_table_stats(table, &before);
    QueryIdent *a = query_ident_acquire(table, "d", "u", "x"), *b = query_ident_acquire(table, "d", "u", "x");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, query_ident_acquire(table, "du", "", "x"));
    query_ident_release(table, query_ident_acquire(table, "du", "", "x"));
    query_ident_release(table, query_ident_acquire(table, "du", "", "x")); /* the one acquired above */
    query_ident_release(table, query_ident_acquire(table, NULL, NULL, NULL));
    query_ident_release(table, NULL);
    query_ident_release(table, a);
    query_table_stats(table, &after);
    assert_int_equal(after.idents, 2);
    query_ident_release(table, b);
    QueryIdent *du = query_ident_acquire(table, "du", "", "x");
    query_ident_release(table, du);
    query_ident_release(table, du);
    query_table_stats(table, &after);
    assert_int_equal(after.idents, 0);
    assert_int_equal(after.bytes, before.bytes);

    char name[200];
    memset(name, 'n', sizeof(name));
    memcpy(name + 61, "\xe2\x82\xac", 3); /* would be cut in two */
    name[199] = '\0';
    QueryIdent *cut = query_ident_acquire(table, name, "u", name);
    run(table, cut, "select 1", 5);
    query_ident_release(table, cut);
    query_table_stats(table, &after);
    assert_int_equal(after.idents, 1); /* the entry keeps it */
    QueryMerge *merge = collect(table, QUERY_COLLECT_TOTALS);
    assert_int_equal(strlen(query_merge_get(merge, 0)->database), 61);
    query_merge_destroy(merge);
    query_table_destroy(table);
}

static void test_settings_of_the_lexer_are_part_of_the_key(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(10, 0);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    static const char sql[] = "select 'a\\', b -- '";
    for (int i = 0; i < 2; i++) { /* the second time from the cache */
        QueryEntry *on = query_table_observe(table, ident, sql, strlen(sql), 0);
        QueryEntry *off = query_table_observe(table, ident, sql, strlen(sql), PW_LEX_BACKSLASH);
        assert_ptr_not_equal(on, off);
        query_entry_drop(on);
        query_entry_drop(off);
    }
    query_ident_release(table, ident);
    query_table_destroy(table);
}

static void test_an_interval_counts_each_call_once(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(10, 0);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    for (int i = 0; i < 5; i++)
        run(table, ident, "select 1", 10);
    QueryEntry *open = see(table, ident, "select 1"); /* under way while the interval ends */
    QueryMerge *first = collect(table, QUERY_COLLECT_INTERVAL);
    query_entry_done(open, 100, 0, 0, 0, 0, NULL);
    run(table, ident, "select a", 1);
    QueryMerge *second = collect(table, QUERY_COLLECT_INTERVAL), *third = collect(table, QUERY_COLLECT_INTERVAL);
    assert_int_equal(calls_of(first), 5);
    assert_int_equal(query_merge_get(first, 0)->counts.server_max_us, 10);
    assert_int_equal(calls_of(second), 2);
    assert_int_equal(query_merge_get(second, 0)->counts.server_min_us, 100);
    assert_int_equal(query_merge_count(third), 0);
    QueryMerge *totals = collect(table, QUERY_COLLECT_TOTALS), *again = collect(table, QUERY_COLLECT_TOTALS);
    assert_int_equal(calls_of(totals), 7);
    assert_int_equal(calls_of(again), 7);
    assert_int_equal(query_merge_get(totals, 0)->counts.server.sum, 150); /* sorted */
    assert_int_equal(query_merge_get(totals, 0)->counts.server_min_us, 10);
    query_merge_destroy(first);
    query_merge_destroy(second);
    query_merge_destroy(third);
    query_merge_destroy(totals);
    query_merge_destroy(again);
    query_ident_release(table, ident);
    query_table_destroy(table);
}

static void test_full_table_evicts_but_loses_no_call(void **state)
{
    (void)state;
    enum { MAX = 50, QUERIES = 1000 };
    QueryTable *table = query_table_create(MAX, 0);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    QueryEntry *held = see(table, ident, "select held");
    uint64_t fingerprint = query_entry_fingerprint(held);
    uint64_t bytes_full = 0;
    QueryTableStats stats;
    char sql[64];
    uint64_t logged = 0;
    for (int i = 0; i < QUERIES; i++) {
        snprintf(sql, sizeof(sql), "select column_%04d from t", i);
        run(table, ident, sql, 10);
        run(table, ident, "select hot", 1); /* used all the time: never makes room */
        query_table_stats(table, &stats);
        assert_true(stats.entries <= MAX);
        if (i == 2 * MAX)
            bytes_full = stats.bytes;
        if (i % 100 == 99) {
            QueryMerge *merge = collect(table, QUERY_COLLECT_INTERVAL);
            logged += calls_of(merge);
            query_merge_destroy(merge);
        }
    }
    assert_true(stats.evicted >= QUERIES - MAX);
    assert_true(stats.bytes <= bytes_full);
    assert_int_equal(logged, 2 * QUERIES);
    assert_true(query_entry_fingerprint(held) == fingerprint); /* in use: it stayed */
    query_entry_done(held, 7, 0, 0, 0, 0, NULL);
    QueryMerge *totals = collect(table, QUERY_COLLECT_TOTALS);
    assert_int_equal(calls_of(totals), 2 * QUERIES + 1);
    bool other = false, hot = false, kept = false;
    for (size_t i = 0; i < query_merge_count(totals); i++) {
        const PwWorkloadRecord *record = query_merge_get(totals, i);
        other |= record->fingerprint == 0 && record->query == NULL && record->counts.calls > 0;
        hot |= record->query != NULL && strcmp(record->query, "select hot") == 0 && record->counts.calls == QUERIES;
        kept |= record->query != NULL && strcmp(record->query, "select held") == 0;
    }
    assert_true(other && hot && kept);
    query_merge_destroy(totals);
    query_ident_release(table, ident);
    query_table_destroy(table);
}

/* A cache slot that still points at an entry which was recycled for another query must not be believed. */
static void test_recycled_entries_are_not_found_through_the_cache(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(1, 0);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    for (int i = 0; i < 3; i++) {
        run(table, ident, "select a", 1);
        run(table, ident, "select b", 1);
        QueryEntry *entry = see(table, ident, "select a");
        assert_true(query_entry_fingerprint(entry) == pw_fingerprint("select a", 8, 0));
        query_entry_drop(entry);
    }
    query_ident_release(table, ident);
    query_table_destroy(table);
}

static void test_every_entry_in_use(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(2, 0);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    QueryEntry *a = see(table, ident, "select a"), *b = see(table, ident, "select b"), *c = see(table, ident, "select c");
    assert_int_equal(query_entry_fingerprint(c), 0);
    query_entry_sample(table, c, "select c", 8, NULL, 0);
    query_entry_done(c, 5, 0, 0, 0, 0, NULL);
    query_entry_ref(a);
    query_entry_ref(b);
    query_entry_done(a, 1, 0, 0, 0, 0, NULL);
    query_entry_done(b, 1, 0, 0, 0, 0, NULL);
    c = see(table, ident, "select c"); /* a and b are still referenced */
    assert_int_equal(query_entry_fingerprint(c), 0);
    query_entry_drop(c);
    query_entry_drop(a);
    query_entry_drop(b);
    QueryEntry *d = see(table, ident, "select d");
    assert_int_not_equal(query_entry_fingerprint(d), 0);
    query_entry_drop(d);
    QueryTableStats stats;
    query_table_stats(table, &stats);
    assert_int_equal(stats.overflowed, 2);
    QueryMerge *merge = collect(table, QUERY_COLLECT_TOTALS);
    assert_int_equal(calls_of(merge), 3);
    query_merge_destroy(merge);
    query_ident_release(table, ident);
    query_table_destroy(table);
}

static void test_merge_over_workers(void **state)
{
    (void)state;
    enum { WORKERS = 3, QUERIES = 400 };
    QueryTable *tables[WORKERS];
    QueryIdent *idents[WORKERS];
    char sql[64];
    QueryMerge *merge = query_merge_create(QUERY_COLLECT_TOTALS);
    for (int w = 0; w < WORKERS; w++) {
        tables[w] = query_table_create(1000, 0);
        idents[w] = query_ident_acquire(tables[w], "d", "u", "x");
        for (int i = w; i < QUERIES; i++) { /* 0 and 1 are not seen by every worker */
            snprintf(sql, sizeof(sql), "select c%d", i);
            run(tables[w], idents[w], sql, i);
        }
        query_table_collect(tables[w], merge);
    }
    query_merge_sort(merge);
    assert_int_equal(query_merge_count(merge), QUERIES);
    assert_int_equal(query_merge_stats(merge)->created, 3 * QUERIES - 3);
    for (size_t i = 0; i < QUERIES; i++) {
        const PwWorkloadRecord *record = query_merge_get(merge, i);
        int number = atoi(record->query + strlen("select c"));
        assert_int_equal(record->counts.calls, number < WORKERS ? number + 1 : WORKERS);
        if (i > 0)
            assert_true(query_merge_get(merge, i - 1)->counts.server.sum >= record->counts.server.sum);
    }
    query_merge_destroy(merge);
    for (int w = 0; w < WORKERS; w++) {
        query_ident_release(tables[w], idents[w]);
        query_table_destroy(tables[w]);
    }
}

static void append_bind(PwBuf *buf)
{
    pw_buf_append_cstr(buf, "");
    pw_buf_append_cstr(buf, "stmt");
    pw_buf_append_be16(buf, 3);
    pw_buf_append_be16(buf, 0);
    pw_buf_append_be16(buf, 1);
    pw_buf_append_be16(buf, 0);
    pw_buf_append_be16(buf, 3);
    pw_buf_append_be32(buf, 2);
    pw_buf_append_str(buf, "42");
    pw_buf_append_be32(buf, 4);
    pw_buf_append_be32(buf, 7);
    pw_buf_append_be32(buf, UINT32_MAX); /* NULL */
    pw_buf_append_be16(buf, 0);
}

static void test_samples(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(10, 2);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    PwBuf bind;
    pw_buf_init(&bind);
    append_bind(&bind);
    static const char sql[] = "select a from t where b = $1 and c = $2 and d is $3";
    QueryEntry *entry = see(table, ident, sql);
    /* the last two bytes are the result formats, which are not read: any cut before them is malformed */
    for (size_t n = 0; n + 2 < pw_buf_unread(&bind); n++) {
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, pw_buf_head(&bind), n);
        query_entry_sample(table, entry, sql, strlen(sql), cut, n);
        free(cut);
    }
    query_entry_sample(table, entry, sql, strlen(sql), pw_buf_head(&bind), pw_buf_unread(&bind));
    query_entry_sample(table, entry, "select 'one'", 12, NULL, 0);
    query_entry_sample(table, entry, "one too many", 12, NULL, 0);
    query_entry_done(entry, 1, 0, 0, 0, 0, NULL);
    QueryTableStats with, without;
    query_table_stats(table, &with);
    assert_int_equal(with.samples_kept, 2);
    QueryMerge *totals = collect(table, QUERY_COLLECT_TOTALS), *merge = collect(table, QUERY_COLLECT_INTERVAL);
    query_table_stats(table, &without);
    assert_true(without.bytes < with.bytes);
    assert_int_equal(query_merge_get(totals, 0)->n_samples, 0);
    const PwWorkloadRecord *record = query_merge_get(merge, 0);
    assert_int_equal(record->n_samples, 2);
    assert_int_equal(record->samples[0].n_params, 3);
    const PwSampleParam *params = record->samples[0].params;
    assert_string_equal(params[0].value, "42");
    assert_int_equal(params[1].form, PW_PARAM_FORM_BINARY);
    assert_memory_equal(params[1].value, "\0\0\0\7", 4);
    assert_int_equal(params[2].form, PW_PARAM_FORM_NULL);
    assert_string_equal(record->samples[1].sql, "select 'one'");
    query_merge_destroy(totals);
    query_merge_destroy(merge);

    run(table, ident, sql, 1);
    QueryMerge *next = collect(table, QUERY_COLLECT_INTERVAL);
    assert_int_equal(query_merge_get(next, 0)->n_samples, 0);
    query_merge_destroy(next);

    entry = see(table, ident, sql);
    query_entry_sample(table, entry, sql, strlen(sql), NULL, 0);
    query_table_set_samples(table, 0); /* RELOAD: what was kept goes */
    query_entry_sample(table, entry, sql, strlen(sql), NULL, 0);
    query_entry_done(entry, 1, 0, 0, 0, 0, NULL);
    next = collect(table, QUERY_COLLECT_INTERVAL);
    assert_int_equal(query_merge_get(next, 0)->n_samples, 0);
    query_merge_destroy(next);
    query_table_stats(table, &with);
    assert_int_equal(with.bytes, without.bytes);
    pw_buf_finish(&bind);
    query_ident_release(table, ident);
    query_table_destroy(table);
}

static void test_samples_are_bounded(void **state)
{
    (void)state;
    QueryTable *table = query_table_create(1000, 100);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "");
    size_t len = 3 * PW_SAMPLE_TEXT_MAX;
    char *sql = malloc(len), name[32];
    memset(sql, ' ', len);
    for (int i = 0; i < 1000; i++) {
        memcpy(sql, name, (size_t)snprintf(name, sizeof(name), "select c%04d, '", i));
        QueryEntry *entry = query_table_observe(table, ident, sql, len, 0);
        query_entry_sample(table, entry, sql, len, NULL, 0);
        query_entry_done(entry, 1, 0, 0, 0, 0, NULL);
    }
    QueryTableStats stats;
    query_table_stats(table, &stats);
    assert_true(stats.samples_kept > 100 && stats.samples_kept < 300);
    assert_true(stats.bytes < 12 * 1024 * 1024);
    QueryMerge *merge = collect(table, QUERY_COLLECT_INTERVAL);
    size_t samples = 0;
    for (size_t i = 0; i < query_merge_count(merge); i++) {
        const PwWorkloadRecord *record = query_merge_get(merge, i);
        samples += record->n_samples;
        if (record->n_samples > 0)
            assert_true(record->samples[0].truncated && record->samples[0].sql_len == PW_SAMPLE_TEXT_MAX);
    }
    assert_int_equal(samples, stats.samples_kept);
    query_merge_destroy(merge);
    free(sql);
    query_ident_release(table, ident);
    query_table_destroy(table);
}

static void test_intervals_in_the_file(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/poolwise-capture-%d.log", (int)getpid());
    unlink(path);
    QueryTable *table = query_table_create(1, 1);
    QueryIdent *ident = query_ident_acquire(table, "d", "u", "app");
    CaptureWriter *lost = capture_writer_create("/nonexistent/q.log", 1), *writer = capture_writer_create(path, 1);
    run(table, ident, "select 1", 10);
    run(table, ident, "select a", 20); /* evicts the first */
    QueryEntry *entry = see(table, ident, "select a");
    query_entry_sample(table, entry, "select a", 8, NULL, 0);
    query_entry_done(entry, 30, 0, 0, 0, 0, "42703");
    QueryMerge *merge = collect(table, QUERY_COLLECT_INTERVAL);
    assert_int_equal(capture_write_interval(lost, merge, 1000, 2000), PW_ERR_IO);
    assert_int_equal(capture_writer_lost(lost), 1);
    assert_int_equal(capture_writer_reopen(lost), PW_ERR_IO);
    assert_int_equal(capture_writer_reopen(writer), PW_OK);
    assert_int_equal(capture_write_interval(writer, merge, 1000, 2000), PW_OK);
    query_merge_destroy(merge);
    merge = collect(table, QUERY_COLLECT_INTERVAL);
    assert_int_equal(capture_writer_reopen(writer), PW_OK);
    assert_int_equal(capture_write_interval(writer, merge, 2000, 3000), PW_OK);
    query_merge_destroy(merge);
    assert_string_equal(capture_writer_path(writer), path);

    PwWorkloadReader *reader;
    PwWorkloadRecord record;
    assert_int_equal(pw_workload_reader_open(path, &reader), PW_OK);
    assert_int_equal(pw_workload_reader_next(reader, &record), PW_OK);
    assert_string_equal(record.query, "select a");
    assert_string_equal(record.application_name, "app");
    assert_int_equal(record.counts.calls, 2);
    assert_int_equal(record.counts.failed, 1);
    assert_int_equal(record.n_samples, 1);
    assert_true(record.start == 1000 && record.end == 2000);
    const PwWorkloadInterval *interval = pw_workload_reader_interval(reader);
    assert_int_equal(interval->pid, getpid());
    assert_int_equal(interval->evicted, 1);
    assert_int_equal(interval->unlogged, 1);
    assert_int_equal(interval->queries, 2);
    assert_int_equal(interval->max_queries, 1);
    pw_workload_record_finish(&record);
    assert_int_equal(pw_workload_reader_next(reader, &record), PW_OK);
    assert_true(record.fingerprint == 0 && record.query == NULL && record.counts.calls == 1);
    pw_workload_record_finish(&record);
    assert_int_equal(pw_workload_reader_next(reader, &record), PW_ERR_CLOSED);
    assert_int_equal(pw_workload_reader_totals(reader)->intervals, 2);
    assert_int_equal(pw_workload_reader_totals(reader)->bad_lines, 0);
    pw_workload_reader_close(reader);
    unlink(path);
    capture_writer_destroy(writer);
    capture_writer_destroy(lost);
    query_ident_release(table, ident);
    query_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_entry_for_one_query),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_settings_of_the_lexer_are_part_of_the_key),
        cmocka_unit_test(test_an_interval_counts_each_call_once),
        cmocka_unit_test(test_full_table_evicts_but_loses_no_call),
        cmocka_unit_test(test_recycled_entries_are_not_found_through_the_cache),
        cmocka_unit_test(test_every_entry_in_use),
        cmocka_unit_test(test_merge_over_workers),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_samples_are_bounded),
        cmocka_unit_test(test_intervals_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
