/* SPDX-License-Identifier: ISC */
#include "pooler/admin/admin_result.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"
#include "poolwise/wire.h"

void admin_result_init(AdminResult *r, const AdminColumn *columns, unsigned n_columns)
{
    memset(r, 0, sizeof(*r));
    r->columns = columns;
    r->n_columns = n_columns;
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
    pw_buf_append_be16(&r->bytes, (uint16_t)r->n_columns);
}

static void value(AdminResult *r, const char *text, size_t n)
{
    assert(r->column < r->n_columns);
    r->column++;
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
    if (r->column < r->n_columns && r->columns[r->column].type == ADMIN_INT4) {
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
    if (r->column < r->n_columns && r->columns[r->column].type != ADMIN_NUMERIC) {
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

static void write_description(const AdminResult *r, PwBuf *out)
{
    size_t mark = pw_msg_begin(out, PW_B_ROW_DESC);
    pw_buf_append_be16(out, (uint16_t)r->n_columns);
    for (unsigned i = 0; i < r->n_columns; i++) {
        pw_buf_append_cstr(out, r->columns[i].name);
        pw_buf_append_be32(out, 0); /* of no table, */
        pw_buf_append_be16(out, 0); /* no column of one */
        pw_buf_append_be32(out, (uint32_t)r->columns[i].type);
        pw_buf_append_be16(out, type_length(r->columns[i].type));
        pw_buf_append_be32(out, UINT32_MAX); /* no modifier */
        pw_buf_append_be16(out, 0);          /* text format */
    }
    pw_msg_end(out, mark);
}

void admin_result_write(const AdminResult *r, size_t limit, const char *tag, PwBuf *out)
{
    write_description(r, out);
    for (size_t i = 0; i < r->n_rows && (limit == 0 || i < limit); i++)
        pw_buf_append(out, r->bytes.data + r->rows[i].start, r->rows[i].len);
    pw_msg_command_complete(out, tag);
}
