/* SPDX-License-Identifier: ISC */
/* server_login.c - from the start-up packet to the first ReadyForQuery. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/auth/scram_crypto.h"
#include "pooler/auth/server_auth.h"
#include "pooler/net/jobs.h"
#include "pooler/net/stream_tls.h"
#include "pooler/pool/failure.h"
#include "pooler/server/server_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static void pair(PwBuf *out, const char *key, const char *value)
{
    if (!value)
        return;
    pw_buf_append_cstr(out, key);
    pw_buf_append_cstr(out, value);
}

void server_build_startup(Server *s, PwBuf *out)
{
    PoolLocal *local = server_local(s);
    const DatabaseConf *db = local->dbconf;
    size_t mark = pw_msg_begin(out, 0);
    s->asked_version = worker_ctx(local->worker)->config->server_max_protocol_version;
    pw_buf_append_be32(out, s->asked_version);
    pair(out, "user", local->entry->user->name);
    pair(out, "database", config_server_dbname(db, local->entry->db->name));
    if (s->replication != REPLICATION_NONE) {
        pair(out, "replication", replication_log(s->replication));
        pw_buf_append(out, pw_buf_head(&s->startup), pw_buf_unread(&s->startup));
        pw_buf_append_u8(out, 0);
        pw_msg_end(out, mark);
        return;
    }
    pair(out, "client_encoding", db->client_encoding);
    pair(out, "datestyle", db->datestyle);
    pair(out, "timezone", db->timezone);
    pair(out, "application_name", db->application_name);
    pw_buf_append_u8(out, 0);
    pw_msg_end(out, mark);
}

typedef struct ServerJob {
    Job job; /* first */
    Server *server; /* its worker's, while the job is not cancelled */
    ScramWork scram;
} ServerJob;

void server_login_finish(Server *s)
{
    if (s->job)
        job_cancel(&s->job->job);
    s->job = NULL;
    if (s->auth)
        server_auth_destroy(s->auth);
    s->auth = NULL;
    secret_finish(&s->login_secret);
    if (s->login_users)
        userlist_unref((UserList *)(uintptr_t)s->login_users);
    s->login_users = NULL;
}

/* ---- authentication ---- */

/* What we have for this role, best first: the line's password, a stored plain one, one that a client proved, and
 * then a stored md5 or SCRAM secret. */
static const Secret *find_secret(Server *s, const char *password)
{
    PoolLocal *local = server_local(s);
    UserState *user = local->entry->user;
    if (password)
        return secret_init(&s->login_secret, password, strlen(password)) == PW_OK ? &s->login_secret : NULL;
    UserList *users = (UserList *)(uintptr_t)worker_ctx(local->worker)->users;
    s->login_users = userlist_ref(users);
    const Secret *stored = userlist_find(users, user->name);
    if (!stored && registry_user_secret(user, &s->login_secret))
        stored = &s->login_secret;
    if (stored && stored->kind == SECRET_PLAIN)
        return stored;
    Secret proved;
    if (registry_user_password(user, &proved)) {
        secret_finish(&s->login_secret);
        s->login_secret = proved;
        stored = &s->login_secret;
    }
    return stored;
}

static bool make_auth(Server *s)
{
    PoolLocal *local = server_local(s);
    PoolEntry *entry = local->entry;
    uint8_t hash[STREAM_TLS_HASH_MAX];
    ChannelBinding binding = worker_ctx(local->worker)->config->server_channel_binding;
    ServerAuthSpec spec = {.user = entry->user->name,
                           .cache = context_scram_cache(),
                           .endpoint_hash = hash,
                           .binding_required = binding == CHANNEL_BINDING_REQUIRE,
                           .defer_work = true};
    if (binding != CHANNEL_BINDING_DISABLE)
        spec.endpoint_hash_len = stream_tls_endpoint_hash(&s->stream, hash);
    const DatabaseConf *db = local->dbconf;
    /* the line's password belongs to the line's user; auth_query's user has its own */
    bool own_line = !db->user || strcmp(db->user, entry->user->name) == 0;
    ScramKeys keys;
    spec.secret = find_secret(s, own_line ? db->password : NULL);
    if (spec.secret && spec.secret->kind == SECRET_SCRAM && pool_entry_keys(entry, spec.secret->scram, &keys))
        spec.scram_keys = &keys;
    bool ok = server_auth_create(&spec, &s->auth) == PW_OK;
    pw_wipe(&keys, sizeof(keys));
    return ok;
}

/* The server's word that a password is wrong: what clients proved to us is of no use for it. */
static void forget_proof(Server *s, const char *sqlstate)
{
    PoolEntry *entry = server_local(s)->entry;
    if (!sqlstate || strcmp(sqlstate, "28P01") != 0)
        return;
    pool_entry_set_keys(entry, NULL);
    registry_user_set_password(entry->user, NULL);
}

