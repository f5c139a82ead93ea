/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_align.h"

#include <string.h>
#include <strings.h>

#include "pooler/relay/relay_priv.h"
#include "poolwise/wire.h"

static void push_own(Relay *r, PipelineKind kind, PwUsec now)
{
    pipeline_push(&r->server->pipeline, kind, PIPE_SWALLOW, NULL, NULL, now);
}

static void close_statement(Relay *r, const char *name, PwBuf *out, PwUsec now)
{
    size_t mark = pw_msg_begin(out, PW_F_CLOSE);
    pw_buf_append_u8(out, 'S');
    pw_buf_append_cstr(out, name);
    pw_msg_end(out, mark);
    push_own(r, PIPE_CLOSE, now);
}

/* ---- the unnamed statement ---- */

void relay_align_keep(Relay *r, const uint8_t *payload, size_t n)
{
    r->unnamed_here = true;
    pw_buf_consume(&r->unnamed_parse, pw_buf_unread(&r->unnamed_parse));
    if (payload)
        pw_buf_append(&r->unnamed_parse, payload, n);
    else
        pw_buf_finish(&r->unnamed_parse);
}

void relay_align_unnamed(Relay *r, PwBuf *out, PwUsec now)
{
    size_t n = pw_buf_unread(&r->unnamed_parse);
    r->unnamed_here = true;
    if (n == 0) { /* whoever's it is, it must not be bound; the server then says that there is none */
        close_statement(r, "", out, now);
        return;
    }
    size_t mark = pw_msg_begin(out, PW_F_PARSE);
    pw_buf_append(out, pw_buf_head(&r->unnamed_parse), n);
    pw_msg_end(out, mark);
    push_own(r, PIPE_PARSE, now);
    r->local->session.prepares++;
    relay_note_parse(r, pw_buf_head(&r->unnamed_parse), n);
}

/* ---- DEALLOCATE ---- */

static void append_quoted(PwBuf *sql, const char *name)
{
    pw_buf_append_u8(sql, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            pw_buf_append_u8(sql, '"');
        pw_buf_append_u8(sql, (uint8_t)*p);
    }
    pw_buf_append_u8(sql, '"');
}

/* In front of a Query the statement is made by a Query too: an error in a Parse would skip the client's Query. */
static void make_statement(Relay *r, bool simple, const char *name, PwBuf *out, PwUsec now)
{
    r->local->session.prepares++;
    if (simple) {
        size_t mark = pw_msg_begin(out, PW_F_QUERY);
        pw_buf_append_str(out, "PREPARE ");
        append_quoted(out, name);
        pw_buf_append_cstr(out, " AS SELECT 1");
        pw_msg_end(out, mark);
        push_own(r, PIPE_QUERY, now);
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

void relay_align_deallocate(Relay *r, bool simple, const char *sql, size_t avail, PwBuf *out, PwUsec now)
{
    size_t len = strnlen(sql, avail);
    if (len == avail || strncasecmp(sql, "deallocate", strlen("deallocate")) != 0)
        return;
    Effects *effects = effects_parse(sql, len, relay_lex_flags(r), NULL);
    for (unsigned i = 0; i < effects->n; i++)
        if (effects->list[i].kind == EFFECT_DEALLOCATE && client_statements_find(&r->statements, effects->list[i].name))
            make_statement(r, simple, effects->list[i].name, out, now);
    effects_unref(effects);
}

void relay_align_deallocated(Relay *r, const Effects *effects, unsigned statement)
{
    for (unsigned i = 0; effects && i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        if (e->kind != EFFECT_DEALLOCATE || e->statement != statement)
            continue;
        ClientStatement *cs = client_statements_find(&r->statements, e->name);
        if (cs)
            client_statements_remove(&r->statements, cs);
    }
}
