/* SPDX-License-Identifier: ISC */
#include "pooler/server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/server/alarms.h"
#include "pooler/server/moved.h"
#include "pooler/server/server_priv.h"
#include "pooler/session/effects.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static const char *const phase_names[] = {
    [SERVER_BLANK] = "blank",   [SERVER_CONNECT] = "connect", [SERVER_TLS] = "tls",
    [SERVER_LOGIN] = "login",   [SERVER_CHORE] = "chore",     [SERVER_READY] = "ready",
    [SERVER_LINKED] = "linked", [SERVER_CLOSED] = "closed",
};
_Static_assert(PW_ARRAY_LEN(phase_names) == SERVER_PHASE_COUNT, "one name a phase");

void server_log(const Server *s, int level, const char *fmt, ...)
{
    if (!pw_log_enabled((PwLogLevel)level))
        return;
    char text[600], where[NET_ADDR_TEXT + 8];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    PoolEntry *e = server_local(s)->entry;
    pw_log((PwLogLevel)level, "S-%p: %s/%s@%s %s", (const void *)s, e->db->name, e->user->name,
           s->addr.len ? net_addr_text(&s->addr, where, sizeof(where)) : s->host, text);
}

/* ---- creation ---- */

static const StreamOps stream_ops;
static void server_free(WorkerDeferred *d);

static PwUsec with_jitter(PwUsec lifetime, uint64_t id)
{
    /* up to a tenth earlier, spread by a multiplicative hash of the id, so that servers opened together do
     * not expire together */
    uint64_t spread = (id * UINT64_C(0x9E3779B97F4A7C15)) >> 54; /* 0..1023 */
    return lifetime - lifetime / 10 * (PwUsec)spread / 1023;
}

Server *server_create(PoolShard *shard)
{
    PoolLocal *local = pool_local(shard);
    Server *s = pw_xcalloc(1, sizeof(*s));
    s->deferred.free_it = server_free;
    s->ps.shard = shard;
    s->id = context_next_id();
    s->stream.fd = -1;
    s->phase = SERVER_CONNECT;
    s->connected_at = s->released_at = worker_now(local->worker);
    s->connected_wall = s->request_wall = pw_time_wall();
    s->lifetime = with_jitter(local->settings.server_lifetime, s->id);
    s->reconnect_epoch = local->reconnect_epoch;
    pipeline_init(&s->pipeline);
    params_init(&s->params);
    server_statements_init(&s->statements);
    s->pipeline.on_drop = server_entry_dropped;
    s->pipeline.arg = s;
    return s;
}

static PoolServer *op_connect(PoolShard *shard)
{
    PoolLocal *local = pool_local(shard);
    if (!local->dbconf)
        return NULL; /* the database is gone */
    WorkerCtx *ctx = worker_ctx(local->worker);
    PwUsec now = worker_now(ctx->worker);
    PwUsec failed = pw_atomic_load(&local->entry->failed_at);
    bool blank = server_wanted_blank(shard);
    if (!blank && failed && now - failed < ctx->config->server_login_retry)
        return NULL;
    Server *s = server_create(shard);
    if (blank)
        server_blank_start(s);
    else
        server_connect_start(s);
    return &s->ps;
}

void server_open_stream(Server *s, int fd)
{
    stream_open(&s->stream, server_local(s)->worker, fd, &stream_ops);
}

/* ---- end ---- */

static void server_free(WorkerDeferred *d)
{
    Server *s = (Server *)((char *)d - offsetof(Server, deferred));
    pipeline_finish(&s->pipeline);
    params_finish(&s->params);
    server_statements_finish(&s->statements);
    sql_names_finish(&s->names);
    settings_unref(s->applied);
    pw_buf_finish(&s->held);
    pw_buf_finish(&s->group);
    pw_buf_finish(&s->welcome);
    pw_buf_finish(&s->startup);
    free(s->addrs);
    server_login_finish(s);
    tls_set_unref(s->tls);
    free(s);
}

void server_log_closing(const Server *s, const char *why)
{
    Worker *w = server_local(s)->worker;
    if (worker_ctx(w)->config->log_disconnections)
        server_log(s, PW_LOG_LOG, "closing because: %s (age=%llds)", why,
                   (long long)((worker_now(w) - s->connected_at) / PW_USEC_PER_SEC));
}

void server_send_terminate(Server *s)
{
    static const uint8_t terminate[] = {PW_F_TERMINATE, 0, 0, 0, 4};
    if (stream_flush(&s->stream) && stream_pending(&s->stream) == 0 && !stream_send(&s->stream, terminate, sizeof(terminate)))
        server_log(s, PW_LOG_DEBUG, "was gone already");
}

