/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_listen.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static const ListenSubscriberOps subscriber_ops;

static RelayListen *get(Relay *r)
{
    if (!r->listen) {
        r->listen = pw_xcalloc(1, sizeof(*r->listen));
        r->listen->who.ops = &subscriber_ops;
        r->listen->relay = r;
    }
    return r->listen;
}

void relay_listen_finish(Relay *r)
{
    RelayListen *l = r->listen;
    listen_unsubscribe_all(&l->who);
    pw_buf_finish(&l->here);
    settings_unref(l->settled);
    pw_buf_finish(&l->queue);
    free(l);
    r->listen = NULL;
}

void relay_listen_linked(Relay *r)
{
    pw_buf_finish(&r->listen->here);
}

/* ---- requests ---- */

/* Of the unnamed statement: its last Parse, or, where those are not kept, what is kept because it does something. */
static const char *unnamed_text(const Relay *r, size_t *ret_len)
{
    size_t n = pw_buf_unread(relay_unnamed_parse(r));
    if (n > 1) {
        const char *text = (const char *)pw_buf_head(relay_unnamed_parse(r)) + 1; /* behind its name */
        *ret_len = strnlen(text, n - 1);
        return text;
    }
    const RelayExtended *x = r->ext;
    *ret_len = x ? pw_buf_unread(&x->unnamed_sql) : 0;
    return x && (x->unnamed_class & CLASS_LISTEN) ? (const char *)pw_buf_head(&x->unnamed_sql) : NULL;
}

/* The text that a request runs, NULL: none that is known. */
static const char *text_of(Relay *r, uint8_t type, const uint8_t *payload, size_t n, size_t *ret_len)
{
    if (type == PW_F_QUERY) {
        *ret_len = strnlen((const char *)payload, n);
        return (const char *)payload;
    }
    PwCursor c = pw_cursor(payload, n);
    pw_cursor_cstr(&c);
    const char *name = pw_cursor_cstr(&c);
    if (c.bad)
        return NULL;
    if (!*name)
        return unnamed_text(r, ret_len);
    const ClientStatement *cs = client_statements_find(&r->statements, name);
    if (!cs)
        return NULL;
    *ret_len = cs->statement->text_len;
    return statement_text(cs->statement);
}

/* Does the word stand in it, whatever its case? */
static bool mentions(const char *sql, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= len; i++)
        if ((sql[i] | 32) == word[0] && strncasecmp(sql + i, word, n) == 0)
            return true;
    return false;
}

/* The lexer may misread it: the server will say what it did. */
static bool is_unsafe(const Relay *r, const char *sql, size_t len)
{
    if (!r->lex_unsafe)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)sql[i] >= 0x80)
            return true;
    return false;
}

/* Notifications come in the encoding of the shared connection. */
static bool reads_alike(const Relay *r, const ListenChannel *c)
{
    int i = params_index("client_encoding");
    const char *mine = i >= 0 ? params_get(&r->params, (unsigned)i) : NULL;
    return mine && strcasecmp(mine, c->encoding) == 0;
}

/* True: the channel is listened on, or cannot be shared by this client. */
static bool is_ready(Relay *r, const char *name)
{
    RelayListen *l = get(r);
    ListenSubscription *sub = listen_find(&l->who, name);
    if (!sub)
        sub = listen_subscribe(r->local, &l->who, name);
    if (!listen_is_live(sub))
        return false;
    if (!reads_alike(r, sub->channel))
        listen_unsubscribe(sub); /* its own server listens for it */
    return true;
}

static RelayListenStep prepare(Relay *r, const Effects *effects)
{
    bool ready = true;
    for (unsigned i = 0; i < effects->n; i++)
        if (effects->list[i].kind == EFFECT_LISTEN)
            ready = is_ready(r, effects->list[i].name) && ready;
    if (!ready) {
        r->listen->since = worker_now(r->stream.worker);
        r->hold |= HOLD_LISTEN;
        return RELAY_LISTEN_WAIT;
    }
    for (unsigned i = 0; i < effects->n; i++)
        if (effects->list[i].kind == EFFECT_LISTEN && listen_find(&r->listen->who, effects->list[i].name))
            pw_buf_append_cstr(&r->listen->here, effects->list[i].name);
    return RELAY_LISTEN_PASS;
}

RelayListenStep relay_listen_request(Relay *r, uint8_t type, const uint8_t *payload, size_t n)
{
    size_t len = 0;
    if (r->server->pipeline.skipping || (r->server->txn_status == 'E' && r->server->pipeline.count == 0))
        return RELAY_LISTEN_PASS; /* the server discards it, or refuses it */
    const char *sql = text_of(r, type, payload, n, &len);
    if (!sql || is_unsafe(r, sql, len))
        return RELAY_LISTEN_PASS;
    RelayListenStep step = RELAY_LISTEN_PASS;
    if (mentions(sql, len, "listen") && (stmt_classify(sql, len, relay_lex_flags(r), true) & CLASS_LISTEN)) {
        if (r->listen && r->listen->failed)
            return RELAY_LISTEN_FAIL;
        Effects *effects = effects_parse(sql, len, relay_lex_flags(r), NULL);
        if (effects_have(effects, EFFECT_LISTEN))
            step = prepare(r, effects);
        effects_unref(effects);
    }
    if (step == RELAY_LISTEN_PASS && r->listen && r->listen->who.n && mentions(sql, len, "notify"))
        relay_notify_sent(r, sql, len, type == PW_F_BIND ? payload : NULL, n);
    return step;
}

