/* SPDX-License-Identifier: ISC */
/* from_pglog.c - logs of PostgreSQL (stderr with any log_line_prefix, csvlog, jsonlog) and pg_stat_statements as CSV, told apart by
 * their first line. */
#include "advisor/source/lines.h"
#include "advisor/source/pglog.h"
#include "advisor/source/source.h"
#include "advisor/text.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CSV_FIELDS 30
#define CSV_SEVERITY 11
#define CSV_MESSAGE 13
#define CSV_DETAIL 14
#define PREFIX_MAX 400 /* a severity further to the right belongs to a message */

typedef struct Text {
    char *data;
    size_t len, cap;
} Text;

/* One message of a stderr log while its lines come in. */
typedef struct Open {
    Text message, detail;
    Text *current; /* what continuation lines belong to; NULL: to nothing of interest */
    bool any;
} Open;

static void text_set(Text *t, const char *s, size_t len, bool append)
{
    size_t at = append ? t->len : 0;
    if (at + len + 2 > t->cap) {
        char *larger = realloc(t->data, 2 * (at + len + 2));
        if (!larger)
            abort();
        t->data = larger;
        t->cap = 2 * (at + len + 2);
    }
    if (append)
        t->data[at++] = '\n';
    memcpy(t->data + at, s, len);
    t->len = at + len;
    t->data[t->len] = '\0';
}

typedef enum Part { PART_MESSAGE, PART_DETAIL, PART_OTHER, PART_NONE } Part;

typedef struct Severity {
    const char *word;
    Part part;
} Severity;

static const Severity severities[] = {
    {"LOG:  ", PART_MESSAGE},   {"DETAIL:  ", PART_DETAIL},  {"STATEMENT:  ", PART_OTHER}, {"ERROR:  ", PART_OTHER},  {"HINT:  ", PART_OTHER},
    {"CONTEXT:  ", PART_OTHER}, {"WARNING:  ", PART_OTHER},  {"FATAL:  ", PART_OTHER},     {"PANIC:  ", PART_OTHER},  {"NOTICE:  ", PART_OTHER},
    {"INFO:  ", PART_OTHER},    {"QUERY:  ", PART_OTHER},    {"LOCATION:  ", PART_OTHER},  {"DEBUG:  ", PART_OTHER},  {"DEBUG1:  ", PART_OTHER},
    {"DEBUG2:  ", PART_OTHER},  {"DEBUG3:  ", PART_OTHER},   {"DEBUG4:  ", PART_OTHER},    {"DEBUG5:  ", PART_OTHER},
};

/* Where the message begins behind whatever log_line_prefix put in front of it. */
static Part find_severity(const char *line, size_t len, size_t *ret_at)
{
    size_t limit = len < PREFIX_MAX ? len : PREFIX_MAX;
    for (const char *p = line; (p = memchr(p, ':', limit - (size_t)(p - line))); p++) {
        size_t colon = (size_t)(p - line);
        if (colon + 2 >= len || p[1] != ' ' || p[2] != ' ')
            continue;
        for (size_t i = 0; i < PW_ARRAY_LEN(severities); i++) {
            size_t n = strlen(severities[i].word) - 3;
            if (colon < n || memcmp(p - n, severities[i].word, n) != 0 || (colon > n && isalnum((unsigned char)p[-(ptrdiff_t)n - 1])))
                continue;
            *ret_at = colon + 3;
            return severities[i].part;
        }
    }
    return PART_NONE;
}

static void finish(Open *open, AdvCollector *c, AdvLogTotals *totals)
{
    if (open->any)
        adv_pglog_message(c, totals, open->message.data, open->message.len, open->detail.len ? open->detail.data : NULL);
    open->any = false;
    open->detail.len = 0;
    open->current = NULL;
}

