/* SPDX-License-Identifier: ISC */
/* All live pools, for the two questions that cross pools: who starves longest on a limit, and whose server
 * has been idle longest.
 *
 * The lock guards the list and keeps the pools on it alive. It is held over loads and one exchange or add, which
 * claims the answer: a shard whose wake flag is set, or which is pinned, outlives its pool's removal from
 * the list, because pool_drained() waits for both. Messages are posted after the lock is released. */
#include "pooler/pool/pool_priv.h"

#include <stdlib.h>

#include "pooler/net/lock.h"
#include "poolwise/mem.h"

struct PoolDirectory {
    PwLock lock;
    TAILQ_HEAD(PoolList, Pool) pools;
};

PoolDirectory *pool_directory_create(void)
{
    PoolDirectory *dir = pw_xcalloc(1, sizeof(*dir));
    pw_lock_init(&dir->lock);
    TAILQ_INIT(&dir->pools);
    return dir;
}

void pool_directory_destroy(PoolDirectory *dir)
{
    if (!dir)
        return;
    pw_lock_finish(&dir->lock);
    free(dir);
}

void pool_directory_add(PoolDirectory *dir, Pool *pool)
{
    pw_lock(&dir->lock);
    pool->directory = dir;
    pool->listed = true;
    TAILQ_INSERT_TAIL(&dir->pools, pool, link);
    pw_unlock(&dir->lock);
}

void pool_directory_remove(PoolDirectory *dir, Pool *pool)
{
    pw_lock(&dir->lock);
    if (pool->listed)
        TAILQ_REMOVE(&dir->pools, pool, link);
    pool->listed = false; /* pool->directory stays: its last servers still wake the others */
    pw_unlock(&dir->lock);
}

static void starved_longest(Pool *pool, int which, PwUsec before, PoolShard **best, PwUsec *best_since)
{
    for (unsigned i = 0; i < pool->n_shards; i++) {
        PoolShard *shard = &pool->shards[i];
        if (!(pw_atomic_load(&shard->starved) & which) || pw_atomic_load(&shard->n_wait) == 0)
            continue;
        PwUsec since = pw_atomic_load_relaxed(&shard->oldest_since);
        if (since >= before || (*best && since >= *best_since))
            continue;
        *best = shard;
        *best_since = since;
    }
}

static PoolShard *claim_wake(PoolShard *shard)
{
    return shard && pw_atomic_exchange(&shard->wake_posted, 1) == 0 ? shard : NULL;
}

static bool shares(Pool *pool, LimitCounter *limit)
{
    return pool->database == limit || pool->user == limit;
}

bool pool_directory_claim_starved(Pool *pool, PoolStarved which, PwUsec before, bool other_pools,
                                  PoolShard **ret_claimed)
{
    PoolShard *best = NULL;
    PwUsec best_since = 0;
    PoolDirectory *dir = pool->directory;
    if (which == POOL_STARVED_SIZE || !dir) {
        if (!other_pools)
            starved_longest(pool, which, before, &best, &best_since);
        *ret_claimed = claim_wake(best);
        return best != NULL;
    }
    LimitCounter *limit = pool_limit_of(pool, which);
    pw_lock(&dir->lock);
    for (Pool *p = TAILQ_FIRST(&dir->pools); p; p = TAILQ_NEXT(p, link))
        if (shares(p, limit) && !(other_pools && p == pool))
            starved_longest(p, which, before, &best, &best_since);
    *ret_claimed = claim_wake(best);
    pw_unlock(&dir->lock);
    return best != NULL;
}

PoolShard *pool_directory_pin_victim(Pool *pool, PoolStarved which)
{
    PoolDirectory *dir = pool->directory;
    if (!dir)
        return NULL;
    LimitCounter *limit = pool_limit_of(pool, which);
    PoolShard *best = NULL;
    PwUsec best_since = 0;
    pw_lock(&dir->lock);
    for (Pool *p = TAILQ_FIRST(&dir->pools); p; p = TAILQ_NEXT(p, link)) {
        if (p == pool || !shares(p, limit))
            continue;
        for (unsigned i = 0; i < p->n_shards; i++) {
            PoolShard *shard = &p->shards[i];
            if (pw_atomic_load(&shard->n_idle) == 0)
                continue;
            PwUsec since = pw_atomic_load_relaxed(&shard->idle_since);
            if (best && since >= best_since)
                continue;
            best = shard;
            best_since = since;
        }
    }
    if (best)
        pw_atomic_add(&best->pins, 1);
    pw_unlock(&dir->lock);
    return best;
}
