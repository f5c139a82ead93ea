/* SPDX-License-Identifier: ISC */
/* client_login.c - from a known user and database to the first ReadyForQuery. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "pooler/client/client_priv.h"
#include "pooler/net/stream_tls.h"
#include "pooler/pool/failure.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/version.h"
#include "poolwise/wire.h"

bool client_is_console(const Client *c)
{
    bool is_auto;
    if (strcmp(c->database, "pgbouncer") == 0)
        return true;
    if (strcmp(c->database, "pooler") != 0)
        return false;
    /* our own name yields to a database of that name */
    const DatabaseConf *db = config_find_database(client_ctx(c)->config, "pooler", &is_auto);
    return !db || is_auto;
}

static ClientAuthMethod method_of(AuthType type)
{
    switch (type) {
    case AUTH_TYPE_ANY:
        return CLIENT_AUTH_ANY;
    case AUTH_TYPE_TRUST:
        return CLIENT_AUTH_TRUST;
    case AUTH_TYPE_PLAIN:
        return CLIENT_AUTH_PLAIN;
    case AUTH_TYPE_SCRAM_SHA_256:
        return CLIENT_AUTH_SCRAM;
    case AUTH_TYPE_CERT: /* the certificate or the process was checked before */
    case AUTH_TYPE_PEER:
        return CLIENT_AUTH_TRUST;
    case AUTH_TYPE_LDAP:
    case AUTH_TYPE_PAM:
        return CLIENT_AUTH_EXTERNAL;
    case AUTH_TYPE_MD5:
    case AUTH_TYPE_HBA:
    case AUTH_TYPE_REJECT:
    case AUTH_TYPE_COUNT:
        break;
    }
    return CLIENT_AUTH_MD5;
}

/* ---- authentication ---- */

void client_forget_auth(Client *c)
{
    ClientLogin *l = c->login;
    if (!l)
        return;
    client_lookup_abort(c);
    client_job_cancel(c);
    client_auth_destroy(l->auth);
    userlist_unref(l->users);
    if (l->found)
        secret_finish(l->found);
    free(l->found);
    config_unref(l->config);
    free(l);
    c->login = NULL;
}

static void authenticated(Client *c);

static void auth_step(Client *c, AuthStep step, PwBuf *out)
{
    if (step == AUTH_STEP_FAILED) {
        const char *detail = client_auth_detail(c->login->auth);
        char reason[200];
        if (strcmp(client_auth_error(c->login->auth), "password authentication failed") == 0)
            snprintf(reason, sizeof(reason), "password authentication failed for user \"%s\"", c->user);
        else
            snprintf(reason, sizeof(reason), "%s", client_auth_error(c->login->auth));
        /* "no such user: NAME" is PgBouncer's line, which scripts search for. */
        if (detail && strcmp(detail, "no such user") == 0)
            client_log(c, PW_LOG_LOG, "login refused: %s: %s", detail, c->user);
        else if (detail)
            client_log(c, PW_LOG_LOG, "login refused: %s", detail);
        client_close(c, client_auth_error(c->login->auth), reason);
        return;
    }
    if (pw_buf_unread(out) && !stream_send_buf(&c->relay.stream, out)) {
        client_close(c, NULL, "client unexpected eof");
        return;
    }
    if (step == AUTH_STEP_OK)
        authenticated(c);
    else if (step == AUTH_STEP_WORK)
        client_job_start(c);
}

void client_login_step(Client *c, AuthStep step, PwBuf *out)
{
    auth_step(c, step, out);
    if (c->state == CLIENT_AUTH && pw_buf_unread(&c->relay.held))
        client_login_input(c);
}

/* User "pgbouncer" over the unix socket from a process of our own uid needs no password for the console. */
static bool is_own_console(const Client *c)
{
    NetCred cred;
    return client_is_console(c) && c->is_unix && (strcmp(c->user, "pgbouncer") == 0 || strcmp(c->user, "pooler") == 0) &&
           net_addr_peer_cred(c->relay.stream.fd, &cred) == PW_OK && cred.uid == geteuid();
}

static void start_auth(Client *c, const Secret *secret);

