/* SPDX-License-Identifier: ISC */
/* Real threads, real mailboxes (eventfd), two pools under one database limit: random acquires, time-outs,
 * deaths idle, active and in transit, failed connects, pauses and changing limits. For ThreadSanitizer
 * and AddressSanitizer; it fails on a double grant, an overshot limit, or when the work stops (a lost wake-up).
 *
 * The work is a number of grants, not a time: no run depends on how fast the machine is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pooler/pool/pool.h"

#define WORKERS 3
#define POOLS 2
#define CLIENTS 24 /* of each worker */
#define GRANTS 60000L
#define SIZE 4
#define DATABASE_MAX 6
#define STALL_SECONDS 60

typedef struct StressServer {
    PoolServer ps; /* first */
    atomic_int holder; /* worker + 1 while attached to a client or loop */
} StressServer;

typedef struct StressClient {
    PoolWaiter w; /* first */
    PoolShard *shard;
    StressServer *server;
    enum { REST, WAIT, WORK } phase;
} StressClient;

typedef struct StressWorker {
    pthread_t thread;
    unsigned index;
    Mailbox mail;
    uint64_t seed;
    StressClient clients[CLIENTS];
    PwUsec clock;
    PwUsec alarm[POOLS]; /* of its shards; 0: none */
    bool calm;
} StressWorker;

static StressWorker workers[WORKERS];
static Pool *pools[POOLS];
static LimitCounter database;
static PoolDirectory *directory;
static atomic_long grants;
static atomic_int live, bad, stop, retire, calm, destroyed;

static uint64_t rnd(StressWorker *w)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return w->seed >> 11;
}

static PoolServer *op_connect(PoolShard *shard)
{
    StressWorker *w = &workers[shard->worker];
    if (rnd(w) % 50 == 0)
        return NULL;
    StressServer *s = calloc(1, sizeof(*s));
    if (!s || atomic_fetch_add(&live, 1) >= DATABASE_MAX)
        atomic_fetch_add(&bad, 1); /* more connections than max_db_connections */
    return s ? &s->ps : NULL;
}

static void op_detach(PoolServer *ps)
{
    if (atomic_load(&((StressServer *)ps)->holder))
        atomic_fetch_add(&bad, 1);
}

static bool op_adopt(PoolServer *ps)
{
    return rnd(&workers[ps->shard->worker]) % 40 != 0;
}

static void op_close(PoolServer *ps, const char *reason)
{
    (void)reason;
    StressServer *s = (StressServer *)ps;
    if (atomic_load(&s->holder))
        atomic_fetch_add(&bad, 1);
    atomic_fetch_sub(&live, 1); /* the socket closes before the slot is free */
    pool_server_gone(ps);
    free(s);
}

static void op_post(unsigned worker, MailNode *node)
{
    mailbox_post(&workers[worker].mail, node);
}

static PwUsec op_now(unsigned worker)
{
    return workers[worker].clock;
}

static void op_alarm(PoolShard *shard)
{
    StressWorker *w = &workers[shard->worker];
    PwUsec *alarm = &w->alarm[shard->pool == pools[1]];
    if (*alarm)
        atomic_fetch_add(&bad, 1);
    *alarm = w->clock + POOL_PATIENCE_USEC;
}

static const PoolOps ops = {op_connect, op_detach, op_adopt, op_close, op_post, op_now, op_alarm};

static void on_server(PoolWaiter *wt, PoolServer *ps)
{
    StressClient *c = (StressClient *)wt;
    c->server = (StressServer *)ps;
    if (c->phase == REST || atomic_exchange(&c->server->holder, 1) != 0 || ps->shard != c->shard)
        atomic_fetch_add(&bad, 1);
    c->phase = WORK;
    atomic_fetch_add(&grants, 1);
}

static void on_fail(PoolWaiter *wt, PwErr why)
{
    (void)why;
    ((StressClient *)wt)->phase = REST;
}

static const PoolWaiterOps waiter_ops = {.on_server = on_server, .on_fail = on_fail};

static void client_step(StressWorker *w, StressClient *c, bool ending)
{
    StressServer *s = c->server;
    switch (c->phase) {
    case REST:
        if (!ending) {
            c->phase = WAIT;
            pool_acquire(c->shard, &c->w);
        }
        break;
    case WAIT:
        if (rnd(w) % 200 == 0) {
            c->phase = REST;
            pool_cancel(c->shard, &c->w);
        }
        break;
    case WORK:
        c->server = NULL;
        c->phase = REST;
        atomic_store(&s->holder, 0);
        if (rnd(w) % 100 == 0)
            op_close(&s->ps, "died");
        else
            pool_release(c->shard, &s->ps);
        break;
    }
}

static void finish_connects(StressWorker *w, PoolShard *shard)
{
    PoolServer *ps = TAILQ_FIRST(&shard->connecting);
    if (!ps)
        return;
    if (rnd(w) % 20 == 0)
        op_close(ps, "connect failed");
    else
        pool_server_up(ps);
}

