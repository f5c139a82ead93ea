/* SPDX-License-Identifier: ISC */
/* Slots: how a pool gets one more server, and who is told when a slot is free.
 *
 * Slots are taken in the order pool, database, user, each by compare-and-swap against its maximum, so no
 * limit is ever above its maximum, not even for a moment. A later one that is full gives the earlier ones back.
 *
 * Marks. A shard whose waiters were stopped by a limit sets that bit in `starved` and counts itself in
 * limit->starved, *then* tries once more, then sleeps. Whoever frees a slot lowers `used`, *then* looks at
 * limit->starved: one of the two sees the other. It wakes the longest waiting marked shard (over all pools
 * that share the limit). That one clears its marks, tries, and passes the wake-up on for each mark that it
 * did not have to set again. A wake-up chain drops one mark a step, so it ends; two shards that roll back because
 * of each other end up with marks on different limits and do not wake each other again.
 *
 * Eviction. When a shared limit is full, the longest idle server of another pool that shares it is closed by
 * its owner, and its slots of the shared limits are never freed but pass to the shard that asked. */
#include <assert.h>

#include "pooler/pool/pool_priv.h"

LimitCounter *pool_limit_of(Pool *pool, PoolStarved which)
{
    switch (which) {
    case POOL_STARVED_SIZE:
        return &pool->size;
    case POOL_STARVED_DATABASE:
        return pool->database;
    case POOL_STARVED_USER:
        return pool->user;
    case POOL_STARVED_SHARED:
    case POOL_STARVED_ALL:
        break;
    }
    return NULL;
}

static bool limit_take(LimitCounter *limit, int extra, bool force)
{
#if PW_SEED_BUG == 3 /* limit overshoot: looks, then adds */
    int max_now = pw_atomic_load(&limit->max);
    if (!force && max_now > 0 && pw_atomic_load(&limit->used) >= max_now + extra)
        return false;
    pw_atomic_add(&limit->used, 1);
    return true;
#else
    int used = pw_atomic_load(&limit->used);
    for (;;) {
        int max = pw_atomic_load(&limit->max);
        if (!force && max > 0 && used - extra >= max)
            return false;
        if (pw_atomic_cas(&limit->used, &used, used + 1))
            return true;
    }
#endif
}

static void limit_give(LimitCounter *limit)
{
    int used = pw_atomic_load(&limit->used);
    while (!pw_atomic_cas(&limit->used, &used, used - 1))
        ;
    assert(used > 0);
}

static bool limit_has_room(LimitCounter *limit)
{
    int max = pw_atomic_load(&limit->max);
    return max == 0 || pw_atomic_load(&limit->used) < max;
}

int pool_size_used(Pool *pool)
{
    return pw_atomic_load(&pool->size.used);
}

/* ---- marks ---- */

/* Wakes the longest waiting shard that is marked for `which`. `other_pools`: not one of this pool. */
static void wake_starved(Pool *pool, PoolStarved which, bool other_pools)
{
    LimitCounter *limit = pool_limit_of(pool, which);
    if (!limit || pw_atomic_load(&limit->starved) == 0)
        return;
    PoolShard *shard;
    if (pool_directory_claim_starved(pool, which, POOL_NEVER, other_pools, &shard) && shard)
        pool_wake_claimed(shard);
}

/* True when the mark is new: then the caller has to try once more. */
static bool mark(PoolShard *shard, PoolStarved which)
{
    int marks = pw_atomic_load_relaxed(&shard->starved);
    if (marks & (int)which)
        return false;
    pw_atomic_store(&shard->starved, marks | (int)which);
    pw_atomic_add(&pool_limit_of(shard->pool, which)->starved, 1);
    return true;
}

static const PoolStarved each_limit[] = {POOL_STARVED_SIZE, POOL_STARVED_DATABASE, POOL_STARVED_USER};

int pool_starved_clear(PoolShard *shard, int which)
{
    int marks = pw_atomic_load_relaxed(&shard->starved);
    int had = marks & which;
    if (!had)
        return 0;
    pw_atomic_store(&shard->starved, marks & ~had);
    for (unsigned i = 0; i < PW_ARRAY_LEN(each_limit); i++)
        if (had & (int)each_limit[i])
            pw_atomic_sub(&pool_limit_of(shard->pool, each_limit[i])->starved, 1);
    return had;
}

void pool_starved_pass_on(PoolShard *shard, int had)
{
    int dropped = had & ~pw_atomic_load_relaxed(&shard->starved);
    for (unsigned i = 0; dropped && i < PW_ARRAY_LEN(each_limit); i++)
        if (dropped & (int)each_limit[i])
            wake_starved(shard->pool, each_limit[i], false);
}

void pool_starved_idle(PoolShard *shard)
{
    wake_starved(shard->pool, POOL_STARVED_DATABASE, true);
    wake_starved(shard->pool, POOL_STARVED_USER, true);
}

/* ---- taking ---- */

/* A newcomer does not take a shared slot that was freed for somebody who waits longer in another pool. */
static bool must_stand_back(PoolShard *shard, PoolStarved which, PoolGrow how)
{
    LimitCounter *limit = pool_limit_of(shard->pool, which);
    if (how == POOL_GROW_FORCED || pw_atomic_load(&limit->starved) == 0 || !limit_has_room(limit))
        return false;
    PwUsec since = shard->n_waiting && how != POOL_GROW_MIN ? TAILQ_FIRST(&shard->waiting)->since : POOL_NEVER;
    PoolShard *older;
    if (!pool_directory_claim_starved(shard->pool, which, since, true, &older))
        return false;
    if (older)
        pool_wake_claimed(older);
    return true;
}

