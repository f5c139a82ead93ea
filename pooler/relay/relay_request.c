/* SPDX-License-Identifier: ISC */
/* relay_request.c - client to server: walk the messages, queue the replies they owe, send on.
 *
 * `from`..`pos` is the stretch that goes out in one send at the end (or before something is left out). */
#include <stdio.h>
#include <string.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_known.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_prepared.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_stale.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/fingerprint.h"
#include "poolwise/wire.h"

/* Sends bytes to the server. False: it is gone (the client will be closed). */
static bool forward(Relay *r, const uint8_t *bytes, size_t n)
{
    if (n == 0 || !r->server)
        return true;
    Server *s = r->server;
    if (!stream_send_soon(&s->stream, bytes, n)) {
        server_lost(s, false);
        return false;
    }
    if (PW_UNLIKELY(stream_is_full(&s->stream))) {
        r->hold |= HOLD_FLOW;
        stream_read_stop(&r->stream);
    }
    return true;
}

static QueryEntry *observe(Relay *r, const char *sql, size_t avail)
{
    if (!r->ctx->queries)
        return NULL;
    const char *nul = memchr(sql, 0, avail);
    return query_table_observe(r->ctx->queries, r->ident, sql, nul ? (size_t)(nul - sql) : avail, relay_lex_flags(r));
}

static bool wants_samples(const Relay *r)
{
    return PW_UNLIKELY(r->ctx->config->query_log_samples > 0) && r->ctx->queries;
}

void relay_sample(Relay *r, QueryEntry *q, const char *sql, size_t len, const uint8_t *bind, size_t bind_len)
{
    if (wants_samples(r) && q)
        query_entry_sample(r->ctx->queries, q, sql, len, bind, bind_len);
}

static QueryEntry *on_query(Relay *r, const uint8_t *payload, size_t avail)
{
    const char *sql = (const char *)payload;
    QueryEntry *q = observe(r, sql, avail);
    if (wants_samples(r))
        relay_sample(r, q, sql, strnlen(sql, avail), NULL, 0);
    return q;
}

/* With samples on, the unnamed statement's text is kept for the values of its Binds. */
static void keep_unnamed_text(Relay *r, const char *sql, size_t avail)
{
    PwBuf *text = &r->ext->unnamed_text;
    if (PW_LIKELY(!wants_samples(r))) {
        if (PW_UNLIKELY(text->data != NULL)) /* they were on a moment ago */
            pw_buf_finish(text);
        return;
    }
    pw_buf_consume(text, pw_buf_unread(text));
    size_t n = strnlen(sql, avail);
    if (n <= RELAY_WHOLE_MAX)
        pw_buf_append(text, sql, n);
}

/* Parse: name, text. The entry of the unnamed statement is kept for its Binds. */
void relay_note_parse(Relay *r, const uint8_t *payload, size_t avail)
{
    const uint8_t *nul = memchr(payload, 0, avail);
    if (!nul)
        return;
    if (*payload) { /* named, and not followed: nobody looks at its Binds */
        relay_state_named_parse(r, (const char *)nul + 1, avail - (size_t)(nul + 1 - payload));
        return;
    }
    if (r->ext->unnamed)
        query_entry_drop(r->ext->unnamed);
    r->ext->unnamed = observe(r, (const char *)nul + 1, avail - (size_t)(nul + 1 - payload));
    keep_unnamed_text(r, (const char *)nul + 1, avail - (size_t)(nul + 1 - payload));
    if (relay_state_is_text_plain(r, r->ext->unnamed, nul + 1, avail - (size_t)(nul + 1 - payload)))
        r->ext->unnamed_class = CLASS_SEEN;
    else
        relay_state_parse(r, r->ext->unnamed, (const char *)nul + 1, avail - (size_t)(nul + 1 - payload));
}

