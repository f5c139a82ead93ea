/* SPDX-License-Identifier: ISC */
/* cancel_key.h - the cancel keys that clients get: who owns the client is written in the key, so that no table of
 * keys is shared between threads or processes.
 *
 *   byte   0             1, 2                     3 .. 6    7                         8 .. 35
 *          0rww wwww     peer_id, low byte first  random    random, 2 bits of hops    random; only with protocol 3.2
 *          w: the worker, r: random
 *
 * The first 8 bytes are those of PgBouncer, whose peers read bytes 1, 2 and 7; without a peer_id bytes 1 and 2 are random.
 * Bit 7 of byte 0 is clear: the first four bytes stand for a process id, and some clients want that to be positive. */
#ifndef POOLER_SESSION_CANCEL_KEY_H
#define POOLER_SESSION_CANCEL_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"

#define CANCEL_KEY_SHORT 8
#define CANCEL_KEY_LONG 36
/* A key is passed on from peer to peer at most this often. */
#define CANCEL_KEY_HOPS 3

/* The bits of hops are always clear in `bytes`, so that two keys of one client are equal byte by byte; bytes behind `len`
 * are 0. */
typedef struct CancelKey {
    uint8_t bytes[CANCEL_KEY_LONG];
    uint8_t len;
    uint8_t hops; /* as received; in a new one CANCEL_KEY_HOPS, or without a peer_id two random bits that belong to the key */
} CancelKey;

/* worker < 64; peer_id 0: none. PW_ERR_IO: no random bytes. */
PW_MUSTCHECK PwErr cancel_key_make(CancelKey *key, unsigned worker, int peer_id, bool is_long);

/* Reads the key of a cancel request. PW_ERR_PROTOCOL: none of ours has this length. */
PW_MUSTCHECK PwErr cancel_key_read(CancelKey *key, const uint8_t *bytes, size_t n);

/* As it goes over the wire: key->len bytes. */
void cancel_key_write(const CancelKey *key, unsigned hops, uint8_t *out);

static inline unsigned cancel_key_worker(const CancelKey *key)
{
    return key->bytes[0] & 0x3f;
}
static inline int cancel_key_peer(const CancelKey *key)
{
    return key->bytes[1] | key->bytes[2] << 8;
}

#endif
