/* SPDX-License-Identifier: ISC */
/* pool_wait.c - the queue of a shard, and what a waiter does to be served. Who comes first: pool_order.c.
 *
 * A waiter that is still there after pool_settle has told everybody (published, sequentially consistent) and then
 *   1. asks a shard that shows an idle server, unless its shard is patient (pool_patience.c): that shard
 *      settles, and replies when it has;
 *   2. opens servers, while fewer are connecting than clients wait;
 *   3. else leaves a mark at the limit that stopped it (pool_limits.c) and sleeps.
 * So each sleeping waiter has one of these on its way: a server, a connect of its own, a reply, an alarm; or whoever
 * makes the thing it lacks sees its place or its mark. */
#include <assert.h>

#include "pooler/pool/pool_priv.h"

/* ---- the queue ---- */

void pool_publish_waiters(PoolShard *shard)
{
    PoolWaiter *first = shard->blocked ? NULL : TAILQ_FIRST(&shard->waiting);
    uint64_t ticket = first ? first->ticket : POOL_NO_TICKET;
    if (pw_atomic_load_relaxed(&shard->oldest) != ticket) {
        pw_atomic_store_relaxed(&shard->oldest_since, first ? first->since : 0);
        pw_atomic_store_release(&shard->oldest, ticket); /* whoever sees it sees `inbound` without the one before */
    }
    pw_atomic_store_relaxed(&shard->n_wait, shard->blocked ? 0 : shard->n_waiting);
}

static uint64_t next_ticket(Pool *pool)
{
    if (pool_is_shared(pool))
        return pw_atomic_add(&pool->ticket, 1) + 1;
    uint64_t t = pw_atomic_load_relaxed(&pool->ticket) + 1;
    pw_atomic_store_relaxed(&pool->ticket, t);
    return t;
}

void pool_enqueue(PoolShard *shard, PoolWaiter *waiter)
{
    Pool *pool = shard->pool;
    if (waiter->keep_ticket && waiter->last_ticket != POOL_NO_TICKET) {
        waiter->ticket = waiter->last_ticket;
    } else {
        waiter->ticket = next_ticket(pool);
        waiter->since = pool->ops->now(shard->worker);
    }
    waiter->keep_ticket = false;
    waiter->last_ticket = waiter->ticket;

    PoolWaiter *after = TAILQ_LAST(&shard->waiting, PoolWaiterList);
    while (after && after->ticket > waiter->ticket)
        after = TAILQ_PREV(after, PoolWaiterList, link);
    if (after)
        TAILQ_INSERT_AFTER(&shard->waiting, after, waiter, link);
    else
        TAILQ_INSERT_HEAD(&shard->waiting, waiter, link);
    if (shard->n_waiting++ == 0 && pool_is_shared(pool))
        pool_patience_begin(shard, pool->ops->now(shard->worker));
    pool_publish_waiters(shard);
    if (pool_is_shared(pool))
        pw_atomic_add(&pool->n_waiting, 1); /* makes the above visible before we look at the others */
    else
        pw_atomic_store_relaxed(&pool->n_waiting, shard->n_waiting);
}

/* The first ones of a long queue are fetched into the cache while others are served: each step needs what the one before fetched. */
static void warm_up(PoolWaiter *first)
{
    if (!first)
        return;
    if (first->ops->warm_more)
        first->ops->warm_more(first);
    PoolWaiter *second = TAILQ_NEXT(first, link);
    if (!second)
        return;
    if (second->ops->warm)
        second->ops->warm(second);
    const PoolWaiter *third = TAILQ_NEXT(second, link);
    if (third) {
        __builtin_prefetch(third);
        __builtin_prefetch(&third->link);
    }
}

