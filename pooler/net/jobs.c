/* SPDX-License-Identifier: ISC */
/* Everything in Jobs below `lock` is guarded by it. A job is in the queue, on a thread, or in its worker's mailbox (`posted`); only
 * the first of these lets job_cancel take it back at once. */
#include "pooler/net/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "pooler/net/worker.h"
#include "poolwise/mem.h"

struct Jobs {
    JobsOptions options;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    TAILQ_HEAD(JobList, Job) queue, posted;
    unsigned waiting, running;
    unsigned n_threads; /* made or being made */
    unsigned n_idle;
    unsigned n_ids;
    pthread_t ids[JOBS_THREADS_MAX];
    bool stop;
};

Jobs *jobs_create(const JobsOptions *options)
{
    Jobs *jobs = pw_xcalloc(1, sizeof(*jobs));
    jobs->options = *options;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->wake, NULL);
    TAILQ_INIT(&jobs->queue);
    TAILQ_INIT(&jobs->posted);
    return jobs;
}

static Job *take(Jobs *jobs)
{
    Job *job = TAILQ_FIRST(&jobs->queue);
    TAILQ_REMOVE(&jobs->queue, job, link);
    job->queued = false;
    jobs->waiting--;
    return job;
}

static void run_done(MailNode *node)
{
    Job *job = (Job *)((char *)node - offsetof(Job, node));
    pthread_mutex_lock(&job->pool->lock);
    TAILQ_REMOVE(&job->pool->posted, job, link);
    pthread_mutex_unlock(&job->pool->lock);
    job->done(job);
}

static void *thread_main(void *arg)
{
    Jobs *jobs = arg;
    /* On Linux niceness belongs to the thread. A refusal costs nothing but that. */
    if (jobs->options.nice && setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + jobs->options.nice) != 0)
        errno = 0;
    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        while (!jobs->stop && TAILQ_EMPTY(&jobs->queue)) {
            jobs->n_idle++;
            pthread_cond_wait(&jobs->wake, &jobs->lock);
            jobs->n_idle--;
        }
        if (jobs->stop)
            break;
        Job *job = take(jobs);
        jobs->running++;
        pthread_mutex_unlock(&jobs->lock);
        if (!job_is_cancelled(job))
            job->run(job);
        pthread_mutex_lock(&jobs->lock);
        jobs->running--;
        TAILQ_INSERT_TAIL(&jobs->posted, job, link);
        if (!jobs->stop) /* else the worker is gone; under the lock, so that it cannot go meanwhile */
            worker_post(job->worker, &job->node);
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

static bool add_thread(Jobs *jobs)
{
    sigset_t all, old;
    pthread_t id;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&id, NULL, thread_main, jobs);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_mutex_lock(&jobs->lock);
    if (rc)
        jobs->n_threads--;
    else
        jobs->ids[jobs->n_ids++] = id;
    pthread_mutex_unlock(&jobs->lock);
    if (!rc)
        (void)pthread_setname_np(id, jobs->options.name);
    return rc == 0;
}

bool jobs_submit(Jobs *jobs, Job *job, unsigned worker)
{
    job->pool = jobs;
    job->worker = worker;
    job->node.run = run_done;
    pw_atomic_init(&job->cancelled, 0);
    pthread_mutex_lock(&jobs->lock);
    bool ok = !jobs->stop && jobs->waiting < jobs->options.queue;
    bool grow = ok && jobs->waiting >= jobs->n_idle && jobs->n_threads < jobs->options.threads;
    if (ok) {
        job->queued = true;
        TAILQ_INSERT_TAIL(&jobs->queue, job, link);
        jobs->waiting++;
        if (grow)
            jobs->n_threads++;
        pthread_cond_signal(&jobs->wake);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!grow || add_thread(jobs))
        return ok;
    /* No new thread. If there is none at all, or the queue moved on without us, the job is served all the same. */
    pthread_mutex_lock(&jobs->lock);
    ok = jobs->n_threads > 0 || !job->queued;
    if (!ok) {
        TAILQ_REMOVE(&jobs->queue, job, link);
        job->queued = false;
        jobs->waiting--;
    }
    pthread_mutex_unlock(&jobs->lock);
    return ok;
}

void job_cancel(Job *job)
{
    Jobs *jobs = job->pool;
    pw_atomic_store(&job->cancelled, 1);
    pthread_mutex_lock(&jobs->lock);
    bool back = job->queued;
    if (back) {
        TAILQ_REMOVE(&jobs->queue, job, link);
        job->queued = false;
        jobs->waiting--;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (back)
        job->done(job);
}

void jobs_stats(Jobs *jobs, JobsStats *ret_stats)
{
    pthread_mutex_lock(&jobs->lock);
    *ret_stats = (JobsStats){jobs->n_threads, jobs->waiting, jobs->running};
    pthread_mutex_unlock(&jobs->lock);
}

/* The threads and the workers are gone. */
static void drop_all(struct JobList *list)
{
    Job *job;
    while ((job = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, job, link);
        job->drop(job);
    }
}

bool jobs_destroy(Jobs *jobs)
{
    if (!jobs)
        return true;
    pthread_mutex_lock(&jobs->lock);
    jobs->stop = true;
    pthread_cond_broadcast(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 1;
    unsigned left = 0;
    for (unsigned i = 0; i < jobs->n_ids; i++)
        if (pthread_timedjoin_np(jobs->ids[i], NULL, &end) != 0)
            jobs->ids[left++] = jobs->ids[i];
    jobs->n_ids = left;
    if (left)
        return false;
    drop_all(&jobs->queue);
    drop_all(&jobs->posted);
    pthread_mutex_destroy(&jobs->lock);
    pthread_cond_destroy(&jobs->wake);
    free(jobs);
    return true;
}
