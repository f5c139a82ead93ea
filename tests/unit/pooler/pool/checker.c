/* SPDX-License-Identifier: ISC */
/* The scheduler and the judge of checker.h.
 *
 * One thread. `current` is the worker whose coroutine runs, -1 in the scheduler. shim_point() asks choose() whether
 * to go on (the cheap way: no context switch) or to be preempted. choose() follows the recorded path and then takes
 * option 0; after a run the last choice that has another option is advanced. In a storm each choice is drawn. */
#include "checker.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "pooler/pool/pool.h"

#define STACK_SIZE (256 * 1024)
#define PATH_MOST 4096
#define POINTS_MOST 400000 /* in one run */
#define EARLY_ALARMS (odds ? 6 : 1)
#define STORM_STEPS 150 /* of each worker */

/* ---- choices ---- */

typedef struct Choice {
    short taken, of;
} Choice;
static Choice path[PATH_MOST];
static int path_len, path_at;

static int most_passed; /* any waiter, in any run */
static int odds; /* a storm: one in so many shared accesses preempts; 0: every interleaving */
static uint64_t seed;

static unsigned draw(unsigned of)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 33) % of);
}

static int choose(int options)
{
    if (options < 2)
        return 0;
    if (odds)
        return (int)draw((unsigned)options);
    if (path_at == path_len) {
        if (path_len == PATH_MOST) {
            fprintf(stderr, "path too long\n");
            exit(2);
        }
        path[path_len++] = (Choice){0, (short)options};
    }
    if (path[path_at].of != options) {
        fprintf(stderr, "the run is not deterministic\n");
        exit(2);
    }
    return path[path_at++].taken;
}

static bool next_path(void)
{
    while (path_len > 0 && path[path_len - 1].taken == path[path_len - 1].of - 1)
        path_len--;
    if (path_len == 0)
        return false;
    path[path_len - 1].taken++;
    return true;
}

/* ---- the world of one run ---- */

typedef struct CkServer {
    PoolServer ps; /* first */
    bool used, attached;
    int worker; /* whose loop it is on */
    int holder; /* client, -1 */
    bool arriving; /* from another shard; the turn that gives it to somebody is not over */
} CkServer;

typedef struct CkClient {
    PoolWaiter w; /* first */
    int pool, worker;
    CkServer *server;
    bool waiting; /* pool_acquire returned without a server */
    bool gave_up, failed, done;
    int passed;
    long seen; /* when it was in the queue for all to see, on the clock of turns */
} CkClient;

typedef enum TurnKind { TURN_MAIL, TURN_STEP, TURN_UP, TURN_FAIL, TURN_ORDER, TURN_DRAIN, TURN_ALARM } TurnKind;

typedef struct CkWorker {
    ucontext_t context;
    char *stack;
    bool busy; /* within a turn */
    const bool *blocked_on;
    TurnKind turn;
    int turn_pool;
    int at; /* next step of the script */
    bool retire_order, kick_order;
    int storm_left;
    long began; /* this turn */
} CkWorker;

static const Scenario *sc;
static long turns; /* a clock: turns that were begun, and waiters that came */
static Pool *pools[CK_POOLS];
static PoolShard *shards_of[CK_POOLS]; /* readable after the pool's end */
static bool destroyed[CK_POOLS], retiring[CK_POOLS];
static LimitCounter database;
static PoolDirectory *directory;
static Mailbox mail[CK_WORKERS];
static bool signalled[CK_WORKERS];
#define CK_SERVERS 64
static CkServer servers[CK_SERVERS];
static CkClient clients[CK_CLIENTS];
static CkWorker workers[CK_WORKERS];
static PwUsec clock_now;
static bool alarms[CK_SHARDS][CK_POOLS];
static int fails_left, deaths_left, early_alarms_left, preemptions_left, preemption_bound;
static int used_before[CK_POOLS + 1];
static int max_before; /* a turn that began before a limit was lowered may still use the old one */

static MailNode bare[CK_WORKERS * CK_STEPS]; /* of STEP_POST */
static int mails_run;
static bool quiet; /* within the mailbox */

