/* SPDX-License-Identifier: ISC */
/* What is written is valid JSON whatever the bytes, and is read back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/workload/json_out.h"
#include "poolwise/buf.h"
#include "poolwise/workload.h"

static char dir[] = "/tmp/poolwise-test-XXXXXX";
static char path[64], rotated[64];

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/q.log", dir);
    snprintf(rotated, sizeof(rotated), "%s/q.log.1", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(path);
    unlink(rotated);
    return 0;
}

static char *copy(const char *text)
{
    return strdup(text);
}

static PwWorkloadRecord example(void)
{
    PwWorkloadRecord record = {
        .fingerprint = UINT64_C(0xfedcba9876543210),
        .kind = PW_SQL_UPDATE,
        .start = INT64_C(1764000000123456),
        .end = INT64_C(1764000060123456),
        .database = copy("shop\"\\\n\t\x01\x7f"),
        .user = copy("j\xc3\xb6rg"),
        .application_name = copy(""),
        .query = copy("update t set a = $1 -- \xf0\x9f\x98\x80"),
        .truncated = true,
    };
    for (int i = 0; i < 100; i++)
        pw_query_counts_add(&record.counts, i * i * 10, i, (uint64_t)i, 80, 1000, i % 10 == 0 ? "23505" : NULL);
    pw_query_counts_add(&record.counts, 7200 * PW_USEC_PER_SEC, 3, 0, 0, 0, "57014");
    return record;
}

static void add_samples(PwWorkloadRecord *record)
{
    record->n_samples = 2;
    record->samples = calloc(2, sizeof(*record->samples));
    record->samples[0] = (PwSample){.sql = copy("update t set a = 'x'"), .sql_len = 20, .truncated = true};
    PwSample *bound = &record->samples[1];
    *bound = (PwSample){.sql = copy("update t set a = $1"), .sql_len = 19, .n_params = 4};
    bound->params = calloc(4, sizeof(*bound->params));
    bound->params[0] = (PwSampleParam){.form = PW_PARAM_FORM_TEXT, .len = 3, .value = copy("a\"b")};
    bound->params[2] = (PwSampleParam){.form = PW_PARAM_FORM_BINARY, .len = 4, .value = calloc(1, 5)};
    memcpy(bound->params[2].value, "\0\xff\x10\0", 4);
    bound->params[3] = (PwSampleParam){.form = PW_PARAM_FORM_TEXT, .len = 1, .truncated = true, .value = copy("z")};
}

static void write_example(PwWorkloadWriter *writer, const PwWorkloadRecord *record)
{
    PwWorkloadInterval interval = {.start = record->start, .end = record->end, .program = "pooler", .version = "1.2",
                                   .host = "h", .pid = 42, .workers = 4, .queries = 1, .max_queries = 1000, .evicted = 2,
                                   .unlogged = 3, .lost_intervals = 1};
    pw_workload_write_begin(writer, &interval);
    pw_workload_write_record(writer, record);
    assert_int_equal(pw_workload_write_end(writer), PW_OK);
}

static PwWorkloadReader *open_reader(const char *file)
{
    PwWorkloadReader *reader = NULL;
    assert_int_equal(pw_workload_reader_open(file, &reader), PW_OK);
    return reader;
}

static void test_round_trip(void **state)
{
    (void)state;
    PwWorkloadRecord record = example(), back;
    add_samples(&record);
    PwWorkloadWriter *writer;
    assert_int_equal(pw_workload_writer_open(path, &writer), PW_OK);
    write_example(writer, &record);
    pw_workload_writer_close(writer);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07137, 0); /* nobody else may read it */
    assert_true(pw_workload_looks_like_log(path));

    PwWorkloadReader *reader = open_reader(path);
    assert_null(pw_workload_reader_interval(reader));
    assert_int_equal(pw_workload_reader_next(reader, &back), PW_OK);
    assert_true(back.fingerprint == record.fingerprint);
    assert_int_equal(back.kind, PW_SQL_UPDATE);
    assert_true(back.start == record.start && back.end == record.end && back.truncated);
    assert_string_equal(back.database, record.database);
    assert_string_equal(back.user, record.user);
    assert_string_equal(back.application_name, "");
    assert_string_equal(back.query, record.query);
    assert_memory_equal(&back.counts, &record.counts, sizeof(back.counts));
    assert_int_equal(back.n_samples, 2);
    assert_string_equal(back.samples[0].sql, record.samples[0].sql);
    assert_true(back.samples[0].truncated);
    assert_int_equal(back.samples[0].n_params, 0);
    assert_int_equal(back.samples[1].n_params, 4);
    const PwSampleParam *params = back.samples[1].params;
    assert_int_equal(params[0].form, PW_PARAM_FORM_TEXT);
    assert_string_equal(params[0].value, "a\"b");
    assert_int_equal(params[1].form, PW_PARAM_FORM_NULL);
    assert_int_equal(params[2].form, PW_PARAM_FORM_BINARY);
    assert_int_equal(params[2].len, 4);
    assert_memory_equal(params[2].value, "\0\xff\x10\0", 4);
    assert_true(params[3].truncated && params[3].form == PW_PARAM_FORM_TEXT);
    pw_workload_record_finish(&back);
    assert_int_equal(pw_workload_reader_next(reader, &back), PW_ERR_CLOSED);
    assert_int_equal(pw_workload_reader_next(reader, &back), PW_ERR_CLOSED);

    const PwWorkloadInterval *interval = pw_workload_reader_interval(reader);
    assert_string_equal(interval->program, "pooler");
    assert_int_equal(interval->pid, 42);
    assert_int_equal(interval->unlogged, 3);
    assert_int_equal(interval->lost_intervals, 1);
    const PwReaderTotals *totals = pw_workload_reader_totals(reader);
    assert_int_equal(totals->lines, 2);
    assert_int_equal(totals->intervals, 1);
    assert_int_equal(totals->records, 1);
    assert_int_equal(totals->calls, 101);
    assert_int_equal(totals->bad_lines, 0);
    assert_false(totals->truncated_end);
    assert_true(totals->first_start == record.start && totals->last_end == record.end);
    pw_workload_reader_close(reader);
    pw_workload_record_finish(&record);
}

