/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "poolwise/wire.h"

static inline uint32_t length_word(const uint8_t *message)
{
    uint32_t word; /* only compared: its byte order does not matter */
    memcpy(&word, message + 1, sizeof(word));
    return word;
}

size_t pw_run_of_equals(const uint8_t *p, size_t n, size_t total)
{
    const uint32_t length = length_word(p);
    const uint8_t type = p[0];
    size_t at = total;
    while (n - at >= total && length_word(p + at) == length && p[at] == type)
        at += total;
    return at;
}
