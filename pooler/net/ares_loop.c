/* SPDX-License-Identifier: ISC */
#include "pooler/net/ares_loop.h"

#include "poolwise/mem.h"

#include <event2/event.h>
#include <stdlib.h>

/* One for each socket of c-ares. */
typedef struct AresWatch {
    AresLoop *loop;
    ares_socket_t fd;
    struct event *event;
    LIST_ENTRY(AresWatch) link;
} AresWatch;

void ares_loop_arm(AresLoop *loop)
{
    struct timeval left, *next = ares_timeout(loop->channel, NULL, &left);
    if (next != NULL)
        (void)event_add(loop->timer, next);
    else
        (void)event_del(loop->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    AresLoop *loop = arg;
    ares_process_fd(loop->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    ares_loop_arm(loop);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    const AresWatch *w = arg;
    AresLoop *loop = w->loop; /* the watch may go while c-ares works */
    ares_process_fd(loop->channel, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    ares_loop_arm(loop);
}

static void forget(AresWatch *w)
{
    LIST_REMOVE(w, link);
    if (w->event != NULL)
        event_free(w->event);
    free(w);
}

/* c-ares wants to hear of this socket: of reading, writing, or (both 0) no more. */
void ares_loop_watch(void *arg, ares_socket_t fd, int readable, int writable)
{
    AresLoop *loop = arg;
    AresWatch *w;
    LIST_FOREACH (w, &loop->watches, link)
        if (w->fd == fd)
            break;
    if (!readable && !writable) {
        if (w != NULL)
            forget(w);
        return;
    }
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    if (w == NULL) {
        w = pw_xcalloc(1, sizeof(*w));
        w->loop = loop;
        w->fd = fd;
        LIST_INSERT_HEAD(&loop->watches, w, link);
    } else {
        event_free(w->event);
    }
    w->event = event_new(loop->base, fd, what, on_socket, w);
    if (w->event == NULL || event_add(w->event, NULL) < 0)
        forget(w); /* the question then ends by its timeout */
}

bool ares_loop_start(AresLoop *loop, struct event_base *base, ares_channel channel)
{
    loop->base = base;
    loop->channel = channel;
    loop->timer = evtimer_new(base, on_timer, loop);
    return loop->timer != NULL;
}

void ares_loop_stop(AresLoop *loop)
{
    ares_destroy(loop->channel);
    if (loop->timer != NULL)
        event_free(loop->timer);
}
