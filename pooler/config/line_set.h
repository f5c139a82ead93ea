/* SPDX-License-Identifier: ISC */
/* line_set.h - the named lines of a section: filled while loading, then fixed and found by name.
 * Immutable after line_set_seal, so any thread may look up then. */
#ifndef POOLER_CONFIG_LINE_SET_H
#define POOLER_CONFIG_LINE_SET_H

#include <stddef.h>

typedef struct LineSetEntry {
    const char *name; /* borrowed from the item */
    void *item;
    size_t order;
} LineSetEntry;

typedef struct LineSet {
    LineSetEntry *entries; /* in file order */
    LineSetEntry *by_name; /* sorted; NULL before the seal */
    size_t n;
} LineSet;

void line_set_add(LineSet *set, const char *name, void *item); /* the item stays the caller's */

/* Drops all but the last line of each name; `dropped` gets each loser and must free it. */
typedef void (*LineSetDropped)(void *arg, void *loser, const void *winner);
void line_set_seal(LineSet *set, LineSetDropped dropped, void *arg);

void *line_set_find(const LineSet *set, const char *name); /* after the seal */
void line_set_finish(LineSet *set);                        /* not the items */

#endif
