/* SPDX-License-Identifier: ISC */
/* admin_parse.h - the console's grammar. Pure; any thread.
 *
 *   WORD [WORD [WORD]] [;]
 *   SET word (= | TO) (word | 'string') [;]
 *   [;]
 *
 * A word is letters, digits, _ or anything in double quotes ("" is one quote); case is left as it is. "--" begins a
 * comment where a blank may stand. One command a text. */
#ifndef POOLER_ADMIN_ADMIN_PARSE_H
#define POOLER_ADMIN_ADMIN_PARSE_H

#include <stdbool.h>

#include "poolwise/err.h"

/* With the NUL; longer words are PW_ERR_TOO_LARGE. */
#define ADMIN_WORD_MAX 16
#define ADMIN_ARG_MAX 64
#define ADMIN_VALUE_MAX 256

typedef struct AdminRequest {
    bool is_set;
    char word[ADMIN_WORD_MAX];   /* the command; "" with SET, and if there is nothing at all */
    char arg[ADMIN_ARG_MAX];     /* its argument or the key of SET; "" if there is none */
    char extra[ADMIN_ARG_MAX];   /* the third word, "" if there is none */
    char value[ADMIN_VALUE_MAX]; /* of SET; may be "" when it was quoted */
} AdminRequest;

/* PW_ERR_SYNTAX: not of this form. PW_ERR_TOO_LARGE: a word is too long, or a key of SET is empty. */
PW_MUSTCHECK PwErr admin_parse(const char *text, AdminRequest *ret_request);

#endif
