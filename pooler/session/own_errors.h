/* SPDX-License-Identifier: ISC */
/* own_errors.h - the errors that the pooler itself makes, and what they look like to a client.
 *
 * PgBouncer's all have SQLSTATE 08P01, which tells a driver nothing. With error_behaviour = postgres each carries what
 * PostgreSQL would send in that situation. The rest of the pooler names a situation by PgBouncer's text.
 * Pure. */
#ifndef POOLER_SESSION_OWN_ERRORS_H
#define POOLER_SESSION_OWN_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct OwnErrorRow {
    const char *text;     /* PgBouncer's; with '*' at its end: all that begin so, the rest is a name */
    const char *sqlstate; /* PostgreSQL's */
    const char *like;     /* PostgreSQL's text, '*' stands for the name; NULL: PgBouncer's is kept */
} OwnErrorRow;

/* PgBouncer's SQLSTATE of all errors of its own. */
#define OWN_ERROR_SQLSTATE "08P01"

/* Room for the texts below. */
#define OWN_ERROR_TEXT 400

/* What to send: *ret_sqlstate is static, *ret_text is `text` or buf. */
void own_error(const char *text, bool like_postgres, const char **ret_sqlstate, const char **ret_text,
               char buf[OWN_ERROR_TEXT]);

/* What to do about it, for the client and for the log; NULL: the text says enough. Static. */
const char *own_error_hint(const char *text);

/* All rows, for tests and documents. */
const OwnErrorRow *own_error_rows(size_t *ret_n);

#endif
