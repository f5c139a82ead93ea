/* SPDX-License-Identifier: ISC */
/* pool.h - one logical pool per (database, server user) over all workers.
 *
 * A pool has one shard per worker. A shard's lists belong to its worker and need no lock; what the
 * workers share are a few atomics: the slots in use (LimitCounter), and per shard its number of idle
 * servers, its waiters, the ticket of the oldest, and the servers on their way to it. Objects cross
 * by mailbox only. docs/threading.md tells the whole story; the parts:
 *
 *   pool_acquire.c  own idle server, or a place in the queue      pool_limits.c  slots, growing, eviction
 *   pool_release.c  a server comes free, arrives, or is gone      pool_wake.c    the messages between shards
 *   pool_order.c    who is served next, over all shards           pool_directory.c  pools that share a limit
 *   pool_wait.c     the queue; what a waiter asks for
 *   pool_patience.c when a server stays on its worker although it could serve somebody elsewhere
 *
 * Order: the oldest ticket over all shards wins; a shard may prefer its own oldest waiter while both
 * POOL_SLACK_USEC and POOL_SLACK_TICKETS allow it, so no waiter is passed over by more than
 * POOL_SLACK_TICKETS later ones. A waiter counts as served once a server is posted to its shard for it.
 *
 * Limits are reserved by compare-and-swap in the order pool, database, user, never added and undone;
 * whatever frees capacity (a server gone, a failed connect, a rolled back reservation, a raised limit,
 * RESUME, ENABLE) runs the same wake step, over all pools that share the limit.
 *
 * Knows no sockets and no protocol: PoolOps does. Compiled a second time with the scheduler shim. */
#ifndef POOLER_POOL_POOL_H
#define POOLER_POOL_POOL_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pooler/net/atomic.h"
#include "pooler/net/mailbox.h"
#include "poolwise/err.h"
#include "poolwise/time.h"

#ifndef POOL_SLACK_USEC /* for measurements */
#define POOL_SLACK_USEC 100000
#endif
#ifndef POOL_SLACK_TICKETS /* the interleaving checker uses a smaller one */
#define POOL_SLACK_TICKETS 8
#endif
/* How long waiters rely on their own worker's servers before they ask for an idle one of another, and how often a shard
 * that holds a server back looks again (pool_patience.c). About: see PoolOps.alarm. */
#ifndef POOL_PATIENCE_USEC
#define POOL_PATIENCE_USEC 4000 /* longer than a time slice of the kernel: a worker that does not run is no reason */
#endif
#define POOL_NO_TICKET UINT64_MAX

typedef struct Pool Pool;
typedef struct PoolShard PoolShard;
typedef struct PoolServer PoolServer;
typedef struct PoolWaiter PoolWaiter;
typedef struct PoolDirectory PoolDirectory;

/* Slots of one limit. `max` 0 means no limit. Shared; lives as long as its last pool. */
typedef struct LimitCounter {
    PW_ATOMIC(int) used;    /* seq_cst; compare-and-swap only */
    PW_ATOMIC(int) max;     /* written by RELOAD, which then calls pool_kick on every shard */
    PW_ATOMIC(int) starved; /* shards whose waiters failed on this limit; written by pool_limits.c only */
} LimitCounter;

typedef enum PoolServerState {
    POOL_SERVER_CONNECTING, /* slot reserved, connect or login under way */
    POOL_SERVER_IDLE,       /* clean, on the shard's idle list */
    POOL_SERVER_ACTIVE,     /* linked to a client (or used by the owner for a check or reset) */
    POOL_SERVER_TRANSIT,    /* posted to another shard, not arrived */
    POOL_SERVER_CLOSED,     /* slot given back */
    POOL_SERVER_STATE_COUNT
} PoolServerState;

/* Embedded in the Server of pooler/server. Only pool_*.c writes it. */
struct PoolServer {
    TAILQ_ENTRY(PoolServer) link; /* on the list of its state in its shard */
    PoolServerState state;
    PoolShard *shard;  /* owner; changes only when a hand-over arrives */
    PoolShard *target; /* in transit: where to */
    PoolShard *home;   /* the shard that gets it back when it was only lent (pool_order.c) */
    PoolShard *evictor; /* closing: the shard of another pool that inherits the slot, or NULL */
    bool forced;       /* POOL_GROW_FORCED: not meant for waiters while it connects */
    PwUsec idle_since; /* when it became idle */
    MailNode mail;
};
TAILQ_HEAD(PoolServerList, PoolServer);

