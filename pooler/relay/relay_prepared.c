/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_prepared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_stale.h"
#include "pooler/relay/relay_state.h"
#include "pooler/session/shape.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* Every entry about a statement holds a reference to it until it is done or dropped. */
static void push(Relay *r, PipelineKind kind, PipelineAction action, Statement *st, ClientStatement *name, PwUsec now)
{
    PipelineEntry e = {.kind = (uint8_t)kind,
                       .action = (uint8_t)action,
                       .statement = st ? statement_ref(st) : NULL,
                       .name = name ? client_statement_ref(name) : NULL,
                       .sent = now};
    pipeline_push_entry(&r->server->pipeline, &e);
}

/* A Bind of it: if the server calls its plan stale, the id says whose. No reference: the hot path. */
static void push_bind(Relay *r, const Statement *st, uint64_t plan, PwUsec now)
{
    PipelineEntry e = {.kind = PIPE_BIND, .action = PIPE_FORWARD, .statement_id = st->id, .plan = plan, .sent = now};
    pipeline_push_entry(&r->server->pipeline, &e);
}

static void write_parse(PwBuf *out, const Statement *st)
{
    char name[STATEMENT_NAME_SIZE];
    size_t mark = pw_msg_begin(out, PW_F_PARSE);
    pw_buf_append_cstr(out, statement_name(st, name));
    pw_buf_append(out, st->body, st->body_len);
    pw_msg_end(out, mark);
}

/* The server's list is full: the least recently used goes. */
static void make_room(Relay *r, PwBuf *out, PwUsec now)
{
    Statement *old;
    char name[STATEMENT_NAME_SIZE];
    while ((old = server_statements_evict(&r->server->statements, (unsigned)r->ctx->config->max_prepared_statements))) {
        size_t mark = pw_msg_begin(out, PW_F_CLOSE);
        pw_buf_append_u8(out, 'S');
        pw_buf_append_cstr(out, statement_name(old, name));
        pw_msg_end(out, mark);
        push(r, PIPE_CLOSE, PIPE_SWALLOW, old, NULL, now);
        statement_unref(old);
    }
}

typedef struct Leaving {
    const Statement *st;
    bool found;
} Leaving;

static void look_for_close(void *arg, PipelineEntry *e)
{
    Leaving *l = arg;
    l->found |= e->kind == PIPE_CLOSE && e->action != PIPE_FAKE && e->statement == l->st;
}

/* make_room's Close of it is unanswered: if an error makes the server skip that, it still has the statement. */
static bool is_leaving(Relay *r, const Statement *st)
{
    Leaving l = {st, false};
    pipeline_visit(&r->server->pipeline, look_for_close, &l);
    return l.found;
}

/* `name` is the client's own Parse, NULL when the Parse is ours. An older plan is closed. The new one stays listed at least
 * until something is read from the server: it is the youngest, and nothing is skipped now (follows_statements). */
static ServerStatement *prepare_on_server(Relay *r, Statement *st, ClientStatement *name, PwBuf *out, PwUsec now)
{
    bool replaces = server_statements_forget(&r->server->statements, st) || is_leaving(r, st);
    if (replaces) {
        char old[STATEMENT_NAME_SIZE];
        size_t mark = pw_msg_begin(out, PW_F_CLOSE);
        pw_buf_append_u8(out, 'S');
        pw_buf_append_cstr(out, statement_name(st, old));
        pw_msg_end(out, mark);
        push(r, PIPE_CLOSE, PIPE_SWALLOW, NULL, NULL, now);
        r->local->session.reprepares++;
    }
    if (PW_UNLIKELY(st->class & CLASS_NAMES) && relay_align_may_differ(r, 'd'))
        relay_align_names(r, false, statement_text(st), st->text_len, out, now);
    write_parse(out, st);
    r->local->stats.server_parse_count += !replaces; /* as PgBouncer counts: a statement once for each server that has it */
    ServerStatement *plan = server_statements_add(&r->server->statements, st);
    r->aligned |= !name;
    PipelineEntry e = {.kind = PIPE_PARSE,
                       .action = name ? PIPE_FORWARD : PIPE_SWALLOW,
                       .replaces = replaces,
                       .statement = statement_ref(st),
                       .plan = plan->since,
                       .name = name ? client_statement_ref(name) : NULL,
                       .sent = now};
    pipeline_push_entry(&r->server->pipeline, &e);
    make_room(r, out, now);
    return plan;
}