/* Every pair of bytes in a string: always JSON, and exact when it was UTF-8. */
static void test_any_bytes_are_json(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    for (unsigned i = 0; i < 65536; i++) {
        char bytes[3] = {(char)(i >> 8), (char)i, 'z'};
        pw_json_append_string(&buf, bytes, 3);
        json_t *value = json_loadb((const char *)pw_buf_head(&buf), pw_buf_unread(&buf), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        if (i < 65536 && (i >> 8) < 128 && (i & 255) < 128) {
            assert_int_equal(json_string_length(value), 3);
            assert_memory_equal(json_string_value(value), bytes, 3);
        } else {
            size_t n = json_string_length(value);
            assert_true(n >= 3 && json_string_value(value)[n - 1] == 'z');
        }
        json_decref(value);
        pw_buf_consume(&buf, pw_buf_unread(&buf));
    }
    static const char *const invalid[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < 5; i++) {
        pw_json_append_string(&buf, invalid[i], strlen(invalid[i]));
        pw_buf_append_u8(&buf, '\0');
        const char *p = (const char *)pw_buf_head(&buf) + 1;
        for (size_t j = 0; j < strlen(invalid[i]); j++, p += 3)
            assert_memory_equal(p, "\xef\xbf\xbd", 3);
        assert_string_equal(p, "\"");
        pw_buf_consume(&buf, pw_buf_unread(&buf));
    }
    pw_buf_finish(&buf);
}

static void put_file(const char *text, size_t n)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    fclose(file);
}

#define HEAD "{\"poolwise\":1,\"type\":\"query\",\"start_us\":1,\"end_us\":2,\"fingerprint\":\"00000000000000ff\","
#define GOOD HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9}\n"

