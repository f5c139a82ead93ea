/* SPDX-License-Identifier: ISC */
#include "auth_test.h"
#include "pooler/auth/scram_cache.h"

#include <pthread.h>
#include <stdio.h>

static const uint8_t salt[16] = "0123456789abcde";

static ScramKeys keys_of(ScramCache *cache, const char *owner, const char *password, uint32_t iterations)
{
    ScramKeys keys;
    assert_int_equal(scram_cache_keys(cache, owner, password, salt, sizeof(salt), iterations, &keys), PW_OK);
    return keys;
}

static ScramCacheStats stats_of(ScramCache *cache)
{
    ScramCacheStats stats;
    scram_cache_stats(cache, &stats);
    return stats;
}

static ScramCache *cache_of(size_t max)
{
    ScramCache *cache;
    assert_int_equal(scram_cache_create(max, &cache), PW_OK);
    return cache;
}

static void hit_and_miss(void **state)
{
    (void)state;
    ScramCache *cache = cache_of(10);
    ScramKeys a = keys_of(cache, "u", "p", 2), b = keys_of(cache, "u", "p", 2);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(stats_of(cache).hits, 1);
    assert_int_equal(stats_of(cache).misses, 1);
    /* Each part of the input counts, and the border between name and password does too. */
    keys_of(cache, "u", "p", 3);
    keys_of(cache, "u", "q", 2);
    keys_of(cache, "v", "p", 2);
    keys_of(cache, "up", "", 2);
    keys_of(cache, "", "up", 2);
    assert_int_equal(stats_of(cache).hits, 1);
    assert_int_equal(stats_of(cache).entries, 6);
    ScramKeys found = {.client_key = {1}};
    assert_int_equal(scram_cache_find(cache, "u", "p", salt, sizeof(salt) - 1, 2, &found), PW_ERR_NOT_FOUND);
    assert_int_equal(found.client_key[0], 1);
    scram_cache_destroy(cache);
}

static void least_recent_goes(void **state)
{
    (void)state;
    ScramCache *cache = cache_of(3);
    ScramKeys keys;
    keys_of(cache, "a", "p", 1);
    keys_of(cache, "b", "p", 1);
    keys_of(cache, "c", "p", 1);
    keys_of(cache, "a", "p", 1); /* b is now the oldest */
    keys_of(cache, "d", "p", 1);
    assert_int_equal(stats_of(cache).entries, 3);
    assert_int_equal(scram_cache_find(cache, "b", "p", salt, sizeof(salt), 1, &keys), PW_ERR_NOT_FOUND);
    assert_int_equal(scram_cache_find(cache, "a", "p", salt, sizeof(salt), 1, &keys), PW_OK);
    assert_int_equal(scram_cache_find(cache, "c", "p", salt, sizeof(salt), 1, &keys), PW_OK);
    assert_int_equal(scram_cache_find(cache, "d", "p", salt, sizeof(salt), 1, &keys), PW_OK);
    for (int i = 0; i < 500; i++) { /* many generations through the same entries and chains */
        char name[16];
        snprintf(name, sizeof(name), "u%d", i);
        ScramKeys derived = keys_of(cache, name, "p", 1);
        assert_int_equal(scram_cache_find(cache, name, "p", salt, sizeof(salt), 1, &keys), PW_OK);
        assert_memory_equal(&keys, &derived, sizeof(keys));
        assert_int_equal(stats_of(cache).entries, 3);
    }
    scram_cache_destroy(cache);
}

static void zero_caches_nothing(void **state)
{
    (void)state;
    ScramCache *cache = cache_of(0);
    ScramKeys a = keys_of(cache, "u", "p", 2), b = keys_of(cache, "u", "p", 2);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(stats_of(cache).entries, 0);
    assert_int_equal(stats_of(cache).misses, 2);
    scram_cache_destroy(cache);
    scram_cache_destroy(NULL);
}

static void ranges(void **state)
{
    (void)state;
    ScramCache *cache = cache_of(2);
    ScramKeys keys;
    static const uint8_t long_salt[SCRAM_SALT_MAX + 1];
    assert_int_equal(scram_cache_keys(cache, "u", "p", salt, sizeof(salt), 0, &keys), PW_ERR_RANGE);
    assert_int_equal(scram_cache_keys(cache, "u", "p", salt, sizeof(salt), UINT32_MAX, &keys), PW_ERR_RANGE);
    assert_int_equal(scram_cache_keys(cache, "u", "p", long_salt, sizeof(long_salt), 1, &keys), PW_ERR_RANGE);
    assert_int_equal(scram_cache_keys(cache, "u", "p", long_salt, SCRAM_SALT_MAX, 1, &keys), PW_OK);
    assert_int_equal(stats_of(cache).entries, 1);
    scram_cache_destroy(cache);
}

static void salts(void **state)
{
    (void)state;
    ScramCache *one = cache_of(1), *other = cache_of(1);
    uint8_t a[SCRAM_ADHOC_SALT_LEN], b[SCRAM_ADHOC_SALT_LEN];
    assert_int_equal(scram_cache_salt(one, "user", a), PW_OK);
    assert_int_equal(scram_cache_salt(one, "user", b), PW_OK);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(scram_cache_salt(one, "user2", b), PW_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(scram_cache_salt(other, "user", b), PW_OK); /* another process */
    assert_memory_not_equal(a, b, sizeof(a));
    scram_cache_destroy(one);
    scram_cache_destroy(other);
}

/* Four threads derive, find and evict at once; what they get is always what one thread alone derives. */
#define NAMES 12
#define ROUNDS 400

static ScramKeys truth[NAMES];

typedef struct Job {
    ScramCache *cache;
    unsigned seed;
    int wrong;
} Job;

static void *hammer(void *arg)
{
    Job *job = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned which = (i * 7 + job->seed * 5 + i / 11) % NAMES;
        char name[8];
        ScramKeys keys;
        snprintf(name, sizeof(name), "n%u", which);
        if (scram_cache_keys(job->cache, name, "p", salt, sizeof(salt), 1, &keys) != PW_OK ||
            memcmp(&keys, &truth[which], sizeof(keys)) != 0)
            job->wrong++;
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    ScramCache *cache = cache_of(5), *alone = cache_of(0);
    pthread_t ids[4];
    Job jobs[4];
    for (unsigned i = 0; i < NAMES; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%u", i);
        truth[i] = keys_of(alone, name, "p", 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        jobs[i] = (Job){.cache = cache, .seed = i};
        assert_int_equal(pthread_create(&ids[i], NULL, hammer, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(jobs[i].wrong, 0);
    }
    ScramCacheStats stats = stats_of(cache);
    assert_int_equal(stats.entries, 5);
    assert_int_equal(stats.hits + stats.misses, 4 * ROUNDS);
    scram_cache_destroy(cache);
    scram_cache_destroy(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hit_and_miss), cmocka_unit_test(least_recent_goes), cmocka_unit_test(zero_caches_nothing),
        cmocka_unit_test(ranges),       cmocka_unit_test(salts),             cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