static ucontext_t scheduler;
static int current;
static bool exploring;
static long points, points_run;
static CheckResult *result;
static int preempted; /* worker that was just switched away from, -1 */

static void fail(const char *what, const char *detail)
{
    if (result->failure)
        return;
    result->failure = what;
    int n = snprintf(result->detail, sizeof(result->detail), "%s; choices:", detail);
    for (int i = 0; i < path_at && n < (int)sizeof(result->detail) - 8; i++)
        n += snprintf(result->detail + n, sizeof(result->detail) - (size_t)n, " %d", path[i].taken);
    if (current >= 0)
        swapcontext(&workers[current].context, &scheduler); /* never resumed */
}

/* The pool's own assertions count as findings. */
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    (void)file;
    (void)function;
    char text[120];
    snprintf(text, sizeof(text), "assertion %.80s, line %u", assertion, line);
    fail(CK_INCONSISTENT, text);
    fprintf(stderr, "%s\n", text);
    abort();
}

/* ---- limits, watched at every shared access ---- */

static void watch_limit(int which, LimitCounter *limit)
{
    int max = limit->max > max_before ? limit->max : max_before;
    if (limit->used > used_before[which] && limit->max > 0 && limit->used > max)
        fail(CK_OVERSHOOT, which < CK_POOLS ? "pool size" : "database");
    if (limit->used < 0)
        fail(CK_INCONSISTENT, "a slot was freed twice");
    used_before[which] = limit->used;
}

static void watch_limits(void)
{
    for (int i = 0; i < sc->pools; i++)
        if (!destroyed[i])
            watch_limit(i, &pools[i]->size);
    watch_limit(CK_POOLS, &database);
}

/* ---- shim.h ---- */

static bool inside(const volatile void *p, const void *start, size_t size)
{
    return (uintptr_t)p >= (uintptr_t)start && (uintptr_t)p < (uintptr_t)start + size;
}

void shim_touch(const volatile void *p)
{
    for (int i = 0; exploring && i < sc->pools; i++)
        if (destroyed[i] && (inside(p, pools[i], sizeof(Pool)) ||
                             inside(p, shards_of[i], CK_SHARDS * sizeof(PoolShard))))
            fail(CK_USE_AFTER_RETIRE, "a shared access to a destroyed pool");
}

static void to_scheduler(void)
{
    int me = current;
    swapcontext(&workers[me].context, &scheduler);
}

void shim_point(const volatile void *p)
{
    shim_touch(p);
    if (!exploring || current < 0)
        return;
    points++;
    watch_limits();
    if (++points_run > POINTS_MOST)
        fail(CK_LIVELOCK, "too many shared accesses in one run");
    if (preemptions_left > 0 && (sc->mailbox || !(quiet || inside(p, mail, sizeof(mail)))) &&
        (odds ? draw((unsigned)odds) == 0 : choose(2) == 1)) {
        preemptions_left--;
        preempted = current;
        to_scheduler();
        shim_touch(p); /* it may have been freed meanwhile */
    }
}

static void bare_run(MailNode *node)
{
    (void)node;
    mails_run++;
}

void shim_signal(int worker)
{
    signalled[worker] = true;
}

void shim_block(const bool *held)
{
    workers[current].blocked_on = held;
    to_scheduler();
    workers[current].blocked_on = NULL;
}

/* ---- PoolOps ---- */

static int pool_index(const PoolShard *shard)
{
    int i = 0;
    while (shards_of[i] != shard - shard->worker)
        i++;
    return i;
}

static PoolServer *op_connect(PoolShard *shard)
{
    for (int i = 0; i < CK_SERVERS; i++)
        if (!servers[i].used) {
            memset(&servers[i], 0, sizeof(servers[i]));
            servers[i].used = servers[i].attached = true;
            servers[i].worker = (int)shard->worker;
            servers[i].holder = -1;
            return &servers[i].ps;
        }
    fail(CK_OVERSHOOT, "more servers than the scenario can have");
    return NULL;
}

