/* SPDX-License-Identifier: ISC */
/* All entries lie in one array made at creation, so that nothing is allocated under the mutex:
 *
 *   buckets[hash] -> entry -> entry -> NONE        newest <-> ... <-> oldest
 *                    (chain)                       (LRU, both ways; unused entries are past `used`)
 *
 * Everything below `mutex` in the struct is guarded by it; the process secret is written once. */
#include "pooler/auth/scram_cache.h"

#include "pooler/auth/scram_crypto.h"
#include "poolwise/buf.h"
#include "poolwise/mem.h"

#include <openssl/rand.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define MAX_ENTRIES ((size_t)1 << 24)

typedef struct Entry {
    uint8_t digest[SCRAM_KEY_LEN]; /* keyed, of all that the keys were derived from */
    ScramKeys keys;
    uint32_t chain;
    uint32_t newer, older;
} Entry;

struct ScramCache {
    uint8_t process_secret[SCRAM_KEY_LEN];
    size_t max_entries;
    size_t n_buckets; /* a power of two */

    pthread_mutex_t mutex;
    Entry *entries;
    uint32_t *buckets;
    size_t used;
    uint32_t newest, oldest;
    uint64_t hits, misses;
};

PwErr scram_cache_create(size_t max_entries, ScramCache **ret_cache)
{
    ScramCache *cache = pw_xcalloc(1, sizeof(*cache));
    if (max_entries > MAX_ENTRIES)
        max_entries = MAX_ENTRIES;
    cache->max_entries = max_entries;
    cache->newest = cache->oldest = NONE;
    cache->n_buckets = 1;
    while (cache->n_buckets < max_entries)
        cache->n_buckets *= 2;
    pthread_mutex_init(&cache->mutex, NULL);
    if (RAND_bytes(cache->process_secret, sizeof(cache->process_secret)) != 1) {
        scram_cache_destroy(cache);
        return PW_ERR_IO;
    }
    /* Pages cost nothing before they are used. */
    cache->entries = pw_secret_alloc((max_entries ? max_entries : 1) * sizeof(Entry));
    cache->buckets = malloc(cache->n_buckets * sizeof(*cache->buckets));
    if (!cache->entries || !cache->buckets) {
        scram_cache_destroy(cache);
        return PW_ERR_NOMEM;
    }
    for (size_t i = 0; i < cache->n_buckets; i++)
        cache->buckets[i] = NONE;
    *ret_cache = cache;
    return PW_OK;
}

void scram_cache_destroy(ScramCache *cache)
{
    if (!cache)
        return;
    pw_secret_free(cache->entries, (cache->max_entries ? cache->max_entries : 1) * sizeof(Entry));
    free(cache->buckets);
    pthread_mutex_destroy(&cache->mutex);
    pw_wipe(cache, sizeof(*cache));
    free(cache);
}

void scram_cache_stats(ScramCache *cache, ScramCacheStats *ret_stats)
{
    pthread_mutex_lock(&cache->mutex);
    *ret_stats = (ScramCacheStats){.entries = cache->used,
                                   .max_entries = cache->max_entries,
                                   .entry_bytes = sizeof(Entry),
                                   .hits = cache->hits,
                                   .misses = cache->misses};
    pthread_mutex_unlock(&cache->mutex);
}

PwErr scram_cache_salt(ScramCache *cache, const char *user, uint8_t ret_salt[SCRAM_ADHOC_SALT_LEN])
{
    /* The prefix keeps this use of the process secret apart from the digests, which start with a name's byte. */
    uint8_t mac[SCRAM_KEY_LEN];
    PwBuf text;
    pw_buf_init(&text);
    pw_buf_append_cstr(&text, "");
    pw_buf_append_cstr(&text, "salt");
    pw_buf_append_str(&text, user);
    PwErr err = scram_hmac(cache->process_secret, text.data, text.len, mac);
    if (!err)
        memcpy(ret_salt, mac, SCRAM_ADHOC_SALT_LEN);
    pw_buf_finish(&text);
    return err;
}

static PwErr digest_of(const ScramCache *cache, const char *owner, const char *password, const uint8_t *salt,
                       size_t salt_len, uint32_t iterations, uint8_t ret_digest[SCRAM_KEY_LEN])
{
    PwBuf text;
    pw_buf_init(&text);
    /* In one piece: a buffer that grows would leave unwiped copies of the password behind. */
    pw_buf_reserve(&text, strlen(owner) + strlen(password) + salt_len + 16);
    pw_buf_append_str(&text, "k");
    pw_buf_append_cstr(&text, owner);
    pw_buf_append_cstr(&text, password);
    pw_buf_append_be32(&text, iterations);
    pw_buf_append(&text, salt, salt_len);
    PwErr err = scram_hmac(cache->process_secret, text.data, text.len, ret_digest);
    scram_buf_finish(&text);
    return err;
}

