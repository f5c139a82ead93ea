/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_stale.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/session/shape.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* Times that one group is sent again before the client hears the error: each needs DDL between its Parse and its Bind. */
#define TRIES_MAX 3
/* RowDescriptions that do not arrive whole are collected up to here: 1,600 columns with the longest names. */
#define DESCRIPTION_MAX (256 * 1024)

/* ---- groups ---- */

void relay_stale_begin(Relay *r, const uint8_t *p)
{
    const Server *s = r->server;
    bool clean = s->txn_status == 'I' && pipeline_is_clean(&s->pipeline) && !s->pipeline.open && !r->session_mode;
    r->group.state = clean ? GROUP_BEGUN : GROUP_LOST;
    r->group.alone = false;
    r->ext->group_begin = p;
    r->ext->group_mark = stream_bytes_given(&r->stream);
}

static bool keep(Relay *r, const uint8_t *bytes, size_t n)
{
    PwBuf *kept = &r->server->group;
    if (pw_buf_unread(kept) + n > RELAY_GROUP_MAX)
        return false;
    pw_buf_append(kept, bytes, n);
    return true;
}

void relay_stale_keep_on(Relay *r, uint8_t type, const uint8_t *p, size_t take, size_t total)
{
    RelayGroup *g = &r->group;
    bool ends = type == PW_F_SYNC;
    bool extended = (pw_msg_frontend(type)->flags & PW_MSG_EXTENDED) != 0;
    if (g->state == GROUP_KEPT && extended && take == total && keep(r, p, take))
        g->state = ends ? GROUP_CLOSED : GROUP_KEPT;
    else if (g->state != GROUP_BEGUN || !extended || ends)
        g->state = GROUP_LOST;
}

bool relay_stale_arm(Relay *r, const uint8_t *p)
{
    RelayGroup *g = &r->group;
    if (g->tries >= TRIES_MAX || stream_bytes_given(&r->stream) != r->ext->group_mark)
        return false;
    if (g->state == GROUP_BEGUN) {
        PwBuf *kept = &r->server->group;
        pw_buf_consume(kept, pw_buf_unread(kept));
        if (keep(r, r->ext->group_begin, (size_t)(p - r->ext->group_begin)))
            g->state = GROUP_KEPT;
    }
    return g->state == GROUP_KEPT;
}

static void end_telling(RelayTelling *t)
{
    pw_buf_finish(&t->bytes);
    client_statement_unref(t->entry.name);
    memset(t, 0, sizeof(*t));
}

void relay_stale_forget(RelayExtended *x)
{
    client_statement_unref(x->portal.name);
    if (x->telling.on)
        end_telling(&x->telling);
}

/* ---- who is told what ---- */

bool relay_stale_asks(const Relay *r, const uint8_t *p, size_t have, size_t total, const char *portal)
{
    const uint8_t *next = p + total;
    size_t n = strlen(portal) + 1;
    if (have < total || (size_t)(r->group.end - next) < PW_WIRE_HEADER + 1 + n)
        return false;
    return next[0] == PW_F_DESCRIBE && next[PW_WIRE_HEADER] == 'P' && memcmp(next + PW_WIRE_HEADER + 1, portal, n) == 0;
}

void relay_stale_bound(Relay *r, const char *portal, ClientStatement *name, uint64_t id, uint64_t plan)
{
    size_t n = strlen(portal);
    ClientStatement *old = r->ext->portal.name;
    r->ext->portal.name = name ? client_statement_ref(name) : NULL;
    client_statement_unref(old);
    r->ext->portal.id = n < sizeof(r->ext->portal.portal) ? id : 0; /* names of portals are short, or it is not followed */
    r->ext->portal.plan = plan;
    if (r->ext->portal.id)
        memcpy(r->ext->portal.portal, portal, n + 1);
}

void relay_stale_describe(Relay *r, PipelineEntry *e, const uint8_t *payload, size_t avail)
{
    if (r->session_mode || avail < 2 || payload[avail - 1] != 0)
        return;
    const char *name = (const char *)payload + 1;
    if (payload[0] == 'S' && !*name && r->state.on) {
        e->statement_id = RELAY_UNNAMED;
        e->plan = r->ext->unnamed_turn;
    } else if (payload[0] == 'P' && r->ext->portal.id && strcmp(name, r->ext->portal.portal) == 0) {
        e->name = r->ext->portal.name ? client_statement_ref(r->ext->portal.name) : NULL;
        e->statement_id = r->ext->portal.id;
        e->plan = r->ext->portal.plan;
    }
}

void relay_stale_ask(Relay *r, const Statement *st, const ServerStatement *plan, bool wait, PwBuf *out, PwUsec now)
{
    char name[STATEMENT_NAME_SIZE];
    PipelineEntry e = {.kind = PIPE_DESCRIBE_STATEMENT,
                       .action = PIPE_SWALLOW,
                       .statement_id = st ? st->id : RELAY_UNNAMED,
                       .plan = st ? plan->since : r->ext->unnamed_turn,
                       .sent = now};
    size_t mark = pw_msg_begin(out, PW_F_DESCRIBE);
    pw_buf_append_u8(out, 'S');
    pw_buf_append_cstr(out, st ? statement_name(st, name) : "");
    pw_msg_end(out, mark);
    pipeline_push_entry(&r->server->pipeline, &e);
    if (!wait)
        return;
    mark = pw_msg_begin(out, PW_F_FLUSH);
    pw_msg_end(out, mark);
    r->hold |= HOLD_SHAPE;
    r->local->session.checks++;
}

