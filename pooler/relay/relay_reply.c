/* SPDX-License-Identifier: ISC */
/* relay_reply.c - server to client: hold each message against the queue of replies owed, send on in one piece.
 *
 * A server is released only at a ReadyForQuery at which nothing is owed, the transaction is idle, and no byte to or
 * from it is buffered: see docs/protocol.md, "When a server may change hands". Anything else is a bug in us or in
 * the server, and the server is closed. */
#include <errno.h>
#include <string.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_prepared.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_stale.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

/* The walk over one read. `from`..`cur` goes to the client in one send. */
typedef struct Walk {
    Relay *r;
    Server *s;
    const uint8_t *from, *cur, *end;
    uint32_t payload_max; /* max_packet_size, for what is behind a header */
    const char *broken; /* what of the server's bytes is no message: PgBouncer's words for it */
    bool client_dead; /* nothing more is sent to it */
    bool whole; /* the message at hand is there to its end */
    bool pump;  /* a hold is gone */
    bool refused; /* the client will be closed; client_dead, too */
    bool unclear; /* a ReadyForQuery after which nothing seems owed, but the history is ambiguous */
} Walk;

static void flush(Walk *w)
{
    size_t n = (size_t)(w->cur - w->from);
    if (n && !w->client_dead) {
        w->r->local->stats.bytes_sent += n;
        if (!stream_send_soon(&w->r->stream, w->from, n))
            w->client_dead = true; /* the walk goes on: the server's state must be known for its recovery */
    }
    w->from = w->cur;
}

static void skip_to(Walk *w, const uint8_t *next)
{
    flush(w);
    w->cur = w->from = next;
}

/* Answers of our own that are due before the next message of the server: they are put right in front of it, where
 * the bytes were sent already or are the scratch buffer's headroom. */
static PW_COLD void insert_fakes(Walk *w)
{
    PwBuf out;
    pw_buf_init(&out);
    relay_prepared_fakes(w->r, &out);
    flush(w);
    size_t n = pw_buf_unread(&out);
    if (n <= WORKER_SCRATCH_HEADROOM - SERVER_HOLD_MAX - 2 * PW_WIRE_HEADER) {
        uint8_t *at = w->s->stream.worker->scratch + (w->cur - w->s->stream.worker->scratch) - n;
        memcpy(at, pw_buf_head(&out), n);
        w->from = at;
    } else if (!w->client_dead) {
        w->client_dead = !relay_tell(w->r, &out);
    }
    pw_buf_finish(&out);
}

/* ---- counting ---- */

/* Bytes for the client so far, sent or not. */
static uint64_t client_bytes(const Walk *w)
{
    return stream_bytes_given(&w->r->stream) + (uint64_t)(w->cur - w->from);
}

/* `last`: bytes for the client of the message that completes it. */
static void count_done(Walk *w, const PipelineEntry *e, size_t last)
{
    Relay *r = w->r;
    if (e->action != PIPE_FORWARD)
        return;
    PwUsec now = worker_now(r->stream.worker);
    uint64_t out = client_bytes(w) + last;
    switch ((PipelineKind)e->kind) {
    case PIPE_QUERY:
    case PIPE_FUNCTION:
        relay_count_query(r, e->query, now, out);
        break;
    case PIPE_EXECUTE:
        relay_count_query(r, e->query, now, out);
        return;
    case PIPE_SYNC:
        if (PW_UNLIKELY(r->sqlstate[0]))
            relay_count_failed_group(r, now, out);
        break;
    default:
        return;
    }
    relay_count_ready(r, now);
}

/* ---- messages ---- */

/* The client renamed itself: its queries count under the new application_name. */
void relay_renamed(Relay *r)
{
    const char *application_name = params_get(&r->params, PARAM_APPLICATION_NAME);
    QueryIdent *old = r->ident;
    r->ident = query_ident_acquire(r->ctx->queries, r->local->entry->db->name, r->user, application_name);
    query_ident_release(r->ctx->queries, old);
}

