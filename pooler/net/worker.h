/* SPDX-License-Identifier: ISC */
/* worker.h - one event loop on one thread: libevent base, mailbox, scratch buffer, coarse clock, deferred frees.
 *
 * Everything here is called on the worker's own thread unless it says otherwise. */
#ifndef POOLER_NET_WORKER_H
#define POOLER_NET_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pooler/net/mailbox.h"
#include "poolwise/err.h"
#include "poolwise/time.h"

struct event;
struct event_base;
struct SendBatch;

#define WORKER_MAX 64
/* Bytes read at once. A loop turn's bytes are walked here and sent straight on; connections own no buffer. Three of the largest
 * TCP segments (65,535 bytes less the headers): a little more, as a power of two would be, goes out as a small segment of its own. */
#define WORKER_SCRATCH_SIZE (3 * 65483)
/* Room in front of the scratch buffer for the held part of a message (header or partial message). */
#define WORKER_SCRATCH_HEADROOM (32 * 1024)

/* Embedded in an object that may be freed while its events are still being run in this loop turn. */
typedef struct WorkerDeferred {
    struct WorkerDeferred *next;
    void (*free_it)(struct WorkerDeferred *d);
} WorkerDeferred;

typedef struct Worker {
    unsigned index;
    struct event_base *base;
    Mailbox mailbox;
    struct event *mail_event;
    uint8_t *scratch; /* [HEADROOM + SIZE]; valid within one callback */
    PwUsec clock;     /* coarse monotonic, see worker_now */
    bool clock_stale;
    WorkerDeferred *deferred;
    struct SendBatch *batch; /* NULL: each send is a call of its own (stream.h) */
    void *app; /* the WorkerCtx of pooler/pool/context.h */
    pthread_t thread;
    bool (*turn_end)(struct Worker *w); /* see worker_at_turn_end; NULL: nothing */
    bool stop;
    uint64_t turns; /* loop turns, for SHOW WORKERS */
    struct event **unwatched; /* [size_unwatched], n_unwatched of them: see worker_watch */
    unsigned n_unwatched, size_unwatched;
    PwUsec failed_told; /* of the loop itself; 0: never */
} Worker;

/* Creates and destroys all workers. Main thread, before start and after join. */
PW_MUSTCHECK PwErr workers_create(unsigned count);
void workers_destroy(void);
unsigned workers_count(void);
Worker *worker_get(unsigned index); /* any thread after workers_create */

/* Starts the threads of workers 1..n-1; worker 0 is the caller's thread and runs in workers_run_main. */
PW_MUSTCHECK PwErr workers_start(void);
void workers_run_main(void); /* returns after worker_stop on worker 0 */
void workers_join(void);
void worker_stop(Worker *w); /* own thread: the loop ends after this turn */

/* Runs what is in the mailbox, as its signal does; for the tick, should a signal have failed. */
void worker_read_mail(Worker *w);

/* Posts to a worker's mailbox. Any thread. */
void worker_post(unsigned index, MailNode *node);

/* Coarse monotonic time: read once per loop turn. */
PwUsec worker_clock_read(Worker *w);
static inline PwUsec worker_now(Worker *w)
{
    return PW_UNLIKELY(w->clock_stale) ? worker_clock_read(w) : w->clock;
}

/* event_add and event_del of a socket's event. What the kernel refuses to watch (no memory, fs.epoll.max_user_watches) is tried again
 * after each turn until it works: a socket that nobody watches would hang for ever. */
void worker_watch(Worker *w, struct event *event);
void worker_unwatch(Worker *w, struct event *event);

/* Runs d->free_it at the end of this loop turn. */
void worker_defer(Worker *w, WorkerDeferred *d);

/* Sends now what this turn has put off (stream_send_soon). */
void worker_flush(Worker *w);

/* `run` is called once this turn's events are done and what they sent is out. While it returns true it is called again at
 * the end of the next turn, which then does not sleep. There is one for each worker: a second one replaces it. */
static inline void worker_at_turn_end(Worker *w, bool (*run)(Worker *w))
{
    w->turn_end = run;
}

/* Visits all workers in order (0, 1, ..) carrying `arg`, then runs `done` on the origin. The visits are
 * one after the other, so `arg` needs no lock. Any worker may start one; many may be under way. */
void worker_tour(Worker *origin, void (*visit)(Worker *w, void *arg), void (*done)(Worker *origin, void *arg),
                 void *arg);

#endif
