/* SPDX-License-Identifier: ISC */
#include "advisor/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_SIZE ((size_t)64 * 1024)
#define ALIGNMENT ((size_t)16)

typedef struct Chunk {
    struct Chunk *next;
    size_t used;
    size_t size;
    size_t pad; /* keeps data 16-byte aligned */
    unsigned char data[];
} Chunk;

struct AdvArena {
    Chunk *head;
    AdvArena *under; /* the first of those that die with it */
    AdvArena *next;  /* under the same parent */
};

static void out_of_memory(size_t size)
{
    fprintf(stderr, "advisor: out of memory (%zu bytes)\n", size);
    exit(70);
}

static Chunk *chunk_create(size_t size)
{
    Chunk *chunk = malloc(sizeof(Chunk) + size);
    if (!chunk)
        out_of_memory(size);
    chunk->next = NULL;
    chunk->used = 0;
    chunk->size = size;
    return chunk;
}

AdvArena *adv_arena_create(void)
{
    AdvArena *arena = malloc(sizeof(*arena));
    if (!arena)
        out_of_memory(sizeof(*arena));
    *arena = (AdvArena){.head = chunk_create(CHUNK_SIZE)};
    return arena;
}

AdvArena *adv_arena_create_under(AdvArena *parent)
{
    AdvArena *arena = adv_arena_create();
    arena->next = parent->under;
    parent->under = arena;
    return arena;
}

void adv_arena_destroy(AdvArena *arena)
{
    if (!arena)
        return;
    for (AdvArena *child = arena->under, *next; child; child = next) {
        next = child->next;
        adv_arena_destroy(child);
    }
    for (Chunk *chunk = arena->head, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

void *adv_arena_alloc(AdvArena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        out_of_memory(size);
    size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    Chunk *chunk = arena->head;
    if (chunk->size - chunk->used < rounded) {
        if (rounded > CHUNK_SIZE / 4) {
            /* A large piece gets a chunk of its own, behind the current one, which stays in use. */
            Chunk *large = chunk_create(rounded);
            large->next = chunk->next;
            chunk->next = large;
            chunk = large;
        } else {
            chunk = chunk_create(CHUNK_SIZE);
            chunk->next = arena->head;
            arena->head = chunk;
        }
    }
    void *p = chunk->data + chunk->used;
    chunk->used += rounded;
    memset(p, 0, rounded);
    return p;
}

void *adv_arena_grow(AdvArena *arena, const void *old, size_t old_size, size_t new_size)
{
    void *p = adv_arena_alloc(arena, new_size);
    if (old_size)
        memcpy(p, old, old_size);
    return p;
}

char *adv_arena_strndup(AdvArena *arena, const char *text, size_t n)
{
    char *copy = adv_arena_alloc(arena, n + 1);
    memcpy(copy, text, n);
    return copy;
}

char *adv_arena_strdup(AdvArena *arena, const char *text)
{
    return adv_arena_strndup(arena, text, strlen(text));
}

char *adv_arena_printf(AdvArena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = adv_arena_alloc(arena, (size_t)(n < 0 ? 0 : n) + 1);
    if (n > 0)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
