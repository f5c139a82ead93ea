/* SPDX-License-Identifier: ISC */
/* admin_fds.c - open sockets for another process of the same user: SHOW FDS, and HANDOVER for "pooler -R".
 *
 *   HANDOVER SOCKETS    the listening sockets; both processes accept from now on
 *   HANDOVER DONE       this process accepts no more and ends with its last client. It keeps its sockets, and accepts again if the new one
 *                       dies: if the console of HANDOVER SOCKETS ends without Terminate. Said again: it closes them
 *   HANDOVER "CANCEL_k" a cancel request that went to the new process for a client that is still here; k: its key in base64
 *   HANDOVER CLIENTS_4  some clients at rest (client_handover.c), each with its socket; asked again and again
 *
 * Each row goes out with its descriptor attached. The console's socket may be full: what is left waits for the
 * next tick. Descriptors that a job holds are copies, closed with it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/auth/base64.h"
#include "pooler/net/fdpass.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

struct AdminFds {
    AdminResult rows;
    int *fds; /* [rows.n_rows] -1: none, or sent */
    size_t n, size;
    size_t next, sent; /* the row that goes next, and how much of it went */
    bool of_clients;   /* counted in handing_over */
};

static PW_ATOMIC(int) taken_over; /* 1: a console is AdminSession.takes_over */
static PW_ATOMIC(int) handing_over; /* answers to HANDOVER CLIENTS that are not sent in whole; up before any of their clients leaves */

bool admin_is_handing_over(void)
{
    return pw_atomic_load(&handing_over) > 0;
}

AdminFds *admin_fds_create(const AdminColumn *columns, unsigned n_columns)
{
    AdminFds *f = pw_xcalloc(1, sizeof(*f));
    admin_result_init(&f->rows, columns, n_columns, false);
    return f;
}

void admin_fds_destroy(AdminFds *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        if (f->fds[i] >= 0)
            close(f->fds[i]);
    if (f->of_clients)
        pw_atomic_sub(&handing_over, 1);
    if (f->rows.bytes.data)
        pw_wipe(f->rows.bytes.data, f->rows.bytes.cap); /* passwords and keys are among it */
    admin_result_finish(&f->rows);
    free(f->fds);
    free(f);
}

/* Of the row that was just ended; takes it over. */
static void add_fd(AdminFds *f, int fd)
{
    if (f->n == f->size) {
        f->size = f->size ? f->size * 2 : 16;
        f->fds = pw_xrealloc(f->fds, f->size * sizeof(*f->fds));
    }
    f->fds[f->n++] = fd;
}

