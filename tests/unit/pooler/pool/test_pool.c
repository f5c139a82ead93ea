/* SPDX-License-Identifier: ISC */
/* The plain behaviour of the pool, one thread, mail drained by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake.h"

static Pool *pool;
static FakeClient c[16];

static void make(unsigned shards, int size)
{
    fake_reset();
    pool = pool_create(&fake_ops, shards, NULL, NULL);
    pw_atomic_store(&pool->size.max, size);
    for (int i = 0; i < 16; i++)
        fake_client(&c[i], &pool->shards[(unsigned)i % shards]);
}

/* All clients of the tests hold or wait for nothing any more; every shard must be empty. */
static void unmake(void)
{
    for (unsigned i = 0; i < pool->n_shards; i++)
        pool_shard_retire(&pool->shards[i]);
    fake_run_all();
    assert_true(pool_drained(pool));
    assert_int_equal(pool_size_used(pool), 0);
    assert_int_equal(pw_atomic_load(&pool->size.starved), 0);
    assert_int_equal(pw_atomic_load(&pool->n_waiting), 0);
    assert_int_equal(pw_atomic_load(&pool->n_connecting), 0);
    assert_int_equal(pw_atomic_load(&pool->n_transit), 0);
    pool_destroy(pool);
}

static void up(PoolShard *shard)
{
    FakeServer *s = fake_connecting(shard);
    assert_non_null(s);
    pool_server_up(&s->ps);
}

/* `n` idle servers on that shard. */
static void warm(PoolShard *shard, int n)
{
    for (int i = 0; i < n; i++) {
        assert_true(pool_grow(shard, POOL_GROW_MIN));
        up(shard);
        fake_clock += 10;
    }
    assert_int_equal(shard->n_idle_own, n);
}

static void first_client_opens_a_server(void **state)
{
    (void)state;
    make(1, 2);
    fake_acquire(&c[0]);
    assert_null(c[0].server);
    assert_int_equal(fake_connects, 1);
    up(&pool->shards[0]);
    assert_non_null(c[0].server);
    fake_release(&c[0]);
    assert_int_equal(pool->shards[0].n_idle_own, 1);
    fake_acquire(&c[1]);
    assert_non_null(c[1].server); /* at once */
    assert_int_equal(fake_connects, 1);
    fake_release(&c[1]);
    unmake();
}

static void waiters_are_served_in_order(void **state)
{
    (void)state;
    make(1, 1);
    for (int i = 0; i < 5; i++)
        fake_acquire(&c[i]);
    assert_int_equal(fake_connects, 1);
    up(&pool->shards[0]);
    for (int i = 0; i < 5; i++) {
        assert_non_null(c[i].server);
        assert_int_equal(c[i].order, i + 1);
        fake_release(&c[i]);
    }
    unmake();
}

static void growth_is_one_connect_per_waiter(void **state)
{
    (void)state;
    make(2, 10);
    fake_acquire(&c[0]);
    fake_acquire(&c[2]);
    fake_acquire(&c[1]);
    assert_int_equal(fake_connects, 3);
    assert_int_equal(pool->shards[0].n_connecting, 2);
    assert_int_equal(pool->shards[1].n_connecting, 1);
    pool_kick(&pool->shards[0]); /* opens nothing more */
    assert_int_equal(fake_connects, 3);
    up(&pool->shards[0]);
    up(&pool->shards[0]);
    up(&pool->shards[1]);
    fake_run_all();
    assert_true(c[0].server && c[1].server && c[2].server);
    for (int i = 0; i < 3; i++)
        fake_release(&c[i]);
    unmake();
}

static void lifo_and_round_robin(void **state)
{
    (void)state;
    make(1, 3);
    warm(&pool->shards[0], 3);
    PoolServer *newest = TAILQ_FIRST(&pool->shards[0].idle);
    fake_acquire(&c[0]);
    assert_ptr_equal(c[0].server, newest);
    fake_release(&c[0]);
    pw_atomic_store(&pool->lifo, 0);
    PoolServer *oldest = TAILQ_LAST(&pool->shards[0].idle, PoolServerList);
    fake_acquire(&c[0]);
    assert_ptr_equal(c[0].server, oldest);
    fake_release(&c[0]);
    unmake();
}

static void idle_server_of_another_worker_is_handed_over(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[1]);
    assert_null(c[1].server);
    fake_run_all();
    assert_non_null(c[1].server);
    assert_int_equal(fake_connects, 1);
    assert_int_equal(pool->shards[0].handovers_out, 1);
    assert_int_equal(pool->shards[1].handovers_in, 1);
    fake_release(&c[1]);
    assert_int_equal(pool->shards[1].n_idle_own, 1); /* it stays where it is */
    unmake();
}