/* What its embedder does for a waiter. Exactly one of on_server / on_fail follows a pool_acquire, possibly before
 * it returns, unless pool_cancel comes first. All are called on the waiter's own worker. */
typedef struct PoolWaiterOps {
    void (*on_server)(PoolWaiter *w, PoolServer *server); /* the caller owns the server until pool_release */
    void (*on_fail)(PoolWaiter *w, PwErr why);            /* PW_ERR_SHUTDOWN: the pool is being retired */
    /* May be NULL. Its turn is the next but one: fetch what holds it into the cache (in a queue of a thousand it is cold). */
    void (*warm)(PoolWaiter *w);
    /* May be NULL. Its turn is the next: fetch what that points to. */
    void (*warm_more)(PoolWaiter *w);
} PoolWaiterOps;

/* Embedded in the Client. */
struct PoolWaiter {
    const PoolWaiterOps *ops;
    PwUsec since;    /* monotonic; set by pool_acquire when it has to wait, kept over a re-acquire */
    uint64_t ticket; /* POOL_NO_TICKET when not waiting; the embedder initialises it with that */
    uint64_t last_ticket; /* the place of the last wait, for keep_ticket */
    bool wants_slot; /* takes the slot of a server and connects it anew: PoolOps.connect looks whether it opens for such a one */
    bool keep_ticket; /* set before pool_acquire to take the old place again (a server failed its check);
                       * cleared by pool_acquire */
    TAILQ_ENTRY(PoolWaiter) link;
};
TAILQ_HEAD(PoolWaiterList, PoolWaiter);

typedef struct PoolOps {
    /* A slot is reserved: start to connect a server for this shard, on its worker. Returns it in state
     * CONNECTING, or NULL when it cannot be tried now (the slot is given back, nothing is retried until
     * the next pool_kick). Ends in pool_server_up() or pool_server_gone(), never inside this call. */
    PoolServer *(*connect)(PoolShard *shard);
    void (*detach)(PoolServer *server); /* before a hand-over: off this worker's event loop */
    /* After a hand-over, on the new worker: on its event loop. False when the socket shows data or EOF:
     * the server is then closed by `close`. */
    bool (*adopt)(PoolServer *server);
    void (*close)(PoolServer *server, const char *reason); /* must end in pool_server_gone(), may be later */
    void (*post)(unsigned worker, MailNode *node);
    PwUsec (*now)(unsigned worker); /* coarse monotonic clock of a worker */
    /* Call pool_alarm(shard) on its worker once, POOL_PATIENCE_USEC from now or somewhat later. Never asked for
     * twice at a time. A retired shard needs it no more. */
    void (*alarm)(PoolShard *shard);
} PoolOps;

/* One worker's part of a pool. The first part is touched by its worker only (SHOW runs there); lists
 * may be read, only pool_*.c writes. */
struct PoolShard {
    Pool *pool;
    unsigned worker;
    void *owner; /* pooler/pool/pool_registry's per-shard data (settings, statistics) */
    struct PoolServerList connecting, idle, active; /* idle: newest first, so the last is the longest idle */
    struct PoolWaiterList waiting;                  /* by ticket, oldest first */
    int n_connecting, n_idle_own, n_active, n_waiting; /* lengths of those lists, written with them */
    int n_demand; /* connecting servers that are meant for waiters (not forced) */
    uint64_t handovers_out, handovers_in, asks, evictions; /* counted for SHOW WORKERS */
    bool blocked;     /* PAUSE: nothing is granted, a release closes. Written by pool_block() only */
    bool retired;     /* pool_shard_retire() was called */
    PoolServer *arrived; /* while it is being given to somebody, else NULL: it came for a waiter of this shard */
    bool settling;    /* pool_settle is on the stack: nested calls only set `again` */
    bool again;
    bool connect_off; /* ops->connect refused: no further try before pool_kick or a server comes up */
    bool alarm_set;       /* ops->alarm was asked for and has not come */
    unsigned short_of;    /* alarms in a row that met a queue (pool_patience.c) */
    unsigned turn, alarm_turn; /* counts how often the queue became non-empty; its value when the alarm was set */
    PwUsec last_release;  /* a server of this shard came back from a client */
    PwUsec hold_begin, hold_since, hold_used, hold_leak; /* pool_patience.c */

