/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_align.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pooler/relay/relay_prepared.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_stale.h"
#include "pooler/relay/relay_state.h"
#include "pooler/session/shape.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static void push_own(Relay *r, PipelineKind kind, PwUsec now)
{
    pipeline_push(&r->server->pipeline, kind, PIPE_SWALLOW, NULL, NULL, now);
}

static void write_close(const char *name, PwBuf *out)
{
    size_t mark = pw_msg_begin(out, PW_F_CLOSE);
    pw_buf_append_u8(out, 'S');
    pw_buf_append_cstr(out, name);
    pw_msg_end(out, mark);
}

static void close_statement(Relay *r, const char *name, PwBuf *out, PwUsec now)
{
    write_close(name, out);
    push_own(r, PIPE_CLOSE, now);
}

/* ---- the unnamed statement ---- */

void relay_align_keep(Relay *r, const uint8_t *payload, size_t n)
{
    r->unnamed_was_here = r->unnamed_here;
    r->unnamed_here = r->unnamed_fresh = true;
    r->ext->unnamed_turn++;
    r->ext->checked = 0;
    if (!payload) {
        relay_align_forget(r);
        return;
    }
    if (!r->unnamed)
        r->unnamed = pw_xcalloc(1, sizeof(*r->unnamed));
    r->unnamed->told = SHAPE_UNKNOWN;
    pw_buf_consume(&r->unnamed->parse, pw_buf_unread(&r->unnamed->parse));
    pw_buf_append(&r->unnamed->parse, payload, n);
}

void relay_align_forget(Relay *r)
{
    if (!r->unnamed)
        return;
    pw_buf_finish(&r->unnamed->parse);
    free(r->unnamed);
    r->unnamed = NULL;
}

void relay_align_parse_failed(Relay *r, uint64_t turn)
{
    if (r->ext && turn == r->ext->unnamed_turn) /* none came behind it */
        relay_align_forget(r);
}

bool relay_align_is_unnamed(const PipelineEntry *e)
{
    bool kind = e->kind == PIPE_PARSE || (e->kind == PIPE_CLOSE && e->action == PIPE_SWALLOW);
    return kind && e->plan && !e->statement && !e->name;
}

static void first_unnamed(void *arg, PipelineEntry *e)
{
    PipelineEntry **first = arg;
    if (!*first && relay_align_is_unnamed(e))
        *first = e;
}

static PipelineEntry *next_unnamed(const Relay *r)
{
    PipelineEntry *next = NULL;
    pipeline_visit(&r->server->pipeline, first_unnamed, &next);
    return next;
}

bool relay_align_is_unsure(const Relay *r)
{
    return !r->unnamed_fresh && r->server->pipeline.owed_ready && next_unnamed(r);
}

/* The server has what it had before; unless another one comes behind, which then finds that. */
void relay_align_unnamed_skipped(Relay *r, const PipelineEntry *e)
{
    PipelineEntry *next = next_unnamed(r);
    if (next)
        next->replaces = e->replaces;
    else
        r->unnamed_here = e->replaces;
}

void relay_align_parse_skipped(Relay *r, const PipelineEntry *e)
{
    bool last = !e->plan || !r->ext || e->plan == r->ext->unnamed_turn;
    if (e->plan)
        relay_align_unnamed_skipped(r, e);
    if (!last)
        return;
    relay_align_forget(r);
    if (r->ext) {
        r->ext->unnamed_class = CLASS_SEEN | CLASS_UNKNOWN; /* what runs is not the text that was seen last */
        pw_buf_finish(&r->ext->unnamed_sql);
    }
}

void relay_align_types(Relay *r, const uint8_t *payload, size_t n)
{
    if (!r->unnamed)
        return;
    PwBuf *parse = &r->unnamed->parse;
    PwCursor c = pw_cursor(pw_buf_head(parse), pw_buf_unread(parse));
    pw_cursor_cstr(&c);
    pw_cursor_cstr(&c);
    size_t types = pw_cursor_left(&c);
    if (c.bad || n < 2 || (types == n && memcmp(c.p, payload, n) == 0))
        return;
    parse->len -= types;
    pw_buf_append(parse, payload, n); /* the same form in both messages */
}

