/* SPDX-License-Identifier: ISC */
#include "pooler/net/tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct OptionRow {
    int level;
    int name;
    int value;
    bool set;
} OptionRow;

static bool domain_of(int fd, int *ret_domain)
{
    socklen_t len = sizeof(*ret_domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, ret_domain, &len) == 0;
}

static bool is_inet(int domain)
{
    return domain == AF_INET || domain == AF_INET6;
}

static PwErr set_rows(int fd, const OptionRow *rows, size_t n)
{
    int first = 0;
    for (size_t i = 0; i < n; i++) {
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

/* `inherited`: for a listening socket, whose connections get all of them: none keeps an older value, and the sizes of buffers
 * are left to each connection. */
static PwErr set_tune(int fd, const NetTune *tune, bool inherited)
{
    bool alive = tune->tcp_keepalive;
    bool sized = !inherited && tune->tcp_socket_buffer > 0;
    const OptionRow rows[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1, true},
        {SOL_SOCKET, SO_KEEPALIVE, alive, true},
        {IPPROTO_TCP, TCP_KEEPIDLE, tune->tcp_keepidle, alive && tune->tcp_keepidle > 0},
        {IPPROTO_TCP, TCP_KEEPINTVL, tune->tcp_keepintvl, alive && tune->tcp_keepintvl > 0},
        {IPPROTO_TCP, TCP_KEEPCNT, tune->tcp_keepcnt, alive && tune->tcp_keepcnt > 0},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, tune->tcp_user_timeout, inherited || tune->tcp_user_timeout > 0},
        {SOL_SOCKET, SO_SNDBUF, tune->tcp_socket_buffer, sized},
        {SOL_SOCKET, SO_RCVBUF, tune->tcp_socket_buffer, sized},
    };
    return set_rows(fd, rows, PW_ARRAY_LEN(rows));
}

PwErr net_socket_tune(int fd, const NetTune *tune)
{
    int domain;
    if (!domain_of(fd, &domain))
        return PW_ERR_IO;
    return is_inet(domain) ? set_tune(fd, tune, false) : PW_OK;
}

/* `fresh` is a socket on which nobody has set anything. */
static int value_or_default(int value, int fresh, int name)
{
    socklen_t len = sizeof(value);
    if (value <= 0 && getsockopt(fresh, IPPROTO_TCP, name, &value, &len) < 0)
        return 0;
    return value;
}

PwErr net_listener_tune(int fd, const NetTune *tune)
{
    int domain;
    if (!domain_of(fd, &domain))
        return PW_ERR_IO;
    if (!is_inet(domain))
        return PW_OK;
    int fresh = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fresh < 0)
        return PW_ERR_IO;
    NetTune whole = *tune;
    whole.tcp_keepidle = value_or_default(tune->tcp_keepidle, fresh, TCP_KEEPIDLE);
    whole.tcp_keepintvl = value_or_default(tune->tcp_keepintvl, fresh, TCP_KEEPINTVL);
    whole.tcp_keepcnt = value_or_default(tune->tcp_keepcnt, fresh, TCP_KEEPCNT);
    close(fresh);
    return set_tune(fd, &whole, true);
}
