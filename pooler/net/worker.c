/* SPDX-License-Identifier: ISC */
#include "pooler/net/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pooler/net/send_batch.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

/* Mail handled in one go; what is left waits for the sockets' turn. */
#define MAIL_BATCH 256
/* After the kernel refused to wait for events: no busy loop. */
#define FAILED_PAUSE_MS 10

static Worker *workers;
static unsigned n_workers;

/* ---- life ---- */

void worker_read_mail(Worker *w)
{
    /* By way of the next turn: libevent would run an event that is made active here within this one, and before it has looked
     * at the sockets. */
    if (mailbox_drain(&w->mailbox, MAIL_BATCH))
        mailbox_signal(&w->mailbox);
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count)); /* if it fails there is mail nevertheless, and we are called again */
    (void)n;
    worker_read_mail(arg);
}

static PwErr worker_init(Worker *w, unsigned index)
{
    w->index = index;
    w->clock_stale = true;
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return PW_ERR_NOMEM;
    /* No locks: a base is touched by its own thread only. No cached time: worker_now has its own. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    w->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    if (!w->base)
        return PW_ERR_NOMEM;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return PW_ERR_IO;
    mailbox_init(&w->mailbox, fd);
    w->mail_event = event_new(w->base, fd, EV_READ | EV_PERSIST, on_mail, w);
    w->scratch = pw_xmalloc(WORKER_SCRATCH_HEADROOM + WORKER_SCRATCH_SIZE);
    return w->mail_event && event_add(w->mail_event, NULL) == 0 ? PW_OK : PW_ERR_NOMEM;
}

PwErr workers_create(unsigned count)
{
    workers = pw_xcalloc(count, sizeof(*workers));
    n_workers = count;
    for (unsigned i = 0; i < count; i++) {
        workers[i].mailbox.event_fd = -1;
        PwErr err = worker_init(&workers[i], i);
        if (err) {
            workers_destroy();
            return err;
        }
    }
    return PW_OK;
}

static void run_deferred(Worker *w)
{
    while (w->deferred) {
        WorkerDeferred *d = w->deferred;
        w->deferred = d->next;
        d->free_it(d);
    }
}

void workers_destroy(void)
{
    for (unsigned i = 0; i < n_workers; i++) {
        Worker *w = &workers[i];
        run_deferred(w);
        send_batch_destroy(w->batch);
        if (w->mail_event)
            event_free(w->mail_event);
        if (w->mailbox.event_fd >= 0)
            close(w->mailbox.event_fd);
        if (w->base)
            event_base_free(w->base);
        free(w->scratch);
        free(w->unwatched);
    }
    free(workers);
    workers = NULL;
    n_workers = 0;
}

unsigned workers_count(void)
{
    return n_workers;
}

Worker *worker_get(unsigned index)
{
    return &workers[index];
}

/* ---- running ---- */

void worker_flush(Worker *w)
{
    if (w->batch && !send_batch_is_empty(w->batch))
        send_batch_flush(w->batch);
}

static PW_COLD void watch_later(Worker *w, struct event *event)
{
    int error = errno;
    for (unsigned i = 0; i < w->n_unwatched; i++)
        if (w->unwatched[i] == event)
            return;
    if (w->n_unwatched == w->size_unwatched) {
        w->size_unwatched = w->size_unwatched ? 2 * w->size_unwatched : 16;
        w->unwatched = pw_xrealloc(w->unwatched, w->size_unwatched * sizeof(*w->unwatched));
    }
    w->unwatched[w->n_unwatched++] = event;
    if (w->n_unwatched == 1)
        pw_log(PW_LOG_WARNING, "cannot watch a socket: %s, trying again (hint: memory of the machine, sysctl fs.epoll.max_user_watches)",
               strerror(error));
}

static PW_COLD void watch_again(Worker *w)
{
    while (w->n_unwatched > 0 && event_add(w->unwatched[w->n_unwatched - 1], NULL) == 0)
        w->n_unwatched--;
    if (w->n_unwatched == 0)
        pw_log(PW_LOG_LOG, "all sockets are watched again");
}

void worker_watch(Worker *w, struct event *event)
{
    if (PW_UNLIKELY(event_add(event, NULL) != 0))
        watch_later(w, event);
}

void worker_unwatch(Worker *w, struct event *event)
{
    event_del(event);
    for (unsigned i = 0; PW_UNLIKELY(i < w->n_unwatched); i++)
        if (w->unwatched[i] == event)
            w->unwatched[i--] = w->unwatched[--w->n_unwatched];
}

/* A loop that ends would leave all its clients hanging. */
static PW_COLD void loop_failed(Worker *w)
{
    int error = errno;
    PwUsec now = pw_time_mono();
    if (w->failed_told == 0 || now - w->failed_told >= PW_USEC_PER_SEC) {
        pw_log(PW_LOG_ERROR, "event loop %u: cannot wait for events: %s, trying again", w->index, strerror(error));
        w->failed_told = now;
    }
    (void)poll(NULL, 0, FAILED_PAUSE_MS);
}

static PW_COLD void end_turn(Worker *w)
{
    if (!w->turn_end(w))
        w->turn_end = NULL;
    worker_flush(w);
    w->clock_stale = true; /* the next turn may begin with a long sleep */
}

static void loop(Worker *w)
{
    worker_flush(w); /* what was sent before the loop began */
    while (!w->stop) {
        if (event_base_loop(w->base, w->turn_end ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE) < 0)
            loop_failed(w);
        w->clock_stale = true;
        w->turns++;
        worker_flush(w); /* before memory goes that its entries point to */
        if (PW_UNLIKELY(w->turn_end != NULL))
            end_turn(w);
        if (w->deferred)
            run_deferred(w);
        if (PW_UNLIKELY(w->n_unwatched > 0))
            watch_again(w);
    }
}

static void *thread_main(void *arg)
{
    loop(arg);
    return NULL;
}

PwErr workers_start(void)
{
    /* Signals are worker 0's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    PwErr err = PW_OK;
    for (unsigned i = 1; i < n_workers && !err; i++) {
        int rc = pthread_create(&workers[i].thread, NULL, thread_main, &workers[i]);
        if (rc) {
            errno = rc;
            n_workers = i;
            err = PW_ERR_IO;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

void workers_run_main(void)
{
    loop(&workers[0]);
}

void workers_join(void)
{
    for (unsigned i = 1; i < n_workers; i++)
        pthread_join(workers[i].thread, NULL);
}

void worker_stop(Worker *w)
{
    w->stop = true;
}

void worker_post(unsigned index, MailNode *node)
{
    mailbox_post(&workers[index].mailbox, node);
}

PwUsec worker_clock_read(Worker *w)
{
    w->clock_stale = false;
    w->clock = pw_time_mono();
    return w->clock;
}

void worker_defer(Worker *w, WorkerDeferred *d)
{
    d->next = w->deferred;
    w->deferred = d;
}

/* ---- tours ---- */

typedef struct Tour {
    MailNode node; /* first: the mailbox hands it back */
    unsigned origin, next;
    void (*visit)(Worker *w, void *arg);
    void (*done)(Worker *origin, void *arg);
    void *arg;
} Tour;

static void tour_step(MailNode *node)
{
    Tour *t = (Tour *)node;
    if (t->next == n_workers) {
        Worker *origin = &workers[t->origin];
        void (*done)(Worker *, void *) = t->done;
        void *arg = t->arg;
        free(t);
        if (done)
            done(origin, arg);
        return;
    }
    Worker *w = &workers[t->next++];
    t->visit(w, t->arg);
    worker_post(t->next == n_workers ? t->origin : t->next, &t->node);
}

void worker_tour(Worker *origin, void (*visit)(Worker *w, void *arg), void (*done)(Worker *origin, void *arg),
                 void *arg)
{
    Tour *t = pw_xcalloc(1, sizeof(*t));
    t->node.run = tour_step;
    t->origin = origin->index;
    t->visit = visit;
    t->done = done;
    t->arg = arg;
    worker_post(0, &t->node);
}