static PW_COLD void on_param_status(Walk *w, const uint8_t *payload, size_t n)
{
    int i = server_param_status(w->s, payload, n);
    if (i < 0 || (w->r->hold & HOLD_SYNC))
        return;
    params_set(&w->r->params, (unsigned)i, params_get(&w->s->params, (unsigned)i));
    w->r->changed |= (uint16_t)(1u << i);
    if (w->r->ident && i == PARAM_APPLICATION_NAME)
        relay_renamed(w->r);
    if (PW_UNLIKELY(i == PARAM_CLIENT_ENCODING))
        relay_state_encoding_changed(w->r, pipeline_head(&w->s->pipeline));
}

/* The server refused what it was meant to refuse: the client gets our own error in its place. */
static PW_COLD void tell_refusal(Walk *w, const PipelineEntry *e)
{
    flush(w);
    if (!w->client_dead)
        w->client_dead = !relay_tell(w->r, e->statement);
}

/* The server's error speaks of a statement by its shared name: the client gets it with its own. */
static PW_COLD bool tell_renamed(Walk *w, const PipelineEntry *e, const uint8_t *payload, size_t n)
{
    PwBuf text;
    pw_buf_init(&text);
    bool renamed = relay_error_renamed(w->r, e, payload, n, &text);
    if (renamed) {
        flush(w);
        if (!w->client_dead)
            w->client_dead = !relay_tell(w->r, &text);
    }
    pw_buf_finish(&text);
    return renamed;
}

/* A client has been told what a statement returns, or the pooler itself. */
static void note_description(Walk *w, const PipelineEntry *e, uint8_t type, const uint8_t *payload, size_t n)
{
    bool waited = w->r->hold & HOLD_SHAPE;
    relay_stale_told(w->r, e, type, payload, n, w->whole);
    w->pump |= waited && !(w->r->hold & HOLD_SHAPE);
}

/* The error may be that of a statement that was asked for, or of one before it. */
static void end_question(Walk *w)
{
    w->pump |= (w->r->hold & HOLD_SHAPE) != 0;
    w->r->hold &= ~(unsigned)HOLD_SHAPE;
}

static void statement_done(Walk *w, PipelineEntry *e, uint8_t type)
{
    e->replaces = false; /* it was read, not skipped */
    if (e->effects)
        w->r->state.statement = 0;
    if (type == PW_B_PARSE_COMPLETE && e->statement)
        statement_parsed(e->statement, pool_local_id(w->r->local));
    if (type != PW_B_ERROR || !e->statement) {
        server_entry_release(e);
        return;
    }
    relay_prepared_dropped(w->r, e);
    PipelineEntry only = *e;
    only.query = NULL; /* counted by count_done */
    server_entry_dropped(w->s, &only);
}

/* Statement mode: a transaction block has begun. In place of its ReadyForQuery the client gets the error, whatever it sent behind.
 * The walk goes on without it: what the server still owes must be known, or it could not be recovered. */
static PW_COLD void refuse_block(Walk *w)
{
    Relay *r = w->r;
    const char *text = "transaction blocks not allowed in statement pooling mode";
    if (r->local->settings.pool_mode != POOL_MODE_STATEMENT || r->session_mode || (r->hold & (HOLD_SYNC | HOLD_PROBE)))
        return;
    relay_fail_later(r, text, text);
    flush(w);
    w->refused = w->client_dead = true;
}

