/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_prepared.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_stale.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

void relay_init(Relay *r, const RelayOps *ops, PoolLocal *local, WorkerCtx *ctx)
{
    r->ops = ops;
    r->local = local;
    r->ctx = ctx;
    r->session_mode = local->settings.pool_mode == POOL_MODE_SESSION;
    relay_state_init(r);
    r->disable_pqexec = ctx->config->disable_pqexec;
    r->idle_since = worker_now(ctx->worker);
}

void relay_drop_entry(void *arg, const PipelineEntry *e)
{
    Relay *r = arg;
    relay_align_failed(r->server, e);
    relay_align_close_skipped(r, e);
    if (e->statement || e->name)
        relay_prepared_dropped(r, e);
    else if (e->kind == PIPE_PARSE && e->action == PIPE_FORWARD)
        relay_align_parse_skipped(r, e);
    else if (relay_align_is_unnamed(e))
        relay_align_unnamed_skipped(r, e);
    PipelineEntry rest = *e;
    if (PW_UNLIKELY(relay_count_keeps(r, e)))
        rest.query = NULL;
    server_entry_dropped(r->server, &rest);
}

/* The client goes: what was not run yet counts nowhere. */
static void forget_query(void *arg, PipelineEntry *e)
{
    Relay *r = arg;
    r->effects_in_flight |= e->effects != NULL;
    if (e->query)
        query_entry_drop(e->query);
    e->query = NULL;
}

RelayExtended *relay_extended(Relay *r)
{
    WorkerCtx *ctx = r->ctx;
    RelayExtended *x = ctx->spare_extended;
    if (x) {
        ctx->spare_extended = x->next_spare;
        ctx->n_spare_extended--;
        x->next_spare = NULL;
    } else {
        x = pw_xcalloc(1, sizeof(*x));
    }
    return r->ext = x;
}

void relay_forget_extended(Relay *r)
{
    RelayExtended *x = r->ext;
    if (x->unnamed)
        query_entry_drop(x->unnamed);
    if (x->bound)
        query_entry_drop(x->bound);
    if (PW_UNLIKELY(x->failed != NULL))
        query_entry_drop(x->failed);
    if (PW_UNLIKELY(x->bound_effects != NULL))
        effects_unref(x->bound_effects);
    if (PW_UNLIKELY(x->unnamed_sql.data != NULL))
        pw_buf_finish(&x->unnamed_sql);
    if (PW_UNLIKELY(x->unnamed_text.data != NULL))
        pw_buf_finish(&x->unnamed_text);
    relay_stale_forget(x);
    r->ext = NULL;
    r->unnamed_here = false;
    if (r->ctx->n_spare_extended == CONTEXT_SPARE) {
        free(x);
        return;
    }
    *x = (RelayExtended){.next_spare = r->ctx->spare_extended};
    r->ctx->spare_extended = x;
    r->ctx->n_spare_extended++;
}

void relay_finish(Relay *r)
{
    r->hold |= HOLD_CLOSED;
    Server *s = r->server;
    relay_count_end(r);
    if (s) {
        pipeline_visit(&s->pipeline, forget_query, r);
        bool reusable = relay_state_abandon(r);
        r->server = NULL;
        s->pipeline.on_drop = server_entry_dropped;
        s->pipeline.arg = s;
        s->let_finish = r->terminated;
        if (r->msg_left && !r->msg_discard)
            server_close(s, "client closed in the middle of a message");
        else if (!reusable)
            server_close(s, "client had changed what cannot be undone");
        else
            server_unlink(s, r->session_mode);
    }
    if (r->listen)
        relay_listen_finish(r);
    relay_reset_extended(r);
    relay_state_finish(r);
    pw_buf_finish(&r->held);
    params_finish(&r->params);
    client_statements_finish(&r->statements);
    relay_align_forget(r);
    free(r->own_error);
    r->own_error = NULL;
}

bool relay_is_at_rest(const Relay *r)
{
    return !r->server && !r->hold && !r->listen && !r->close_reason && !r->msg_left && !r->discard_to_sync && !r->terminated &&
           pw_buf_unread(&r->held) == 0 && stream_pending(&r->stream) == 0;
}

/* ---- closing ---- */

void relay_fail(Relay *r, const char *text, const char *reason)
{
    if (r->hold & HOLD_CLOSED)
        return;
    r->hold |= HOLD_CLOSED;
    r->ops->close(r, text, reason);
}

