/* SPDX-License-Identifier: ISC */
/* app_query_log.c - writes the query log: a tour collects an interval, a thread of its own writes it.
 *
 *   main worker's tick -> tour over the tables -> hand the merge to the thread -> one write
 *
 * Only one interval is under way; if the disk is slow the next one covers the longer time. */
#include <errno.h>
#include <string.h>

#include "pooler/app/app_priv.h"
#include "poolwise/log.h"

static struct {
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    QueryMerge *merge; /* to be written, or NULL */
    PwUsec start, end; /* of that interval, wall clock */
    bool stop, reopen, running;
    PW_ATOMIC(int) under_way; /* from the start of the tour to the end of the write */
    PwUsec last_mono, last_wall; /* main worker: when the current interval began */
} ql = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static const char *configured_path(char *buf, size_t size)
{
    pthread_mutex_lock(&app.lock);
    const char *path = app.config->query_log;
    size_t n = path ? strlen(path) : 0;
    if (n >= size)
        n = 0;
    memcpy(buf, path ? path : "", n);
    buf[n] = '\0';
    pthread_mutex_unlock(&app.lock);
    return buf;
}

static void write_one(CaptureWriter **writer, QueryMerge *merge, PwUsec start, PwUsec end, bool reopen)
{
    char path[4096];
    configured_path(path, sizeof(path));
    if (*writer && (!path[0] || strcmp(capture_writer_path(*writer), path) != 0)) {
        capture_writer_destroy(*writer);
        *writer = NULL;
    }
    if (!path[0])
        return;
    bool is_new = !*writer;
    if (is_new)
        *writer = capture_writer_create(path, workers_count());
    if (reopen && capture_writer_reopen(*writer) != PW_OK) {
        if (is_new)
            pw_log(PW_LOG_ERROR, "cannot open query_log \"%s\": %s (hint: the user that the pooler runs as must be able to write it)",
                   path, strerror(errno));
        else
            pw_log(PW_LOG_ERROR, "cannot reopen query_log \"%s\": %s; the old file stays in use", path, strerror(errno));
    }
    if (merge && capture_write_interval(*writer, merge, start, end) != PW_OK)
        pw_log(PW_LOG_ERROR, "cannot write query_log \"%s\": %s; an interval is lost", path, strerror(errno));
}

static void *thread_main(void *arg)
{
    (void)arg;
    CaptureWriter *writer = NULL;
    pthread_mutex_lock(&ql.lock);
    for (;;) {
        while (!ql.merge && !ql.stop && !ql.reopen)
            pthread_cond_wait(&ql.changed, &ql.lock);
        if (!ql.merge && ql.stop)
            break;
        QueryMerge *merge = ql.merge;
        bool reopen = ql.reopen;
        PwUsec start = ql.start, end = ql.end;
        ql.merge = NULL;
        ql.reopen = false;
        pthread_mutex_unlock(&ql.lock);
        write_one(&writer, merge, start, end, reopen);
        query_merge_destroy(merge);
        if (merge)
            pw_atomic_store(&ql.under_way, 0);
        pthread_mutex_lock(&ql.lock);
    }
    pthread_mutex_unlock(&ql.lock);
    capture_writer_destroy(writer);
    return NULL;
}

PwErr query_log_start(void)
{
    ql.last_mono = pw_time_mono();
    ql.last_wall = pw_time_wall();
    ql.reopen = true; /* a file that cannot be written is told now, not after the first interval */
    int rc = pthread_create(&ql.thread, NULL, thread_main, NULL);
    ql.running = rc == 0;
    errno = rc;
    return rc ? PW_ERR_IO : PW_OK;
}

static void collect(Worker *w, void *arg)
{
    if (worker_ctx(w)->queries)
        query_table_collect(worker_ctx(w)->queries, arg);
}

static void hand_over(Worker *origin, void *arg)
{
    (void)origin;
    query_merge_sort(arg);
    pthread_mutex_lock(&ql.lock);
    ql.merge = arg;
    pthread_cond_signal(&ql.changed);
    pthread_mutex_unlock(&ql.lock);
}

static void begin_interval(PwUsec now)
{
    pthread_mutex_lock(&ql.lock);
    ql.start = ql.last_wall;
    ql.end = pw_time_wall();
    ql.last_mono = now;
    ql.last_wall = ql.end;
    pthread_mutex_unlock(&ql.lock);
}

void query_log_tick(PwUsec now)
{
    const Config *c = app.ctxs[0].config;
    if (!c->query_log || !c->query_log[0] || !app.ctxs[0].queries || c->query_log_interval <= 0 ||
        now - ql.last_mono < c->query_log_interval || pw_atomic_load(&ql.under_way))
        return;
    pw_atomic_store(&ql.under_way, 1);
    begin_interval(now);
    worker_tour(worker_get(0), collect, hand_over, query_merge_create(QUERY_COLLECT_INTERVAL));
}

void query_log_reopen(void)
{
    pthread_mutex_lock(&ql.lock);
    ql.reopen = true;
    pthread_cond_signal(&ql.changed);
    pthread_mutex_unlock(&ql.lock);
}

/* The workers have ended: the last, shorter interval is collected here. */
void query_log_stop(void)
{
    if (!ql.running)
        return;
    const Config *c = app.config;
    if (c->query_log && c->query_log[0] && !pw_atomic_load(&ql.under_way)) {
        QueryMerge *merge = query_merge_create(QUERY_COLLECT_INTERVAL);
        for (unsigned i = 0; i < workers_count(); i++)
            collect(worker_get(i), merge);
        begin_interval(pw_time_mono());
        hand_over(NULL, merge);
    }
    pthread_mutex_lock(&ql.lock);
    ql.stop = true;
    pthread_cond_signal(&ql.changed);
    pthread_mutex_unlock(&ql.lock);
    pthread_join(ql.thread, NULL);
    ql.running = false;
}