/* ---- names that do not fit ---- */

/* error_behaviour = postgres */
static PreparedStep refuse(Relay *r, const char *sqlstate, const char *format, const char *name, PwBuf *out, PwUsec now)
{
    char *text = pw_xasprintf("prepared statement \"%s\" %s", name, format);
    PwErrorText error = {.severity = "ERROR", .sqlstate = sqlstate, .message = text};
    relay_fail_request(r, &error, out, now);
    free(text);
    return PREPARED_TAKEN;
}

/* What the server would say if it had the statement since the client prepared it. */
static PreparedStep refuse_stale(Relay *r, PwBuf *out, PwUsec now)
{
    static const PwErrorText error = {.severity = "ERROR",
                                      .sqlstate = "0A000",
                                      .message = "cached plan must not change result type",
                                      .routine = "RevalidateCachedQuery"};
    r->ext->checked = 0;
    relay_fail_request(r, &error, out, now);
    return PREPARED_TAKEN;
}

static bool like_postgres(const Relay *r)
{
    return r->ctx->config->error_behaviour == ERROR_BEHAVIOUR_POSTGRES;
}

/* ---- what a text means depends on ---- */

/* A literal with one of these is read when the statement is prepared: its value is one client's, not every client's. */
static bool reads_the_clock(const char *text)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    if (!strchr(text, '\''))
        return false;
    for (size_t i = 0; i < PW_ARRAY_LEN(words); i++)
        if (strcasestr(text, words[i]))
            return true;
    return false;
}

static uint64_t private_to(uint64_t id)
{
    return id * UINT64_C(0x9E3779B97F4A7C15);
}

uint64_t relay_prepared_digest(Relay *r, const char *text)
{
    if (!r->state.on)
        return 0;
    if (PW_UNLIKELY(relay_state_is_unsettled(r)))
        return private_to(context_next_id());
    uint64_t digest = session_parse_digest(&r->params, r->state.working);
    if (!(r->state.due & SESSION_DUE_ALL) && !reads_the_clock(text)) /* due: what was set, only the server knows */
        return digest;
    if (!r->id)
        r->id = context_next_id();
    return digest ^ private_to(r->id);
}

/* The Statement that the client's name means on a server that lacks it: under the settings of now, because others share it. */
static Statement *for_server(Relay *r, ClientStatement *cs)
{
    uint64_t digest = relay_prepared_digest(r, statement_text(cs->statement));
    if (digest != cs->statement->digest) {
        Statement *st = statement_intern(cs->statement->body, cs->statement->body_len, digest, relay_lex_flags(r));
        statement_unref(cs->statement);
        cs->statement = st;
    }
    return cs->statement;
}

/* ---- the four messages ---- */

static PreparedStep on_parse(Relay *r, const uint8_t *p, size_t total, PwBuf *out, PwUsec now)
{
    PwCursor c = pw_cursor(p + PW_WIRE_HEADER, total - PW_WIRE_HEADER);
    const char *name = pw_cursor_cstr(&c);
    if (c.bad) {
        relay_fail_later(r, "broken Parse packet", "broken Parse packet");
        return PREPARED_FAIL;
    }
    ClientStatement *taken = client_statements_find(&r->statements, name);
    if (taken && taken->failed) {
        client_statements_remove(&r->statements, taken);
        taken = NULL;
    }
    if (taken) {
        if (like_postgres(r))
            return refuse(r, "42P05", "already exists", name, out, now);
        char text[160];
        snprintf(text, sizeof(text), "prepared statement '%.100s' was already prepared", name);
        r->ops->log(r, PW_LOG_WARNING, text);
        relay_fail_later(r, "prepared statement name is already in use", "prepared statement name is already in use");
        return PREPARED_FAIL;
    }
    if (!memchr(c.p, 0, pw_cursor_left(&c))) {
        relay_fail_later(r, "broken Parse packet", "broken Parse packet");
        return PREPARED_FAIL;
    }
    Statement *st = statement_intern(c.p, pw_cursor_left(&c), relay_prepared_digest(r, (const char *)c.p), relay_lex_flags(r));
    if (!st) {
        relay_fail_later(r, "broken Parse packet", "broken Parse packet");
        return PREPARED_FAIL;
    }
    if (PW_UNLIKELY(relay_state_may_misread(r, statement_text(st), st->text_len)))
        st->class |= CLASS_UNKNOWN; /* it is this client's alone: relay_prepared_digest */
    r->local->stats.client_parse_count++;
    ClientStatement *cs = client_statements_add(&r->statements, name, st);
    if ((st->class & CLASS_LISTEN) && relay_refuses_listen(r)) {
        cs->failed = true; /* whatever is sent for it is skipped, or fails as this does */
        relay_fail_listen(r, out, now);
        return PREPARED_TAKEN;
    }
    statement_ref(st); /* a dropped push may take the name back */
    /* The server may have the statement already: if this Parse is skipped, its name must not be taken for known (find), so the next
     * group waits for the answer. */
    r->aligned |= like_postgres(r) && pipeline_may_skip(&r->server->pipeline);
    if (server_statements_use(&r->server->statements, st))
        push(r, PIPE_PARSE, PIPE_FAKE, st, cs, now);
    else
        cs->used_plan = prepare_on_server(r, st, cs, out, now)->since;
    statement_unref(st);
    return PREPARED_TAKEN;
}

