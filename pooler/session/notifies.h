/* SPDX-License-Identifier: ISC */
/* notifies.h - which notifications a text sends, where it says so in plain words: NOTIFY, and SELECT pg_notify(...) of constants or
 * bound parameters. Others (of triggers, functions, expressions) are not found. Pure. */
#ifndef POOLER_SESSION_NOTIFIES_H
#define POOLER_SESSION_NOTIFIES_H

#include "pooler/session/effects.h"

/* `bind` may be NULL. A notification without payload has the payload "", as on the wire. */
void notifies_each(const char *sql, size_t len, unsigned lex_flags, const EffectsBind *bind,
                   void (*each)(void *arg, const char *channel, const char *payload), void *arg);

#endif
