/* SPDX-License-Identifier: ISC */
/* view_sockets.c - SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS: one row a connection. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/listen/hub.h"
#include "pooler/net/stream_tls.h"
#include "pooler/relay/relay_listen.h"

#define SOCKET_COLUMNS                                                                                                         \
    {"type", ADMIN_TEXT, "C for a client, S for a server"},                                                                    \
        {"user", ADMIN_TEXT, "the user it logged in as"},                                                                      \
        {"database", ADMIN_TEXT, "the database that the client asked for"},                                                    \
        {"replication", ADMIN_TEXT, "none, logical or physical"},                                                              \
        {"state", ADMIN_TEXT, "see below"},                                                                                    \
        {"addr", ADMIN_TEXT, "address of the other end, unix for a unix socket"},                                              \
        {"port", ADMIN_INT4, "port of the other end"},                                                                         \
        {"local_addr", ADMIN_TEXT, "address of this end"},                                                                     \
        {"local_port", ADMIN_INT4, "port of this end"},                                                                        \
        {"connect_time", ADMIN_TEXT, "when it was connected"},                                                                 \
        {"request_time", ADMIN_TEXT, "when the request that runs was sent; while idle, when the last one ended"},              \
        {"wait", ADMIN_INT4, "seconds that the client has been waiting for a server"},                                         \
        {"wait_us", ADMIN_INT4, "microseconds to be added to wait"},                                                           \
        {"close_needed", ADMIN_INT4, "1: the server is closed when it is released (RECONNECT, RELOAD)"},                       \
        {"ptr", ADMIN_TEXT, "names this connection in link and in the log (C-ptr, S-ptr)"},                                    \
        {"link", ADMIN_TEXT, "ptr of the connection that it is linked to"},                                                    \
        {"remote_pid", ADMIN_INT4, "process at the other end: a server's backend, a client on a unix socket"},                 \
        {"tls", ADMIN_TEXT, "TLS version and cipher; empty without TLS"},                                                      \
        {"application_name", ADMIN_TEXT, "application_name of the client, of a server its present one"},                       \
        {"prepared_statements", ADMIN_INT4, "named prepared statements: of a client its own, of a server those it has"},          \
        {"id", ADMIN_INT4, "number of the connection, never used twice; for KILL_CLIENT"}

#define DEBUG_COLUMNS                                                                                                          \
    {"recv_pos", ADMIN_INT4, "bytes received and held"},                                                                       \
        {"pkt_pos", ADMIN_INT4, "0; PgBouncer's position in its buffer"},                                                      \
        {"pkt_remain", ADMIN_INT4, "bytes to come of the message that is being passed on"},                                    \
        {"send_pos", ADMIN_INT4, "0; PgBouncer's position in its buffer"},                                                     \
        {"send_remain", ADMIN_INT4, "0; PgBouncer's position in its buffer"},                                                  \
        {"pkt_avail", ADMIN_INT4, "bytes received that wait to be passed on"},                                                 \
        {"send_avail", ADMIN_INT4, "bytes that the other end has not taken yet"}

#define OUR_COLUMNS                                                                                                            \
    {"worker", ADMIN_INT4 | ADMIN_EXTRA, "the worker thread that owns it"},                                                                  \
        {"wait_reason", ADMIN_TEXT | ADMIN_EXTRA, "why the client's next request is not read; empty when nothing holds it"},                   \
        {"pin_reason", ADMIN_TEXT | ADMIN_EXTRA, "why a client keeps its server between transactions, joined by +; empty: it does not"},       \
        {"pin_query", ADMIN_TEXT | ADMIN_EXTRA, "fingerprint of the statement that made it so, as in SHOW QUERIES"},                            \
        {"listens", ADMIN_INT4 | ADMIN_EXTRA, "channels that the shared connection listens on: for this client; on that connection itself, for all"}

static const AdminColumn socket_columns[] = {SOCKET_COLUMNS, OUR_COLUMNS};
static const AdminColumn debug_columns[] = {SOCKET_COLUMNS, DEBUG_COLUMNS, OUR_COLUMNS};

/* ---- states ---- */

static const char *const server_states[] = {
    [ADMIN_SERVER_ACTIVE] = "active", [ADMIN_SERVER_IDLE] = "idle", [ADMIN_SERVER_USED] = "used",
    [ADMIN_SERVER_TESTED] = "tested", [ADMIN_SERVER_NEW] = "new",   [ADMIN_SERVER_BEING_CANCELED] = "being_canceled",
};
static_assert(PW_ARRAY_LEN(server_states) == ADMIN_SERVER_STATE_COUNT, "a name for each state");

