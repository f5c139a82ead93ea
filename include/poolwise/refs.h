/* SPDX-License-Identifier: ISC */
/* refs.h - how many hold an object that is shared between threads and never changed while it is.
 *
 * The count is the one thing of it that changes, so it may be changed behind a const pointer. Any thread. */
#ifndef POOLWISE_REFS_H
#define POOLWISE_REFS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct PwRefs {
    unsigned n; /* atomic; touched by the functions below only */
} PwRefs;

/* The creator's. Before any other thread sees the object. */
static inline void pw_refs_init(PwRefs *refs)
{
    refs->n = 1;
}

/* One more, by who has one: that keeps the object while this one is taken. */
static inline void pw_refs_take(const PwRefs *refs)
{
    __atomic_add_fetch(&((PwRefs *)(uintptr_t)refs)->n, 1, __ATOMIC_RELAXED);
}

/* Gives one back. True: it was the last. The caller frees the object, after everything that the others did with it. */
static inline bool pw_refs_drop(const PwRefs *refs)
{
    return __atomic_sub_fetch(&((PwRefs *)(uintptr_t)refs)->n, 1, __ATOMIC_ACQ_REL) == 0;
}

#endif
