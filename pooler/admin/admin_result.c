/* SPDX-License-Identifier: ISC */
#include "pooler/admin/admin_result.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"
#include "poolwise/wire.h"

void admin_result_init(AdminResult *r, const AdminColumn *columns, unsigned n_columns, bool strict)
{
    memset(r, 0, sizeof(*r));
    r->columns = columns;
    r->n_columns = n_columns;
    r->strict = strict;
    pw_buf_init(&r->bytes);
}

void admin_result_finish(AdminResult *r)
{
    for (size_t i = 0; i < r->n_rows; i++)
        free(r->rows[i].key);
    free(r->rows);
    r->rows = NULL;
    r->n_rows = r->size = 0;
    pw_buf_finish(&r->bytes);
}

static bool is_shown(const AdminColumn *column, bool strict)
{
    return !strict || !(column->type & ADMIN_EXTRA);
}

static AdminType type_of(const AdminColumn *column)
{
    return (AdminType)(column->type & ~ADMIN_EXTRA);
}

unsigned admin_columns_shown(const AdminColumn *columns, unsigned n_columns, bool strict)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_columns; i++)
        n += is_shown(&columns[i], strict);
    return n;
}

/* ---- rows ---- */

void admin_row_begin(AdminResult *r, const char *key)
{
    assert(r->column == 0);
    if (r->n_rows == r->size) {
        r->size = r->size ? r->size * 2 : 16;
        r->rows = pw_xrealloc(r->rows, r->size * sizeof(*r->rows));
    }
    AdminRow *row = &r->rows[r->n_rows];
    row->key = key ? pw_xstrdup(key) : NULL;
    row->start = r->bytes.len; /* nothing is ever consumed here: offsets stay */
    r->mark = pw_msg_begin(&r->bytes, PW_B_DATA_ROW);
    pw_buf_append_be16(&r->bytes, (uint16_t)admin_columns_shown(r->columns, r->n_columns, r->strict));
}

static void value(AdminResult *r, const char *text, size_t n)
{
    assert(r->column < r->n_columns);
    if (!is_shown(&r->columns[r->column++], r->strict))
        return;
    pw_buf_append_be32(&r->bytes, text ? (uint32_t)n : UINT32_MAX);
    if (text)
        pw_buf_append(&r->bytes, text, n);
}

void admin_row_text(AdminResult *r, const char *text)
{
    value(r, text, text ? strlen(text) : 0);
}

void admin_row_int(AdminResult *r, int64_t number)
{
    char text[24];
    if (r->column < r->n_columns && type_of(&r->columns[r->column]) == ADMIN_INT4) {
        if (number > INT32_MAX)
            number = INT32_MAX;
        else if (number < INT32_MIN)
            number = INT32_MIN;
    }
    int n = snprintf(text, sizeof(text), "%" PRId64, number);
    value(r, text, (size_t)n);
}

void admin_row_count(AdminResult *r, uint64_t number)
{
    char text[24];
    if (r->column < r->n_columns && type_of(&r->columns[r->column]) != ADMIN_NUMERIC) {
        admin_row_int(r, number > INT64_MAX ? INT64_MAX : (int64_t)number);
        return;
    }
    int n = snprintf(text, sizeof(text), "%" PRIu64, number);
    value(r, text, (size_t)n);
}

void admin_row_end(AdminResult *r)
{
    assert(r->column == r->n_columns);
    r->column = 0;
    AdminRow *row = &r->rows[r->n_rows++];
    pw_msg_end(&r->bytes, r->mark);
    row->len = r->bytes.len - row->start;
}

/* ---- the whole ---- */

static int by_key(const void *a, const void *b)
{
    const AdminRow *x = a, *y = b;
    if (!x->key || !y->key)
        return (x->key != NULL) - (y->key != NULL);
    int c = strcmp(x->key, y->key);
    return c ? c : (x->start > y->start) - (x->start < y->start);
}

void admin_result_sort(AdminResult *r)
{
    if (r->n_rows > 1)
        qsort(r->rows, r->n_rows, sizeof(*r->rows), by_key);
}

static uint16_t type_length(AdminType type)
{
    switch (type) {
    case ADMIN_INT4:
        return 4;
    case ADMIN_INT8:
        return 8;
    case ADMIN_TEXT:
    case ADMIN_NUMERIC:
    case ADMIN_BYTEA:
        break;
    }
    return UINT16_MAX; /* -1: of variable length */
}

/* ---- formats ---- */

static uint16_t format_of(const AdminFormats *f, unsigned column)
{
    return !f || f->n == 0 ? 0 : f->codes[f->n == 1 ? 0 : column];
}