static void op_detach(PoolServer *ps)
{
    CkServer *s = (CkServer *)ps;
    if (!s->attached || s->holder >= 0)
        fail(CK_DOUBLE_GRANT, "a server was handed over that is in use or under way");
    s->attached = s->arriving = false;
}

static void see(int worker, long when)
{
    for (int i = 0; i < CK_CLIENTS; i++)
        if (clients[i].worker == worker)
            clients[i].seen = when;
}

/* What the others have decided before does not count against the waiters of this worker. */
static void seen_from_now(int worker)
{
    see(worker, ++turns);
}

static bool op_adopt(PoolServer *ps)
{
    CkServer *s = (CkServer *)ps;
    if (s->attached)
        fail(CK_DOUBLE_GRANT, "a server arrived that was not detached");
    s->attached = s->arriving = true;
    s->worker = current;
    if (deaths_left > 0 && choose(2) == 1) {
        deaths_left--;
        seen_from_now(current); /* whom it was for is uncovered now */
        return false;
    }
    return true;
}

static void op_close(PoolServer *ps, const char *reason)
{
    (void)reason;
    CkServer *s = (CkServer *)ps;
    if (!s->used || s->holder >= 0 || !s->attached)
        fail(CK_DOUBLE_GRANT, "a server was closed that is in use or under way");
    s->attached = s->arriving = false;
    pool_server_gone(ps);
    s->used = false;
}

static void op_post(unsigned worker, MailNode *node)
{
    shim_point(node);
    quiet = true;
    mailbox_post(&mail[worker], node);
    quiet = false;
}

static PwUsec op_now(unsigned worker)
{
    (void)worker;
    return clock_now;
}

/* It may come at any time from now on: TURN_ALARM. */
static void op_alarm(PoolShard *shard)
{
    if (alarms[shard->worker][pool_index(shard)])
        fail(CK_INCONSISTENT, "an alarm was set twice");
    alarms[shard->worker][pool_index(shard)] = true;
}

static const PoolOps ops = {op_connect, op_detach, op_adopt, op_close, op_post, op_now, op_alarm};

/* ---- clients ---- */

static int arriving_at(int worker)
{
    int n = 0;
    for (int i = 0; i < CK_SERVERS; i++)
        n += servers[i].used && servers[i].arriving && servers[i].worker == worker;
    return n;
}

static void count_passed(const CkClient *served)
{
    uint64_t ticket = served->w.last_ticket;
    if (ticket == POOL_NO_TICKET)
        return;
    for (unsigned i = 0; i < CK_SHARDS; i++) {
        PoolShard *shard = &pools[served->pool]->shards[i];
        int covered = shard->inbound + arriving_at((int)i);
        PoolWaiter *w;
        if (shard->n_wait == 0)
            continue; /* paused */
        TAILQ_FOREACH(w, &shard->waiting, link)
        {
            CkClient *c = (CkClient *)w;
            if (covered-- > 0 || !c->waiting || c->seen > workers[current].began || w->ticket >= ticket)
                continue;
            if (++c->passed > most_passed)
                most_passed = c->passed;
            if (c->passed > POOL_SLACK_TICKETS)
                fail(CK_STARVATION, "a waiter was passed too often");
        }
    }
}

static void on_server(PoolWaiter *w, PoolServer *ps)
{
    CkClient *c = (CkClient *)w;
    CkServer *s = (CkServer *)ps;
    if (!s->used || !s->attached || s->holder >= 0 || s->worker != current || c->worker != current ||
        ps->state != POOL_SERVER_ACTIVE || (int)ps->shard->worker != current)
        fail(CK_DOUBLE_GRANT, "a server was granted that is in use, under way or not ours");
    if (c->server || c->gave_up)
        fail(CK_DOUBLE_GRANT, "a client was served twice, or after it gave up");
    s->arriving = false;
    count_passed(c);
    c->server = s;
    s->holder = (int)(c - clients);
    c->waiting = false;
    c->passed = 0;
}

