/* SPDX-License-Identifier: ISC */
/* The life of a server in its pool:
 *
 *   (connect) -> CONNECTING -> ACTIVE <-> IDLE -> ...        pool_server_gone from any of them -> CLOSED
 *                                ^         |
 *                                +- TRANSIT<  posted to another shard; nobody may touch it until it arrives
 *
 * `shard` is never NULL and changes in pool_arrive() only. Whoever puts a server on the idle list publishes
 * n_idle (sequentially consistent) and then looks for waiters; a waiter publishes itself and then looks for
 * idle servers. One of the two sees the other. */
#include <assert.h>
#include <stddef.h>

#include "pooler/pool/pool_priv.h"

static PoolServer *server_of(MailNode *node)
{
    return (PoolServer *)((char *)node - offsetof(PoolServer, mail));
}

static void active_insert(PoolServer *server)
{
    PoolShard *shard = server->shard;
    server->state = POOL_SERVER_ACTIVE;
    TAILQ_INSERT_HEAD(&shard->active, server, link);
    if (shard->n_active++ == 0 && pool_is_shared(shard->pool))
        pw_atomic_store_relaxed(&shard->busy, 1);
}

static void active_remove(PoolServer *server)
{
    PoolShard *shard = server->shard;
    TAILQ_REMOVE(&shard->active, server, link);
    if (--shard->n_active == 0 && pool_is_shared(shard->pool))
        pw_atomic_store_relaxed(&shard->busy, 0);
}

/* Takes it off the list of its state; the state is then stale and the caller's to set. */
static void unlist(PoolServer *server)
{
    PoolShard *shard = server->shard;
    switch (server->state) {
    case POOL_SERVER_CONNECTING:
        TAILQ_REMOVE(&shard->connecting, server, link);
        shard->n_connecting--;
        if (!server->forced) {
            shard->n_demand--;
            pw_atomic_sub(&shard->pool->n_connecting, 1);
        }
        break;
    case POOL_SERVER_IDLE:
        TAILQ_REMOVE(&shard->idle, server, link);
        shard->n_idle_own--;
        pool_publish_idle(shard);
        break;
    case POOL_SERVER_ACTIVE:
        active_remove(server);
        break;
    case POOL_SERVER_TRANSIT:
    case POOL_SERVER_CLOSED:
    case POOL_SERVER_STATE_COUNT:
        assert(!"a server in transit or closed is on no list");
        break;
    }
}

bool pool_publish_idle(PoolShard *shard)
{
    int n = shard->blocked || pw_atomic_load_relaxed(&shard->holding) ? 0 : shard->n_idle_own;
    int shown = pw_atomic_load_relaxed(&shard->n_idle);
    if (n == shown)
        return false;
    PoolServer *longest = TAILQ_LAST(&shard->idle, PoolServerList);
    pw_atomic_store_relaxed(&shard->idle_since, longest ? longest->idle_since : 0);
    /* Fewer: a reader of the old number asks in vain, and is told so. More: it must be seen by everybody who
     * does not see us look for waiters afterwards. */
    if (n < shown || !pool_is_shared(shard->pool))
        pw_atomic_store_relaxed(&shard->n_idle, n);
    else
        pw_atomic_store(&shard->n_idle, n);
    return n > shown;
}

PoolServer *pool_pick_idle(PoolShard *shard)
{
    if (shard->blocked)
        return NULL;
    if (pw_atomic_load_relaxed(&shard->pool->lifo))
        return TAILQ_FIRST(&shard->idle);
    return TAILQ_LAST(&shard->idle, PoolServerList);
}

void pool_unidle(PoolServer *server)
{
    unlist(server);
    active_insert(server);
}

void pool_take(PoolServer *server)
{
    assert(server->state == POOL_SERVER_IDLE);
    pool_unidle(server);
}

void pool_start(PoolShard *shard, PoolServer *server, PoolGrow how)
{
    server->state = POOL_SERVER_CONNECTING;
    server->shard = server->home = shard;
    pw_atomic_add(&shard->homes, 1);
    server->target = NULL;
    server->evictor = NULL;
    server->forced = how == POOL_GROW_FORCED;
    server->mail.run = pool_arrive;
    TAILQ_INSERT_TAIL(&shard->connecting, server, link);
    shard->n_connecting++;
    if (!server->forced) {
        shard->n_demand++;
        pw_atomic_add(&shard->pool->n_connecting, 1);
    }
}

