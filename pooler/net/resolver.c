/* SPDX-License-Identifier: ISC */
/* A name lives in one Entry: asked for (pending), answered or failed, each until its `until`.
 *
 *      lookup ---> [entry, pending] ---c-ares---> [entry with addrs or err] --until--> asked again
 *                     queries: q1 q2 q3 (each is called back once, in the order of asking)
 *
 * Queries wait only at pending entries. A pending entry is never freed; resolver_destroy ends the
 * channel first, and c-ares then calls back for everything under way. */
#include "pooler/net/resolver.h"

#include "pooler/net/ares_loop.h"
#include "poolwise/mem.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <uthash.h>

#define DEFAULT_TIMEOUT_MS 2000
#define DEFAULT_TRIES      3
#define DEFAULT_MAX_NAMES  1024
/* RFC 1035: 253 characters and a final dot. */
#define NAME_MAX_LEN 254

typedef struct Entry {
    Resolver *resolver;
    char *name; /* key, lower case */
    bool pending;
    unsigned telling; /* tell_all() calls that are using this entry */
    PwErr err;        /* of the last answer */
    NetAddr *addrs;   /* of the last good answer, which may be older than `err` */
    size_t count;
    PwUsec until; /* monotonic; 0: no answer yet, or forgotten */
    TAILQ_HEAD(, ResolverQuery) queries;
    UT_hash_handle hh;
} Entry;

struct ResolverQuery {
    Entry *entry; /* NULL: the answer is here and tell_all() holds the query */
    uint16_t port;
    ResolverDone done; /* NULL: cancelled */
    void *arg;
    TAILQ_ENTRY(ResolverQuery) link;
};

struct Resolver {
    AresLoop loop;
    bool closing;
    PwUsec max_ttl;
    PwUsec nxdomain_ttl;
    ResolverLost lost;
    void *lost_arg;
    size_t max_names;
    size_t pending;
    Entry *entries; /* uthash, in order of insertion */
};

/* ---- entries ---- */

static void free_entry(Entry *e)
{
    HASH_DEL(e->resolver->entries, e);
    free(e->addrs);
    free(e->name);
    free(e);
}

/* With a full table the oldest names that nobody is asking for go. */
static void make_room(Resolver *r)
{
    Entry *e, *next;
    HASH_ITER (hh, r->entries, e, next) {
        if (HASH_COUNT(r->entries) < r->max_names)
            return;
        if (!e->pending && e->telling == 0)
            free_entry(e);
    }
}

static Entry *entry_get(Resolver *r, const char *name)
{
    Entry *e;
    size_t len = strlen(name);
    HASH_FIND(hh, r->entries, name, len, e);
    if (e != NULL)
        return e;
    make_room(r);
    e = pw_xcalloc(1, sizeof(*e));
    e->resolver = r;
    e->name = pw_xstrdup(name);
    TAILQ_INIT(&e->queries);
    HASH_ADD_KEYPTR(hh, r->entries, e->name, len, e);
    return e;
}

static void tell(ResolverDone done, void *arg, PwErr err, const NetAddr *addrs, size_t count,
                 uint16_t port)
{
    if (err != PW_OK || count == 0) {
        done(arg, err != PW_OK ? err : PW_ERR_NOT_FOUND, NULL, 0);
        return;
    }
    /* A copy: the callback may ask, forget or reload, and each may change the entry. */
    NetAddr *copy = malloc(count * sizeof(*copy));
    if (copy == NULL) {
        done(arg, PW_ERR_NOMEM, NULL, 0);
        return;
    }
    memcpy(copy, addrs, count * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        net_addr_set_port(&copy[i], port);
    done(arg, PW_OK, copy, count);
    free(copy);
}

/* Calls back everyone who waits now; who asks during these callbacks is not among them. */
static void tell_all(Entry *e)
{
    TAILQ_HEAD(, ResolverQuery) waiting = TAILQ_HEAD_INITIALIZER(waiting);
    TAILQ_CONCAT(&waiting, &e->queries, link);
    ResolverQuery *q;
    TAILQ_FOREACH (q, &waiting, link)
        q->entry = NULL; /* resolver_cancel from here on only marks it */
    e->telling++;
    while ((q = TAILQ_FIRST(&waiting)) != NULL) {
        TAILQ_REMOVE(&waiting, q, link);
        ResolverDone done = q->done;
        void *arg = q->arg;
        uint16_t port = q->port;
        free(q);
        if (done != NULL)
            tell(done, arg, e->err, e->addrs, e->count, port);
    }
    e->telling--;
}

/* ---- answers ---- */

static PwErr err_of_status(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return PW_OK;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return PW_ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
        return PW_ERR_TIMEOUT;
    case ARES_ENOMEM:
        return PW_ERR_NOMEM;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return PW_ERR_SHUTDOWN;
    }
    /* Among them ECONNREFUSED, which is what c-ares says when every server answered SERVFAIL. */
    return PW_ERR_IO;
}

