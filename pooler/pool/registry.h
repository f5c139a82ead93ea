/* SPDX-License-Identifier: ISC */
/* registry.h - which pools exist: databases, users, and one PoolEntry per (database, server user).
 *
 * A DbState or UserState is made on first use and stays for the life of the process, so that its limits
 * and its PAUSE or DISABLE outlive a RELOAD. A PoolEntry is made by the first login that needs it and is
 * retired by the main worker (pooler/app/retire.c) when nobody uses it, and freed after every worker let go of it.
 *
 * Locks: `registry` (one mutex) guards the tables and is taken at login, in SHOW and in maintenance, never per
 * query and never over I/O. PoolEntry.lock guards the facts learnt from servers (welcome, last failure). */
#ifndef POOLER_POOL_REGISTRY_H
#define POOLER_POOL_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "pooler/auth/secrets.h"
#include "pooler/config/snapshot.h"
#include "pooler/pool/pool.h"
#include "pooler/session/params.h"

typedef struct Worker Worker;

/* Counters of one shard; its worker only. Units: bytes and microseconds. */
typedef struct PoolStats {
    uint64_t server_assignment_count, xact_count, query_count;
    uint64_t bytes_received, bytes_sent; /* from and to clients */
    uint64_t xact_time, query_time, wait_time;
    uint64_t client_parse_count, server_parse_count, bind_count;
    uint64_t client_login_count;
    uint64_t wait_failed_count;
} PoolStats;

/* Session state in transaction mode (SHOW PINS); of one pool on one worker, since it exists. */
typedef struct PoolSessionCounts {
    uint64_t pins[8]; /* times that each SessionPin began */
    uint64_t probes, replays, prepares;
    uint64_t retries, reprepares, checks; /* stale plans: groups sent again, statements prepared anew, shapes asked for */
} PoolSessionCounts;

void pool_stats_add(PoolStats *to, const PoolStats *from);

/* Hosts of a list whose failures are remembered; those behind them are simply tried. */
#define POOL_HOSTS 16

typedef enum DbPaused {
    DB_PAUSED_SELF = 1 << 0, /* PAUSE db, KILL */
    DB_PAUSED_ALL = 1 << 1,  /* PAUSE without a name, SIGUSR1; databases made later have it too */
} DbPaused;

typedef struct DbState {
    UT_hash_handle hh;
    char *name;           /* as clients ask for it */
    LimitCounter servers; /* max_db_connections */
    LimitCounter clients; /* max_db_client_connections; max kept by RELOAD */
    PW_ATOMIC(int) paused; /* DbPaused bits, 0: not paused; written by registry_pause_* only */
    PW_ATOMIC(int) disabled;
    PW_ATOMIC(uint64_t) reconnect_epoch; /* of the last RECONNECT or RELOAD that wants new servers; only rises */
    PW_ATOMIC(int) is_auto; /* from the '*' line */
    PW_ATOMIC(int64_t) last_used; /* PwUsec; for autodb_idle_timeout */
    unsigned n_pools; /* until they are freed; registry lock */
    PoolStats past; /* of pools that are gone; registry lock */
    PoolStats period_start, average; /* stats_period; main worker */
} DbState;

typedef struct UserState {
    UT_hash_handle hh;
    char *name;
    LimitCounter servers; /* max_user_connections */
    LimitCounter clients; /* max_user_client_connections */
    char *secret; /* what auth_query answered last; registry lock */
    size_t secret_len;
    char *password; /* clear text that a client proved right and that nothing stores; registry lock */
} UserState;

/* What a new client of this pool is told: ParameterStatus messages, made from the first server's. Immutable,
 * reference-counted under PoolEntry.lock. */
typedef struct Welcome {
    int refs;
    PwBuf params;     /* ParameterStatus messages of what is not tracked */
    ParamSet tracked; /* the defaults of the tracked ones */
    PW_ATOMIC(int64_t) as_of; /* PwUsec: when a server said so last */
    bool is_restrictive; /* among `params`: a standby, or read-only. It may be news to nobody but us that this is over */
} Welcome;

typedef struct PoolEntry PoolEntry;
TAILQ_HEAD(CancelRequestList, CancelRequest);

/* One worker's part: settings resolved from that worker's snapshot, statistics. shard->owner points here. */
typedef struct PoolLocal {
    PoolEntry *entry;
    PoolShard *shard;
    Worker *worker;
    const DatabaseConf *dbconf; /* in the worker's snapshot; NULL: removed by RELOAD */
    PoolSettings settings;
    PoolStats stats;
    PoolSessionCounts session;
    int n_clients;              /* logged-in clients of this worker */
    struct CancelRequestList cancels_waiting, cancels_active; /* server_cancel.c */
    uint64_t reconnect_epoch;   /* the database's as this worker knows it: servers of another are closed on release */
    TAILQ_ENTRY(PoolLocal) link; /* WorkerCtx.pools */
    bool listed;
    bool maybe_too_many; /* pool_size may have been lowered: server.c looks at it on each release; cleared by the tick */
    struct ListenBranch *listen_branch; /* pooler/listen: channels that clients of this worker listen on; NULL: none */
    struct ListenHub *listen_hub;       /* ... on the pool's listening worker only; NULL: nobody listens */
    bool alarmed; /* on WorkerCtx.alarms */
    TAILQ_ENTRY(PoolLocal) alarm_link;
} PoolLocal;

