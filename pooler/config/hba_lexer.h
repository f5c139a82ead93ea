/* SPDX-License-Identifier: ISC */
/* hba_lexer.h - words and commas of a line of an access file (HBA, ident) or of LDAP options.
 *
 * Blanks end a word, '#' begins a comment, "..." keeps blanks, commas and '#' and may stand inside a word as in
 * PostgreSQL; "" inside quotes is one quote. Pure: no I/O, one thread. */
#ifndef POOLER_CONFIG_HBA_LEXER_H
#define POOLER_CONFIG_HBA_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "poolwise/buf.h"

typedef enum HbaTokenKind {
    HBA_TOKEN_END,
    HBA_TOKEN_WORD,
    HBA_TOKEN_COMMA,
    HBA_TOKEN_BAD, /* a quote that does not end, or a NUL byte; stays the current token */
    HBA_TOKEN_KIND_COUNT
} HbaTokenKind;

typedef struct HbaLexer {
    const char *p, *end;
    bool commas; /* true: a comma is a token of its own; false: an ordinary character, skipped between words */
    HbaTokenKind kind; /* the current token */
    bool quoted;       /* the word began with a quote: it is no keyword */
    PwBuf buf;         /* private */
} HbaLexer;

/* Stands on the first token. The text must outlive the lexer. */
void hba_lexer_init(HbaLexer *lx, const char *text, size_t n);
void hba_lexer_init_options(HbaLexer *lx, const char *text, size_t n); /* from the start with commas = false */
void hba_lexer_finish(HbaLexer *lx); /* wipes: options may hold a password */
void hba_lexer_next(HbaLexer *lx);

/* The current word, NUL-terminated; "" when the token is no word. Valid until the next step. */
const char *hba_lexer_word(const HbaLexer *lx);

/* Is the current token this word, unquoted? If so, steps over it. */
bool hba_lexer_eat(HbaLexer *lx, const char *keyword);

#endif