static void random_event(StressWorker *w, PoolShard *shard)
{
    PoolServer *idle;
    switch (rnd(w) % 400) {
    case 0:
        if ((idle = TAILQ_FIRST(&shard->idle)))
            op_close(idle, "died idle");
        break;
    case 1:
        pool_block(shard, true);
        break;
    case 2:
    case 3:
        pool_block(shard, false);
        break;
    case 4:
        pw_atomic_store(&shard->pool->size.max, (int)(1 + rnd(w) % SIZE));
        break;
    case 5:
        (void)pool_grow(shard, POOL_GROW_MIN);
        break;
    default:
        break;
    }
    if (rnd(w) % 20 == 0)
        pool_kick(shard); /* the login retry pause is over; a limit was raised */
}

static void drain(StressWorker *w, int wait_ms)
{
    struct pollfd p = {.fd = w->mail.event_fd, .events = POLLIN};
    if (poll(&p, 1, wait_ms) > 0) {
        uint64_t n;
        ssize_t got = read(w->mail.event_fd, &n, sizeof(n));
        (void)got;
        while (mailbox_drain(&w->mail, 8))
            ;
    }
}

static void ring_alarms(StressWorker *w)
{
    w->clock += 37;
    for (int i = 0; i < POOLS; i++)
        if (w->alarm[i] && w->alarm[i] <= w->clock) {
            w->alarm[i] = 0;
            pool_alarm(&pools[i]->shards[w->index]);
        }
}

/* Random load until enough was granted; then calm: no more deaths or pauses, everybody rests; then retire. */
static void *worker_main(void *arg)
{
    StressWorker *w = arg;
    while (!atomic_load(&stop)) {
        ring_alarms(w);
        for (int i = 0; i < CLIENTS; i++)
            if (rnd(w) % 3 == 0)
                client_step(w, &w->clients[i], false);
        for (int i = 0; i < POOLS; i++) {
            finish_connects(w, &pools[i]->shards[w->index]);
            random_event(w, &pools[i]->shards[w->index]);
        }
        drain(w, 0);
    }
    while (!atomic_load(&retire)) {
        ring_alarms(w);
        for (int i = 0; i < POOLS; i++) {
            pool_block(&pools[i]->shards[w->index], false);
            pool_kick(&pools[i]->shards[w->index]); /* ends only the connect pause */
            finish_connects(w, &pools[i]->shards[w->index]);
        }
        bool rest = true;
        for (int i = 0; i < CLIENTS; i++) {
            if (w->clients[i].phase == WORK)
                client_step(w, &w->clients[i], true);
            rest &= w->clients[i].phase == REST;
        }
        if (rest && !w->calm) {
            w->calm = true;
            atomic_fetch_add(&calm, 1);
        }
        drain(w, 1);
    }
    for (int i = 0; i < POOLS; i++)
        pool_shard_retire(&pools[i]->shards[w->index]);
    while (!atomic_load(&destroyed))
        drain(w, 1);
    return NULL;
}

/* Waits until *what reaches `n`, as long as it goes on growing. */
static bool reaches_long(atomic_long *what, long n)
{
    long last = -1;
    for (int still = 0; still < STALL_SECONDS * 100; still++) {
        long now = atomic_load(what);
        if (now >= n)
            return true;
        if (now != last)
            still = 0;
        last = now;
        poll(NULL, 0, 10);
    }
    return false;
}

static bool reaches(atomic_int *what, int n)
{
    for (int i = 0; i < STALL_SECONDS * 100; i++, poll(NULL, 0, 10))
        if (atomic_load(what) >= n)
            return true;
    return false;
}

static void many_workers_random_load(void **state)
{
    (void)state;
    pw_atomic_store(&database.max, DATABASE_MAX);
    directory = pool_directory_create();
    for (int i = 0; i < POOLS; i++) {
        pools[i] = pool_create(&ops, WORKERS, &database, NULL);
        pw_atomic_store(&pools[i]->size.max, SIZE);
        pool_directory_add(directory, pools[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        StressWorker *w = &workers[i];
        w->index = i;
        w->seed = 0x9E3779B97F4A7C15ULL * (i + 1);
        mailbox_init(&w->mail, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        for (int k = 0; k < CLIENTS; k++) {
            StressClient *c = &w->clients[k];
            c->shard = &pools[k % POOLS]->shards[i];
            c->w.ops = &waiter_ops;
            c->w.ticket = POOL_NO_TICKET;
        }
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);

    assert_true(reaches_long(&grants, GRANTS));
    atomic_store(&stop, 1);
    assert_true(reaches(&calm, WORKERS)); /* everybody who waited was served */
    assert_int_equal(atomic_load(&bad), 0);

    for (int i = 0; i < POOLS; i++)
        pool_directory_remove(directory, pools[i]);
    atomic_store(&retire, 1);
    for (int i = 0; i < POOLS; i++)
        for (int n = 0; !pool_drained(pools[i]); n++, poll(NULL, 0, 1))
            assert_true(n < STALL_SECONDS * 1000);
    for (int i = 0; i < POOLS; i++)
        pool_destroy(pools[i]); /* while the workers still run: nothing may touch it any more */
    atomic_store(&destroyed, 1);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        close(workers[i].mail.event_fd);
    }
    assert_int_equal(atomic_load(&database.used), 0);
    assert_int_equal(atomic_load(&database.starved), 0);
    assert_int_equal(atomic_load(&live), 0);
    assert_int_equal(atomic_load(&bad), 0);
    pool_directory_destroy(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_workers_random_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
