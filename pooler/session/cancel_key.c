/* SPDX-License-Identifier: ISC */
#include "pooler/session/cancel_key.h"

#include <openssl/rand.h>
#include <string.h>

#define HOP_BITS 0x03

PwErr cancel_key_make(CancelKey *key, unsigned worker, int peer_id, bool is_long)
{
    memset(key, 0, sizeof(*key));
    key->len = is_long ? CANCEL_KEY_LONG : CANCEL_KEY_SHORT;
    if (RAND_bytes(key->bytes, key->len) != 1)
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
