/* SPDX-License-Identifier: ISC */
/* ini.h - the lexer of configuration files, in PgBouncer's grammar.
 *
 *   - a line whose first non-blank byte is ';' or '#' is a comment; there are no comments behind a value
 *   - "[section]"; a section may be opened again
 *   - "key = value": keys are [A-Za-z0-9_.*-]+ or anything in single quotes ('' is one quote); the value runs to
 *     the end of the line, blanks around it cut; no quoting, no length limit
 *   - "%include path", at most PW_INI_MAX_DEPTH deep; the section goes on through it
 *   - lines may be indented; LF and CRLF
 *
 * A bad line is reported and skipped, so that one run tells all problems. Duplicates are the caller's
 * business (the last one wins). No global state; any thread. */
#ifndef POOLWISE_INI_H
#define POOLWISE_INI_H

#include <stddef.h>

#include "poolwise/err.h"

#define PW_INI_MAX_DEPTH 10
#define PW_INI_MAX_FILE  (64u << 20) /* bytes of one file */

typedef struct PwIniPlace {
    const char *file;
    int line; /* from 1; 0: the file itself */
} PwIniPlace;

/* All strings are valid during the call only. `error` must be set; the others may be NULL. */
typedef struct PwIniHandler {
    void *arg;
    void (*section)(void *arg, PwIniPlace at, const char *section);
    void (*key)(void *arg, PwIniPlace at, const char *section, const char *key, const char *value);
    void (*error)(void *arg, PwIniPlace at, const char *text); /* the line is skipped */
} PwIniHandler;

/* PW_OK when every line was well formed; PW_ERR_SYNTAX when `error` was called for a line;
 * PW_ERR_IO when the file (not an included one) could not be read: `error` was called with line 0. */
PW_MUSTCHECK PwErr pw_ini_read_file(const char *path, const PwIniHandler *handler);

/* The same for text in memory called `name`. `%include` is an error here (used by tests and fuzzers). */
PW_MUSTCHECK PwErr pw_ini_read_text(const char *name, const char *text, size_t len,
                                    const PwIniHandler *handler);

/* Reads "key=value key='it''s' ..." (a line of [databases], [users], [peers]): blanks between pairs,
 * single quotes with '' for a quote, empty values refused. Calls `pair` for each; stops at the first
 * mistake with PW_ERR_SYNTAX and a static text that never quotes the value. */
typedef void (*PwIniPair)(void *arg, const char *key, const char *value);
PW_MUSTCHECK PwErr pw_ini_read_pairs(const char *text, PwIniPair pair, void *arg,
                                     const char **ret_problem);

#endif
