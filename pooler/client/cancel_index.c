/* SPDX-License-Identifier: ISC */
#include "pooler/client/cancel_index.h"

#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

#define FIRST_SIZE 64

/* Bytes 3 to 6 of every key are random (cancel_key.h). */
static Client **slot_of(const ClientIndex *index, const CancelKey *key)
{
    uint32_t random;
    memcpy(&random, key->bytes + 3, sizeof(random));
    return &index->slots[random & (index->size - 1)];
}

Client *cancel_index_find(const ClientIndex *index, const CancelKey *key)
{
    if (index->n == 0)
        return NULL;
    Client *c = *slot_of(index, key);
    while (c && memcmp(c->cancel_key.bytes, key->bytes, sizeof(key->bytes)) != 0)
        c = c->same_slot;
    return c;
}

static void put(const ClientIndex *index, Client *c)
{
    Client **slot = slot_of(index, &c->cancel_key);
    c->same_slot = *slot;
    *slot = c;
}

static void grow(ClientIndex *index)
{
    ClientIndex old = *index;
    index->size = old.size ? 2 * old.size : FIRST_SIZE;
    index->slots = pw_xcalloc(index->size, sizeof(*index->slots));
    for (unsigned i = 0; i < old.size; i++) {
        Client *next;
        for (Client *c = old.slots[i]; c; c = next) {
            next = c->same_slot;
            put(index, c);
        }
    }
    free(old.slots);
}

void cancel_index_add(ClientIndex *index, Client *c)
{
    if (index->n == index->size)
        grow(index);
    put(index, c);
    index->n++;
}

void cancel_index_remove(ClientIndex *index, Client *c)
{
    Client **at = slot_of(index, &c->cancel_key);
    while (*at != c)
        at = &(*at)->same_slot;
    *at = c->same_slot;
    c->same_slot = NULL;
    if (--index->n > 0)
        return;
    free(index->slots);
    memset(index, 0, sizeof(*index));
}