/* Bind: portal, statement. */
static void on_bind(Relay *r, const uint8_t *payload, size_t avail)
{
    if (r->ext->bound)
        query_entry_drop(r->ext->bound);
    r->ext->bound = NULL;
    PwCursor c = pw_cursor(payload, avail);
    pw_cursor_cstr(&c);
    const char *statement = pw_cursor_cstr(&c);
    if (!c.bad && !*statement && r->ext->unnamed) {
        r->ext->bound = query_entry_ref(r->ext->unnamed);
        relay_sample(r, r->ext->bound, (const char *)pw_buf_head(&r->ext->unnamed_text), pw_buf_unread(&r->ext->unnamed_text), payload, avail);
    }
    if (PW_UNLIKELY(r->ext->unnamed_class != CLASS_SEEN || r->ext->bound_effects) && r->state.on && !c.bad && !*statement)
        relay_state_bind_unnamed(r, payload, avail);
}

static void begin_request(Relay *r, PwUsec now)
{
    if (r->request_start)
        return;
    r->request_start = r->last_done = now;
    if (r->xact_start == 0)
        r->xact_start = now;
}

static void push_execute(Relay *r, const uint8_t *payload, size_t avail, PwUsec now)
{
    PipelineEntry e = {.kind = PIPE_EXECUTE, .action = PIPE_FORWARD, .sent = now};
    if (PW_LIKELY(avail > sizeof(e.max_rows)))
        e.max_rows = pw_be32(payload + avail - sizeof(e.max_rows)); /* the last field */
    const RelayExtended *x = r->ext;
    if (PW_LIKELY(x != NULL)) { /* else it runs a portal of which nothing is known */
        e.query = x->bound ? query_entry_ref(x->bound) : NULL;
        e.effects = PW_UNLIKELY(x->bound_effects != NULL) ? relay_state_execute(r, payload, avail) : NULL;
    }
    if (PW_UNLIKELY(e.effects != NULL))
        relay_state_resets(r, e.effects);
    pipeline_push_entry(&r->server->pipeline, &e);
}

/* One request goes to the linked server: what does it owe? */
static void owe(Relay *r, uint8_t type, const uint8_t *payload, size_t avail, PwUsec now)
{
    Pipeline *p = &r->server->pipeline;
    begin_request(r, now);
    switch (type) {
    case PW_F_QUERY: {
        PipelineEntry e = {.kind = PIPE_QUERY, .action = PIPE_FORWARD, .query = on_query(r, payload, avail), .sent = now};
        if (PW_UNLIKELY(r->unnamed != NULL))
            relay_align_forget(r);
        if (PW_UNLIKELY(!relay_state_is_plain(r, e.query, payload, avail)))
            e.effects = relay_state_query(r, e.query, (const char *)payload, avail);
        if (PW_UNLIKELY(e.effects != NULL))
            relay_state_resets(r, e.effects);
        pipeline_push_entry(p, &e);
        return;
    }
    case PW_F_PARSE: {
        relay_note_parse(r, payload, avail);
        uint64_t turn = p->skipping ? 0 : r->ext->unnamed_turn; /* what is skipped was not kept */
        PipelineEntry e = {.kind = PIPE_PARSE, .action = PIPE_FORWARD, .replaces = r->unnamed_was_here, .plan = turn, .sent = now};
        pipeline_push_entry(p, &e);
        return;
    }
    case PW_F_BIND:
        on_bind(r, payload, avail);
        pipeline_push(p, PIPE_BIND, PIPE_FORWARD, NULL, NULL, now);
        return;
    case PW_F_DESCRIBE: {
        bool statement = avail && payload[0] == 'S';
        PipelineEntry e = {.kind = statement ? PIPE_DESCRIBE_STATEMENT : PIPE_DESCRIBE_PORTAL, .action = PIPE_FORWARD, .sent = now};
        relay_stale_describe(r, &e, payload, avail);
        pipeline_push_entry(p, &e);
        return;
    }
    case PW_F_EXECUTE:
        push_execute(r, payload, avail, now);
        return;
    case PW_F_CLOSE:
        pipeline_push(p, PIPE_CLOSE, PIPE_FORWARD, NULL, NULL, now);
        return;
    case PW_F_FUNCTION:
        relay_state_function(r, payload, avail);
        pipeline_push(p, PIPE_FUNCTION, PIPE_FORWARD, NULL, NULL, now);
        return;
    case PW_F_SYNC:
        pipeline_push(p, PIPE_SYNC, PIPE_FORWARD, NULL, NULL, now);
        return;
    case PW_F_COPY_DONE:
    case PW_F_COPY_FAIL:
        pipeline_push(p, PIPE_COPY_END, PIPE_FORWARD, NULL, NULL, now);
        return;
    default: /* Flush, CopyData: owe nothing */
        return;
    }
}

