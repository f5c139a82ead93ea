/* SPDX-License-Identifier: ISC */
#include "pooler/net/listener.h"

#include "poolwise/log.h"
#include "poolwise/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connections accepted in one go; on_accept may ask for fewer. */
#define ACCEPT_BATCH 32
/* Pause after the process or the system ran out of descriptors or memory. */
#define STARVED_MS 100

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

/* ---- opening ---- */

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
    if (path[0] != '/' || lstat(path, &st) != 0)
        return; /* abstract */
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

/* ---- accepting ---- */

static bool accepting(const Listener *l)
{
    return l->on_accept != NULL && !l->suspended && !l->starved;
}

static void arm(Listener *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (accepting(l))
            (void)event_add(l->sockets[i]->event, NULL);
        else if (l->sockets[i]->event != NULL)
            (void)event_del(l->sockets[i]->event);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    Listener *l = arg;
    l->starved = false;
    arm(l);
}

/* Out of descriptors or memory: the connection stays in the kernel's queue and the socket stays
 * readable, so going on would spin. */
static void starve(Listener *l, int error)
{
    if (!l->starved_told)
        pw_log(PW_LOG_WARNING, "cannot accept connections: %s, trying again every %d ms",
               strerror(error), STARVED_MS);
    l->starved_told = true;
    l->starved = true;
    arm(l);
    const struct timeval pause = {.tv_usec = STARVED_MS * 1000};
    (void)event_add(l->retry, &pause);
}

static void warn_of_tune(Listener *l)
{
    if (!l->tune_warned)
        pw_log(PW_LOG_WARNING, "cannot set the tcp_* options of client sockets: %s",
               strerror(errno));
    l->tune_warned = true;
}

static void tune_all(Listener *l)
{
    for (size_t i = 0; i < l->count; i++) {
        l->sockets[i]->untuned = true;
        if (net_listener_tune(l->sockets[i]->fd, &l->tune) != PW_OK)
            warn_of_tune(l);
    }
}

static bool hand_over(ListenSocket *s, int fd, const struct sockaddr_storage *ss, socklen_t len)
{
    Listener *l = s->listener;
    NetAddr peer;
    bool is_unix = net_addr_is_unix(&s->addr);
    net_addr_from_sockaddr(&peer, (const struct sockaddr *)(const void *)ss, len);
    if (is_unix) {
        NetCred cred;
        peer.ss.ss_family = AF_UNIX; /* whatever the kernel says of a peer without a name */
        if (peer.len < sizeof(peer.ss.ss_family))
            peer.len = sizeof(peer.ss.ss_family);
        net_addr_set_port(&peer, l->port);
        if (net_addr_peer_cred(fd, &cred) == PW_OK)
            peer.unix_pid = cred.pid;
    } else if ((s->untuned || l->tune.tcp_socket_buffer > 0) &&
               net_socket_tune(fd, &l->tune) != PW_OK) {
        warn_of_tune(l);
    }
    return l->on_accept(l->arg, fd, &peer, is_unix);
}

static void on_readable(evutil_socket_t listen_fd, short what, void *arg)
{
    (void)what;
    ListenSocket *s = arg;
    Listener *l = s->listener;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        int fd =
            accept4(listen_fd, (struct sockaddr *)(void *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            size_t open_before = l->count;
            bool more = hand_over(s, fd, &ss, len);
            /* The callback may have suspended us or closed this very socket: `s` may be gone. */
            if (!more || l->count != open_before || !accepting(l))
                return;
            continue;
        }
        switch (errno) {
        case EAGAIN:
            l->starved_told = false;
            s->untuned = false;
            return;
        case EINTR:
        case ECONNABORTED: /* the peer left the queue; what follows are errors of its network */
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH:
        case ETIMEDOUT:
        case EPERM: /* a firewall rule */
            continue;
        default:
            starve(l, errno);
            return;
        }
    }
}

PwErr listener_start(Listener *l, struct event_base *base, ListenerOnAccept on_accept, void *arg)
{
    l->retry = event_new(base, -1, 0, on_retry, l);
    if (l->retry == NULL)
        return PW_ERR_NOMEM;
    for (size_t i = 0; i < l->count; i++) {
        ListenSocket *s = l->sockets[i];
        s->event = event_new(base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
        if (s->event == NULL)
            return PW_ERR_NOMEM;
    }
    l->on_accept = on_accept;
    l->arg = arg;
    tune_all(l);
    arm(l);
    return PW_OK;
}

void listener_suspend(Listener *l)
{
    l->suspended = true;
    arm(l);
}

void listener_resume(Listener *l)
{
    l->suspended = false;
    arm(l);
}

void listener_set_tune(Listener *l, const NetTune *tune, bool tcp_defer_accept)
{
    l->tune = *tune;
    l->tune_warned = false;
    tune_all(l);
    for (size_t i = 0; i < l->count; i++) {
        ListenSocket *s = l->sockets[i];
        if (!net_addr_is_unix(&s->addr) &&
            !set_int(s->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, tcp_defer_accept))
            pw_log(PW_LOG_WARNING, "cannot set tcp_defer_accept: %s", strerror(errno));
    }
}

/* ---- closing ---- */

static void remove_file(const ListenSocket *s)
{
    struct stat st;
    /* A successor may have put its own socket there: that one stays. */
    if (s->path != NULL && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        (void)unlink(s->path);
}

static void free_socket(ListenSocket *s)
{
    if (s->event != NULL)
        event_free(s->event);
    close(s->fd);
    free(s->path);
    free(s);
}

void listener_close_tcp(Listener *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (net_addr_is_unix(&l->sockets[i]->addr))
            l->sockets[kept++] = l->sockets[i];
        else
            free_socket(l->sockets[i]);
    }
    l->count = kept;
}

void listener_give_away(Listener *l)
{
    for (size_t i = 0; i < l->count; i++)
        free_socket(l->sockets[i]);
    l->count = 0;
}

void listener_destroy(Listener *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++) {
        remove_file(l->sockets[i]);
        free_socket(l->sockets[i]);
    }
    if (l->retry != NULL)
        event_free(l->retry);
    free(l->sockets);
    free(l);
}

size_t listener_count(const Listener *l)
{
    return l->count;
}

int listener_fd(const Listener *l, size_t i)
{
    return l->sockets[i]->fd;
}

const NetAddr *listener_addr(const Listener *l, size_t i)
{
    return &l->sockets[i]->addr;
}
