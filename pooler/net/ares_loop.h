/* SPDX-License-Identifier: ISC */
/* ares_loop.h - c-ares' sockets and timeouts on a worker's event loop.
 *
 * Embedded by the resolver, which makes the channel with ares_loop_watch as its socket callback and gives it to
 * ares_loop_start. After each question: ares_loop_arm. */
#ifndef POOLER_NET_ARES_LOOP_H
#define POOLER_NET_ARES_LOOP_H

#include <ares.h>
#include <stdbool.h>
#include <sys/queue.h>

struct event;
struct event_base;

typedef struct AresLoop {
    struct event_base *base;
    ares_channel channel; /* owned */
    struct event *timer;
    LIST_HEAD(, AresWatch) watches;
} AresLoop;

/* False: out of memory. `loop` is zeroed before; sockets may be watched from then on. */
bool ares_loop_start(AresLoop *loop, struct event_base *base, ares_channel channel);
/* Destroys the channel: it calls back what is under way and gives up its sockets. */
void ares_loop_stop(AresLoop *loop);

/* For ares_options.sock_state_cb; arg: the AresLoop. */
void ares_loop_watch(void *arg, ares_socket_t fd, int readable, int writable);

void ares_loop_arm(AresLoop *loop);

#endif
