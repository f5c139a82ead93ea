/* SPDX-License-Identifier: ISC */
/* server_chore.c - what a server does between two clients, with nobody linked:
 *
 *   client gone or done -> [drain what is owed] -> [wait for cancels] -> [ROLLBACK] -> [reset query] -> pool
 *
 * A server whose client vanished is recovered only if the last message sent to it was complete: a copy is failed,
 * open extended messages are rolled back and get their Sync, what runs is cancelled, and the replies are drained
 * against the queue. Any mismatch or server_recovery_timeout closes it. */
#include <errno.h>
#include <string.h>

#include "pooler/server/server_priv.h"
#include "pooler/session/stmt_class.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

static bool send_msg(Server *s, uint8_t type, const char *text)
{
    PwBuf buf;
    pw_buf_init(&buf);
    size_t mark = pw_msg_begin(&buf, type);
    if (text)
        pw_buf_append_cstr(&buf, text);
    pw_msg_end(&buf, mark);
    bool ok = stream_send_buf(&s->stream, &buf);
    pw_buf_finish(&buf);
    if (!ok)
        server_lost(s, false);
    return ok;
}

/* Answers that the client would have got from the pooler: there is nobody to get them. */
static void forget_fakes(Server *s)
{
    PipelineEntry e;
    while (pipeline_take_fake(&s->pipeline, &e))
        server_entry_release(&e);
}

/* Makes the server reach ReadyForQuery on its own. False: closed. */
static bool wind_up(Server *s, bool cancel)
{
    Pipeline *p = &s->pipeline;
    PwUsec now = worker_now(s->stream.worker);
    forget_fakes(s);
    bool busy = pipeline_owes_client(p), wants_sync = p->open || p->skipping; /* our own statements end by themselves */
    if (p->copy_in && !p->copy_ended) {
        if (!send_msg(s, PW_F_COPY_FAIL, "client disconnected"))
            return false;
        pipeline_push(p, PIPE_COPY_END, PIPE_SWALLOW, NULL, NULL, now);
    } else if (p->open && !p->skipping && !server_send_own(s, "ROLLBACK")) {
        return false; /* its Sync alone would commit what ran in a group that the client never ended */
    }
    if (wants_sync) {
        if (!send_msg(s, PW_F_SYNC, NULL))
            return false;
        pipeline_push(p, PIPE_SYNC, PIPE_SWALLOW, NULL, NULL, now);
    }
    if (busy && cancel) {
        s->asked_to_end = now;
        server_cancel_send(s, NULL);
    }
    return true;
}

/* No byte to or from it is buffered, here or in the TLS library. */
static bool is_quiet(const Server *s)
{
    return stream_pending(&s->stream) == 0 && s->msg_left == 0 && pw_buf_unread(&s->held) == 0 &&
           !stream_input_held(&s->stream);
}

/* Nothing owed and no group without its Sync, which holds a transaction open that ReadyForQuery has not told about. */
static bool is_settled(const Pipeline *p)
{
    return pipeline_is_clean(p) && !p->open;
}

void server_unlink(Server *s, bool whole_session)
{
    const Config *config = worker_ctx(s->stream.worker)->config;
    s->user = NULL;
    s->user_arg = NULL;
    s->pipeline.on_drop = server_entry_dropped;
    s->pipeline.arg = s;
    bool alive = stream_flush(&s->stream); /* a message that nobody answers may be in it */
    if (s->replication != REPLICATION_NONE) {
        if (s->phase == SERVER_LINKED)
            s->phase = SERVER_CHORE; /* its last message was complete: it may get a Terminate */
        server_close(s, "replication client was closed");
        return;
    }
    if (PW_UNLIKELY(!alive)) {
        server_lost(s, false);
        return;
    }
    bool reset = config->server_reset_query[0] &&
                 (whole_session || config->server_reset_query_always);
    reset |= s->wash;
    if (PW_LIKELY(s->txn_status == 'I' && !reset && s->cancels == 0 && is_settled(&s->pipeline) && is_quiet(s))) {
        server_to_pool(s);
        return;
    }
    s->phase = SERVER_CHORE;
    s->chore_step = 0;
    s->chore_failed = false;
    s->asked_to_end = 0;
    s->reset_due = reset;
    s->linked_at = worker_now(s->stream.worker);
    stream_read_start(&s->stream);
    if (!s->pipeline.ambiguous && !is_settled(&s->pipeline) && !wind_up(s, !s->let_finish))
        return;
    server_chore_next(s);
}

void server_chore_maintain(Server *s, PwUsec now)
{
    PwUsec limit = worker_ctx(s->stream.worker)->config->server_recovery_timeout;
    if (limit && now - s->linked_at >= limit) {
        server_close(s, "server_recovery_timeout");
    } else if (s->asked_to_end && LIST_EMPTY(&s->cancel_list) && pipeline_owes_client(&s->pipeline) && now - s->asked_to_end >= PW_USEC_PER_SEC) {
        s->asked_to_end = now; /* it came before the query, and meant nothing */
        server_cancel_send(s, NULL);
    }
}

