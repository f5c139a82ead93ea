/* SPDX-License-Identifier: ISC */
#include "advisor/source/summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/source/reader.h"
#include "common/workload/json_out.h"
#include "poolwise/mem.h"

/* The counts by name, once for both directions. */
typedef struct CountRow {
    const char *name;
    size_t offset;
} CountRow;

#define COUNT(name) {#name, offsetof(AdvTallyCounts, name)}
static const CountRow counts_rows[] = {COUNT(messages), COUNT(statements), COUNT(us), COUNT(timed), COUNT(unlogged), COUNT(forgotten), COUNT(forgotten_calls),
                                       COUNT(forgotten_us), COUNT(errors), COUNT(temp_files), COUNT(temp_bytes), COUNT(lock_waits), COUNT(bad), COUNT(twins)};
#undef COUNT
#define COUNT(name) {#name, offsetof(AdvShape, name)}
static const CountRow shape_rows[] = {COUNT(calls), COUNT(us), COUNT(rows), COUNT(rows_calls), COUNT(temp_files), COUNT(temp_bytes), COUNT(lock_waits)};
#undef COUNT

static const uint64_t *count_of(const void *object, const CountRow *row)
{
    return (const uint64_t *)(const void *)((const char *)object + row->offset);
}

static uint64_t *count_in(void *object, const CountRow *row)
{
    return (uint64_t *)(void *)((char *)object + row->offset);
}

/* ---- writing ---- */

/* Zeros are left out. */
static void write_counts(PwBuf *out, const void *object, const CountRow *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (*count_of(object, &rows[i]))
            pw_buf_printf(out, ",\"%s\":%" PRIu64, rows[i].name, *count_of(object, &rows[i]));
}

static void write_notes(PwBuf *out, const AdvNotes *notes)
{
    for (size_t i = 0; i < notes->n; i++) {
        pw_buf_append_str(out, i > 0 ? "," : ",\"notes\":[");
        pw_json_append_string(out, notes->items[i], strlen(notes->items[i]));
    }
    if (notes->n > 0)
        pw_buf_append_u8(out, ']');
    if (notes->more > 0)
        pw_buf_printf(out, ",\"more_notes\":%" PRIu64, notes->more);
}

static void write_head(PwBuf *out, const AdvTallyCounts *c, const AdvNotes *notes, size_t shapes)
{
    pw_buf_printf(out, "{\"poolwise_summary\":%d", ADV_SUMMARY_VERSION);
    write_counts(out, c, counts_rows, PW_ARRAY_LEN(counts_rows));
    if (c->first[0])
        pw_buf_printf(out, ",\"first\":\"%s\",\"last\":\"%s\"", c->first, c->last);
    write_notes(out, notes);
    pw_buf_printf(out, ",\"shapes\":%zu", shapes);
    pw_buf_append_str(out, ",\"kinds\":{");
    const char *comma = "";
    for (int i = 0; i < PW_SQL_KIND_COUNT; i++)
        if (c->kinds[i]) {
            pw_buf_printf(out, "%s\"%s\":%" PRIu64, comma, pw_sql_kind_name((PwSqlKind)i), c->kinds[i]);
            comma = ",";
        }
    pw_buf_append_str(out, "}}\n");
}

static void write_sample(PwBuf *out, const AdvTallyText *s)
{
    pw_buf_printf(out, "{\"key\":\"%016" PRIx64 "\",\"calls\":%" PRIu64 ",\"origin\":\"%s\",\"text\":", s->key, s->calls, adv_origin_name(s->origin));
    pw_json_append_string(out, s->text, s->len);
    pw_buf_append_u8(out, '}');
}