static void release_hands_over_to_an_older_waiter(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]); /* ticket 1, worker 1 */
    fake_clock += POOL_SLACK_USEC + 1;
    fake_acquire(&c[2]); /* ticket 2, worker 0, later than the slack */
    fake_release(&c[0]);
    assert_null(c[2].server);
    assert_int_equal(pw_atomic_load(&pool->n_transit), 1);
    fake_run_all();
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    fake_run_all();
    assert_non_null(c[2].server);
    fake_release(&c[2]);
    unmake();
}

static void own_waiters_pass_at_most_eight_times(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]); /* the rival, on worker 1, asks nobody: none is idle */
    int passes = 0;
    FakeClient *holder = &c[0];
    for (int i = 0; i < 20 && !c[1].server; i++) {
        FakeClient *next = holder == &c[0] ? &c[2] : &c[0];
        PoolServer *s = holder->server;
        fake_acquire(next);
        (void)s;
        fake_release(holder);
        if (!next->server) {
            pool_cancel(next->shard, &next->w);
            break;
        }
        passes++;
        holder = next;
    }
    assert_int_equal(passes, POOL_SLACK_TICKETS);
    fake_run_all();
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    unmake();
}

static void newcomer_does_not_jump(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[1]); /* has asked worker 0, the ask is in the mail */
    fake_clock += POOL_SLACK_USEC + 1;
    fake_acquire(&c[0]); /* sees the idle server of its own worker, but is later */
    assert_null(c[0].server);
    fake_run_all();
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    fake_run_all();
    assert_non_null(c[0].server);
    fake_release(&c[0]);
    unmake();
}

/* Worker 1 has a server that comes back all the time; a free one of worker 0 is left alone, until the alarm. */
static void waiters_rely_on_their_own_servers_for_a_while(void **state)
{
    (void)state;
    make(2, 2);
    warm(&pool->shards[0], 1);
    warm(&pool->shards[1], 1);
    fake_acquire(&c[1]);
    fake_acquire(&c[3]); /* worker 1: waits */
    fake_run_all();
    assert_null(c[3].server);
    assert_true(pool->shards[1].alarm_set);
    fake_acquire(&c[0]); /* worker 0's own client gets it */
    assert_non_null(c[0].server);
    fake_release(&c[0]); /* nor is it given away when it comes free */
    fake_run_all();
    assert_null(c[3].server);
    pool_alarm(&pool->shards[1]);
    fake_run_all();
    assert_non_null(c[3].server);
    assert_int_equal(pool->shards[1].handovers_in, 1);
    fake_release(&c[1]);
    fake_release(&c[3]);
    unmake();
}

/* None of its own comes back, or none did lately: the idle one elsewhere is asked for at once. */
static void waiters_without_own_servers_do_not_wait(void **state)
{
    (void)state;
    make(2, 2);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[1]);
    fake_run_all();
    assert_non_null(c[1].server);
    assert_int_equal(pool->shards[1].handovers_in, 1);
    warm(&pool->shards[0], 1);
    fake_clock += POOL_PATIENCE_USEC + 1; /* c[1] sits in a long transaction */
    fake_acquire(&c[3]);
    fake_run_all();
    assert_non_null(c[3].server);
    fake_release(&c[1]);
    fake_release(&c[3]);
    unmake();
}

/* c[0] holds worker 0's server; c[2] and c[0] pass it to each other until one has to wait. Returns that one. */
static FakeClient *pass_while_possible(int *ret_passes)
{
    FakeClient *holder = &c[0], *next = &c[2];
    for (*ret_passes = 0;; (*ret_passes)++) {
        fake_acquire(next);
        fake_release(holder);
        if (!next->server)
            return next;
        FakeClient *free_again = holder;
        holder = next;
        next = free_again;
    }
}