    /* Shared with all workers. The owner writes, the others read; seq_cst where a waiter or an idle
     * server appears (publish, then look at the others), relaxed where one disappears. */
    alignas(64) PW_ATOMIC(int) n_idle;  /* 0 while blocked */
    PW_ATOMIC(PwUsec) idle_since;       /* of the longest idle; a hint for evictions */
    alignas(64) PW_ATOMIC(uint64_t) oldest; /* ticket of the oldest waiter; NO_TICKET: none, or blocked */
    PW_ATOMIC(PwUsec) oldest_since;     /* and when it came; orders waiters of different pools */
    PW_ATOMIC(int) n_wait;              /* waiters that may be served; 0 while blocked */
    PW_ATOMIC(int) impatient;           /* its waiters take idle servers of other shards (pool_patience.c) */
    PW_ATOMIC(int) busy;                /* has active servers, which will come back; a hint */
    PW_ATOMIC(PwUsec) pace;             /* time between two of its releases, smoothed; a hint */
    PW_ATOMIC(int) holding;             /* an idle server is held back for an own waiter; counted in n_holding */
    PW_ATOMIC(int) inbound;             /* servers posted to this shard; others add by CAS, the owner subtracts */
    alignas(64) PW_ATOMIC(uint64_t) passing; /* the ticket that is about to be granted here; 0: none (pool_order.c) */
    PW_ATOMIC(uint64_t) passed[POOL_SLACK_TICKETS]; /* the latest tickets granted here, latest first */
    PW_ATOMIC(int) homes;               /* servers that are at home here; whoever moves one changes it */
    PW_ATOMIC(int) starved;             /* PoolStarved bits: limits on which its waiters failed */
    PW_ATOMIC(int) pins;                /* eviction requests on their way here; keeps a retired pool alive */
    /* Messages; see pool_wake.c. Each is in flight at most once, the flag is set by exchange. */
    MailNode wake, ask, evict;
    PW_ATOMIC(int) wake_posted;  /* by anyone */
    PW_ATOMIC(int) ask_posted;   /* by the owner; cleared when the reply is back */
    PW_ATOMIC(int) evict_posted; /* by the owner; cleared when the reply is back */
    PoolShard *ask_target, *evict_victim; /* written before the post, read after it */
    int evict_slots;                      /* the same, with the reply: PoolStarved bits of the slots it brings */
};

struct Pool {
    const PoolOps *ops;
    unsigned n_shards;
    PoolShard *shards;          /* [n_shards] */
    LimitCounter *database;     /* max_db_connections, shared with other pools; NULL: none */
    LimitCounter *user;         /* max_user_connections, shared with other pools; NULL: none */
    PoolDirectory *directory;   /* set by pool_directory_add, before the pool is shared */
    TAILQ_ENTRY(Pool) link;     /* guarded by the directory's lock */
    bool listed;                /* the same */
    PW_ATOMIC(int) lifo;        /* server_round_robin = 0; may be changed by RELOAD, relaxed */
    PW_ATOMIC(int) reserve_max; /* reserve_pool_size; written by RELOAD */
    PW_ATOMIC(int) n_retired;   /* shards that ran pool_shard_retire */
    LimitCounter size;          /* pool_size; POOL_GROW_RESERVE may go reserve_max above */
    alignas(64) PW_ATOMIC(uint64_t) ticket; /* last one given */
    alignas(64) PW_ATOMIC(int) n_waiting;   /* over all shards, blocked ones too */
    PW_ATOMIC(int) n_connecting;            /* meant for waiters, over all shards */
    PW_ATOMIC(int) n_transit;               /* servers between two shards */
    PW_ATOMIC(int) n_holding;               /* shards that hold an idle server back */
};

/* Any thread, before the pool is shared. Shard i lives on worker i. Limits must outlive the pool and
 * may be NULL; size.max starts as 0 (no limit), lifo as 1, the caller stores its settings. */
