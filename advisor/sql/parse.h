/* SPDX-License-Identifier: ISC */
/* parse.h - statements out of text: splitting, grouping, and the facts of one statement.
 *
 * The parser is the server's own grammar (libpg_query). It handles any text: what does not parse is
 * reported, never guessed at. One thread. */
#ifndef ADVISOR_SQL_PARSE_H
#define ADVISOR_SQL_PARSE_H

#include <stdint.h>

#include "advisor/sql/facts.h"

typedef struct AdvPiece {
    size_t start; /* byte offset of the statement in the text; comments before it are left out */
    size_t len;   /* without the semicolon */
    int line;     /* 1-based line of start */
    double weight; /* of a "-- weight: N" comment before or in the statement, else 1 */
} AdvPiece;

/* Splits a script at its top-level semicolons. Works on text that does not parse too, and on text that does
 * not even scan: that becomes one piece, for adv_sql_analyse to refuse. */
void adv_sql_split(AdvArena *arena, const char *text, AdvPiece **ret_pieces, int *ret_n);

/* Groups texts that differ only in literals and parameters. PW_ERR_SYNTAX when the text does not parse. */
PW_MUSTCHECK PwErr adv_sql_fingerprint(const char *text, uint64_t *ret_fingerprint);

/* The facts of one statement. On PW_ERR_SYNTAX *ret_why says what is wrong with it; tables that the catalog
 * does not know are no error (facts->n_unknown_tables). */
PW_MUSTCHECK PwErr adv_sql_analyse(AdvCatalog *catalog, AdvArena *arena, const char *text, AdvFacts **ret_facts,
                                   const char **ret_why);

/* Writes the expressions of all indexes as those of statements are written, so that the same ones are the same text; others stay as the server
 * shows them. */
void adv_sql_settle_indexes(AdvCatalog *catalog);

#endif
