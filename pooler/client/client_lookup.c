/* SPDX-License-Identifier: ISC */
/* client_lookup.c - auth_query: asks a database for the secret of a user who is not in auth_file.
 *
 *   client_login -> pool of (auth_dbname, auth_user) -> [resets] -> RESET search_path; auth_query with the name bound to $1 -> client_login
 *
 * The query runs on a server of an ordinary pool. Nothing of the client reaches it but the bound name: none of its
 * parameters are applied. What the pool's other users are known to have left on the server (SET ROLE, settings) is taken back
 * first, and noted; the search_path is put back to its default in any case. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/client/client_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

struct ClientLookup {
    PoolWaiter waiter;
    Client *client;
    PoolEntry *entry; /* one reference */
    PoolLocal *local;
    Server *server; /* while it runs */
    int resets; /* ReadyForQuery messages to come before the query's own */
    unsigned rows;
    bool failed, null_secret;
    Secret secret;
};

static void finish(ClientLookup *l)
{
    if (l->local)
        pool_cancel(l->local->shard, &l->waiter);
    if (l->server) {
        Server *s = l->server;
        l->server = NULL;
        server_unlink(s, false);
    }
    if (l->entry)
        registry_unref(l->entry);
    secret_finish(&l->secret);
    free(l);
}

void client_lookup_abort(Client *c)
{
    ClientLookup *l = c->login ? c->login->lookup : NULL;
    if (!l)
        return;
    c->login->lookup = NULL;
    finish(l);
}

/* It runs as the pooler's own statements do, which may take as long as a login to the server; or less. */
static PwUsec longest_run(const Config *config)
{
    PwUsec own = config->server_connect_timeout, query = config->query_timeout;
    return own <= 0 || (query > 0 && query < own) ? query : own;
}

/* A server that says nothing is closed: the next login must not meet it. True: the client was closed. */
static bool refuse_hung(ClientLookup *l, PwUsec now)
{
    Client *c = l->client;
    Server *s = l->server;
    PwUsec limit = longest_run(client_ctx(c)->config);
    if (!s || limit <= 0 || now - s->linked_at < limit)
        return false;
    client_log(c, PW_LOG_ERROR, "auth_query failed: no answer within %lld s", (long long)(limit / PW_USEC_PER_SEC));
    l->server = NULL;
    s->user = NULL;
    server_close(s, "query timeout");
    client_close(c, "bouncer config error", "bouncer config error");
    return true;
}

void client_lookup_tick(Client *c, PwUsec now)
{
    ClientLookup *l = c->login->lookup;
    PwUsec limit = client_ctx(c)->config->query_wait_timeout;
    if (refuse_hung(l, now))
        return;
    if (l->server || !client_login_refused(c, l->entry, l->waiter.since))
        if (limit > 0 && now - l->waiter.since >= limit)
            client_close(c, "query_wait_timeout", "query_wait_timeout");
}

/* ---- the conversation ---- */

static void message(PwBuf *out, uint8_t type, const void *body, size_t n)
{
    size_t mark = pw_msg_begin(out, type);
    pw_buf_append(out, body, n);
    pw_msg_end(out, mark);
}

/* Owed to the client, so to speak: if it leaves first, what runs for it is cancelled. */
static void parse_bind_execute(Pipeline *p, PwBuf *out, const char *sql, const char *arg, PwUsec now)
{
    static const uint8_t execute[] = {0, 0, 0, 0, 0};
    size_t mark = pw_msg_begin(out, PW_F_PARSE);
    pw_buf_append_u8(out, 0);
    pw_buf_append_cstr(out, sql);
    pw_buf_append_be16(out, 0);
    pw_msg_end(out, mark);
    pipeline_push(p, PIPE_PARSE, PIPE_FORWARD, NULL, NULL, now);
    mark = pw_msg_begin(out, PW_F_BIND);
    pw_buf_append_u8(out, 0);
    pw_buf_append_u8(out, 0);
    pw_buf_append_be16(out, 0); /* all parameters and results as text */
    pw_buf_append_be16(out, arg ? 1 : 0);
    if (arg) {
        pw_buf_append_be32(out, (uint32_t)strlen(arg));
        pw_buf_append(out, arg, strlen(arg));
    }
    pw_buf_append_be16(out, 0);
    pw_msg_end(out, mark);
    pipeline_push(p, PIPE_BIND, PIPE_FORWARD, NULL, NULL, now);
    message(out, PW_F_EXECUTE, execute, sizeof(execute));
    pipeline_push(p, PIPE_EXECUTE, PIPE_FORWARD, NULL, NULL, now);
}

