/* SPDX-License-Identifier: ISC */
/* server_input.c - what a server says, read into the worker's scratch and cut into whole messages. The relay cuts by itself
 * (relay_reply.c), and so does what winds up a server (server_chore.c): there a message may be too large to be held. */
#include <string.h>

#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

ssize_t server_fill(Server *s, const uint8_t **ret_bytes, size_t *ret_n)
{
    Worker *w = s->stream.worker;
    size_t before = pw_buf_unread(&s->held);
    uint8_t *base = w->scratch + WORKER_SCRATCH_HEADROOM;
    ssize_t got = stream_recv(&s->stream, base, WORKER_SCRATCH_SIZE);
    if (got <= 0)
        return got;
    if (PW_UNLIKELY(before)) {
        memcpy(base - before, pw_buf_head(&s->held), before);
        pw_buf_consume(&s->held, before);
        pw_buf_release_if_empty(&s->held);
    }
    *ret_bytes = base - before;
    *ret_n = (size_t)got + before;
    return got;
}

void server_hold(Server *s, const uint8_t *bytes, size_t n)
{
    pw_buf_append(&s->held, bytes, n);
}

bool server_read(Server *s, ServerInput *ret)
{
    ret->bad = false;
    ssize_t got = server_fill(s, &ret->p, &ret->n);
    if (got <= 0 && got != -1)
        server_lost(s, got == 0);
    return got > 0;
}

bool server_next_message(ServerInput *in, ServerMessage *ret)
{
    if (in->n < PW_WIRE_HEADER)
        return false;
    uint32_t len = pw_be32(in->p + 1);
    const PwMsgInfo *info = pw_msg_backend(in->p[0]);
    in->bad = !info->name || len < info->min_length || len > SERVER_HOLD_MAX;
    if (in->bad || in->n < (size_t)len + 1)
        return false;
    *ret = (ServerMessage){in->p[0], in->p + PW_WIRE_HEADER, len - 4};
    in->p += (size_t)len + 1;
    in->n -= (size_t)len + 1;
    return true;
}

int server_param_status(Server *s, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    const char *name = pw_cursor_cstr(&c);
    const char *value = pw_cursor_cstr(&c);
    if (c.bad)
        return -1;
    int i = params_index(name);
    if (i >= 0)
        params_set(&s->params, (unsigned)i, value);
    else if (s->phase != SERVER_LOGIN && strcmp(name, "in_hot_standby") == 0) /* promoted; no client can set it */
        pool_entry_correct_welcome(server_local(s)->entry, name, value);
    return i;
}

bool server_take_async(Server *s, uint8_t type, const uint8_t *payload, size_t n)
{
    if (type == PW_B_PARAM_STATUS)
        server_param_status(s, payload, n);
    return type == PW_B_NOTICE || type == PW_B_NOTIFICATION || type == PW_B_PARAM_STATUS;
}

bool server_read_answers(Server *s, ServerTakeAnswer take, void *arg)
{
    ServerInput in;
    ServerMessage m;
    PipelineEntry done;
    bool completed;
    if (!server_read(s, &in))
        return false;
    while (server_next_message(&in, &m)) {
        if (server_take_async(s, m.type, m.payload, m.n))
            continue;
        if (m.type == PW_B_READY)
            s->txn_status = m.payload[0];
        take(arg, &m);
        if (pipeline_reply(&s->pipeline, m.type, &done, &completed) == PIPE_VERDICT_MISMATCH) {
            server_close(s, "unexpected message from server");
            return false;
        }
        if (m.type == PW_B_READY && pipeline_is_clean(&s->pipeline)) {
            server_hold(s, in.p, in.n);
            return true;
        }
    }
    if (in.bad)
        server_close(s, "bad pkt header");
    else
        server_hold(s, in.p, in.n);
    return false;
}

/* ---- from an idle server ---- */

/* Anything but an asynchronous message means that it cannot be trusted or is going away. False: it was closed. */
static bool ready_message(Server *s, const ServerMessage *m)
{
    if (server_take_async(s, m->type, m->payload, m->n))
        return true;
    if (m->type == PW_B_ERROR) {
        const char *text = pw_error_field(m->payload, m->n, 'M');
        server_log(s, PW_LOG_WARNING, "idle server says: %s", text ? text : "?");
    }
    server_close(s, m->type == PW_B_ERROR ? "server conn crashed?" : "unexpected data from an idle server");
    return false;
}

void server_ready_input(Server *s)
{
    ServerInput in;
    ServerMessage m;
    if (!server_read(s, &in))
        return;
    while (server_next_message(&in, &m))
        if (!ready_message(s, &m))
            return;
    if (in.bad)
        server_close(s, "unexpected data from an idle server");
    else
        server_hold(s, in.p, in.n);
}
