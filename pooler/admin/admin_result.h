/* SPDX-License-Identifier: ISC */
/* admin_result.h - rows of text for the wire: RowDescription, DataRow, CommandComplete.
 *
 * Columns are static rows; a value is added for each in order. Rows may carry a key and be sorted by it, for what
 * several workers contributed. Belongs to whoever holds it; no threads.
 *
 * `strict`: columns that PgBouncer does not have are left out, names and values (console_columns = pgbouncer). */
#ifndef POOLER_ADMIN_ADMIN_RESULT_H
#define POOLER_ADMIN_ADMIN_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/buf.h"

/* The OIDs of pg_type. */
typedef enum AdminType {
    ADMIN_BYTEA = 17,
    ADMIN_INT8 = 20,
    ADMIN_INT4 = 23,
    ADMIN_TEXT = 25,
    ADMIN_NUMERIC = 1700,
} AdminType;

/* With the type of a column that the release of PgBouncer does not have that SHOW VERSION names. */
#define ADMIN_EXTRA 0x10000u

typedef struct AdminColumn {
    const char *name;
    unsigned type;    /* AdminType | ADMIN_EXTRA */
    const char *help; /* one line for docs/admin.md */
} AdminColumn;

typedef struct AdminRow {
    size_t start, len; /* of its DataRow in bytes */
    char *key;         /* NULL: none; such rows come first */
} AdminRow;

typedef struct AdminResult {
    const AdminColumn *columns;
    unsigned n_columns;
    bool strict;
    unsigned column; /* the next value's, while a row is open */
    size_t mark; /* of the open row's length word */
    PwBuf bytes;
    AdminRow *rows;
    size_t n_rows, size;
} AdminResult;

void admin_result_init(AdminResult *r, const AdminColumn *columns, unsigned n_columns, bool strict);
void admin_result_finish(AdminResult *r);

/* How many of them a client sees. */
unsigned admin_columns_shown(const AdminColumn *columns, unsigned n_columns, bool strict);

/* One row: begin, a value for each column (seen or not), end. `key` is copied; NULL: rows are not to be sorted. */
void admin_row_begin(AdminResult *r, const char *key);
void admin_row_text(AdminResult *r, const char *value); /* NULL is NULL */
void admin_row_int(AdminResult *r, int64_t value);      /* in an int4 column out of range values are its bounds */
void admin_row_count(AdminResult *r, uint64_t value);
void admin_row_end(AdminResult *r);

void admin_result_sort(AdminResult *r);

/* The formats that a Bind asks for: none (all text), one for all columns, or one a column shown; 0 text, 1 binary. */
typedef struct AdminFormats {
    unsigned n;
    const uint16_t *codes;
} AdminFormats;

/* RowDescription. `formats` NULL: all text. */
void admin_columns_write(const AdminColumn *columns, unsigned n_columns, bool strict, const AdminFormats *formats, PwBuf *out);

/* Appends the DataRows of the first `limit` rows (0: all). `formats` NULL: all text. */
void admin_rows_write(const AdminResult *r, size_t limit, const AdminFormats *formats, PwBuf *out);

#endif