void relay_align_unnamed(Relay *r, PwBuf *out, PwUsec now)
{
    const PwBuf *parse = relay_unnamed_parse(r);
    size_t n = pw_buf_unread(parse);
    PipelineEntry e = {.kind = PIPE_CLOSE, .action = PIPE_SWALLOW, .plan = RELAY_UNNAMED, .sent = now};
    r->unnamed_here = r->unnamed_fresh = r->aligned = true;
    if (n == 0) { /* whoever's it is, it must not be bound; the server then says that there is none */
        write_close("", out);
        pipeline_push_entry(&r->server->pipeline, &e);
        return;
    }
    relay_note_parse(r, pw_buf_head(parse), n); /* its class may have been given back with the rest of the last transaction's */
    relay_align_unnamed_names(r, out, now); /* the Parse looks at what an EXECUTE returns */
    size_t mark = pw_msg_begin(out, PW_F_PARSE);
    pw_buf_append(out, pw_buf_head(parse), n);
    pw_msg_end(out, mark);
    e.kind = PIPE_PARSE;
    pipeline_push_entry(&r->server->pipeline, &e);
    r->local->session.prepares++;
}

/* ---- names ---- */

/* An entry of our own about a name. Should it fail or be skipped, relay_align_failed tells that nobody knows what the
 * server has under that name. */
static void push_about(Relay *r, PipelineKind kind, const char *name, PwUsec now)
{
    PipelineEntry e = {.kind = (uint8_t)kind, .action = PIPE_SWALLOW, .effects = effects_about(name), .sent = now};
    pipeline_push_entry(&r->server->pipeline, &e);
}

/* In front of a Query what is made is made by a Query too: an error in a Parse would skip the client's Query. */
static void own_query(const char *before, const char *name, const char *behind, PwBuf *out)
{
    size_t mark = pw_msg_begin(out, PW_F_QUERY);
    pw_buf_append_str(out, before);
    if (name)
        settings_append_identifier(out, name);
    pw_buf_append_cstr(out, behind);
    pw_msg_end(out, mark);
}

/* A statement of that name, whatever it does: DEALLOCATE will find it. */
static void make_dummy(Relay *r, bool simple, const char *name, PwBuf *out, PwUsec now)
{
    r->local->session.prepares++;
    r->aligned = true;
    sql_names_put(&r->server->names, name, NULL, SQL_NAME_UNKNOWN, 0); /* until its DEALLOCATE has completed */
    if (simple) {
        own_query("PREPARE ", name, " AS SELECT 1", out);
        push_about(r, PIPE_QUERY, name, now);
        return;
    }
    close_statement(r, name, out, now);
    size_t mark = pw_msg_begin(out, PW_F_PARSE);
    pw_buf_append_cstr(out, name);
    pw_buf_append_cstr(out, "SELECT 1");
    pw_buf_append_be16(out, 0);
    pw_msg_end(out, mark);
    push_own(r, PIPE_PARSE, now);
}

/* Close never fails, not even in a failed transaction or when there is nothing of that name. */
static void take_away(Relay *r, bool simple, const char *name, PwBuf *out, PwUsec now)
{
    r->local->session.prepares++;
    r->aligned = true;
    write_close(name, out);
    push_about(r, PIPE_CLOSE, name, now);
    if (simple) {
        size_t mark = pw_msg_begin(out, PW_F_SYNC);
        pw_msg_end(out, mark);
        push_own(r, PIPE_SYNC, now);
    }
    sql_names_remove(&r->server->names, name);
}

/* Runs a text within the client's group of extended messages, under names of our own. */
static void own_execute(Relay *r, const char *name, const char *text, PwBuf *out, PwUsec now)
{
    static const char OWN[] = "POOLWISE_PREPARE";
    size_t mark = pw_msg_begin(out, PW_F_PARSE);
    pw_buf_append_cstr(out, OWN);
    pw_buf_append_cstr(out, text);
    pw_buf_append_be16(out, 0);
    pw_msg_end(out, mark);
    push_own(r, PIPE_PARSE, now);
    mark = pw_msg_begin(out, PW_F_BIND);
    pw_buf_append_cstr(out, OWN);
    pw_buf_append_cstr(out, OWN);
    pw_buf_append_be16(out, 0);
    pw_buf_append_be16(out, 0);
    pw_buf_append_be16(out, 0);
    pw_msg_end(out, mark);
    push_own(r, PIPE_BIND, now);
    mark = pw_msg_begin(out, PW_F_EXECUTE);
    pw_buf_append_cstr(out, OWN);
    pw_buf_append_be32(out, 0);
    pw_msg_end(out, mark);
    push_about(r, PIPE_EXECUTE, name, now);
    mark = pw_msg_begin(out, PW_F_CLOSE);
    pw_buf_append_u8(out, 'P');
    pw_buf_append_cstr(out, OWN);
    pw_msg_end(out, mark);
    push_own(r, PIPE_CLOSE, now);
    close_statement(r, OWN, out, now);
}