/* PgBouncer knows a name from its Parse on, whether or not that worked, and drivers that pipeline rely on it: a Bind then
 * prepares it. PostgreSQL does not know it. */
static ClientStatement *find(Relay *r, const char *name)
{
    ClientStatement *cs = client_statements_find(&r->statements, name);
    return cs && cs->failed && like_postgres(r) ? NULL : cs;
}

/* ---- may this plan be used? (relay_stale.h) ---- */

/* One Bind or Describe of a named statement. */
typedef struct Use {
    const uint8_t *p;
    bool describe; /* it is a Describe: the client is told all anew */
    bool asks;     /* or one of its portal follows: it is told of the rows */
    ServerStatement *plan;
} Use;

/* Would a server that calls this plan stale have said so to this client on a direct connection too? One without rows cannot be. */
static bool is_earned(const ClientStatement *cs, const ServerStatement *plan)
{
    if (cs->told)
        return cs->told == plan->shape;
    return plan->since == cs->used_plan || plan->shape == SHAPE_NO_ROWS ||
           (cs->used_shape != SHAPE_UNKNOWN && cs->used_shape == plan->shape);
}

/* It goes out with this plan. */
static PreparedStep may_pass(Relay *r, ClientStatement *cs, const ServerStatement *plan)
{
    r->ext->checked = 0;
    if (!cs->told) {
        cs->used_plan = plan->since;
        cs->used_shape = plan->shape;
    }
    return PREPARED_PASS;
}

/* The server has just said what the statement is like there now. True: it can go on; maybe as a statement of its own, with the
 * types of parameters that the client was told. */
static bool fits_now(Relay *r, ClientStatement *cs, const ServerStatement *plan, bool types_fit, bool asks)
{
    if (types_fit)
        return asks || !cs->told || cs->told == plan->shape;
    Statement *typed = statement_with_types(cs->statement, cs->types, cs->n_types, relay_lex_flags(r)), *old = cs->statement;
    cs->statement = typed;
    statement_unref(old);
    return typed != old;
}

/* The statement of a name, there on the server and fit for the client: `use->plan`, and PREPARED_PASS. */
static PreparedStep make_ready(Relay *r, ClientStatement *cs, Use *use, PwBuf *out, PwUsec now)
{
    ServerStatements *there = &r->server->statements;
    if (PW_UNLIKELY(cs->statement->class & CLASS_LISTEN) && relay_refuses_listen(r)) {
        relay_fail_listen(r, out, now);
        return PREPARED_TAKEN;
    }
    ServerStatement *plan = server_statements_use(there, cs->statement);
    if (!plan)
        plan = server_statements_use(there, for_server(r, cs));
    bool made = !plan;
    if (made)
        plan = prepare_on_server(r, cs->statement, NULL, out, now);
    use->plan = plan;
    bool types_fit = use->describe || cs->n_types == 0 || cs->types_shape == plan->types_shape;
    bool told_anew = use->asks || !cs->told;
    if (PW_LIKELY(types_fit && (made ? told_anew : is_earned(cs, plan)))) {
        if (use->asks && !made)
            relay_stale_arm(r, use->p);
        if (made && !use->asks) /* nobody will know its shape otherwise */
            relay_stale_ask(r, cs->statement, plan, false, out, now);
        return may_pass(r, cs, plan);
    }
    if (r->ext->checked == plan->since && plan->shape != SHAPE_UNKNOWN) {
        if (!fits_now(r, cs, plan, types_fit, use->asks))
            return refuse_stale(r, out, now);
        return types_fit ? may_pass(r, cs, plan) : make_ready(r, cs, use, out, now);
    }
    if (types_fit && told_anew && relay_stale_arm(r, use->p)) {
        r->group.alone = true;
        return may_pass(r, cs, plan);
    }
    if (!made)
        use->plan = plan = prepare_on_server(r, cs->statement, NULL, out, now);
    bool wait = !told_anew || (!use->describe && cs->n_types > 0);
    if (wait || !use->asks)
        relay_stale_ask(r, cs->statement, plan, wait, out, now);
    if (!wait)
        return may_pass(r, cs, plan);
    r->ext->checked = plan->since;
    return PREPARED_WAIT;
}

