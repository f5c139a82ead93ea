/* SPDX-License-Identifier: ISC */
/* listener.h - the listening sockets of the process and the loop that accepts from them.
 *
 * listener_open() makes no event base and no thread; the unix socket's file belongs to who calls
 * it, so privileges are dropped before. listener_start() attaches the sockets to one worker's
 * base; from then on every call is made on that worker. */
#ifndef POOLER_NET_LISTENER_H
#define POOLER_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"
#include "pooler/net/addr.h"
#include "pooler/net/tune.h"

struct event_base;

typedef struct Listener Listener;

/* Values of the options of the same names; texts are only read during listener_open. */
typedef struct ListenerOptions {
    const char *listen_addr; /* comma list of addresses and names, '*' = all; NULL or "": no TCP */
    uint16_t listen_port;
    const char *unix_socket_dir;   /* NULL or "": no unix socket; '@x' abstract */
    unsigned unix_socket_mode;     /* 0777 */
    const char *unix_socket_group; /* NULL or "": leave */
    int listen_backlog;
    bool so_reuseport;
    bool tcp_defer_accept;
    NetTune tune; /* put on every accepted TCP socket */

    /* Sockets that already listen (systemd's LISTEN_FDS); if any, the addresses above are not
     * opened. */
    const int *inherited;
    size_t inherited_count;
    bool taken_over; /* they come from a process that goes (-R): the unix socket's file is ours now */
} ListenerOptions;

/* The callee owns fd (non-blocking, close-on-exec, tuned). peer->unix_pid is known for unix
 * sockets. May suspend or close the listener, not destroy it. False: no more of them in this
 * turn of the loop; they wait in the kernel's queue. */
typedef bool (*ListenerOnAccept)(void *arg, int fd, const NetAddr *peer, bool is_unix);

/* Opens everything that can be opened and logs each. A TCP address that fails among several is a
 * warning in the log. Fails, with the reason in `why`, when the unix socket is in use or cannot be
 * made, when none of listen_addr works, or when nothing is to be listened on. */
PW_MUSTCHECK PwErr listener_open(const ListenerOptions *options, Listener **ret_listener, char *why,
                                 size_t why_size);

/* Begins to accept. */
PW_MUSTCHECK PwErr listener_start(Listener *listener, struct event_base *base,
                                  ListenerOnAccept on_accept, void *arg);

/* Changes tcp_defer_accept and the socket options of later connections (RELOAD). */
void listener_set_tune(Listener *listener, const NetTune *tune, bool tcp_defer_accept);

/* SUSPEND: connections wait in the kernel's queue. Both may be called at any time, also twice. */
void listener_suspend(Listener *listener);
void listener_resume(Listener *listener);

/* Another process has them all now: closes them here and leaves the unix socket's file. */
void listener_give_away(Listener *listener);

/* Closes the TCP sockets only (SHUTDOWN keeps the unix socket for the console). */
void listener_close_tcp(Listener *listener);

/* Closes all and removes the unix socket's file if it is still the one made here. NULL is fine. */
void listener_destroy(Listener *listener);

/* The open sockets, for SHOW FDS and for the log; i < listener_count. */
size_t listener_count(const Listener *listener);
int listener_fd(const Listener *listener, size_t i);
const NetAddr *listener_addr(const Listener *listener, size_t i);

#endif
