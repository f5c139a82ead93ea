/* SPDX-License-Identifier: ISC */
/* The messages between shards. Each node is embedded in a shard and guarded by a flag, so that it is in flight at
 * most once; what it is about was written before the flag was set.
 *
 *   wake   anyone -> shard           "look again": clear marks, settle, pass on what was not needed
 *   ask    waiter's shard -> shard that shows an idle server -> back. The asked one settles (and so hands
 *          over, unless somebody older was served); the reply makes the asker look again. An idle server
 *          is taken or shown as gone by then, so no server is asked for twice in vain.
 *   evict  waiter's shard -> shard of another pool with the longest idle server -> back with its slots, once
 *          that server is closed, or without
 *
 * A flag is cleared before the work it stands for, so that news during the work is not lost; on a
 * retired shard it is cleared last, because pool_drained() waits for it and the memory may then go. */
#include <stddef.h>

#include "pooler/pool/pool_priv.h"

#define SHARD_OF(node, field) ((PoolShard *)((char *)(node)-offsetof(PoolShard, field)))

/* ---- wake ---- */

static void wake_run(MailNode *node)
{
    PoolShard *shard = SHARD_OF(node, wake);
    if (shard->retired) {
        pw_atomic_store(&shard->wake_posted, 0);
        return;
    }
    pw_atomic_store(&shard->wake_posted, 0);
    pool_look_again(shard);
}

void pool_look_again(PoolShard *shard)
{
    int had = pool_starved_clear(shard, POOL_STARVED_ALL);
    pool_settle(shard);
    pool_starved_pass_on(shard, had);
}

void pool_wake_claimed(PoolShard *shard)
{
    shard->pool->ops->post(shard->worker, &shard->wake);
}

void pool_wake_waiting(PoolShard *shard)
{
    Pool *pool = shard->pool;
    if (!pool_is_shared(pool) || pw_atomic_load(&pool->n_waiting) == 0)
        return;
    for (unsigned i = 0; i < pool->n_shards; i++) {
        PoolShard *other = &pool->shards[i];
        if (other != shard && pw_atomic_load(&other->n_wait) > pw_atomic_load(&other->inbound) &&
            pw_atomic_exchange(&other->wake_posted, 1) == 0)
            pool_wake_claimed(other);
    }
}

/* ---- ask ---- */

static void ask_reply(MailNode *node)
{
    PoolShard *asker = SHARD_OF(node, ask);
    bool retired = asker->retired;
    pw_atomic_store(&asker->ask_posted, 0);
    if (!retired)
        pool_settle(asker);
}

static void ask_run(MailNode *node)
{
    PoolShard *asker = SHARD_OF(node, ask);
    PoolShard *whom = asker->ask_target;
    if (!whom->retired)
        pool_settle(whom);
    node->run = ask_reply;
    asker->pool->ops->post(asker->worker, node);
}

void pool_ask(PoolShard *shard, PoolShard *whom)
{
    shard->asks++;
    shard->ask_target = whom;
    shard->ask.run = ask_run;
    pw_atomic_store(&shard->ask_posted, 1);
    shard->pool->ops->post(whom->worker, &shard->ask);
}

/* ---- evict ---- */

static void evict_reply(MailNode *node)
{
    PoolShard *shard = SHARD_OF(node, evict);
    int slots = shard->evict_slots;
    if (shard->retired) {
        pool_slots_return(shard, slots);
        pw_atomic_store(&shard->evict_posted, 0);
        return;
    }
    pw_atomic_store(&shard->evict_posted, 0);
    pool_open_inherited(shard, slots);
    pool_settle(shard);
}

/* On the victim's worker. */
static void evict_run(MailNode *node)
{
    PoolShard *evictor = SHARD_OF(node, evict);
    PoolShard *victim = evictor->evict_victim;
    PoolServer *server = victim->blocked ? NULL : TAILQ_LAST(&victim->idle, PoolServerList);
    if (!server) {
        pw_atomic_sub(&victim->pins, 1); /* the last use of the victim */
        pool_evict_reply(evictor, 0);
        return;
    }
    pool_unidle(server);
    server->evictor = evictor;
    victim->evictions++;
    pw_atomic_sub(&victim->pins, 1); /* from here the server's slot keeps the pool */
    victim->pool->ops->close(server, "evicted");
}

void pool_evict_request(PoolShard *shard, PoolStarved which)
{
    PoolShard *victim = pool_directory_pin_victim(shard->pool, which);
    if (!victim)
        return;
    shard->evict_victim = victim;
    shard->evict.run = evict_run;
    pw_atomic_store(&shard->evict_posted, 1);
    shard->pool->ops->post(victim->worker, &shard->evict);
}

void pool_evict_reply(PoolShard *evictor, int slots)
{
    evictor->evict_slots = slots;
    evictor->evict.run = evict_reply;
    evictor->pool->ops->post(evictor->worker, &evictor->evict);
}

void pool_messages_init(PoolShard *shard)
{
    shard->wake.run = wake_run;
    shard->ask.run = ask_run;
    shard->evict.run = evict_run;
}