/* Until the groups before this one are answered: whether they are skipped decides what is on the server. */
static PreparedStep wait_for_answer(Relay *r)
{
    r->hold |= HOLD_TURN;
    return PREPARED_WAIT;
}

/* The unnamed statement, where another transaction has parsed it. */
static PreparedStep make_unnamed_ready(Relay *r, bool asks, PwBuf *out, PwUsec now)
{
    if (r->ext->checked == RELAY_UNNAMED) {
        bool fits = r->ext->unnamed_found == SHAPE_UNKNOWN || (r->unnamed && r->ext->unnamed_found == r->unnamed->told);
        r->ext->checked = 0;
        return fits ? PREPARED_PASS : refuse_stale(r, out, now);
    }
    if (r->unnamed_here)
        return PREPARED_PASS;
    relay_align_unnamed(r, out, now);
    if (asks || !r->unnamed || r->unnamed->told == SHAPE_UNKNOWN)
        return PREPARED_PASS;
    r->ext->checked = RELAY_UNNAMED;
    r->ext->unnamed_found = SHAPE_UNKNOWN;
    relay_stale_ask(r, NULL, NULL, true, out, now);
    return PREPARED_WAIT;
}

static PreparedStep unknown(Relay *r, const char *name, PwBuf *out, PwUsec now)
{
    if (like_postgres(r))
        return refuse(r, "26000", "does not exist", name, out, now);
    relay_fail_later(r, "prepared statement did not exist", "prepared statement did not exist");
    return PREPARED_FAIL;
}

static PreparedStep on_unnamed_bind(Relay *r, const char *portal, bool asks, PwBuf *out, PwUsec now)
{
    PreparedStep step = PREPARED_PASS;
    if (PW_UNLIKELY(!r->unnamed_fresh) && r->state.on && relay_align_is_unsure(r))
        return wait_for_answer(r);
    if (PW_UNLIKELY(!r->unnamed_here || r->ext->checked == RELAY_UNNAMED) && r->state.on)
        step = make_unnamed_ready(r, asks, out, now);
    if (step != PREPARED_PASS)
        return step;
    relay_align_unnamed_names(r, out, now);
    relay_stale_bound(r, portal, NULL, r->state.on ? RELAY_UNNAMED : 0, r->ext->unnamed_turn);
    return PREPARED_PASS;
}

/* What a Bind of this statement will run is observed, and followed. */
static void note_bind(Relay *r, const Statement *st, const uint8_t *payload, size_t n)
{
    r->local->stats.bind_count++;
    if (r->ext->bound)
        query_entry_drop(r->ext->bound);
    r->ext->bound = r->ctx->queries ? query_table_observe_hashed(r->ctx->queries, r->ident, st->text_hash, statement_text(st),
                                                            st->text_len, relay_lex_flags(r))
                               : NULL;
    relay_sample(r, r->ext->bound, statement_text(st), st->text_len, payload, n);
    if (PW_UNLIKELY(st->class != CLASS_SEEN || r->ext->bound_effects || r->lex_unsafe) && r->state.on)
        relay_state_bind(r, st->class | (r->lex_unsafe ? CLASS_UNKNOWN : 0u), statement_text(st), st->text_len, payload, n);
}