/* Does it matter whether the user exists? */
static bool wants_secret(AuthType type)
{
    return type != AUTH_TYPE_ANY && type != AUTH_TYPE_LDAP && type != AUTH_TYPE_PAM && type != AUTH_TYPE_REJECT && type != AUTH_TYPE_COUNT;
}

void client_login_start(Client *c)
{
    WorkerCtx *ctx = client_ctx(c);
    if (strlen(c->user) > AUTH_USER_MAX) {
        client_close(c, "username too long", "username too long");
        return;
    }
    if (ctx->config->log_connections)
        client_log(c, PW_LOG_LOG, "login attempt: db=%s user=%s tls=%s replication=%s", c->database, c->user,
                   c->relay.stream.tls ? stream_tls_text(&c->relay.stream) : "no", replication_log(c->replication));
    if (!client_is_console(c)) {
        if (ctx->shutdown != SHUTDOWN_NONE && ctx->shutdown != SHUTDOWN_HANDED_OVER) {
            client_close(c, "pooler is shutting down", "pooler is shutting down");
            return;
        }
        if (!client_take_total_slot(c))
            return;
    }
    c->login->config = config_ref(ctx->config);
    c->login->users = userlist_ref((UserList *)(uintptr_t)ctx->users);
    if (is_own_console(c)) {
        c->console_admin = c->console_own = true;
        authenticated(c);
        return;
    }
    client_method_choose(c);
    const Secret *secret = userlist_find(c->login->users, c->user);
    if (!secret && wants_secret(c->login->auth_type) && client_lookup_configured(c))
        client_lookup_start(c);
    else
        start_auth(c, secret);
}

void client_login_found(Client *c, Secret *secret)
{
    c->login->found = secret;
    c->login->new_secret = registry_user_set_secret(registry_user(c->user), secret->text, secret->len);
    start_auth(c, secret);
}

static void start_auth(Client *c, const Secret *secret)
{
    if (!client_method_check(c, secret != NULL))
        return;
    if (client_auth_asks_nothing(method_of(c->login->auth_type), secret)) {
        c->state = CLIENT_AUTH;
        authenticated(c);
        return;
    }
    uint8_t hash[STREAM_TLS_HASH_MAX];
    ChannelBinding binding = c->login->config->client_channel_binding;
    ClientAuthSpec spec = {
        .method = method_of(c->login->auth_type),
        .user = c->user,
        .secret = secret,
        .scram_iterations = (uint32_t)c->login->config->scram_iterations,
        .cache = context_scram_cache(),
        .endpoint_hash = hash,
        .endpoint_hash_len = binding == CHANNEL_BINDING_DISABLE ? 0 : stream_tls_endpoint_hash(&c->relay.stream, hash),
        .binding_required = binding == CHANNEL_BINDING_REQUIRE,
        .defer_work = true,
    };
    if (client_auth_create(&spec, &c->login->auth) != PW_OK) {
        client_close(c, "password authentication failed", "login refused: user name too long or no random bytes");
        return;
    }
    c->state = CLIENT_AUTH;
    PwBuf out;
    pw_buf_init(&out);
    AuthStep step = client_auth_start(c->login->auth, &out);
    client_login_step(c, step, &out);
    pw_buf_finish(&out);
}

void client_login_input(Client *c)
{
    PwBuf *held = &c->relay.held;
    while (c->state == CLIENT_AUTH && !c->login->job && pw_buf_unread(held) >= PW_WIRE_HEADER) {
        uint8_t *p = held->data + held->off;
        uint32_t len = pw_be32(p + 1);
        if (p[0] == PW_F_TERMINATE) {
            client_close(c, NULL, "client close request");
            return;
        }
        if (p[0] != PW_F_PASSWORD || len < 4 || len > PW_AUTH_MAX) {
            client_close(c, "bad packet header", "unexpected message during login");
            return;
        }
        if (pw_buf_unread(held) < (size_t)len + 1)
            return;
        PwBuf out;
        pw_buf_init(&out);
        AuthStep step = client_auth_message(c->login->auth, p + PW_WIRE_HEADER, len - 4, &out);
        pw_wipe(p, (size_t)len + 1);
        pw_buf_consume(held, (size_t)len + 1);
        auth_step(c, step, &out);
        pw_buf_finish(&out);
    }
}

/* ---- after it ---- */