static void test_bad_lines_are_told_and_passed_over(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "not json\n",
        "[]\n",
        "{}\n",
        "{\"poolwise\":\"1\",\"type\":\"query\"}\n",
        "{\"poolwise\":2,\"type\":\"query\"}\n",
        "{\"poolwise\":1,\"type\":\"query\"}\n",
        HEAD "\"query\":\"q\",\"calls\":-3,\"server_us\":9}\n",
        HEAD "\"query\":\"q\",\"calls\":3.5,\"server_us\":9}\n",
        HEAD "\"query\":null,\"calls\":3,\"server_us\":9}\n",
        HEAD "\"query\":5,\"calls\":3,\"server_us\":9}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"hist\":[[1]]}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"hist\":{}}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"errors\":[]}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"errors\":{\"23505\":\"x\"}}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"samples\":[5]}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"samples\":[{\"sql\":\"s\",\"params\":[5]}]}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"samples\":[{\"sql\":\"s\",\"params\":[{\"hex\":\"0g\"}]}]}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"samples\":[{\"sql\":\"s\",\"params\":[{\"hex\":\"012\"}]}]}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"truncated\":1}\n",
        HEAD "\"query\":\"q\",\"calls\":3,\"server_us\":9,\"user\":1}\n",
        "{\"poolwise\":1,\"type\":\"query\",\"start_us\":1,\"end_us\":2,\"fingerprint\":\"ff\",\"query\":\"q\",\"calls\":3,\"server_us\":9}\n",
        "{\"poolwise\":1,\"type\":\"query\",\"start_us\":2,\"end_us\":1,\"fingerprint\":\"00000000000000ff\",\"query\":\"q\",\"calls\":3,\"server_us\":9}\n",
    };
    size_t n_bad = sizeof(bad) / sizeof(bad[0]);
    PwBuf buf;
    pw_buf_init(&buf);
    for (size_t i = 0; i < n_bad; i++) {
        pw_buf_append_str(&buf, bad[i]);
        pw_buf_append_str(&buf, GOOD);
    }
    pw_buf_append_str(&buf, "\n  \r\n{\"poolwise\":1,\"type\":\"from the future\"}\n");
    put_file((const char *)pw_buf_head(&buf), pw_buf_unread(&buf));
    pw_buf_finish(&buf);

    PwWorkloadReader *reader = open_reader(path);
    PwWorkloadRecord record;
    for (size_t i = 0; i < n_bad; i++) {
        assert_int_equal(pw_workload_reader_next(reader, &record), PW_OK);
        assert_int_equal(record.fingerprint, 0xff);
        pw_workload_record_finish(&record);
    }
    assert_int_equal(pw_workload_reader_next(reader, &record), PW_ERR_CLOSED);
    const PwReaderTotals *totals = pw_workload_reader_totals(reader);
    assert_int_equal(totals->bad_lines, n_bad);
    assert_int_equal(totals->newer_lines, 1);
    assert_int_equal(totals->records, n_bad);
    assert_int_equal(totals->calls, 3 * n_bad);
    assert_int_equal(totals->n_problems, PW_READER_PROBLEMS);
    for (unsigned i = 0; i < totals->n_problems; i++) {
        assert_int_equal(totals->problems[i].line, 2 * i + 1);
        assert_true(totals->problems[i].text[0] != '\0');
    }
    pw_workload_reader_close(reader);
}

static void test_last_line_cut(void **state)
{
    (void)state;
    static const char text[] = GOOD GOOD;
    size_t one = strlen(GOOD);
    for (size_t n = 0; n <= 2 * one; n++) {
        put_file(text, n);
        PwWorkloadReader *reader = open_reader(path);
        PwWorkloadRecord record;
        size_t found = 0;
        while (pw_workload_reader_next(reader, &record) == PW_OK) {
            pw_workload_record_finish(&record);
            found++;
        }
        const PwReaderTotals *totals = pw_workload_reader_totals(reader);
        /* a line that only lacks its newline is whole */
        assert_int_equal(found, (n + 1) / one);
        assert_int_equal(totals->bad_lines, 0);
        assert_int_equal(totals->truncated_end, n % one != 0 && (n + 1) % one != 0);
        pw_workload_reader_close(reader);
    }
}

static void test_too_long_a_line(void **state)
{
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    char *spaces = malloc(1 << 20);
    memset(spaces, 'x', 1 << 20);
    for (int i = 0; i < 17; i++)
        fwrite(spaces, 1, 1 << 20, file);
    fputs("\n" GOOD, file);
    for (int i = 0; i < 17; i++)
        fwrite(spaces, 1, 1 << 20, file);
    fclose(file);
    free(spaces);
    PwWorkloadReader *reader = open_reader(path);
    PwWorkloadRecord record;
    assert_int_equal(pw_workload_reader_next(reader, &record), PW_OK);
    pw_workload_record_finish(&record);
    assert_int_equal(pw_workload_reader_next(reader, &record), PW_ERR_CLOSED);
    const PwReaderTotals *totals = pw_workload_reader_totals(reader);
    assert_int_equal(totals->bad_lines, 1);
    assert_int_equal(totals->problems[0].line, 1);
    assert_true(totals->truncated_end);
    pw_workload_reader_close(reader);
}