/* Bind: portal, statement, and then whatever; only the name is replaced, the rest follows as it comes. */
static PreparedStep on_bind(Relay *r, const uint8_t *p, size_t have, size_t total, PwBuf *out, size_t *ret_used, PwUsec now)
{
    PwCursor c = pw_cursor(p + PW_WIRE_HEADER, have - PW_WIRE_HEADER);
    const char *portal = pw_cursor_cstr(&c);
    const char *name = pw_cursor_cstr(&c);
    if (c.bad && have < total)
        return PREPARED_MORE;
    if (c.bad) {
        relay_fail_later(r, "broken Bind packet", "broken Bind packet");
        return PREPARED_FAIL;
    }
    bool asks = relay_stale_asks(r, p, have, total, portal);
    ClientStatement *cs = *name ? find(r, name) : NULL;
    PreparedStep step = PREPARED_PASS;
    Use use = {.p = p, .asks = asks};
    if (!*name)
        step = on_unnamed_bind(r, portal, asks, out, now);
    else if (cs)
        step = make_ready(r, cs, &use, out, now);
    else if (relay_align_name(r, PW_F_BIND, name, out, now))
        relay_stale_bound(r, portal, NULL, 0, 0);
    else
        step = unknown(r, name, out, now);
    if (step == PREPARED_TAKEN) { /* refused */
        *ret_used = have;
        r->msg_discard = true; /* the rest of it, if it has not all arrived */
    }
    if (step != PREPARED_PASS || !cs)
        return step;
    Statement *st = cs->statement;
    if (PW_UNLIKELY(st->class & CLASS_NAMES) && relay_align_may_differ(r, 'd'))
        relay_align_names(r, false, statement_text(st), st->text_len, out, now);
    char shared[STATEMENT_NAME_SIZE];
    statement_name(st, shared);
    pw_buf_append_u8(out, PW_F_BIND);
    pw_buf_append_be32(out, (uint32_t)(total - 1 - strlen(name) + strlen(shared)));
    pw_buf_append_cstr(out, portal);
    pw_buf_append_cstr(out, shared);
    push_bind(r, st, use.plan->since, now);
    relay_stale_bound(r, portal, cs, st->id, use.plan->since);
    note_bind(r, st, p + PW_WIRE_HEADER, have - PW_WIRE_HEADER);
    *ret_used = (size_t)(c.p - p);
    return PREPARED_TAKEN;
}

static PreparedStep on_describe(Relay *r, const uint8_t *p, const char *name, PwBuf *out, PwUsec now)
{
    ClientStatement *cs = find(r, name);
    if (!cs && relay_align_name(r, PW_F_DESCRIBE, name, out, now))
        return PREPARED_PASS;
    if (!cs)
        return unknown(r, name, out, now);
    Use use = {.p = p, .asks = true, .describe = true};
    PreparedStep step = make_ready(r, cs, &use, out, now);
    if (step != PREPARED_PASS)
        return step;
    char shared[STATEMENT_NAME_SIZE];
    size_t mark = pw_msg_begin(out, PW_F_DESCRIBE);
    pw_buf_append_u8(out, 'S');
    pw_buf_append_cstr(out, statement_name(cs->statement, shared));
    pw_msg_end(out, mark);
    PipelineEntry e = {.kind = PIPE_DESCRIBE_STATEMENT,
                       .action = PIPE_FORWARD,
                       .name = client_statement_ref(cs),
                       .statement_id = cs->statement->id,
                       .plan = use.plan->since,
                       .sent = now};
    pipeline_push_entry(&r->server->pipeline, &e);
    return PREPARED_TAKEN;
}

static PreparedStep on_close(Relay *r, const char *name, PwBuf *out, PwUsec now)
{
    ClientStatement *cs = client_statements_find(&r->statements, name);
    if (!cs && relay_align_name(r, PW_F_CLOSE, name, out, now))
        return PREPARED_PASS;
    push(r, PIPE_CLOSE, PIPE_FAKE, NULL, cs, now); /* it comes back if the server skips this Close */
    if (cs)
        client_statements_remove(&r->statements, cs);
    r->names_end |= cs != NULL; /* what comes behind this group must know which it was */
    return PREPARED_TAKEN;
}

static void on_unnamed_parse(Relay *r, const uint8_t *payload, size_t have, size_t total)
{
    if (!r->state.on)
        return;
    relay_align_keep(r, have == total ? payload : NULL, have);
}

