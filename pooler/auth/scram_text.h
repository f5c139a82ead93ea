/* SPDX-License-Identifier: ISC */
/* scram_text.h - reads the attributes of SCRAM messages (RFC 5802, section 7): "r=...,s=...,i=...".
 * Bounds-checked and sticky like PwCursor: after the first mismatch everything is bad. Pure. */
#ifndef POOLER_AUTH_SCRAM_TEXT_H
#define POOLER_AUTH_SCRAM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ScramText {
    const char *p, *end;
    bool bad;
} ScramText;

typedef struct ScramSpan {
    const char *at;
    size_t n;
} ScramSpan;

ScramText scram_text(const uint8_t *bytes, size_t n); /* bad when there is a NUL byte in it */

/* The name of the attribute that comes next, 0 at the end or when what follows is no attribute. */
char scram_text_peek(const ScramText *t);

/* The value of attribute `name`, which must come next; the comma behind it is eaten. A name of 0, as peek gives
 * it where there is no attribute, is bad too. */
ScramSpan scram_text_take(ScramText *t, char name);

/* A character that must come next. */
void scram_text_expect(ScramText *t, char c);

static inline bool scram_text_at_end(const ScramText *t)
{
    return !t->bad && t->p == t->end;
}

/* 1 .. INT32_MAX in decimal digits; 0: it is not. */
uint32_t scram_span_number(ScramSpan span);

/* Only printable ASCII without comma, and not empty. */
bool scram_span_is_nonce(ScramSpan span);

#endif
