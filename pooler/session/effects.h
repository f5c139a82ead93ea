/* SPDX-License-Identifier: ISC */
/* effects.h - what a text will do to its session's settings, savepoints, SQL-level prepared statements and channels when each of its
 * statements completes. Only for texts that stmt_classify marked CLASS_TRACK or CLASS_NAMES.
 *
 * An Effects is immutable and belongs to one worker: a request's entry in the reply queue holds a reference until it
 * is answered. Statements of the text are numbered as the server completes them (empty ones do not count).
 *
 *   "SET a TO 1; SELECT 2; SAVEPOINT s"   ->   {0: SET a '1'} {2: SAVEPOINT s}
 *
 * What cannot be followed becomes EFFECT_UNKNOWN, never nothing. */
#ifndef POOLER_SESSION_EFFECTS_H
#define POOLER_SESSION_EFFECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PostgreSQL's NAMEDATALEN: it cuts longer names. */
#define EFFECTS_NAME_SIZE 64

typedef enum EffectKind {
    EFFECT_UNKNOWN,   /* flat: it sets something of which not even the name can be told */
    EFFECT_SET,       /* name TO value (SQL), or flat text (set_config) */
    EFFECT_RESET,     /* name; also SET name TO DEFAULT */
    EFFECT_RESET_ALL,
    EFFECT_AUTH,      /* SET SESSION AUTHORIZATION value (SQL, or flat text); NULL: DEFAULT. Ends the role too */
    EFFECT_DISCARD_ALL,
    EFFECT_SAVEPOINT, /* name */
    EFFECT_RELEASE,
    EFFECT_ROLLBACK_TO,
    EFFECT_PREPARE, /* name; value: the whole statement */
    EFFECT_EXECUTE, /* name */
    EFFECT_DEALLOCATE,
    EFFECT_DEALLOCATE_ALL,
    EFFECT_LISTEN,   /* name, shorter than EFFECTS_NAME_SIZE */
    EFFECT_UNLISTEN, /* name; NULL: all */
    EFFECT_KIND_COUNT
} EffectKind;

typedef struct Effect {
    uint8_t kind; /* EffectKind */
    bool flat;
    unsigned statement;
    unsigned class; /* EFFECT_PREPARE: stmt_classify of the statement inside */
    const char *name, *value; /* into the Effects; NULL where the kind has none */
} Effect;

typedef struct Effects {
    unsigned refs, n;
    unsigned statements; /* in the text, empty ones not counted */
    Effect list[];
} Effects;

/* Values of $1, $2, ... for set_config($1, $2, ...): from the payload of a Bind. NULL: there are none. */
typedef struct EffectsBind {
    const uint8_t *payload;
    size_t len;
} EffectsBind;

/* Never NULL; n is 0 when nothing has to be followed (SET LOCAL, SET TRANSACTION, ...). */
Effects *effects_parse(const char *sql, size_t len, unsigned lex_flags, const EffectsBind *bind);
Effects *effects_ref(Effects *e); /* NULL is fine */
void effects_unref(Effects *e);

/* One EFFECT_DEALLOCATE of a name: marks a request of the pooler's own that is about it. */
Effects *effects_about(const char *name);

bool effects_have(const Effects *e, EffectKind kind); /* NULL is fine */

/* One EFFECT_PREPARE: what a name of SQL's meant, for a request that ends it and may be skipped. */
Effects *effects_prepared(const char *name, const char *text, unsigned class);

/* Does the CommandComplete tag fit the effect of that statement? If not, the numbering cannot be trusted. */
bool effect_fits_tag(const Effect *effect, const char *tag);

#endif
