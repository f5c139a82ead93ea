/* SPDX-License-Identifier: ISC */
/* bind.h - puts values in the place of $n, so that a normalised text can be planned with real selectivities.
 *
 * Values come from pg_stats (typical values, quantiles for ranges). Where the type of a parameter is not known, a
 * guess is made, and the server's error message corrects it (adv_binding_repair). One thread. */
#ifndef ADVISOR_COST_BIND_H
#define ADVISOR_COST_BIND_H

#include "advisor/workload.h"

typedef struct AdvSlot {
    int param;        /* index into facts->params */
    size_t start, end; /* of the value in the bound text, bytes */
    const char *value;
    int guess;        /* forms tried so far */
    bool quoted;      /* date $1: only a string literal may stand there */
    bool exhausted;   /* all forms were tried: it is not this one */
    bool known;       /* from statistics: not touched by repairs before the guesses are */
} AdvSlot;

typedef struct AdvBinding {
    AdvArena *arena;
    const AdvCatalog *catalog;
    const AdvQuery *query;
    int n_slots;
    AdvSlot *slots;
    const char *text; /* with all values in place */
} AdvBinding;

void adv_binding_init(AdvBinding *binding, AdvArena *arena, const AdvCatalog *catalog, const AdvQuery *query);

/* Puts the slots' values into the text again. */
void adv_binding_build(AdvBinding *binding);

/* A literal of the type, as "integer" or "timestamp without time zone"; NULL: no such type is known. */
const char *adv_type_sample(const char *type);

/* repair.c: changes the value that the error is about; `position` is its 1-based character in binding->text (0 unknown).
 * False when nothing is left to try. */
bool adv_binding_repair(AdvBinding *binding, const char *sqlstate, const char *message, int position);

#endif