static bool ends_turn(uint8_t type)
{
    return type == PW_F_QUERY || type == PW_F_SYNC || type == PW_F_FUNCTION;
}

/* Without a server some messages need none. True: handled, drop it. */
static bool handle_unlinked(Relay *r, uint8_t type)
{
    if (type == PW_F_FLUSH || type == PW_F_COPY_DATA || type == PW_F_COPY_DONE || type == PW_F_COPY_FAIL)
        return true; /* nothing is owed; a copy that failed is over (PostgreSQL ignores these too) */
    r->hold |= HOLD_SERVER;
    r->ops->need_server(r, false);
    return relay_refuse_in_walk(r, type);
}

/* The batch was answered by the pooler: everything through Sync is dropped, Sync gets its ReadyForQuery. */
static PW_COLD void discard_batch(Relay *r, uint8_t type)
{
    if (type != PW_F_SYNC)
        return;
    r->discard_to_sync = false;
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_ready(&out, 'I');
    if (!relay_tell(r, &out))
        relay_fail_later(r, NULL, "client unexpected eof");
    pw_buf_finish(&out);
}

static PW_COLD void bad_header(Relay *r, const uint8_t *p, size_t avail)
{
    char *text = relay_own_text(r);
    size_t used = (size_t)snprintf(text, OWN_ERROR_TEXT, "bad packet header: '");
    for (size_t i = 0; i < 8 && i < avail; i++)
        used += (size_t)snprintf(text + used, OWN_ERROR_TEXT - used, "%02x", p[i]);
    snprintf(text + used, OWN_ERROR_TEXT - used, "'");
    relay_fail_later(r, text, text);
}

static PW_COLD void refuse_message(Relay *r, const uint8_t *p, uint32_t len, size_t avail)
{
    const char *text = pw_msg_frontend(p[0])->name ? "failed to parse packet" : "unknown pkt";
    if (len < 4 || len > (uint32_t)r->ctx->config->max_packet_size)
        bad_header(r, p, avail);
    else
        relay_fail_later(r, text, text);
}

/* The stretch that goes out, and the worker's buffer for it once something in it was rewritten. */
typedef struct Out {
    const uint8_t *bytes;
    size_t from;
    PwBuf patch;
    bool patched;
} Out;

static void start_patch(Relay *r, Out *o)
{
    if (o->patched)
        return;
    o->patch = r->ctx->patch; /* taken out: what we call may walk another client's requests */
    pw_buf_init(&r->ctx->patch);
    o->patched = true;
}

/* Leaves out bytes[pos..pos+skip). */
static void leave_out(Relay *r, Out *o, size_t pos, size_t skip)
{
    if (pos > o->from) {
        start_patch(r, o);
        pw_buf_append(&o->patch, o->bytes + o->from, pos - o->from);
    }
    o->from = pos + skip;
}