void server_close(Server *s, const char *reason)
{
    if (s->phase == SERVER_CLOSED)
        return;
    ServerPhase was = s->phase;
    PoolLocal *local = server_local(s);
    Worker *w = local->worker;
    s->phase = SERVER_CLOSED;
    if (was != SERVER_BLANK)
        server_log_closing(s, reason);
    if (s->blank_up)
        event_free(s->blank_up);
    s->blank_up = NULL;
    if (s->lookup) {
        resolver_cancel(s->lookup);
        s->lookup = NULL;
    }
    server_cancel_orphan(s);
    /* Behind a half-sent message of a client a Terminate could complete that message. */
    if (s->stream.fd >= 0 && was != SERVER_CONNECT && was != SERVER_TLS && was != SERVER_LOGIN && was != SERVER_LINKED)
        server_send_terminate(s);
    stream_close(&s->stream);
    const ServerUser *user = s->user;
    s->user = NULL;
    pipeline_clear(&s->pipeline);
    if (user)
        user->on_gone(s, reason);
    if (PW_UNLIKELY(s->beside))
        pool_beside_give(s->ps.shard);
    else
        pool_server_gone(&s->ps);
    worker_defer(w, &s->deferred);
}

static void op_close(PoolServer *ps, const char *reason)
{
    server_close(server_of(ps), reason);
}

/* ---- hand-over ---- */

static void op_detach(PoolServer *ps)
{
    stream_detach(&server_of(ps)->stream);
}

static bool op_adopt(PoolServer *ps)
{
    Server *s = server_of(ps);
    stream_attach(&s->stream, server_local(s)->worker);
    return !stream_has_input(&s->stream);
}

static void op_post(unsigned worker, MailNode *node)
{
    worker_post(worker, node);
}

static PwUsec op_now(unsigned worker)
{
    return worker_now(worker_get(worker));
}

const PoolOps server_pool_ops = {
    .connect = op_connect,
    .detach = op_detach,
    .adopt = op_adopt,
    .close = op_close,
    .post = op_post,
    .now = op_now,
    .alarm = alarms_set,
};

/* ---- input ---- */

ssize_t server_fill(Server *s, const uint8_t **ret_bytes, size_t *ret_n)
{
    Worker *w = s->stream.worker;
    size_t before = pw_buf_unread(&s->held);
    uint8_t *base = w->scratch + WORKER_SCRATCH_HEADROOM;
    ssize_t got = stream_recv(&s->stream, base, WORKER_SCRATCH_SIZE);
    if (got <= 0)
        return got;
    if (PW_UNLIKELY(before)) {
        memcpy(base - before, pw_buf_head(&s->held), before);
        pw_buf_consume(&s->held, before);
        pw_buf_release_if_empty(&s->held);
    }
    *ret_bytes = base - before;
    *ret_n = (size_t)got + before;
    return got;
}

void server_hold(Server *s, const uint8_t *bytes, size_t n)
{
    pw_buf_append(&s->held, bytes, n);
}

int server_param_status(Server *s, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    const char *name = pw_cursor_cstr(&c);
    const char *value = pw_cursor_cstr(&c);
    if (c.bad)
        return -1;
    int i = params_index(name);
    if (i >= 0)
        params_set(&s->params, (unsigned)i, value);
    return i;
}

/* Idle: anything but an asynchronous message means that the server cannot be trusted or is going away. */
static void ready_input(Server *s)
{
    const uint8_t *p;
    size_t n;
    ssize_t got = server_fill(s, &p, &n);
    if (got == -1)
        return;
    if (got <= 0) {
        server_close(s, got == 0 ? "server conn crashed?" : stream_error(&s->stream));
        return;
    }
    while (n >= PW_WIRE_HEADER) {
        uint32_t len = pw_be32(p + 1);
        const PwMsgInfo *info = pw_msg_backend(p[0]);
        if (!info->name || len < info->min_length || len > SERVER_HOLD_MAX) {
            server_close(s, "unexpected data from an idle server");
            return;
        }
        if (n < (size_t)len + 1)
            break;
        const uint8_t *payload = p + PW_WIRE_HEADER;
        size_t size = len - 4;
        switch (p[0]) {
        case PW_B_NOTICE:
        case PW_B_NOTIFICATION:
            break;
        case PW_B_PARAM_STATUS:
            server_param_status(s, payload, size);
            break;
        case PW_B_ERROR: {
            const char *text = pw_error_field(payload, size, 'M');
            server_log(s, PW_LOG_WARNING, "idle server says: %s", text ? text : "?");
            server_close(s, "server conn crashed?");
            return;
        }
        default:
            server_close(s, "unexpected data from an idle server");
            return;
        }
        p += (size_t)len + 1;
        n -= (size_t)len + 1;
    }
    if (n)
        server_hold(s, p, n);
}