/* Worker 0 has passed the oldest of worker 1 as often as it may: its server waits until that one was served there. */
static void a_server_is_held_until_it_may_pass_again(void **state)
{
    (void)state;
    make(2, 2);
    warm(&pool->shards[0], 1);
    warm(&pool->shards[1], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    fake_acquire(&c[3]); /* the rival */
    int passes;
    FakeClient *next = pass_while_possible(&passes);
    assert_int_equal(passes, POOL_SLACK_TICKETS);
    assert_int_equal(pw_atomic_load(&pool->n_holding), 1);
    assert_int_equal(pw_atomic_load(&pool->shards[0].n_idle), 0); /* nobody asks for it */
    fake_run_all();
    assert_null(next->server);
    fake_release(&c[1]); /* serves the rival */
    assert_non_null(c[3].server);
    fake_run_all();
    assert_non_null(next->server);
    assert_int_equal(pw_atomic_load(&pool->n_holding), 0);
    assert_int_equal(pool->shards[0].handovers_out, 0);
    fake_release(next);
    fake_release(&c[3]);
    fake_run_all();
    unmake();
}

static void holding_is_rationed(void **state)
{
    (void)state;
    make(2, 2);
    warm(&pool->shards[0], 1);
    warm(&pool->shards[1], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    fake_acquire(&c[3]); /* waits for worker 1's server, which is in a long transaction */
    int passes;
    FakeClient *next = pass_while_possible(&passes);
    assert_int_equal(passes, POOL_SLACK_TICKETS);
    for (int i = 0; i < 100 && !c[3].server; i++) {
        fake_clock += POOL_PATIENCE_USEC;
        pool_alarm(&pool->shards[0]);
        fake_run_all();
    }
    assert_non_null(c[3].server); /* the server moved */
    assert_int_equal(pool->shards[0].handovers_out, 1);
    fake_release(&c[3]);
    fake_run_all();
    assert_non_null(next->server);
    fake_release(next);
    fake_release(&c[1]);
    fake_run_all();
    unmake();
}

static void waiter_vanishes_while_its_server_travels(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    fake_release(&c[0]); /* in transit to worker 1 */
    pool_cancel(c[1].shard, &c[1].w);
    fake_acquire(&c[2]); /* worker 0: must get it back */
    fake_run_all();
    assert_non_null(c[2].server);
    assert_null(c[1].server);
    fake_release(&c[2]);
    unmake();
}

static void server_dies_in_transit(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    FakeServer *s = (FakeServer *)c[0].server;
    fake_acquire(&c[1]);
    fake_release(&c[0]);
    s->dead = true;
    fake_run_all();
    assert_true(s->closed);
    assert_int_equal(fake_connects, 2); /* the waiter opens another one */
    up(&pool->shards[1]);
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    unmake();
}

static void a_refused_connect_waits_for_a_kick(void **state)
{
    (void)state;
    make(1, 2);
    fake_refuse_connect = true;
    fake_acquire(&c[0]);
    assert_int_equal(pool_size_used(pool), 0);
    fake_refuse_connect = false;
    fake_acquire(&c[1]);
    assert_int_equal(fake_connects, 0);
    pool_kick(&pool->shards[0]);
    assert_int_equal(fake_connects, 2);
    up(&pool->shards[0]);
    up(&pool->shards[0]);
    fake_release(&c[0]);
    fake_release(&c[1]);
    unmake();
}

static void failed_connect_is_tried_again(void **state)
{
    (void)state;
    make(2, 1);
    fake_acquire(&c[0]);
    fake_clock += POOL_SLACK_USEC + 1;
    fake_acquire(&c[1]); /* full; marked */
    FakeServer *s = fake_connecting(&pool->shards[0]);
    fake_refuse_connect = true; /* login retry pause on worker 0 */
    fake_ops.close(&s->ps, "connect failed");
    fake_refuse_connect = false;
    fake_run_all();
    assert_int_equal(pool->shards[1].n_connecting, 1);
    up(&pool->shards[1]);
    fake_run_all();
    assert_non_null(c[0].server); /* the older one */
    fake_release(&c[0]);
    fake_run_all();
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    unmake();
}

static void keep_ticket_takes_the_old_place(void **state)
{
    (void)state;
    make(1, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    fake_acquire(&c[2]);
    fake_release(&c[0]);
    assert_non_null(c[1].server);
    PoolServer *bad = c[1].server; /* fails its check */
    PwUsec since = c[1].w.since;
    fake_clock += 5000;
    c[1].server = NULL;
    c[1].w.keep_ticket = true;
    fake_acquire(&c[1]);
    fake_ops.close(bad, "server check failed");
    assert_int_equal(fake_connects, 2);
    up(&pool->shards[0]);
    assert_non_null(c[1].server);
    assert_null(c[2].server);
    assert_true(c[1].w.since == since);
    fake_release(&c[1]);
    fake_release(&c[2]);
    unmake();
}

static void limits_are_exact_and_wake_other_pools(void **state)
{
    (void)state;
    make(2, 5);
    LimitCounter db = {0};
    pw_atomic_store(&db.max, 1);
    PoolDirectory *dir = pool_directory_create();
    Pool *p[2];
    for (int i = 0; i < 2; i++) {
        p[i] = pool_create(&fake_ops, 2, &db, NULL);
        pool_directory_add(dir, p[i]);
    }
    FakeClient x, y;
    fake_client(&x, &p[0]->shards[0]);
    fake_client(&y, &p[1]->shards[1]);
    fake_acquire(&x);
    up(&p[0]->shards[0]);
    assert_non_null(x.server);
    fake_acquire(&y);
    fake_run_all();
    assert_null(y.server);
    assert_int_equal(pw_atomic_load(&db.used), 1);
    assert_int_equal(pool_size_used(p[1]), 0); /* rolled back */
    /* x's server goes idle: it is evicted for y, and the slot is never free in between */
    FakeServer *s = (FakeServer *)x.server;
    fake_release(&x);
    fake_run_all();
    assert_true(s->closed);
    assert_string_equal(s->reason, "evicted");
    assert_int_equal(pw_atomic_load(&db.used), 1);
    assert_int_equal(p[1]->shards[1].n_connecting, 1);
    up(&p[1]->shards[1]);
    assert_non_null(y.server);
    /* min_pool_size never evicts */
    fake_release(&y);
    assert_false(pool_grow(&p[0]->shards[0], POOL_GROW_MIN));
    fake_run_all();
    assert_int_equal(p[1]->shards[1].n_idle_own, 1);
    /* a closed server frees the slot for the other pool */
    fake_acquire(&y);
    fake_acquire(&x);
    fake_run_all();
    assert_null(x.server);
    s = (FakeServer *)y.server;
    y.server = NULL;
    fake_ops.close(&s->ps, "died");
    fake_run_all();
    up(&p[0]->shards[0]);
    assert_non_null(x.server);
    fake_release(&x);
    for (int i = 0; i < 2; i++) {
        pool_directory_remove(dir, p[i]);
        for (int j = 0; j < 2; j++)
            pool_shard_retire(&p[i]->shards[j]);
        fake_run_all();
        assert_true(pool_drained(p[i]));
        pool_destroy(p[i]);
    }
    assert_int_equal(pw_atomic_load(&db.used), 0);
    assert_int_equal(pw_atomic_load(&db.starved), 0);
    pool_directory_destroy(dir);
    unmake();
}

static void reserve_and_forced(void **state)
{
    (void)state;
    make(1, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    assert_false(pool_grow(&pool->shards[0], POOL_GROW_RESERVE));
    pw_atomic_store(&pool->reserve_max, 1);
    assert_true(pool_grow(&pool->shards[0], POOL_GROW_RESERVE));
    assert_int_equal(pool_size_used(pool), 2);
    assert_false(pool_grow(&pool->shards[0], POOL_GROW_RESERVE));
    assert_true(pool_grow(&pool->shards[0], POOL_GROW_FORCED));
    assert_int_equal(pool_size_used(pool), 3);
    FakeServer *reserve = fake_connecting(&pool->shards[0]);
    FakeServer *forced = (FakeServer *)TAILQ_NEXT(&reserve->ps, link);
    assert_true(forced->ps.forced);
    fake_ops.close(&forced->ps, "cancel sent");
    pool_server_up(&reserve->ps);
    assert_non_null(c[1].server);
    fake_release(&c[0]);
    fake_release(&c[1]);
    unmake();
}

static void pause_keeps_waiters_and_closes_releases(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    for (unsigned i = 0; i < 2; i++)
        pool_block(&pool->shards[i], true);
    FakeServer *s = (FakeServer *)c[0].server;
    fake_release(&c[0]);
    fake_run_all();
    assert_true(s->closed);
    assert_null(c[1].server);
    assert_int_equal(pool_size_used(pool), 0);
    for (unsigned i = 0; i < 2; i++)
        pool_block(&pool->shards[i], false);
    fake_run_all();
    assert_int_equal(pool_size_used(pool), 1);
    up(&pool->shards[1]);
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    unmake();
}

static void raised_limit_and_kick(void **state)
{
    (void)state;
    make(2, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    fake_acquire(&c[1]);
    fake_acquire(&c[2]);
    fake_run_all();
    assert_int_equal(fake_connects, 1);
    pw_atomic_store(&pool->size.max, 2);
    pool_kick(&pool->shards[0]);
    pool_kick(&pool->shards[1]);
    fake_run_all();
    assert_int_equal(fake_connects, 2);
    for (unsigned i = 0; i < 2; i++)
        if (fake_connecting(&pool->shards[i]))
            up(&pool->shards[i]);
    fake_run_all();
    assert_true(!!c[1].server + !!c[2].server == 1);
    fake_release(&c[0]);
    fake_run_all();
    assert_true(c[1].server && c[2].server);
    fake_release(&c[1]);
    fake_release(&c[2]);
    unmake();
}

static void retire_fails_waiters_and_drains(void **state)
{
    (void)state;
    make(2, 2);
    warm(&pool->shards[0], 2);
    fake_acquire(&c[0]);
    fake_acquire(&c[2]);
    fake_acquire(&c[1]);
    fake_release(&c[2]); /* in transit to worker 1 while the pool is retired */
    pool_shard_retire(&pool->shards[0]);
    pool_shard_retire(&pool->shards[1]);
    assert_int_equal(c[1].failed, PW_ERR_SHUTDOWN);
    assert_false(pool_drained(pool));
    fake_run_all();
    assert_false(pool_drained(pool)); /* c[0] holds one */
    fake_release(&c[0]);
    assert_true(pool_drained(pool));
    fake_acquire(&c[3]);
    assert_int_equal(c[3].failed, PW_ERR_SHUTDOWN);
    unmake();
}

static void taken_server_can_come_back(void **state)
{
    (void)state;
    make(1, 1);
    warm(&pool->shards[0], 1);
    PoolServer *s = TAILQ_FIRST(&pool->shards[0].idle);
    pool_take(s);
    assert_int_equal(s->state, POOL_SERVER_ACTIVE);
    fake_acquire(&c[0]);
    assert_null(c[0].server);
    pool_release(&pool->shards[0], s);
    assert_ptr_equal(c[0].server, s);
    fake_release(&c[0]);
    unmake();
}

static FakeClient *refail;
static void acquire_again(PoolWaiter *w, PwErr why)
{
    (void)why;
    ((FakeClient *)w)->failed = why;
    refail->shard = ((FakeClient *)w)->shard;
    pool_acquire(((FakeClient *)w)->shard, w);
}

static void failing_waiters_may_come_again(void **state)
{
    (void)state;
    make(1, 1);
    warm(&pool->shards[0], 1);
    fake_acquire(&c[0]);
    refail = &c[1];
    const PoolWaiterOps ops = {.on_server = c[1].w.ops->on_server, .on_fail = acquire_again};
    c[1].w.ops = &ops;
    fake_acquire(&c[1]);
    fake_acquire(&c[2]);
    pool_fail_waiters(&pool->shards[0], PW_ERR_TIMEOUT);
    assert_int_equal(c[1].failed, PW_ERR_TIMEOUT);
    assert_int_equal(c[2].failed, PW_ERR_TIMEOUT);
    assert_int_equal(pool->shards[0].n_waiting, 1);
    fake_release(&c[0]);
    assert_non_null(c[1].server);
    fake_release(&c[1]);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_client_opens_a_server),
        cmocka_unit_test(waiters_are_served_in_order),
        cmocka_unit_test(growth_is_one_connect_per_waiter),
        cmocka_unit_test(lifo_and_round_robin),
        cmocka_unit_test(idle_server_of_another_worker_is_handed_over),
        cmocka_unit_test(release_hands_over_to_an_older_waiter),
        cmocka_unit_test(own_waiters_pass_at_most_eight_times),
        cmocka_unit_test(newcomer_does_not_jump),
        cmocka_unit_test(waiters_rely_on_their_own_servers_for_a_while),
        cmocka_unit_test(waiters_without_own_servers_do_not_wait),
        cmocka_unit_test(a_server_is_held_until_it_may_pass_again),
        cmocka_unit_test(holding_is_rationed),
        cmocka_unit_test(waiter_vanishes_while_its_server_travels),
        cmocka_unit_test(server_dies_in_transit),
        cmocka_unit_test(a_refused_connect_waits_for_a_kick),
        cmocka_unit_test(failed_connect_is_tried_again),
        cmocka_unit_test(keep_ticket_takes_the_old_place),
        cmocka_unit_test(limits_are_exact_and_wake_other_pools),
        cmocka_unit_test(reserve_and_forced),
        cmocka_unit_test(pause_keeps_waiters_and_closes_releases),
        cmocka_unit_test(raised_limit_and_kick),
        cmocka_unit_test(retire_fails_waiters_and_drains),
        cmocka_unit_test(taken_server_can_come_back),
        cmocka_unit_test(failing_waiters_may_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