void relay_fail_later(Relay *r, const char *text, const char *reason)
{
    if (!r->close_reason) {
        r->close_text = text;
        r->close_reason = reason;
    }
}

bool relay_check_close(Relay *r)
{
    if (!r->close_reason)
        return (r->hold & HOLD_CLOSED) != 0;
    relay_fail(r, r->close_text, r->close_reason);
    return true;
}

/* ---- client side ---- */

/* The stray message (CopyData of a copy that had failed) has ended: nothing more will come from the server. */
static PW_COLD void release_late(Relay *r)
{
    if (r->msg_left || !r->server)
        return;
    r->release_due = false;
    if (r->server->txn_status == 'I' && pipeline_is_clean(&r->server->pipeline))
        relay_turn_over(r);
}

static void keep(Relay *r, const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return;
    if (!r->held.data && r->ctx->n_spare)
        r->held = r->ctx->spare_held[--r->ctx->n_spare];
    pw_buf_append(&r->held, bytes, n);
    if (pw_buf_unread(&r->held) >= RELAY_HELD_MAX && pw_buf_unread(&r->held) >= r->want)
        stream_read_stop(&r->stream);
}

/* A client at rest holds no memory; a small buffer goes to the next one that has to wait. */
static void drop_held(Relay *r)
{
    if (!r->held.data || pw_buf_unread(&r->held))
        return;
    if (r->held.cap > CONTEXT_SPARE_BYTES || r->ctx->n_spare == CONTEXT_SPARE) {
        pw_buf_finish(&r->held);
        return;
    }
    r->ctx->spare_held[r->ctx->n_spare++] = r->held;
    pw_buf_init(&r->held);
}

void relay_client_input(Relay *r)
{
    Worker *w = r->stream.worker;
    uint8_t *bytes = w->scratch + WORKER_SCRATCH_HEADROOM;
    ssize_t got = stream_recv(&r->stream, bytes, PW_UNLIKELY(r->hold) ? RELAY_HELD_MAX : WORKER_SCRATCH_SIZE);
    if (got == -1)
        return;
    if (got <= 0) {
        relay_fail(r, NULL, got == 0 ? "client unexpected eof" : stream_error(&r->stream));
        return;
    }
    size_t n = (size_t)got, before = pw_buf_unread(&r->held);
    r->local->stats.bytes_received += n;
    if (PW_UNLIKELY(r->hold || before > WORKER_SCRATCH_HEADROOM)) {
        keep(r, bytes, n);
        relay_pump(r);
        return;
    }
    if (PW_UNLIKELY(before)) { /* the beginning of the message; less is copied than if the rest went behind it */
        bytes -= before;
        n += before;
        memcpy(bytes, pw_buf_head(&r->held), before);
        pw_buf_consume(&r->held, before);
    }
    r->pumping = true;
    size_t used = relay_requests(r, bytes, n);
    r->pumping = false;
    if (relay_check_close(r))
        return;
    if (PW_UNLIKELY(used < n)) {
        keep(r, bytes + used, n - used);
        if (r->release_due)
            release_late(r);
        else if (!r->hold) /* a hold was cleared while the rest was still in the scratch buffer */
            relay_pump(r);
        return;
    }
    if (PW_UNLIKELY(before))
        drop_held(r);
    if (PW_UNLIKELY(r->release_due))
        release_late(r);
}

void relay_pump(Relay *r)
{
    if (r->pumping || r->hold)
        return;
    r->pumping = true;
    while (!r->hold && !r->close_reason && pw_buf_unread(&r->held)) {
        size_t used = relay_requests(r, pw_buf_head(&r->held), pw_buf_unread(&r->held));
        pw_buf_consume(&r->held, used);
        if (used == 0)
            break; /* a partial message */
    }
    r->pumping = false;
    if (relay_check_close(r))
        return;
    drop_held(r);
    if ((pw_buf_unread(&r->held) < RELAY_HELD_MAX || pw_buf_unread(&r->held) < r->want) && !(r->hold & HOLD_FLOW))
        stream_read_start(&r->stream);
}

void relay_client_drained(Relay *r)
{
    if (r->server)
        stream_read_start(&r->server->stream);
    if (PW_UNLIKELY(r->listen != NULL))
        relay_listen_flush(r);
    if (!r->server && (r->hold & HOLD_FLOW)) { /* its next request waited for that */
        r->hold &= ~(unsigned)HOLD_FLOW;
        stream_read_start(&r->stream);
        relay_pump(r);
    }
}