/* Handles one message whose payload is `avail` bytes long so far. False: the walk is over. */
static bool message(Walk *w, uint8_t type, const uint8_t *payload, size_t avail, const uint8_t *next)
{
    Relay *r = w->r;
    Server *s = w->s;
    switch (type) {
    case PW_B_NOTICE: /* these three may come at any time and answer nothing */
    case PW_B_NOTIFICATION:
        s->msg_swallow = PW_UNLIKELY(r->listen != NULL) && type == PW_B_NOTIFICATION && relay_listen_swallows(r, payload, avail);
        if (s->msg_swallow) {
            skip_to(w, next);
            return true;
        }
        if (PW_UNLIKELY(pipeline_head(&s->pipeline) && pipeline_head(&s->pipeline)->action == PIPE_FAKE))
            insert_fakes(w); /* what came before them is answered: it is of a later request */
        w->cur = next;
        return true;
    case PW_B_PARAM_STATUS:
        on_param_status(w, payload, avail);
        s->msg_swallow = (r->hold & HOLD_SYNC) != 0;
        if (s->msg_swallow) {
            skip_to(w, next); /* the client knows its own values */
            return true;
        }
        w->cur = next;
        return true;
    case PW_B_ERROR:
        if (PW_UNLIKELY(relay_stale_retry(r, payload, avail, client_bytes(w)))) {
            s->msg_swallow = true;
            skip_to(w, next);
            return true;
        }
        relay_note_error(r, s, payload, avail);
        relay_count_blame(r, pipeline_first_sent(&s->pipeline));
        end_question(w);
        break;
    case PW_B_PARAM_DESC:
        if (pipeline_first_sent(&s->pipeline))
            note_description(w, pipeline_first_sent(&s->pipeline), type, payload, avail);
        break;
    case PW_B_COMMAND_COMPLETE:
        if (PW_LIKELY(!pipeline_head(&s->pipeline) || pipeline_head(&s->pipeline)->action != PIPE_SWALLOW))
            r->rows += pw_tag_rows((const char *)payload, avail - (payload[avail - 1] == 0));
        if (PW_UNLIKELY(payload[0] == 'D' && payload[avail - 1] == 0))
            relay_prepared_tag(r, (const char *)payload);
        if (PW_UNLIKELY(r->listen != NULL) && avail == sizeof("ROLLBACK") && memcmp(payload, "ROLLBACK", avail) == 0)
            relay_notify_failed(r->listen);
        break;
    case PW_B_READY:
        if (avail == 1)
            s->txn_status = payload[0];
        if (PW_UNLIKELY(r->state.dirty))
            session_state_ready(&r->state, s->txn_status);
        if (PW_UNLIKELY(s->txn_status != 'I'))
            refuse_block(w);
        break;
    case PW_B_DATA_ROW: /* seen here only when it answers a request of our own */
        if (r->hold & HOLD_PROBE)
            relay_state_probe_row(r, payload, avail, w->whole);
        break;
    default:
        break;
    }
    if (PW_UNLIKELY(pipeline_head(&s->pipeline) && pipeline_head(&s->pipeline)->action == PIPE_FAKE))
        insert_fakes(w);
    if (type == PW_B_COMMAND_COMPLETE && PW_UNLIKELY(relay_state_cares(r, pipeline_head(&s->pipeline), payload)))
        relay_state_complete(r, pipeline_head(&s->pipeline), payload, avail);
    if (PW_UNLIKELY(type == PW_B_PORTAL_SUSPENDED) && pipeline_head(&s->pipeline))
        r->rows += pipeline_head(&s->pipeline)->max_rows;
    /* as many rows as were asked for: what a SELECT sets it has set, whether or not the rest is asked for */
    static const uint8_t some[] = "SELECT 1";
    if (PW_UNLIKELY(type == PW_B_PORTAL_SUSPENDED) && relay_state_cares(r, pipeline_head(&s->pipeline), some))
        relay_state_complete(r, pipeline_head(&s->pipeline), some, sizeof(some));
    PipelineEntry done;
    bool completed;
    PipelineVerdict verdict = pipeline_reply(&s->pipeline, type, &done, &completed);
    if (verdict == PIPE_VERDICT_MISMATCH) {
        flush(w);
        const char *name = pw_msg_backend(type)->name;
        server_log(s, PW_LOG_ERROR, "unexpected message from server: %s", name);
        return false;
    }
    /* the error of a Parse of our own is the client's: it ended the client's Bind behind it */
    bool swallow = verdict == PIPE_VERDICT_SWALLOW && !(type == PW_B_ERROR && completed);
    if (type == PW_B_ERROR && PW_UNLIKELY(r->hold & HOLD_SYNC))
        swallow = true; /* a good-bye right behind the replies to ours: the client gets another server */
    if (completed) {
        if (done.statement_id && (type == PW_B_ROW_DESC || type == PW_B_NO_DATA))
            note_description(w, &done, type, payload, avail);
        if (PW_UNLIKELY(done.kind == PIPE_REFUSED)) {
            tell_refusal(w, &done);
            swallow = true;
        }
        if (PW_UNLIKELY(type == PW_B_ERROR) && done.statement_id && w->whole)
            swallow |= tell_renamed(w, &done, payload, avail);
        if (PW_UNLIKELY(type == PW_B_ERROR) && done.kind == PIPE_PARSE && done.action == PIPE_FORWARD && !done.statement)
            relay_align_parse_failed(r, done.plan);
        if (done.statement != NULL || done.effects != NULL || done.name != NULL)
            statement_done(w, &done, type);
        count_done(w, &done, PW_UNLIKELY(swallow) ? 0 : (size_t)(next - w->cur));
    }
    r->at_ready = type == PW_B_READY && pipeline_is_clean(&s->pipeline);
    w->unclear = type == PW_B_READY && s->pipeline.ambiguous && s->pipeline.count == 0;
    if (PW_UNLIKELY(swallow))
        skip_to(w, next);
    else
        w->cur = next;
    s->msg_swallow = swallow;
    return true;
}

