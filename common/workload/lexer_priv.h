/* SPDX-License-Identifier: ISC */
/* lexer_priv.h - the byte tables of the lexer, shared with the fingerprint. */
#ifndef POOLWISE_WORKLOAD_LEXER_PRIV_H
#define POOLWISE_WORKLOAD_LEXER_PRIV_H

#include <stdint.h>

/* What a byte may start. */
enum {
    PW_LEX_BAD, /* nothing */
    PW_LEX_SPC,
    PW_LEX_WRD, /* a word */
    PW_LEX_PFX, /* a word, or the prefix of a constant: b e n x u */
    PW_LEX_DIG,
    PW_LEX_OPR, /* an operator */
    PW_LEX_PUN, /* it is a token */
    PW_LEX_DOT,
    PW_LEX_COL,
    PW_LEX_QUO,
    PW_LEX_DQU,
    PW_LEX_DOL
};
extern const uint8_t pw_lex_class[256];

/* Bytes that may stand inside an unquoted word: what PostgreSQL folds them to; 0 for all others. */
extern const uint8_t pw_lex_fold[256];

#endif