static Server *server_of_stream(Stream *st)
{
    return (Server *)((char *)st - offsetof(Server, stream));
}

static PW_COLD void unlinked_readable(Server *s)
{
    switch (s->phase) {
    case SERVER_CONNECT:
        if (s->tls_asked)
            server_tls_input(s);
        else
            server_login_input(s);
        return;
    case SERVER_TLS:
        server_tls_input(s);
        return;
    case SERVER_LOGIN:
        server_login_input(s);
        return;
    case SERVER_CHORE:
        server_chore_input(s);
        return;
    case SERVER_READY:
        ready_input(s);
        return;
    case SERVER_LINKED: /* see below */
    case SERVER_BLANK: /* no socket */
    case SERVER_CLOSED:
    case SERVER_PHASE_COUNT:
        return;
    }
}

static void on_readable(Stream *st)
{
    Server *s = server_of_stream(st);
    if (PW_LIKELY(s->phase == SERVER_LINKED))
        s->user->on_input(s);
    else
        unlinked_readable(s);
}

static void on_drained(Stream *st)
{
    Server *s = server_of_stream(st);
    if (s->phase == SERVER_LINKED)
        s->user->on_drained(s);
    else if (s->phase == SERVER_CONNECT)
        server_connected(s);
    else if (s->phase == SERVER_CHORE)
        server_chore_next(s);
}

static void on_write_error(Stream *st)
{
    Server *s = server_of_stream(st);
    if (s->phase == SERVER_CONNECT) {
        server_connect_failed(s, strerror(errno));
        return;
    }
    server_close(s, "server conn crashed?");
}

static void on_tls(Stream *st, bool ok)
{
    server_tls_done(server_of_stream(st), ok);
}

static const StreamOps stream_ops = {on_readable, on_drained, on_write_error, on_tls};

void server_entry_dropped(void *arg, const PipelineEntry *e)
{
    Server *s = arg;
    Statement *st = e->statement;
    if (e->query)
        query_entry_drop(e->query);
    bool parse = st && e->kind == PIPE_PARSE && e->action != PIPE_FAKE;
    if (parse && !server_statements_plan(&s->statements, st->id, e->plan))
        ; /* it was sent again since, behind a Close */
    else if (parse && e->replaces)
        server_statements_distrust(&s->statements, st); /* it still has the older one: the Close was skipped too */
    else if (parse)
        server_statements_remove(&s->statements, st); /* it never got it */
    else if (st && e->kind == PIPE_CLOSE)
        server_statements_add(&s->statements, st); /* it still has it */
    server_entry_release(e);
}

void server_entry_release(const PipelineEntry *e)
{
    if (e->kind == PIPE_REFUSED) {
        pw_buf_finish(e->statement);
        free(e->statement);
        return;
    }
    statement_unref(e->statement);
    client_statement_unref(e->name);
    effects_unref(e->effects);
}

void server_set_applied(Server *s, const Settings *settings)
{
    const Settings *old = s->applied;
    s->applied = settings_ref(settings);
    settings_unref(old);
}

bool server_send_own(Server *s, const char *sql)
{
    PwBuf buf;
    pw_buf_init(&buf);
    pw_msg_query(&buf, sql);
    pipeline_push(&s->pipeline, PIPE_QUERY, PIPE_SWALLOW, NULL, NULL, worker_now(s->stream.worker));
    bool ok = stream_send_buf(&s->stream, &buf);
    pw_buf_finish(&buf);
    if (!ok)
        server_close(s, "server conn crashed?");
    return ok;
}

/* ---- between two clients ---- */

void server_link(Server *s, const ServerUser *user, void *arg)
{
    s->user = user;
    s->user_arg = arg;
    s->phase = SERVER_LINKED;
    s->linked_at = worker_now(s->stream.worker);
}

/* Is the address it is connected to still one of its host's? */
static void look_whether_moved(Server *s)
{
    if (PW_LIKELY(!moved_since(&s->moved_epoch, s->host, &s->addr)) || s->close_needed)
        return;
    s->close_needed = true;
    s->close_why = "obsolete connection";
}

const char *server_retire_reason(Server *s, PwUsec now)
{
    PoolLocal *local = server_local(s);
    look_whether_moved(s);
    if (s->close_needed)
        return s->close_why;
    if (s->reconnect_epoch != local->reconnect_epoch)
        return "obsolete connection";
    if (!local->dbconf)
        return "database removed";
    if (s->lifetime == 0 || now - s->connected_at >= s->lifetime)
        return "server lifetime over";
    return NULL;
}

