/* SPDX-License-Identifier: ISC */
/* server_connect.c - from a database line to a connected socket: pick the host, resolve, connect.
 *
 * A host of a list, or an address of a name, that does not answer is passed over: the next one is tried at once, and only when all
 * have failed has the connect failed. load_balance_hosts = disable stays on a host until then.
 *
 * connect(2) is not waited for: the start-up packet is queued at once and goes out when the socket becomes
 * writable, so a refused connection shows as a failed write. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/net/tune.h"
#include "pooler/server/moved.h"
#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
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

static const char *host_list(const Server *s)
{
    const PoolLocal *local = server_local(s);
    const char *list = local->dbconf->host;
    if (!list || !*list)
        list = worker_ctx(local->worker)->config->unix_socket_dir;
    return list && *list ? list : "/var/run/postgresql";
}

static unsigned count_hosts(const char *list)
{
    char ignored[8];
    return list_entry(list, 0, ignored, sizeof(ignored));
}

/* A host that has just failed is passed over while there is another one. */
static bool has_failed(const Server *s, unsigned k)
{
    const PoolLocal *local = server_local(s);
    if (k >= POOL_HOSTS)
        return false;
    PwUsec at = pw_atomic_load(&local->entry->host_failed_at[k]);
    return at && worker_now(local->worker) - at < worker_ctx(local->worker)->config->server_login_retry;
}

/* Round robin, or the one that everybody stays on until it fails. */
static void pick_host(Server *s, const char *list, unsigned n)
{
    PoolEntry *entry = server_local(s)->entry;
    bool in_turn = server_local(s)->settings.load_balance_hosts == LOAD_BALANCE_ROUND_ROBIN;
    s->host_turn = 0;
    if (n > 1)
        s->host_turn = (unsigned)(in_turn ? pw_atomic_add(&entry->next_host, 1) : pw_atomic_load(&entry->next_host));
    for (unsigned i = 0; in_turn && i < n; i++) {
        if (has_failed(s, (s->host_turn + i) % n))
            continue;
        s->host_turn += i;
        break;
    }
    list_entry(list, s->host_turn % n, s->host, sizeof(s->host));
}

static void connect_host(Server *s);
static void open_socket(Server *s);

static void forget_addresses(Server *s)
{
    free(s->addrs);
    s->addrs = NULL;
    s->n_addrs = s->next_addr = 0;
}

static void log_failure(const Server *s, const char *reason, const char *why_closed)
{
    server_log(s, PW_LOG_WARNING, "connect failed: %s", reason);
    server_log_closing(s, why_closed);
}

/* The reason for the log and the clients: PgBouncer's words. */
static const char *public_reason(const char *reason)
{
    bool known = strcmp(reason, "connect timeout") == 0 || strcmp(reason, "server DNS lookup failed") == 0;
    return known ? reason : "connect failed";
}

/* The present host is given up. True: others of the pool did not know that yet. */
static bool leave_host(Server *s, unsigned n)
{
    PoolLocal *local = server_local(s);
    int turn = (int)s->host_turn;
    if (s->host_turn % n < POOL_HOSTS)
        pw_atomic_store(&local->entry->host_failed_at[s->host_turn % n], worker_now(local->worker));
    return local->settings.load_balance_hosts != LOAD_BALANCE_DISABLE || pw_atomic_cas(&local->entry->next_host, &turn, turn + 1);
}

/* Another address of this host, or the next host: each is tried once before the connect has failed. False: none is left. */
static bool try_next(Server *s, const char *reason)
{
    const char *list = server_local(s)->dbconf ? host_list(s) : "";
    unsigned n = count_hosts(list);
    bool same_host = s->next_addr < s->n_addrs, news = same_host || (n > 0 && leave_host(s, n));
    if (!same_host && (n == 0 || ++s->hosts_tried >= n))
        return false;
    if (news)
        log_failure(s, reason, public_reason(reason));
    stream_close(&s->stream);
    pw_buf_finish(&s->held);
    tls_set_unref(s->tls);
    s->tls = NULL;
    s->phase = SERVER_CONNECT;
    s->failed_early = NULL;
    s->id = context_next_id();
    s->connected_at = worker_now(server_local(s)->worker);
    if (same_host) {
        s->addr = s->addrs[s->next_addr++];
        open_socket(s);
        return true;
    }
    forget_addresses(s);
    s->host_turn++;
    list_entry(list, s->host_turn % n, s->host, sizeof(s->host));
    s->addr.len = 0;
    connect_host(s);
    return true;
}