void relay_listen_fail(Relay *r, uint8_t type, PwBuf *out, PwUsec now)
{
    RelayListen *l = r->listen;
    PwErrorText error = {.severity = "ERROR", .sqlstate = l->sqlstate, .message = l->why};
    l->failed = false;
    relay_fail_request(r, &error, out, now);
    if (type != PW_F_QUERY)
        return;
    size_t mark = pw_msg_begin(out, PW_F_SYNC); /* ReadyForQuery follows */
    pw_msg_end(out, mark);
    pipeline_push(&r->server->pipeline, PIPE_SYNC, PIPE_FORWARD, NULL, NULL, now);
}

/* ---- the wait ends ---- */

static void wait_over(Relay *r)
{
    if (!(r->hold & HOLD_LISTEN))
        return;
    r->hold &= ~(unsigned)HOLD_LISTEN;
    relay_pump(r); /* the request is looked at anew; it may wait for another channel */
}

static void wait_failed(Relay *r, const char *sqlstate, const char *why)
{
    RelayListen *l = r->listen;
    if (!(r->hold & HOLD_LISTEN))
        return; /* it was for a request that is gone */
    l->failed = true;
    snprintf(l->sqlstate, sizeof(l->sqlstate), "%s", sqlstate);
    snprintf(l->why, sizeof(l->why), "%s", why);
    wait_over(r);
}

static Relay *relay_of(ListenSubscriber *who)
{
    return ((RelayListen *)who)->relay;
}

static void on_live(ListenSubscriber *who, ListenSubscription *sub)
{
    (void)sub;
    wait_over(relay_of(who));
}

static void on_refused(ListenSubscriber *who, const char *name, const char *sqlstate, const char *why)
{
    (void)name;
    wait_failed(relay_of(who), sqlstate, why);
}

void relay_listen_cancel(Relay *r)
{
    wait_failed(r, "57014", "canceling statement due to user request");
}

void relay_listen_tick(Relay *r, PwUsec now)
{
    PwUsec limit = r->ctx->config->server_connect_timeout;
    if ((r->hold & HOLD_LISTEN) && limit && now - r->listen->since >= limit)
        wait_failed(r, "53300", "the shared listening connection is not available: it has no slot within the limits, or the server does not answer");
    else
        relay_listen_flush(r);
}

/* As of the last idle moment. */
static bool is_committed(const RelayListen *l, const char *name)
{
    const ListenSubscription *sub = listen_find(&l->who, name);
    return sub && sub->committed;
}

/* ---- the client's own server ---- */

bool relay_listen_swallows(const Relay *r, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    pw_cursor_be32(&c);
    const char *name = pw_cursor_cstr(&c);
    return !c.bad && listen_find(&r->listen->who, name) != NULL;
}

static void append_unlisten(PwBuf *sql, const char *name)
{
    pw_buf_append_str(sql, pw_buf_unread(sql) ? ";UNLISTEN " : "UNLISTEN ");
    settings_append_identifier(sql, name);
}

/* What is not in what is committed was rolled back, or could not be followed: then the server goes on listening, is found to, and
 * stays with the client. */
bool relay_listen_leave_server(Relay *r)
{
    RelayListen *l = r->listen;
    PwBuf sql;
    pw_buf_init(&sql);
    while (pw_buf_unread(&l->here)) {
        const char *name = (const char *)pw_buf_head(&l->here);
        if (is_committed(l, name))
            append_unlisten(&sql, name);
        pw_buf_consume(&l->here, strlen(name) + 1);
    }
    pw_buf_finish(&l->here);
    bool any = pw_buf_unread(&sql) > 0;
    pw_buf_append_u8(&sql, 0);
    bool ok = !any || server_send_own(r->server, (const char *)pw_buf_head(&sql));
    pw_buf_finish(&sql);
    return ok;
}

/* ---- notifications ---- */

/* Between two transactions, and between two messages; the idle moment has been seen to (relay_listen_idle). */
static bool may_tell(const Relay *r)
{
    const Server *s = r->server;
    if (r->hold & HOLD_CLOSED)
        return false;
    return !s || (s->txn_status == 'I' && pipeline_is_clean(&s->pipeline) && !s->pipeline.open && s->msg_left == 0 &&
                  pw_buf_unread(&s->held) == 0);
}

static void warn(RelayListen *l, const char *text)
{
    PwErrorText notice = {.severity = "WARNING", .sqlstate = "01000", .message = text};
    pw_msg_notice(&l->queue, &notice);
}

