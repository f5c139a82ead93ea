/* SPDX-License-Identifier: ISC */
/* relay_sync.c - what happens on a freshly linked server before the client's first byte goes out: a check of a server
 * that was idle for long, and the client's parameters where they differ. One round trip for both; the client's
 * requests wait (HOLD_SYNC) until ReadyForQuery confirmed it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/log.h"

/* Resets first, so that nothing of the last client's stands in the way; role and user last, because they may lack the right
 * to set the rest. A RESET also undoes what connect_query had set: it is run again. */
static bool write_all(Relay *r, PwBuf *sql)
{
    Server *s = r->server;
    const Settings *from = s->applied, *to = r->state.committed;
    bool unknown = s->applied_unknown && r->state.on;
    const DatabaseConf *db = server_local(s)->dbconf;
    bool any = unknown;
    if (unknown) {
        from = NULL;
        pw_buf_append_str(sql, "RESET ROLE;RESET SESSION AUTHORIZATION;RESET ALL;");
    } else {
        any = settings_sql_before(from, to, sql);
    }
    bool resets = unknown || settings_resets(from, to);
    any |= settings_sql_resets(from, to, sql);
    if (resets && db && db->connect_query) {
        pw_buf_append_str(sql, db->connect_query);
        pw_buf_append_u8(sql, ';');
    }
    any |= params_diff(&s->params, &r->params, unknown, sql);
    any |= settings_sql_after(from, to, sql);
    r->local->session.replays += any;
    return any;
}

static bool send_sql(Relay *r, PwBuf *sql)
{
    pw_buf_append_u8(sql, 0);
    r->hold |= HOLD_SYNC;
    server_log(r->server, PW_LOG_DEBUG, "varcache_apply: %s", (const char *)pw_buf_head(sql));
    bool open = server_send_own(r->server, (const char *)pw_buf_head(sql));
    pw_buf_finish(sql);
    (void)open; /* when it failed on_gone has closed the client */
    return false;
}

/* A message is read in the encoding that holds when it arrives, so what is not plain ASCII comes in one of its own, behind that
 * which sets the client's encoding. */
static bool set_encoding(Relay *r)
{
    const char *has = params_get(&r->server->params, PARAM_CLIENT_ENCODING), *wants = params_get(&r->params, PARAM_CLIENT_ENCODING);
    if (!settings_beyond_ascii(r->state.committed) || !has || !wants || strcasecmp(has, wants) == 0)
        return false;
    PwBuf sql;
    pw_buf_init(&sql);
    pw_buf_append_str(&sql, "SET client_encoding=");
    settings_append_literal(&sql, wants);
    r->only_encoding = true;
    r->only_checks = false;
    send_sql(r, &sql);
    return true;
}

static bool start(Relay *r, bool encoding_is_set)
{
    Server *s = r->server;
    const Config *config = r->ctx->config;
    bool settings = s->applied != r->state.committed || (s->applied_unknown && r->state.on);
    bool may_differ = settings || s->params.digest != r->params.digest;
    bool check = config->server_check_query[0] &&
                 worker_now(s->stream.worker) - s->released_at >= config->server_check_delay;
    if (PW_LIKELY(!may_differ && !check))
        return true;
    if (settings && !encoding_is_set && set_encoding(r))
        return false;
    PwBuf sql;
    pw_buf_init(&sql);
    bool differs = settings ? write_all(r, &sql) : params_diff(&s->params, &r->params, false, &sql);
    if (!differs && !check) {
        pw_buf_finish(&sql);
        return true;
    }
    if (!differs && strcmp(config->server_check_query, "<empty>") != 0)
        pw_buf_append_str(&sql, config->server_check_query);
    r->only_checks = !differs;
    return send_sql(r, &sql);
}

bool relay_sync_start(Relay *r)
{
    r->only_encoding = r->sync_failed = false;
    return start(r, false);
}

/* The server may spell a value its own way (ISO -> ISO, MDY). The client was told its own spelling when it logged in; a login to the
 * server would have told it the server's, so it hears of it now. False when the client is gone. */
static bool tell_canonical(Relay *r)
{
    const Server *s = r->server;
    PwBuf out;
    pw_buf_init(&out);
    for (unsigned i = 0; i < params_count(); i++) {
        const char *ours = params_get(&r->params, i), *theirs = params_get(&s->params, i);
        if (!ours || !theirs || strcmp(ours, theirs) == 0)
            continue;
        server_log(s, PW_LOG_DEBUG, "varcache_set_canonical: setting %s to its canonical version %s -> %s", params_name(i), ours, theirs);
        pw_msg_param_status(&out, params_name(i), theirs);
        const char *startup = settings_get(r->state.startup, params_setting(i));
        if (startup && strcmp(startup, ours) == 0)
            relay_state_ask_for(r, params_setting(i), theirs); /* so that it is known for the same when it comes back */
    }
    bool ok = pw_buf_unread(&out) == 0 || relay_tell(r, &out);
    pw_buf_finish(&out);
    return ok;
}

/* When the server refused: the session must not run with other settings than it asked for. The server is as it was, because all of
 * this is one transaction; what connect_query may have done in it is taken back before the next client (relay_state_abandon). */
bool relay_sync_ready(Relay *r)
{
    Server *s = r->server;
    if (s->txn_status != 'I') {
        /* Our own statement opened a transaction: no network accident, the next server would do the same. */
        r->hold &= ~(unsigned)HOLD_SYNC;
        relay_fail(r, "invalid server parameter", "invalid server parameter");
        return false;
    }
    if (PW_UNLIKELY(r->sync_failed)) {
        relay_fail(r, params_take_all() ? relay_own_text(r) : "invalid server parameter", "invalid server parameter");
        return false;
    }
    if (PW_UNLIKELY(r->only_encoding)) {
        r->only_encoding = false;
        r->hold &= ~(unsigned)HOLD_SYNC;
        return start(r, true);
    }
    if (!tell_canonical(r))
        relay_fail_later(r, NULL, "client unexpected eof");
    params_copy(&r->params, &s->params); /* or it would be sent again */
    server_set_applied(s, r->state.committed);
    s->applied_unknown = s->applied_unknown && !r->state.on;
    r->hold &= ~(unsigned)HOLD_SYNC;
    return true;
}