void pool_release(PoolShard *shard, PoolServer *server)
{
    assert(server->state == POOL_SERVER_ACTIVE && server->shard == shard);
    if (shard->blocked) {
        shard->pool->ops->close(server, shard->retired ? "pool removed" : "pause mode");
        return;
    }
    active_remove(server);
    server->state = POOL_SERVER_IDLE;
    server->idle_since = shard->pool->ops->now(shard->worker);
    if (pool_is_shared(shard->pool))
        pool_note_release(shard, server->idle_since);
    TAILQ_INSERT_HEAD(&shard->idle, server, link);
    shard->n_idle_own++;
    /* Nobody waits: publish, look once more, done. */
    if (shard->n_waiting == 0 && !shard->settling) {
#if PW_SEED_BUG == 1 /* lost wake-up: looks for waiters before its own state can be seen */
        if (pw_atomic_load(&shard->pool->n_waiting) == 0) {
            pool_publish_idle(shard);
            return;
        }
#endif
        pool_publish_idle(shard);
        if (!pool_is_shared(shard->pool) || pw_atomic_load(&shard->pool->n_waiting) == 0) {
            pool_starved_idle(shard);
            return;
        }
    }
    pool_settle(shard);
}

void pool_server_up(PoolServer *server)
{
    PoolShard *shard = server->shard;
    bool retired = shard->retired;
    assert(server->state == POOL_SERVER_CONNECTING);
    unlist(server);
    server->forced = false;
    active_insert(server);
    shard->connect_off = false;
    pool_release(shard, server);
    /* Others may have counted on this one, which may have gone to somebody else. On a retired shard it was closed,
     * and with the pool's last server the shard may be gone. */
    if (!retired)
        pool_wake_waiting(shard);
}

void pool_server_up_slot(PoolServer *server)
{
    PoolShard *shard = server->shard;
    PoolWaiter *waiter;
    assert(server->state == POOL_SERVER_CONNECTING);
    TAILQ_FOREACH (waiter, &shard->waiting, link)
        if (waiter->wants_slot)
            break;
    if (!waiter || shard->blocked) {
        shard->pool->ops->close(server, "not needed");
        return;
    }
    unlist(server);
    server->forced = false;
    active_insert(server);
    shard->connect_off = false;
    pool_note_grant(shard, waiter->ticket);
    pool_dequeue(shard, waiter);
    waiter->ops->on_server(waiter, server);
    pool_wake_waiting(shard); /* a server is connecting no more; its slot is held, so the shard is alive */
}

void pool_server_gone(PoolServer *server)
{
    PoolShard *shard = server->shard;
    bool retired = shard->retired;
    bool was_connecting = server->state == POOL_SERVER_CONNECTING;
    unlist(server);
    pw_atomic_sub(&server->home->homes, 1);
    server->state = POOL_SERVER_CLOSED;
    pool_slots_free(server);
    if (retired)
        return; /* with the last slot the memory may be gone */
    if (was_connecting)
        pool_wake_waiting(shard);
    pool_settle(shard);
}

/* ---- between shards ---- */

bool pool_hand_over(PoolServer *server, const PoolRival *to)
{
    PoolShard *from = server->shard;
    int inbound = to->inbound;
    pool_announce(from, POOL_ANY_TICKET); /* until `inbound` tells it */
    bool mine = pw_atomic_cas(&to->shard->inbound, &inbound, inbound + 1);
    pool_announce(from, 0);
    if (!mine)
        return false;
    pw_atomic_add(&from->pool->n_transit, 1);
    from->pool->ops->detach(server);
    unlist(server);
    server->state = POOL_SERVER_TRANSIT;
    server->target = to->shard;
    from->handovers_out++;
#if PW_SEED_BUG == 2 /* double grant: back on the idle list, where an own waiter finds it */
    server->state = POOL_SERVER_IDLE;
    TAILQ_INSERT_HEAD(&from->idle, server, link);
    from->n_idle_own++;
#endif
    from->pool->ops->post(to->shard->worker, &server->mail);
    return true;
}

void pool_arrive(MailNode *node)
{
    PoolServer *server = server_of(node);
    PoolShard *shard = server->target;
    Pool *pool = shard->pool;
    bool retired = shard->retired;
    server->shard = shard;
    server->target = NULL;
    active_insert(server);
    shard->handovers_in++;
    pool_settle_home(shard, server);
    pool_announce(shard, POOL_ANY_TICKET); /* in the place of `inbound` */
    pw_atomic_sub(&pool->n_transit, 1);
    pw_atomic_sub(&shard->inbound, 1);
    if (!pool->ops->adopt(server)) {
        pool_announce(shard, 0);
        pool->ops->close(server, "server conn crashed?"); /* settles in pool_server_gone, may be later */
        if (!retired)
            pool_settle(shard); /* its waiter counts on nobody now */
        return;
    }
    if (retired) { /* then it is closed, and with the last server the memory may be gone */
        pool_announce(shard, 0);
        pool_release(shard, server);
        return;
    }
    shard->arrived = server;
    pool_release(shard, server);
    shard->arrived = NULL;
    pool_announce(shard, 0);
}
