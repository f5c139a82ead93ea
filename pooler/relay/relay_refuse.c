/* SPDX-License-Identifier: ISC */
/* relay_refuse.c - requests that are answered with an error by the pooler itself, and the client goes on.
 *
 * Nothing of them reaches a server. What the client is told is what PostgreSQL would say: an error for each Query and
 * for the first message of each group of extended ones, and a ReadyForQuery for each Query and each Sync. */
#include <stdio.h>

#include "pooler/relay/relay_priv.h"
#include "pooler/session/own_errors.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

static void refuse_one(Relay *r, uint8_t type, const char *sqlstate, const char *text, PwBuf *out)
{
    PwErrorText error = {.severity = "ERROR", .sqlstate = sqlstate, .message = text};
    switch (type) {
    case PW_F_FLUSH: /* these owe nothing */
    case PW_F_COPY_DATA:
    case PW_F_COPY_DONE:
    case PW_F_COPY_FAIL:
        return;
    case PW_F_SYNC: /* a lone one asks for nothing that could be refused */
        r->discard_to_sync = false;
        pw_msg_ready(out, 'I');
        return;
    default:
        break;
    }
    if (r->discard_to_sync)
        return;
    pw_msg_error(out, &error);
    if (type == PW_F_QUERY || type == PW_F_FUNCTION)
        pw_msg_ready(out, 'I');
    else
        r->discard_to_sync = true;
}

static void log_refusal(Relay *r, const char *text)
{
    char line[OWN_ERROR_TEXT + 40];
    if (!r->ctx->config->log_pooler_errors)
        return;
    snprintf(line, sizeof(line), "pooler error: %s", text);
    r->ops->log(r, PW_LOG_WARNING, line);
}

bool relay_refuse_in_walk(Relay *r, uint8_t type)
{
    if (!r->refusal_text)
        return false;
    PwBuf out;
    pw_buf_init(&out);
    log_refusal(r, r->refusal_text);
    refuse_one(r, type, r->refusal_sqlstate, r->refusal_text, &out);
    r->refusal_text = NULL;
    r->hold &= ~(unsigned)HOLD_SERVER;
    if (!stream_send_buf(&r->stream, &out))
        relay_fail_later(r, NULL, "client unexpected eof");
    pw_buf_finish(&out);
    return true;
}

/* Takes the message at the head of `held` away; what of it is still to come is discarded. */
static void discard_head(Relay *r, size_t total)
{
    size_t have = pw_buf_unread(&r->held);
    if (total <= have) {
        pw_buf_consume(&r->held, total);
        return;
    }
    r->msg_left = (uint32_t)(total - have);
    r->msg_discard = true;
    r->turn_ends = false;
    pw_buf_consume(&r->held, have);
}

static void refuse_held(Relay *r, const char *sqlstate, const char *text, bool all)
{
    PwBuf out;
    pw_buf_init(&out);
    do {
        const uint8_t *p = pw_buf_head(&r->held);
        uint8_t type = p[0];
        uint32_t len = pw_be32(p + 1);
        const PwMsgInfo *info = pw_msg_frontend(type);
        if (!info->name || len < info->min_length || type == PW_F_TERMINATE)
            break; /* relay_pump sees to it */
        refuse_one(r, type, sqlstate, text, &out);
        discard_head(r, (size_t)len + 1);
    } while (all && pw_buf_unread(&r->held) >= PW_WIRE_HEADER);
    r->hold &= ~(unsigned)HOLD_SERVER;
    r->request_start = 0;
    bool ok = stream_send_buf(&r->stream, &out);
    pw_buf_finish(&out);
    if (!ok)
        relay_fail(r, NULL, "client unexpected eof");
    else
        relay_pump(r);
}

void relay_refuse(Relay *r, const char *sqlstate, const char *text)
{
    if (r->pumping) { /* the walk that asked for a server answers */
        r->refusal_sqlstate = sqlstate;
        r->refusal_text = text;
        return;
    }
    log_refusal(r, text);
    if (pw_buf_unread(&r->held) >= PW_WIRE_HEADER)
        refuse_held(r, sqlstate, text, true);
}

void relay_cancel_held(Relay *r)
{
    if ((r->hold & HOLD_SERVER) && pw_buf_unread(&r->held) >= PW_WIRE_HEADER)
        refuse_held(r, "57014", "canceling statement due to user request", false);
}