static void read_stderr(AdvLines *lines, AdvCollector *c, AdvLogTotals *totals)
{
    Open open = {0};
    char *line;
    size_t len, at;
    while ((line = adv_lines_next(lines, &len))) {
        Part part = line[0] == '\t' ? PART_NONE : find_severity(line, len, &at);
        switch (part) {
        case PART_MESSAGE:
            finish(&open, c, totals);
            text_set(&open.message, line + at, len - at, false);
            open.current = &open.message;
            open.any = true;
            break;
        case PART_DETAIL:
            text_set(&open.detail, line + at, len - at, false);
            open.current = &open.detail;
            break;
        case PART_OTHER:
            open.current = NULL;
            break;
        case PART_NONE: /* the server puts a tab in front of further lines; some collectors take it away */
            if (open.current)
                text_set(open.current, line[0] == '\t' ? line + 1 : line, len - (line[0] == '\t'), true);
            break;
        }
    }
    finish(&open, c, totals);
    free(open.message.data);
    free(open.detail.data);
}

static void read_csvlog(AdvLines *lines, AdvCollector *c, AdvLogTotals *totals)
{
    char *record, *fields[CSV_FIELDS];
    size_t len;
    while ((record = adv_lines_next_record(lines, &len))) {
        size_t n = adv_csv_fields(record, fields, CSV_FIELDS);
        if (n > CSV_DETAIL && strcmp(fields[CSV_SEVERITY], "LOG") == 0)
            adv_pglog_message(c, totals, fields[CSV_MESSAGE], strlen(fields[CSV_MESSAGE]), *fields[CSV_DETAIL] ? fields[CSV_DETAIL] : NULL);
    }
}

static void read_jsonlog(AdvLines *lines, AdvCollector *c, AdvLogTotals *totals)
{
    char *line;
    size_t len;
    while ((line = adv_lines_next(lines, &len))) {
        json_t *o = json_loadb(line, len, 0, NULL);
        const char *severity = json_string_value(json_object_get(o, "error_severity")), *message = json_string_value(json_object_get(o, "message"));
        if (severity && message && strcmp(severity, "LOG") == 0) {
            char *own = strdup(message);
            if (own)
                adv_pglog_message(c, totals, own, strlen(own), json_string_value(json_object_get(o, "detail")));
            free(own);
        }
        json_decref(o);
    }
}

typedef struct Columns {
    size_t query, calls, ms, rows;
    bool has_ms, has_rows;
} Columns;

/* pg_stat_statements as psql --csv or COPY ... CSV HEADER write it; times were one column before version 13. */
static bool read_header(AdvLines *lines, Columns *ret)
{
    char *fields[100];
    size_t len;
    char *record = adv_lines_next_record(lines, &len);
    size_t n = record ? adv_csv_fields(record, fields, PW_ARRAY_LEN(fields)) : 0;
    bool query = false, calls = false;
    *ret = (Columns){0};
    for (size_t i = 0; i < n && i < PW_ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i], "query") == 0) {
            ret->query = i;
            query = true;
        } else if (strcmp(fields[i], "calls") == 0) {
            ret->calls = i;
            calls = true;
        } else if (strcmp(fields[i], "total_exec_time") == 0 || strcmp(fields[i], "total_time") == 0) {
            ret->ms = i;
            ret->has_ms = true;
        } else if (strcmp(fields[i], "rows") == 0) {
            ret->rows = i;
            ret->has_rows = true;
        }
    }
    return query && calls;
}

static void read_statements_csv(AdvLines *lines, AdvCollector *c, AdvLogTotals *totals)
{
    Columns columns;
    char *record, *fields[100];
    size_t len;
    if (!read_header(lines, &columns))
        return;
    while ((record = adv_lines_next_record(lines, &len))) {
        size_t n = adv_csv_fields(record, fields, PW_ARRAY_LEN(fields));
        if (n <= columns.query || n <= columns.calls || n <= columns.ms || n <= columns.rows || n > PW_ARRAY_LEN(fields))
            continue;
        double calls = strtod(fields[columns.calls], NULL);
        totals->messages++;
        if (!(calls > 0))
            continue;
        totals->statements += calls;
        adv_collect(c, fields[columns.query], strlen(fields[columns.query]), NULL, calls,
                    columns.has_ms ? strtod(fields[columns.ms], NULL) : 0, columns.has_rows ? strtod(fields[columns.rows], NULL) : -1);
    }
}

