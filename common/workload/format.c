/* SPDX-License-Identifier: ISC */
/* The lines of the query log; docs/query-log.md describes each field. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/workload/json_out.h"
#include "poolwise/buf.h"
#include "poolwise/workload.h"

static void append_name(PwBuf *buf, const char *name)
{
    pw_buf_append_u8(buf, ',');
    pw_buf_append_u8(buf, '"');
    pw_buf_append_str(buf, name);
    pw_buf_append(buf, "\":", 2);
}

static void append_text(PwBuf *buf, const char *name, const char *text)
{
    append_name(buf, name);
    pw_json_append_string(buf, text, strlen(text));
}

/* JSON readers have signed integers of 64 bits: what would not fit stays at their largest. */
static uint64_t bounded(uint64_t value)
{
    return value < INT64_MAX ? value : INT64_MAX;
}

static void append_number(PwBuf *buf, const char *name, uint64_t value)
{
    append_name(buf, name);
    pw_buf_printf(buf, "%" PRIu64, bounded(value));
}

static void append_time(PwBuf *buf, const char *name, PwUsec wall)
{
    time_t seconds = (time_t)(wall / PW_USEC_PER_SEC);
    struct tm tm;
    if (wall < 0 || gmtime_r(&seconds, &tm) == NULL)
        return;
    char text[40];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    append_name(buf, name);
    pw_buf_printf(buf, "\"%s.%06dZ\"", text, (int)(wall % PW_USEC_PER_SEC));
}

void pw_workload_format_interval(PwBuf *buf, const PwWorkloadInterval *interval)
{
    pw_buf_printf(buf, "{\"poolwise\":%d,\"type\":\"interval\"", PW_WORKLOAD_VERSION);
    append_number(buf, "start_us", (uint64_t)interval->start);
    append_number(buf, "end_us", (uint64_t)interval->end);
    append_time(buf, "start", interval->start);
    append_time(buf, "end", interval->end);
    append_text(buf, "program", interval->program);
    append_text(buf, "version", interval->version);
    append_text(buf, "host", interval->host);
    append_number(buf, "pid", (uint64_t)interval->pid);
    append_number(buf, "workers", interval->workers);
    append_number(buf, "queries", interval->queries);
    append_number(buf, "max_queries", interval->max_queries);
    append_number(buf, "evicted", interval->evicted);
    append_number(buf, "unlogged", interval->unlogged);
    append_number(buf, "lost_intervals", interval->lost_intervals);
    pw_buf_append(buf, "}\n", 2);
}

static void append_hex(PwBuf *buf, const char *bytes, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        pw_buf_append_u8(buf, (uint8_t)hex[(uint8_t)bytes[i] >> 4]);
        pw_buf_append_u8(buf, (uint8_t)hex[(uint8_t)bytes[i] & 15]);
    }
}

static void append_param(PwBuf *buf, const PwSampleParam *param)
{
    switch (param->form) {
    case PW_PARAM_FORM_TEXT:
        if (!param->truncated) {
            pw_json_append_string(buf, param->value, param->len);
            return;
        }
        pw_buf_append_str(buf, "{\"text\":");
        pw_json_append_string(buf, param->value, param->len);
        pw_buf_append_str(buf, ",\"truncated\":true}");
        return;
    case PW_PARAM_FORM_BINARY:
        pw_buf_append_str(buf, "{\"hex\":\"");
        append_hex(buf, param->value, param->len);
        pw_buf_append_str(buf, param->truncated ? "\",\"truncated\":true}" : "\"}");
        return;
    case PW_PARAM_FORM_NULL:
    case PW_PARAM_FORM_COUNT:
        break;
    }
    pw_buf_append_str(buf, "null");
}

