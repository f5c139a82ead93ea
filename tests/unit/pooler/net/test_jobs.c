/* SPDX-License-Identifier: ISC */
#include "pooler/net/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "pooler/net/worker.h"

/* A gate that jobs wait at, so that the test decides when they end. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int inside, ran;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

typedef struct TestJob {
    Job job; /* first */
    int done, dropped, seen_cancelled;
    pthread_t thread;
} TestJob;

static void run(Job *job)
{
    TestJob *t = (TestJob *)job;
    t->thread = pthread_self();
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    gate.ran++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void done(Job *job)
{
    TestJob *t = (TestJob *)job;
    t->done++;
    t->seen_cancelled = job_is_cancelled(job);
}

static void drop(Job *job)
{
    ((TestJob *)job)->dropped++;
}

static void set_gate(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    if (!open)
        gate.ran = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_inside(int n)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.inside < n)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* Drains worker 0's mailbox until `n` jobs of the array are done. */
static void wait_done(TestJob *jobs, int count, int n)
{
    for (;;) {
        int got = 0;
        (void)mailbox_drain(&worker_get(0)->mailbox, 100);
        for (int i = 0; i < count; i++)
            got += jobs[i].done;
        if (got >= n)
            return;
        sched_yield();
    }
}

static Jobs *make(unsigned threads, unsigned queue)
{
    JobsOptions options = {.name = "test", .threads = threads, .queue = queue, .nice = 1};
    set_gate(false);
    return jobs_create(&options);
}

static bool submit(Jobs *jobs, TestJob *t)
{
    *t = (TestJob){.job = {.run = run, .done = done, .drop = drop}};
    return jobs_submit(jobs, &t->job, 0);
}

static void jobs_run_elsewhere_and_come_back(void **state)
{
    (void)state;
    Jobs *jobs = make(2, 10);
    TestJob t[4];
    JobsStats stats;
    jobs_stats(jobs, &stats);
    assert_int_equal(stats.threads, 0);
    for (int i = 0; i < 4; i++)
        assert_true(submit(jobs, &t[i]));
    wait_inside(2);
    jobs_stats(jobs, &stats);
    assert_int_equal(stats.threads, 2); /* never more than asked for */
    assert_int_equal(stats.running, 2);
    assert_int_equal(stats.waiting, 2);
    assert_int_equal(t[0].done, 0);
    set_gate(true);
    wait_done(t, 4, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t[i].done, 1);
        assert_false(t[i].seen_cancelled);
        assert_false(pthread_equal(t[i].thread, pthread_self()));
    }
    assert_true(jobs_destroy(jobs));
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    Jobs *jobs = make(1, 2);
    TestJob t[5];
    assert_true(submit(jobs, &t[0]));
    wait_inside(1);
    assert_true(submit(jobs, &t[1]));
    assert_true(submit(jobs, &t[2]));
    assert_false(submit(jobs, &t[3]));
    job_cancel(&t[1].job); /* makes room at once */
    assert_int_equal(t[1].done, 1);
    assert_true(t[1].seen_cancelled);
    assert_true(submit(jobs, &t[3]));
    set_gate(true);
    wait_done(t, 4, 4);
    assert_int_equal(gate.ran, 3);
    assert_true(jobs_destroy(jobs));
}

static void a_running_job_that_is_cancelled_ends_once(void **state)
{
    (void)state;
    Jobs *jobs = make(1, 2);
    TestJob t[1];
    assert_true(submit(jobs, &t[0]));
    wait_inside(1);
    job_cancel(&t[0].job);
    assert_int_equal(t[0].done, 0);
    set_gate(true);
    wait_done(t, 1, 1);
    assert_int_equal(t[0].done, 1);
    assert_true(t[0].seen_cancelled);
    assert_true(jobs_destroy(jobs));
}

static void the_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    Jobs *jobs = make(1, 2);
    TestJob t[2];
    assert_true(submit(jobs, &t[0]));
    assert_true(submit(jobs, &t[1]));
    wait_inside(1);
    assert_false(jobs_destroy(jobs));
    assert_int_equal(t[0].dropped + t[1].dropped, 0);
    set_gate(true);
    assert_true(jobs_destroy(jobs)); /* now it can */
    assert_int_equal(t[0].done + t[1].done, 0);
    assert_int_equal(t[0].dropped, 1); /* it ran */
    assert_int_equal(t[1].dropped, 1); /* it waited */
    assert_true(jobs_destroy(NULL));
}

static void what_never_reached_its_worker_is_dropped(void **state)
{
    (void)state;
    Jobs *jobs = make(1, 2);
    static TestJob t[1];
    set_gate(true);
    assert_true(submit(jobs, &t[0]));
    JobsStats stats;
    do
        jobs_stats(jobs, &stats);
    while (stats.waiting || stats.running);
    assert_true(jobs_destroy(jobs));
    assert_int_equal(t[0].done, 0);
    assert_int_equal(t[0].dropped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_elsewhere_and_come_back),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_running_job_that_is_cancelled_ends_once),
        cmocka_unit_test(the_end_does_not_wait_for_ever),
        cmocka_unit_test(what_never_reached_its_worker_is_dropped), /* last: the mailbox still names it */
    };
    if (workers_create(1) != PW_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    workers_destroy();
    return failed;
}
