/* SPDX-License-Identifier: ISC */
/* listener_priv.h - between listener_open.c, which fills it, and listener.c. */
#ifndef POOLER_NET_LISTENER_PRIV_H
#define POOLER_NET_LISTENER_PRIV_H

#include <event2/event.h>
#include <sys/stat.h>

#include "pooler/net/listener.h"

typedef struct ListenSocket {
    Listener *listener;
    int fd; /* -1: closed */
    NetAddr addr;
    struct event *event;
    /* Connections inherit the tcp_* options, but those that were queued before the options were set here do not: until the
     * queue was seen empty once, each gets them for itself. */
    bool untuned;
    /* The file that bind() made, to be removed only if it is still the same one. */
    char *path; /* NULL: not ours to remove */
    dev_t dev;
    ino_t ino;
} ListenSocket;

struct Listener {
    ListenSocket **sockets; /* only open ones */
    size_t count;
    NetTune tune;
    bool tune_warned;
    uint16_t port; /* of the unix socket's name */

    ListenerOnAccept on_accept; /* NULL: not started */
    void *arg;
    bool suspended;
    bool starved; /* waits for `retry` */
    bool starved_told;
    struct event *retry;
};

#endif