static bool has_addr(const NetAddr *addrs, size_t count, const NetAddr *one)
{
    for (size_t i = 0; i < count; i++)
        if (net_addr_equal(&addrs[i], one))
            return true;
    return false;
}

/* The addresses in c-ares' order (RFC 6724: reachable and near ones first), each once. */
static NetAddr *collect(const struct ares_addrinfo *info, size_t *ret_count, int *ret_ttl)
{
    const struct ares_addrinfo_node *node;
    size_t most = 0, count = 0;
    for (node = info->nodes; node != NULL; node = node->ai_next)
        most++;
    NetAddr *addrs = most > 0 ? calloc(most, sizeof(*addrs)) : NULL;
    if (addrs == NULL) {
        *ret_count = 0;
        return NULL;
    }
    int ttl = INT32_MAX;
    for (node = info->nodes; node != NULL; node = node->ai_next) {
        NetAddr one;
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        net_addr_from_sockaddr(&one, node->ai_addr, (socklen_t)node->ai_addrlen);
        if (node->ai_ttl < ttl)
            ttl = node->ai_ttl;
        if (!has_addr(addrs, count, &one))
            addrs[count++] = one;
    }
    *ret_count = count;
    *ret_ttl = ttl;
    return addrs;
}

/* A failure says nothing about the addresses; they stay, to be compared with the next good answer. */
static void set_answer(Entry *e, PwErr err, NetAddr *addrs, size_t count)
{
    const Resolver *r = e->resolver;
    NetAddr *old = e->addrs;
    size_t n_old = e->count;
    e->err = err;
    if (err != PW_OK)
        return;
    e->addrs = addrs;
    e->count = count;
    for (size_t i = 0; r->lost != NULL && i < n_old; i++)
        if (!has_addr(addrs, count, &old[i]))
            r->lost(r->lost_arg, e->name, &old[i]);
    free(old);
}

static PwUsec keep_for(const Resolver *r, PwErr err, int ttl_sec)
{
    if (err != PW_OK)
        return r->nxdomain_ttl;
    /* /etc/hosts has no TTL: c-ares shows 0, which no name server in its right mind sends. */
    PwUsec ttl = ttl_sec > 0 ? (PwUsec)ttl_sec * PW_USEC_PER_SEC : r->max_ttl;
    return ttl < r->max_ttl ? ttl : r->max_ttl;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    (void)timeouts;
    Entry *e = arg;
    Resolver *r = e->resolver;
    PwErr err = r->closing ? PW_ERR_SHUTDOWN : err_of_status(status);
    NetAddr *addrs = NULL;
    size_t count = 0;
    int ttl = 0;
    if (err == PW_OK) {
        addrs = collect(info, &count, &ttl);
        if (count == 0) {
            free(addrs);
            addrs = NULL;
            err = PW_ERR_NOT_FOUND;
        }
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    e->pending = false;
    r->pending--;
    set_answer(e, err, addrs, count);
    e->until = pw_time_mono() + keep_for(r, err, ttl);
    tell_all(e);
}

/* ---- questions ---- */

static bool normalize(const char *host, char *name)
{
    size_t len = strlen(host);
    if (len == 0 || len > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i <= len; i++)
        name[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] + 32) : host[i];
    return true;
}

