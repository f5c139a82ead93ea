/* SPDX-License-Identifier: ISC */
/* admin.c - consoles: greeting, messages, answers. */
#include "pooler/admin/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/version.h"
#include "poolwise/wire.h"

/* What a console may send ahead while a command runs. */
#define QUEUE_MAX (1024 * 1024)

static AdminWorker workers[WORKER_MAX];
static const AdminProcessOps *process;

AdminWorker *admin_worker(unsigned index)
{
    return &workers[index];
}

const AdminProcessOps *admin_process(void)
{
    return process;
}

static AdminWorker *worker_of(const AdminSession *s)
{
    return &workers[s->client->relay.stream.worker->index];
}

/* ---- answers ---- */

void admin_send(AdminSession *s, PwBuf *out)
{
    worker_of(s)->stats.bytes_sent += pw_buf_unread(out);
    if (!stream_send_buf(&s->client->relay.stream, out))
        client_close(s->client, NULL, "client unexpected eof");
}

void admin_answer(AdminSession *s, PwBuf *out)
{
    PoolStats *stats = &worker_of(s)->stats;
    PwUsec spent = worker_now(s->client->relay.stream.worker) - s->started;
    stats->query_time += (uint64_t)spent;
    stats->xact_time += (uint64_t)spent;
    if (!s->extended)
        pw_msg_ready(out, 'I');
    admin_send(s, out);
}

void admin_ready(AdminSession *s)
{
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_ready(&out, 'I');
    admin_send(s, &out);
    pw_buf_finish(&out);
}

void admin_notice(AdminSession *s, const char *text, const char *detail)
{
    PwErrorText e = {.severity = "NOTICE", .sqlstate = "00000", .message = text, .detail = detail};
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_notice(&out, &e);
    admin_send(s, &out);
    pw_buf_finish(&out);
}

void admin_result(AdminSession *s, const AdminResult *r, size_t limit, const char *tag)
{
    if (s->extended) {
        admin_extended_result(s, r, limit, tag);
        return;
    }
    PwBuf out;
    pw_buf_init(&out);
    admin_columns_write(r->columns, r->n_columns, r->strict, NULL, &out);
    admin_rows_write(r, limit, NULL, &out);
    pw_msg_command_complete(&out, tag);
    admin_answer(s, &out);
    pw_buf_finish(&out);
}

void admin_complete(AdminSession *s, const char *tag)
{
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_command_complete(&out, tag);
    admin_answer(s, &out);
    pw_buf_finish(&out);
}

/* What a console says goes to the log, but for the value of an option that is a secret. */
static const char *loggable(const char *text)
{
    for (size_t i = 0; i < config_params.n; i++)
        if ((config_params.rows[i].flags & PW_PARAM_SECRET) && strcasestr(text, config_params.rows[i].name))
            return "(not shown: it holds a secret)";
    return text;
}

static void log_error(AdminSession *s, const char *text)
{
    if (admin_ctx(s)->config->log_pooler_errors)
        client_log(s->client, PW_LOG_WARNING, "pooler error: %s", loggable(text));
}

static void answer_error(AdminSession *s, const PwErrorText *e)
{
    log_error(s, e->message);
    s->skip_to_sync = s->extended;
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_error(&out, e);
    admin_answer(s, &out);
    pw_buf_finish(&out);
}

void admin_error_state(AdminSession *s, const char *sqlstate, const char *detail, const char *text)
{
    answer_error(s, &(PwErrorText){.severity = "ERROR", .sqlstate = sqlstate, .message = text, .detail = detail});
}

void admin_error_hint(AdminSession *s, const char *text, const char *hint)
{
    answer_error(s, &(PwErrorText){.severity = "ERROR", .sqlstate = "08P01", .message = text, .hint = hint});
}

void admin_error(AdminSession *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    admin_error_state(s, "08P01", NULL, text);
}

/* An error after which the console is of no use: no ReadyForQuery follows. What the client still sends is read and
 * dropped until it or the next tick closes, so that the answer is not lost to a reset. */
static void last_word(AdminSession *s, const char *text)
{
    log_error(s, text);
    PwErrorText e = {.severity = "ERROR", .sqlstate = "08P01", .message = text};
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_error(&out, &e);
    s->closing = true;
    Client *c = s->client;
    admin_send(s, &out);
    if (c->console)
        stream_end_output(&c->relay.stream);
    pw_buf_finish(&out);
}

/* ---- messages ---- */

void admin_run(AdminSession *s, const char *sql)
{
    PoolStats *stats = &worker_of(s)->stats;
    client_log(s->client, PW_LOG_DEBUG, "got admin query: %s", loggable(sql));
    s->started = worker_now(s->client->relay.stream.worker);
    stats->query_count++; /* a SHOW STATS counts itself, as PgBouncer's */
    stats->xact_count++;
    admin_execute(s, sql);
}

static void on_query(AdminSession *s, const uint8_t *payload, size_t n)
{
    PwCursor cur = pw_cursor(payload, n);
    const char *sql = pw_cursor_cstr(&cur);
    if (cur.bad || pw_cursor_left(&cur) != 0) {
        client_close(s->client, "broken query packet", "broken query packet");
        return;
    }
    admin_extended_query(s);
    admin_run(s, sql);
}

