/* SPDX-License-Identifier: ISC */
/* text.h - a growing text on the arena, for building SQL and reports. One thread. */
#ifndef ADVISOR_TEXT_H
#define ADVISOR_TEXT_H

#include "advisor/arena.h"

typedef struct AdvText {
    AdvArena *arena;
    char *data; /* NUL-terminated once something was added */
    size_t len;
    size_t cap;
} AdvText;

void adv_text_init(AdvText *text, AdvArena *arena);
void adv_text_add(AdvText *text, const char *s);
void adv_text_add_n(AdvText *text, const char *s, size_t n);
void adv_text_addf(AdvText *text, const char *fmt, ...) PW_PRINTF(2, 3);
const char *adv_text_get(const AdvText *text); /* never NULL */

/* An SQL identifier, quoted only when it must be. */
void adv_text_add_ident(AdvText *text, const char *name);
const char *adv_quote_ident(AdvArena *arena, const char *name);
/* An SQL string literal with its quotes. */
void adv_text_add_literal(AdvText *text, const char *value);

/* Sizes for people: "123 MB". */
const char *adv_format_bytes(AdvArena *arena, double bytes);
/* Times for people: "3 s", "5 min", "2 h". */
const char *adv_format_seconds(AdvArena *arena, double seconds);

/* A time in days as people say it: "3 days", "1 hour", "40 minutes". */
const char *adv_duration(AdvArena *arena, double days);

#endif