/* CommandComplete of a simple Query of which only the rows are counted: nothing of the session changes, the queue does not either. */
static bool is_plain_completion(const Relay *r, const uint8_t *tag, size_t n)
{
    const Pipeline *p = &r->server->pipeline;
    const PipelineEntry *head = pipeline_head(p);
    return head && head->kind == PIPE_QUERY && head->action == PIPE_FORWARD && !p->copy_in && tag[0] != 'D' /* see message() */ &&
           n > 1 && tag[n - 1] == 0 && !relay_state_cares(r, head, tag) && PW_LIKELY(!r->listen);
}

/* The ReadyForQuery that most reads end with: nothing more is owed, and no transaction is open. Does what message() does with it. False: it
 * is another one. */
static bool plain_ready(Walk *w)
{
    static const uint8_t idle[] = {PW_B_READY, 0, 0, 0, 5, 'I'};
    if (w->end - w->cur != sizeof(idle) || memcmp(w->cur, idle, sizeof(idle)) != 0 || PW_UNLIKELY(w->r->state.dirty))
        return false;
    const PipelineEntry *e = pipeline_end_last(&w->s->pipeline);
    if (!e)
        return false;
    w->s->txn_status = 'I';
    PwUsec now = worker_now(w->r->stream.worker);
    w->cur = w->end;
    if (e->kind == PIPE_QUERY)
        relay_count_query(w->r, e->query, now, client_bytes(w));
    else if (PW_UNLIKELY(w->r->sqlstate[0])) /* as in count_done */
        relay_count_failed_group(w->r, now, client_bytes(w));
    relay_count_ready(w->r, now);
    w->r->at_ready = true;
    w->s->msg_swallow = w->unclear = false;
    return true;
}

/* The Describe of a stale statement is answered by its parameters, and then by the error. What follows the ParameterDescription
 * at `cur`, from `next` on, is looked at before that is passed on. */
typedef enum Describing { DESCRIBING_GOES_ON, DESCRIBING_NEEDS_MORE, DESCRIBING_AGAIN } Describing;

static PW_COLD Describing describing(Walk *w, const uint8_t *next)
{
    size_t left = (size_t)(w->end - next);
    if (!relay_stale_is_kept(w->r) || (size_t)(next - w->cur) + PW_WIRE_HEADER > SERVER_HOLD_MAX)
        return DESCRIBING_GOES_ON;
    if (left < PW_WIRE_HEADER)
        return DESCRIBING_NEEDS_MORE;
    size_t total = (size_t)pw_be32(next + 1) + 1;
    if (next[0] != PW_B_ERROR || total < PW_WIRE_HEADER || (size_t)(next - w->cur) + total > SERVER_HOLD_MAX)
        return DESCRIBING_GOES_ON;
    if (left < total)
        return DESCRIBING_NEEDS_MORE;
    if (!relay_stale_retry(w->r, next + PW_WIRE_HEADER, total - PW_WIRE_HEADER, client_bytes(w)))
        return DESCRIBING_GOES_ON;
    skip_to(w, next + total);
    return DESCRIBING_AGAIN;
}