/* ---- server side ---- */

static void on_server_drained(Server *s)
{
    Relay *r = s->user_arg;
    if (r->hold & HOLD_FLOW) {
        r->hold &= ~(unsigned)HOLD_FLOW;
        stream_read_start(&r->stream);
        relay_pump(r);
    }
}

/* Does `held` begin with a request that needs a server? After a cancel it may be the rest, or the beginning, of a message. */
static bool holds_request(const Relay *r)
{
    size_t n = pw_buf_unread(&r->held);
    if (r->msg_left || n < PW_WIRE_HEADER)
        return false;
    size_t total = (size_t)pw_be32((const uint8_t *)pw_buf_head(&r->held) + 1) + 1;
    return n >= total || total > RELAY_WHOLE_MAX;
}

static void on_server_gone(Server *s, const char *reason)
{
    Relay *r = s->user_arg;
    const char *text = s->replication == REPLICATION_NONE ? "server conn crashed?" : reason;
    r->server = NULL;
    relay_count_server_gone(r);
    r->reply_cut = server_is_inside_reply(s);
    if (r->hold & HOLD_SYNC) { /* nothing of the client's went out: it takes another server, in its old place */
        r->hold &= ~(unsigned)(HOLD_SYNC | HOLD_TURN | HOLD_FLOW);
        if (!holds_request(r)) { /* it was cancelled meanwhile */
            relay_pump(r);
            return;
        }
        r->hold |= HOLD_SERVER;
        r->ops->need_server(r, true);
        return;
    }
    /* Also while it was asked what its session holds (HOLD_PROBE): a lock or a temporary table may be gone with it. */
    relay_fail_later(r, text, text);
    if (!r->pumping)
        relay_check_close(r);
}

const ServerUser relay_server_user = {relay_server_input, on_server_drained, on_server_gone, NULL};

const Relay *relay_of_server(const Server *s)
{
    return s->user == &relay_server_user ? s->user_arg : NULL;
}

void relay_linked(Relay *r, Server *s, PwUsec waited)
{
    r->server = s;
    r->at_ready = false;
    r->hold &= ~(unsigned)HOLD_SERVER;
    r->wait_usec = waited;
    r->changed = 0;
    r->local->stats.server_assignment_count++;
    s->pipeline.on_drop = relay_drop_entry;
    s->pipeline.arg = r;
    if (PW_UNLIKELY(r->listen != NULL))
        relay_listen_linked(r);
    server_link(s, &relay_server_user, r);
    if (PW_UNLIKELY(settings_temp_path(r->state.committed)))
        r->state.due |= SESSION_DUE_PINS;
    if (relay_sync_start(r))
        relay_pump(r);
}

void relay_turn_over(Relay *r)
{
    Server *s = r->server;
    r->hold &= ~(unsigned)HOLD_TURN;
    r->settings_sent = false;
    r->idle_since = worker_now(r->stream.worker);
    r->request_start = 0;
    r->group.state = GROUP_NONE;
    r->group.tries = 0;
    if (s->txn_status == 'I') {
        if (PW_UNLIKELY(r->listen != NULL) && !relay_listen_idle(r))
            return;
        if (PW_UNLIKELY(r->startup_reset || r->restore_late)) /* a probe finds what is to be set again */
            r->state.due |= SESSION_DUE_ALL;
        if (PW_UNLIKELY(r->state.due && r->msg_left == 0)) {
            stream_read_start(&s->stream); /* although the client may be full: the answer is not for it */
            relay_state_probe(r);
            return;
        }
        bool keeps = r->session_mode || r->state.pins;
        r->release_due = !keeps && r->msg_left > 0;
        if (!keeps && r->msg_left == 0) {
            relay_state_release(r);
            r->server = NULL;
            if (r->hold & HOLD_FLOW) {
                r->hold &= ~(unsigned)HOLD_FLOW;
                stream_read_start(&r->stream);
            }
            relay_reset_extended(r);
            server_unlink(s, false);
        } else if (r->session_mode && r->ctx->config->server_fast_close && server_is_obsolete(s)) {
            relay_fail(r, "database configuration changed", "database configuration changed");
            return;
        }
    }
    if (PW_UNLIKELY(r->held.data || !r->stream.reading || r->close_reason))
        relay_pump(r);
}
