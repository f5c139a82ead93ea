/* SPDX-License-Identifier: ISC */
/* fingerprint.h - tells which texts are the same query, by tokens alone (docs/query-log.md, "Which queries are one").
 *
 * Literals and parameters count as equal, white space and comments as absent, unquoted words as lower case,
 * != as <>; lists of equal elements in IN (...), VALUES (...), (...) and ARRAY[...] as one element; a minus sign
 * in front of a number belongs to it; `date '...'` is `'...'::date`; trailing semicolons are dropped.
 * Kept: integers after ORDER BY and GROUP BY (they name columns) and in type modifiers (varchar(20)).
 *
 * Pure functions, no allocation; any thread. They use about PW_QUERY_TEXT_MAX bytes of stack. */
#ifndef POOLWISE_FINGERPRINT_H
#define POOLWISE_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/lexer.h"

/* Longest normalised text that is kept; a longer one is cut and marked. */
#define PW_QUERY_TEXT_MAX (16 * 1024)

/* What a statement is, by its first words (WITH: by the statement it introduces). */
typedef enum PwSqlKind {
    PW_SQL_OTHER, /* also: empty */
    PW_SQL_SELECT, /* also TABLE, VALUES */
    PW_SQL_INSERT,
    PW_SQL_UPDATE,
    PW_SQL_DELETE,
    PW_SQL_MERGE,
    PW_SQL_COPY,
    PW_SQL_CALL, /* also DO */
    PW_SQL_EXPLAIN,
    PW_SQL_FETCH,       /* also DECLARE, MOVE, CLOSE */
    PW_SQL_EXECUTE,     /* also PREPARE, DEALLOCATE */
    PW_SQL_TRANSACTION, /* BEGIN, START, COMMIT, END, ROLLBACK, ABORT, SAVEPOINT, RELEASE */
    PW_SQL_SET,         /* also RESET, SHOW, DISCARD */
    PW_SQL_DDL,         /* CREATE, ALTER, DROP, TRUNCATE, COMMENT, GRANT, REVOKE, ... */
    PW_SQL_MAINTENANCE, /* VACUUM, ANALYZE, REINDEX, CLUSTER, CHECKPOINT, REFRESH */
    PW_SQL_NOTIFY,      /* LISTEN, NOTIFY, UNLISTEN, LOCK */
    PW_SQL_KIND_COUNT
} PwSqlKind;

/* "SELECT", "INSERT", ... as the query log has them; never NULL. */
const char *pw_sql_kind_name(PwSqlKind kind);
PwSqlKind pw_sql_kind_from_name(const char *name); /* PW_SQL_OTHER when unknown */

/* The fingerprint: XXH3 of the normalised tokens, never 0, the same in every process and version of the
 * query log. `flags` as for pw_lexer. */
uint64_t pw_fingerprint(const char *sql, size_t len, unsigned flags);

typedef struct PwNormalised {
    uint64_t fingerprint; /* as pw_fingerprint */
    PwSqlKind kind;
    size_t len;     /* of the text written, without the NUL */
    bool truncated; /* the text did not fit in */
    unsigned params; /* $1 .. $params stand in the text */
} PwNormalised;

/* Writes the normalised text with placeholders $1, $2, ... in order, at most cap - 1 bytes and a NUL (cap > 0;
 * PW_QUERY_TEXT_MAX + 1 is as much as ever comes). Holds no literal except the integers named above. Equal
 * fingerprints have equal texts. A text is never cut inside a UTF-8 sequence or a token of the output. */
PwNormalised pw_normalise(const char *sql, size_t len, unsigned flags, char *out, size_t cap);

#endif
