/* SPDX-License-Identifier: ISC */
#include "pooler/session/shape.h"

#include <string.h>
#include <xxhash.h>

#include "poolwise/wire.h"

/* Behind a column's name: table 4, number 2, type 4, length 2, type modifier 4, format 2. */
#define FACTS_SIZE 18
#define FACTS_FROM 6
#define FACTS_TO   16

static uint64_t valid(uint64_t digest)
{
    return digest > SHAPE_NO_ROWS ? digest : digest + 2;
}

uint64_t shape_of_rows(const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    unsigned columns = pw_cursor_be16(&c);
    uint64_t digest = columns;
    for (unsigned i = 0; i < columns && !c.bad; i++) {
        const char *name = pw_cursor_cstr(&c);
        const uint8_t *facts = pw_cursor_bytes(&c, FACTS_SIZE);
        if (!facts)
            return SHAPE_UNKNOWN;
        digest = XXH3_64bits_withSeed(name, strlen(name), digest);
        digest = XXH3_64bits_withSeed(facts + FACTS_FROM, FACTS_TO - FACTS_FROM, digest);
    }
    return c.bad || pw_cursor_left(&c) ? SHAPE_UNKNOWN : valid(digest);
}

unsigned shape_of_types(const uint8_t *payload, size_t n, uint64_t *ret_digest)
{
    PwCursor c = pw_cursor(payload, n);
    unsigned count = pw_cursor_be16(&c);
    const uint8_t *types = pw_cursor_bytes(&c, (size_t)count * 4);
    *ret_digest = !c.bad && pw_cursor_left(&c) == 0 ? valid(XXH3_64bits_withSeed(types, (size_t)count * 4, count)) : 0;
    return *ret_digest ? count : 0;
}