void server_pool_failed(Server *s, const char *sqlstate, const char *text)
{
    PoolLocal *local = server_local(s);
    if (s->replication == REPLICATION_NONE && !s->beside)
        pool_entry_failed(local->entry, worker_now(local->worker), sqlstate, text);
}

/* Once for each connection, whether its login works or not. */
static void log_connection(Server *s)
{
    char from[NET_ADDR_TEXT] = "unix";
    NetAddr mine;
    if (!worker_ctx(server_local(s)->worker)->config->log_connections)
        return;
    if (net_addr_of_local(s->stream.fd, &mine) == PW_OK && !net_addr_is_unix(&mine))
        net_addr_text(&mine, from, sizeof(from));
    server_log(s, PW_LOG_LOG, "new connection to server (from %s)", from);
}

static void login_failed(Server *s, const char *sqlstate, const char *text)
{
    log_connection(s);
    server_log(s, PW_LOG_WARNING, "server login failed: %s", text);
    server_pool_failed(s, sqlstate, text);
    server_close(s, "login failed");
}

static bool start_job(Server *s);

/* False: the server was closed. */
static bool after_step(Server *s, AuthStep step, PwBuf *out)
{
    bool ok = true;
    if (step == AUTH_STEP_FAILED) {
        char text[256];
        snprintf(text, sizeof(text), "server login failed: %s", server_auth_error(s->auth));
        log_connection(s);
        server_log(s, PW_LOG_WARNING, "server login failed: FATAL %s", server_auth_error(s->auth));
        server_pool_failed(s, "08P01", text);
        server_close(s, "login failed");
        ok = false;
    } else if (step == AUTH_STEP_WORK) {
        ok = start_job(s);
    } else if (pw_buf_unread(out)) {
        ok = stream_send(&s->stream, pw_buf_head(out), pw_buf_unread(out));
        if (!ok)
            login_failed(s, NULL, "server closed the connection");
    }
    return ok;
}

/* ---- derivations ---- */

static void run_job(Job *job)
{
    scram_work_run(&((ServerJob *)job)->scram);
}

static void job_drop(Job *job)
{
    ServerJob *j = (ServerJob *)job;
    scram_work_finish(&j->scram);
    free(j);
}

static void job_done(Job *job)
{
    ServerJob *j = (ServerJob *)job;
    Server *s = j->server;
    /* Between a close and the end of the loop turn the server is still there, but nobody logs in. */
    if (!job_is_cancelled(job)) {
        s->job = NULL;
        if (s->phase == SERVER_LOGIN) {
            PwBuf out;
            pw_buf_init(&out);
            (void)after_step(s, server_auth_resume(s->auth, &j->scram, &out), &out);
            scram_buf_finish(&out);
        }
    }
    job_drop(job);
}

static bool start_job(Server *s)
{
    ServerJob *j = pw_xcalloc(1, sizeof(*j));
    j->server = s;
    j->job.run = run_job;
    j->job.done = job_done;
    j->job.drop = job_drop;
    server_auth_take_work(s->auth, &j->scram);
    s->job = j;
    if (jobs_submit(context_jobs(JOBS_CRYPTO), &j->job, s->stream.worker->index))
        return true;
    s->job = NULL;
    job_drop(&j->job);
    login_failed(s, "08P01", "too many logins at once");
    return false;
}

static bool on_auth(Server *s, const uint8_t *payload, size_t n)
{
    if (!s->auth && !make_auth(s)) {
        login_failed(s, "08P01", "out of memory");
        return false;
    }
    PwBuf out;
    pw_buf_init(&out);
    bool ok = after_step(s, server_auth_message(s->auth, payload, n, &out), &out);
    if (out.data)
        pw_wipe(out.data, out.cap);
    pw_buf_finish(&out);
    return ok;
}

/* ---- the rest of the start-up ---- */

/* A server's parameters that are not followed; a few hundred bytes of it are usual. */
#define WELCOME_MAX (256u * 1024)

static bool on_param_status(Server *s, const uint8_t *payload, size_t n)
{
    if (server_param_status(s, payload, n) >= 0)
        return true;
    if (pw_buf_unread(&s->welcome) + n > WELCOME_MAX) {
        login_failed(s, "08P01", "server sent too many parameters");
        return false;
    }
    PwCursor c = pw_cursor(payload, n);
    const char *name = pw_cursor_cstr(&c);
    const char *value = pw_cursor_cstr(&c);
    if (!c.bad)
        pw_msg_param_status(&s->welcome, name, value);
    return true;
}