AdminServerState admin_server_state(const Server *s, const Config *config, PwUsec now)
{
    switch (s->ps.state) {
    case POOL_SERVER_CONNECTING:
        return ADMIN_SERVER_NEW;
    case POOL_SERVER_ACTIVE:
        if (server_is_connecting(s))
            return ADMIN_SERVER_NEW;
        if (s->phase == SERVER_LINKED)
            return ADMIN_SERVER_ACTIVE;
        return s->cancels ? ADMIN_SERVER_BEING_CANCELED : ADMIN_SERVER_TESTED;
    case POOL_SERVER_IDLE:
        if (config->server_check_query[0] && now - s->released_at >= config->server_check_delay)
            return ADMIN_SERVER_USED;
        return ADMIN_SERVER_IDLE;
    case POOL_SERVER_TRANSIT: /* these two are on no list */
    case POOL_SERVER_CLOSED:
    case POOL_SERVER_STATE_COUNT:
        break;
    }
    return ADMIN_SERVER_IDLE;
}

void admin_each_server(const PoolLocal *local, void (*each)(void *arg, Server *s), void *arg)
{
    struct PoolServerList *lists[] = {&local->shard->active, &local->shard->idle, &local->shard->connecting};
    for (size_t i = 0; i < PW_ARRAY_LEN(lists); i++) {
        PoolServer *ps, *next;
        for (ps = TAILQ_FIRST(lists[i]); ps; ps = next) {
            next = TAILQ_NEXT(ps, link);
            each(arg, server_of(ps));
        }
    }
}

/* As SHOW CLIENTS names them; a console and a client between two transactions are linked to nothing: idle. */
static const char *client_state(const Client *c)
{
    return c->state == CLIENT_CONSOLE ? "idle" : client_state_name(c);
}

static const char *wait_reason(const Client *c)
{
    if (c->state == CLIENT_WELCOME)
        return "server";
    if (c->state != CLIENT_READY)
        return "";
    unsigned hold = c->relay.hold;
    return hold & HOLD_SERVER ? "server" : hold & HOLD_SYNC ? "sync" : hold & HOLD_PROBE ? "probe" : hold & HOLD_TURN ? "turn" : hold & HOLD_FLOW ? "flow" : hold & HOLD_LISTEN ? "listen" : "";
}

/* ---- rows ---- */

typedef struct Row {
    WorkerCtx *ctx;
    AdminShow *show;
    bool debug, only_active;
    PwUsec now, wall;
} Row;

/* A console whose command is being carried out has it neither buffered nor answered. */
static bool is_running(const Client *c)
{
    const AdminSession *s = c->console;
    return c->state == CLIENT_CONSOLE && s && s->job;
}

typedef struct Fields {
    const char *type, *user, *database, *state, *application_name, *reason;
    const NetAddr *remote;
    const Stream *stream;
    PwUsec connected_wall, request, wait; /* request: monotonic */
    int close_needed;
    const void *ptr, *link;
    uint32_t pid;
    uint64_t id;
    size_t held;
    uint32_t msg_left;
    bool running;
    unsigned prepared, pins, listens;
    uint64_t pin_query;
    Replication replication;
} Fields;

static void put_addresses(AdminResult *r, const Fields *f)
{
    char text[NET_ADDR_TEXT];
    NetAddr local;
    bool has_local = f->stream->fd >= 0 && net_addr_of_local(f->stream->fd, &local) == PW_OK;
    if (f->remote->len) {
        admin_row_text(r, net_addr_host(f->remote, text, sizeof(text)));
        admin_row_int(r, net_addr_port(f->remote));
    } else {
        admin_row_text(r, "");
        admin_row_int(r, 0);
    }
    if (has_local && net_addr_is_unix(&local))
        local.unix_port = net_addr_port(f->remote);
    admin_row_text(r, has_local ? net_addr_host(&local, text, sizeof(text)) : "");
    admin_row_int(r, has_local ? net_addr_port(&local) : 0);
}

