/* SPDX-License-Identifier: ISC */
/* relay_refuse.c - requests that are answered with an error by the pooler itself, and the client goes on.
 *
 * Those of a client that waits for a server are answered at once, nothing of them reaches one (relay_refuse). One that
 * is refused for what it says fails on the server, at its place, so that the transaction it is part of fails too
 * (relay_fail_request).
 *
 * What the client is told is what PostgreSQL would say: an error for each Query and
 * for the first message of each group of extended ones, and a ReadyForQuery for each Query and each Sync. */
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/session/own_errors.h"
#include "pooler/session/stmt_class.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static void refuse_one(Relay *r, uint8_t type, const PwErrorText *error, PwBuf *out)
{
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
    pw_msg_error(out, error);
    if (type == PW_F_QUERY || type == PW_F_FUNCTION)
        pw_msg_ready(out, 'I');
    else
        r->discard_to_sync = true;
}

static void log_refusal(Relay *r, const PwErrorText *error)
{
    char line[2 * OWN_ERROR_TEXT + 40];
    if (!r->ctx->config->log_pooler_errors)
        return;
    snprintf(line, sizeof(line), "pooler error: %s%s%s%s", error->message, error->detail ? " (" : "", error->detail ? error->detail : "",
             error->detail ? ")" : "");
    r->ops->log(r, PW_LOG_WARNING, line);
}

static RelayOwnError *own_error_of(Relay *r)
{
    if (!r->own_error)
        r->own_error = pw_xcalloc(1, sizeof(*r->own_error));
    return r->own_error;
}

char *relay_own_text(Relay *r)
{
    return own_error_of(r)->buf;
}

/* The client has been told. */
static void forget_own_error(Relay *r)
{
    free(r->own_error);
    r->own_error = NULL;
}

bool relay_refuse_in_walk(Relay *r, uint8_t type)
{
    const RelayOwnError *e = r->own_error;
    if (!e || !e->text)
        return false;
    PwBuf out;
    pw_buf_init(&out);
    PwErrorText error = {.severity = "ERROR", .sqlstate = e->sqlstate, .message = e->text};
    log_refusal(r, &error);
    refuse_one(r, type, &error, &out);
    forget_own_error(r);
    r->hold &= ~(unsigned)HOLD_SERVER;
    if (!relay_tell(r, &out))
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

static void refuse_held(Relay *r, const PwErrorText *error, bool all)
{
    PwBuf out;
    pw_buf_init(&out);
    do {
        const uint8_t *p = pw_buf_head(&r->held);
        uint8_t type = p[0];
        uint32_t len = pw_be32(p + 1);
        const PwMsgInfo *info = pw_msg_frontend(type);
        if (!info->name || len < info->min_length || len - 4 > config_payload_max(r->ctx->config) || type == PW_F_TERMINATE)
            break; /* relay_pump sees to it */
        refuse_one(r, type, error, &out);
        discard_head(r, (size_t)len + 1);
    } while (all && pw_buf_unread(&r->held) >= PW_WIRE_HEADER);
    r->hold &= ~(unsigned)HOLD_SERVER;
    r->request_start = 0;
    if (PW_UNLIKELY(r->listen != NULL))
        r->listen->failed = false;
    bool ok = relay_tell(r, &out);
    pw_buf_finish(&out);
    forget_own_error(r);
    if (!ok)
        relay_fail(r, NULL, "client unexpected eof");
    else
        relay_pump(r);
}

void relay_refuse(Relay *r, const char *sqlstate, const char *text, const char *detail)
{
    if (r->pumping) { /* the walk that asked for a server answers */
        RelayOwnError *e = own_error_of(r);
        e->sqlstate = sqlstate;
        e->text = text;
        return;
    }
    PwErrorText error = {.severity = "ERROR", .sqlstate = sqlstate, .message = text, .detail = detail};
    log_refusal(r, &error);
    if (pw_buf_unread(&r->held) >= PW_WIRE_HEADER)
        refuse_held(r, &error, true);
}

void relay_cancel_held(Relay *r)
{
    static const PwErrorText cancelled = {.severity = "ERROR", .sqlstate = "57014", .message = "canceling statement due to user request"};
    if ((r->hold & (HOLD_SERVER | HOLD_SYNC)) && pw_buf_unread(&r->held) >= PW_WIRE_HEADER)
        refuse_held(r, &cancelled, false);
}

/* ---- one request, at its place ---- */

/* A statement name that nobody can have prepared: the server's error for it puts the session in the state that the client's
 * mistake would have put it in, and is replaced by the error that the client is to see (relay_reply.c). */
static char nobodys_name[40];

static void make_nobodys_name(void)
{
    uint64_t random[2] = {0, 0};
    if (RAND_bytes((unsigned char *)random, sizeof(random)) != 1)
        random[0] = (uint64_t)pw_time_mono(); /* no entropy: only harder to guess than nothing */
    snprintf(nobodys_name, sizeof(nobodys_name), "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
}

void relay_fail_request(Relay *r, const PwErrorText *error, PwBuf *out, PwUsec now)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_nobodys_name);
    PwBuf *answer = pw_xcalloc(1, sizeof(*answer));
    pw_msg_error(answer, error);
    size_t mark = pw_msg_begin(out, PW_F_BIND);
    pw_buf_append_u8(out, 0);
    pw_buf_append_cstr(out, nobodys_name);
    pw_buf_append_be16(out, 0);
    pw_buf_append_be16(out, 0);
    pw_buf_append_be16(out, 0);
    pw_msg_end(out, mark);
    PipelineEntry e = {.kind = PIPE_REFUSED, .action = PIPE_FORWARD, .statement = answer, .sent = now};
    pipeline_push_entry(&r->server->pipeline, &e);
}

/* The text of a Query, or of a Parse behind its name. */
static bool says_listen(const Relay *r, uint8_t type, const uint8_t *payload, size_t avail)
{
    const uint8_t *text = payload, *end = payload + avail, *nul;
    if (type == PW_F_PARSE) {
        nul = memchr(text, 0, avail);
        text = nul ? nul + 1 : end;
    }
    size_t n = strnlen((const char *)text, (size_t)(end - text));
    return n >= 6 && (stmt_classify((const char *)text, n, relay_lex_flags(r), true) & CLASS_LISTEN) != 0;
}

void relay_fail_listen(Relay *r, PwBuf *out, PwUsec now)
{
    static const PwErrorText error = {.severity = "ERROR",
                                      .sqlstate = "0A000",
                                      .message = "LISTEN is refused by the pooler",
                                      .detail = "listen_mode is refuse for this pool.",
                                      .hint = "Listen on a pool with pool_mode = session or listen_mode = pin, or on the server itself."};
    relay_fail_request(r, &error, out, now);
}

bool relay_refuse_listen(Relay *r, uint8_t type, const uint8_t *payload, size_t avail, PwBuf *out, PwUsec now)
{
    bool followed = type == PW_F_PARSE && avail && payload[0] && r->ctx->config->max_prepared_statements > 0;
    if (followed || r->server->pipeline.skipping || !says_listen(r, type, payload, avail))
        return false;
    relay_fail_listen(r, out, now);
    if (type == PW_F_QUERY) { /* ReadyForQuery follows */
        size_t mark = pw_msg_begin(out, PW_F_SYNC);
        pw_msg_end(out, mark);
        pipeline_push(&r->server->pipeline, PIPE_SYNC, PIPE_FORWARD, NULL, NULL, now);
    }
    return true;
}
