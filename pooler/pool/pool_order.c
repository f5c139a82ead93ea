/* SPDX-License-Identifier: ISC */
/* pool_order.c - who comes first, over all shards.
 *
 * The rule. A shard with an idle server looks for the oldest uncovered waiter of the others ("rival"; uncovered: more
 * waiters there than servers on their way). Its own oldest waiter comes first if its ticket is older, or if it is not much
 * later (POOL_SLACK_USEC, REACH_PASS tickets) and the rival has not been passed POOL_SLACK_TICKETS times yet.
 *
 * Passes are counted, all of them together. `passed` of each shard holds the latest tickets that it granted, so what is
 * above the rival's ticket there, over all shards, is how often it was passed. Two shards may want the last pass at the same
 * time; so a shard announces before it counts, and counts what the others announced:
 *
 *     announce (passing = ticket)  ->  count  ->  grant (into passed), then passing = 0
 *                                             \->  not allowed: passing = 0
 *
 * All sequentially consistent: of two that announced, at least the one that was later sees the other. What was granted is in `passed`
 * before the announcement goes, and is read in that order, so it is missed in neither; seen in both at times, which errs towards
 * handing over. A server that was posted to a shard serves somebody there whose ticket is not known here; until it arrives it counts as
 * a pass of everybody's but that shard's waiters. That is only careful: when it arrives it is asked anew whose turn it is.
 *
 * A server that had to leave its shard is only lent: it goes home as soon as the waiter there may be served, even a little
 * early (REACH_HOME). That keeps the servers spread, and with them the tickets; without it the queue falls into long runs of one
 * worker's clients, and every run drags all servers over (docs/decisions/pool-hand-over.md has the measurements). One that
 * just arrived does not go home past the waiter for whom it came, whom the others count as served and may be passing at this moment.
 * How many servers are at home where follows the waiters (pool_settle_home).
 *
 * A covered rival counts as served. For the one behind it only a lower bound of the ticket is known
 * (the oldest + the number on their way), which errs towards handing over, never towards passing. */
#include "pooler/pool/pool_priv.h"

/* A gap of more tickets than that is the end of a run: passing would use up the slack in one place. */
#define REACH_PASS (2 * POOL_SLACK_TICKETS)
#define REACH_HOME POOL_SLACK_TICKETS

void pool_announce(PoolShard *shard, uint64_t ticket)
{
    if (ticket)
        pw_atomic_store(&shard->passing, ticket);
    else
        pw_atomic_store_release(&shard->passing, 0);
}

/* Keeps `passed` sorted, latest ticket first. Whoever reads it from the front meanwhile may see a ticket twice, and misses none. */
void pool_note_grant(PoolShard *shard, uint64_t ticket)
{
    int i = POOL_SLACK_TICKETS - 1;
    if (!pool_is_shared(shard->pool))
        return;
    if (ticket > pw_atomic_load_relaxed(&shard->passed[i])) {
        for (; i > 0 && pw_atomic_load_relaxed(&shard->passed[i - 1]) < ticket; i--)
            pw_atomic_store_release(&shard->passed[i], pw_atomic_load_relaxed(&shard->passed[i - 1]));
        pw_atomic_store_release(&shard->passed[i], ticket);
    }
    pool_announce(shard, 0);
}

static bool announces(PoolShard *shard, uint64_t early)
{
    return pw_atomic_load(&shard->passing) > early;
}

/* How often the waiter `early` will have been passed when what this shard has announced comes true. */
static int passes(PoolShard *shard, const PoolRival *early)
{
    Pool *pool = shard->pool;
    uint64_t announced = 0; /* by the first 64 shards: they count once */
    int n = 1;
    for (unsigned i = 0; i < pool->n_shards && i < 64; i++)
        if (&pool->shards[i] != shard && announces(&pool->shards[i], early->ticket)) {
            announced |= UINT64_C(1) << i;
            n++;
        }
    for (unsigned i = 0; i < pool->n_shards; i++)
        if (&pool->shards[i] != early->shard)
            n += pw_atomic_load(&pool->shards[i].inbound);
    for (unsigned i = 0; i < pool->n_shards && n <= POOL_SLACK_TICKETS; i++) {
        PoolShard *other = &pool->shards[i];
        if (other != shard && (i >= 64 || !(announced >> i & 1)))
            n += announces(other, early->ticket);
        for (int k = 0; k < POOL_SLACK_TICKETS && pw_atomic_load(&other->passed[k]) > early->ticket; k++)
            n++;
    }
    return n;
}

