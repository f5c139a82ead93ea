/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pooler/client/cancel_index.h"
#include "pooler/client/client_priv.h"
#include "pooler/relay/relay_count.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

/* Bytes that a leaving client may still have sent us: read and dropped, because closing a socket with unread
 * input makes the kernel reset the connection, and the reset can overtake our last message. */
#define LINGER_BYTES (1024 * 1024)

/* In the middle of a message no error can be told: a row would end in its bytes. */
static void say_goodbye(Client *c, bool logged_in, const PwErrorText *e)
{
    Stream *st = &c->relay.stream;
    PwBuf out;
    pw_buf_init(&out);
    bool silent = relay_is_inside_reply(&c->relay);
    if (!silent)
        pw_msg_error(&out, e);
    bool sent = silent || (logged_in ? relay_tell(&c->relay, &out) : stream_send_buf(st, &out));
    if (sent) {
        stream_end_output(st);
        size_t total = 0;
        ssize_t n;
        uint8_t *scratch = st->worker->scratch; /* the headroom: the walk above us may still use the rest */
        while (total < LINGER_BYTES && (n = recv(st->fd, scratch, WORKER_SCRATCH_HEADROOM, MSG_DONTWAIT)) > 0)
            total += (size_t)n;
    }
    pw_buf_finish(&out);
}

static void log_close(const Client *c, const char *reason)
{
    const WorkerCtx *ctx = client_ctx(c);
    if (reason && ctx->config->log_disconnections)
        client_log(c, PW_LOG_LOG, "closing because: %s (age=%llds)", reason,
                   (long long)((worker_now(ctx->worker) - c->connected_at) / PW_USEC_PER_SEC));
}

static void log_error(const Client *c, const PwErrorText *e)
{
    if (!client_ctx(c)->config->log_pooler_errors)
        return;
    client_log(c, PW_LOG_WARNING, "pooler error: %s%s%s%s%s%s%s", e->message, e->detail ? " (" : "", e->detail ? e->detail : "",
               e->detail ? ")" : "", e->hint ? " (hint: " : "", e->hint ? e->hint : "", e->hint ? ")" : "");
}

bool client_leave(Client *c, const char *reason)
{
    Relay *r = &c->relay;
    if (c->state != CLIENT_READY || r->server || r->listen || client_is_waiting(c) || stream_pending(&r->stream))
        return false;
    log_close(c, reason);
    stream_read_stop(&r->stream);
    client_release_slots(c);
    c->state = CLIENT_LEAVING;
    client_pace(c);
    return true;
}

void client_close_with(Client *c, const char *sqlstate, const char *text, const char *reason)
{
    if (c->state == CLIENT_CLOSED)
        return;
    char why[CLIENT_EXPLAIN_TEXT];
    PwErrorText e = {.severity = "FATAL", .sqlstate = sqlstate, .message = text};
    if (text) {
        e.detail = client_explain_wait(c, text, why);
        e.hint = own_error_hint(text);
    }
    client_count_failed_wait(c);
    ClientState was = c->state;
    Worker *w = c->relay.stream.worker;
    WorkerCtx *ctx = worker_ctx(w);
    if (was == CLIENT_LEAVING)
        client_pace_not(c);
    c->state = CLIENT_CLOSED;
    if (text)
        log_error(c, &e);
    if (was != CLIENT_LEAVING)
        log_close(c, reason);
    if (text) {
        (void)pw_log_settle(); /* who looks into the log on hearing the error finds its reason there */
        say_goodbye(c, was == CLIENT_READY, &e);
    }
    if (was == CLIENT_CONSOLE)
        client_console->close(c);
    if (was == CLIENT_WELCOME)
        client_recheck_abort(c);
    if (c->relay.local)
        pool_cancel(c->relay.local->shard, &c->waiter);
    relay_finish(&c->relay);
    if (c->relay.ident)
        query_ident_release(ctx->queries, c->relay.ident);
    c->relay.ident = NULL;
    client_forget_auth(c);
    if (c->has_key)
        cancel_index_remove(&ctx->by_cancel_key, c);
    c->has_key = false;
    if (c->entry) {
        client_welcome_given_up(c);
        c->relay.local->n_clients--;
        registry_unref(c->entry);
        c->entry = NULL;
    }
    client_release_slots(c);
    stream_close(&c->relay.stream);
    TAILQ_REMOVE(&ctx->clients, c, link);
    ctx->n_clients--;
    client_left_worker(w->index);
    if (c->cancels_waiting == 0)
        client_free_later(c);
}

void client_close(Client *c, const char *text, const char *reason)
{
    const char *sqlstate = OWN_ERROR_SQLSTATE, *shown = text;
    char buf[OWN_ERROR_TEXT];
    if (text)
        own_error(text, client_ctx(c)->config->error_behaviour == ERROR_BEHAVIOUR_POSTGRES, &sqlstate, &shown, buf);
    client_close_with(c, sqlstate, shown, reason);
}
