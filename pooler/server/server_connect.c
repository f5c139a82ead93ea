/* SPDX-License-Identifier: ISC */
/* server_connect.c - from a database line to a connected socket: pick the host, resolve, connect.
 *
 * connect(2) is not waited for: the start-up packet is queued at once and goes out when the socket becomes
 * writable, so a refused connection shows as a failed write. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/net/tune.h"
#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

/* The k-th entry of a comma list, blanks cut, into buf; returns the number of entries. */
static unsigned list_entry(const char *list, unsigned k, char *buf, size_t size)
{
    unsigned n = 0;
    buf[0] = '\0';
    while (*list) {
        size_t len = strcspn(list, ",");
        if (n == k) {
            size_t from = strspn(list, " ");
            size_t cut = len > from ? len - from : 0;
            if (cut >= size)
                cut = size - 1;
            memcpy(buf, list + from, cut);
            while (cut > 0 && buf[cut - 1] == ' ')
                cut--;
            buf[cut] = '\0';
        }
        n++;
        list += len;
        if (*list == ',')
            list++;
    }
    return n;
}

static void pick_host(Server *s)
{
    PoolLocal *local = server_local(s);
    const char *list = local->dbconf->host;
    if (!list || !*list)
        list = worker_ctx(local->worker)->config->unix_socket_dir;
    if (!list || !*list)
        list = "/var/run/postgresql";
    char ignored[8];
    unsigned n = list_entry(list, 0, ignored, sizeof(ignored));
    unsigned k = 0;
    if (n > 1)
        k = local->settings.load_balance_hosts == LOAD_BALANCE_ROUND_ROBIN
                ? (unsigned)pw_atomic_add(&local->entry->next_host, 1) % n
                : (unsigned)pw_atomic_load(&local->entry->next_host) % n;
    list_entry(list, k, s->host, sizeof(s->host));
}

void server_connect_failed(Server *s, const char *reason)
{
    PoolLocal *local = server_local(s);
    pool_entry_failed(local->entry, worker_now(local->worker), NULL,
                      strcmp(reason, "connect timeout") == 0 || strcmp(reason, "server DNS lookup failed") == 0 ? reason
                                                                                            : "connect failed");
    server_log(s, PW_LOG_WARNING, "connect failed: %s", reason);
    if (local->settings.load_balance_hosts == LOAD_BALANCE_DISABLE)
        pw_atomic_add(&local->entry->next_host, 1); /* stay on a host until it fails */
    server_close(s, strcmp(reason, "connect timeout") == 0 || strcmp(reason, "server DNS lookup failed") == 0
                        ? reason
                        : "connect failed");
}

void server_connected(Server *s)
{
    s->phase = s->tls_asked ? SERVER_TLS : SERVER_LOGIN;
}

static void tune_of(const Config *c, NetTune *t)
{
    memset(t, 0, sizeof(*t));
    t->tcp_keepalive = c->tcp_keepalive;
    t->tcp_keepcnt = c->tcp_keepcnt;
    t->tcp_keepidle = c->tcp_keepidle;
    t->tcp_keepintvl = c->tcp_keepintvl;
    t->tcp_user_timeout = c->tcp_user_timeout;
    t->tcp_socket_buffer = c->tcp_socket_buffer;
}

static void open_socket(Server *s)
{
    int fd = socket(net_addr_family(&s->addr), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        s->failed_early = strerror(errno);
        return;
    }
    NetTune tune;
    tune_of(worker_ctx(server_local(s)->worker)->config, &tune);
    if (!net_addr_is_unix(&s->addr)) {
        if (net_socket_tune(fd, &tune) != PW_OK)
            server_log(s, PW_LOG_DEBUG, "cannot set socket options: %s", strerror(errno));
    }
    if (connect(fd, net_addr_sa(&s->addr), s->addr.len) != 0 && errno != EINPROGRESS) {
        s->failed_early = errno == ECONNREFUSED ? "Connection refused" : strerror(errno);
        close(fd);
        return;
    }
    server_open_stream(s, fd);
    PwBuf out;
    pw_buf_init(&out);
    server_build_first(s, &out);
    /* A TCP socket that is still connecting answers EAGAIN and the packet waits in the stream. */
    if (!stream_send_buf(&s->stream, &out))
        s->failed_early = errno == ECONNREFUSED ? "Connection refused" : strerror(errno);
    else if (stream_pending(&s->stream) == 0)
        server_connected(s);
    pw_buf_finish(&out);
    stream_read_start(&s->stream);
}

static void on_resolved(void *arg, PwErr err, const NetAddr *addrs, size_t n)
{
    Server *s = arg;
    s->lookup = NULL;
    if (err || n == 0) {
        s->failed_early = "server DNS lookup failed";
        return;
    }
    s->addr = addrs[0];
    open_socket(s);
}

void server_connect_start(Server *s)
{
    pick_host(s);
    PoolLocal *local = server_local(s);
    uint16_t port = (uint16_t)local->dbconf->port;
    if (net_addr_is_unix_name(s->host)) {
        if (net_addr_in_unix_dir(s->host, port, &s->addr) != PW_OK)
            s->failed_early = "the unix socket's path is too long";
        else
            open_socket(s);
        return;
    }
    s->lookup = resolver_lookup(worker_ctx(local->worker)->resolver, s->host, port, on_resolved, s);
}