/* The line of [databases] that the client asked for; NULL: none, or the console. */
static const DatabaseConf *line_of(const Client *c)
{
    bool is_auto;
    return client_is_console(c) ? NULL : config_find_database(c->login->config, c->database, &is_auto);
}

static const char *query_of(const Client *c)
{
    const DatabaseConf *db = line_of(c);
    return db && db->auth_query ? db->auth_query : c->login->config->auth_query;
}

static void on_gone(Server *s, const char *reason)
{
    ClientLookup *l = s->user_arg;
    (void)reason;
    l->server = NULL;
    client_close(l->client, "server conn crashed?", "server conn crashed?");
}

static void on_row(ClientLookup *l, const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    if (pw_cursor_be16(&c) != 2) {
        client_log(l->client, PW_LOG_ERROR, "auth_query must return two columns: the user's name and secret");
        l->failed = true;
        return;
    }
    uint32_t len = pw_cursor_be32(&c);
    if (len != UINT32_MAX)
        pw_cursor_bytes(&c, len);
    len = pw_cursor_be32(&c);
    if (l->rows++ > 0)
        return; /* the first row counts */
    l->null_secret = len == UINT32_MAX;
    const uint8_t *text = l->null_secret ? NULL : pw_cursor_bytes(&c, len);
    if (c.bad)
        l->failed = true;
    else if (text && secret_init(&l->secret, (const char *)text, len) != PW_OK)
        l->failed = true;
}

static void end(ClientLookup *l)
{
    Client *c = l->client;
    c->login->lookup = NULL;
    bool failed = l->failed, found = l->rows > 0;
    Secret *secret = NULL;
    if (!failed && found) {
        secret = pw_xcalloc(1, sizeof(*secret)); /* a NULL secret is an empty one: it never matches */
        *secret = l->secret;
        memset(&l->secret, 0, sizeof(l->secret));
    }
    finish(l);
    if (failed) {
        client_close(c, "bouncer config error", "bouncer config error");
    } else if (!found) {
        client_close(c, "no such user", "no such user");
    } else {
        client_login_found(c, secret);
    }
}

/* An error of a reset leaves us with somebody's settings; one of connect_query, which comes second, is ignored as ever. */
static void on_error(ClientLookup *l, const uint8_t *payload, size_t n)
{
    const char *text = pw_error_field(payload, n, 'M');
    if (l->resets == 1)
        return;
    client_log(l->client, PW_LOG_ERROR, "auth_query failed: %s", text ? text : "?");
    l->failed = true;
    if (l->resets) {
        l->server->close_needed = true;
        l->server->close_why = "settings could not be reset";
    }
}

static void take_answer(void *arg, const ServerMessage *m)
{
    ClientLookup *l = arg;
    if (m->type == PW_B_DATA_ROW && l->resets == 0)
        on_row(l, m->payload, m->n);
    else if (m->type == PW_B_ERROR)
        on_error(l, m->payload, m->n);
    else if (m->type == PW_B_READY)
        l->resets -= l->resets > 0;
}

static void on_input(Server *s)
{
    ClientLookup *l = s->user_arg;
    if (server_read_answers(s, take_answer, l))
        end(l);
}

static const ServerUser lookup_user = {on_input, NULL, on_gone, NULL};

/* False: the server was closed. */
static bool reset_settings(ClientLookup *l)
{
    Server *s = l->server;
    if (!s->applied && !s->applied_unknown)
        return true;
    const char *connect_query = l->local->dbconf ? l->local->dbconf->connect_query : NULL;
    l->resets = 2;
    server_set_applied(s, NULL);
    s->applied_unknown = false;
    return server_send_own(s, "RESET ROLE;RESET SESSION AUTHORIZATION;RESET ALL") &&
           server_send_own(s, connect_query ? connect_query : "");
}