static uint64_t name_digest(const char *text, uint64_t settings)
{
    return XXH3_64bits_withSeed(text, strlen(text), settings);
}

static void bring(Relay *r, bool simple, SqlName *want, PwBuf *out, PwUsec now)
{
    SqlNames *there = &r->server->names;
    r->local->session.prepares++;
    r->aligned = true;
    if (simple) {
        own_query(want->text, NULL, "", out);
        push_about(r, PIPE_QUERY, want->name, now);
    } else {
        own_execute(r, want->name, want->text, out, now);
    }
    want->digest = name_digest(want->text, relay_prepared_digest(r, want->text)); /* under the settings of now, because others share it */
    sql_names_put(there, want->name, NULL, want->digest, 0);
    while (sql_names_count(there) > (unsigned)r->ctx->config->max_prepared_statements && there->table->hh.next)
        take_away(r, simple, there->table->name, out, now);
}

/* What the name means on the server becomes what it means to the client. */
static void align(Relay *r, bool simple, const Effect *e, PwBuf *out, PwUsec now)
{
    SqlName *want = sql_names_find(&r->names, e->name);
    const SqlName *have = sql_names_find(&r->server->names, e->name);
    if (have && (!want || want->digest != have->digest)) {
        take_away(r, simple, e->name, out, now);
        have = NULL;
    }
    const ClientStatement *cs = client_statements_find(&r->statements, e->name);
    if (want && !have)
        bring(r, simple, want, out, now);
    else if (!want && e->kind == EFFECT_DEALLOCATE && cs && !cs->failed)
        make_dummy(r, simple, e->name, out, now);
}

bool relay_align_concerns(const Relay *r, const char *sql, size_t len)
{
    return (stmt_classify(sql, len, relay_lex_flags(r), true) & CLASS_NAMES) != 0;
}

void relay_align_names(Relay *r, bool simple, const char *sql, size_t len, PwBuf *out, PwUsec now)
{
    Effects *effects = effects_parse(sql, len, relay_lex_flags(r), NULL);
    for (unsigned i = 0; i < effects->n; i++) {
        EffectKind kind = (EffectKind)effects->list[i].kind;
        if (kind == EFFECT_PREPARE || kind == EFFECT_EXECUTE || kind == EFFECT_DEALLOCATE)
            align(r, simple, &effects->list[i], out, now);
    }
    effects_unref(effects);
}

void relay_align_take_names(Relay *r, const char *sql, size_t len, PwBuf *out, PwUsec now)
{
    Effects *effects = effects_parse(sql, len, relay_lex_flags(r), NULL);
    for (unsigned i = 0; i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        if (e->kind != EFFECT_PREPARE && e->kind != EFFECT_EXECUTE && e->kind != EFFECT_DEALLOCATE)
            continue;
        const SqlName *want = sql_names_find(&r->names, e->name), *have = sql_names_find(&r->server->names, e->name);
        if (have && (!want || want->digest != have->digest))
            take_away(r, false, e->name, out, now);
    }
    effects_unref(effects);
}

typedef struct Preparing {
    const char *name;
    bool found;
} Preparing;

static void look_for_prepare(void *arg, PipelineEntry *e)
{
    Preparing *p = arg;
    const Effects *effects = e->action == PIPE_FORWARD ? e->effects : NULL;
    for (unsigned i = 0; effects && i < effects->n; i++)
        p->found |= effects->list[i].kind == EFFECT_PREPARE && strcmp(effects->list[i].name, p->name) == 0;
}

/* Its PREPARE is unanswered: whether the name means anything the server will know when it comes to this request. */
static bool is_being_prepared(Relay *r, const char *name)
{
    Preparing p = {name, false};
    pipeline_visit(&r->server->pipeline, look_for_prepare, &p);
    return p.found;
}

/* A name that is not followed: the client keeps the server because of such names (session_state = pin, or a function prepared it). */
static bool keeps_names(const Relay *r)
{
    return (r->state.pins & SESSION_PIN_PREPARED) != 0;
}