/* One text without values stands for all: they are equal. */
static AdvTallyText redacted(const AdvShape *s, char *buffer)
{
    AdvTallyText only = {.key = ADV_TEXT_OPEN | (s->fingerprint & ~ADV_TEXT_OPEN), .origin = s->samples[0].origin, .text = buffer};
    PwNormalised n = pw_normalise(s->samples[0].text, s->samples[0].len, 0, buffer, PW_QUERY_TEXT_MAX + 1);
    only.len = (uint32_t)n.len;
    for (unsigned i = 0; i < s->n_samples; i++)
        only.calls += s->samples[i].calls;
    return only;
}

static void write_shape(PwBuf *out, const AdvShape *s, char *redact_buffer)
{
    pw_buf_printf(out, "{\"fingerprint\":\"%016" PRIx64 "\",\"kind\":\"%s\"", s->fingerprint, pw_sql_kind_name(s->kind));
    write_counts(out, s, shape_rows, PW_ARRAY_LEN(shape_rows));
    pw_buf_append_str(out, ",\"samples\":[");
    for (unsigned i = 0; i < s->n_samples; i++) {
        if (i > 0)
            pw_buf_append_u8(out, ',');
        AdvTallyText only = redact_buffer ? redacted(s, redact_buffer) : s->samples[i];
        write_sample(out, &only);
        if (redact_buffer)
            break;
    }
    pw_buf_append_str(out, "]}\n");
}

void adv_summary_write(const AdvTally *tally, bool redact, PwBuf *out)
{
    size_t n;
    AdvShape **shapes = adv_tally_sorted(tally, &n);
    char *buffer = redact ? pw_xmalloc(PW_QUERY_TEXT_MAX + 1) : NULL;
    write_head(out, adv_tally_counts_const(tally), adv_tally_notes_const(tally), n);
    for (size_t i = 0; i < n; i++)
        write_shape(out, shapes[i], buffer);
    free(buffer);
    free(shapes);
}

/* ---- reading ---- */

static bool read_counts(const json_t *line, void *object, const CountRow *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(line, rows[i].name);
        if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
            return false;
        *count_in(object, &rows[i]) = value ? (uint64_t)json_integer_value(value) : 0;
    }
    return true;
}

static bool read_time(const json_t *line, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(line, name));
    size_t n = text ? strlen(text) : 0;
    for (size_t i = 0; i < n; i++)
        if (!strchr("0123456789-: .", text[i]))
            return false;
    if (n >= size)
        return false;
    memcpy(out, text ? text : "", n);
    return true;
}

static bool read_notes(AdvTally *t, const json_t *line)
{
    const json_t *notes = json_object_get(line, "notes"), *more = json_object_get(line, "more_notes");
    for (size_t i = 0; i < json_array_size(notes); i++) {
        const json_t *note = json_array_get(notes, i);
        if (!json_is_string(note) || json_string_length(note) > ADV_NOTE_LEN_MAX)
            return false;
        adv_notes_add(adv_tally_notes(t), json_string_value(note));
    }
    const AdvNotes rest = {.more = json_integer_value(more) > 0 ? (uint64_t)json_integer_value(more) : 0};
    adv_notes_append(adv_tally_notes(t), &rest);
    return true;
}

static const char *read_head(AdvTally *t, json_t *line)
{
    static const char wrong[] = "is no summary that advisor collect wrote";
    AdvTallyCounts c = {0};
    const json_t *version = json_object_get(line, "poolwise_summary");
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return wrong;
    if (json_integer_value(version) > ADV_SUMMARY_VERSION)
        return "was written by a later version of advisor collect";
    if (!read_counts(line, &c, counts_rows, PW_ARRAY_LEN(counts_rows)) || !read_time(line, "first", c.first, sizeof(c.first)) ||
        !read_time(line, "last", c.last, sizeof(c.last)))
        return wrong;
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(line, "kinds"), name, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return wrong;
        c.kinds[pw_sql_kind_from_name(name)] += (uint64_t)json_integer_value(value);
    }
    adv_tally_add_counts(t, &c);
    return read_notes(t, line) ? NULL : wrong;
}