static int copy_of(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* ---- sending ---- */

/* False: the console's socket is full, or it is gone. */
static bool send_row(AdminSession *s, AdminFds *f)
{
    const AdminRow *row = &f->rows.rows[f->next];
    const uint8_t *bytes = f->rows.bytes.data + row->start;
    while (f->sent < row->len) {
        ssize_t n = fdpass_send(s->client->relay.stream.fd, bytes + f->sent, row->len - f->sent, f->fds[f->next]);
        if (n == -1)
            return false;
        if (n < 0) {
            client_close(s->client, NULL, strerror(errno));
            return false;
        }
        if (f->fds[f->next] >= 0)
            close(f->fds[f->next]);
        f->fds[f->next] = -1;
        f->sent += (size_t)n;
    }
    f->sent = 0;
    f->next++;
    return true;
}

void admin_fds_send(AdminJob *job)
{
    AdminSession *s = job->session;
    AdminFds *f = job->fds;
    if (!s) {
        admin_job_free(job);
        return;
    }
    Client *c = s->client;
    while (f->next < f->rows.n_rows) {
        /* what goes through the stream must be ahead of what goes by itself */
        if (stream_pending(&c->relay.stream) > 0 || !send_row(s, f)) {
            if (c->console)
                return; /* the tick goes on */
            job->session = NULL;
            admin_job_free(job);
            return;
        }
    }
    admin_job_end(job, NULL);
}

static void begin_sending(AdminJob *job)
{
    AdminSession *s = job->session;
    if (!s) {
        admin_job_free(job);
        return;
    }
    Client *c = s->client;
    PwBuf out;
    pw_buf_init(&out);
    admin_columns_write(job->fds->rows.columns, job->fds->rows.n_columns, false, NULL, &out);
    admin_job_wait(job, ADMIN_WAIT_FDS);
    admin_send(s, &out);
    pw_buf_finish(&out);
    if (!c->console)
        job->session = NULL;
    admin_fds_send(job);
}

/* ---- SHOW FDS ---- */

static const AdminColumn fd_columns[] = {
    {"fd", ADMIN_INT4, "number of the socket in this process; to a console of the same user on the unix socket the row brings a copy of it"},
    {"task", ADMIN_TEXT, "pooler for a listening socket, client or server"},
    {"user", ADMIN_TEXT, "the user that is logged in"},
    {"database", ADMIN_TEXT, "the database that the client asked for"},
    {"addr", ADMIN_TEXT, "address of the other end, of a listening socket its own"},
    {"port", ADMIN_INT4, "its port"},
    {"cancel", ADMIN_INT8, "cancel key: of a client the one it was given, of a server its own"},
    {"link", ADMIN_INT4, "fd of the connection that it is linked to; 0: none"},
    {"client_encoding", ADMIN_TEXT, "present value"},
    {"std_strings", ADMIN_TEXT, "standard_conforming_strings, present value"},
    {"datestyle", ADMIN_TEXT, "present value"},
    {"timezone", ADMIN_TEXT, "present value"},
    {"password", ADMIN_TEXT, "the user's secret as stored; NULL but for a console of the same user on the unix socket"},
    {"scram_client_key", ADMIN_BYTEA, "key of a SCRAM login, for servers that know the same secret; NULL as password"},
    {"scram_server_key", ADMIN_BYTEA, "its counterpart; NULL as password"},
};

typedef struct FdRow {
    int fd, link;
    const char *task;
    const NetAddr *addr;
    const char *user, *database;
    uint64_t cancel;
    const ParamSet *params;
    PoolEntry *entry;    /* clients: whose secrets they log in to servers with */
} FdRow;

static void put_bytea(AdminResult *r, const uint8_t *bytes, size_t n)
{
    char text[2 + 2 * 64 + 1] = "\\x";
    for (size_t i = 0; i < n && i < 64; i++)
        snprintf(text + 2 + 2 * i, 3, "%02x", bytes[i]);
    admin_row_text(r, text);
    pw_wipe(text, sizeof(text));
}

static void put_secrets(AdminResult *r, const FdRow *row, const UserList *users, bool open)
{
    ScramKeys keys;
    const Secret *stored = open && row->user ? userlist_find(users, row->user) : NULL;
    bool has_keys = open && row->entry && pool_entry_copy_keys(row->entry, &keys);
    admin_row_text(r, stored ? stored->text : NULL);
    if (has_keys) {
        put_bytea(r, keys.client_key, sizeof(keys.client_key));
        put_bytea(r, keys.verifier.server_key, sizeof(keys.verifier.server_key));
        pw_wipe(&keys, sizeof(keys));
    } else {
        admin_row_text(r, NULL);
        admin_row_text(r, NULL);
    }
}

static void put_row(WorkerCtx *ctx, AdminJob *job, const FdRow *row)
{
    static const unsigned shown[] = {PARAM_CLIENT_ENCODING, PARAM_STANDARD_CONFORMING_STRINGS, PARAM_DATESTYLE, PARAM_TIMEZONE};
    AdminResult *r = &job->fds->rows;
    char host[NET_ADDR_TEXT];
    admin_row_begin(r, NULL);
    admin_row_int(r, row->fd);
    admin_row_text(r, row->task);
    admin_row_text(r, row->user);
    admin_row_text(r, row->database);
    admin_row_text(r, row->addr->len ? net_addr_host(row->addr, host, sizeof(host)) : "");
    admin_row_int(r, row->addr->len ? net_addr_port(row->addr) : 0);
    admin_row_int(r, (int64_t)row->cancel);
    admin_row_int(r, row->link);
    for (size_t i = 0; i < PW_ARRAY_LEN(shown); i++)
        admin_row_text(r, row->params ? params_get(row->params, shown[i]) : NULL);
    put_secrets(r, row, ctx->users, job->with_secrets);
    admin_row_end(r);
    add_fd(job->fds, job->with_secrets ? copy_of(row->fd) : -1);
}

typedef struct Visit {
    WorkerCtx *ctx;
    AdminJob *job;
} Visit;

static void put_listener(void *arg, int fd, const NetAddr *addr)
{
    const Visit *v = arg;
    put_row(v->ctx, v->job, &(FdRow){.fd = fd, .task = "pooler", .addr = addr});
}

static uint64_t key_number(const uint8_t *key, size_t n)
{
    uint64_t number = 0;
    for (size_t i = 0; i < n; i++)
        number = number << 8 | key[i];
    return number;
}

static void put_server(void *arg, Server *s)
{
    const Visit *v = arg;
    const PoolLocal *local = server_local(s);
    const Relay *user = relay_of_server(s);
    FdRow row = {
        .fd = s->stream.fd,
        .link = user ? user->stream.fd : 0,
        .task = "server",
        .addr = &s->addr,
        .user = local->entry->user->name,
        .database = local->entry->db->name,
        .cancel = (uint64_t)s->backend_pid << 32 | key_number(s->cancel_key, 4),
        .params = &s->params,
    };
    if (row.fd >= 0 && s->ps.state != POOL_SERVER_CONNECTING)
        put_row(v->ctx, v->job, &row);
}

/* The first eight bytes of a long key. */
static uint64_t client_key_number(const Client *c)
{
    uint8_t wire[CANCEL_KEY_LONG];
    cancel_key_write(&c->cancel_key, c->cancel_key.hops, wire);
    return key_number(wire, 8);
}

static void visit_fds(WorkerCtx *ctx, AdminJob *job)
{
    Visit v = {ctx, job};
    if (ctx->worker->index == 0)
        admin_process()->each_listener(put_listener, &v);
    const Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link) {
        if (c->state != CLIENT_READY)
            continue;
        NetAddr peer;
        client_peer(c, &peer);
        FdRow row = {
            .fd = c->relay.stream.fd,
            .link = c->relay.server ? c->relay.server->stream.fd : 0,
            .task = "client",
            .addr = &peer,
            .user = c->user,
            .database = c->database,
            .cancel = client_key_number(c),
            .params = &c->relay.params,
            .entry = c->entry,
        };
        put_row(ctx, job, &row);
    }
    const PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link)
        admin_each_server(local, put_server, &v);
}

