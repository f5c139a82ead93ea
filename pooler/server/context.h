/* SPDX-License-Identifier: ISC */
/* context.h - what one worker knows: its snapshot of the configuration, its lists and counters.
 *
 * Worker.app points to it. Everything here belongs to that worker; other workers come by tour or mailbox. */
#ifndef POOLER_SERVER_CONTEXT_H
#define POOLER_SERVER_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pooler/auth/scram_cache.h"
#include "pooler/auth/userlist.h"
#include "pooler/capture/capture.h"
#include "pooler/config/snapshot.h"
#include "pooler/net/resolver.h"
#include "pooler/net/worker.h"
#include "pooler/pool/registry.h"
#include "pooler/server/tls_set.h"

struct Arrival;
struct Client;

/* Empty request buffers a worker keeps, and the largest that is kept. */
#define CONTEXT_SPARE 64
#define CONTEXT_SPARE_BYTES 4096

typedef enum ShutdownMode {
    SHUTDOWN_NONE,
    SHUTDOWN_WAIT_FOR_SERVERS, /* waiting clients are sent away, the process ends when no server is active */
    SHUTDOWN_WAIT_FOR_CLIENTS, /* no new logins, the process ends with its last client */
    SHUTDOWN_HANDED_OVER,      /* another process listens now: as before, but who was accepted here may log in */
    SHUTDOWN_NOW,
} ShutdownMode;

/* Clients by their cancel keys: pooler/client/cancel_index.h. */
typedef struct ClientIndex {
    struct Client **slots; /* [size], a power of two; NULL while n is 0 */
    unsigned size, n;
} ClientIndex;

/* client_pace.c: logins that begin and farewells, which wait for the end of a turn of the loop. */
typedef struct Pace {
    TAILQ_HEAD(PacedClients, PoolWaiter) due; /* of clients */
    PwUsec credit; /* what they may still take; less than 0: more was taken than allowed */
    PwUsec ended;  /* when the last turn's were done */
    uint64_t turn; /* that turn */
    uint64_t queries_seen; /* queries_done then */
    PwUsec busy_at;        /* when queries were last found to pass */
    unsigned begun;        /* logins, in that turn */
} Pace;

typedef struct WorkerCtx {
    Worker *worker;
    const Config *config;  /* one reference */
    const UserList *users; /* one reference */
    const TlsSet *tls;     /* one reference; never NULL */
    Resolver *resolver;
    QueryTable *queries; /* NULL with query_observation = 0 */
    TAILQ_HEAD(PoolLocalList, PoolLocal) pools;
    TAILQ_HEAD(ClientList, Client) clients; /* all, login included */
    ClientIndex by_cancel_key;
    PwBuf spare_held[CONTEXT_SPARE]; /* relay: buffers of requests that waited, for the next ones */
    unsigned n_spare;
    struct RelayExtended *spare_extended; /* relay: likewise, linked by next_spare, at most CONTEXT_SPARE */
    unsigned n_spare_extended;
    PwBuf patch; /* relay_request: requests that were rewritten, until they are sent */
    struct event *tick;
    PwUsec ticked_at; /* when it last came; 0: it was put off */
    struct event *alarm; /* alarms.c */
    TAILQ_HEAD(AlarmList, PoolLocal) alarms;
    unsigned n_alarms;
    ShutdownMode shutdown;
    unsigned shutdown_ticks; /* since SHUTDOWN WAIT_FOR_SERVERS */
    bool suspended;
    STAILQ_HEAD(ArrivalList, Arrival) arrivals; /* client_arrive.c: sockets whose logins have not begun */
    unsigned n_accepted;   /* likewise: in this turn */
    Pace pace;
    uint64_t logins_paced; /* SHOW WORKERS */
    WorkerDeferred *spare_clients; /* client.c: memory for the next ones */
    int n_spare_clients;
    int n_clients, n_login, n_waiting_welcome;
    uint64_t accepted, queries_done, xacts_done, cancels; /* SHOW WORKERS */
    uint64_t tls_full, tls_resumed;                       /* handshakes with clients */
} WorkerCtx;

static inline WorkerCtx *worker_ctx(Worker *w)
{
    return w->app;
}

/* The process's cache of SCRAM keys; has its own lock. Set once before the workers start. */
ScramCache *context_scram_cache(void);
void context_set_scram_cache(ScramCache *cache);

/* Threads for what would hold up a worker. Set once before the workers start. */
typedef enum JobsKind { JOBS_CRYPTO, JOBS_LDAP, JOBS_PAM, JOBS_KIND_COUNT } JobsKind;
struct Jobs;
struct Jobs *context_jobs(JobsKind kind);
void context_set_jobs(JobsKind kind, struct Jobs *jobs);

/* Resolves the settings of a pool for this worker's snapshot; lists it in ctx->pools. Idempotent, also after RELOAD. */
void context_setup_pool(WorkerCtx *ctx, PoolLocal *local);

/* Next id of a socket: clients and servers count together, rising by one. Any thread. */
uint64_t context_next_id(void);

#endif