/* The next n bytes belong to a description that arrives in pieces. */
static PW_COLD void more_description(Walk *w, size_t n)
{
    bool waited = w->r->hold & HOLD_SHAPE;
    relay_stale_more(w->r, w->cur, n, w->s->msg_left == 0);
    w->pump |= waited && !(w->r->hold & HOLD_SHAPE);
}

static PW_COLD void bad_header(Walk *w)
{
    flush(w);
    w->broken = pw_msg_backend(w->cur[0])->name ? "bad pkt header" : "unknown pkt";
    server_log(w->s, PW_LOG_ERROR, "bad packet header: '%02x%02x%02x%02x%02x'", w->cur[0], w->cur[1], w->cur[2], w->cur[3], w->cur[4]);
}

/* False: the server broke the protocol and must be closed. */
static bool walk(Walk *w)
{
    Server *s = w->s;
    while (w->cur < w->end) {
        size_t left = (size_t)(w->end - w->cur);
        if (s->msg_left) {
            size_t k = left < s->msg_left ? left : s->msg_left;
            s->msg_left -= (uint32_t)k;
            if (PW_UNLIKELY(w->r->ext != NULL) && w->r->ext->telling.on)
                more_description(w, k);
            if (s->msg_swallow)
                skip_to(w, w->cur + k);
            else
                w->cur += k;
            continue;
        }
        size_t bulk = pipeline_bulk(&s->pipeline, w->cur, left, w->payload_max, &s->msg_left);
        if (bulk) {
            w->r->at_ready = false;
            s->msg_swallow = false;
            w->cur += bulk;
            continue;
        }
        if (left < PW_WIRE_HEADER)
            break;
        if (plain_ready(w))
            break;
        uint8_t type = w->cur[0];
        uint32_t len = pw_be32(w->cur + 1);
        size_t total = (size_t)len + 1;
        const PwMsgInfo *info = pw_msg_backend(type);
        if (PW_UNLIKELY(!info->name || len < info->min_length || len - 4 > w->payload_max)) {
            bad_header(w);
            return false;
        }
        bool whole = left >= total;
        bool wanted = (info->flags & PW_MSG_WHOLE) || (w->r->hold & HOLD_PROBE) ||
                      (PW_UNLIKELY(type == PW_B_NOTIFICATION) && w->r->listen);
        if (!whole && wanted && total <= SERVER_HOLD_MAX)
            break;
        if (type == PW_B_COMMAND_COMPLETE && whole && is_plain_completion(w->r, w->cur + PW_WIRE_HEADER, len - 4)) {
            w->r->rows += pw_tag_rows((const char *)w->cur + PW_WIRE_HEADER, len - 5);
            w->r->at_ready = s->msg_swallow = false;
            w->cur += total;
            continue;
        }
        w->whole = whole;
        const uint8_t *next = whole ? w->cur + total : w->end;
        if (PW_UNLIKELY(type == PW_B_PARAM_DESC) && whole) {
            Describing d = describing(w, next);
            if (d == DESCRIBING_NEEDS_MORE)
                break;
            if (d == DESCRIBING_AGAIN)
                continue;
        }
        if (!message(w, type, w->cur + PW_WIRE_HEADER, (size_t)(next - w->cur) - PW_WIRE_HEADER, next))
            return false;
        if (!whole)
            s->msg_left = (uint32_t)(total - left);
    }
    const PipelineEntry *head = pipeline_head(&s->pipeline);
    if (PW_UNLIKELY(head && head->action == PIPE_FAKE && !s->msg_left))
        insert_fakes(w); /* perhaps the server has nothing more to say before them */
    flush(w);
    return true;
}

/* ---- after the walk ---- */

/* The client's turn goes on where no ReadyForQuery is to come before more of its requests are read: while it copies
 * in, and after an error that only its Sync ends. */
static void ease_holds(Walk *w)
{
    Relay *r = w->r;
    const Pipeline *p = &w->s->pipeline;
    unsigned before = r->hold;
    if ((r->hold & HOLD_TURN) && (p->owed_ready == 0 || pipeline_wants_copy(p)) && !r->at_ready)
        r->hold &= ~(unsigned)HOLD_TURN;
    if ((r->hold & HOLD_FLOW) && pw_buf_unread(&w->s->stream.out) == 0 && p->count < RELAY_DEPTH_MAX / 2) {
        r->hold &= ~(unsigned)HOLD_FLOW;
        stream_read_start(&r->stream);
    }
    if (r->hold != before && !r->at_ready)
        relay_pump(r);
}