static void open_console(Client *c)
{
    const Config *config = c->login->config;
    bool admin = c->console_admin || pw_str_list_has(&config->admin_users, c->user);
    bool stats = pw_str_list_has(&config->stats_users, c->user) || config->auth_type == AUTH_TYPE_ANY;
    if (!admin && !stats) {
        client_close(c, "not allowed", "not allowed");
        return;
    }
    c->console_admin = admin;
    if (!client_take_console_slots(c))
        return;
    client_forget_auth(c);
    c->state = CLIENT_CONSOLE;
    client_console->open(c);
}

/* What this login proved may be what the server wants to see: SCRAM keys (pass-through) or a clear-text password. If it is another one
 * than before, servers that refused that may take it: the pool does not pause any longer. */
static void keep_proof(Client *c, const DatabaseConf *dbconf)
{
    if (dbconf->password || dbconf->user)
        return;
    if (c->login->new_secret)
        pool_entry_worked(c->entry);
    if (!c->login->auth)
        return;
    const ScramKeys *keys = client_auth_scram_keys(c->login->auth);
    const char *password = client_auth_password(c->login->auth);
    if (keys)
        pool_entry_set_keys(c->entry, keys);
    if (password && registry_user_set_password(c->login_user, password))
        pool_entry_worked(c->entry);
}

/* The registry has both names for good. */
static void borrow_names(Client *c)
{
    free(c->user);
    free(c->database);
    c->user = c->login_user->name;
    c->database = c->db->name;
    c->names_borrowed = true;
}

/* Its slots are taken. */
static void enter_pool(Client *c, const DatabaseConf *dbconf, bool is_auto)
{
    WorkerCtx *ctx = client_ctx(c);
    if (is_auto && !pw_atomic_load(&c->db->is_auto))
        pw_log(PW_LOG_LOG, "registered new auto-database: %s", c->database);
    PoolSettings settings;
    config_effective(c->login->config, dbconf, c->user, &settings);
    c->entry = registry_pool(c->db, registry_user(settings.server_user));
    PoolLocal *local = &c->entry->locals[ctx->worker->index];
    context_setup_pool(ctx, local);
    local->n_clients++;
    keep_proof(c, dbconf);
    client_forget_auth(c);
    borrow_names(c);
    client_waiter_init(c);
    relay_init(&c->relay, &client_relay_ops, local, ctx);
}

bool client_login_adopted(Client *c)
{
    bool is_auto;
    c->login->config = config_ref(client_ctx(c)->config);
    const DatabaseConf *dbconf = config_find_database(c->login->config, c->database, &is_auto);
    if (!dbconf)
        return false;
    client_force_slots(c, dbconf);
    enter_pool(c, dbconf, is_auto);
    return true;
}

static void authenticated(Client *c)
{
    if (client_is_console(c)) {
        open_console(c);
        return;
    }
    bool is_auto;
    char text[160];
    const DatabaseConf *dbconf = config_find_database(c->login->config, c->database, &is_auto);
    if (!dbconf) {
        snprintf(text, sizeof(text), "no such database: %s", c->database);
        client_close(c, text, text);
        return;
    }
    if (c->login->auth_type == AUTH_TYPE_ANY && !dbconf->user) {
        client_log(c, PW_LOG_ERROR, "auth_type=any requires forced user");
        client_close(c, "bouncer config error", "bouncer config error");
        return;
    }
    if (!client_take_slots(c, dbconf))
        return;
    if (pw_atomic_load(&c->db->disabled)) {
        snprintf(text, sizeof(text), "database \"%s\" is disabled", c->database);
        client_close(c, text, text);
        return;
    }
    enter_pool(c, dbconf, is_auto);
    c->state = CLIENT_WELCOME;
    if (c->replication != REPLICATION_NONE) {
        client_replication_start(c);
        return;
    }
    Welcome *w = pool_entry_welcome(c->entry);
    if (!w) {
        client_wait_welcome(c);
        return;
    }
    bool later = client_recheck_start(c, w);
    welcome_unref(c->entry, w);
    if (!later)
        client_login_finish(c);
}

