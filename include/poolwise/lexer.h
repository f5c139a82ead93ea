/* SPDX-License-Identifier: ISC */
/* lexer.h - splits SQL into tokens by PostgreSQL's lexical rules (those of version 16 for numbers).
 *
 * Works on (pointer, length), needs no NUL, never reads past the end, never allocates and never fails: malformed
 * input gives PW_TOK_BAD or a token marked `open`, and the lexer always goes forward. Pure; any thread.
 * Bytes from 0x80 up are letters, as in PostgreSQL: right for every server encoding, and for client encodings
 * whose second bytes are never ASCII (all but SJIS, BIG5, GBK, GB18030, UHC, JOHAB, SHIFT_JIS_2004). */
#ifndef POOLWISE_LEXER_H
#define POOLWISE_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum PwTok {
    PW_TOK_END,
    PW_TOK_WORD,   /* unquoted identifier or keyword, as written */
    PW_TOK_QUOTED, /* "identifier", U&"identifier"; with its quotes */
    PW_TOK_STRING, /* any string or bit-string constant, with prefix, quotes and continuation lines */
    PW_TOK_NUMBER, /* unsigned */
    PW_TOK_PARAM,  /* $1 */
    PW_TOK_OP,     /* an operator, also := and => */
    PW_TOK_CAST,   /* :: */
    PW_TOK_PUNCT,  /* one of ( ) [ ] , ; . : */
    PW_TOK_BAD,    /* one byte that starts no token (a lone $, \, { or a control character) */
    PW_TOK_COUNT
} PwTok;

/* standard_conforming_strings = off: a backslash escapes inside '...' too (never inside U&'', B'', X''). */
#define PW_LEX_BACKSLASH (1u << 0)

typedef struct PwLexer {
    const char *p, *end;
    unsigned flags;
} PwLexer;

typedef struct PwToken {
    PwTok type;
    bool open; /* string, quoted identifier or comment without its end */
    const char *text;
    size_t len;
} PwToken;

static inline PwLexer pw_lexer(const char *sql, size_t len, unsigned flags)
{
    return (PwLexer){.p = sql, .end = sql + len, .flags = flags};
}

/* Skips white space and comments, then reads one token. At the end (and ever after) PW_TOK_END; it is marked
 * `open` when the text ended inside a comment. */
PwTok pw_lex_next(PwLexer *lexer, PwToken *ret_token);

/* Skips white space and comments only. False when a comment is not closed. */
bool pw_lex_skip_space(PwLexer *lexer);

/* Is the token this word, whatever its case? `word` is lower case. False for quoted identifiers. */
bool pw_token_is(const PwToken *token, const char *word);

/* The value of a string constant without prefix, quotes, escapes and continuation breaks, for those who must look
 * into literals ('SET ... TO', function arguments). Writes at most cap - 1 bytes and a NUL to out; returns
 * the full length, or SIZE_MAX for a token that is open, no string, or has a \u escape out of range.
 * B'' and X'' give their digits. */
size_t pw_token_string(const PwToken *token, unsigned flags, char *out, size_t cap);

#endif
