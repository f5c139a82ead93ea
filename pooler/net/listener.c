/* SPDX-License-Identifier: ISC */
/* listener.c - the loop that accepts connections, and the end of the listening sockets. */
#include "pooler/net/listener.h"

#include "pooler/net/listener_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Connections accepted in one go; on_accept may ask for fewer. */
#define ACCEPT_BATCH 32
/* Pause after the process or the system ran out of descriptors or memory. */
#define STARVED_MS 100

/* ---- accepting ---- */

static bool accepting(const Listener *l)
{
    return l->on_accept != NULL && !l->suspended && !l->starved;
}

static void starve(Listener *l, int error);

static void arm(Listener *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (!accepting(l)) {
            if (l->sockets[i]->event != NULL)
                (void)event_del(l->sockets[i]->event);
        } else if (event_add(l->sockets[i]->event, NULL) != 0) {
            starve(l, errno); /* and back here, to take the others away */
            return;
        }
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
    bool files = error == EMFILE || error == ENFILE;
    if (!l->starved_told)
        pw_log(PW_LOG_WARNING, "cannot accept connections: %s, trying again every %d ms (hint: %s, or lower max_client_conn)", strerror(error), STARVED_MS,
               files ? "raise the limit of open files, LimitNOFILE= of the service or ulimit -n" : "more memory, or a higher limit of it");
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
    if (pw_mem_is_scarce()) { /* for those who are in */
        starve(l, ENOMEM);
        return;
    }
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
            if (l->starved_told)
                pw_log(PW_LOG_LOG, "connections are accepted again");
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
        const int on = tcp_defer_accept;
        if (!net_addr_is_unix(&s->addr) && setsockopt(s->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof(on)) != 0)
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