static void on_fail(PoolWaiter *w, PwErr why)
{
    CkClient *c = (CkClient *)w;
    (void)why;
    c->failed = true;
    c->waiting = false;
}

static const PoolWaiterOps waiter_ops = {.on_server = on_server, .on_fail = on_fail};

static void client_init(CkClient *c, int worker, int pool)
{
    memset(c, 0, sizeof(*c));
    c->pool = pool;
    c->worker = worker;
    c->w.ops = &waiter_ops;
    c->w.ticket = c->w.last_ticket = POOL_NO_TICKET;
}

static CkServer *take_back(CkClient *c)
{
    CkServer *s = c->server;
    c->server = NULL;
    c->done = true;
    s->holder = -1;
    return s;
}

static void came_back_from_acquire(CkClient *c)
{
    c->waiting = !c->server && !c->failed;
    c->passed = 0;
    c->seen = ++turns;
}

/* While one worker is paused and another is not, tickets mean nothing: who waits then is not judged. */
static void block(int worker, PoolShard *shard, bool blocked)
{
    see(worker, LONG_MAX);
    pool_block(shard, blocked);
    seen_from_now(worker);
    for (int i = 0; i < CK_CLIENTS; i++)
        clients[i].passed = INT_MIN / 2;
}

/* ---- turns ---- */

static PoolShard *shard_of(int worker, int pool)
{
    return &pools[pool]->shards[worker];
}

/* ---- a storm: what each client of a worker does next is drawn ---- */

static bool storm_does(int worker, StormKind what, unsigned one_in)
{
    return workers[worker].storm_left > 0 && (sc->storm & (int)what) && draw(one_in) == 0;
}

static bool storm_has(int worker, bool holding)
{
    for (int i = worker; i < CK_CLIENTS; i += CK_SHARDS)
        if (holding ? clients[i].server != NULL : clients[i].waiting)
            return true;
    return false;
}

/* Who paused is resumed before the end. */
static bool storm_may(int worker)
{
    return workers[worker].storm_left > 0 || storm_has(worker, true) || shard_of(worker, 0)->blocked;
}

/* Its server goes back, dies, or failed its check: then the client takes its old place again. */
static void storm_ends(int worker, CkClient *c)
{
    PoolServer *ps = &take_back(c)->ps;
    bool again = storm_does(worker, STORM_DEATHS, 24);
    if (!again && !storm_does(worker, STORM_DEATHS, 16)) {
        pool_release(ps->shard, ps);
        return;
    }
    op_close(ps, "died");
    if (again) {
        c->w.keep_ticket = true;
        see(worker, LONG_MAX);
        pool_acquire(shard_of(worker, c->pool), &c->w);
        came_back_from_acquire(c);
        seen_from_now(worker); /* the one behind it may have been covered */
    }
}

static void storm_client(int worker, CkClient *c)
{
    PoolShard *shard = shard_of(worker, c->pool);
    if (c->server) {
        storm_ends(worker, c);
    } else if (!c->waiting && workers[worker].storm_left > 0) {
        pool_acquire(shard, &c->w);
        came_back_from_acquire(c);
    } else if (c->waiting && storm_does(worker, STORM_DEATHS, 64)) {
        c->waiting = false;
        pool_cancel(shard, &c->w);
    }
}

static void storm_step(int worker)
{
    CkWorker *me = &workers[worker];
    PoolShard *shard = shard_of(worker, (int)draw((unsigned)sc->pools));
    if (me->storm_left > 0)
        me->storm_left--;
    if (me->storm_left == 0 && shard_of(worker, 0)->blocked) {
        block(worker, shard_of(worker, 0), false);
    } else if (storm_does(worker, STORM_PAUSES, 40)) {
        block(worker, shard_of(worker, 0), !shard_of(worker, 0)->blocked);
    } else if (storm_does(worker, STORM_DEATHS, 40) && !TAILQ_EMPTY(&shard->idle)) {
        op_close(TAILQ_FIRST(&shard->idle), "died");
    } else if (storm_does(worker, STORM_SIZES, 20)) {
        max_before = sc->size[0] + 2;
        pw_atomic_store(&shard->pool->size.max, 1 + (int)draw((unsigned)sc->size[0] + 1));
        for (int w = 0; w < CK_SHARDS; w++)
            workers[w].kick_order = true;
    } else {
        bool idle = me->storm_left == 0;
        for (int tries = 0; tries < 8; tries++)
            if (!idle || storm_has(worker, true))
                storm_client(worker, &clients[worker + CK_SHARDS * (int)draw(CK_CLIENTS / CK_SHARDS)]);
    }
}