/* Without descriptors: to whom they cannot be given. */
static void answer_rows(AdminJob *job)
{
    AdminSession *s = job->session;
    if (!s) {
        admin_job_free(job);
        return;
    }
    Client *c = s->client;
    s->job = NULL;
    admin_result(s, &job->fds->rows, 0, "SHOW");
    job->session = NULL;
    admin_job_free(job);
    if (c->console)
        admin_session_next(s);
}

static void start_fds(AdminSession *s)
{
    AdminJob *job = admin_job_create(s, "SHOW");
    job->fds = admin_fds_create(fd_columns, PW_ARRAY_LEN(fd_columns));
    job->with_secrets = s->client->console_own && !s->extended;
    admin_job_tour(job, visit_fds, job->with_secrets ? begin_sending : answer_rows);
}

const AdminView admin_view_fds = {
    .name = "fds", .columns = fd_columns, .n_columns = PW_ARRAY_LEN(fd_columns), .start = start_fds,
    .help = "open sockets; for admins only",
};

/* ---- HANDOVER ---- */

static void put_handed(AdminFds *f, const uint8_t *bytes, size_t n, int fd)
{
    PwBuf text;
    pw_buf_init(&text);
    pw_buf_append_str(&text, "\\x");
    for (size_t i = 0; i < n; i++)
        pw_buf_printf(&text, "%02x", bytes[i]);
    pw_buf_append_u8(&text, 0);
    admin_row_begin(&f->rows, NULL);
    admin_row_text(&f->rows, (const char *)pw_buf_head(&text));
    admin_row_end(&f->rows);
    add_fd(f, fd);
    pw_wipe(text.data, text.cap);
    pw_buf_finish(&text);
}