/* Numbers and times here are whole and never negative, so no digits follow the point. */
static void append_numeric(PwBuf *out, uint64_t number)
{
    uint16_t digits[5]; /* of base 10000, the least first; 2^64 has 20 decimal digits */
    uint16_t n = 0, skipped = 0;
    for (uint64_t rest = number; rest; rest /= 10000)
        digits[n++] = (uint16_t)(rest % 10000);
    while (skipped < n && digits[skipped] == 0) /* as PostgreSQL stores it: no zeros at the end */
        skipped++;
    pw_buf_append_be32(out, 8 + 2 * (uint32_t)(n - skipped));
    pw_buf_append_be16(out, (uint16_t)(n - skipped));
    pw_buf_append_be16(out, n ? (uint16_t)(n - 1) : 0); /* weight of the first digit */
    pw_buf_append_be16(out, 0);                          /* sign: positive */
    pw_buf_append_be16(out, 0);                          /* digits shown after the point */
    for (uint16_t i = n; i > skipped; i--)
        pw_buf_append_be16(out, digits[i - 1]);
}

static int hex(uint8_t c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* `text` is what admin_row_* wrote: \\x and lower case digits. */
static void append_bytea(PwBuf *out, const uint8_t *text, uint32_t n)
{
    pw_buf_append_be32(out, (n - 2) / 2);
    for (uint32_t i = 2; i + 1 < n; i += 2)
        pw_buf_append_u8(out, (uint8_t)(hex(text[i]) << 4 | hex(text[i + 1])));
}

static void append_binary(PwBuf *out, AdminType type, const uint8_t *text, uint32_t n)
{
    char number[24];
    snprintf(number, sizeof(number), "%.*s", (int)n, (const char *)text);
    switch (type) {
    case ADMIN_TEXT:
        pw_buf_append_be32(out, n);
        pw_buf_append(out, text, n);
        return;
    case ADMIN_INT4:
        pw_buf_append_be32(out, 4);
        pw_buf_append_be32(out, (uint32_t)strtol(number, NULL, 10));
        return;
    case ADMIN_INT8: {
        uint64_t v = (uint64_t)strtoll(number, NULL, 10);
        pw_buf_append_be32(out, 8);
        pw_buf_append_be32(out, (uint32_t)(v >> 32));
        pw_buf_append_be32(out, (uint32_t)v);
        return;
    }
    case ADMIN_NUMERIC:
        append_numeric(out, strtoull(number, NULL, 10));
        return;
    case ADMIN_BYTEA:
        append_bytea(out, text, n);
        return;
    }
}

/* A DataRow of ours, in text, again in the formats asked for. */
static void append_row_as(const AdminResult *r, const AdminRow *row, const AdminFormats *formats, PwBuf *out)
{
    const uint8_t *p = r->bytes.data + row->start + PW_WIRE_HEADER + 2;
    size_t mark = pw_msg_begin(out, PW_B_DATA_ROW);
    unsigned shown = 0;
    pw_buf_append_be16(out, (uint16_t)admin_columns_shown(r->columns, r->n_columns, r->strict));
    for (unsigned i = 0; i < r->n_columns; i++) {
        if (!is_shown(&r->columns[i], r->strict))
            continue;
        uint16_t format = format_of(formats, shown++);
        uint32_t n = pw_be32(p);
        p += 4;
        if (n == UINT32_MAX) {
            pw_buf_append_be32(out, n);
            continue;
        }
        if (format) {
            append_binary(out, type_of(&r->columns[i]), p, n);
        } else {
            pw_buf_append_be32(out, n);
            pw_buf_append(out, p, n);
        }
        p += n;
    }
    pw_msg_end(out, mark);
}

void admin_columns_write(const AdminColumn *columns, unsigned n_columns, bool strict, const AdminFormats *formats, PwBuf *out)
{
    size_t mark = pw_msg_begin(out, PW_B_ROW_DESC);
    unsigned shown = 0;
    pw_buf_append_be16(out, (uint16_t)admin_columns_shown(columns, n_columns, strict));
    for (unsigned i = 0; i < n_columns; i++) {
        if (!is_shown(&columns[i], strict))
            continue;
        pw_buf_append_cstr(out, columns[i].name);
        pw_buf_append_be32(out, 0); /* of no table, */
        pw_buf_append_be16(out, 0); /* no column of one */
        pw_buf_append_be32(out, (uint32_t)type_of(&columns[i]));
        pw_buf_append_be16(out, type_length(type_of(&columns[i])));
        pw_buf_append_be32(out, UINT32_MAX); /* no modifier */
        pw_buf_append_be16(out, format_of(formats, shown++));
    }
    pw_msg_end(out, mark);
}

void admin_rows_write(const AdminResult *r, size_t limit, const AdminFormats *formats, PwBuf *out)
{
    for (size_t i = 0; i < r->n_rows && (limit == 0 || i < limit); i++) {
        if (formats && formats->n > 0)
            append_row_as(r, &r->rows[i], formats, out);
        else
            pw_buf_append(out, r->bytes.data + r->rows[i].start, r->rows[i].len);
    }
}