static bool step_enabled(int worker)
{
    if (odds)
        return worker < CK_SHARDS && storm_may(worker);
    const Step *s = &sc->script[worker][workers[worker].at];
    if (s->kind == STEP_END)
        return false;
    const CkClient *c = &clients[s->arg < CK_CLIENTS ? s->arg : 0];
    if (s->kind == STEP_RELEASE || s->kind == STEP_CLOSE)
        return c->server || c->gave_up || c->failed || c->done ||
               (!destroyed[s->pool] && shard_of(worker, s->pool)->blocked);
    return true;
}

static void order_other(int worker, bool retire)
{
    if (retire)
        workers[1 - worker].retire_order = true;
    else
        workers[1 - worker].kick_order = true;
}

static void kick_all(int worker)
{
    for (int i = 0; i < sc->pools; i++)
        if (!destroyed[i])
            pool_kick(shard_of(worker, i));
}

static void run_step(int worker)
{
    if (odds) {
        storm_step(worker);
        return;
    }
    const Step *s = &sc->script[worker][workers[worker].at++];
    CkClient *c = &clients[s->arg < CK_CLIENTS ? s->arg : 0];
    PoolShard *shard = worker < CK_SHARDS && sc->pools > 0 ? shard_of(worker, s->pool) : NULL;
    switch (s->kind) {
    case STEP_END:
        break;
    case STEP_ACQUIRE:
        client_init(c, worker, s->pool);
        if (destroyed[s->pool] || retiring[s->pool]) {
            c->failed = true; /* the registry gives out no retired pool */
            break;
        }
        pool_acquire(shard, &c->w);
        came_back_from_acquire(c);
        break;
    case STEP_RELEASE:
        if (c->server)
            pool_release(shard, &take_back(c)->ps);
        break;
    case STEP_CLOSE:
        if (c->server)
            op_close(&take_back(c)->ps, "died");
        break;
    case STEP_GIVE_UP:
        if (!c->server && !c->failed) {
            c->gave_up = true;
            c->waiting = false;
            pool_cancel(shard, &c->w);
        }
        break;
    case STEP_KILL_IDLE: {
        PoolServer *idle = TAILQ_FIRST(&shard->idle);
        if (idle)
            op_close(idle, "died");
        break;
    }
    case STEP_BLOCK:
    case STEP_RESUME:
        block(worker, shard, s->kind == STEP_BLOCK);
        break;
    case STEP_SET_SIZE:
        if (workers[1 - worker].busy)
            max_before = pools[s->pool]->size.max;
        pw_atomic_store(&pools[s->pool]->size.max, s->arg);
        order_other(worker, false);
        kick_all(worker);
        break;
    case STEP_SET_DATABASE:
        pw_atomic_store(&database.max, s->arg);
        order_other(worker, false);
        kick_all(worker);
        break;
    case STEP_LATER:
        clock_now += POOL_SLACK_USEC + 1;
        break;
    case STEP_POST: {
        MailNode *node = &bare[worker * CK_STEPS + workers[worker].at];
        node->run = bare_run;
        quiet = true;
        mailbox_post(&mail[0], node);
        quiet = false;
        break;
    }
    case STEP_RETIRE:
        retiring[s->pool] = true;
        pool_directory_remove(directory, pools[s->pool]);
        order_other(worker, true);
        pool_shard_retire(shard);
        break;
    }
}