static PW_COLD void align_query(Relay *r, Out *o, size_t pos, size_t total, PwUsec now)
{
    const char *sql = (const char *)o->bytes + pos + PW_WIRE_HEADER;
    size_t len = strnlen(sql, total - PW_WIRE_HEADER);
    if (!relay_align_concerns(r, sql, len))
        return;
    leave_out(r, o, pos, 0);
    start_patch(r, o);
    if (pipeline_may_skip(&r->server->pipeline)) /* a Sync of ours would end a skip that is the client's to end */
        relay_align_take_names(r, sql, len, &o->patch, now);
    else
        relay_align_names(r, true, sql, len, &o->patch, now);
}

/* The message at pos is left out if it is a LISTEN that is not allowed; in its place goes what fails with our error. */
static PW_COLD bool refuse_listen(Relay *r, Out *o, size_t pos, size_t take, PwUsec now)
{
    const uint8_t *p = o->bytes + pos;
    leave_out(r, o, pos, 0);
    start_patch(r, o);
    begin_request(r, now);
    if (!relay_refuse_listen(r, p[0], p + PW_WIRE_HEADER, take - PW_WIRE_HEADER, &o->patch, now))
        return false;
    o->from = pos + take;
    return true;
}

/* A Query or Bind that may LISTEN: with listen_mode = shared it waits for the shared connection, which may refuse it. */
static PW_COLD RelayListenStep share_listen(Relay *r, Out *o, size_t pos, size_t take, PwUsec now)
{
    const uint8_t *p = o->bytes + pos;
    RelayListenStep step = relay_listen_request(r, p[0], p + PW_WIRE_HEADER, take - PW_WIRE_HEADER);
    if (step != RELAY_LISTEN_FAIL)
        return step;
    leave_out(r, o, pos, take);
    start_patch(r, o);
    begin_request(r, now);
    relay_listen_fail(r, p[0], &o->patch, now);
    return step;
}

/* Behind what ends at pos. */
static PW_COLD void restore_startup(Relay *r, Out *o, size_t pos, PwUsec now)
{
    leave_out(r, o, pos, 0);
    start_patch(r, o);
    relay_state_restore(r, &o->patch, now);
}

static bool send_out(Relay *r, Out *o, size_t pos)
{
    if (!o->patched)
        return forward(r, o->bytes + o->from, pos - o->from);
    pw_buf_append(&o->patch, o->bytes + o->from, pos - o->from);
    bool ok = forward(r, pw_buf_head(&o->patch), pw_buf_unread(&o->patch));
    pw_buf_consume(&o->patch, pw_buf_unread(&o->patch));
    if (o->patch.cap > RELAY_HELD_MAX)
        pw_buf_finish(&o->patch);
    if (r->ctx->patch.data)
        pw_buf_finish(&o->patch);
    else
        r->ctx->patch = o->patch;
    return ok;
}

/* Our own ParseComplete and CloseComplete would otherwise wait for the server's next message. */
static PW_COLD void answer_flush(Relay *r)
{
    PwBuf out;
    pw_buf_init(&out);
    relay_prepared_fakes(r, &out);
    if (pw_buf_unread(&out) && !relay_tell(r, &out))
        relay_fail_later(r, NULL, "client unexpected eof");
    pw_buf_finish(&out);
}

/* They may: a reply of the server is to come, and as long as nothing was told the group can be sent again. */
static bool may_wait(const Relay *r)
{
    return r->group.state == GROUP_KEPT && pipeline_first_sent(&r->server->pipeline);
}

/* From here on something may be known of the server's unnamed statement and portal. */
static bool names_statement(Relay *r, uint8_t type)
{
    if (type != PW_F_PARSE && type != PW_F_BIND && type != PW_F_DESCRIBE && type != PW_F_CLOSE)
        return false;
    if (!r->ext)
        relay_extended(r);
    return true;
}

/* While the server skips to Sync it discards what it gets: then the messages pass as they are. */
static bool follows_statements(const Relay *r)
{
    return !r->session_mode && r->ctx->config->max_prepared_statements > 0 && !r->server->pipeline.skipping;
}