static void learn(Relay *r, const PipelineEntry *e, uint64_t shape)
{
    ServerStatement *plan = server_statements_plan(&r->server->statements, e->statement_id, e->plan);
    bool ours = e->action == PIPE_SWALLOW;
    if (shape == SHAPE_UNKNOWN) /* malformed: like no other */
        shape = statement_tick() + SHAPE_NO_ROWS;
    if (plan)
        plan->shape = shape;
    bool unnamed = e->statement_id == RELAY_UNNAMED && e->plan == r->ext->unnamed_turn;
    if (unnamed && ours)
        r->ext->unnamed_found = shape;
    else if (unnamed && r->unnamed)
        r->unnamed->told = shape;
    else if (!unnamed && e->name && !ours)
        ((ClientStatement *)e->name)->told = shape;
    if (ours)
        r->hold &= ~(unsigned)HOLD_SHAPE;
}

/* More than 7,000 parameters do not arrive whole: their types are not followed. */
static void learn_types(Relay *r, const PipelineEntry *e, const uint8_t *payload, size_t n)
{
    ServerStatement *plan = server_statements_plan(&r->server->statements, e->statement_id, e->plan);
    if (plan)
        shape_of_types(payload, n, &plan->types_shape);
    if (e->action == PIPE_SWALLOW)
        return;
    if (e->statement_id == RELAY_UNNAMED && e->plan == r->ext->unnamed_turn)
        relay_align_types(r, payload, n);
    else if (e->name)
        client_statement_tell_types(e->name, payload, n);
}

void relay_stale_told(Relay *r, const PipelineEntry *e, uint8_t type, const uint8_t *payload, size_t avail, bool whole)
{
    if (!e->statement_id)
        return;
    if (type == PW_B_PARAM_DESC) {
        if (whole)
            learn_types(r, e, payload, avail);
    } else if (type == PW_B_NO_DATA) {
        learn(r, e, SHAPE_NO_ROWS);
    } else if (whole) {
        learn(r, e, shape_of_rows(payload, avail));
    } else {
        r->ext->telling.entry = *e;
        if (e->name)
            client_statement_ref(e->name);
        r->ext->telling.on = true;
        relay_stale_more(r, payload, avail, false);
    }
}

void relay_stale_more(Relay *r, const uint8_t *bytes, size_t n, bool last)
{
    if (pw_buf_unread(&r->ext->telling.bytes) + n <= DESCRIPTION_MAX)
        pw_buf_append(&r->ext->telling.bytes, bytes, n);
    if (!last)
        return;
    learn(r, &r->ext->telling.entry, shape_of_rows(pw_buf_head(&r->ext->telling.bytes), pw_buf_unread(&r->ext->telling.bytes)));
    end_telling(&r->ext->telling);
}

/* ---- errors ---- */

/* "cached plan must not change result type", whatever the language of its text. */
static bool is_stale(const uint8_t *payload, size_t n)
{
    const char *code = pw_error_field(payload, n, 'C');
    const char *routine = code && strcmp(code, "0A000") == 0 ? pw_error_field(payload, n, 'R') : NULL;
    return routine && strcmp(routine, "RevalidateCachedQuery") == 0;
}

void relay_stale_error(Server *s, const PipelineEntry *e, const uint8_t *payload, size_t n)
{
    if (!e || !is_stale(payload, n))
        return;
    ServerStatement *plan = server_statements_plan(&s->statements, e->statement_id, e->plan);
    if (plan)
        server_statement_outdate(plan);
    if (e->effects)
        relay_align_stale(s, e->effects);
}

bool relay_stale_retry(Relay *r, const uint8_t *payload, size_t n, uint64_t out)
{
    static const uint8_t sync[] = {PW_F_SYNC, 0, 0, 0, 4};
    RelayGroup *g = &r->group;
    Server *s = r->server;
    const PipelineEntry *head = pipeline_first_sent(&s->pipeline);
    if (!relay_stale_is_kept(r) || out != r->ext->group_mark || !head || head->action != PIPE_FORWARD || !is_stale(payload, n) || r->msg_left)
        return false;
    ServerStatement *plan = server_statements_plan(&s->statements, head->statement_id, head->plan);
    if (!plan)
        return false;
    server_statement_outdate(plan);
    g->tries++;
    r->hold |= HOLD_RETRY;
    r->local->session.retries++;
    if (pipeline_withdraw(&s->pipeline))
        return true;
    pipeline_push(&s->pipeline, PIPE_SYNC, PIPE_SWALLOW, NULL, NULL, worker_now(s->stream.worker));
    bool sent = stream_send(&s->stream, sync, sizeof(sync));
    (void)sent; /* a broken connection is noticed by its next read */
    return true;
}

void relay_stale_resend(Relay *r)
{
    PwBuf all = r->server->group;
    pw_buf_init(&r->server->group);
    pw_buf_append(&all, pw_buf_head(&r->held), pw_buf_unread(&r->held));
    pw_buf_finish(&r->held);
    r->held = all;
    r->hold &= ~(unsigned)(HOLD_RETRY | HOLD_TURN);
    r->group.state = GROUP_NONE;
    relay_pump(r);
}