/* What pool_drained() will say, without switching: asking it again and again would never end. */
static bool looks_drained(int i)
{
    if (!retiring[i] || destroyed[i] || pools[i]->n_retired < CK_SHARDS || pools[i]->size.used > 0)
        return false;
    for (int w = 0; w < CK_SHARDS; w++) {
        PoolShard *s = shard_of(w, i);
        if (s->wake_posted || s->ask_posted || s->evict_posted || s->pins)
            return false;
    }
    return true;
}

static void run_turn(int worker)
{
    CkWorker *me = &workers[worker];
    switch (me->turn) {
    case TURN_MAIL:
        signalled[worker] = false;
        if (mailbox_drain(&mail[worker], 2))
            signalled[worker] = true;
        break;
    case TURN_STEP:
        run_step(worker);
        break;
    case TURN_UP:
        pool_server_up(TAILQ_FIRST(&shard_of(worker, me->turn_pool)->connecting));
        break;
    case TURN_FAIL:
        fails_left--;
        op_close(TAILQ_FIRST(&shard_of(worker, me->turn_pool)->connecting), "connect failed");
        break;
    case TURN_ORDER:
        if (me->retire_order) {
            me->retire_order = false;
            for (int i = 0; i < sc->pools; i++)
                if (retiring[i])
                    pool_shard_retire(shard_of(worker, i));
        } else {
            me->kick_order = false;
            kick_all(worker);
        }
        break;
    case TURN_ALARM:
        alarms[worker][me->turn_pool] = false;
        early_alarms_left--;
        pool_alarm(shard_of(worker, me->turn_pool));
        break;
    case TURN_DRAIN:
        if (pool_drained(pools[me->turn_pool]))
            destroyed[me->turn_pool] = true; /* the memory is given back after the run */
        else
            fail(CK_INCONSISTENT, "pool_drained is not monotonic");
        break;
    }
}

static void worker_main(int worker)
{
    run_turn(worker);
    for (int i = 0; i < CK_SERVERS; i++)
        if (servers[i].worker == worker)
            servers[i].arriving = false;
    workers[worker].busy = false;
    bool others = false;
    for (int w = 0; w < CK_WORKERS; w++)
        others |= workers[w].busy;
    if (!others)
        max_before = 0;
    /* uc_link brings us back to the scheduler */
}

static void start_turn(int worker, TurnKind turn, int pool)
{
    CkWorker *w = &workers[worker];
    w->turn = turn;
    w->turn_pool = pool;
    w->busy = true;
    w->blocked_on = NULL;
    w->began = ++turns;
    getcontext(&w->context);
    w->context.uc_stack.ss_sp = w->stack;
    w->context.uc_stack.ss_size = STACK_SIZE;
    w->context.uc_link = &scheduler;
    makecontext(&w->context, (void (*)(void))(uintptr_t)worker_main, 1, worker);
}

typedef struct Option {
    int worker;
    bool resume;
    TurnKind turn;
    int pool;
} Option;

/* A few alarms may come at any time; the others when nothing else can happen, which is late, as they are. */
static int collect_alarms(Option *ret, int n)
{
    for (int w = 0; w < CK_SHARDS && (early_alarms_left > 0 || n == 0); w++)
        for (int i = 0; i < sc->pools; i++)
            if (alarms[w][i] && !workers[w].busy && !destroyed[i] && !shard_of(w, i)->retired)
                ret[n++] = (Option){w, false, TURN_ALARM, i};
    return n;
}

static int collect(Option *ret)
{
    int n = 0;
    for (int w = 0; w < CK_WORKERS; w++) {
        CkWorker *me = &workers[w];
        if (me->busy) {
            if (w != preempted && !(me->blocked_on && *me->blocked_on))
                ret[n++] = (Option){w, true, me->turn, 0};
            continue;
        }
        if (signalled[w])
            ret[n++] = (Option){w, false, TURN_MAIL, 0};
        if (me->retire_order || me->kick_order)
            ret[n++] = (Option){w, false, TURN_ORDER, 0};
        if (step_enabled(w))
            ret[n++] = (Option){w, false, TURN_STEP, 0};
        for (int i = 0; w < CK_SHARDS && i < sc->pools; i++) {
            if (destroyed[i])
                continue;
            if (!TAILQ_EMPTY(&shard_of(w, i)->connecting)) {
                ret[n++] = (Option){w, false, TURN_UP, i};
                if (fails_left > 0)
                    ret[n++] = (Option){w, false, TURN_FAIL, i};
            }
            if (w == 0 && looks_drained(i))
                ret[n++] = (Option){w, false, TURN_DRAIN, i};
        }
    }
    return collect_alarms(ret, n);
}