static void on_server(PoolWaiter *w, PoolServer *ps)
{
    ClientLookup *l = (ClientLookup *)w;
    Client *c = l->client;
    Server *s = server_of(ps);
    PwUsec now = worker_now(l->local->worker);
    PwBuf out;
    l->server = s;
    server_link(s, &lookup_user, l);
    if (!reset_settings(l))
        return;
    pw_buf_init(&out);
    parse_bind_execute(&s->pipeline, &out, "RESET search_path", NULL, now);
    parse_bind_execute(&s->pipeline, &out, query_of(c), c->user, now);
    message(&out, PW_F_SYNC, NULL, 0);
    pipeline_push(&s->pipeline, PIPE_SYNC, PIPE_FORWARD, NULL, NULL, now);
    if (!stream_send_buf(&s->stream, &out))
        server_close(s, "server conn crashed?");
    pw_buf_finish(&out);
}

static void on_fail(PoolWaiter *w, PwErr why)
{
    (void)why;
    client_close(((ClientLookup *)w)->client, "server shutting down", "server shutting down");
}

static const PoolWaiterOps waiter_ops = {.on_server = on_server, .on_fail = on_fail};

/* ---- start ---- */

static const char *user_of(const Client *c, const DatabaseConf *db)
{
    const char *user = db && db->auth_user ? db->auth_user : c->login->config->auth_user;
    return user && *user ? user : NULL;
}

bool client_lookup_configured(const Client *c)
{
    const DatabaseConf *db = line_of(c);
    return user_of(c, db) != NULL && (db || client_is_console(c));
}

bool client_lookup_has_line(const Client *c)
{
    const DatabaseConf *db = line_of(c);
    return db && db->auth_user && *db->auth_user;
}

static bool refuse(Client *c, const char *text, const char *log)
{
    if (log)
        client_log(c, PW_LOG_ERROR, "%s", log);
    client_close(c, text, text);
    return false;
}

/* The database that auth_query runs in; false: the client was closed. */
static bool pick_database(Client *c, const DatabaseConf *db, const char **ret_name)
{
    bool is_auto;
    char log[200];
    const char *name = db && db->auth_dbname ? db->auth_dbname : c->login->config->auth_dbname;
    if (!name || !*name)
        name = c->database;
    *ret_name = name;
    if (strcmp(name, "pgbouncer") == 0 || (name == c->database && client_is_console(c)))
        return refuse(c, "bouncer config error", "cannot use the reserved \"pgbouncer\" database as an auth_dbname");
    if (!config_find_database(c->login->config, name, &is_auto)) {
        snprintf(log, sizeof(log), "authentication database \"%s\" is not configured", name);
        return refuse(c, "bouncer config error", log);
    }
    DbState *state = registry_find_db(name);
    if (state && pw_atomic_load(&state->disabled)) {
        if (name == c->database)
            snprintf(log, sizeof(log), "database \"%s\" is disabled", name);
        else
            snprintf(log, sizeof(log), "authentication database \"%s\" is disabled", name);
        return refuse(c, log, NULL);
    }
    return true;
}

void client_lookup_start(Client *c)
{
    WorkerCtx *ctx = client_ctx(c);
    const DatabaseConf *db = line_of(c);
    const char *name;
    char text[320];
    if (!pick_database(c, db, &name))
        return;
    ClientLookup *l = pw_xcalloc(1, sizeof(*l));
    l->client = c;
    l->waiter.ops = &waiter_ops;
    l->waiter.ticket = POOL_NO_TICKET;
    l->waiter.since = worker_now(ctx->worker);
    l->entry = registry_pool(registry_db(name), registry_user(user_of(c, db)));
    l->local = &l->entry->locals[ctx->worker->index];
    context_setup_pool(ctx, l->local);
    c->login->lookup = l;
    c->state = CLIENT_LOOKUP;
    if (client_pool_is_failing(l->entry, text, sizeof(text))) {
        client_pool_try_again(l->local);
        client_close(c, text, text);
        return;
    }
    pool_acquire(l->local->shard, &l->waiter);
}
