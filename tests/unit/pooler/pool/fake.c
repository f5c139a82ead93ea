/* SPDX-License-Identifier: ISC */
#include "fake.h"

#include <assert.h>
#include <string.h>

Mailbox fake_mail[FAKE_WORKERS];
FakeServer fake_servers[FAKE_SERVERS];
PwUsec fake_clock;
int fake_connects;
bool fake_refuse_connect;
int fake_grants;
static int posted, next_server;

static PoolServer *op_connect(PoolShard *shard)
{
    if (fake_refuse_connect)
        return NULL;
    /* Round the table, so that a test can still look at a server that was closed. */
    for (int i = 0; i < FAKE_SERVERS; i++) {
        FakeServer *s = &fake_servers[(next_server + i) % FAKE_SERVERS];
        if (s->used)
            continue;
        next_server = (int)(s - fake_servers) + 1;
        memset(s, 0, sizeof(*s));
        s->used = true;
        s->worker = shard->worker;
        fake_connects++;
        return &s->ps;
    }
    assert(!"out of fake servers");
    return NULL;
}

static void op_detach(PoolServer *ps)
{
    FakeServer *s = (FakeServer *)ps;
    assert(!s->detached);
    s->detached = true;
}

static bool op_adopt(PoolServer *ps)
{
    FakeServer *s = (FakeServer *)ps;
    assert(s->detached);
    s->detached = false;
    s->worker = ps->shard->worker;
    return !s->dead;
}

static void op_close(PoolServer *ps, const char *reason)
{
    FakeServer *s = (FakeServer *)ps;
    assert(s->used && !s->closed && !s->detached);
    s->closed = true;
    s->reason = reason;
    pool_server_gone(ps);
    s->used = false;
}

static void op_post(unsigned worker, MailNode *node)
{
    posted++;
    mailbox_post(&fake_mail[worker], node);
}

static PwUsec op_now(unsigned worker)
{
    (void)worker;
    return fake_clock;
}

/* Tests call pool_alarm themselves. */
static void op_alarm(PoolShard *shard)
{
    (void)shard;
}

const PoolOps fake_ops = {
    .connect = op_connect,
    .detach = op_detach,
    .adopt = op_adopt,
    .close = op_close,
    .post = op_post,
    .now = op_now,
    .alarm = op_alarm,
};

static void on_server(PoolWaiter *w, PoolServer *server)
{
    FakeClient *c = (FakeClient *)w;
    assert(!c->server);
    assert(server->state == POOL_SERVER_ACTIVE && server->shard == c->shard);
    c->server = server;
    c->grants++;
    c->order = ++fake_grants;
}

static void on_fail(PoolWaiter *w, PwErr why)
{
    ((FakeClient *)w)->failed = why;
}

static const PoolWaiterOps waiter_ops = {.on_server = on_server, .on_fail = on_fail};

void fake_reset(void)
{
    for (int i = 0; i < FAKE_WORKERS; i++)
        mailbox_init(&fake_mail[i], -1);
    memset(fake_servers, 0, sizeof(fake_servers));
    fake_clock = 1000000;
    fake_connects = 0;
    fake_refuse_connect = false;
    fake_grants = 0;
}

void fake_client(FakeClient *c, PoolShard *shard)
{
    memset(c, 0, sizeof(*c));
    c->shard = shard;
    c->w.ops = &waiter_ops;
    c->w.ticket = POOL_NO_TICKET;
}

void fake_acquire(FakeClient *c)
{
    c->failed = PW_OK;
    pool_acquire(c->shard, &c->w);
}

void fake_release(FakeClient *c)
{
    PoolServer *server = c->server;
    c->server = NULL;
    pool_release(c->shard, server);
}

FakeServer *fake_connecting(PoolShard *shard)
{
    return (FakeServer *)TAILQ_FIRST(&shard->connecting);
}

bool fake_run(unsigned worker)
{
    int before = posted;
    bool any = fake_mail[worker].head != &fake_mail[worker].stub ||
               pw_atomic_load(&fake_mail[worker].stub.next) != NULL;
    while (mailbox_drain(&fake_mail[worker], 16))
        ;
    return any || posted != before;
}

void fake_run_all(void)
{
    bool any = true;
    for (int rounds = 0; any; rounds++) {
        assert(rounds < 1000); /* messages that chase each other for ever */
        any = false;
        for (unsigned i = 0; i < FAKE_WORKERS; i++)
            any |= fake_run(i);
    }
}