/* Inside PoolOps.connect nothing may be closed: the next tick does that. */
static void attempt_failed(Server *s, const char *reason)
{
    if (!try_next(s, reason))
        s->failed_early = reason;
}

void server_connect_failed(Server *s, const char *reason)
{
    /* a server that has said something may be slow or strict, but it is there */
    bool is_silent = s->phase == SERVER_CONNECT || (strcmp(reason, "connect timeout") == 0 && !s->auth);
    if (!s->failed_early && is_silent && try_next(s, reason))
        return;
    server_pool_failed(s, NULL, public_reason(reason));
    server_log(s, PW_LOG_WARNING, "connect failed: %s", reason);
    server_close(s, public_reason(reason));
}

bool server_connect_elsewhere(Server *s, const char *reason)
{
    return !s->auth && try_next(s, reason);
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
        attempt_failed(s, strerror(errno));
        return;
    }
    NetTune tune;
    tune_of(worker_ctx(server_local(s)->worker)->config, &tune);
    if (!net_addr_is_unix(&s->addr)) {
        if (net_socket_tune(fd, &tune) != PW_OK)
            server_log(s, PW_LOG_DEBUG, "cannot set socket options: %s", strerror(errno));
    }
    if (connect(fd, net_addr_sa(&s->addr), s->addr.len) != 0 && errno != EINPROGRESS) {
        const char *reason = strerror(errno);
        close(fd);
        attempt_failed(s, reason);
        return;
    }
    server_open_stream(s, fd);
    PwBuf out;
    pw_buf_init(&out);
    server_build_first(s, &out);
    /* A TCP socket that is still connecting answers EAGAIN and the packet waits in the stream. */
    bool ok = stream_send_buf(&s->stream, &out);
    pw_buf_finish(&out);
    if (!ok) {
        attempt_failed(s, strerror(errno));
        return;
    }
    if (stream_pending(&s->stream) == 0)
        server_connected(s);
    stream_read_start(&s->stream);
}

/* A name with several addresses: each new connection begins with the next one, as with a list of hosts. */
static void on_resolved(void *arg, PwErr err, const NetAddr *addrs, size_t n)
{
    Server *s = arg;
    s->lookup = NULL;
    if (err || n == 0) {
        attempt_failed(s, "server DNS lookup failed");
        return;
    }
    size_t first = 0;
    if (n > 1) {
        bool in_turn = server_local(s)->settings.load_balance_hosts == LOAD_BALANCE_ROUND_ROBIN;
        first = in_turn ? (unsigned)pw_atomic_add(&server_local(s)->entry->next_addr, 1) % n : 0;
        s->addrs = pw_xmalloc(n * sizeof(*s->addrs));
        for (size_t i = 0; i < n; i++)
            s->addrs[i] = addrs[(first + i) % n];
        s->n_addrs = n;
        s->next_addr = 1;
    }
    s->addr = addrs[first];
    open_socket(s);
}

/* Of the present host. */
static uint16_t host_port(const Server *s)
{
    const DatabaseConf *conf = server_local(s)->dbconf;
    char text[8];
    if (!conf->ports)
        return (uint16_t)conf->port;
    list_entry(conf->ports, s->host_turn % count_hosts(conf->ports), text, sizeof(text));
    return (uint16_t)strtoul(text, NULL, 10);
}

static void connect_host(Server *s)
{
    PoolLocal *local = server_local(s);
    uint16_t port = host_port(s);
    if (net_addr_is_unix_name(s->host)) {
        if (net_addr_in_unix_dir(s->host, port, &s->addr) != PW_OK)
            attempt_failed(s, "the unix socket's path is too long");
        else
            open_socket(s);
        return;
    }
    s->moved_epoch = moved_epoch();
    ResolverQuery *lookup = resolver_lookup(worker_ctx(local->worker)->resolver, s->host, port, on_resolved, s);
    if (lookup)
        s->lookup = lookup; /* else it was answered, and another host may be asked for by now */
}

void server_connect_start(Server *s)
{
    const char *list = host_list(s);
    unsigned n = count_hosts(list);
    forget_addresses(s);
    s->hosts_tried = 0;
    pick_host(s, list, n);
    connect_host(s);
}

void server_connect_worked(Server *s)
{
    PoolLocal *local = server_local(s);
    forget_addresses(s);
    if (!local->dbconf)
        return;
    unsigned n = count_hosts(host_list(s));
    unsigned k = n > 1 ? s->host_turn % n : 0;
    if (k < POOL_HOSTS && pw_atomic_load(&local->entry->host_failed_at[k]))
        pw_atomic_store(&local->entry->host_failed_at[k], 0);
}