/* False: there is no room, and what waited is lost with it. */
static bool has_room(RelayListen *l, size_t n)
{
    Relay *r = l->relay;
    size_t most = (size_t)r->ctx->config->listen_queue_size;
    if (pw_buf_unread(&l->queue) + n <= most)
        return true;
    pw_buf_finish(&l->queue);
    warn(l, "notifications are lost: more of them waited for this client than listen_queue_size allows");
    r->ops->log(r, PW_LOG_WARNING, "notifications are lost: more than listen_queue_size waited");
    return false;
}

static void queue_gap(RelayListen *l, const char *channel)
{
    char text[LISTEN_NAME_SIZE + 120];
    snprintf(text, sizeof(text), "notifications on channel \"%s\" may be lost: the connection that listens was made anew", channel);
    if (has_room(l, sizeof(text) + 64))
        warn(l, text);
}

static void queue_notification(RelayListen *l, const ListenChannel *c, const ListenNote *note)
{
    Relay *r = l->relay;
    const char *payload = (const char *)note->message + PW_WIRE_HEADER + 4 + strlen(c->name) + 1;
    uint32_t pid = note->pid;
    if (!note->ascii && !reads_alike(r, c)) {
        char text[LISTEN_NAME_SIZE + 120];
        snprintf(text, sizeof(text), "a notification on channel \"%s\" cannot be told: it is not in client_encoding", c->name);
        if (has_room(l, sizeof(text) + 64))
            warn(l, text);
        return;
    }
    if (r->told_pid && relay_notify_is_own(l, pid, c->name, payload, worker_now(r->stream.worker)))
        pid = r->told_pid;
    if (!has_room(l, note->len))
        return;
    pw_buf_append_u8(&l->queue, PW_B_NOTIFICATION);
    pw_buf_append(&l->queue, note->message + 1, 4);
    pw_buf_append_be32(&l->queue, pid);
    pw_buf_append(&l->queue, note->message + PW_WIRE_HEADER + 4, note->len - PW_WIRE_HEADER - 4);
}

static void on_note(ListenSubscriber *who, ListenSubscription *sub, const ListenNote *note)
{
    RelayListen *l = (RelayListen *)who;
    Relay *r = l->relay;
    const ListenChannel *c = sub->channel;
    bool under_way = r->server && r->server->pipeline.count > 0;
    if (r->hold & HOLD_CLOSED)
        return;
    if (!sub->committed && !under_way && !settings_get(r->state.channels, c->name))
        return;
    if (note->kind == LISTEN_NOTE_GAP)
        queue_gap(l, c->name);
    else
        queue_notification(l, c, note);
    relay_listen_flush(r);
}

static const ListenSubscriberOps subscriber_ops = {on_live, on_refused, on_note};

void relay_listen_flush(Relay *r)
{
    RelayListen *l = r->listen;
    if (pw_buf_unread(&l->queue) == 0 || !may_tell(r) || stream_is_full(&r->stream))
        return;
    PwBuf out, queue = l->queue;
    pw_buf_init(&out);
    pw_buf_init(&l->queue);
    while (pw_buf_unread(&queue)) {
        const uint8_t *p = pw_buf_head(&queue);
        size_t total = (size_t)pw_be32(p + 1) + 1;
        bool gone = p[0] == PW_B_NOTIFICATION && !is_committed(l, (const char *)p + PW_WIRE_HEADER + 4);
        if (!gone)
            pw_buf_append(&out, p, total);
        pw_buf_consume(&queue, total);
    }
    pw_buf_finish(&queue);
    bool ok = pw_buf_unread(&out) == 0 || relay_tell(r, &out);
    pw_buf_finish(&out);
    if (!ok)
        relay_fail(r, NULL, "client unexpected eof");
}

/* Which subscriptions are of channels in what is committed? With `ends` the others end. */
static void settle(Relay *r, bool ends)
{
    RelayListen *l = r->listen;
    if (l->settled == r->state.channels && l->n_settled == l->who.n)
        return;
    ListenSubscription *sub, *next;
    Setting at;
    for (sub = l->who.table; sub; sub = sub->hh.next)
        sub->committed = false;
    for (size_t pos = 0; settings_next(r->state.channels, &pos, &at);)
        if ((sub = listen_find(&l->who, at.name)))
            sub->committed = true;
    for (sub = l->who.table; sub && ends; sub = next) {
        next = sub->hh.next;
        if (!sub->committed)
            listen_unsubscribe(sub);
    }
    settings_unref(l->settled);
    l->settled = settings_ref(r->state.channels);
    l->n_settled = ends ? l->who.n : UINT_MAX; /* then it is looked at again */
}

bool relay_listen_idle(Relay *r)
{
    RelayListen *l = r->listen;
    relay_notify_ended(l, worker_now(r->stream.worker));
    settle(r, !(r->hold & HOLD_LISTEN));
    relay_listen_flush(r);
    if (r->hold & HOLD_CLOSED)
        return false;
    if (l->who.n == 0 && pw_buf_unread(&l->here) == 0 && !l->failed && pw_buf_unread(&l->queue) == 0 && !(r->hold & HOLD_LISTEN))
        relay_listen_finish(r);
    return true;
}