static size_t count_records(const char *file, const PwReaderTotals **ret_totals)
{
    static PwReaderTotals totals;
    PwWorkloadReader *reader = open_reader(file);
    PwWorkloadRecord record;
    size_t n = 0;
    for (; pw_workload_reader_next(reader, &record) == PW_OK; n++)
        pw_workload_record_finish(&record);
    totals = *pw_workload_reader_totals(reader);
    *ret_totals = &totals;
    pw_workload_reader_close(reader);
    return n;
}

static void test_rotation_and_torn_files(void **state)
{
    (void)state;
    PwWorkloadRecord record = example();
    PwWorkloadWriter *writer;
    const PwReaderTotals *totals;
    put_file(GOOD "{\"poolwise\":1,\"ty", strlen(GOOD) + 17); /* a process died here */
    assert_int_equal(pw_workload_writer_open(path, &writer), PW_OK);
    write_example(writer, &record);
    assert_int_equal(count_records(path, &totals), 2);
    assert_int_equal(totals->bad_lines, 1);
    assert_int_equal(totals->intervals, 1); /* it did not join the torn line */

    assert_int_equal(rename(path, rotated), 0);
    write_example(writer, &record); /* still into the old file */
    assert_int_equal(count_records(rotated, &totals), 3);
    assert_int_equal(pw_workload_writer_reopen(writer), PW_OK);
    write_example(writer, &record);
    write_example(writer, &record);
    assert_int_equal(count_records(rotated, &totals), 3);
    assert_int_equal(count_records(path, &totals), 2);
    assert_int_equal(totals->bad_lines, 0);
    assert_int_equal(totals->intervals, 2);
    assert_string_equal(pw_workload_writer_path(writer), path);
    pw_workload_writer_close(writer);
    pw_workload_record_finish(&record);
}

static void test_write_errors_are_returned(void **state)
{
    (void)state;
    PwWorkloadWriter *writer;
    assert_int_equal(pw_workload_writer_open("/nonexistent/q.log", &writer), PW_ERR_IO);
    PwWorkloadReader *reader;
    assert_int_equal(pw_workload_reader_open("/nonexistent/q.log", &reader), PW_ERR_IO);
    assert_false(pw_workload_looks_like_log("/nonexistent/q.log"));
    if (access("/dev/full", W_OK) != 0)
        skip();
    PwWorkloadRecord record = example();
    assert_int_equal(pw_workload_writer_open("/dev/full", &writer), PW_OK);
    PwWorkloadInterval interval = {.program = "pooler"};
    for (int i = 0; i < 2; i++) {
        pw_workload_write_begin(writer, &interval);
        for (int j = 0; j < 1000; j++)
            pw_workload_write_record(writer, &record);
        assert_int_equal(pw_workload_write_end(writer), PW_ERR_IO);
    }
    pw_workload_writer_close(writer);
    pw_workload_record_finish(&record);
}

static void test_errors_beyond_the_bound(void **state)
{
    (void)state;
    static PwQueryCounts counts, sum;
    for (unsigned i = 0; i < 2 * PW_WORKLOAD_ERRORS; i++) {
        char code[6];
        snprintf(code, sizeof(code), "%05u", i);
        pw_query_counts_add(&counts, 1, 0, 0, 0, 0, code);
    }
    assert_int_equal(counts.n_errors, PW_WORKLOAD_ERRORS);
    assert_int_equal(counts.errors_other, PW_WORKLOAD_ERRORS);
    assert_int_equal(counts.failed, 2 * PW_WORKLOAD_ERRORS);
    pw_query_counts_merge(&sum, &counts);
    pw_query_counts_merge(&sum, &counts);
    assert_int_equal(sum.errors[0].count, 2);
    assert_int_equal(sum.errors_other, 2 * PW_WORKLOAD_ERRORS);
    assert_int_equal(sum.server_min_us, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trip, remove_files),
        cmocka_unit_test(test_any_bytes_are_json),
        cmocka_unit_test_teardown(test_bad_lines_are_told_and_passed_over, remove_files),
        cmocka_unit_test_teardown(test_last_line_cut, remove_files),
        cmocka_unit_test_teardown(test_too_long_a_line, remove_files),
        cmocka_unit_test_teardown(test_rotation_and_torn_files, remove_files),
        cmocka_unit_test(test_write_errors_are_returned),
        cmocka_unit_test(test_errors_beyond_the_bound),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
