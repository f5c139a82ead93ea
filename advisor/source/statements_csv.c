/* SPDX-License-Identifier: ISC */
/* statements_csv.c - pg_stat_statements as psql --csv or COPY ... CSV HEADER write it. */
#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "advisor/source/csv.h"
#include "advisor/source/reader.h"
#include "poolwise/err.h"

#define FIELDS 100

typedef struct Columns {
    size_t query, calls, ms, rows; /* FIELDS: there is none */
    size_t user, database;         /* of whoever joined pg_roles and pg_database */
} Columns;

static const struct {
    const char *name;
    size_t offset;
} columns[] = {
    {"query", offsetof(Columns, query)},       {"calls", offsetof(Columns, calls)},   {"rows", offsetof(Columns, rows)},
    {"total_exec_time", offsetof(Columns, ms)}, {"total_time", offsetof(Columns, ms)}, /* before PostgreSQL 13 */
    {"rolname", offsetof(Columns, user)},      {"usename", offsetof(Columns, user)},  {"username", offsetof(Columns, user)},
    {"datname", offsetof(Columns, database)},  {"database", offsetof(Columns, database)},
};

static bool read_header(AdvCsv *csv, Columns *ret)
{
    AdvSlice f[FIELDS];
    size_t n = adv_csv_next(csv, f, NULL, FIELDS);
    *ret = (Columns){FIELDS, FIELDS, FIELDS, FIELDS, FIELDS, FIELDS};
    for (size_t i = 0; i < n && i < FIELDS; i++)
        for (size_t k = 0; k < PW_ARRAY_LEN(columns); k++)
            if (adv_slice_is(f[i], columns[k].name))
                *(size_t *)(void *)((char *)ret + columns[k].offset) = i;
    return ret->query < FIELDS && ret->calls < FIELDS;
}

static double number(const AdvSlice *f, size_t n, size_t column)
{
    char text[64];
    if (column >= n || f[column].n >= sizeof(text))
        return -1;
    memcpy(text, f[column].p, f[column].n);
    text[f[column].n] = '\0';
    double value = strtod(text, NULL);
    return value >= 0 && value < 1e15 ? value : -1;
}

static AdvSlice field(const AdvSlice *f, size_t n, size_t column)
{
    return column < n ? f[column] : (AdvSlice){0};
}

static void read_statements(AdvReader *r, const char *data, size_t len)
{
    AdvCsv csv = {.p = data, .end = data + len};
    Columns c;
    AdvSlice f[FIELDS];
    PwBuf *buffers[FIELDS] = {0};
    size_t n;
    if (!read_header(&csv, &c))
        return;
    buffers[c.query] = &r->message;
    while ((n = adv_csv_next(&csv, f, buffers, FIELDS)) > 0) {
        n = n < FIELDS ? n : FIELDS;
        double calls = number(f, n, c.calls), ms = number(f, n, c.ms), rows = number(f, n, c.rows);
        if (n <= c.query || calls < 1) {
            adv_tally_counts(r->tally)->bad += n > 1 && calls < 0;
            continue;
        }
        AdvEntry e = {.user = field(f, n, c.user), .database = field(f, n, c.database)}; /* sums tell no time */
        AdvWanted wanted = adv_filter_entry(r->filter, &e);
        r->unplaced += wanted == ADV_UNPLACED ? (uint64_t)calls : 0;
        if (wanted != ADV_WANTED)
            continue;
        adv_tally_counts(r->tally)->messages++;
        if (adv_slice_is(f[c.query], "<insufficient privilege>") || f[c.query].n == 0) {
            adv_tally_add_unlogged(r->tally, (uint64_t)calls);
            continue;
        }
        AdvExecution x = {.text = f[c.query].p, .len = f[c.query].n, .origin = ADV_ORIGIN_STATEMENTS, .calls = (uint64_t)calls,
                          .us = ms > 0 ? (uint64_t)llround(ms * 1000) : 0, .rows = rows >= 0 ? (int64_t)rows : -1};
        adv_tally_add(r->tally, &x);
    }
}

static bool has_word(const char *line, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = line, *end = line + len; (p = memmem(p, (size_t)(end - p), word, n)); p += n)
        if ((p == line || !(isalnum((unsigned char)p[-1]) || p[-1] == '_')) && (p + n == end || !(isalnum((unsigned char)p[n]) || p[n] == '_')))
            return true;
    return false;
}

static bool is_statements(const char *head, size_t len)
{
    const char *newline = memchr(head, '\n', len);
    size_t n = newline ? (size_t)(newline - head) : len;
    return memchr(head, ',', n) && has_word(head, n, "query") && has_word(head, n, "calls") && !memmem(head, n, ":  ", 3);
}

/* Read as one piece: the names of the columns stand in front, and it is never large. */
const AdvForm adv_form_statements = {.name = "pg_stat_statements", .whole = true, .is = is_statements, .read = read_statements};
