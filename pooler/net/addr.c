/* SPDX-License-Identifier: ISC */
#include "pooler/net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_HEAD offsetof(struct sockaddr_un, sun_path)

/* sockaddr_storage is made to be read as any of its kinds. */
static const struct sockaddr_in *as_in(const NetAddr *addr)
{
    return (const struct sockaddr_in *)(const void *)&addr->ss;
}

static const struct sockaddr_in6 *as_in6(const NetAddr *addr)
{
    return (const struct sockaddr_in6 *)(const void *)&addr->ss;
}

static const struct sockaddr_un *as_un(const NetAddr *addr)
{
    return (const struct sockaddr_un *)(const void *)&addr->ss;
}

PwErr net_addr_parse_ip(const char *host, uint16_t port, NetAddr *ret_addr)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= sizeof(text))
        return PW_ERR_SYNTAX;
    memcpy(text, host, len);
    text[len] = '\0';

    NetAddr addr = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&addr.ss;
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        addr.len = sizeof(*in);
        *ret_addr = addr;
        return PW_OK;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&addr.ss;
    char *zone = strchr(text, '%');
    if (zone != NULL)
        *zone++ = '\0';
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return PW_ERR_SYNTAX;
    if (zone != NULL) {
        in6->sin6_scope_id = if_nametoindex(zone);
        if (in6->sin6_scope_id == 0)
            return PW_ERR_SYNTAX;
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    addr.len = sizeof(*in6);
    *ret_addr = addr;
    return PW_OK;
}

PwErr net_addr_parse_unix(const char *path, uint16_t port, NetAddr *ret_addr)
{
    NetAddr addr = {.unix_port = port};
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&addr.ss;
    size_t len = strlen(path);
    if (len == 0)
        return PW_ERR_SYNTAX;
    if (len >= sizeof(un->sun_path))
        return PW_ERR_TOO_LARGE;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len);
    if (path[0] == '@') {
        /* An abstract name is exactly as long as the address says: no NUL at its end. */
        un->sun_path[0] = '\0';
        addr.len = (socklen_t)(UNIX_HEAD + len);
    } else {
        addr.len = (socklen_t)(UNIX_HEAD + len + 1);
    }
    *ret_addr = addr;
    return PW_OK;
}

PwErr net_addr_in_unix_dir(const char *dir, uint16_t port, NetAddr *ret_addr)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
    int n = snprintf(path, sizeof(path), "%s/.s.PGSQL.%u", dir, port);
    if (n < 0 || (size_t)n >= sizeof(path))
        return PW_ERR_TOO_LARGE;
    return net_addr_parse_unix(path, port, ret_addr);
}

bool net_addr_is_unix_name(const char *host)
{
    return host[0] == '/' || host[0] == '@';
}

void net_addr_from_sockaddr(NetAddr *addr, const struct sockaddr *sa, socklen_t len)
{
    *addr = (NetAddr){0};
    if (len > sizeof(addr->ss))
        len = sizeof(addr->ss);
    memcpy(&addr->ss, sa, len);
    addr->len = len;

    const struct sockaddr_in6 *in6 = as_in6(addr);
    if (len >= sizeof(*in6) && addr->ss.ss_family == AF_INET6 &&
        IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6->sin6_port};
        memcpy(&in.sin_addr, &in6->sin6_addr.s6_addr[12], 4);
        memset(&addr->ss, 0, sizeof(addr->ss));
        memcpy(&addr->ss, &in, sizeof(in));
        addr->len = sizeof(in);
    }
}

typedef int (*NameCall)(int fd, struct sockaddr *restrict sa, socklen_t *restrict len);

static PwErr ask_name(int fd, NameCall call, NetAddr *ret_addr)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct sockaddr *sa = (struct sockaddr *)(void *)&ss;
    memset(&ss, 0, sizeof(ss));
    if (call(fd, sa, &len) < 0)
        return PW_ERR_IO;
    net_addr_from_sockaddr(ret_addr, sa, len);
    return PW_OK;
}

PwErr net_addr_of_local(int fd, NetAddr *ret_addr)
{
    return ask_name(fd, getsockname, ret_addr);
}

PwErr net_addr_of_peer(int fd, NetAddr *ret_addr)
{
    return ask_name(fd, getpeername, ret_addr);
}