static void put_times(AdminResult *r, const Row *row, const Fields *f)
{
    char text[64];
    admin_row_text(r, pw_time_format_sec(f->connected_wall, text, sizeof(text)));
    PwUsec request = f->request ? row->wall - (row->now - f->request) : f->connected_wall;
    admin_row_text(r, pw_time_format_sec(request, text, sizeof(text)));
    admin_row_int(r, f->wait / PW_USEC_PER_SEC);
    admin_row_int(r, f->wait % PW_USEC_PER_SEC);
}

static void put(const Row *row, const char *prefix, const Fields *f)
{
    AdminResult *r = &row->show->result;
    char key[300], text[64], pins[SESSION_PIN_TEXT];
    size_t pending = stream_pending(f->stream);
    if (row->only_active && pending == 0 && f->held == 0 && f->msg_left == 0 && !f->running)
        return;
    /* clients before servers within a database and user, by number within these */
    snprintf(key, sizeof(key), "%.63s\x1f%.127s\x1f%s%020llu", f->database, f->user, f->type, (unsigned long long)f->id);
    admin_row_begin(r, key);
    admin_row_text(r, f->type);
    admin_row_text(r, f->user);
    admin_row_text(r, f->database);
    admin_row_text(r, replication_name(f->replication));
    snprintf(text, sizeof(text), "%s%s", prefix, f->state);
    admin_row_text(r, text);
    put_addresses(r, f);
    put_times(r, row, f);
    admin_row_int(r, f->close_needed);
    snprintf(text, sizeof(text), "%p", f->ptr);
    admin_row_text(r, text);
    snprintf(text, sizeof(text), "%p", f->link);
    admin_row_text(r, f->link ? text : "");
    admin_row_int(r, f->pid);
    admin_row_text(r, stream_tls_text(f->stream));
    admin_row_text(r, f->application_name ? f->application_name : "");
    admin_row_int(r, f->prepared);
    admin_row_int(r, (int64_t)f->id);
    if (row->debug) {
        admin_row_int(r, (int64_t)f->held);
        admin_row_int(r, 0);
        admin_row_int(r, f->msg_left);
        admin_row_int(r, 0);
        admin_row_int(r, 0);
        admin_row_int(r, (int64_t)f->held);
        admin_row_int(r, (int64_t)pending);
    }
    admin_row_int(r, row->ctx->worker->index);
    admin_row_text(r, f->reason);
    admin_row_text(r, session_pin_text(f->pins, pins));
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)f->pin_query);
    admin_row_text(r, f->pins ? text : "");
    admin_row_int(r, f->listens);
    admin_row_end(r);
}

static const char *application_name(const ParamSet *params)
{
    int i = params_index("application_name");
    return i < 0 ? NULL : params_get(params, (unsigned)i);
}

static void client_row(const Row *row, const Client *c, const char *prefix, const char *state)
{
    const Relay *r = &c->relay;
    bool waiting = client_is_waiting_since(c);
    NetAddr peer;
    client_peer(c, &peer);
    Fields f = {
        .type = "C",
        .user = c->user ? c->user : "(nouser)",
        .database = c->database ? c->database : "(nodb)",
        .state = state,
        .application_name = application_name(&r->params),
        .reason = wait_reason(c),
        .remote = &peer,
        .stream = &r->stream,
        .connected_wall = c->connected_wall,
        .request = waiting ? c->waiter.since : r->request_start ? r->request_start : r->last_done,
        .wait = waiting ? row->now - c->waiter.since : 0,
        .ptr = c,
        .link = r->server,
        .pid = (uint32_t)peer.unix_pid,
        .id = c->id,
        .held = pw_buf_unread(&r->held),
        .msg_left = r->msg_left,
        .running = is_running(c),
        .prepared = client_statements_count(&r->statements) + sql_names_count(&r->names),
        .pins = r->state.pins,
        .pin_query = r->pin_query,
        .listens = r->listen ? r->listen->who.n : 0,
        .replication = c->replication,
    };
    if (f.wait < 0)
        f.wait = 0;
    put(row, prefix, &f);
}

