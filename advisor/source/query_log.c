/* SPDX-License-Identifier: ISC */
/* query_log.c - the query log of the pooler (docs/query-log.md). A line is looked through for the few members that count; one with samples, or that looks
 * wrong, is taken apart by the parser that knows the whole format. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "advisor/source/json_scan.h"
#include "advisor/source/reader.h"
#include "poolwise/workload.h"

typedef struct Line {
    unsigned long long version, start, end, calls, failed, rows, us;
    uint64_t fingerprint;
    AdvJsonMember query, database, user, application;
    bool is_query, truncated, has_samples, odd;
    unsigned seen; /* of the members that must be there */
} Line;

enum { SEEN_FINGERPRINT = 1, SEEN_QUERY = 2, SEEN_CALLS = 4, SEEN_US = 8, SEEN_START = 16, SEEN_END = 32, SEEN_ALL = 63 };

static bool read_fingerprint(AdvSlice text, uint64_t *ret)
{
    uint64_t value = 0;
    if (text.n != 16)
        return false;
    for (size_t i = 0; i < 16; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    *ret = value;
    return true;
}

static void number(Line *l, const AdvJsonMember *m, unsigned long long *ret, unsigned seen)
{
    l->seen |= seen;
    l->odd = l->odd || !adv_json_number(m, ret);
}

static void take_member(Line *l, const AdvJsonMember *m)
{
    AdvSlice k = m->key;
    switch (k.n) {
    case 4:
        if (adv_slice_is(k, "type"))
            l->is_query = adv_slice_is(m->value, "query");
        else if (adv_slice_is(k, "rows"))
            number(l, m, &l->rows, 0);
        else if (adv_slice_is(k, "user"))
            l->user = *m;
        break;
    case 5:
        if (adv_slice_is(k, "calls"))
            number(l, m, &l->calls, SEEN_CALLS);
        else if (adv_slice_is(k, "query")) {
            l->query = *m;
            l->seen |= SEEN_QUERY;
            l->odd = l->odd || (m->type != '"' && m->type != 'n');
        }
        break;
    case 6:
        if (adv_slice_is(k, "failed"))
            number(l, m, &l->failed, 0);
        else if (adv_slice_is(k, "end_us"))
            number(l, m, &l->end, SEEN_END);
        break;
    case 7:
        l->has_samples = l->has_samples || adv_slice_is(k, "samples");
        break;
    case 8:
        if (adv_slice_is(k, "start_us"))
            number(l, m, &l->start, SEEN_START);
        else if (adv_slice_is(k, "database"))
            l->database = *m;
        else if (adv_slice_is(k, "poolwise"))
            number(l, m, &l->version, 0);
        break;
    case 9:
        if (adv_slice_is(k, "server_us"))
            number(l, m, &l->us, SEEN_US);
        else if (adv_slice_is(k, "truncated"))
            l->truncated = m->type == 't';
        break;
    case 11:
        if (adv_slice_is(k, "fingerprint")) {
            l->seen |= SEEN_FINGERPRINT;
            l->odd = l->odd || !read_fingerprint(m->value, &l->fingerprint);
        }
        break;
    case 16:
        if (adv_slice_is(k, "application_name"))
            l->application = *m;
        break;
    default:
        break;
    }
}

/* What a line or a record says, whoever read it. */
typedef struct Seen {
    AdvSlice database, user, application, query; /* query.p NULL: not kept */
    uint64_t fingerprint;
    unsigned long long start, calls, failed, rows, us;
    bool truncated;
} Seen;

/* In UTC, as the log's own lines of type interval have it. The lines of an interval have the same. */
static const char *time_text(AdvReader *r, unsigned long long us)
{
    struct tm parts;
    time_t seconds = (time_t)(us / 1000000);
    if (us == r->time_us && r->time_text[0])
        return r->time_text;
    r->time_us = us;
    r->time_text[0] = '\0';
    if (seconds > INT64_C(253402300799) || !gmtime_r(&seconds, &parts))
        return r->time_text; /* beyond the year 9999 */
    size_t n = strftime(r->time_text, sizeof(r->time_text), "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(r->time_text + n, sizeof(r->time_text) - n, ".%03u", (unsigned)(us / 1000 % 1000));
    return r->time_text;
}

static bool wanted(AdvReader *r, const Seen *s)
{
    AdvEntry e = {.database = s->database, .user = s->user, .application = s->application};
    AdvTallyCounts *counts = adv_tally_counts(r->tally);
    const char *time = time_text(r, s->start);
    e.time = (AdvSlice){time, strlen(time)};
    AdvWanted w = adv_filter_entry(r->filter, &e);
    r->unplaced += w == ADV_UNPLACED ? s->calls : 0;
    if (w != ADV_WANTED)
        return false;
    if (!counts->first[0] || strcmp(time, counts->first) < 0)
        memcpy(counts->first, time, strlen(time) + 1);
    if (strcmp(time, counts->last) > 0)
        memcpy(counts->last, time, strlen(time) + 1);
    return true;
}

/* Rows and times of the calls that have a text of their own go with their share. */
static void add(AdvReader *r, const Seen *s, AdvExecution x, uint64_t calls)
{
    if (calls == 0)
        return;
    double share = (double)calls / (double)s->calls;
    x.origin = ADV_ORIGIN_POOLER;
    x.fingerprint = s->fingerprint;
    x.calls = calls;
    x.us = calls == s->calls ? s->us : (uint64_t)((double)s->us * share);
    x.rows = s->calls <= s->failed ? -1 : calls == s->calls ? (int64_t)s->rows : (int64_t)((double)s->rows * share);
    adv_tally_add(r->tally, &x);
}

static void take(AdvReader *r, const Seen *s)
{
    AdvTallyCounts *counts = adv_tally_counts(r->tally);
    if (!wanted(r, s))
        return;
    counts->messages++;
    if (!s->query.p || s->truncated || s->fingerprint == 0) {
        adv_tally_add_unlogged(r->tally, s->calls);
        return;
    }
    add(r, s, (AdvExecution){.text = s->query.p, .len = s->query.n, .open = true}, s->calls);
}

/* The bound values as PostgreSQL would log them. False when one is missing or in a form that cannot be read here. */
static bool values_of(const PwSample *sample, PwBuf *out)
{
    out->off = out->len = 0;
    for (unsigned i = 0; i < sample->n_params; i++) {
        const PwSampleParam *p = &sample->params[i];
        if (p->truncated || p->form == PW_PARAM_FORM_BINARY)
            return false;
        pw_buf_printf(out, "%s$%u = %s", i ? ", " : "", i + 1, p->form == PW_PARAM_FORM_NULL ? "NULL" : "'");
        if (p->form == PW_PARAM_FORM_NULL)
            continue;
        for (size_t c = 0; c < p->len; c++) {
            if (p->value[c] == '\'')
                pw_buf_append_u8(out, '\'');
            pw_buf_append_u8(out, (uint8_t)p->value[c]);
        }
        pw_buf_append_u8(out, '\'');
    }
    return true;
}

/* The calls are shared out among the samples that have all their values. */
static void take_samples(AdvReader *r, const PwWorkloadRecord *record, const Seen *s)
{
    unsigned usable = 0, given = 0;
    for (unsigned i = 0; i < record->n_samples; i++)
        usable += !record->samples[i].truncated && values_of(&record->samples[i], &r->detail);
    if (usable == 0 || s->fingerprint == 0 || s->calls == 0) {
        take(r, s);
        return;
    }
    if (!wanted(r, s))
        return;
    adv_tally_counts(r->tally)->messages++;
    for (unsigned i = 0; i < record->n_samples; i++) {
        const PwSample *sample = &record->samples[i];
        if (sample->truncated || !values_of(sample, &r->detail))
            continue;
        uint64_t calls = s->calls / usable + (given++ < s->calls % usable);
        add(r, s, (AdvExecution){.text = sample->sql, .len = sample->sql_len, .params = sample->n_params ? (const char *)r->detail.data : NULL,
                                 .params_len = r->detail.len}, calls);
    }
}

static AdvSlice slice(const char *text)
{
    return (AdvSlice){text, text ? strlen(text) : 0};
}

static void read_slowly(AdvReader *r, const char *line, size_t len)
{
    union { const char *in; char *out; } u = {.in = line}; /* opened for reading only */
    FILE *file = len ? fmemopen(u.out, len, "r") : NULL;
    if (!file)
        return;
    PwWorkloadReader *reader = pw_workload_reader_open_stream(file);
    PwWorkloadRecord record = {0};
    while (pw_workload_reader_next(reader, &record) == PW_OK) {
        const Seen s = {slice(record.database), slice(record.user), slice(record.application_name), slice(record.query), record.fingerprint,
                        record.start, record.counts.calls, record.counts.failed, record.counts.rows, record.counts.server.sum, record.truncated};
        take_samples(r, &record, &s);
        pw_workload_record_finish(&record);
    }
    const PwReaderTotals *totals = pw_workload_reader_totals(reader);
    adv_tally_counts(r->tally)->bad += totals->bad_lines + totals->truncated_end;
    pw_workload_reader_close(reader);
    fclose(file);
}

static AdvSlice text_of(const AdvJsonMember *m, PwBuf *buf)
{
    AdvSlice text = {"", 0};
    return m->type == '"' && !adv_json_text(m, buf, &text) ? (AdvSlice){"", 0} : text;
}

static void read_line(AdvReader *r, const char *text, size_t len)
{
    Line l = {0};
    AdvJsonScan scan = adv_json_scan(text, len);
    AdvJsonMember m;
    while (adv_json_next(&scan, &m))
        take_member(&l, &m);
    if (scan.bad || l.odd || l.has_samples || l.version != PW_WORKLOAD_VERSION || (l.is_query && l.seen != SEEN_ALL) || !l.is_query || l.end < l.start) {
        read_slowly(r, text, len);
        return;
    }
    Seen s = {text_of(&l.database, &r->field[0]), text_of(&l.user, &r->field[1]), text_of(&l.application, &r->field[2]), {0}, l.fingerprint, l.start,
              l.calls, l.failed, l.rows, l.us, l.truncated};
    if (l.query.type == '"' && !adv_json_text(&l.query, &r->message, &s.query)) {
        read_slowly(r, text, len);
        return;
    }
    take(r, &s);
}

static void read_query_log(AdvReader *r, const char *data, size_t len)
{
    for (const char *p = data, *end = data + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        if (stop > p)
            read_line(r, p, (size_t)(stop - p));
        p = stop + 1;
    }
}

static bool is_query_log(const char *head, size_t len)
{
    const char *newline = memchr(head, '\n', len);
    return head[0] == '{' && memmem(head, newline ? (size_t)(newline - head) : len, "\"poolwise\"", 10);
}

const AdvForm adv_form_query_log = {.name = "query log of the pooler", .is = is_query_log, .read = read_query_log};