static void put_socket(void *arg, int fd, const NetAddr *addr)
{
    AdminJob *job = arg;
    (void)addr;
    int copy = copy_of(fd);
    if (copy >= 0)
        put_handed(job->fds, NULL, 0, copy);
}

static void visit_sockets(WorkerCtx *ctx, AdminJob *job)
{
    if (ctx->worker->index == 0)
        admin_process()->each_listener(put_socket, job);
}

static void visit_clients(WorkerCtx *ctx, AdminJob *job)
{
    Client *c, *next;
    for (c = TAILQ_FIRST(&ctx->clients); c && job->count < CLIENT_HANDOVER_AT_ONCE; c = next) {
        next = TAILQ_NEXT(c, link);
        if (!client_portable(c))
            continue;
        PwBuf state;
        pw_buf_init(&state);
        int fd = client_hand_over(c, &state);
        if (fd >= 0) {
            put_handed(job->fds, pw_buf_head(&state), pw_buf_unread(&state), fd);
            job->count++;
        }
        if (state.data)
            pw_wipe(state.data, state.cap);
        pw_buf_finish(&state);
        if (fd < 0)
            return; /* no more descriptors now: the others stay until the next time */
    }
}

static const AdminColumn handed_columns[] = {{"state", ADMIN_TEXT, "what the new process has to know"}};

static void cancel_done(void *arg)
{
    AdminJob *job = arg;
    job->touring = false;
    admin_job_end(job, NULL);
}

/* The answer comes when the request has ended. */
static void cancel(AdminSession *s, const char *text)
{
    uint8_t key[CANCEL_KEY_LONG];
    size_t n;
    if (base64_decode(text, strlen(text), key, sizeof(key), &n) != PW_OK) {
        admin_error(s, "this is no cancel key");
        return;
    }
    AdminJob *job = admin_job_create(s, "HANDOVER");
    job->touring = true;
    if (!client_cancel_by_key(job->worker, key, n, cancel_done, job)) {
        job->touring = false;
        admin_job_end(job, "this is no cancel key");
    }
}

/* Two at once would both serve, each with all of the limits, and the pid file would name one of them. */
static bool begin_takeover(AdminSession *s)
{
    int nobody = 0;
    if (!s->takes_over)
        s->takes_over = pw_atomic_cas(&taken_over, &nobody, 1);
    return s->takes_over;
}

void admin_handover_console_gone(const AdminSession *s)
{
    if (!s->takes_over)
        return;
    pw_atomic_store(&taken_over, 0);
    if (!s->client->console_said_bye) /* a successor that goes on, or ends as it wants to, says so */
        admin_process()->take_back();
}

void admin_cmd_handover(AdminSession *s, const AdminRequest *r)
{
    if (!s->client->console_own || s->extended) {
        admin_error(s, "only a process of the same user gets sockets, as user pgbouncer over the unix socket");
        return;
    }
    bool sockets = strcasecmp(r->arg, "SOCKETS") == 0;
    if (strcasecmp(r->arg, "DONE") == 0) {
        if (admin_ctx(s)->shutdown != SHUTDOWN_HANDED_OVER)
            pw_log(PW_LOG_LOG, "a new process has taken over, shutting down when the last client is there or gone");
        admin_process()->handed_over();
        admin_complete(s, "HANDOVER");
        return;
    }
    if (strncasecmp(r->arg, "CANCEL_", 7) == 0) {
        cancel(s, r->arg + 7);
        return;
    }
    if (!sockets && strcasecmp(r->arg, CLIENT_HANDOVER_CLIENTS) != 0) {
        admin_error(s, "invalid command 'HANDOVER %s', use SHOW HELP;", r->arg);
        return;
    }
    if (sockets && !begin_takeover(s)) {
        admin_error(s, "another process is taking over already");
        return;
    }
    AdminJob *job = admin_job_create(s, "HANDOVER");
    job->fds = admin_fds_create(handed_columns, 1);
    job->fds->of_clients = !sockets;
    if (!sockets)
        pw_atomic_add(&handing_over, 1);
    admin_job_tour(job, sockets ? visit_sockets : visit_clients, begin_sending);
}