PwErr net_addr_peer_cred(int fd, NetCred *ret_cred)
{
    int domain;
    socklen_t len = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
        return PW_ERR_IO;
    /* The kernel answers for TCP too, with pid 0 and uid -1: that is nobody. */
    if (domain != AF_UNIX)
        return PW_ERR_UNSUPPORTED;
    struct ucred cred;
    len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return PW_ERR_IO;
    *ret_cred = (NetCred){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    return PW_OK;
}

void net_peer_of(const NetAddr *addr, NetPeer *ret_peer)
{
    NetPeer peer = {.family = (sa_family_t)net_addr_family(addr), .port = net_addr_port(addr)};
    if (peer.family == AF_INET) {
        memcpy(peer.ip, &as_in(addr)->sin_addr, sizeof(as_in(addr)->sin_addr));
    } else if (peer.family == AF_INET6) {
        memcpy(peer.ip, &as_in6(addr)->sin6_addr, sizeof(peer.ip));
        peer.scope = as_in6(addr)->sin6_scope_id;
    } else if (peer.family == AF_UNIX) {
        peer.scope = (uint32_t)addr->unix_pid;
    }
    *ret_peer = peer;
}

void net_peer_addr(const NetPeer *peer, NetAddr *ret_addr)
{
    NetAddr addr = {0};
    addr.ss.ss_family = peer->family;
    if (peer->family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&addr.ss;
        memcpy(&in->sin_addr, peer->ip, sizeof(in->sin_addr));
        addr.len = sizeof(*in);
    } else if (peer->family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&addr.ss;
        memcpy(&in6->sin6_addr, peer->ip, sizeof(peer->ip));
        in6->sin6_scope_id = peer->scope;
        addr.len = sizeof(*in6);
    } else if (peer->family == AF_UNIX) {
        addr.unix_pid = (pid_t)peer->scope;
        addr.len = UNIX_HEAD;
    }
    net_addr_set_port(&addr, peer->port);
    *ret_addr = addr;
}

int net_addr_family(const NetAddr *addr)
{
    return addr->len == 0 ? AF_UNSPEC : addr->ss.ss_family;
}

bool net_addr_is_unix(const NetAddr *addr)
{
    return net_addr_family(addr) == AF_UNIX;
}

uint16_t net_addr_port(const NetAddr *addr)
{
    switch (net_addr_family(addr)) {
    case AF_INET:
        return ntohs(as_in(addr)->sin_port);
    case AF_INET6:
        return ntohs(as_in6(addr)->sin6_port);
    case AF_UNIX:
        return addr->unix_port;
    }
    return 0;
}

void net_addr_set_port(NetAddr *addr, uint16_t port)
{
    switch (net_addr_family(addr)) {
    case AF_INET:
        ((struct sockaddr_in *)(void *)&addr->ss)->sin_port = htons(port);
        break;
    case AF_INET6:
        ((struct sockaddr_in6 *)(void *)&addr->ss)->sin6_port = htons(port);
        break;
    case AF_UNIX:
        addr->unix_port = port;
        break;
    }
}

bool net_addr_same_host(const NetAddr *a, const NetAddr *b)
{
    int family = net_addr_family(a);
    if (family != net_addr_family(b))
        return false;
    switch (family) {
    case AF_INET:
        return as_in(a)->sin_addr.s_addr == as_in(b)->sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&as_in6(a)->sin6_addr, &as_in6(b)->sin6_addr, sizeof(struct in6_addr)) == 0 &&
               as_in6(a)->sin6_scope_id == as_in6(b)->sin6_scope_id;
    case AF_UNIX:
        return a->len == b->len && memcmp(&a->ss, &b->ss, a->len) == 0;
    }
    return true; /* both empty */
}

bool net_addr_equal(const NetAddr *a, const NetAddr *b)
{
    return net_addr_same_host(a, b) && net_addr_port(a) == net_addr_port(b);
}

char *net_addr_path(const NetAddr *addr, char *buf, size_t size)
{
    const struct sockaddr_un *un = as_un(addr);
    if (!net_addr_is_unix(addr) || addr->len <= UNIX_HEAD) {
        (void)snprintf(buf, size, "%s", "");
        return buf;
    }
    size_t len = addr->len - UNIX_HEAD;
    if (un->sun_path[0] == '\0') {
        (void)snprintf(buf, size, "@%.*s", (int)(len - 1), un->sun_path + 1);
    } else {
        (void)snprintf(buf, size, "%.*s", (int)len, un->sun_path);
    }
    return buf;
}

int net_addr_connect(const NetAddr *addr)
{
    int fd = socket(net_addr_family(addr), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, net_addr_sa(addr), addr->len) == 0 || errno == EINPROGRESS)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

char *net_addr_host(const NetAddr *addr, char *buf, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    switch (net_addr_family(addr)) {
    case AF_INET:
        (void)inet_ntop(AF_INET, &as_in(addr)->sin_addr, text, sizeof(text));
        (void)snprintf(buf, size, "%s", text);
        return buf;
    case AF_INET6: {
        char zone[IF_NAMESIZE];
        unsigned scope = as_in6(addr)->sin6_scope_id;
        (void)inet_ntop(AF_INET6, &as_in6(addr)->sin6_addr, text, sizeof(text));
        if (scope != 0 && if_indextoname(scope, zone) != NULL)
            (void)snprintf(buf, size, "%s%%%s", text, zone);
        else
            (void)snprintf(buf, size, "%s", text);
        return buf;
    }
    case AF_UNIX:
        (void)snprintf(buf, size, "unix");
        return buf;
    }
    (void)snprintf(buf, size, "none");
    return buf;
}

char *net_addr_text(const NetAddr *addr, char *buf, size_t size)
{
    char host[NET_ADDR_TEXT];
    unsigned port = net_addr_port(addr);
    net_addr_host(addr, host, sizeof(host));
    if (net_addr_family(addr) == AF_INET6)
        (void)snprintf(buf, size, "[%s]:%u", host, port);
    else if (addr->unix_pid > 0)
        (void)snprintf(buf, size, "%s(%d):%u", host, (int)addr->unix_pid, port);
    else
        (void)snprintf(buf, size, "%s:%u", host, port);
    return buf;
}

char *net_addr_where(const NetAddr *addr, char *buf, size_t size)
{
    if (!net_addr_is_unix(addr))
        return net_addr_text(addr, buf, size);
    char path[NET_ADDR_TEXT];
    (void)snprintf(buf, size, "unix:%s", net_addr_path(addr, path, sizeof(path)));
    return buf;
}