struct PoolEntry {
    UT_hash_handle hh;
    uint64_t id; /* unlike the address never used again */
    char *key; /* "database\x1fuser" */
    Pool *pool;
    DbState *db;
    UserState *user; /* the server user */
    PoolLocal *locals; /* [workers] */
    unsigned listen_worker; /* whose is the shared listening connection, should there be one; never changes */
    PW_ATOMIC(int) clients; /* references held by clients (from login to close) and by what listens for them (pooler/listen) */
    PW_ATOMIC(int64_t) failed_at; /* PwUsec of the last failed connect or login, 0: the last one worked; this and the next two: failure.h */
    PW_ATOMIC(int64_t) tried_at; /* PwUsec of the last attempt that was begun after a failure */
    PW_ATOMIC(int) starting;     /* the last failure was a server that takes nobody yet (57P03) */
    PW_ATOMIC(int64_t) empty_since;
    PW_ATOMIC(int) cancels; /* connections that carry a cancel request; never above pool_size, 0 is no limit */
    PW_ATOMIC(int) welcome_asked; /* 1: a client waits for a server to learn the welcome from, the others for that client */
    PW_ATOMIC(int) next_host; /* round robin over a host list */
    PW_ATOMIC(int) next_addr; /* and over the addresses of a name */
    PW_ATOMIC(int64_t) host_failed_at[POOL_HOSTS]; /* PwUsec, by place in the list; 0: it works as far as we know */
    pthread_mutex_t lock;
    Welcome *welcome;          /* under lock */
    char fail_text[256];       /* under lock */
    char fail_sqlstate[6];     /* under lock */
    ScramKeys *scram_keys;     /* under lock: recovered from a client's login, for SCRAM pass-through; NULL: none */
};

/* Never 0; another one after RECONNECT, when servers may be others than they were. */
static inline uint64_t pool_local_id(const PoolLocal *local)
{
    return (local->entry->id * UINT64_C(0x9E3779B97F4A7C15) + local->reconnect_epoch) | 1;
}

void registry_init(unsigned n_workers, const PoolOps *ops);

/* Any worker. Never NULL. */
DbState *registry_db(const char *name);
UserState *registry_user(const char *name);
DbState *registry_find_db(const char *name); /* NULL: never used */
UserState *registry_find_user(const char *name);

/* Set and clear the bits of DbState.paused; the caller then tours the workers. Any worker. */
void registry_pause_db(DbState *db, bool on);
void registry_pause_all(bool on);

/* The secret that auth_query found, for logins to servers as this user. True: it replaces another one. */
bool registry_user_set_secret(UserState *user, const char *text, size_t len);
/* False: none. *ret_secret is then the caller's (secret_finish). */
bool registry_user_secret(UserState *user, Secret *ret_secret);

/* The clear-text password of a client's login (LDAP, PAM, or against an md5 or SCRAM secret): serves every method of a
 * server. Kept until another one is proved or a server refuses it (text NULL). True: another one is known no more. */
bool registry_user_set_password(UserState *user, const char *text);
bool registry_user_password(UserState *user, Secret *ret_secret); /* as registry_user_secret */

/* A new epoch, above all others of the process; and raises a database's to it (what is higher stays). The caller then
 * tours the workers. Whatever worker a server is opened on or handed to, its epoch is the database's. Any worker. */
uint64_t registry_new_epoch(void);
void registry_raise_epoch(DbState *db, uint64_t epoch);

/* The pool of (db, user), made if need be, with one client reference taken (give it back with registry_unref). */
PoolEntry *registry_pool(DbState *db, UserState *user);
void registry_unref(PoolEntry *entry);
/* One more, for who has one or knows that somebody has. */
void registry_ref(PoolEntry *entry);

/* Calls `visit` for each, under the lock: it must be short and must not call the registry. */
void registry_each_db(void (*visit)(void *arg, DbState *db), void *arg);
void registry_each_user(void (*visit)(void *arg, UserState *user), void *arg);
void registry_each_pool(void (*visit)(void *arg, PoolEntry *entry), void *arg);
unsigned registry_n_pools(void);

/* The keys of a client's login, for pass-through. NULL: forget them. */
void pool_entry_set_keys(PoolEntry *entry, const ScramKeys *keys);
bool pool_entry_copy_keys(PoolEntry *entry, ScramKeys *ret_keys); /* false: none */
/* The keys if they belong to this verifier; those of another one are forgotten: the secret has changed. */
bool pool_entry_keys(PoolEntry *entry, const ScramVerifier *verifier, ScramKeys *ret_keys);

/* Welcome: NULL until the first server of the pool logged in; then what the last one reported. The reference is given back by
 * welcome_unref. */
Welcome *pool_entry_welcome(PoolEntry *entry);
void pool_entry_set_welcome(PoolEntry *entry, Welcome *w); /* takes w over */
/* A server reports another value of what is not tracked: who logs in from now on is told that one. */
void pool_entry_correct_welcome(PoolEntry *entry, const char *name, const char *value);
/* A server was asked: what is known is true now. */
void pool_entry_confirm_welcome(PoolEntry *entry, PwUsec now);
void pool_entry_forget_welcome(PoolEntry *entry);
void welcome_unref(PoolEntry *entry, Welcome *w);

/* Retiring: registry_take_off (main worker) makes the entry unfindable unless somebody holds a reference; then each
 * worker runs pool_shard_retire and takes its PoolLocal off its list; when pool_drained() registry_free_entry. */
bool registry_take_off(PoolEntry *entry);
void registry_free_entry(PoolEntry *entry);
/* What the counters of automatic databases without pools came to that were not used for `idle`: from now on they count for no database,
 * as if those had never been, but in the sums. */
void registry_forget_auto_stats(PwUsec now, PwUsec idle);
void registry_forgotten_stats(PoolStats *ret);
/* Moves a worker's counters to DbState.past, with which SHOW STATS goes on. On that worker, when its part is off its list. */
void registry_keep_stats(PoolLocal *local);

static inline PoolLocal *pool_local(PoolShard *shard)
{
    return shard->owner;
}

#endif