static void append_sample(PwBuf *buf, const PwSample *sample)
{
    pw_buf_append_str(buf, "{\"sql\":");
    pw_json_append_string(buf, sample->sql, sample->sql_len);
    if (sample->truncated)
        pw_buf_append_str(buf, ",\"truncated\":true");
    if (sample->n_params > 0) {
        pw_buf_append_str(buf, ",\"params\":[");
        for (unsigned i = 0; i < sample->n_params; i++) {
            if (i > 0)
                pw_buf_append_u8(buf, ',');
            append_param(buf, &sample->params[i]);
        }
        pw_buf_append_u8(buf, ']');
    }
    pw_buf_append_u8(buf, '}');
}

static void append_hist(PwBuf *buf, const PwHist *hist)
{
    append_name(buf, "hist");
    char separator = '[';
    for (unsigned i = 0; i < PW_HIST_BUCKETS; i++) {
        if (hist->buckets[i] == 0)
            continue;
        pw_buf_printf(buf, "%c[%" PRId64 ",%" PRIu64 "]", separator, pw_hist_lower(i), bounded(hist->buckets[i]));
        separator = ',';
    }
    pw_buf_append_str(buf, separator == '[' ? "[]" : "]");
}

static void append_errors(PwBuf *buf, const PwQueryCounts *counts)
{
    append_name(buf, "errors");
    pw_buf_append_u8(buf, '{');
    for (unsigned i = 0; i < counts->n_errors; i++) {
        if (i > 0)
            pw_buf_append_u8(buf, ',');
        pw_json_append_string(buf, counts->errors[i].sqlstate, strlen(counts->errors[i].sqlstate));
        pw_buf_printf(buf, ":%" PRIu64, bounded(counts->errors[i].count));
    }
    if (counts->errors_other > 0)
        pw_buf_printf(buf, "%s\"other\":%" PRIu64, counts->n_errors > 0 ? "," : "",
                      bounded(counts->errors_other));
    pw_buf_append_u8(buf, '}');
}

void pw_workload_format_record(PwBuf *buf, const PwWorkloadRecord *record)
{
    const PwQueryCounts *counts = &record->counts;
    pw_buf_printf(buf, "{\"poolwise\":%d,\"type\":\"query\"", PW_WORKLOAD_VERSION);
    append_number(buf, "start_us", (uint64_t)record->start);
    append_number(buf, "end_us", (uint64_t)record->end);
    append_text(buf, "database", record->database != NULL ? record->database : "");
    append_text(buf, "user", record->user != NULL ? record->user : "");
    append_text(buf, "application_name", record->application_name != NULL ? record->application_name : "");
    append_name(buf, "fingerprint");
    pw_buf_printf(buf, "\"%016" PRIx64 "\"", record->fingerprint);
    append_text(buf, "kind", pw_sql_kind_name(record->kind));
    if (record->query != NULL) {
        append_text(buf, "query", record->query);
    } else {
        append_name(buf, "query");
        pw_buf_append_str(buf, "null");
    }
    if (record->truncated)
        pw_buf_append_str(buf, ",\"truncated\":true");
    append_number(buf, "calls", counts->calls);
    append_number(buf, "failed", counts->failed);
    append_number(buf, "rows", counts->rows);
    append_number(buf, "bytes_in", counts->bytes_in);
    append_number(buf, "bytes_out", counts->bytes_out);
    append_number(buf, "server_us", counts->server.sum);
    append_number(buf, "server_min_us", counts->server_min_us);
    append_number(buf, "server_max_us", counts->server_max_us);
    append_number(buf, "wait_us", counts->wait_us);
    append_number(buf, "wait_max_us", counts->wait_max_us);
    append_hist(buf, &counts->server);
    if (counts->failed > 0)
        append_errors(buf, counts);
    if (record->n_samples > 0) {
        append_name(buf, "samples");
        for (unsigned i = 0; i < record->n_samples; i++) {
            pw_buf_append_u8(buf, i == 0 ? '[' : ',');
            append_sample(buf, &record->samples[i]);
        }
        pw_buf_append_u8(buf, ']');
    }
    pw_buf_append(buf, "}\n", 2);
}
