/* SPDX-License-Identifier: ISC */
#include "pooler/net/tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

typedef struct OptionRow {
    int level;
    int name;
    int value;
    bool set;
} OptionRow;

PwErr net_socket_tune(int fd, const NetTune *tune)
{
    int domain;
    socklen_t len = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
        return PW_ERR_IO;
    if (domain != AF_INET && domain != AF_INET6)
        return PW_OK;

    bool alive = tune->tcp_keepalive;
    const OptionRow rows[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1, true},
        {SOL_SOCKET, SO_KEEPALIVE, alive, true},
        {IPPROTO_TCP, TCP_KEEPIDLE, tune->tcp_keepidle, alive && tune->tcp_keepidle > 0},
        {IPPROTO_TCP, TCP_KEEPINTVL, tune->tcp_keepintvl, alive && tune->tcp_keepintvl > 0},
        {IPPROTO_TCP, TCP_KEEPCNT, tune->tcp_keepcnt, alive && tune->tcp_keepcnt > 0},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, tune->tcp_user_timeout, tune->tcp_user_timeout > 0},
        {SOL_SOCKET, SO_SNDBUF, tune->tcp_socket_buffer, tune->tcp_socket_buffer > 0},
        {SOL_SOCKET, SO_RCVBUF, tune->tcp_socket_buffer, tune->tcp_socket_buffer > 0},
    };
    int first = 0;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        if (!rows[i].set)
            continue;
        if (setsockopt(fd, rows[i].level, rows[i].name, &rows[i].value, sizeof(int)) < 0 &&
            first == 0)
            first = errno;
    }
    if (first == 0)
        return PW_OK;
    errno = first;
    return PW_ERR_IO;
}
