/* SPDX-License-Identifier: ISC */
/* jobs.h - work that would block or burden an event loop (key derivation, LDAP, PAM), on threads of its own.
 *
 * A pool has a bounded queue and starts its threads as they are needed. A job holds copies of all it needs: whoever asked for it
 * may be gone before it ends.
 *
 *   worker: jobs_submit --> queue --> run (a thread of the pool) --mailbox--> done (the worker that submitted) */
#ifndef POOLER_NET_JOBS_H
#define POOLER_NET_JOBS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "pooler/net/atomic.h"
#include "pooler/net/mailbox.h"
#include "poolwise/err.h"

#define JOBS_THREADS_MAX 16

typedef struct Jobs Jobs;

/* Embedded in the job's own struct. Set run, done and drop; the rest is private. */
typedef struct Job {
    MailNode node;
    TAILQ_ENTRY(Job) link;
    Jobs *pool;
    unsigned worker; /* that `done` runs on */
    bool queued;     /* under the pool's lock */
    PW_ATOMIC(int) cancelled;
    void (*run)(struct Job *job); /* on a thread of the pool; not called for a job that is cancelled before its turn */
    /* On the worker, exactly once for each job submitted (job_is_cancelled tells whether anybody still waits); frees it. */
    void (*done)(struct Job *job);
    /* In place of `done` when the process ends first, on any thread, with its worker gone: frees it. */
    void (*drop)(struct Job *job);
} Job;

typedef struct JobsOptions {
    const char *name; /* of the threads; at most 15 bytes */
    unsigned threads; /* at most; 1 .. JOBS_THREADS_MAX */
    unsigned queue;   /* jobs that may wait */
    int nice;         /* added to the threads' niceness: event loops come first */
} JobsOptions;

/* Before the workers start. No thread is made yet. */
Jobs *jobs_create(const JobsOptions *options);

/* Jobs that are not done are dropped; waits for running ones for at most a second. False: one still runs, and the
 * pool stays allocated; the process must then end by _exit. After the workers were joined. NULL is fine. */
bool jobs_destroy(Jobs *jobs);

/* From worker `worker`. False: the queue is full or no thread could be made; nothing is called then, the job is the caller's. */
PW_MUSTCHECK bool jobs_submit(Jobs *jobs, Job *job, unsigned worker);

/* The worker that submitted it does not want the result any more. `done` is called from in here when the job had
 * not begun, else later. */
void job_cancel(Job *job);
static inline bool job_is_cancelled(Job *job)
{
    return pw_atomic_load(&job->cancelled) != 0;
}

/* For SHOW and tests. Any thread. */
typedef struct JobsStats {
    unsigned threads, waiting, running;
} JobsStats;
void jobs_stats(Jobs *jobs, JobsStats *ret_stats);

#endif