static void dispatch(AdminSession *s, uint8_t type, const uint8_t *payload, size_t n)
{
    char text[80];
    worker_of(s)->stats.bytes_received += n + PW_WIRE_HEADER;
    if (pw_msg_frontend(type)->flags & PW_MSG_EXTENDED) {
        admin_extended_message(s, type, payload, n);
        return;
    }
    if (s->skip_to_sync)
        return;
    if (type == PW_F_QUERY) {
        on_query(s, payload, n);
        return;
    }
    snprintf(text, sizeof(text), "unsupported packet type for admin console: %c", type);
    last_word(s, text);
}

static void queue(AdminSession *s, uint8_t type, const uint8_t *payload, size_t n)
{
    if (pw_buf_unread(&s->queued) + n > QUEUE_MAX) {
        client_close(s->client, "too many commands sent ahead", "too many commands sent ahead");
        return;
    }
    pw_buf_append_u8(&s->queued, type);
    pw_buf_append_be32(&s->queued, (uint32_t)n);
    pw_buf_append(&s->queued, payload, n);
}

void admin_session_next(AdminSession *s)
{
    if (s->draining)
        return; /* the loop below goes on */
    Client *c = s->client;
    s->draining = true;
    while (c->console && !s->job && !s->closing && pw_buf_unread(&s->queued)) {
        uint8_t type = *pw_buf_head(&s->queued);
        uint32_t n = pw_be32(pw_buf_head(&s->queued) + 1);
        pw_buf_consume(&s->queued, 5);
        PwBuf one; /* its own copy: the queue may grow or be freed meanwhile */
        pw_buf_init(&one);
        pw_buf_append(&one, pw_buf_head(&s->queued), n);
        pw_buf_consume(&s->queued, n);
        dispatch(s, type, pw_buf_head(&one), n);
        pw_buf_finish(&one);
    }
    if (!c->console)
        return;
    s->draining = false;
    pw_buf_release_if_empty(&s->queued);
}

static void on_message(Client *c, uint8_t type, const uint8_t *payload, size_t n)
{
    AdminSession *s = c->console;
    if (s->closing)
        return;
    if (s->job || pw_buf_unread(&s->queued))
        queue(s, type, payload, n);
    else
        dispatch(s, type, payload, n);
}

/* ---- life ---- */

static const struct {
    const char *name, *value;
} greeting[] = {
    {"server_version", POOLWISE_PGBOUNCER_VERSION "/bouncer"},
    {"client_encoding", "UTF8"},
    {"server_encoding", "UTF8"},
    {"DateStyle", "ISO"},
    {"TimeZone", "GMT"},
    {"standard_conforming_strings", "on"},
    {"is_superuser", "on"},
};

static void on_open(Client *c)
{
    AdminSession *s = pw_xcalloc(1, sizeof(*s));
    s->client = c;
    pw_buf_init(&s->queued);
    TAILQ_INIT(&s->statements);
    TAILQ_INIT(&s->portals);
    c->console = s;
    TAILQ_INSERT_TAIL(&worker_of(s)->sessions, s, link);
    worker_of(s)->stats.client_login_count++;
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_auth_ok(&out);
    for (size_t i = 0; i < PW_ARRAY_LEN(greeting); i++)
        pw_msg_param_status(&out, greeting[i].name, greeting[i].value);
    client_tell_pooler(&out, config_pool_mode_name(POOL_MODE_STATEMENT), 0);
    client_cancel_register(c, &out);
    pw_msg_ready(&out, 'I');
    if (!stream_send_buf(&c->relay.stream, &out)) /* not admin_send: a login counts no bytes */
        client_close(c, NULL, "client unexpected eof");
    pw_buf_finish(&out);
}

static void on_close(Client *c)
{
    AdminSession *s = c->console;
    if (!s)
        return;
    c->console = NULL;
    if (s->job)
        s->job->session = NULL;
    TAILQ_REMOVE(&worker_of(s)->sessions, s, link);
    admin_pause_console_gone(s);
    admin_handover_console_gone(s);
    pw_buf_finish(&s->queued);
    admin_extended_finish(s);
    free(s);
}

static void on_cancel(Client *c)
{
    AdminSession *s = c->console;
    if (s && s->job)
        admin_control_cancel(s->job);
}

static const ClientConsoleOps console_ops = {on_open, on_message, on_close, on_cancel};

void admin_init(const AdminProcessOps *ops)
{
    process = ops;
    for (unsigned i = 0; i < WORKER_MAX; i++) {
        TAILQ_INIT(&workers[i].sessions);
        TAILQ_INIT(&workers[i].waiting);
    }
    client_set_console(&console_ops);
}

void admin_tick(WorkerCtx *ctx, PwUsec now)
{
    AdminWorker *w = &workers[ctx->worker->index];
    AdminSession *s, *next;
    for (s = TAILQ_FIRST(&w->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->closing)
            client_close(s->client, NULL, "bad packet");
    }
    AdminJob *job, *next_job;
    for (job = TAILQ_FIRST(&w->waiting); job; job = next_job) {
        next_job = TAILQ_NEXT(job, link);
        admin_control_tick(job, now);
    }
}
