/* SPDX-License-Identifier: ISC */
/* names.h - SQL-level prepared statements (PREPARE name AS ...) by name: those of a client, and those that a server has.
 *
 * A client's says what the name means to it; a server's only which of them it is (the digest). Where they differ the
 * server is aligned before a statement that mentions the name (relay/relay_align.h). No locks: a table
 * belongs to whoever embeds it. */
#ifndef POOLER_SESSION_NAMES_H
#define POOLER_SESSION_NAMES_H

#include <stdint.h>
#include <uthash.h>

/* A digest that no text has: the server may have the name or not. */
#define SQL_NAME_UNKNOWN 0

typedef struct SqlName {
    UT_hash_handle hh;
    uint64_t digest; /* of the text and of what parse analysis reads beside it */
    unsigned class;  /* stmt_classify of the statement inside */
    char *text;      /* PREPARE ...; NULL in a server's table */
    char name[];
} SqlName;

typedef struct SqlNames {
    SqlName *table; /* in the order in which they came */
} SqlNames;

void sql_names_finish(SqlNames *names); /* forgets all; may be used again */
SqlName *sql_names_find(const SqlNames *names, const char *name);
/* Replaces what the name meant; copies. text: NULL for a server. */
void sql_names_put(SqlNames *names, const char *name, const char *text, uint64_t digest, unsigned class);
void sql_names_remove(SqlNames *names, const char *name);
unsigned sql_names_count(const SqlNames *names);

/* Bytes of all of them (SHOW MEM). Any thread. */
uint64_t sql_names_bytes(void);

#endif
