/* SPDX-License-Identifier: ISC */
/* scram_cache.h - bounded memory of derived SCRAM keys, so that a login does not pay PBKDF2 again.
 *
 * Two uses: verifiers built from plain secrets for clients, and keys for logins to servers. Entries are found by
 * a keyed digest of what they were derived from: no password is kept. The least recently used entry
 * makes room. Any thread; an own mutex, never held while keys are derived. Also keeps the process
 * secret that fake and ad-hoc salts come from, so that a known and an unknown user look alike. */
#ifndef POOLER_AUTH_SCRAM_CACHE_H
#define POOLER_AUTH_SCRAM_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "pooler/auth/secrets.h"
#include "poolwise/err.h"

#define SCRAM_ADHOC_SALT_LEN 16

typedef struct ScramCache ScramCache;

typedef struct ScramCacheStats {
    size_t entries;
    size_t max_entries;
    size_t entry_bytes; /* of one entry: SHOW MEM */
    uint64_t hits;
    uint64_t misses; /* each one was a PBKDF2 */
} ScramCacheStats;

/* One for the process. max_entries of 0 caches nothing. PW_ERR_IO when no random bytes are to be had. */
PW_MUSTCHECK PwErr scram_cache_create(size_t max_entries, ScramCache **ret_cache);
void scram_cache_destroy(ScramCache *cache); /* wipes the keys */

void scram_cache_stats(ScramCache *cache, ScramCacheStats *ret_stats);

/* Salt for a user without a SCRAM verifier: the same for one name as long as the process lives. */
PW_MUSTCHECK PwErr scram_cache_salt(ScramCache *cache, const char *user,
                                    uint8_t ret_salt[SCRAM_ADHOC_SALT_LEN]);

/* Keys of a plain password (SASLprep is applied) for a salt and iteration count, from the cache or derived
 * and then kept. `owner` keeps users apart. PW_ERR_RANGE: iterations of 0 or above INT32_MAX, or salt_len
 * above SCRAM_SALT_MAX. Takes about 1 ms for 4096 iterations when it is not cached. */
PW_MUSTCHECK PwErr scram_cache_keys(ScramCache *cache, const char *owner, const char *password,
                                    const uint8_t *salt, size_t salt_len, uint32_t iterations,
                                    ScramKeys *ret_keys);

/* The two halves of scram_cache_keys(), for those who keep only what proved right. PW_ERR_NOT_FOUND: not cached. */
PW_MUSTCHECK PwErr scram_cache_find(ScramCache *cache, const char *owner, const char *password,
                                    const uint8_t *salt, size_t salt_len, uint32_t iterations,
                                    ScramKeys *ret_keys);
void scram_cache_keep(ScramCache *cache, const char *owner, const char *password, const ScramKeys *keys);

#endif