static bool align_unfollowed(Relay *r, uint8_t type, const char *name, PwBuf *out, PwUsec now)
{
    if (type != PW_F_CLOSE && is_being_prepared(r, name)) {
        session_state_sent(&r->state, CLASS_UNKNOWN, NULL);
        return true;
    }
    if (!keeps_names(r))
        return false;
    Effect use = {.kind = EFFECT_EXECUTE, .name = name};
    align(r, false, &use, out, now);
    if (type == PW_F_BIND)
        session_state_sent(&r->state, CLASS_UNKNOWN, NULL);
    else if (type == PW_F_CLOSE)
        r->state.due |= SESSION_DUE_PINS; /* it may have been the last */
    return true;
}

bool relay_align_name(Relay *r, uint8_t type, const char *name, PwBuf *out, PwUsec now)
{
    const SqlName *n = sql_names_find(&r->names, name);
    if (!n)
        return align_unfollowed(r, type, name, out, now);
    Effect use = {.kind = EFFECT_EXECUTE, .name = name};
    align(r, false, &use, out, now);
    if (type == PW_F_BIND) {
        session_state_sent(&r->state, n->class & CLASS_TRACK ? n->class | CLASS_UNKNOWN : n->class, NULL);
        relay_state_ask_about(r, n->text, strlen(n->text));
    }
    return true;
}

/* Nothing is brought for it: there is no error in closing what is not there. Until it is answered nothing goes out behind its group;
 * what comes within the group finds its effects (is_being_prepared) and is left to the server, as it is. */
void relay_align_close(Relay *r, SqlName *n, PwBuf *out, PwUsec now)
{
    PipelineEntry e = {.kind = PIPE_CLOSE, .action = PIPE_FORWARD, .effects = effects_prepared(n->name, n->text, n->class),
                       .plan = n->digest, .sent = now};
    write_close(n->name, out);
    sql_names_put(&r->server->names, n->name, NULL, SQL_NAME_UNKNOWN, 0); /* an error before it may keep it there */
    sql_names_remove(&r->names, n->name);
    r->names_end = true;
    pipeline_push_entry(&r->server->pipeline, &e);
}

void relay_align_close_skipped(Relay *r, const PipelineEntry *e)
{
    const Effects *effects = e->kind == PIPE_CLOSE && e->action == PIPE_FORWARD ? e->effects : NULL;
    if (effects && !sql_names_find(&r->names, effects->list[0].name))
        sql_names_put(&r->names, effects->list[0].name, effects->list[0].value, e->plan, effects->list[0].class);
}

void relay_align_completed(Relay *r, const Effects *effects, unsigned statement, const char *tag)
{
    bool prepares = strcmp(tag, "PREPARE") == 0, deallocates = strcmp(tag, "DEALLOCATE") == 0;
    for (unsigned i = 0; (prepares || deallocates) && i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        if (e->statement != statement)
            continue;
        if (prepares && e->kind == EFFECT_PREPARE && relay_follows_names(r)) {
            uint64_t digest = name_digest(e->value, relay_prepared_digest(r, e->value));
            sql_names_put(&r->names, e->name, e->value, digest, e->class);
            sql_names_put(&r->server->names, e->name, NULL, digest, 0);
        } else if (deallocates && e->kind == EFFECT_DEALLOCATE) {
            sql_names_remove(&r->names, e->name);
            sql_names_remove(&r->server->names, e->name);
            ClientStatement *cs = client_statements_find(&r->statements, e->name);
            if (cs)
                client_statements_remove(&r->statements, cs);
        }
    }
}

void relay_align_failed(Server *s, const PipelineEntry *e)
{
    const Effects *about = e->effects;
    if (e->action == PIPE_SWALLOW && about && about->n == 1)
        sql_names_put(&s->names, about->list[0].name, NULL, SQL_NAME_UNKNOWN, 0);
}

void relay_align_stale(Server *s, const Effects *effects)
{
    for (unsigned i = 0; i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        if (e->kind == EFFECT_EXECUTE && sql_names_find(&s->names, e->name))
            sql_names_put(&s->names, e->name, NULL, SQL_NAME_UNKNOWN, 0);
    }
}

void relay_align_executes(Relay *r, const Effects *effects)
{
    for (unsigned i = 0; i < effects->n; i++) {
        if (effects->list[i].kind != EFFECT_EXECUTE)
            continue;
        const SqlName *n = sql_names_find(&r->names, effects->list[i].name);
        /* not known: perhaps its PREPARE is under way; what a followed one sets is not read from its text */
        unsigned class = n ? n->class : CLASS_UNKNOWN;
        session_state_sent(&r->state, class & CLASS_TRACK ? class | CLASS_UNKNOWN : class, NULL);
        if (n)
            relay_state_ask_about(r, n->text, strlen(n->text));
    }
}
