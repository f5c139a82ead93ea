/* SPDX-License-Identifier: ISC */
#include "pooler/server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/pool/failure.h"
#include "pooler/server/alarms.h"
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
    bool blank = server_wanted_blank(shard);
    if (!blank && !pool_entry_try(local->entry, worker_now(ctx->worker), ctx->config->server_login_retry))
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

void server_forget_session(Server *s)
{
    pipeline_clear(&s->pipeline);
    params_finish(&s->params);
    server_statements_finish(&s->statements);
    sql_names_finish(&s->names);
    server_set_applied(s, NULL);
    s->applied_unknown = s->wash = false;
    pw_buf_finish(&s->held);
    pw_buf_finish(&s->group);
    tls_set_unref(s->tls);
    s->tls = NULL;
}

static void server_free(WorkerDeferred *d)
{
    Server *s = (Server *)((char *)d - offsetof(Server, deferred));
    server_forget_session(s);
    pipeline_finish(&s->pipeline);
    pw_buf_finish(&s->welcome);
    pw_buf_finish(&s->startup);
    free(s->addrs);
    server_login_finish(s);
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

void server_lost(Server *s, bool at_end)
{
    char reason[160] = "server conn crashed?"; /* a copy: what TLS says goes with its connection */
    if (!at_end)
        snprintf(reason, sizeof(reason), "server conn crashed? (%s)", stream_error(&s->stream));
    server_close(s, reason);
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

/* ---- its socket ---- */

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
        server_ready_input(s);
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
    if (s->phase == SERVER_LINKED && s->user->on_drained)
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
    server_lost(s, false);
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
        server_lost(s, false);
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
