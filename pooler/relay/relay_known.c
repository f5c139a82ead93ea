/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_known.h"

#include <string.h>

#include "pooler/relay/relay_prepared.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/session/stmt_class.h"
#include "poolwise/wire.h"

#define SYNC_SIZE PW_WIRE_HEADER

/* Where anything but the text decides, a server does. */
static bool may_answer(const Relay *r)
{
    return r->ctx->config->max_prepared_statements > 0 && !r->session_mode && r->local->dbconf && !r->names.table &&
           r->ctx->shutdown == SHUTDOWN_NONE;
}

static size_t message_size(const uint8_t *p)
{
    return (size_t)pw_be32(p + 1) + 1;
}

static void count(Relay *r)
{
    PoolStats *st = &r->local->stats;
    st->client_parse_count++;
    st->query_count++; /* a Sync was answered, as with a server */
    st->xact_count++;
    r->ctx->queries_done++;
    r->ctx->xacts_done++;
    r->idle_since = worker_now(r->stream.worker);
}

static bool tell(Relay *r)
{
    static const uint8_t answer[] = {PW_B_PARSE_COMPLETE, 0, 0, 0, 4, PW_B_READY, 0, 0, 0, 5, 'I'};
    r->local->stats.bytes_sent += sizeof(answer);
    return stream_send_soon(&r->stream, answer, sizeof(answer));
}

/* The Statement of the Parse at p if its answer is known, with one reference, and the client's name for it; else NULL. */
static Statement *known_parse(Relay *r, const uint8_t *p, size_t size, const char **ret_name)
{
    PwCursor c = pw_cursor(p + PW_WIRE_HEADER, size - PW_WIRE_HEADER);
    const char *name = pw_cursor_cstr(&c);
    if (c.bad || !*name || client_statements_find(&r->statements, name) || !memchr(c.p, 0, pw_cursor_left(&c)))
        return NULL;
    Statement *st = statement_intern(c.p, pw_cursor_left(&c), relay_prepared_digest(r, (const char *)c.p), relay_lex_flags(r));
    if (st && ((st->class & (CLASS_LISTEN | CLASS_NAMES)) || !statement_is_parsed(st, pool_local_id(r->local)))) {
        statement_unref(st);
        st = NULL;
    }
    *ret_name = name;
    return st;
}

KnownStep relay_known_answer(Relay *r, const uint8_t *p, size_t n, size_t *ret_size)
{
    if (p[0] != PW_F_PARSE || n < message_size(p) || !may_answer(r))
        return KNOWN_NOT;
    size_t parse = message_size(p), left = n - parse;
    const uint8_t *sync = p + parse;
    if ((left > 0 && sync[0] != PW_F_SYNC) || (left >= SYNC_SIZE && message_size(sync) != SYNC_SIZE))
        return KNOWN_NOT;
    const char *name;
    Statement *st = known_parse(r, p, parse, &name);
    if (!st)
        return KNOWN_NOT;
    *ret_size = parse + SYNC_SIZE;
    if (left < SYNC_SIZE) {
        statement_unref(st);
        return KNOWN_MORE;
    }
    client_statements_add(&r->statements, name, st);
    count(r);
    if (!tell(r))
        relay_fail_later(r, NULL, "client unexpected eof");
    return KNOWN_ANSWERED;
}