/* Takes all slots of a server except those in `have`. Returns 0, or the limit that is full, and then holds
 * none but those in `have`. */
static int take_slots(PoolShard *shard, PoolGrow how, int have)
{
    Pool *pool = shard->pool;
    int extra = how == POOL_GROW_RESERVE ? pw_atomic_load(&pool->reserve_max) : 0;
    if (!limit_take(&pool->size, extra, how == POOL_GROW_FORCED))
        return POOL_STARVED_SIZE;
    int failed = 0;
    bool took_database = false;
    if (pool->database && !(have & POOL_STARVED_DATABASE)) {
        if (must_stand_back(shard, POOL_STARVED_DATABASE, how) || !limit_take(pool->database, 0, false))
            failed = POOL_STARVED_DATABASE;
        else
            took_database = true;
    }
    if (!failed && pool->user && !(have & POOL_STARVED_USER))
        if (must_stand_back(shard, POOL_STARVED_USER, how) || !limit_take(pool->user, 0, false))
            failed = POOL_STARVED_USER;
    if (!failed)
        return 0;
    if (took_database) {
        limit_give(pool->database);
        wake_starved(pool, POOL_STARVED_DATABASE, false);
    }
    limit_give(&pool->size);
    wake_starved(pool, POOL_STARVED_SIZE, false);
    return failed;
}

/* Gives `which` back, the pool's own slot last: without it a retired pool may be gone. */
static void give_slots(Pool *pool, int which, bool retired)
{
    if (pool->user && (which & POOL_STARVED_USER)) {
        limit_give(pool->user);
        wake_starved(pool, POOL_STARVED_USER, false);
    }
    if (pool->database && (which & POOL_STARVED_DATABASE)) {
        limit_give(pool->database);
        wake_starved(pool, POOL_STARVED_DATABASE, false);
    }
    if (which & POOL_STARVED_SIZE) {
        limit_give(&pool->size);
#if PW_SEED_BUG == 5 /* use after retire: looks at the pool after its last slot is free */
        retired = false;
#endif
        if (!retired)
            wake_starved(pool, POOL_STARVED_SIZE, false);
    }
}

void pool_slots_return(PoolShard *shard, int slots)
{
    give_slots(shard->pool, slots, shard->retired);
}

void pool_slots_free(PoolServer *server)
{
    Pool *pool = server->shard->pool;
    PoolShard *heir = server->evictor;
    int inherited = 0;
    if (heir) {
        if (pool->database && heir->pool->database == pool->database)
            inherited |= POOL_STARVED_DATABASE;
        if (pool->user && heir->pool->user == pool->user)
            inherited |= POOL_STARVED_USER;
        pool_evict_reply(heir, inherited);
    }
    give_slots(pool, POOL_STARVED_ALL & ~inherited, server->shard->retired);
}

/* ---- growing ---- */

static bool connect_one(PoolShard *shard, PoolGrow how)
{
    PoolServer *server = shard->pool->ops->connect(shard);
    if (!server) {
        shard->connect_off = true;
        give_slots(shard->pool, POOL_STARVED_ALL, shard->retired);
        return false;
    }
    pool_start(shard, server, how);
    return true;
}

static void evict_for(PoolShard *shard, PoolStarved which)
{
    if (!pw_atomic_load_relaxed(&shard->evict_posted) && !limit_has_room(pool_limit_of(shard->pool, which)))
        pool_evict_request(shard, which);
}

bool pool_open(PoolShard *shard, PoolGrow how)
{
    if (shard->blocked || shard->connect_off)
        return false;
    int full;
    while ((full = take_slots(shard, how, 0)) != 0) {
        if (how == POOL_GROW_MIN)
            return false;
        if (shard->n_waiting > 0 && mark(shard, (PoolStarved)full))
            continue; /* a slot may have been freed before the mark could be seen */
        if (full & POOL_STARVED_SHARED)
            evict_for(shard, (PoolStarved)full);
        return false;
    }
    return connect_one(shard, how);
}

void pool_open_inherited(PoolShard *shard, int slots)
{
    if (slots == 0)
        return;
    if (shard->connect_off || pool_need(shard) <= 0) {
        pool_slots_return(shard, slots);
        return;
    }
    int full;
    while ((full = take_slots(shard, POOL_GROW_NORMAL, slots)) != 0) {
        if (mark(shard, (PoolStarved)full))
            continue;
        pool_slots_return(shard, slots);
        return;
    }
    (void)connect_one(shard, POOL_GROW_NORMAL);
}

/* Where idle servers fill the limit one of them goes: at once if it is this shard's, else its owner is asked. */
static bool take_beside(PoolShard *shard, PoolStarved which)
{
    LimitCounter *limit = pool_limit_of(shard->pool, which);
    if (!limit || limit_take(limit, 0, false))
        return true;
    PoolServer *idle = TAILQ_LAST(&shard->idle, PoolServerList);
    if (!idle) {
        evict_for(shard, which);
        return false;
    }
    shard->pool->ops->close(idle, "evicted");
    return limit_take(limit, 0, false);
}

bool pool_beside_take(PoolShard *shard)
{
    if (!take_beside(shard, POOL_STARVED_DATABASE))
        return false;
    if (take_beside(shard, POOL_STARVED_USER))
        return true;
    give_slots(shard->pool, POOL_STARVED_DATABASE, shard->retired);
    return false;
}

void pool_beside_give(PoolShard *shard)
{
    give_slots(shard->pool, POOL_STARVED_SHARED, shard->retired);
}

bool pool_grow(PoolShard *shard, PoolGrow how)
{
    if (how == POOL_GROW_RESERVE && pool_need(shard) <= 0)
        return false; /* whoever waits is being seen to */
    return pool_open(shard, how);
}