/* What the message at p must not be, whoever sends it. False: the client will be closed. */
static bool is_acceptable(Relay *r, const uint8_t *p, uint32_t len, size_t avail)
{
    const PwMsgInfo *info = pw_msg_frontend(p[0]);
    if (PW_UNLIKELY(!info->name || len < info->min_length || len > (uint32_t)r->ctx->config->max_packet_size))
        refuse_message(r, p, len, avail);
    else if (p[0] == PW_F_QUERY && PW_UNLIKELY(r->disable_pqexec))
        relay_fail_later(r, "PQexec disallowed", "PQexec disallowed");
    else if (PW_UNLIKELY(p[0] == PW_F_PASSWORD))
        relay_fail_later(r, "unknown pkt", "unknown pkt");
    else
        return true;
    return false;
}

/* Behind the first message of a copy: how many of the n bytes at p are more of them, whole ones that need no look. */
static size_t copied_in(const Relay *r, const uint8_t *p, size_t n)
{
    if (!r->server || !r->server->pipeline.copy_in || r->group.state != GROUP_LOST || r->discard_to_sync)
        return 0;
    uint32_t most = (uint32_t)r->ctx->config->max_packet_size;
    size_t at = 0;
    PwRun run = {0};
    while (n - at >= PW_WIRE_HEADER && p[at] == PW_F_COPY_DATA) {
        uint32_t len = pw_be32(p + at + 1);
        if (len < 4 || len > most || n - at - 1 < len)
            break; /* the caller finds out */
        at += pw_run_step(&run, p + at, n - at, (size_t)len + 1);
    }
    return at;
}

/* The last byte of a Query, Sync or FunctionCall is on its way: may more be read before its ReadyForQuery? */
static void end_turn(Relay *r)
{
    r->turn_ends = false;
    /* what comes behind DEALLOCATE ALL must know that it is done; behind a group that may be sent again, or whose statements of our own may be
     * skipped, nothing goes out */
    bool alone = (r->names_end | r->group.alone | r->aligned) != 0;
    r->names_end = r->group.alone = r->aligned = r->unnamed_fresh = false;
    if (!r->server || r->session_mode || (PW_LIKELY(!alone) && !pool_has_waiters(r->local->entry->pool)))
        return;
    const Pipeline *owed = &r->server->pipeline;
    if (owed->owed_ready && !pipeline_wants_copy(owed))
        r->hold |= HOLD_TURN;
}

/* A request went to the server, or its beginning: `take` of `total` bytes at p. */
static void after_request(Relay *r, const uint8_t *p, size_t take, size_t total)
{
    uint8_t type = p[0];
    relay_stale_passed(r, type, p, take, total);
    const Pipeline *owed = &r->server->pipeline;
    r->turn_ends = ends_turn(type);
    if (r->turn_ends && r->msg_left == 0)
        end_turn(r);
    if (PW_UNLIKELY(owed->count >= RELAY_DEPTH_MAX)) {
        r->hold |= HOLD_FLOW;
        stream_read_stop(&r->stream);
    }
}

