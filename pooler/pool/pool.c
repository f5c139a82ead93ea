/* SPDX-License-Identifier: ISC */
#include "pooler/pool/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/pool/pool_priv.h"
#include "poolwise/mem.h"

/* Zeroed and on cache lines of its own, so that workers do not slow each other down by neighbourhood. */
static void *alloc_lines(size_t size)
{
    void *p = pw_xaligned(64, size);
    memset(p, 0, size);
    return p;
}

static void shard_init(PoolShard *shard, Pool *pool, unsigned worker)
{
    shard->pool = pool;
    shard->worker = worker;
    TAILQ_INIT(&shard->connecting);
    TAILQ_INIT(&shard->idle);
    TAILQ_INIT(&shard->active);
    TAILQ_INIT(&shard->waiting);
    pw_atomic_init(&shard->n_idle, 0);
    pw_atomic_init(&shard->idle_since, 0);
    pw_atomic_init(&shard->oldest, POOL_NO_TICKET);
    pw_atomic_init(&shard->oldest_since, 0);
    pw_atomic_init(&shard->n_wait, 0);
    pw_atomic_init(&shard->impatient, 0);
    pw_atomic_init(&shard->busy, 0);
    pw_atomic_init(&shard->pace, 0);
    pw_atomic_init(&shard->holding, 0);
    pw_atomic_init(&shard->inbound, 0);
    pw_atomic_init(&shard->passing, 0);
    for (int i = 0; i < POOL_SLACK_TICKETS; i++)
        pw_atomic_init(&shard->passed[i], 0);
    pw_atomic_init(&shard->homes, 0);
    pw_atomic_init(&shard->starved, 0);
    pw_atomic_init(&shard->pins, 0);
    pw_atomic_init(&shard->wake_posted, 0);
    pw_atomic_init(&shard->ask_posted, 0);
    pw_atomic_init(&shard->evict_posted, 0);
    pool_messages_init(shard);
}

Pool *pool_create(const PoolOps *ops, unsigned n_shards, LimitCounter *database, LimitCounter *user)
{
    Pool *pool = alloc_lines(sizeof(*pool));
    pool->ops = ops;
    pool->n_shards = n_shards;
    pool->database = database;
    pool->user = user;
    pw_atomic_init(&pool->lifo, 1);
    pw_atomic_init(&pool->reserve_max, 0);
    pw_atomic_init(&pool->n_retired, 0);
    pw_atomic_init(&pool->size.used, 0);
    pw_atomic_init(&pool->size.max, 0);
    pw_atomic_init(&pool->size.starved, 0);
    pw_atomic_init(&pool->ticket, 0);
    pw_atomic_init(&pool->n_waiting, 0);
    pw_atomic_init(&pool->n_connecting, 0);
    pw_atomic_init(&pool->n_transit, 0);
    pw_atomic_init(&pool->n_holding, 0);
    pool->shards = alloc_lines(n_shards * sizeof(*pool->shards));
    for (unsigned i = 0; i < n_shards; i++)
        shard_init(&pool->shards[i], pool, i);
    return pool;
}

void pool_destroy(Pool *pool)
{
    if (!pool)
        return;
    free(pool->shards);
    free(pool);
}

void pool_kick(PoolShard *shard)
{
    if (shard->retired)
        return;
    shard->connect_off = false;
    pool_look_again(shard);
}

void pool_block(PoolShard *shard, bool blocked)
{
    if (shard->retired || shard->blocked == blocked)
        return;
    shard->blocked = blocked;
    pool_publish_waiters(shard);
    pw_atomic_store(&shard->n_wait, blocked ? 0 : shard->n_waiting); /* seen before we look at the others */
    if (blocked)
        pool_publish_idle(shard);
    pool_kick(shard);
}

void pool_shard_retire(PoolShard *shard)
{
    Pool *pool = shard->pool;
    if (shard->retired)
        return;
    assert(!shard->settling);
    shard->retired = shard->blocked = true;
    pool_hold(shard, false);
    pool_publish_waiters(shard);
    pool_publish_idle(shard);
    pool_fail_waiters(shard, PW_ERR_SHUTDOWN);
    pool_starved_pass_on(shard, pool_starved_clear(shard, POOL_STARVED_ALL));
    PoolServer *server, *next;
    while ((server = TAILQ_FIRST(&shard->idle))) {
        pool_unidle(server);
        pool->ops->close(server, "pool removed");
    }
    for (server = TAILQ_FIRST(&shard->connecting); server; server = next) {
        next = TAILQ_NEXT(server, link);
        if (!server->forced)
            pool->ops->close(server, "pool removed");
    }
    pw_atomic_add(&pool->n_retired, 1); /* the last touch, see pool_drained */
}

bool pool_drained(Pool *pool)
{
    /* Once every shard is retired no message is posted for the first time, no server handed over, and no slot
     * taken. What was under way is counted by one of these until its last touch of the pool. */
    if (pw_atomic_load(&pool->n_retired) < (int)pool->n_shards)
        return false;
    for (unsigned i = 0; i < pool->n_shards; i++) {
        PoolShard *shard = &pool->shards[i];
        if (pw_atomic_load(&shard->wake_posted) || pw_atomic_load(&shard->ask_posted) ||
            pw_atomic_load(&shard->evict_posted) || pw_atomic_load(&shard->pins) > 0)
            return false;
    }
    return pool_size_used(pool) == 0;
}
