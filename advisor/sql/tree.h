/* SPDX-License-Identifier: ISC */
/* tree.h - the parse tree of a text, by the server's own grammar (libpg_query).
 *
 * Whoever reads, packs or frees a tree does so by recursion, libpg_query included: a text whose tree would be too deep for the stack is refused
 * before it is parsed. Pure; any thread. */
#ifndef ADVISOR_SQL_TREE_H
#define ADVISOR_SQL_TREE_H

#include <stdbool.h>

#include <pg_query/pg_query.pb-c.h>

#include "advisor/arena.h"

/* PW_ERR_SYNTAX: *ret_why says what is wrong with the text. Without an arena nothing is said. The tree is freed with adv_tree_free. */
PW_MUSTCHECK PwErr adv_tree_parse(AdvArena *arena, const char *text, PgQuery__ParseResult **ret_tree, const char **ret_why);
void adv_tree_free(PgQuery__ParseResult *tree);

/* Is the tree of this text, whatever it says, shallow enough for the functions of libpg_query? */
bool adv_tree_is_shallow(const char *text);

#endif