static void ask(Entry *e)
{
    Resolver *r = e->resolver;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    e->pending = true;
    r->pending++;
    /* May answer at once (/etc/hosts, no name server): then e->pending is false again. */
    ares_getaddrinfo(r->loop.channel, e->name, NULL, &hints, on_answer, e);
    ares_loop_arm(&r->loop);
}

ResolverQuery *resolver_lookup(Resolver *r, const char *host, uint16_t port, ResolverDone done,
                               void *arg)
{
    NetAddr addr;
    char name[NAME_MAX_LEN + 1];
    PwErr err;
    if (net_addr_is_unix_name(host))
        err = net_addr_in_unix_dir(host, port, &addr);
    else
        err = net_addr_parse_ip(host, port, &addr);
    if (err == PW_OK) {
        done(arg, PW_OK, &addr, 1);
        return NULL;
    }
    if (r->closing) {
        done(arg, PW_ERR_SHUTDOWN, NULL, 0);
        return NULL;
    }
    if (net_addr_is_unix_name(host) || !normalize(host, name)) {
        done(arg, PW_ERR_NOT_FOUND, NULL, 0);
        return NULL;
    }

    Entry *e = entry_get(r, name);
    if (!e->pending) {
        if (e->until > pw_time_mono()) {
            tell(done, arg, e->err, e->addrs, e->count, port);
            return NULL;
        }
        ask(e);
        if (!e->pending) {
            tell(done, arg, e->err, e->addrs, e->count, port);
            return NULL;
        }
    }
    ResolverQuery *q = pw_xcalloc(1, sizeof(*q));
    q->entry = e;
    q->port = port;
    q->done = done;
    q->arg = arg;
    TAILQ_INSERT_TAIL(&e->queries, q, link);
    return q;
}

void resolver_cancel(ResolverQuery *q)
{
    if (q == NULL)
        return;
    if (q->entry == NULL) {
        q->done = NULL; /* tell_all() holds it */
        return;
    }
    TAILQ_REMOVE(&q->entry->queries, q, link);
    free(q);
}

void resolver_set_ttl(Resolver *r, PwUsec max_ttl, PwUsec nxdomain_ttl)
{
    PwUsec now = pw_time_mono();
    r->max_ttl = max_ttl;
    r->nxdomain_ttl = nxdomain_ttl;
    for (Entry *e = r->entries; e != NULL; e = e->hh.next) {
        PwUsec limit = now + (e->err == PW_OK ? max_ttl : nxdomain_ttl);
        if (e->until > limit)
            e->until = limit;
    }
}

void resolver_forget(Resolver *r, const char *host)
{
    char name[NAME_MAX_LEN + 1];
    if (host != NULL && !normalize(host, name))
        return;
    for (Entry *e = r->entries; e != NULL; e = e->hh.next)
        if (host == NULL || strcmp(e->name, name) == 0)
            e->until = 0;
}

/* ---- zones ---- */

const char *resolver_zone(const char *host)
{
    const char *dot = strchr(host, '.');
    return dot != NULL && dot[1] != '\0' ? dot + 1 : NULL;
}

void resolver_ask_again(Resolver *r, const char *zone)
{
    for (Entry *e = r->entries; e != NULL && !r->closing; e = e->hh.next) {
        const char *own = resolver_zone(e->name);
        if (!e->pending && own != NULL && strcasecmp(own, zone) == 0)
            ask(e);
    }
}

typedef struct SerialQuery {
    Resolver *resolver;
    ResolverSerial done;
    void *arg;
} SerialQuery;

static void on_serial(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
    (void)timeouts;
    SerialQuery q = *(SerialQuery *)arg;
    free(arg);
    struct ares_soa_reply *soa = NULL;
    if (status == ARES_SUCCESS)
        status = ares_parse_soa_reply(answer, len, &soa);
    PwErr err = q.resolver->closing ? PW_ERR_SHUTDOWN : err_of_status(status);
    uint32_t serial = err == PW_OK ? soa->serial : 0;
    if (soa != NULL)
        ares_free_data(soa);
    q.done(q.arg, err, serial);
}