typedef struct Form {
    const char *name;
    const char *origin;
    void (*read)(AdvLines *lines, AdvCollector *collector, AdvLogTotals *totals);
} Form;

static const Form stderr_form = {"log of PostgreSQL", "postgres log", read_stderr}, csv_form = {"csvlog of PostgreSQL", "postgres log", read_csvlog},
                  json_form = {"jsonlog of PostgreSQL", "postgres log", read_jsonlog},
                  statements_form = {"pg_stat_statements", "pg_stat_statements", read_statements_csv};

static bool has_word(const char *line, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = line; (p = strstr(p, word)); p += n)
        if ((p == line || !(isalnum((unsigned char)p[-1]) || p[-1] == '_')) && !(isalnum((unsigned char)p[n]) || p[n] == '_'))
            return true;
    return false;
}

/* NULL: the pooler's own, or nothing that is known. */
static const Form *tell_form(const char *first)
{
    size_t at, commas = 0;
    if (first[0] == '{')
        return strstr(first, "\"error_severity\"") || strstr(first, "\"backend_type\"") ? &json_form : NULL;
    for (const char *p = first; *p; p++)
        commas += *p == ',';
    if (commas >= 1 && has_word(first, "query") && has_word(first, "calls"))
        return &statements_form;
    if (commas >= 12 && isdigit((unsigned char)first[0]) && strlen(first) > 19 && first[4] == '-' && first[7] == '-')
        return &csv_form;
    return find_severity(first, strlen(first), &at) != PART_NONE ? &stderr_form : NULL;
}

static PwErr read_form(AdvWorkload *w, AdvLines *lines, const Form *form, const char *path, const char **ret_note, const char **ret_why)
{
    AdvLogTotals totals = {0};
    AdvCollector *c = adv_collector_create(w, form->origin);
    form->read(lines, c, &totals);
    adv_collector_destroy(c);
    if (adv_lines_failed(lines)) {
        *ret_why = adv_arena_printf(w->arena, "cannot read %s: %s", path, strerror(errno));
        return PW_ERR_IO;
    }
    w->n_sources++;
    if (totals.statements < 1 && totals.explained < 1)
        *ret_note = adv_arena_printf(w->arena, "%s (%s) tells of no statement: set log_min_duration_statement = 0 (or a small time) for a while", path,
                                     form->name);
    return PW_OK;
}

PwErr adv_source_log(AdvWorkload *w, const char *path, const char **ret_note, const char **ret_why)
{
    *ret_note = NULL;
    AdvLines *lines = adv_lines_open(path);
    if (!lines) {
        *ret_why = adv_arena_printf(w->arena, "cannot open %s: %s", path, strerror(errno));
        return PW_ERR_IO;
    }
    const char *first = adv_lines_peek(lines);
    const Form *form = first ? tell_form(first) : NULL;
    if (!form) {
        adv_lines_close(lines);
        return adv_source_pooler_log(w, path, ret_note, ret_why);
    }
    PwErr err = read_form(w, lines, form, path, ret_note, ret_why);
    adv_lines_close(lines);
    return err;
}

PwErr adv_source_log_text(AdvWorkload *w, const char *text, size_t len, const char **ret_note)
{
    const char *why;
    *ret_note = NULL;
    AdvLines *lines = adv_lines_open_text(text, len);
    const char *first = lines ? adv_lines_peek(lines) : NULL;
    const Form *form = first ? tell_form(first) : NULL;
    PwErr err = form ? read_form(w, lines, form, "text", ret_note, &why) : PW_ERR_UNSUPPORTED;
    adv_lines_close(lines);
    return err;
}
