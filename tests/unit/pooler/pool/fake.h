/* SPDX-License-Identifier: ISC */
/* fake.h - PoolOps without sockets: servers and clients are plain structs, mail is drained by hand. */
#ifndef TESTS_POOL_FAKE_H
#define TESTS_POOL_FAKE_H

#include <stdbool.h>

#include "pooler/pool/pool.h"

#define FAKE_WORKERS 4
#define FAKE_SERVERS 64

typedef struct FakeServer {
    PoolServer ps; /* first */
    bool used, closed, detached;
    bool dead; /* adopt() will find EOF */
    const char *reason;
    unsigned worker; /* whose event loop it is on */
} FakeServer;

typedef struct FakeClient {
    PoolWaiter w; /* first */
    PoolShard *shard;
    PoolServer *server; /* granted */
    PwErr failed;
    int grants;
    int order; /* position among all grants */
} FakeClient;

extern Mailbox fake_mail[FAKE_WORKERS];
extern FakeServer fake_servers[FAKE_SERVERS];
extern PwUsec fake_clock;
extern int fake_connects;        /* calls of ops->connect that returned a server */
extern bool fake_refuse_connect; /* ops->connect returns NULL */
extern int fake_grants;
extern const PoolOps fake_ops;

void fake_reset(void);
void fake_client(FakeClient *c, PoolShard *shard);
void fake_acquire(FakeClient *c);
void fake_release(FakeClient *c); /* the client gives its server back */
FakeServer *fake_connecting(PoolShard *shard); /* the first one that connects, or NULL */
bool fake_run(unsigned worker); /* one batch of its mail; true if anything ran */
void fake_run_all(void);        /* until all mailboxes are empty */

#endif