void resolver_serial(Resolver *r, const char *zone, ResolverSerial done, void *arg)
{
    if (r->closing) {
        done(arg, PW_ERR_SHUTDOWN, 0);
        return;
    }
    SerialQuery *q = pw_xcalloc(1, sizeof(*q));
    *q = (SerialQuery){r, done, arg};
    ares_query(r->loop.channel, zone, ns_c_in, ns_t_soa, on_serial, q);
    ares_loop_arm(&r->loop);
}

/* ---- what the console shows ---- */

void resolver_each(const Resolver *r, ResolverVisit visit, void *arg)
{
    PwUsec now = pw_time_mono();
    for (const Entry *e = r->entries; e != NULL; e = e->hh.next)
        visit(arg, e->name, e->until - now, e->err == PW_OK ? e->addrs : NULL, e->err == PW_OK ? e->count : 0);
}

size_t resolver_names(const Resolver *r)
{
    return HASH_COUNT(r->entries);
}

size_t resolver_pending(const Resolver *r)
{
    return r->pending;
}

size_t resolver_waiting(const Resolver *r)
{
    size_t n = 0;
    const ResolverQuery *q;
    for (const Entry *e = r->entries; e != NULL; e = e->hh.next)
        TAILQ_FOREACH (q, &e->queries, link)
            n++;
    return n;
}

/* ---- life ---- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void library_init(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

PwErr resolver_create(struct event_base *base, const ResolverOptions *o, Resolver **ret_resolver)
{
    (void)pthread_once(&library_once, library_init);
    if (library_status != ARES_SUCCESS)
        return PW_ERR_NOMEM;

    Resolver *r = pw_xcalloc(1, sizeof(*r));
    r->max_ttl = o->max_ttl;
    r->nxdomain_ttl = o->nxdomain_ttl;
    r->lost = o->lost;
    r->lost_arg = o->lost_arg;
    r->max_names = o->max_names > 0 ? o->max_names : DEFAULT_MAX_NAMES;

    struct ares_options opts = {
        .timeout = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS,
        .tries = o->tries > 0 ? o->tries : DEFAULT_TRIES,
        .sock_state_cb = ares_loop_watch,
        .sock_state_cb_data = &r->loop,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
    mask |= ARES_OPT_QUERY_CACHE; /* none (qcache_max_ttl = 0): newer ones keep answers for up to an hour, against dns_max_ttl and RECONNECT */
#endif
    char *resolv_conf = NULL;
    if (o->resolv_conf != NULL && *o->resolv_conf != '\0') {
        resolv_conf = pw_xstrdup(o->resolv_conf);
        opts.resolvconf_path = resolv_conf;
        mask |= ARES_OPT_RESOLVCONF;
    }
    ares_channel channel;
    int status = ares_init_options(&channel, &opts, mask);
    free(resolv_conf);
    if (status != ARES_SUCCESS) {
        free(r);
        return status == ARES_ENOMEM ? PW_ERR_NOMEM : PW_ERR_IO;
    }
    PwErr err = ares_loop_start(&r->loop, base, channel) ? PW_OK : PW_ERR_NOMEM;
    if (err == PW_OK && o->servers != NULL && ares_set_servers_ports_csv(channel, o->servers) != ARES_SUCCESS)
        err = PW_ERR_SYNTAX;
    if (err != PW_OK) {
        ares_loop_stop(&r->loop);
        free(r);
        return err;
    }
    *ret_resolver = r;
    return PW_OK;
}

void resolver_destroy(Resolver *r)
{
    if (r == NULL)
        return;
    r->closing = true;
    ares_loop_stop(&r->loop);
    Entry *e, *next;
    HASH_ITER (hh, r->entries, e, next)
        free_entry(e);
    free(r);
}