/* ---- a run ---- */

static void set_up(void)
{
    exploring = false;
    current = -1;
    preempted = -1;
    clock_now = 1000000;
    memset(servers, 0, sizeof(servers));
    memset(clients, 0, sizeof(clients));
    memset(destroyed, 0, sizeof(destroyed));
    memset(retiring, 0, sizeof(retiring));
    memset(alarms, 0, sizeof(alarms));
    memset(&database, 0, sizeof(database));
    database.max = sc->database_max;
    directory = pool_directory_create();
    for (int w = 0; w < CK_WORKERS; w++) {
        mailbox_init(&mail[w], w);
        signalled[w] = false;
        workers[w].busy = false;
        workers[w].at = 0;
        workers[w].storm_left = odds ? STORM_STEPS : 0;
        workers[w].retire_order = workers[w].kick_order = false;
    }
    for (int i = 0; i < sc->pools; i++) {
        pools[i] = pool_create(&ops, CK_SHARDS, sc->database_max ? &database : NULL, NULL);
        shards_of[i] = pools[i]->shards;
        pools[i]->size.max = sc->size[i];
        pool_directory_add(directory, pools[i]);
        for (int w = 0; w < CK_SHARDS; w++)
            for (int k = 0; k < sc->warm[i][w]; k++) {
                pool_grow(shard_of(w, i), POOL_GROW_MIN);
                pool_server_up(TAILQ_FIRST(&shard_of(w, i)->connecting));
            }
    }
    for (int i = 0; odds && i < CK_CLIENTS; i++)
        client_init(&clients[i], i % CK_SHARDS, i / CK_SHARDS % sc->pools);
    if (sc->held) {
        current = sc->held_on;
        client_init(&clients[0], sc->held_on, sc->held_pool);
        pool_acquire(shard_of(sc->held_on, sc->held_pool), &clients[0].w);
        current = -1;
    }
    for (int i = 0; i < CK_POOLS; i++)
        used_before[i] = i < sc->pools ? pools[i]->size.used : 0;
    used_before[CK_POOLS] = database.used;
    fails_left = sc->connects_may_fail;
    deaths_left = sc->transits_may_die;
    early_alarms_left = EARLY_ALARMS;
    preemptions_left = preemption_bound;
    points_run = 0;
    path_at = 0;
    max_before = 0;
    mails_run = 0;
    memset(bare, 0, sizeof(bare));
    exploring = true;
}

static void tear_down(void)
{
    exploring = false;
    current = -1;
    for (int i = 0; i < sc->pools; i++) {
        pool_directory_remove(directory, pools[i]);
        pool_destroy(pools[i]);
    }
    pool_directory_destroy(directory);
}

static int length_of(struct PoolServerList *list, PoolServerState state)
{
    int n = 0;
    PoolServer *s;
    TAILQ_FOREACH(s, list, link)
    {
        if (s->state != state)
            fail(CK_INCONSISTENT, "a server is on the list of another state");
        n++;
    }
    return n;
}