void pool_dequeue(PoolShard *shard, PoolWaiter *waiter)
{
    Pool *pool = shard->pool;
    TAILQ_REMOVE(&shard->waiting, waiter, link);
    warm_up(TAILQ_FIRST(&shard->waiting));
    shard->n_waiting--;
    waiter->ticket = POOL_NO_TICKET;
    pool_publish_waiters(shard);
    if (!pool_is_shared(pool)) {
        pw_atomic_store_relaxed(&pool->n_waiting, shard->n_waiting);
        return;
    }
    if (shard->n_waiting == 0)
        pool_patience_end(shard);
    pw_atomic_sub(&pool->n_waiting, 1); /* makes the above visible before we look for those that hold */
    if (pw_atomic_load(&pool->n_holding) > 0)
        pool_hold_wake(shard);
}

static void grant(PoolShard *shard, PoolServer *server, PoolWaiter *waiter)
{
    pool_note_grant(shard, waiter->ticket);
    pool_unidle(server);
    pool_dequeue(shard, waiter);
    waiter->ops->on_server(waiter, server); /* may call anything */
}

/* Finds a taker for one idle server. False: nobody wants it now; *ret_hold: an own waiter does, but it is not its turn. */
static bool serve_one(PoolShard *shard, PoolServer *server, bool *ret_hold)
{
    PoolWaiter *own = TAILQ_FIRST(&shard->waiting);
    PoolRival rival;
    switch (pool_is_shared(shard->pool) ? pool_turn(shard, server, own, &rival) : own ? POOL_TURN_OWN : POOL_TURN_NOBODY) {
    case POOL_TURN_NOBODY:
        return false;
    case POOL_TURN_OWN:
        grant(shard, server, own);
        return true;
    case POOL_TURN_HOLD:
        *ret_hold = true;
        return false;
    case POOL_TURN_RIVAL:
        pool_hand_over(server, &rival);
        return true; /* also when another shard was faster: look again */
    }
    return false;
}

/* ---- what a waiter asks for ---- */

int pool_need(PoolShard *shard)
{
    if (shard->blocked || shard->n_waiting == 0)
        return 0;
    int need = shard->n_waiting - shard->n_demand;
    if (pool_is_shared(shard->pool))
        need -= pw_atomic_load(&shard->inbound);
    return need;
}

static void seek(PoolShard *shard)
{
    Pool *pool = shard->pool;
    int need = pool_need(shard);
    if (need > 0 && pw_atomic_load_relaxed(&shard->evict_posted))
        need--;
    for (unsigned i = 0; need > 0 && i < pool->n_shards; i++) {
        PoolShard *other = &pool->shards[i];
        int idle = other == shard ? 0 : pw_atomic_load(&other->n_idle);
        if (idle <= 0)
            continue;
        if (pw_atomic_load_relaxed(&shard->impatient) && !pw_atomic_load_relaxed(&shard->ask_posted))
            pool_ask(shard, other);
        need -= idle; /* the reply, or the alarm, brings us here again, so counting on them all is safe */
    }
    while (need-- > 0 && pw_atomic_load(&pool->n_connecting) < pw_atomic_load(&pool->n_waiting))
        if (!pool_open(shard, POOL_GROW_NORMAL))
            break;
}

void pool_settle(PoolShard *shard)
{
    shard->again = true;
    if (shard->settling)
        return; /* the one below us on the stack goes round once more */
    shard->settling = true;
    while (shard->again) {
        shard->again = false;
        bool more, hold;
        do {
            PoolServer *server;
            hold = false;
            while ((server = pool_pick_idle(shard)) && serve_one(shard, server, &hold))
                ;
            more = pool_hold(shard, hold);
            /* Servers stay idle. If that is news, waiters that came meanwhile may not have seen them. */
            more |= pool_publish_idle(shard);
        } while (more && pool_is_shared(shard->pool) && pw_atomic_load(&shard->pool->n_waiting) > 0);
        seek(shard);
        if (shard->n_idle_own > 0)
            pool_starved_idle(shard);
    }
    shard->settling = false;
    if (shard->n_waiting == 0 || shard->blocked)
        pool_starved_pass_on(shard, pool_starved_clear(shard, POOL_STARVED_SHARED));
}
