/* SPDX-License-Identifier: ISC */
#include "pooler/session/cancel_key.h"

#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#include "poolwise/mem.h"

#define HOP_BITS 0x03

/* Random bytes are drawn for many keys at once: a draw costs 6,600 instructions, whatever its length, and each login
 * needs one. What was given out is wiped, so that memory tells of no key that a client has. */
#define STOCK 1024

static bool take_random(uint8_t *out, size_t n)
{
    static __thread uint8_t stock[STOCK];
    static __thread size_t left;
    if (left < n) {
        if (RAND_bytes(stock, sizeof(stock)) != 1)
            return false;
        left = sizeof(stock);
    }
    left -= n;
    memcpy(out, stock + left, n);
    pw_wipe(stock + left, n);
    return true;
}

PwErr cancel_key_make(CancelKey *key, unsigned worker, int peer_id, bool is_long)
{
    memset(key, 0, sizeof(*key));
    key->len = is_long ? CANCEL_KEY_LONG : CANCEL_KEY_SHORT;
    if (!take_random(key->bytes, key->len))
        return PW_ERR_IO;
    key->bytes[0] = (uint8_t)((key->bytes[0] & 0x40) | (worker & 0x3f));
    key->hops = key->bytes[7] & HOP_BITS;
    key->bytes[7] &= (uint8_t)~HOP_BITS;
    if (peer_id > 0) {
        key->bytes[1] = (uint8_t)(peer_id & 0xff);
        key->bytes[2] = (uint8_t)(peer_id >> 8 & 0xff);
        key->hops = CANCEL_KEY_HOPS;
    }
    return PW_OK;
}

PwErr cancel_key_read(CancelKey *key, const uint8_t *bytes, size_t n)
{
    if (n != CANCEL_KEY_SHORT && n != CANCEL_KEY_LONG)
        return PW_ERR_PROTOCOL;
    memset(key, 0, sizeof(*key));
    key->len = (uint8_t)n;
    memcpy(key->bytes, bytes, n);
    key->hops = key->bytes[7] & HOP_BITS;
    key->bytes[7] &= (uint8_t)~HOP_BITS;
    return PW_OK;
}

void cancel_key_write(const CancelKey *key, unsigned hops, uint8_t *out)
{
    memcpy(out, key->bytes, key->len);
    out[7] |= (uint8_t)(hops & HOP_BITS);
}
