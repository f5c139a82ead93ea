/* SPDX-License-Identifier: ISC */
/* stmt_class.h - may this text touch the state of its session? Asked once a text; the answer is a few bits.
 *
 * The whole text is lexed: every statement of it and every function that it names. What the lexer cannot follow is
 * CLASS_UNKNOWN, never 0. Not seen by design: functions behind views, triggers, operators, casts and defaults, those that
 * are called like a column (SELECT t.f), and a function of the user's own that has the name of a built-in one. Pure; any thread; no allocation. */
#ifndef POOLER_SESSION_STMT_CLASS_H
#define POOLER_SESSION_STMT_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum StmtClass {
    CLASS_SEEN = 1 << 0,    /* was classified; the other bits are the answer (so that 0 can mean "not yet") */
    CLASS_TRACK = 1 << 1,   /* SET, RESET, DISCARD, set_config, savepoints, LISTEN: effects_parse tells what it does */
    CLASS_PIN = 1 << 2,     /* LISTEN, advisory locks, temporary objects, WITH HOLD: the server is asked (short probe) */
    CLASS_UNKNOWN = 1 << 3, /* DO, CALL, functions that are not built in: the server is asked for everything */
    CLASS_LOAD = 1 << 4,    /* LOAD and what else nobody can undo or ask for */
    CLASS_UNPIN = 1 << 5,   /* UNLISTEN, unlock, DROP, CLOSE, DISCARD: a pinned client's server is asked again */
    CLASS_NAMES = 1 << 6,   /* PREPARE, EXECUTE, DEALLOCATE */
    CLASS_LISTEN = 1 << 7,  /* LISTEN (CLASS_PIN too) */
} StmtClass;

/* `whole`: the text is complete (a long one may be cut). */
unsigned stmt_classify(const char *sql, size_t len, unsigned lex_flags, bool whole);

/* FunctionCall by oid. */
unsigned stmt_classify_function(uint32_t oid);

/* Is `name` (lower case, without its schema) a function of pg_catalog that leaves the session as it is? */
bool builtin_is_harmless(const char *name, size_t len);

#endif
