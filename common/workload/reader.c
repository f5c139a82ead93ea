/* SPDX-License-Identifier: ISC */
/* One line at a time: memory is bounded by PW_WORKLOAD_LINE_MAX whatever the file holds. A line must be right in
 * every field that is there; which fields may be missing is said in docs/query-log.md. Unknown fields
 * and unknown types of lines are passed over, so that later writers of version 1 may add some. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/buf.h"
#include "poolwise/mem.h"
#include "poolwise/workload.h"

#define CHUNK (64 * 1024)

struct PwWorkloadReader {
    FILE *file;
    bool own_file, eof, has_interval;
    bool skipping; /* inside a line that is too long */
    PwBuf buf;
    size_t scanned; /* unread bytes known to hold no newline */
    PwReaderTotals totals;
    PwWorkloadInterval interval;
    PwReaderProblem problem; /* of the line in hand; text empty: none */
};

/* ---- fields: the first problem of a line is kept, later ones follow from it ---- */

static void PW_PRINTF(2, 3) complain(PwWorkloadReader *reader, const char *fmt, ...)
{
    if (reader->problem.text[0] != '\0')
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(reader->problem.text, sizeof(reader->problem.text), fmt, args);
    va_end(args);
}

static bool line_is_bad(const PwWorkloadReader *reader)
{
    return reader->problem.text[0] != '\0';
}

