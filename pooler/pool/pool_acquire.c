/* SPDX-License-Identifier: ISC */
/* A client needs a server. The short way has no locked instruction: an idle server of this shard and nobody
 * waiting anywhere. All others take a ticket and a place, and pool_settle finds out what can be done. */
#include "pooler/pool/pool_priv.h"

void pool_acquire(PoolShard *shard, PoolWaiter *waiter)
{
    Pool *pool = shard->pool;
    if (shard->retired) {
        waiter->ticket = POOL_NO_TICKET;
        waiter->keep_ticket = false;
        waiter->ops->on_fail(waiter, PW_ERR_SHUTDOWN);
        return;
    }
    PoolServer *server = pool_pick_idle(shard);
    if (server && pw_atomic_load(&pool->n_waiting) == 0) {
        pool_unidle(server);
        waiter->ticket = waiter->last_ticket = POOL_NO_TICKET;
        waiter->keep_ticket = false;
        waiter->ops->on_server(waiter, server);
        return;
    }
    pool_enqueue(shard, waiter);
    pool_settle(shard);
}

void pool_cancel(PoolShard *shard, PoolWaiter *waiter)
{
    if (waiter->ticket == POOL_NO_TICKET)
        return;
    pool_dequeue(shard, waiter);
    /* No server depends on who waits, but an eviction or a wake-up may have been meant for this one. */
    if (shard->n_waiting == 0)
        pool_settle(shard);
}

void pool_fail_waiters(PoolShard *shard, PwErr why)
{
    /* Those that come while we are at it (a callback may acquire again) have later tickets. */
    PoolWaiter *last = TAILQ_LAST(&shard->waiting, PoolWaiterList);
    uint64_t until = last ? last->ticket : 0;
    PoolWaiter *w;
    while ((w = TAILQ_FIRST(&shard->waiting)) && w->ticket <= until) {
        pool_dequeue(shard, w);
        w->last_ticket = POOL_NO_TICKET;
        w->ops->on_fail(w, why);
    }
    if (!shard->retired)
        pool_settle(shard);
}
