/* SPDX-License-Identifier: ISC */
/* pool_priv.h - what the files pool_*.c say to each other. Nobody else includes it.
 *
 * All functions run on the shard's worker unless they say otherwise. */
#ifndef POOLER_POOL_POOL_PRIV_H
#define POOLER_POOL_POOL_PRIV_H

#include "pooler/pool/pool.h"

/* Bugs planted for the interleaving checker, which must find each of them (tests/unit/pooler/pool). */
#ifndef PW_SEED_BUG
#define PW_SEED_BUG 0
#endif

/* The limits that one server counts against. */
typedef enum PoolStarved {
    POOL_STARVED_SIZE = 1,
    POOL_STARVED_DATABASE = 2,
    POOL_STARVED_USER = 4,
    POOL_STARVED_SHARED = POOL_STARVED_DATABASE | POOL_STARVED_USER,
    POOL_STARVED_ALL = 7
} PoolStarved;

#define POOL_NEVER INT64_MAX
#define POOL_PACE_MOST 100000 /* longer times between releases count as this */

/* The oldest waiter of another shard for whom no server is on its way. */
typedef struct PoolRival {
    PoolShard *shard;
    int inbound;     /* as seen; pool_hand_over reserves with it */
    uint64_t ticket; /* never later than the real one */
    PwUsec since;
} PoolRival;

static inline bool pool_is_shared(const Pool *pool)
{
    return pool->n_shards > 1;
}

/* ---- pool_wait.c ---- */
void pool_enqueue(PoolShard *shard, PoolWaiter *waiter);
void pool_dequeue(PoolShard *shard, PoolWaiter *waiter);
void pool_publish_waiters(PoolShard *shard); /* before a look at the others: enqueue and unblock fence themselves */
/* The one step after every event: serves waiters with idle servers, then asks or opens for those that are left. */
void pool_settle(PoolShard *shard);
int pool_need(PoolShard *shard); /* waiters of this shard for whom nothing is under way */

/* ---- pool_order.c; in a pool with several shards ---- */
typedef enum PoolTurn {
    POOL_TURN_NOBODY, /* wants the server */
    POOL_TURN_OWN,    /* `waiter` gets it; announced, so pool_note_grant has to follow */
    POOL_TURN_RIVAL,  /* *ret_rival gets it */
    POOL_TURN_HOLD,   /* it waits here until `waiter` may have it */
} PoolTurn;
/* Whose turn is it? `waiter`: the shard's oldest, or NULL. */
PoolTurn pool_turn(PoolShard *shard, PoolServer *server, const PoolWaiter *waiter, PoolRival *ret_rival);
#define POOL_ANY_TICKET (POOL_NO_TICKET - 1) /* one that is not known */
void pool_announce(PoolShard *shard, uint64_t ticket); /* it is about to be granted; 0: nothing any more */
void pool_note_grant(PoolShard *shard, uint64_t ticket);
void pool_settle_home(PoolShard *shard, PoolServer *server);

/* ---- pool_patience.c ---- */
void pool_patience_begin(PoolShard *shard, PwUsec now); /* the queue became non-empty */
void pool_patience_end(PoolShard *shard);               /* it is empty */
void pool_note_release(PoolShard *shard, PwUsec now);   /* a server came back */
/* `own` may not pass `rival`: may its server wait here until it may? */
bool pool_may_hold(PoolShard *shard, const PoolWaiter *own, const PoolRival *rival);
bool pool_hold(PoolShard *shard, bool hold); /* true when it newly holds: the queue must be looked at once more */
void pool_hold_wake(PoolShard *shard);       /* the queue moved: whoever holds looks again */

/* ---- pool_release.c ---- */
PoolServer *pool_pick_idle(PoolShard *shard); /* NULL: none, or blocked */
void pool_unidle(PoolServer *server);         /* IDLE -> ACTIVE */
bool pool_publish_idle(PoolShard *shard);     /* true when others now see more than before */
void pool_start(PoolShard *shard, PoolServer *server, PoolGrow how); /* fresh from ops->connect */
bool pool_hand_over(PoolServer *server, const PoolRival *to);        /* false: somebody else was faster */

/* ---- pool_limits.c ---- */
bool pool_open(PoolShard *shard, PoolGrow how);
void pool_open_inherited(PoolShard *shard, int slots); /* with slots that an eviction left */
void pool_slots_free(PoolServer *server);
void pool_slots_return(PoolShard *shard, int slots); /* inherited, not used */
int pool_starved_clear(PoolShard *shard, int which); /* returns the bits that were set */
void pool_starved_pass_on(PoolShard *shard, int had); /* wakes the next one where there still is room */
void pool_starved_idle(PoolShard *shard); /* a server went idle: whoever starves on a shared limit may evict it */
LimitCounter *pool_limit_of(Pool *pool, PoolStarved which); /* NULL: none */

/* ---- pool_wake.c ---- */
void pool_messages_init(PoolShard *shard);
void pool_look_again(PoolShard *shard);          /* what a wake-up does */
void pool_wake_claimed(PoolShard *shard);        /* any thread that has set the shard's wake_posted */
void pool_wake_waiting(PoolShard *shard);        /* all other shards of the pool with waiters in need */
void pool_ask(PoolShard *shard, PoolShard *whom); /* "you show an idle server, I have a waiter" */
void pool_evict_request(PoolShard *shard, PoolStarved which);
void pool_evict_reply(PoolShard *evictor, int slots); /* on the victim's worker; 0: denied */
void pool_arrive(MailNode *node);                /* pool_release.c: a server from another shard */

/* ---- pool_directory.c: any thread ---- */
/* True when a marked shard has waiters that came before `before`, over all pools that share the limit
 * (`other_pools`: without this one). The longest waiting one is returned with its wake flag set, to be posted;
 * NULL when its wake-up is under way already. */
bool pool_directory_claim_starved(Pool *pool, PoolStarved which, PwUsec before, bool other_pools,
                                  PoolShard **ret_claimed);
/* The shard with the longest idle server of another pool that shares the limit, pinned; NULL: none. */
PoolShard *pool_directory_pin_victim(Pool *pool, PoolStarved which);

#endif