/* What its last client had set may be gone after it: who comes back must not rely on that. DISCARD ALL tells itself what it does. */
static bool touches_settings(const char *reset_query)
{
    return (stmt_classify(reset_query, strlen(reset_query), 0, true) & (CLASS_TRACK | CLASS_UNKNOWN)) != 0;
}

static void send_reset(Server *s)
{
    const char *query = worker_ctx(s->stream.worker)->config->server_reset_query;
    bool wash = s->wash; /* what its client left behind is more than a weaker server_reset_query undoes */
    s->reset_due = s->wash = false;
    s->applied_unknown |= s->applied && !wash && touches_settings(query);
    server_send_own(s, wash ? "DISCARD ALL" : query);
}

void server_chore_next(Server *s)
{
    if (s->pipeline.ambiguous) {
        server_close(s, "unclean server");
        return;
    }
    if (!pipeline_is_clean(&s->pipeline) || s->cancels > 0 || !is_quiet(s))
        return; /* the last reply, the cancel's end or the socket calls again */
    if (s->ps.state == POOL_SERVER_CONNECTING) { /* connect_query is done */
        s->phase = SERVER_READY;
        pool_server_up(&s->ps);
        return;
    }
    if (s->txn_status != 'I') {
        if (s->chore_step++ > 0) {
            server_close(s, "unclean server");
            return;
        }
        server_send_own(s, "ROLLBACK");
        return;
    }
    if (s->chore_failed) {
        server_close(s, "reset query failed");
        return;
    }
    if (s->reset_due) {
        send_reset(s);
        return;
    }
    server_to_pool(s);
}

static void forget_prepared(Server *s)
{
    server_statements_finish(&s->statements);
    sql_names_finish(&s->names);
}

/* One complete message, or the beginning of a streamed one. False: the server was closed. */
static bool chore_message(Server *s, uint8_t type, const uint8_t *payload, size_t n)
{
    if (server_take_async(s, type, payload, n))
        return true;
    forget_fakes(s);
    PipelineEntry done;
    bool completed, own = s->pipeline.count && pipeline_head(&s->pipeline)->action == PIPE_SWALLOW;
    bool ours = own && pipeline_head(&s->pipeline)->kind == PIPE_QUERY;
    if (pipeline_reply(&s->pipeline, type, &done, &completed) == PIPE_VERDICT_MISMATCH) {
        server_close(s, "unexpected message from server");
        return false;
    }
    done.replaces = false; /* it was read, not skipped */
    if (completed && type == PW_B_ERROR)
        server_entry_dropped(s, &done);
    else if (completed)
        server_entry_release(&done);
    if (type == PW_B_COMMAND_COMPLETE && n > 0 && payload[n - 1] == 0 &&
        (strcmp((const char *)payload, "DISCARD ALL") == 0 || strcmp((const char *)payload, "DEALLOCATE ALL") == 0))
        forget_prepared(s);
    if (type == PW_B_COMMAND_COMPLETE && n == sizeof("DISCARD ALL") && memcmp(payload, "DISCARD ALL", n) == 0) {
        server_set_applied(s, NULL);
        s->applied_unknown = false;
    }
    if (type == PW_B_ERROR && ours) {
        const char *text = pw_error_field(payload, n, 'M');
        server_log(s, PW_LOG_WARNING, "statement of the pooler failed: %s", text ? text : "?");
        s->chore_failed = s->ps.state != POOL_SERVER_CONNECTING; /* connect_query: logged and ignored */
    }
    if (type == PW_B_READY && n == 1)
        s->txn_status = payload[0];
    if (type == PW_B_COPY_IN) /* it asks for data that nobody will send */
        return wind_up(s, false);
    return true;
}

void server_chore_input(Server *s)
{
    const uint8_t *p;
    size_t n;
    ssize_t got = server_fill(s, &p, &n);
    if (got == -1) {
        if (s->stream.tls) /* what the TLS library held was nothing for us */
            server_chore_next(s);
        return;
    }
    if (got <= 0) {
        server_lost(s, got == 0);
        return;
    }
    while (n > 0) {
        if (s->msg_left) { /* the rest of a large message that nobody wants */
            size_t k = n < s->msg_left ? n : s->msg_left;
            p += k;
            n -= k;
            s->msg_left -= (uint32_t)k;
            continue;
        }
        if (n < PW_WIRE_HEADER)
            break;
        uint32_t len = pw_be32(p + 1);
        const PwMsgInfo *info = pw_msg_backend(p[0]);
        if (!info->name || len < info->min_length || len - 4 > config_payload_max(worker_ctx(s->stream.worker)->config)) {
            server_close(s, "bad pkt header");
            return;
        }
        bool whole = n >= (size_t)len + 1;
        if (!whole && len <= SERVER_HOLD_MAX)
            break;
        if (!chore_message(s, p[0], p + PW_WIRE_HEADER, whole ? len - 4 : n - PW_WIRE_HEADER))
            return;
        if (!whole) {
            s->msg_left = len + 1 - (uint32_t)n;
            n = 0;
            break;
        }
        p += (size_t)len + 1;
        n -= (size_t)len + 1;
    }
    if (n)
        server_hold(s, p, n);
    forget_fakes(s);
    if (s->phase == SERVER_CHORE && !s->msg_left && n == 0)
        server_chore_next(s);
}
