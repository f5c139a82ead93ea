/* SPDX-License-Identifier: ISC */
#include "advisor/lanes.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct Run {
    AdvLaneWork work;
    void *arg;
    int n_items;
    atomic_int next; /* the item that nobody has yet; which one is open, so relaxed order does */
} Run;

typedef struct Lane {
    Run *run;
    int number;
    pthread_t thread;
} Lane;

static void *go(void *arg)
{
    const Lane *lane = arg;
    Run *run = lane->run;
    for (int item; (item = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed)) < run->n_items;)
        run->work(run->arg, lane->number, item);
    return NULL;
}

void adv_lanes_run(int lanes, int n_items, AdvLaneWork work, void *arg)
{
    Run run = {.work = work, .arg = arg, .n_items = n_items};
    Lane all[ADV_LANES_MAX];
    int n = lanes < n_items ? lanes : n_items, started = 1;
    n = n < ADV_LANES_MAX ? n : ADV_LANES_MAX;
    /* Signals are the first thread's business. */
    sigset_t every, before;
    sigfillset(&every);
    bool blocked = n > 1 && pthread_sigmask(SIG_BLOCK, &every, &before) == 0;
    for (; started < n; started++) {
        all[started] = (Lane){.run = &run, .number = started};
        if (pthread_create(&all[started].thread, NULL, go, &all[started]) != 0)
            break; /* the others do its work */
    }
    if (blocked)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    all[0] = (Lane){.run = &run, .number = 0};
    go(&all[0]);
    for (int i = 1; i < started; i++)
        pthread_join(all[i].thread, NULL);
}
