/* SPDX-License-Identifier: ISC */
/* tune.h - the socket options of client and server sockets. Any thread. */
#ifndef POOLER_NET_TUNE_H
#define POOLER_NET_TUNE_H

#include <stdbool.h>

#include "poolwise/err.h"

/* Plain values of the options of the same names; 0 leaves the system's default. */
typedef struct NetTune {
    bool tcp_keepalive;
    int tcp_keepidle;      /* seconds */
    int tcp_keepintvl;     /* seconds */
    int tcp_keepcnt;       /* probes */
    int tcp_user_timeout;  /* milliseconds */
    int tcp_socket_buffer; /* bytes, both directions */
} NetTune;

/* Sets TCP_NODELAY and the options above on a connected or connecting TCP socket; a unix socket
 * has none of them and is left alone. PW_ERR_IO (errno) names the first that failed; the others
 * are still tried. */
PW_MUSTCHECK PwErr net_socket_tune(int fd, const NetTune *tune);

/* The same on a listening TCP socket, whose connections inherit all but tcp_socket_buffer; what is 0 goes back to the
 * system's default there. */
PW_MUSTCHECK PwErr net_listener_tune(int fd, const NetTune *tune);

#endif
