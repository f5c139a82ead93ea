/* SPDX-License-Identifier: ISC */
/* listener_open.c - the listening sockets of the process: opened by address and name, or taken over from another process. */
#include "pooler/net/listener.h"

#include "pooler/net/listener_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_socket(Listener *l, int fd, const NetAddr *addr, ListenSocket **ret_socket)
{
    ListenSocket *s = pw_xcalloc(1, sizeof(*s));
    s->listener = l;
    s->fd = fd;
    s->addr = *addr;
    l->sockets = pw_xrealloc(l->sockets, (l->count + 1) * sizeof(ListenSocket *));
    l->sockets[l->count++] = s;
    if (ret_socket != NULL)
        *ret_socket = s;
    char where[NET_ADDR_TEXT];
    pw_log(PW_LOG_LOG, "listening on %s", net_addr_where(addr, where, sizeof(where)));
}

static bool set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* The failed call's name is returned (errno is set), NULL when all went well. */
static const char *open_tcp(const ListenerOptions *o, NetAddr *addr, int *ret_fd)
{
    int family = net_addr_family(addr);
    const char *failed = NULL;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return "socket()";
    /* Without V6ONLY "::" would take the IPv4 port too, and "*" could not open both. */
    if (!set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        (o->so_reuseport && !set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) ||
        (family == AF_INET6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
        (o->tcp_defer_accept && !set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1)))
        failed = "setsockopt()";
    else if (bind(fd, net_addr_sa(addr), addr->len) < 0)
        failed = "bind()";
    else if (listen(fd, o->listen_backlog) < 0)
        failed = "listen()";
    else if (net_addr_port(addr) == 0 && net_addr_of_local(fd, addr) != PW_OK)
        failed = "getsockname()";
    if (failed != NULL) {
        int saved = errno;
        close(fd);
        errno = saved;
        return failed;
    }
    *ret_fd = fd;
    return NULL;
}

static bool already_open(const Listener *l, const NetAddr *addr)
{
    for (size_t i = 0; i < l->count; i++)
        if (net_addr_equal(&l->sockets[i]->addr, addr))
            return true;
    return false;
}

/* What to do about it, behind the reason. */
static const char *hint_for(int error, bool is_unix)
{
    switch (error) {
    case EADDRINUSE:
        return " (hint: another process has this port; \"ss -ltnp\" as root names it)";
    case EACCES:
        return is_unix ? " (hint: the user that the pooler runs as must be able to write to unix_socket_dir)"
                       : " (hint: a port below 1024 takes root or CAP_NET_BIND_SERVICE)";
    case EADDRNOTAVAIL:
        return " (hint: this machine has no such address; \"ip addr\" shows those that it has)";
    case ENOENT:
        return " (hint: make the folder, or set unix_socket_dir to another one)";
    default:
        return "";
    }
}

/* One element of listen_addr: '*', a numeric address or a name with any number of addresses. */
static void open_name(Listener *l, const ListenerOptions *o, const char *name)
{
    char port[8], where[NET_ADDR_TEXT];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    (void)snprintf(port, sizeof(port), "%u", (unsigned)o->listen_port);
    int rc = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, port, &hints, &found);
    if (rc != 0) {
        pw_log(PW_LOG_WARNING, "cannot listen on \"%s\": %s", name,
               rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return;
    }
    for (struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
        NetAddr addr;
        int fd;
        net_addr_from_sockaddr(&addr, ai->ai_addr, ai->ai_addrlen);
        /* Two names of one address, or one name twice in /etc/hosts, are not a conflict. */
        if (already_open(l, &addr))
            continue;
        const char *failed = open_tcp(o, &addr, &fd);
        NetAddr chosen; /* the log says which port it became */
        if (failed == NULL && o->listen_port == 0 && net_addr_of_local(fd, &chosen) == PW_OK)
            addr = chosen;
        if (failed == NULL)
            add_socket(l, fd, &addr, NULL);
        else
            pw_log(PW_LOG_WARNING, "cannot listen on %s: %s: %s%s",
                   net_addr_where(&addr, where, sizeof(where)), failed, strerror(errno), hint_for(errno, false));
    }
    freeaddrinfo(found);
}

static void open_names(Listener *l, const ListenerOptions *o)
{
    char *list = pw_xstrdup(o->listen_addr), *rest = list, *name;
    while ((name = strsep(&rest, ",")) != NULL) {
        name += strspn(name, " \t");
        name[strcspn(name, " \t")] = '\0';
        if (*name != '\0')
            open_name(l, o, name);
    }
    free(list);
}

static bool is_blank(const char *text)
{
    return text == NULL || text[strspn(text, " \t,")] == '\0';
}

/* Somebody answers (or is too busy to): the socket is alive. */
static bool unix_in_use(const NetAddr *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false; /* the bind that follows will tell */
    bool used = connect(fd, net_addr_sa(addr), addr->len) == 0 || errno == EAGAIN ||
                errno == EINPROGRESS || errno == EACCES || errno == EPERM;
    close(fd);
    return used;
}