/* The server is ready for the request that it was taken for; if that was cancelled meanwhile it goes back. */
static void begin_requests(Relay *r, Server *s)
{
    relay_pump(r);
    if (PW_UNLIKELY(r->server == s && !r->hold && pipeline_is_clean(&s->pipeline) && r->msg_left == 0))
        relay_turn_over(r);
}

/* Is something still owed, or not? True: the client goes on with another server, or is closed; nobody else gets this one. */
static PW_COLD bool leave_unclear(Walk *w)
{
    Relay *r = w->r;
    Server *s = w->s;
    if (r->state.pins || r->state.due) {
        relay_fail(r, "server conn crashed?", "a pinned server became unclean");
        return true;
    }
    if (s->txn_status != 'I' || r->session_mode || r->msg_left > 0)
        return false;
    r->hold &= ~(unsigned)(HOLD_TURN | HOLD_FLOW);
    r->idle_since = worker_now(r->stream.worker);
    r->request_start = 0;
    relay_reset_extended(r);
    s->user = NULL;
    server_close(s, "unclean server");
    r->server = NULL;
    stream_read_start(&r->stream);
    relay_pump(r);
    return true;
}

/* Ready after requests of our own, perhaps. True: the client's turn is over. */
static bool own_requests_done(Relay *r, Server *s)
{
    if (r->hold & HOLD_RETRY) {
        relay_stale_resend(r);
        return false;
    }
    if (r->hold & HOLD_SYNC) {
        if (relay_sync_ready(r))
            begin_requests(r, s);
        return false;
    }
    if (r->hold & HOLD_PROBE) {
        if (s->txn_status != 'I') {
            server_close(s, "unclean server");
            return false;
        }
        relay_state_probe_done(r);
    }
    return true;
}

static void end_of_walk(Walk *w)
{
    Relay *r = w->r;
    Server *s = w->s;
    if (PW_UNLIKELY(w->client_dead)) {
        if (w->refused) {
            s->msg_swallow = true; /* of a message whose rest is to come the client has nothing: the error can be told */
            relay_check_close(r);
        } else {
            relay_fail(r, NULL, "client unexpected eof");
        }
        return;
    }
    if (PW_UNLIKELY(w->unclear) && leave_unclear(w))
        return;
    if (PW_UNLIKELY(stream_is_full(&r->stream)) && !(r->hold & (HOLD_SYNC | HOLD_PROBE))) /* replies to ours are not for it */
        stream_read_stop(&s->stream);
    if (PW_UNLIKELY(r->hold & (HOLD_TURN | HOLD_FLOW)))
        ease_holds(w);
    if (PW_UNLIKELY(w->pump) && !r->at_ready)
        relay_pump(r);
    if (!r->at_ready || s->msg_left || pw_buf_unread(&s->held) || !pipeline_is_clean(&s->pipeline))
        return;
    r->at_ready = false;
    if (PW_LIKELY(!r->hold) || own_requests_done(r, s))
        relay_turn_over(r);
}

void relay_server_input(Server *s)
{
    Relay *r = s->user_arg;
    Walk w = {.r = r, .s = s, .payload_max = config_payload_max(r->ctx->config)};
    size_t n;
    ssize_t got = server_fill(s, &w.cur, &n);
    if (got == -1)
        return;
    if (got <= 0) {
        server_lost(s, got == 0);
        return;
    }
    w.from = w.cur;
    w.end = w.cur + n;
    if (!walk(&w)) {
        if (w.broken && !(r->hold & HOLD_SYNC)) /* else the client gets another server */
            relay_fail_later(r, w.broken, w.broken);
        server_close(s, w.broken ? w.broken : "unexpected message from server");
        return;
    }
    if (PW_UNLIKELY(w.cur < w.end))
        server_hold(s, w.cur, (size_t)(w.end - w.cur));
    end_of_walk(&w);
}
