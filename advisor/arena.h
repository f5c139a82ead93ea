/* SPDX-License-Identifier: ISC */
/* arena.h - memory of one advisor run: allocated piece by piece, freed all at once.
 *
 * Facts, candidates and findings refer to each other freely and die together, so nothing but the
 * arena has a lifetime. Allocation never fails (the process ends with a message instead).
 * One thread. */
#ifndef ADVISOR_ARENA_H
#define ADVISOR_ARENA_H

#include <stddef.h>
#include <string.h>

#include "poolwise/err.h"

typedef struct AdvArena AdvArena;

AdvArena *adv_arena_create(void);
/* One that dies with `parent`: the memory of another thread, whose pieces last as long as the parent's own. */
AdvArena *adv_arena_create_under(AdvArena *parent);
void adv_arena_destroy(AdvArena *arena);

/* Zeroed memory, aligned for any type. */
void *adv_arena_alloc(AdvArena *arena, size_t size);
char *adv_arena_strdup(AdvArena *arena, const char *text);
char *adv_arena_strndup(AdvArena *arena, const char *text, size_t n);
char *adv_arena_printf(AdvArena *arena, const char *fmt, ...) PW_PRINTF(2, 3);

/* A larger copy of `old` (old_size bytes), the rest zeroed. */
void *adv_arena_grow(AdvArena *arena, const void *old, size_t old_size, size_t new_size);

#define ADV_NEW(arena, type) ((type *)adv_arena_alloc((arena), sizeof(type)))
#define ADV_NEW_ARRAY(arena, type, n) ((type *)adv_arena_alloc((arena), sizeof(type) * (size_t)(n)))

/* Makes room for one more element of array `arr` with `n` used elements; capacities are the powers of
 * two from 4, so that no capacity has to be kept: it is full exactly when n is 0 or such a power. */
#define ADV_ROOM(arena, arr, n)                                                                                       \
    do {                                                                                                              \
        size_t room_n_ = (size_t)(n);                                                                                 \
        if (room_n_ == 0)                                                                                             \
            (arr) = adv_arena_alloc((arena), 4 * sizeof(*(arr)));                                                     \
        else if (room_n_ >= 4 && (room_n_ & (room_n_ - 1)) == 0)                                                      \
            (arr) = adv_arena_grow((arena), (arr), room_n_ * sizeof(*(arr)), 2 * room_n_ * sizeof(*(arr)));           \
    } while (0)

#endif