static uint64_t get_number(PwWorkloadReader *reader, const json_t *line, const char *name, bool needed)
{
    const json_t *value = json_object_get(line, name);
    if (value == NULL && !needed)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        complain(reader, "\"%s\" is not a whole number of 0 or more", name);
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

static bool get_flag(PwWorkloadReader *reader, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (value != NULL && !json_is_boolean(value))
        complain(reader, "\"%s\" is neither true nor false", name);
    return json_is_true(value);
}

static const char *get_text(PwWorkloadReader *reader, const json_t *line, const char *name)
{
    const json_t *value = json_object_get(line, name);
    if (value == NULL)
        return "";
    if (!json_is_string(value)) {
        complain(reader, "\"%s\" is not a string", name);
        return "";
    }
    return json_string_value(value);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint64_t get_fingerprint(PwWorkloadReader *reader, const json_t *line)
{
    const char *text = get_text(reader, line, "fingerprint");
    uint64_t value = 0;
    for (size_t i = 0; i < 16; i++) {
        int digit = hex_value(text[i]);
        if (digit < 0) {
            complain(reader, "\"fingerprint\" is not a string of 16 hexadecimal digits");
            return 0;
        }
        value = value << 4 | (uint64_t)digit;
    }
    if (text[16] != '\0')
        complain(reader, "\"fingerprint\" is not a string of 16 hexadecimal digits");
    return value;
}

static void get_hist(PwWorkloadReader *reader, const json_t *line, PwQueryCounts *counts)
{
    const json_t *hist = json_object_get(line, "hist");
    if (hist != NULL && !json_is_array(hist))
        complain(reader, "\"hist\" is not an array");
    size_t n = json_array_size(hist);
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(hist, i);
        const json_t *lower = json_array_get(pair, 0), *count = json_array_get(pair, 1);
        if (!json_is_integer(lower) || !json_is_integer(count) || json_integer_value(lower) < 0 ||
            json_integer_value(count) < 0) {
            complain(reader, "\"hist\" holds something else than pairs [microseconds, count]");
            return;
        }
        uint64_t more = (uint64_t)json_integer_value(count);
        counts->server.buckets[pw_hist_index((PwUsec)json_integer_value(lower))] += more;
        counts->server.count += more;
    }
    if (hist == NULL) /* nothing is known but the mean */
        counts->server.count = 0;
}

static void get_errors(PwWorkloadReader *reader, json_t *line, PwQueryCounts *counts)
{
    json_t *errors = json_object_get(line, "errors"), *count;
    const char *state;
    if (errors != NULL && !json_is_object(errors)) {
        complain(reader, "\"errors\" is not an object");
        return;
    }
    json_object_foreach (errors, state, count) {
        if (!json_is_integer(count) || json_integer_value(count) < 0) {
            complain(reader, "\"errors\" holds something else than counts");
            return;
        }
        uint64_t more = (uint64_t)json_integer_value(count);
        if (strlen(state) == 5 && strcmp(state, "other") != 0 && counts->n_errors < PW_WORKLOAD_ERRORS) {
            memcpy(counts->errors[counts->n_errors].sqlstate, state, 6);
            counts->errors[counts->n_errors++].count = more;
        } else {
            counts->errors_other += more;
        }
    }
}

static char *copy_bytes(const char *bytes, size_t n)
{
    char *copy = pw_xmalloc(n + 1);
    memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

static char *decode_hex(const char *text, size_t n, size_t *ret_len)
{
    char *bytes = pw_xmalloc(n / 2 + 1);
    for (size_t i = 0; i < n / 2; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0 || n % 2 != 0) {
            free(bytes);
            return NULL;
        }
        bytes[i] = (char)(high << 4 | low);
    }
    bytes[n / 2] = '\0';
    *ret_len = n / 2;
    return bytes;
}

static void get_param(PwWorkloadReader *reader, const json_t *value, PwSampleParam *param)
{
    const json_t *text = json_is_string(value) ? value : json_object_get(value, "text");
    const json_t *hex = json_object_get(value, "hex");
    if (json_is_null(value))
        return;
    param->truncated = json_is_object(value) && get_flag(reader, value, "truncated");
    if (json_is_string(text)) {
        param->form = PW_PARAM_FORM_TEXT;
        param->len = json_string_length(text);
        param->value = copy_bytes(json_string_value(text), param->len);
        return;
    }
    param->form = PW_PARAM_FORM_BINARY;
    if (json_is_string(hex))
        param->value = decode_hex(json_string_value(hex), json_string_length(hex), &param->len);
    if (param->value == NULL) {
        param->form = PW_PARAM_FORM_NULL;
        complain(reader, "\"params\" holds something else than null, strings and {\"hex\": digits}");
    }
}

static void get_sample(PwWorkloadReader *reader, const json_t *value, PwSample *sample)
{
    const json_t *sql = json_object_get(value, "sql"), *params = json_object_get(value, "params");
    if (!json_is_string(sql) || (params != NULL && !json_is_array(params)) ||
        json_array_size(params) > PW_SAMPLE_PARAMS_MAX) {
        complain(reader, "\"samples\" holds something else than objects with \"sql\" and \"params\"");
        return;
    }
    sample->sql_len = json_string_length(sql);
    sample->sql = copy_bytes(json_string_value(sql), sample->sql_len);
    sample->truncated = get_flag(reader, value, "truncated");
    sample->n_params = (unsigned)json_array_size(params);
    if (sample->n_params > 0)
        sample->params = pw_xcalloc(sample->n_params, sizeof(*sample->params));
    for (unsigned i = 0; i < sample->n_params; i++)
        get_param(reader, json_array_get(params, i), &sample->params[i]);
}

static void get_samples(PwWorkloadReader *reader, const json_t *line, PwWorkloadRecord *record)
{
    const json_t *samples = json_object_get(line, "samples");
    if (samples == NULL)
        return;
    if (!json_is_array(samples) || json_array_size(samples) > PW_SAMPLES_MAX) {
        complain(reader, "\"samples\" is not an array of at most %d", PW_SAMPLES_MAX);
        return;
    }
    record->n_samples = (unsigned)json_array_size(samples);
    record->samples = pw_xcalloc(record->n_samples, sizeof(*record->samples));
    for (unsigned i = 0; i < record->n_samples && !line_is_bad(reader); i++)
        get_sample(reader, json_array_get(samples, i), &record->samples[i]);
}

/* ---- lines ---- */

static void get_times(PwWorkloadReader *reader, const json_t *line, PwUsec *start, PwUsec *end)
{
    *start = (PwUsec)get_number(reader, line, "start_us", true);
    *end = (PwUsec)get_number(reader, line, "end_us", true);
    if (*end < *start)
        complain(reader, "\"end_us\" is before \"start_us\"");
}

static void read_query(PwWorkloadReader *reader, json_t *line, PwWorkloadRecord *record)
{
    PwQueryCounts *counts = &record->counts;
    get_times(reader, line, &record->start, &record->end);
    record->fingerprint = get_fingerprint(reader, line);
    record->kind = pw_sql_kind_from_name(get_text(reader, line, "kind"));
    record->truncated = get_flag(reader, line, "truncated");
    const json_t *query = json_object_get(line, "query");
    if (json_is_string(query))
        record->query = pw_xstrdup(json_string_value(query));
    else if (record->fingerprint != 0 || !json_is_null(query))
        complain(reader, "\"query\" is not a string");
    record->database = pw_xstrdup(get_text(reader, line, "database"));
    record->user = pw_xstrdup(get_text(reader, line, "user"));
    record->application_name = pw_xstrdup(get_text(reader, line, "application_name"));
    counts->calls = get_number(reader, line, "calls", true);
    counts->failed = get_number(reader, line, "failed", false);
    counts->rows = get_number(reader, line, "rows", false);
    counts->bytes_in = get_number(reader, line, "bytes_in", false);
    counts->bytes_out = get_number(reader, line, "bytes_out", false);
    counts->server.sum = get_number(reader, line, "server_us", true);
    counts->server_min_us = get_number(reader, line, "server_min_us", false);
    counts->server_max_us = get_number(reader, line, "server_max_us", false);
    counts->wait_us = get_number(reader, line, "wait_us", false);
    counts->wait_max_us = get_number(reader, line, "wait_max_us", false);
    get_hist(reader, line, counts);
    get_errors(reader, line, counts);
    get_samples(reader, line, record);
}

static void copy_text(char *to, size_t size, const char *text)
{
    size_t n = strnlen(text, size - 1);
    memcpy(to, text, n);
    to[n] = '\0';
}

static void read_interval(PwWorkloadReader *reader, const json_t *line)
{
    PwWorkloadInterval interval = {0};
    get_times(reader, line, &interval.start, &interval.end);
    copy_text(interval.program, sizeof(interval.program), get_text(reader, line, "program"));
    copy_text(interval.version, sizeof(interval.version), get_text(reader, line, "version"));
    copy_text(interval.host, sizeof(interval.host), get_text(reader, line, "host"));
    interval.pid = (int64_t)get_number(reader, line, "pid", false);
    interval.workers = (unsigned)get_number(reader, line, "workers", false);
    interval.queries = get_number(reader, line, "queries", false);
    interval.max_queries = get_number(reader, line, "max_queries", false);
    interval.evicted = get_number(reader, line, "evicted", false);
    interval.unlogged = get_number(reader, line, "unlogged", false);
    interval.lost_intervals = get_number(reader, line, "lost_intervals", false);
    if (line_is_bad(reader))
        return;
    reader->interval = interval;
    reader->has_interval = true;
    reader->totals.intervals++;
}

/* True when *record is a query. */
static bool read_line(PwWorkloadReader *reader, const char *text, size_t len, PwWorkloadRecord *record)
{
    json_error_t error;
    json_t *line = json_loadb(text, len, JSON_ALLOW_NUL, &error);
    bool query = false;
    if (line == NULL) {
        complain(reader, "not JSON: %.90s", error.text);
        return false;
    }
    const json_t *version = json_object_get(line, "poolwise");
    const char *type = get_text(reader, line, "type");
    if (!json_is_integer(version) || json_integer_value(version) < 1) {
        complain(reader, "no line of a query log: \"poolwise\" is missing");
    } else if (json_integer_value(version) > PW_WORKLOAD_VERSION) {
        reader->totals.newer_lines++;
        complain(reader, "written in version %" JSON_INTEGER_FORMAT " of the format, this program knows %d",
                 json_integer_value(version), PW_WORKLOAD_VERSION);
    } else if (strcmp(type, "query") == 0) {
        read_query(reader, line, record);
        query = !line_is_bad(reader);
        if (!query)
            pw_workload_record_finish(record);
    } else if (strcmp(type, "interval") == 0) {
        read_interval(reader, line);
    }
    json_decref(line);
    return query;
}

static void end_line(PwWorkloadReader *reader)
{
    PwReaderTotals *totals = &reader->totals;
    if (!line_is_bad(reader))
        return;
    totals->bad_lines++;
    if (totals->n_problems < PW_READER_PROBLEMS) {
        reader->problem.line = totals->lines;
        totals->problems[totals->n_problems++] = reader->problem;
    }
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

/* Reads more until the unread bytes start with a whole line. PW_OK: *ret_len bytes, the newline not
 * counted, *ret_ended when it is there. */
static PwErr next_line(PwWorkloadReader *reader, size_t *ret_len, bool *ret_ended)
{
    for (;;) {
        size_t unread = pw_buf_unread(&reader->buf);
        const uint8_t *head = pw_buf_head(&reader->buf);
        const uint8_t *newline = NULL;
        if (unread > reader->scanned)
            newline = memchr(head + reader->scanned, '\n', unread - reader->scanned);
        if (newline != NULL || (reader->eof && (unread > 0 || reader->skipping))) {
            reader->scanned = 0;
            *ret_ended = newline != NULL;
            *ret_len = newline != NULL ? (size_t)(newline - head) : unread;
            return PW_OK;
        }
        if (reader->eof)
            return PW_ERR_CLOSED;
        reader->scanned = unread;
        if (unread > PW_WORKLOAD_LINE_MAX) {
            reader->skipping = true;
            pw_buf_consume(&reader->buf, unread);
            reader->scanned = 0;
        }
        pw_buf_reserve(&reader->buf, CHUNK);
        errno = 0;
        size_t n = fread(reader->buf.data + reader->buf.len, 1, CHUNK, reader->file);
        reader->buf.len += n;
        if (n == 0 && ferror(reader->file))
            return PW_ERR_IO;
        reader->eof = n == 0;
    }
}

PwErr pw_workload_reader_next(PwWorkloadReader *reader, PwWorkloadRecord *record)
{
    PwReaderTotals *totals = &reader->totals;
    memset(record, 0, sizeof(*record));
    for (;;) {
        size_t len;
        bool ended;
        PwErr err = next_line(reader, &len, &ended);
        if (err != PW_OK)
            return err;
        totals->lines++;
        reader->problem.text[0] = '\0';
        const char *text = (const char *)pw_buf_head(&reader->buf);
        bool found = false;
        if (reader->skipping || len > PW_WORKLOAD_LINE_MAX)
            complain(reader, "longer than %d bytes", PW_WORKLOAD_LINE_MAX);
        else if (!is_blank(text, len))
            found = read_line(reader, text, len, record);
        reader->skipping = false;
        pw_buf_consume(&reader->buf, len + (ended ? 1 : 0));
        if (!ended && line_is_bad(reader))
            totals->truncated_end = true;
        else
            end_line(reader);
        if (!found)
            continue;
        totals->records++;
        totals->calls += record->counts.calls;
        totals->server_us += record->counts.server.sum;
        if (totals->first_start == 0 || record->start < totals->first_start)
            totals->first_start = record->start;
        if (record->end > totals->last_end)
            totals->last_end = record->end;
        return PW_OK;
    }
}

/* ---- open, close, questions ---- */

PwErr pw_workload_reader_open(const char *path, PwWorkloadReader **ret_reader)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return PW_ERR_IO;
    *ret_reader = pw_workload_reader_open_stream(file);
    (*ret_reader)->own_file = true;
    return PW_OK;
}

PwWorkloadReader *pw_workload_reader_open_stream(FILE *file)
{
    PwWorkloadReader *reader = pw_xcalloc(1, sizeof(*reader));
    reader->file = file;
    pw_buf_init(&reader->buf);
    pw_buf_reserve(&reader->buf, CHUNK); /* from here on it has memory: pointers into it are never NULL */
    return reader;
}

void pw_workload_reader_close(PwWorkloadReader *reader)
{
    if (reader == NULL)
        return;
    if (reader->own_file)
        fclose(reader->file);
    pw_buf_finish(&reader->buf);
    free(reader);
}

const PwReaderTotals *pw_workload_reader_totals(const PwWorkloadReader *reader)
{
    return &reader->totals;
}

const PwWorkloadInterval *pw_workload_reader_interval(const PwWorkloadReader *reader)
{
    return reader->has_interval ? &reader->interval : NULL;
}

bool pw_workload_looks_like_log(const char *path)
{
    char text[512];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t n = fread(text, 1, sizeof(text), file);
    fclose(file);
    const char *p = text, *end = text + n;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    if (p == end || *p != '{')
        return false;
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return memmem(p, (size_t)((newline != NULL ? newline : end) - p), "\"poolwise\"", 10) != NULL;
}
