/* SPDX-License-Identifier: ISC */
/* pool_patience.c - when a server stays on its worker although it could serve somebody elsewhere at once.
 *
 * Moving a server costs two wake-ups and eight system calls; within that time the waiter's own worker often has one
 * free. So a move is put off, twice, and each time for a short while only:
 *
 *   patience  A queue has just formed on a shard whose own servers come back all the time (one did within
 *             POOL_PATIENCE_USEC, and some are out). Its waiters rely on those and leave idle servers of other shards
 *             alone. When the queue has stood for POOL_PATIENCE_USEC without becoming empty, when there was one at
 *             each of SHORT_OF_SERVERS looks, or when nothing comes back here, the shard is impatient: it asks for idle
 *             servers and is given those that come free elsewhere.
 *   holding   A server is free, its shard's own waiter has passed the oldest waiter elsewhere as often as it may.
 *             If servers are at work there, it is held back until that one was served, instead of moving there and
 *             back. The time that servers are held is rationed (HOLD_RATION of the time, HOLD_MOST of it
 *             saved up, HOLD_ONCE at once): a difference that lasts moves a server. Up to HOLD_SHARDS workers: with more of them
 *             there are so many at work at a time that they would wait for each other in turn.
 *
 * Why nobody is forgotten: a shard that is patient or holds has set its alarm (PoolOps.alarm). What ends either state
 * sooner is looked for by both sides, sequentially consistent, as in pool_release.c: an impatient shard sets
 * `impatient`, then looks for idle servers; a shard that leaves a server idle publishes it, then looks for impatient
 * ones. A shard that holds counts itself in Pool.n_holding, then looks at the queue again; whoever leaves a queue says so there, then
 * looks for shards that hold. */
#include "pooler/pool/pool_priv.h"

#define SHORT_OF_SERVERS 4 /* alarms in a row that met a queue, be it the same or another one: it has too few servers */
#define HOLD_WORTH 200 /* microseconds until a server comes back over there: longer than a move takes, not worth it */
#define HOLD_RATION 16 /* of so much server time one part may be spent holding */
#define HOLD_MOST 100000 /* server microseconds saved up at most: enough to dissolve a run of one worker's clients */
#define HOLD_ONCE 10000 /* microseconds: by then no server came back over there, whatever the pace was */
#define HOLD_SHARDS 4 /* workers, up to which it is worth it */
#define HOLD_REACH (4 * POOL_SLACK_TICKETS) /* a waiter further behind waits for long: its server may go */

static void set_alarm(PoolShard *shard)
{
    if (shard->alarm_set)
        return;
    shard->alarm_set = true;
    shard->alarm_turn = shard->turn;
    shard->pool->ops->alarm(shard);
}

void pool_patience_begin(PoolShard *shard, PwUsec now)
{
    shard->turn++;
    if (shard->n_active > 0 && now - shard->last_release <= POOL_PATIENCE_USEC)
        set_alarm(shard);
    else
        pw_atomic_store(&shard->impatient, 1);
}

void pool_patience_end(PoolShard *shard)
{
    if (pw_atomic_load_relaxed(&shard->impatient))
        pw_atomic_store_relaxed(&shard->impatient, 0);
}

void pool_alarm(PoolShard *shard)
{
    shard->alarm_set = false;
    if (shard->n_waiting == 0)
        shard->short_of = 0;
    if (shard->n_waiting == 0 || shard->retired)
        return;
    if (shard->alarm_turn == shard->turn || ++shard->short_of >= SHORT_OF_SERVERS) {
        shard->short_of = 0;
        pw_atomic_store(&shard->impatient, 1); /* seen before we look for idle servers */
    }
    pool_settle(shard);
    if (shard->n_waiting > 0 && (!pw_atomic_load_relaxed(&shard->impatient) || pw_atomic_load_relaxed(&shard->holding)))
        set_alarm(shard); /* the queue was empty in between, or its server is still held back */
}

void pool_note_release(PoolShard *shard, PwUsec now)
{
    PwUsec gap = shard->last_release ? now - shard->last_release : 0, pace = pw_atomic_load_relaxed(&shard->pace);
    if (gap > POOL_PACE_MOST)
        gap = POOL_PACE_MOST;
    shard->last_release = now;
    pw_atomic_store_relaxed(&shard->pace, pace + (gap - pace) / 8);
}

/* ---- holding ---- */

static PwUsec pool_now(PoolShard *shard)
{
    return shard->pool->ops->now(shard->worker);
}

/* Brings hold_used, a leaking bucket of server microseconds, up to date. */
static void account(PoolShard *shard, PwUsec now)
{
    PwUsec leaked = (now - shard->hold_leak) * (PwUsec)(shard->n_active + shard->n_idle_own) / HOLD_RATION;
    if (leaked > 0) {
        shard->hold_used = leaked < shard->hold_used ? shard->hold_used - leaked : 0;
        shard->hold_leak = now;
    }
    if (pw_atomic_load_relaxed(&shard->holding)) {
        shard->hold_used += (now - shard->hold_since) * (PwUsec)shard->n_idle_own;
        shard->hold_since = now;
    }
}

bool pool_may_hold(PoolShard *shard, const PoolWaiter *own, const PoolRival *rival)
{
    if (shard->pool->n_shards > HOLD_SHARDS || own->ticket < rival->ticket || own->ticket - rival->ticket > HOLD_REACH ||
        own->since - rival->since > POOL_SLACK_USEC || !pw_atomic_load_relaxed(&rival->shard->busy) ||
        pw_atomic_load_relaxed(&rival->shard->pace) > HOLD_WORTH)
        return false;
    PwUsec now = pool_now(shard);
    account(shard, now);
    if (pw_atomic_load_relaxed(&shard->holding) && now - shard->hold_begin > HOLD_ONCE)
        return false;
    return shard->hold_used < HOLD_MOST;
}

bool pool_hold(PoolShard *shard, bool hold)
{
    if (pw_atomic_load_relaxed(&shard->holding) == (int)hold)
        return false;
    PwUsec now = pool_now(shard);
    account(shard, now);
    pw_atomic_store_relaxed(&shard->holding, (int)hold);
    shard->hold_begin = shard->hold_since = now;
    if (!hold) {
        pw_atomic_sub(&shard->pool->n_holding, 1);
        return false;
    }
    set_alarm(shard);
    pw_atomic_add(&shard->pool->n_holding, 1); /* seen before we look at the queue again */
    return true;
}

void pool_hold_wake(PoolShard *shard)
{
    Pool *pool = shard->pool;
    for (unsigned i = 0; i < pool->n_shards; i++) {
        PoolShard *other = &pool->shards[i];
        if (other != shard && pw_atomic_load(&other->holding) && pw_atomic_exchange(&other->wake_posted, 1) == 0)
            pool_wake_claimed(other);
    }
}