/* May the waiter at `late`, as announced, be served before `early`? */
static bool may_pass(PoolShard *shard, const PoolRival *late, const PoolRival *early, uint64_t reach)
{
    return late->ticket - early->ticket <= reach && late->since - early->since <= POOL_SLACK_USEC &&
           passes(shard, early) <= POOL_SLACK_TICKETS;
}

/* The oldest uncovered waiter of a shard. `need`: only if it wants an idle server right now. */
static bool oldest_of(PoolShard *shard, bool need, PoolRival *ret)
{
    /* Before `inbound`: a server that arrives meanwhile serves the oldest, so the other way round the ticket of the one
     * behind it would count as covered, and be passed without being counted. This way it errs towards handing over. */
    uint64_t ticket = pw_atomic_load(&shard->oldest);
    int waiting = pw_atomic_load(&shard->n_wait);
    if (waiting == 0 || (need && !pw_atomic_load(&shard->impatient)))
        return false;
    int inbound = pw_atomic_load(&shard->inbound);
    if (waiting <= inbound || ticket == POOL_NO_TICKET)
        return false;
    *ret = (PoolRival){.shard = shard, .inbound = inbound, .ticket = ticket + (uint64_t)inbound,
                       .since = pw_atomic_load_relaxed(&shard->oldest_since)};
    return true;
}

/* The same over all shards but two. */
static bool find_rival(PoolShard *shard, bool need, const PoolShard *but, PoolRival *ret)
{
    Pool *pool = shard->pool;
    bool found = false;
    for (unsigned i = 0; i < pool->n_shards; i++) {
        PoolShard *other = &pool->shards[i];
        PoolRival r;
        if (other == shard || other == but || !oldest_of(other, need, &r) || (found && ret->ticket <= r.ticket))
            continue;
        *ret = r;
        found = true;
    }
    return found;
}

/* May a server that was lent go home now? *ret: for whom. */
static bool goes_home(PoolShard *shard, const PoolServer *server, const PoolRival *own, PoolRival *ret)
{
    PoolShard *home = server->home;
    PoolRival early, other;
    if (home == shard || server == shard->arrived || !oldest_of(home, !own, ret))
        return false;
    bool others = find_rival(shard, !own, home, &other);
    if (!own && !others)
        return true;
    early = !own || (others && other.ticket < own->ticket) ? other : *own;
    if (ret->ticket <= early.ticket)
        return true;
    pool_announce(shard, POOL_ANY_TICKET);
    if (may_pass(shard, ret, &early, REACH_HOME))
        return true;
    pool_announce(shard, own ? own->ticket : 0);
    return false;
}

PoolTurn pool_turn(PoolShard *shard, PoolServer *server, const PoolWaiter *waiter, PoolRival *ret_rival)
{
    Pool *pool = shard->pool;
    PoolRival own = {.shard = shard};
    if (waiter) {
        own.ticket = waiter->ticket;
        own.since = waiter->since;
        pool_announce(shard, own.ticket);
    }
#if PW_SEED_BUG == 4 /* starvation: always prefers its own */
    if (waiter)
        return POOL_TURN_OWN;
#endif
    if (pw_atomic_load(&pool->n_waiting) <= shard->n_waiting)
        return waiter ? POOL_TURN_OWN : POOL_TURN_NOBODY;
    if (goes_home(shard, server, waiter ? &own : NULL, ret_rival))
        return POOL_TURN_RIVAL;
    if (!find_rival(shard, !waiter, NULL, ret_rival))
        return waiter ? POOL_TURN_OWN : POOL_TURN_NOBODY;
    if (!waiter)
        return POOL_TURN_RIVAL;
    bool lent = server->home == ret_rival->shard && server != shard->arrived;
    if (own.ticket <= ret_rival->ticket || (!lent && may_pass(shard, &own, ret_rival, REACH_PASS)))
        return POOL_TURN_OWN;
    if (!lent && pool_may_hold(shard, waiter, ret_rival)) {
        pool_announce(shard, 0);
        return POOL_TURN_HOLD;
    }
    return POOL_TURN_RIVAL;
}

/* A server was lent to this shard. Where the waiters are many more servers shall be at home, and one at least wherever there are any: by
 * the method of Adams, that shard gets the next seat that has the most votes for each seat. */
void pool_settle_home(PoolShard *shard, PoolServer *server)
{
    PoolShard *home = server->home;
    if (home == shard)
        return;
    int64_t here = pw_atomic_load_relaxed(&shard->n_wait), there = pw_atomic_load_relaxed(&home->n_wait);
    if (here * (pw_atomic_load(&home->homes) - 1) <= there * pw_atomic_load(&shard->homes))
        return;
    pw_atomic_sub(&home->homes, 1);
    pw_atomic_add(&shard->homes, 1);
    server->home = shard;
}
