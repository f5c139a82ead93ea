/* SPDX-License-Identifier: ISC */
/* Who is served next, and what a waiter does to be served.
 *
 * The rule. A shard with an idle server looks for the oldest uncovered waiter of the others ("rival";
 * uncovered: more waiters there than servers on their way). Its own oldest waiter comes first if its ticket is
 * older, or if it is not much later (POOL_SLACK_USEC, REACH_PASS tickets) and this shard has not yet passed the
 * rival POOL_SLACK_TICKETS / (shards - 1) times. Passing is counted exactly: `passed` holds the latest tickets
 * that this shard granted, so the number of entries above the rival's ticket is the number of times that this shard
 * passed it. Each other shard keeps within its share, so nobody is passed more than POOL_SLACK_TICKETS times.
 *
 * A server that had to leave its shard is only lent: it goes home as soon as the waiter there may be
 * served, even a little early (REACH_HOME). That keeps the servers spread, and with them the tickets; without
 * it the queue falls into long runs of one worker's clients, and every run drags all servers over
 * (docs/decisions/pool-hand-over.md has the measurements). One that just arrived stays for whom it came: the others
 * count that waiter as served and have passed it since.
 *
 * A covered rival counts as served. For the one behind it only a lower bound of the ticket is known
 * (the oldest + the number on their way), which errs towards handing over, never towards passing.
 *
 * A waiter that is still there after that has told everybody (published, sequentially consistent) and then
 *   1. asks a shard that shows an idle server, unless its shard is patient (pool_patience.c): that shard
 *      settles, and replies when it has;
 *   2. opens servers, while fewer are connecting than clients wait;
 *   3. else leaves a mark at the limit that stopped it (pool_limits.c) and sleeps.
 * So each sleeping waiter has one of these on its way: a server, a connect of its own, a reply, an alarm; or whoever
 * makes the thing it lacks sees its place or its mark. */
#include <assert.h>

#include "pooler/pool/pool_priv.h"

/* A gap of more tickets than that is the end of a run: passing would use up the slack in one place. */
#define REACH_PASS (2 * POOL_SLACK_TICKETS)
#define REACH_HOME POOL_SLACK_TICKETS

/* ---- the queue ---- */

void pool_publish_waiters(PoolShard *shard)
{
    PoolWaiter *first = shard->blocked ? NULL : TAILQ_FIRST(&shard->waiting);
    uint64_t ticket = first ? first->ticket : POOL_NO_TICKET;
    if (pw_atomic_load_relaxed(&shard->oldest) != ticket) {
        pw_atomic_store_relaxed(&shard->oldest_since, first ? first->since : 0);
        pw_atomic_store_relaxed(&shard->oldest, ticket);
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

/* ---- the order ---- */

/* `need`: only shards that want an idle server right now. */
static bool find_rival(PoolShard *shard, bool need, PoolRival *ret)
{
    Pool *pool = shard->pool;
    bool found = false;
    for (unsigned i = 0; i < pool->n_shards; i++) {
        PoolShard *other = &pool->shards[i];
        if (other == shard)
            continue;
        /* Before `inbound`: a server that arrives meanwhile serves the oldest, so the other way round the ticket of the one
         * behind it would count as covered, and be passed without being counted. This way it errs towards handing over. */
        uint64_t ticket = pw_atomic_load(&other->oldest);
        int waiting = pw_atomic_load(&other->n_wait);
        if (waiting == 0 || (need && !pw_atomic_load(&other->impatient)))
            continue;
        int inbound = pw_atomic_load(&other->inbound);
        if (waiting <= inbound || ticket == POOL_NO_TICKET)
            continue;
        ticket += (uint64_t)inbound;
        if (found && ret->ticket <= ticket)
            continue;
        *ret = (PoolRival){.shard = other, .inbound = inbound, .ticket = ticket,
                           .since = pw_atomic_load_relaxed(&other->oldest_since)};
        found = true;
    }
    return found;
}

/* How often one shard may pass a waiter of another; 0 with more than nine workers. */
static unsigned pass_share(const Pool *pool)
{
    return POOL_SLACK_TICKETS / (pool->n_shards - 1);
}

/* Keeps `passed` sorted, latest ticket first. */
void pool_note_grant(PoolShard *shard, uint64_t ticket)
{
    int i = POOL_SLACK_TICKETS - 1;
    if (!pool_is_shared(shard->pool) || ticket <= shard->passed[i])
        return;
    for (; i > 0 && shard->passed[i - 1] < ticket; i--)
        shard->passed[i] = shard->passed[i - 1];
    shard->passed[i] = ticket;
    unsigned share = pass_share(shard->pool);
    if (share > 0)
        pw_atomic_store_relaxed(&shard->pass_mark, shard->passed[share - 1]);
}

/* May the waiter at `late`, of the shard with that pass_mark, be served before the one at `early`? */
static bool may_pass(const Pool *pool, uint64_t pass_mark, uint64_t late, uint64_t early, uint64_t reach)
{
    if (late - early > reach)
        return false;
    return pass_share(pool) > 0 ? pass_mark <= early : late - early <= POOL_SLACK_TICKETS;
}

static bool own_first(PoolShard *shard, const PoolServer *server, const PoolWaiter *own, const PoolRival *rival)
{
    const Pool *pool = shard->pool;
#if PW_SEED_BUG == 4 /* starvation: always prefers its own */
    return true;
#endif
    bool lent = server->home == rival->shard && server != shard->arrived;
    if (own->ticket <= rival->ticket)
        return !lent || rival->since - own->since > POOL_SLACK_USEC ||
               !may_pass(pool, pw_atomic_load_relaxed(&rival->shard->pass_mark), rival->ticket, own->ticket, REACH_HOME);
    if (lent || own->since - rival->since > POOL_SLACK_USEC)
        return false;
    return may_pass(pool, pw_atomic_load_relaxed(&shard->pass_mark), own->ticket, rival->ticket, REACH_PASS);
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
    Pool *pool = shard->pool;
    PoolWaiter *own = TAILQ_FIRST(&shard->waiting);
    PoolRival rival;
    if (pool_is_shared(pool) && pw_atomic_load(&pool->n_waiting) > shard->n_waiting && find_rival(shard, !own, &rival) &&
        !(own && own_first(shard, server, own, &rival))) {
        if (own && server->home != rival.shard && pool_may_hold(shard, own, &rival)) {
            *ret_hold = true;
            return false;
        }
        pool_hand_over(server, &rival);
        return true; /* also when another shard was faster: look again */
    }
    if (!own)
        return false;
    grant(shard, server, own);
    return true;
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
