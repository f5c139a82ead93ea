/* SPDX-License-Identifier: ISC */
#include "pooler/client/peer_pool.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "pooler/net/stream.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

typedef struct PeerPool PeerPool;

typedef struct PeerRequest {
    WorkerDeferred deferred;
    TAILQ_ENTRY(PeerRequest) link; /* PeerPool.waiting or .active */
    PeerPool *pool;
    WorkerCtx *ctx;
    CancelKey key;
    bool is_active, sent;
    ResolverQuery *lookup;
    Stream stream;
    struct event timer;
    void (*done)(void *arg);
    void *arg;
} PeerRequest;
TAILQ_HEAD(PeerRequestList, PeerRequest);

/* Made on first use; stays, as there are as many as lines in [peers]. */
struct PeerPool {
    UT_hash_handle hh;
    int id;
    int n_active, n_waiting;
    struct PeerRequestList active, waiting;
};

static PeerPool *pools; /* main worker */

static PeerPool *pool_of(int id)
{
    PeerPool *p;
    HASH_FIND_INT(pools, &id, p);
    if (p)
        return p;
    p = pw_xcalloc(1, sizeof(*p));
    p->id = id;
    TAILQ_INIT(&p->active);
    TAILQ_INIT(&p->waiting);
    HASH_ADD_INT(pools, id, p);
    return p;
}

static void request_free(WorkerDeferred *d)
{
    free((char *)d - offsetof(PeerRequest, deferred));
}

static void start(PeerRequest *r);

static bool has_room(const PeerPool *p, const WorkerCtx *ctx)
{
    const PeerConf *conf = config_find_peer(ctx->config, p->id);
    int size = conf && conf->pool_size >= 0 ? conf->pool_size : ctx->config->default_pool_size;
    return size == 0 || p->n_active < size;
}

static void serve(PeerPool *p, WorkerCtx *ctx)
{
    PeerRequest *r;
    while ((r = TAILQ_FIRST(&p->waiting)) && has_room(p, ctx)) {
        TAILQ_REMOVE(&p->waiting, r, link);
        p->n_waiting--;
        start(r);
    }
}

static void finish(PeerRequest *r, const char *problem)
{
    PeerPool *p = r->pool;
    WorkerCtx *ctx = r->ctx;
    if (problem)
        pw_log(PW_LOG_WARNING, "peer-%d: cancel request: %s", p->id, problem);
    if (r->lookup)
        resolver_cancel(r->lookup);
    evtimer_del(&r->timer);
    stream_close(&r->stream);
    if (r->is_active) {
        TAILQ_REMOVE(&p->active, r, link);
        p->n_active--;
    } else {
        TAILQ_REMOVE(&p->waiting, r, link);
        p->n_waiting--;
    }
    r->done(r->arg);
    worker_defer(ctx->worker, &r->deferred);
    serve(p, ctx);
}

/* ---- the connection ---- */

static PeerRequest *of_stream(Stream *st)
{
    return (PeerRequest *)((char *)st - offsetof(PeerRequest, stream));
}

static void on_readable(Stream *st)
{
    char buf[64];
    ssize_t n = stream_recv(st, buf, sizeof(buf));
    if (n == -1 || n > 0)
        return; /* a peer says nothing; it closes when the request has ended there */
    PeerRequest *r = of_stream(st);
    finish(r, r->sent ? NULL : "connect failed");
}

static void on_drained(Stream *st)
{
    of_stream(st)->sent = true;
}

static void on_write_error(Stream *st)
{
    finish(of_stream(st), "connect failed");
}

static const StreamOps stream_ops = {on_readable, on_drained, on_write_error, NULL};

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    finish(arg, "cancel_wait_timeout");
}

static void send_request(PeerRequest *r)
{
    uint8_t key[CANCEL_KEY_LONG];
    PwBuf out;
    pw_buf_init(&out);
    cancel_key_write(&r->key, r->key.hops - 1U, key);
    pw_msg_cancel(&out, key, r->key.len);
    stream_read_start(&r->stream);
    /* a socket that is still connecting answers EAGAIN and the packet waits in the stream */
    bool ok = stream_send_buf(&r->stream, &out);
    pw_buf_finish(&out);
    if (!ok)
        finish(r, "connect failed");
    else
        r->sent = stream_pending(&r->stream) == 0;
}

static void connect_to(PeerRequest *r, const NetAddr *addr)
{
    int fd = net_addr_connect(addr);
    if (fd < 0) {
        finish(r, strerror(errno));
        return;
    }
    stream_open(&r->stream, r->ctx->worker, fd, &stream_ops);
    send_request(r);
}

static void on_resolved(void *arg, PwErr err, const NetAddr *addrs, size_t n)
{
    PeerRequest *r = arg;
    r->lookup = NULL;
    if (err || n == 0)
        finish(r, "server DNS lookup failed");
    else
        connect_to(r, &addrs[0]);
}

static void start(PeerRequest *r)
{
    const PeerConf *conf = config_find_peer(r->ctx->config, r->pool->id);
    r->is_active = true;
    TAILQ_INSERT_TAIL(&r->pool->active, r, link);
    r->pool->n_active++;
    if (!conf) {
        finish(r, "no such peer");
        return;
    }
    ResolverQuery *lookup = resolver_lookup(r->ctx->resolver, conf->host, (uint16_t)conf->port, on_resolved, r);
    if (lookup)
        r->lookup = lookup; /* else it was answered, and the request may have ended */
}

void peer_pool_forward(WorkerCtx *ctx, const CancelKey *key, void (*done)(void *arg), void *arg)
{
    PeerRequest *r = pw_xcalloc(1, sizeof(*r));
    PwUsec limit = ctx->config->cancel_wait_timeout;
    r->deferred.free_it = request_free;
    r->ctx = ctx;
    r->pool = pool_of(cancel_key_peer(key));
    r->key = *key;
    r->done = done;
    r->arg = arg;
    r->stream.fd = -1;
    evtimer_assign(&r->timer, ctx->worker->base, on_timeout, r);
    if (limit > 0) {
        struct timeval tv = pw_timeval(limit);
        evtimer_add(&r->timer, &tv);
    }
    pw_log(PW_LOG_DEBUG, "forwarding cancellation request to peer %d", r->pool->id);
    TAILQ_INSERT_TAIL(&r->pool->waiting, r, link);
    r->pool->n_waiting++;
    serve(r->pool, ctx);
}

PeerPoolCounts peer_pool_counts(int peer_id)
{
    PeerPoolCounts n = {0, 0, 0, 0};
    PeerPool *p;
    const PeerRequest *r;
    HASH_FIND_INT(pools, &peer_id, p);
    if (!p)
        return n;
    n.cl_active = p->n_active;
    n.cl_waiting = p->n_waiting;
    TAILQ_FOREACH(r, &p->active, link) {
        n.sv_active += r->sent;
        n.sv_login += !r->sent;
    }
    return n;
}