Pool *pool_create(const PoolOps *ops, unsigned n_shards, LimitCounter *database, LimitCounter *user);
void pool_destroy(Pool *pool); /* NULL is fine; never shared, or pool_drained() was true */

/* Retiring a pool, in this order: pool_directory_remove (main worker); pool_shard_retire on every worker for its
 * shard, not from within a callback of the pool (fails its waiters with PW_ERR_SHUTDOWN, closes idle and
 * connecting servers; a release closes); then pool_destroy once pool_drained() is true, which may be asked on any
 * thread, as often as wished. From its own pool_shard_retire on a worker may touch the pool only as long as it
 * holds one of its servers. pool_acquire on a retired shard fails at once, so whoever may call it keeps the pool
 * from being destroyed (the registry's client references do). */
void pool_shard_retire(PoolShard *shard);
bool pool_drained(Pool *pool);

/* All below: on the shard's worker. */

/* Gives `waiter` a server or a place in the queue. The callbacks may call any function of this header,
 * and may run inside this call. */
void pool_acquire(PoolShard *shard, PoolWaiter *waiter);
void pool_cancel(PoolShard *shard, PoolWaiter *waiter); /* leaves the queue; no callback. No-op when not waiting */

void pool_release(PoolShard *shard, PoolServer *server); /* ACTIVE, clean: may go to anybody */
void pool_server_up(PoolServer *server);                 /* CONNECTING -> ready; goes on as a release */
/* CONNECTING, opened for a waiter that wants a slot: granted to the first such waiter of this shard, closed if there is none.
 * It is ready at once, so in the queue it would run ahead of servers that are really being connected. */
void pool_server_up_slot(PoolServer *server);
void pool_server_gone(PoolServer *server);               /* any state but TRANSIT -> CLOSED; frees the slot, wakes */

/* Takes an idle server out of the idle list for a check or a reset: it becomes ACTIVE. */
void pool_take(PoolServer *server);

typedef enum PoolGrow { POOL_GROW_NORMAL, POOL_GROW_MIN, POOL_GROW_RESERVE, POOL_GROW_FORCED } PoolGrow;
/* Opens one more server if the limits allow. MIN never evicts; RESERVE may go reserve_max over size;
 * FORCED (cancel, replication) ignores the pool's size but not the other limits. True when one was started. */
bool pool_grow(PoolShard *shard, PoolGrow how);

/* Slots of the limits that pools share, without one of the pool's own: for a connection that is on no list of the pool (the
 * shared listening one). False: one of them is full; idle servers of other pools, and of this one on this worker, are then being
 * closed, so the caller tries again later. pool_beside_give also wakes whoever waits for what it frees. */
bool pool_beside_take(PoolShard *shard);
void pool_beside_give(PoolShard *shard);

/* PAUSE / RESUME of this shard. Blocked: waiters stay but are invisible to the others, nothing is granted,
 * a release closes its server, nothing is opened. Idle servers stay, to be closed by the embedder. */
void pool_block(PoolShard *shard, bool blocked);

/* What PoolOps.alarm asked for. */
void pool_alarm(PoolShard *shard);

/* Gives waiters what there is and grows: after RESUME, ENABLE, a raised limit, a login retry pause. */
void pool_kick(PoolShard *shard);

/* Fails every waiter of this shard (KILL, shutdown, failed login). */
void pool_fail_waiters(PoolShard *shard, PwErr why);

/* True while a client waits anywhere in the pool: then nothing is forwarded past a Query or Sync. One relaxed load. */
static inline bool pool_has_waiters(const Pool *pool) { return pw_atomic_load_relaxed(&pool->n_waiting) > 0; }

/* Number of servers over all shards and states (slots of the pool). Any thread. */
int pool_size_used(Pool *pool);

/* Eviction over pools that share `database` or `user` goes through this table of all live pools;
 * guarded by its own lock, never held over a callback. A pool is added before it is shared. */
PoolDirectory *pool_directory_create(void);
void pool_directory_destroy(PoolDirectory *dir);
void pool_directory_add(PoolDirectory *dir, Pool *pool);
void pool_directory_remove(PoolDirectory *dir, Pool *pool);

#endif