size_t relay_requests(Relay *r, const uint8_t *bytes, size_t n)
{
    Out o; /* `patch` is set with `patched` */
    o.bytes = bytes;
    o.from = 0;
    o.patched = false;
    size_t pos = 0;
    PwUsec now = worker_now(r->stream.worker);
    r->want = 0;
    relay_stale_walk(r, bytes + n);
    while (pos < n && !r->close_reason) {
        if (r->msg_left) {
            size_t k = n - pos < r->msg_left ? n - pos : r->msg_left;
            r->msg_left -= (uint32_t)k;
            if (r->msg_discard)
                leave_out(r, &o, pos, k);
            pos += k;
            if (r->msg_left == 0 && r->turn_ends)
                end_turn(r);
            continue;
        }
        r->msg_discard = false;
        if (r->hold || n - pos < PW_WIRE_HEADER)
            break;
        const uint8_t *p = bytes + pos;
        uint8_t type = p[0];
        if (type == PW_F_COPY_DATA) {
            size_t bulk = copied_in(r, p, n - pos);
            pos += bulk;
            if (bulk)
                continue;
        }
        uint32_t len = pw_be32(p + 1);
        if (!is_acceptable(r, p, len, n - pos))
            break;
        size_t total = (size_t)len + 1, have = n - pos;
        if (have < total && total <= RELAY_WHOLE_MAX)
            break;
        if (type == PW_F_TERMINATE) {
            r->terminated = true;
            relay_fail_later(r, NULL, "client close request");
            break;
        }
        size_t take = have < total ? have : total;
        bool drop = false;
        if (PW_UNLIKELY(r->discard_to_sync)) {
            discard_batch(r, type);
            drop = true;
        } else if (!r->server) {
            if (PW_UNLIKELY(stream_is_full(&r->stream))) { /* it gets no more answers before it has read the last ones */
                r->hold |= HOLD_FLOW;
                stream_read_stop(&r->stream);
                break;
            }
            size_t size;
            KnownStep step = relay_known_answer(r, p, have, &size);
            if (step == KNOWN_ANSWERED) {
                leave_out(r, &o, pos, size);
                pos += size;
                continue;
            }
            if (step == KNOWN_MORE) {
                r->want = (uint32_t)size;
                break;
            }
            drop = handle_unlinked(r, type);
            if (!drop && (r->hold || !r->server))
                break; /* waits */
        }
        if (drop) {
            r->msg_discard = true;
            r->turn_ends = false;
            r->msg_left = (uint32_t)(total - take);
            leave_out(r, &o, pos, take);
            pos += take;
            continue;
        }
        if ((type == PW_F_QUERY || type == PW_F_PARSE) && relay_refuses_listen(r) && refuse_listen(r, &o, pos, take, now)) {
            r->msg_discard = true;
            r->msg_left = (uint32_t)(total - take);
            pos += take;
            after_request(r, p, take, total);
            continue;
        }
        if ((type == PW_F_QUERY || type == PW_F_BIND) && take == total && relay_shares_listen(r)) {
            RelayListenStep step = share_listen(r, &o, pos, take, now);
            if (step == RELAY_LISTEN_WAIT)
                break;
            if (step == RELAY_LISTEN_FAIL) {
                pos += take;
                after_request(r, p, take, total);
                continue;
            }
        }
        if (names_statement(r, type) && follows_statements(r)) {
            size_t used, before = pos;
            leave_out(r, &o, pos, 0);
            start_patch(r, &o);
            begin_request(r, now);
            relay_stale_enter(r, p);
            PreparedStep step = relay_prepared_request(r, p, take, total, &o.patch, &used, now);
            if (step == PREPARED_TAKEN) {
                o.from = before + used;
                r->msg_left = (uint32_t)(total - take);
                pos += take;
                after_request(r, p, take, total);
                continue;
            }
            if (step == PREPARED_MORE)
                r->want = (uint32_t)total;
            if (step != PREPARED_PASS)
                break;
        }
        if (type == PW_F_QUERY && take == total && total > PW_WIRE_HEADER &&
            PW_UNLIKELY(relay_align_may_differ(r, (char)p[PW_WIRE_HEADER])))
            align_query(r, &o, pos, total, now);
        owe(r, type, p + PW_WIRE_HEADER, take - PW_WIRE_HEADER, now);
        if (type == PW_F_FLUSH && r->server->pipeline.count && !may_wait(r))
            answer_flush(r);
        r->msg_left = (uint32_t)(total - take);
        pos += take;
        if (PW_UNLIKELY(r->startup_reset) && take == total && relay_state_may_restore(r, type, p + PW_WIRE_HEADER, total - PW_WIRE_HEADER))
            restore_startup(r, &o, pos, now);
        after_request(r, p, take, total);
    }
    relay_stale_walked(r);
    return send_out(r, &o, pos) ? pos : n;
}