void client_add_host(Client *c)
{
    int i = params_index("application_name");
    char where[NET_ADDR_TEXT], name[NET_ADDR_TEXT + 80];
    const char *old = params_get(&c->relay.params, (unsigned)i);
    NetAddr peer;
    client_peer(c, &peer);
    snprintf(name, sizeof(name), "%.64s - %s", old && *old ? old : "app", net_addr_text(&peer, where, sizeof(where)));
    params_set(&c->relay.params, (unsigned)i, name);
}

static void become_ready(Client *c)
{
    WorkerCtx *ctx = client_ctx(c);
    Relay *r = &c->relay;
    c->state = CLIENT_READY;
    int app = params_index("application_name");
    r->user = c->user;
    relay_state_encoding(r);
    if (ctx->queries)
        r->ident = query_ident_acquire(ctx->queries, c->database, c->user, params_get(&r->params, (unsigned)app));
}

static void start_counting(Relay *r)
{
    r->done_in = r->stream.bytes_in;
    r->done_out = stream_bytes_given(&r->stream);
    r->idle_since = worker_now(r->stream.worker);
}

void client_login_resume(Client *c)
{
    if (client_ctx(c)->config->log_connections)
        client_log(c, PW_LOG_LOG, "taken over from the old process");
    become_ready(c);
    start_counting(&c->relay);
    if (!client_ctx(c)->suspended)
        stream_read_start(&c->relay.stream);
}

void client_tell_pooler(PwBuf *out, const char *pool_mode, int max_prepared_statements)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", max_prepared_statements);
    pw_msg_param_status(out, "pgbouncer.version", POOLWISE_PGBOUNCER_VERSION);
    pw_msg_param_status(out, "pgbouncer.pool_mode", pool_mode);
    pw_msg_param_status(out, "pgbouncer.max_prepared_statements", number);
}

bool client_greet(Client *c, const PwBuf *untracked)
{
    WorkerCtx *ctx = client_ctx(c);
    Relay *r = &c->relay;
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_auth_ok(&out);
    pw_buf_append(&out, pw_buf_head(untracked), pw_buf_unread(untracked));
    for (unsigned i = 0; i < params_count(); i++)
        if (params_get(&r->params, i))
            pw_msg_param_status(&out, params_name(i), params_get(&r->params, i));
    client_tell_pooler(&out, config_pool_mode_name(r->session_mode ? POOL_MODE_SESSION : r->local->settings.pool_mode),
                       ctx->config->max_prepared_statements);
    client_cancel_register(c, &out);
    if (ctx->config->login_notify_message && ctx->config->login_notify_message[0]) {
        PwErrorText text = {.severity = "NOTICE", .sqlstate = "00000", .message = ctx->config->login_notify_message};
        pw_msg_notice(&out, &text);
    }
    pw_msg_ready(&out, 'I');
    become_ready(c);
    r->local->stats.client_login_count++;
    bool ok = stream_send_soon(&r->stream, pw_buf_head(&out), pw_buf_unread(&out));
    pw_buf_finish(&out);
    if (!ok) {
        client_close(c, NULL, "client unexpected eof");
        return false;
    }
    start_counting(r);
    pw_buf_release_if_empty(&r->held);
    return true;
}

/* Of track_extra_parameters, what the server does not report (enable_seqscan) is a setting like those of SET. */
static void keep_unreported(Client *c, const ParamSet *reported)
{
    Relay *r = &c->relay;
    for (unsigned i = PARAM_APPLICATION_NAME + 1; i < params_count(); i++) {
        if (!params_get(&r->params, i) || params_get(reported, i))
            continue;
        const Settings *all = settings_ref(r->state.committed);
        /* never too large: so long a start-up packet is not read */
        settings_put(&all, params_setting(i), params_get(&r->params, i), true);
        session_state_adopt(&r->state, all);
        params_set(&r->params, i, NULL);
    }
}

void client_login_finish(Client *c)
{
    Welcome *w = pool_entry_welcome(c->entry);
    if (!w) { /* a RELOAD has just forgotten it */
        client_wait_welcome(c);
        return;
    }
    if (client_ctx(c)->config->application_name_add_host)
        client_add_host(c);
    relay_state_startup(&c->relay);
    params_fill_unset(&c->relay.params, &w->tracked);
    keep_unreported(c, &w->tracked);
    bool ok = client_greet(c, &w->params);
    welcome_unref(c->entry, w);
    if (ok)
        relay_pump(&c->relay);
}