static PwErr set_owner(const char *path, const ListenerOptions *o, char *why, size_t why_size)
{
    if (o->unix_socket_group != NULL && *o->unix_socket_group != '\0') {
        char *end;
        errno = 0;
        struct group *group = getgrnam(o->unix_socket_group);
        unsigned long number = strtoul(o->unix_socket_group, &end, 10);
        if (group == NULL && (*end != '\0' || number > UINT32_MAX)) {
            (void)snprintf(why, why_size, "unix_socket_group \"%s\" does not exist",
                           o->unix_socket_group);
            return PW_ERR_NOT_FOUND;
        }
        if (chown(path, (uid_t)-1, group != NULL ? group->gr_gid : (gid_t)number) < 0) {
            (void)snprintf(why, why_size, "cannot give \"%s\" to group \"%s\": %s", path,
                           o->unix_socket_group, strerror(errno));
            return PW_ERR_IO;
        }
    }
    if (chmod(path, (mode_t)o->unix_socket_mode) < 0) {
        (void)snprintf(why, why_size, "cannot set the mode of \"%s\": %s", path, strerror(errno));
        return PW_ERR_IO;
    }
    return PW_OK;
}

/* It is removed at the end. */
static void own_file(ListenSocket *s)
{
    char path[NET_ADDR_TEXT];
    struct stat st;
    net_addr_path(&s->addr, path, sizeof(path));
    if (path[0] == '\0' || path[0] == '@' || lstat(path, &st) != 0)
        return; /* none, or abstract */
    s->path = pw_xstrdup(path);
    s->dev = st.st_dev;
    s->ino = st.st_ino;
}

static PwErr open_unix(Listener *l, const ListenerOptions *o, char *why, size_t why_size)
{
    NetAddr addr;
    char path[NET_ADDR_TEXT];
    struct stat st;
    if (net_addr_in_unix_dir(o->unix_socket_dir, o->listen_port, &addr) != PW_OK) {
        (void)snprintf(why, why_size, "unix_socket_dir \"%s\" is too long for a socket name",
                       o->unix_socket_dir);
        return PW_ERR_TOO_LARGE;
    }
    net_addr_path(&addr, path, sizeof(path));
    bool abstract = path[0] == '@';
    if (unix_in_use(&addr)) {
        (void)snprintf(why, why_size, "unix socket is in use, cannot continue (hint: another process listens on %s; stop it, or set listen_port)", path);
        return PW_ERR_EXISTS;
    }
    /* What is left of a killed process goes; anything else than a socket is not ours to touch. */
    if (!abstract && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);

    const char *failed = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        failed = "socket()";
    } else if (bind(fd, net_addr_sa(&addr), addr.len) < 0) {
        failed = "bind()";
    } else if (!abstract) {
        /* Nobody can connect before listen(), so the mode is never wider than asked. */
        PwErr err = set_owner(path, o, why, why_size);
        if (err != PW_OK) {
            (void)unlink(path);
            close(fd);
            return err;
        }
    }
    if (failed == NULL && listen(fd, o->listen_backlog) < 0) {
        failed = "listen()";
        if (!abstract)
            (void)unlink(path);
    }
    if (failed != NULL) {
        (void)snprintf(why, why_size, "cannot listen on unix:%s: %s: %s%s", path, failed,
                       strerror(errno), hint_for(errno, true));
        if (fd >= 0)
            close(fd);
        return PW_ERR_IO;
    }
    ListenSocket *s;
    add_socket(l, fd, &addr, &s);
    own_file(s);
    return PW_OK;
}

static PwErr adopt(Listener *l, const ListenerOptions *o, char *why, size_t why_size)
{
    if (!o->taken_over && (!is_blank(o->listen_addr) || !is_blank(o->unix_socket_dir)))
        pw_log(PW_LOG_WARNING, "sockets were passed by the service manager, listen_addr and "
                               "unix_socket_dir are ignored");
    for (size_t i = 0; i < o->inherited_count; i++) {
        NetAddr addr;
        int fd = o->inherited[i];
        if (net_addr_of_local(fd, &addr) != PW_OK || evutil_make_socket_nonblocking(fd) < 0 ||
            evutil_make_socket_closeonexec(fd) < 0) {
            (void)snprintf(why, why_size, "passed file descriptor %d is not a usable socket: %s",
                           fd, strerror(errno));
            return PW_ERR_IO;
        }
        if (net_addr_is_unix(&addr))
            net_addr_set_port(&addr, o->listen_port);
        ListenSocket *s;
        add_socket(l, fd, &addr, &s);
        if (o->taken_over && net_addr_is_unix(&addr))
            own_file(s);
    }
    return PW_OK;
}

PwErr listener_open(const ListenerOptions *o, Listener **ret_listener, char *why, size_t why_size)
{
    PwErr err = PW_OK;
    Listener *l = pw_xcalloc(1, sizeof(*l));
    l->tune = o->tune;
    l->port = o->listen_port;

    if (o->inherited_count > 0) {
        err = adopt(l, o, why, why_size);
        if (err != PW_OK)
            goto fail;
        *ret_listener = l;
        return PW_OK;
    }
    if (!is_blank(o->listen_addr)) {
        open_names(l, o);
        if (l->count == 0) {
            (void)snprintf(why, why_size, "none of the addresses in listen_addr = %s works",
                           o->listen_addr);
            err = PW_ERR_IO;
            goto fail;
        }
    }
    if (!is_blank(o->unix_socket_dir)) {
        err = open_unix(l, o, why, why_size);
        if (err != PW_OK)
            goto fail;
    }
    if (l->count == 0) {
        (void)snprintf(why, why_size, "nowhere to listen on, set listen_addr or unix_socket_dir");
        err = PW_ERR_NOT_FOUND;
        goto fail;
    }
    *ret_listener = l;
    return PW_OK;

fail:
    listener_destroy(l);
    return err;
}