/* ---- under the mutex ---- */

static uint32_t *bucket_of(ScramCache *cache, const uint8_t *digest)
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof(hash)); /* a keyed digest is a good hash as it is */
    return &cache->buckets[hash & (cache->n_buckets - 1)];
}

static uint32_t find_entry(ScramCache *cache, const uint8_t *digest)
{
    uint32_t i = *bucket_of(cache, digest);
    while (i != NONE && memcmp(cache->entries[i].digest, digest, SCRAM_KEY_LEN) != 0)
        i = cache->entries[i].chain;
    return i;
}

static void lru_unlink(ScramCache *cache, uint32_t i)
{
    Entry *e = &cache->entries[i];
    if (e->newer != NONE)
        cache->entries[e->newer].older = e->older;
    else
        cache->newest = e->older;
    if (e->older != NONE)
        cache->entries[e->older].newer = e->newer;
    else
        cache->oldest = e->newer;
}

static void lru_push(ScramCache *cache, uint32_t i)
{
    Entry *e = &cache->entries[i];
    e->newer = NONE;
    e->older = cache->newest;
    if (cache->newest != NONE)
        cache->entries[cache->newest].newer = i;
    else
        cache->oldest = i;
    cache->newest = i;
}

/* A free entry: a fresh one, or the one used longest ago. */
static uint32_t take_entry(ScramCache *cache)
{
    if (cache->used < cache->max_entries)
        return (uint32_t)cache->used++;
    uint32_t i = cache->oldest;
    uint32_t *link = bucket_of(cache, cache->entries[i].digest);
    while (*link != i)
        link = &cache->entries[*link].chain;
    *link = cache->entries[i].chain;
    lru_unlink(cache, i);
    return i;
}

/* ---- the two halves ---- */

static bool lookup(ScramCache *cache, const uint8_t *digest, ScramKeys *ret_keys)
{
    pthread_mutex_lock(&cache->mutex);
    uint32_t i = find_entry(cache, digest);
    if (i != NONE) {
        *ret_keys = cache->entries[i].keys;
        lru_unlink(cache, i);
        lru_push(cache, i);
        cache->hits++;
    } else {
        cache->misses++;
    }
    pthread_mutex_unlock(&cache->mutex);
    return i != NONE;
}

static void keep(ScramCache *cache, const uint8_t *digest, const ScramKeys *keys)
{
    if (cache->max_entries == 0)
        return;
    pthread_mutex_lock(&cache->mutex);
    /* Two workers may have derived the same keys meanwhile: the same input gives the same keys. */
    if (find_entry(cache, digest) == NONE) {
        uint32_t i = take_entry(cache);
        Entry *e = &cache->entries[i];
        uint32_t *bucket = bucket_of(cache, digest);
        memcpy(e->digest, digest, SCRAM_KEY_LEN);
        e->keys = *keys;
        e->chain = *bucket;
        *bucket = i;
        lru_push(cache, i);
    }
    pthread_mutex_unlock(&cache->mutex);
}

PwErr scram_cache_find(ScramCache *cache, const char *owner, const char *password, const uint8_t *salt,
                       size_t salt_len, uint32_t iterations, ScramKeys *ret_keys)
{
    uint8_t digest[SCRAM_KEY_LEN];
    PwErr err = digest_of(cache, owner, password, salt, salt_len, iterations, digest);
    if (!err && !lookup(cache, digest, ret_keys))
        err = PW_ERR_NOT_FOUND;
    return err;
}

void scram_cache_keep(ScramCache *cache, const char *owner, const char *password, const ScramKeys *keys)
{
    uint8_t digest[SCRAM_KEY_LEN];
    if (digest_of(cache, owner, password, keys->verifier.salt, keys->verifier.salt_len,
                  keys->verifier.iterations, digest) == PW_OK)
        keep(cache, digest, keys);
}

PwErr scram_cache_keys(ScramCache *cache, const char *owner, const char *password, const uint8_t *salt,
                       size_t salt_len, uint32_t iterations, ScramKeys *ret_keys)
{
    PwErr err = scram_cache_find(cache, owner, password, salt, salt_len, iterations, ret_keys);
    if (err != PW_ERR_NOT_FOUND)
        return err;
    err = scram_derive(password, salt, salt_len, iterations, ret_keys);
    if (!err)
        scram_cache_keep(cache, owner, password, ret_keys);
    return err;
}