static bool read_hex(const json_t *line, const char *name, uint64_t *ret)
{
    const char *text = json_string_value(json_object_get(line, name));
    char *end;
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *ret = strtoull(text, &end, 16);
    return true;
}

static bool read_sample(const json_t *from, AdvTallyText *ret)
{
    const json_t *calls = json_object_get(from, "calls"), *text = json_object_get(from, "text");
    const char *origin = json_string_value(json_object_get(from, "origin"));
    if (!read_hex(from, "key", &ret->key) || !json_is_integer(calls) || json_integer_value(calls) < 0 || !json_is_string(text) || !origin)
        return false;
    ret->calls = (uint64_t)json_integer_value(calls);
    ret->origin = ADV_ORIGIN_LOG;
    for (int i = 0; i < ADV_ORIGIN_COUNT; i++)
        if (strcmp(adv_origin_name((AdvOrigin)i), origin) == 0)
            ret->origin = (AdvOrigin)i;
    union { const char *in; char *out; } u = {.in = json_string_value(text)}; /* copied by the tally */
    ret->text = u.out;
    ret->len = (uint32_t)json_string_length(text);
    return ret->len <= PW_QUERY_TEXT_MAX;
}

static const char *read_shape(AdvTally *t, const json_t *line)
{
    static const char wrong[] = "has a line that advisor collect did not write";
    AdvShape s = {0};
    const char *kind = json_string_value(json_object_get(line, "kind"));
    const json_t *samples = json_object_get(line, "samples");
    if (!kind || !read_hex(line, "fingerprint", &s.fingerprint) || s.fingerprint == 0 || !read_counts(line, &s, shape_rows, PW_ARRAY_LEN(shape_rows)) ||
        json_array_size(samples) > ADV_TALLY_SAMPLES)
        return wrong;
    s.kind = pw_sql_kind_from_name(kind);
    s.n_samples = (unsigned)json_array_size(samples);
    for (unsigned i = 0; i < s.n_samples; i++)
        if (!read_sample(json_array_get(samples, i), &s.samples[i]))
            return wrong;
    adv_tally_add_shape(t, &s);
    return NULL;
}

static void expect_lines(const json_t *head, AdvSummaryLines *lines)
{
    const json_t *shapes = json_object_get(head, "shapes");
    json_int_t n = json_integer_value(shapes);
    if (json_is_integer(shapes) && n >= 0 && n <= INT32_MAX)
        lines->due += n;
    else
        lines->unknown = true;
}

static const char *read_line(AdvTally *t, json_t *line, AdvSummaryLines *lines)
{
    if (json_object_get(line, "fingerprint")) {
        lines->due--;
        return read_shape(t, line);
    }
    expect_lines(line, lines);
    return read_head(t, line);
}

const char *adv_summary_read(AdvTally *t, const char *data, size_t len, AdvSummaryLines *lines)
{
    AdvSummaryLines own = {0};
    const char *error = NULL;
    lines = lines ? lines : &own;
    for (const char *p = data, *end = data + len; p < end && !error;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        if (stop > p) {
            json_t *line = json_loadb(p, (size_t)(stop - p), 0, NULL);
            error = line ? read_line(t, line, lines) : "is torn: not all of its lines are whole";
            json_decref(line);
        }
        p = stop + 1;
    }
    return error;
}

static void read_summary(AdvReader *r, const char *data, size_t len)
{
    const char *error = adv_summary_read(r->tally, data, len, &r->lines);
    if (error)
        r->error = error;
    else if (adv_filter_asks_entries(r->filter))
        r->error = "is a summary, which can no longer be filtered by time, database, user or application: do that when it is collected";
}

static bool is_summary(const char *head, size_t len)
{
    static const char mark[] = "{\"poolwise_summary\":";
    return len > strlen(mark) && memcmp(head, mark, strlen(mark)) == 0;
}

const AdvForm adv_form_summary = {.name = "summary of advisor collect", .is = is_summary, .read = read_summary};
