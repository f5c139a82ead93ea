/* SPDX-License-Identifier: ISC */
/* diag.h - problems collected while reading something a person wrote, so that all are told at once.
 *
 * Texts never hold secrets: whoever adds one leaves password values out. Not thread-safe. */
#ifndef POOLWISE_DIAG_H
#define POOLWISE_DIAG_H

#include <stddef.h>

#include "poolwise/err.h"

typedef enum PwDiagLevel { PW_DIAG_ERROR, PW_DIAG_WARNING, PW_DIAG_LEVEL_COUNT } PwDiagLevel;

typedef struct PwDiagItem {
    PwDiagLevel level;
    char *file; /* NULL: not bound to a place */
    int line;   /* 0: the whole file */
    char *text;
    char *hint; /* NULL: none; what to do */
} PwDiagItem;

typedef struct PwDiag {
    PwDiagItem *items; /* in the order found */
    size_t n;
    size_t n_errors, n_warnings;
} PwDiag;

void pw_diag_init(PwDiag *diag);
void pw_diag_finish(PwDiag *diag);

/* `file` and `hint` may be NULL. Everything is copied. */
void pw_diag_add(PwDiag *diag, PwDiagLevel level, const char *file, int line, const char *hint,
                 const char *fmt, ...) PW_PRINTF(6, 7);

/* "file:line: error: text" and, when there is a hint, " (hint: ...)"; one line; the caller frees. */
char *pw_diag_format(const PwDiagItem *item);

#endif
