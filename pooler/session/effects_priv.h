/* SPDX-License-Identifier: ISC */
/* effects_priv.h - between effects.c, effects_config.c, effects_listen.c and notifies.c: the walk over a text (effects_walk.c). */
#ifndef POOLER_SESSION_EFFECTS_PRIV_H
#define POOLER_SESSION_EFFECTS_PRIV_H

#include "pooler/session/effects.h"
#include "pooler/session/settings.h"
#include "poolwise/buf.h"
#include "poolwise/err.h"
#include "poolwise/lexer.h"

typedef struct EffectsWalk {
    PwLexer lexer;
    PwToken t;          /* at hand */
    const char *start;  /* of this statement */
    bool saw_config; /* set_config, quoted or not, stands in it */
    unsigned statement; /* its number */
    unsigned inner_class;
    PwBuf list, text;
    const EffectsBind *bind;
} EffectsWalk;

PwTok effects_next(EffectsWalk *w);
bool effects_at(const EffectsWalk *w, const char *word);
bool effects_accept(EffectsWalk *w, const char *word);
bool effects_at_punct(const EffectsWalk *w, char c);
bool effects_at_end(const EffectsWalk *w);
/* An identifier as the server reads it: folded, or as quoted. False: not one, or with Unicode escapes. */
bool effects_identifier(EffectsWalk *w, PwBuf *out);
char *effects_string_value(EffectsWalk *w); /* of a string token, allocated; NULL: none */
void effects_add(EffectsWalk *w, EffectKind kind, const char *name, const char *value, bool flat);
Effects *effects_finish(EffectsWalk *w); /* all that was added: one reference */

typedef struct EffectsArg {
    char *text; /* allocated */
    bool known;
} EffectsArg;

/* effects_config.c: one argument of a function, up to "," or ")". False: not a constant, nor a parameter of the Bind at hand. */
bool effects_argument(EffectsWalk *w, EffectsArg *ret);
/* effects_config.c: a SELECT, behind its first word. Effects only for "SELECT set_config(...) [, ...]" alone; any other
 * use of set_config is EFFECT_UNKNOWN. */
void effects_set_config(EffectsWalk *w);
/* At the end of a statement that uses set_config in another way: EFFECT_UNKNOWN. */
void effects_unknown_config(EffectsWalk *w);

/* effects_listen.c */
void effects_listen(EffectsWalk *w);
void effects_unlisten(EffectsWalk *w);

#endif