static void check_pool(int i)
{
    Pool *p = pools[i];
    int total = 0, waiting = 0;
    for (int w = 0; w < CK_SHARDS; w++) {
        PoolShard *s = shard_of(w, i);
        int idle = length_of(&s->idle, POOL_SERVER_IDLE);
        int connecting = length_of(&s->connecting, POOL_SERVER_CONNECTING);
        int active = length_of(&s->active, POOL_SERVER_ACTIVE);
        total += idle + connecting + active;
        waiting += s->n_waiting;
        if (idle != s->n_idle_own || connecting != s->n_connecting || active != s->n_active ||
            s->n_idle != (s->blocked ? 0 : idle) || s->inbound != 0 || s->ask_posted || s->evict_posted ||
            s->wake_posted || s->pins || s->n_wait != (s->blocked ? 0 : s->n_waiting))
            fail(CK_INCONSISTENT, "a shard");
    }
    if (total != p->size.used || p->n_transit != 0 || p->n_connecting != 0 || p->n_holding != 0 || waiting != p->n_waiting)
        fail(CK_INCONSISTENT, "a pool");
}

/* Nothing can happen any more: everybody must have been served. */
static void check_end(void)
{
    for (int w = 0; w < CK_WORKERS; w++) {
        if (workers[w].busy)
            fail(CK_LIVELOCK, "a worker waits for a lock for ever");
        if (odds && w < CK_SHARDS && storm_has(w, false))
            fail(CK_LOST_WAKEUP, "a client waits at the end of the storm");
        if (!odds && sc->script[w][workers[w].at].kind != STEP_END)
            fail(CK_LOST_WAKEUP, "a client waits although nothing stands in its way");
    }
    int posts = 0;
    for (int w = 0; w < CK_WORKERS; w++)
        for (const Step *s = sc->script[w]; s->kind != STEP_END; s++)
            posts += s->kind == STEP_POST;
    if (mails_run != posts)
        fail(CK_LOST_MAIL, "a message was not delivered once");
    int used = 0;
    for (int i = 0; i < sc->pools; i++) {
        if (retiring[i] && !destroyed[i])
            fail(CK_INCONSISTENT, "a retired pool is never drained");
        if (destroyed[i])
            continue;
        check_pool(i);
        used += pools[i]->size.used;
    }
    if (sc->database_max && used != database.used)
        fail(CK_INCONSISTENT, "the database's slots");
}

static void run_once(void)
{
    set_up();
    while (!result->failure) {
        Option options[32];
        int n = collect(options);
        if (n == 0 && preempted >= 0) {
            preempted = -1; /* only the one we left can go on */
            continue;
        }
        if (n == 0)
            break;
        Option *o = &options[choose(n)];
        preempted = -1;
        if (!o->resume)
            start_turn(o->worker, o->turn, o->pool);
        current = o->worker;
        swapcontext(&scheduler, &workers[current].context);
        current = -1;
        watch_limits();
    }
    if (!result->failure)
        check_end();
    tear_down();
}

static void make_stacks(void)
{
    for (int w = 0; w < CK_WORKERS; w++)
        if (!workers[w].stack)
            workers[w].stack = malloc(STACK_SIZE);
}

CheckResult check_scenario(const Scenario *scenario, int preemptions, long runs_most)
{
    static CheckResult r;
    memset(&r, 0, sizeof(r));
    result = &r;
    sc = scenario;
    preemption_bound = preemptions < 0 ? sc->preemptions : preemptions;
    points = 0;
    path_len = 0;
    make_stacks();
    do {
        run_once();
        r.runs++;
        if (r.runs >= runs_most)
            break;
    } while (!r.failure && next_path());
    r.complete = path_len == 0;
    r.points = points;
    return r;
}

CheckResult check_storm(const Scenario *scenario, long runs, long first, int one_in)
{
    static CheckResult r;
    memset(&r, 0, sizeof(r));
    result = &r;
    sc = scenario;
    odds = one_in;
    preemption_bound = INT_MAX;
    points = 0;
    most_passed = 0;
    make_stacks();
    for (long i = first; i < first + runs && !r.failure; i++) {
        seed = 0x9E3779B97F4A7C15ULL * (uint64_t)(i + 1);
        run_once();
        if (r.failure)
            snprintf(r.detail + strcspn(r.detail, ";"), 40, "; run %ld", i);
        r.runs++;
    }
    r.complete = !r.failure;
    r.points = points;
    r.most_passed = most_passed;
    odds = 0;
    return r;
}