/* More servers than pool_size and the reserve allow, because they were lowered (or replication connections came, which count). When
 * workers look at the same moment each may close the last one that is too many. */
static bool has_too_many(const PoolLocal *local)
{
    Pool *pool = local->entry->pool;
    int max = pw_atomic_load_relaxed(&pool->size.max);
    return max > 0 && pool_size_used(pool) > max + pw_atomic_load_relaxed(&pool->reserve_max);
}

static const char too_many[] = "too many servers in the pool";

static void close_too_many(PoolLocal *local)
{
    PoolServer *longest_idle;
    while ((local->maybe_too_many = has_too_many(local)) && (longest_idle = TAILQ_LAST(&local->shard->idle, PoolServerList)))
        server_close(server_of(longest_idle), too_many);
}

void server_to_pool(Server *s)
{
    if (PW_UNLIKELY(!LIST_EMPTY(&s->cancel_list)))
        server_cancel_too_late(s);
    const PoolLocal *local = server_local(s);
    PwUsec now = worker_now(s->stream.worker);
    const char *why = server_retire_reason(s, now);
    if (PW_UNLIKELY(local->maybe_too_many) && !why && has_too_many(local))
        why = too_many;
    if (PW_UNLIKELY(why != NULL)) {
        server_close(s, why);
        return;
    }
    s->phase = SERVER_READY;
    s->released_at = now;
    stream_read_start(&s->stream);
    pool_release(server_local(s)->shard, &s->ps);
}

const char *server_state_name(const Server *s)
{
    switch (s->ps.state) {
    case POOL_SERVER_CONNECTING:
        return "new";
    case POOL_SERVER_IDLE:
    case POOL_SERVER_TRANSIT:
        return "idle";
    case POOL_SERVER_ACTIVE:
        if (server_is_connecting(s))
            return "new";
        if (s->phase == SERVER_LINKED)
            return "active";
        return s->cancels ? "being_canceled" : "tested";
    case POOL_SERVER_CLOSED:
    case POOL_SERVER_STATE_COUNT:
        break;
    }
    return "closed";
}

void server_check_connect(Server *s, PwUsec now)
{
    const Config *config = worker_ctx(server_local(s)->worker)->config;
    if (s->failed_early)
        server_connect_failed(s, s->failed_early);
    else if (config->server_connect_timeout && now - s->connected_at >= config->server_connect_timeout)
        server_connect_failed(s, "connect timeout");
}

static void close_idle(PoolLocal *local, const char *(*why)(Server *s, PwUsec now), const char *instead, PwUsec now)
{
    PoolServer *ps = TAILQ_FIRST(&local->shard->idle);
    while (ps) {
        const char *reason = why(server_of(ps), now);
        if (reason)
            server_close(server_of(ps), instead ? instead : reason);
        /* closing one settles the pool, which may have given any other away: from the start */
        ps = reason ? TAILQ_FIRST(&local->shard->idle) : TAILQ_NEXT(ps, link);
    }
}

void server_close_retired(PoolLocal *local, const char *instead, PwUsec now)
{
    close_idle(local, server_retire_reason, instead, now);
}

static const char *why_idle_goes(Server *s, PwUsec now)
{
    const PoolLocal *local = server_local(s);
    const char *why = server_retire_reason(s, now);
    if (!why && local->settings.server_idle_timeout && now - s->released_at >= local->settings.server_idle_timeout &&
        pool_size_used(local->entry->pool) > local->settings.min_pool_size)
        why = "server idle timeout";
    return why;
}

void server_maintain(PoolLocal *local, PwUsec now)
{
    PoolShard *shard = local->shard;
    PoolServer *ps, *next;
    server_cancel_serve(local);
    for (ps = TAILQ_FIRST(&shard->connecting); ps; ps = next) {
        next = TAILQ_NEXT(ps, link);
        server_check_connect(server_of(ps), now);
    }
    for (ps = TAILQ_FIRST(&shard->active); ps; ps = next) {
        next = TAILQ_NEXT(ps, link);
        Server *s = server_of(ps);
        look_whether_moved(s);
        const char *why = s->replication ? server_own_retire_reason(s) : NULL;
        if (why)
            server_close(s, why);
        else if (server_is_connecting(s))
            server_check_connect(s, now);
        else if (s->phase == SERVER_CHORE)
            server_chore_maintain(s, now);
    }
    close_too_many(local);
    close_idle(local, why_idle_goes, NULL, now);
}