static void server_row(void *arg, Server *s)
{
    const Row *row = arg;
    const PoolLocal *local = server_local(s);
    const Relay *user = relay_of_server(s);
    ListenHubInfo hub = {.channels = 0};
    if (s->beside)
        (void)listen_hub_info(local, &hub);
    AdminServerState state = admin_server_state(s, row->ctx->config, row->now);
    Fields f = {
        .type = "S",
        .user = local->entry->user->name,
        .database = local->entry->db->name,
        .state = row->debug && state == ADMIN_SERVER_NEW ? "login" : server_states[state],
        .application_name = application_name(&s->params),
        .reason = "",
        .remote = &s->addr,
        .stream = &s->stream,
        .connected_wall = s->connected_wall,
        .request = user && user->request_start ? user->request_start : s->released_at,
        .close_needed = server_is_obsolete(s),
        .ptr = s,
        .link = user,
        .pid = s->backend_pid,
        .id = s->id,
        .held = pw_buf_unread(&s->held),
        .msg_left = s->msg_left,
        .prepared = server_statements_count(&s->statements) + sql_names_count(&s->names),
        .listens = hub.channels,
        .replication = s->replication,
    };
    put(row, row->debug ? "sv_" : "", &f);
}

typedef struct CancelRow {
    const Row *row;
    const PoolLocal *local;
} CancelRow;

static void cancel_row(void *arg, const ServerCancelInfo *info)
{
    const CancelRow *c = arg;
    Fields f = {
        .type = "S",
        .user = c->local->entry->user->name,
        .database = c->local->entry->db->name,
        .state = "active_cancel",
        .reason = "",
        .remote = info->addr,
        .stream = info->stream,
        .connected_wall = info->connected_wall,
        .ptr = info->request,
        .id = info->id,
    };
    if (!info->waits)
        put(c->row, "", &f);
}

static Row row_of(WorkerCtx *ctx, AdminShow *show)
{
    show->sort = true;
    return (Row){.ctx = ctx, .show = show, .now = worker_now(ctx->worker), .wall = pw_time_wall()};
}

static void servers_of(const Row *row)
{
    PoolLocal *local;
    ListenHubInfo hub;
    TAILQ_FOREACH(local, &row->ctx->pools, link) {
        admin_each_server(local, server_row, (void *)(uintptr_t)row);
        if (listen_hub_info(local, &hub) && hub.server)
            server_row((void *)(uintptr_t)row, hub.server);
    }
}

/* ---- views ---- */

static void visit_clients(WorkerCtx *ctx, AdminShow *show)
{
    Row row = row_of(ctx, show);
    Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link)
        if (c->state != CLIENT_STARTUP && c->state != CLIENT_AUTH)
            client_row(&row, c, "", client_state(c));
}

static void visit_servers(WorkerCtx *ctx, AdminShow *show)
{
    Row row = row_of(ctx, show);
    servers_of(&row);
    CancelRow cancel = {.row = &row};
    TAILQ_FOREACH(cancel.local, &ctx->pools, link)
        server_cancel_each(cancel.local, cancel_row, &cancel);
}

static void all_sockets(WorkerCtx *ctx, AdminShow *show, bool only_active)
{
    Row row = row_of(ctx, show);
    row.debug = true;
    row.only_active = only_active;
    Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link) {
        bool waits = c->state == CLIENT_WELCOME || client_is_waiting(c);
        if (c->state == CLIENT_STARTUP || c->state == CLIENT_AUTH)
            client_row(&row, c, "cl_", "login");
        else if (c->state != CLIENT_CANCEL)
            client_row(&row, c, "cl_", waits ? "waiting" : "active");
    }
    servers_of(&row);
}

static void visit_sockets(WorkerCtx *ctx, AdminShow *show)
{
    all_sockets(ctx, show, false);
}

static void visit_active_sockets(WorkerCtx *ctx, AdminShow *show)
{
    all_sockets(ctx, show, true);
}

const AdminView admin_view_clients = {
    .name = "clients", .columns = socket_columns, .n_columns = PW_ARRAY_LEN(socket_columns), .visit = visit_clients,
    .help = "clients that have logged in, and cancel requests",
};
const AdminView admin_view_servers = {
    .name = "servers", .columns = socket_columns, .n_columns = PW_ARRAY_LEN(socket_columns), .visit = visit_servers,
    .help = "connections to PostgreSQL",
};
const AdminView admin_view_sockets = {
    .name = "sockets", .columns = debug_columns, .n_columns = PW_ARRAY_LEN(debug_columns), .visit = visit_sockets,
    .help = "all connections, those that are logging in included, with what is buffered",
};
const AdminView admin_view_active_sockets = {
    .name = "active_sockets", .columns = debug_columns, .n_columns = PW_ARRAY_LEN(debug_columns),
    .visit = visit_active_sockets, .help = "the rows of SHOW SOCKETS for which something is buffered or under way on a console",
};