static void on_error(Server *s, const uint8_t *payload, size_t n)
{
    const char *text = pw_error_field(payload, n, 'M');
    const char *code = pw_error_field(payload, n, 'C');
    const char *severity = pw_error_field(payload, n, 'S');
    /* starting up, shutting down, a standby that is not ready: another host may be */
    if (code && strcmp(code, "57P03") == 0 && server_connect_elsewhere(s, text ? text : "?"))
        return;
    forget_proof(s, code);
    log_connection(s);
    server_log(s, PW_LOG_WARNING, "server login failed: %s %s", severity ? severity : "FATAL", text ? text : "?");
    server_pool_failed(s, code ? code : "08P01", text ? text : "login failed");
    /* a replication client hears no more than this, the rest is in the log */
    server_close(s, text && s->replication == REPLICATION_NONE ? text : "login failed");
}

static void on_ready(Server *s, const uint8_t *payload)
{
    PoolLocal *local = server_local(s);
    server_login_finish(s);
    server_connect_worked(s);
    s->txn_status = payload[0];
    log_connection(s);
    if (s->replication != REPLICATION_NONE || s->beside) {
        s->phase = SERVER_LINKED;
        s->linked_at = s->released_at = worker_now(local->worker);
        s->user->on_up(s);
        return;
    }
    Welcome *w = pw_xcalloc(1, sizeof(*w));
    w->params = s->welcome;
    pw_buf_init(&s->welcome);
    params_copy(&w->tracked, &s->params);
    pw_atomic_store_relaxed(&w->as_of, worker_now(local->worker));
    pool_entry_set_welcome(local->entry, w);
    pool_entry_worked(local->entry);
    s->released_at = worker_now(local->worker);
    s->phase = SERVER_CHORE;
    s->linked_at = s->released_at;
    if (local->dbconf && local->dbconf->connect_query && local->dbconf->connect_query[0]) {
        server_send_own(s, local->dbconf->connect_query);
        return;
    }
    server_chore_next(s);
}

static bool on_key_data(Server *s, const uint8_t *payload, size_t n)
{
    if (n > sizeof(s->cancel_key)) {
        login_failed(s, "08P01", "server broke the login protocol");
        return false;
    }
    s->backend_pid = pw_be32(payload);
    memcpy(s->cancel_key, payload, n);
    s->cancel_key_len = (uint16_t)n;
    return true;
}

/* The server knows only an older minor version than we asked for: fine, what we need is in all of them. */
static bool on_negotiate(Server *s, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    uint32_t version = pw_cursor_be32(&c);
    uint32_t n_options = pw_cursor_be32(&c);
    if (c.bad || version >> 16 != 3 || version >= s->asked_version || n_options != 0) {
        login_failed(s, "08P01", "server negotiated an impossible protocol version");
        return false;
    }
    server_log(s, PW_LOG_DEBUG, "server speaks protocol 3.%u", (unsigned)(version & 0xffff));
    return true;
}

/* False: closed, or no longer logging in. */
static bool login_message(Server *s, uint8_t type, const uint8_t *payload, size_t n)
{
    switch (type) {
    case PW_B_AUTH:
        return on_auth(s, payload, n);
    case PW_B_PARAM_STATUS:
        return on_param_status(s, payload, n);
    case PW_B_KEY_DATA:
        return on_key_data(s, payload, n);
    case PW_B_NEGOTIATE:
        return on_negotiate(s, payload, n);
    case PW_B_NOTICE:
        return true;
    case PW_B_ERROR:
        on_error(s, payload, n);
        return false;
    case PW_B_READY:
        /* a man in the middle who cannot sign a SCRAM exchange might leave out its end */
        if (s->auth == NULL || !server_auth_is_done(s->auth) || n != 1) {
            login_failed(s, "08P01", "server broke the login protocol");
            return false;
        }
        on_ready(s, payload);
        return false;
    default:
        login_failed(s, "08P01", "server broke the login protocol");
        return false;
    }
}

void server_login_input(Server *s)
{
    ServerInput in = {.bad = false};
    ServerMessage m;
    ssize_t got = server_fill(s, &in.p, &in.n);
    if (got == -1)
        return;
    if (got <= 0) {
        const char *why = got == 0 ? "server closed the connection" : stream_error(&s->stream);
        if (s->phase == SERVER_CONNECT)
            server_connect_failed(s, why);
        else
            login_failed(s, NULL, why);
        return;
    }
    s->phase = SERVER_LOGIN;
    while (server_next_message(&in, &m)) {
        /* ReadyForQuery ends the login, and the server may be granted before on_ready returns */
        if (m.type == PW_B_READY)
            server_hold(s, in.p, in.n);
        if (!login_message(s, m.type, m.payload, m.n))
            return;
    }
    if (in.bad)
        login_failed(s, "08P01", "server broke the login protocol");
    else
        server_hold(s, in.p, in.n);
}