/* Parse of "EXECUTE name" already looks at what the name returns. */
static void align_parsed(Relay *r, const char *sql, size_t avail, PwBuf *out, PwUsec now)
{
    size_t len = strnlen(sql, avail);
    if (PW_UNLIKELY(relay_align_may_differ(r, sql[0])) && relay_align_concerns(r, sql, len))
        relay_align_names(r, false, sql, len, out, now);
}

PreparedStep relay_prepared_request(Relay *r, const uint8_t *p, size_t have, size_t total, PwBuf *out, size_t *ret_used,
                                    PwUsec now)
{
    uint8_t type = p[0];
    *ret_used = total;
    if (have == PW_WIRE_HEADER)
        return have < total ? PREPARED_MORE : PREPARED_PASS;
    const uint8_t *payload = p + PW_WIRE_HEADER;
    if (type == PW_F_BIND)
        return on_bind(r, p, have, total, out, ret_used, now);
    if (type == PW_F_PARSE) {
        if (payload[0] == '\0') {
            on_unnamed_parse(r, payload, have - PW_WIRE_HEADER, total - PW_WIRE_HEADER);
            if (have == total && total > PW_WIRE_HEADER + 1)
                align_parsed(r, (const char *)payload + 1, total - PW_WIRE_HEADER - 1, out, now);
            return PREPARED_PASS;
        }
        return have < total ? PREPARED_MORE : on_parse(r, p, total, out, now);
    }
    if (have < total)
        return PREPARED_MORE;
    PwCursor c = pw_cursor(payload, total - PW_WIRE_HEADER);
    uint8_t what = pw_cursor_u8(&c);
    const char *name = pw_cursor_cstr(&c);
    if (c.bad || what != 'S' || !*name) {
        bool unnamed = type == PW_F_DESCRIBE && what == 'S' && !c.bad && r->state.on;
        if (PW_UNLIKELY(unnamed && relay_align_is_unsure(r)))
            return wait_for_answer(r);
        if (PW_UNLIKELY(unnamed && !r->unnamed_here))
            relay_align_unnamed(r, out, now);
        if (PW_UNLIKELY(type == PW_F_CLOSE && what == 'S' && !c.bad && r->state.on))
            relay_align_keep(r, NULL, 0); /* the unnamed statement ends */
        return PREPARED_PASS; /* the server tells what is wrong with a malformed one */
    }
    SqlName *by_sql = PW_UNLIKELY(r->names.table != NULL) ? sql_names_find(&r->names, name) : NULL;
    if (by_sql && type == PW_F_CLOSE) {
        relay_align_close(r, by_sql, out, now);
        return PREPARED_TAKEN;
    }
    if (by_sql && relay_align_name(r, type, name, out, now))
        return PREPARED_PASS;
    return type == PW_F_DESCRIBE ? on_describe(r, p, name, out, now) : on_close(r, name, out, now);
}

/* ---- answers ---- */

void relay_prepared_dropped(Relay *r, const PipelineEntry *e)
{
    ClientStatement *cs = e->name;
    if (cs && e->kind == PIPE_PARSE)
        cs->failed = true; /* it was never prepared */
    else if (cs && e->kind == PIPE_CLOSE)
        client_statements_restore(&r->statements, cs);
}

/* A Parse behind what ends all names, in the same group: its name and its statement come after that. */
static void keep_parse(void *arg, PipelineEntry *e)
{
    Relay *r = arg;
    if (e->kind != PIPE_PARSE || !e->statement)
        return;
    if (e->name)
        client_statements_restore(&r->statements, e->name);
    if (e->action != PIPE_FAKE)
        e->plan = server_statements_add(&r->server->statements, e->statement)->since;
}

void relay_prepared_tag(Relay *r, const char *tag)
{
    if (strcmp(tag, "DEALLOCATE ALL") != 0 && strcmp(tag, "DISCARD ALL") != 0)
        return;
    client_statements_finish(&r->statements);
    server_statements_finish(&r->server->statements);
    sql_names_finish(&r->names);
    sql_names_finish(&r->server->names);
    pipeline_visit(&r->server->pipeline, keep_parse, r);
}

void relay_prepared_fakes(Relay *r, PwBuf *out)
{
    PipelineEntry e;
    while (pipeline_take_fake(&r->server->pipeline, &e)) {
        size_t mark = pw_msg_begin(out, e.kind == PIPE_PARSE ? PW_B_PARSE_COMPLETE : PW_B_CLOSE_COMPLETE);
        pw_msg_end(out, mark);
        server_entry_release(&e);
    }
}
