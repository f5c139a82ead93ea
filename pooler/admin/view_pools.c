/* SPDX-License-Identifier: ISC */
/* view_pools.c - SHOW POOLS. Counted from the lists of each worker; nothing is counted on the side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/mem.h"

static const AdminColumn pool_columns[] = {
    {"database", ADMIN_TEXT, "database as clients ask for it"},
    {"user", ADMIN_TEXT, "user with which servers are connected"},
    {"cl_active", ADMIN_INT4, "clients that are linked to a server or have nothing to ask"},
    {"cl_waiting", ADMIN_INT4, "clients that wait for a server"},
    {"cl_active_cancel_req", ADMIN_INT4, "cancel requests that were passed on and not answered yet"},
    {"cl_waiting_cancel_req", ADMIN_INT4, "cancel requests that wait until one of pool_size connections for them is free"},
    {"sv_active", ADMIN_INT4, "servers linked to a client"},
    {"sv_active_cancel", ADMIN_INT4, "connections that carry a cancel request to a server"},
    {"sv_being_canceled", ADMIN_INT4, "servers without a client for which a cancel request is still under way"},
    {"sv_idle", ADMIN_INT4, "servers that can be used at once"},
    {"sv_used", ADMIN_INT4, "idle for longer than server_check_delay: checked before they are used"},
    {"sv_tested", ADMIN_INT4, "servers that run server_reset_query, a ROLLBACK or what a client left behind"},
    {"sv_login", ADMIN_INT4, "servers that are being connected"},
    {"maxwait", ADMIN_INT4, "seconds that the client in front has been waiting"},
    {"maxwait_us", ADMIN_INT4, "microseconds to be added to maxwait"},
    {"pool_mode", ADMIN_TEXT, "session, transaction or statement"},
    {"load_balance_hosts", ADMIN_TEXT, "how hosts are chosen; NULL when the database has one host"},
    {"sv_transit", ADMIN_INT4 | ADMIN_EXTRA, "servers that are on their way from one worker to another"},
};

typedef struct PoolRow {
    UT_hash_handle hh;
    char *key, *database, *user; /* one allocation each */
    int cl_active, cl_waiting, cl_active_cancel, cl_waiting_cancel, sv_active_cancel, servers[ADMIN_SERVER_STATE_COUNT], transit;
    PwUsec maxwait;
    const char *pool_mode, *load_balance_hosts; /* static texts */
} PoolRow;

typedef struct PoolsGather {
    PoolRow *rows;
} PoolsGather;

static PoolRow *row_of(PoolsGather *g, const char *key, const char *database, const char *user)
{
    PoolRow *row;
    HASH_FIND_STR(g->rows, key, row);
    if (row)
        return row;
    row = pw_xcalloc(1, sizeof(*row));
    row->key = pw_xstrdup(key);
    row->database = pw_xstrdup(database);
    row->user = pw_xstrdup(user);
    HASH_ADD_KEYPTR(hh, g->rows, row->key, strlen(row->key), row);
    return row;
}

typedef struct CountServers {
    PoolRow *row;
    const Config *config;
    PwUsec now;
} CountServers;

static void count_server(void *arg, Server *s)
{
    CountServers *c = arg;
    c->row->servers[admin_server_state(s, c->config, c->now)]++;
}

static void count_cancel(void *arg, const ServerCancelInfo *info)
{
    PoolRow *row = arg;
    row->cl_waiting_cancel += info->asked && info->waits;
    row->cl_active_cancel += info->asked && !info->waits;
    row->sv_active_cancel += !info->waits;
}

static void count_pool(WorkerCtx *ctx, PoolsGather *g, PoolLocal *local)
{
    const PoolEntry *e = local->entry;
    PwUsec now = worker_now(ctx->worker);
    PoolRow *row = row_of(g, e->key, e->db->name, e->user->name);
    CountServers count = {row, ctx->config, now};
    admin_each_server(local, count_server, &count);
    server_cancel_each(local, count_cancel, row);
    row->transit = pw_atomic_load(&e->pool->n_transit);
    PoolWaiter *first = TAILQ_FIRST(&local->shard->waiting);
    if (first && now - first->since > row->maxwait)
        row->maxwait = now - first->since;
    row->pool_mode = config_pool_mode_name(local->settings.pool_mode);
    bool several = local->dbconf && local->dbconf->host && strchr(local->dbconf->host, ',');
    row->load_balance_hosts = several ? config_load_balance_name(local->settings.load_balance_hosts) : NULL;
}

static void count_client(PoolsGather *g, const Client *c)
{
    PoolRow *row;
    if (c->state == CLIENT_CONSOLE) {
        row_of(g, "pgbouncer\x1fpgbouncer", "pgbouncer", "pgbouncer")->cl_active++;
        return;
    }
    if (c->state != CLIENT_READY && c->state != CLIENT_WELCOME)
        return;
    row = row_of(g, c->entry->key, c->entry->db->name, c->entry->user->name);
    if (c->state == CLIENT_WELCOME || client_is_waiting(c))
        row->cl_waiting++;
    else
        row->cl_active++;
}

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    PoolsGather *g = show->gather;
    PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link)
        count_pool(ctx, g, local);
    Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link)
        count_client(g, c);
}

static int by_name(PoolRow *a, PoolRow *b)
{
    int c = strcmp(a->database, b->database);
    return c ? c : strcmp(a->user, b->user);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    PoolsGather *g = show->gather;
    AdminResult *r = &show->result;
    HASH_SORT(g->rows, by_name);
    for (PoolRow *row = g->rows; row; row = row->hh.next) {
        admin_row_begin(r, NULL);
        admin_row_text(r, row->database);
        admin_row_text(r, row->user);
        admin_row_int(r, row->cl_active);
        admin_row_int(r, row->cl_waiting);
        admin_row_int(r, row->cl_active_cancel);
        admin_row_int(r, row->cl_waiting_cancel);
        admin_row_int(r, row->servers[ADMIN_SERVER_ACTIVE]);
        admin_row_int(r, row->sv_active_cancel);
        admin_row_int(r, row->servers[ADMIN_SERVER_BEING_CANCELED]);
        admin_row_int(r, row->servers[ADMIN_SERVER_IDLE]);
        admin_row_int(r, row->servers[ADMIN_SERVER_USED]);
        admin_row_int(r, row->servers[ADMIN_SERVER_TESTED]);
        admin_row_int(r, row->servers[ADMIN_SERVER_NEW]);
        admin_row_int(r, row->maxwait / PW_USEC_PER_SEC);
        admin_row_int(r, row->maxwait % PW_USEC_PER_SEC);
        admin_row_text(r, row->pool_mode ? row->pool_mode : "statement"); /* the console's */
        admin_row_text(r, row->load_balance_hosts);
        admin_row_int(r, row->transit);
        admin_row_end(r);
    }
}

static void drop(AdminShow *show)
{
    PoolsGather *g = show->gather;
    PoolRow *row, *next;
    HASH_ITER(hh, g->rows, row, next)
    {
        HASH_DEL(g->rows, row);
        free(row->key);
        free(row->database);
        free(row->user);
        free(row);
    }
}

const AdminView admin_view_pools = {
    .name = "pools", .columns = pool_columns, .n_columns = PW_ARRAY_LEN(pool_columns), .gather = sizeof(PoolsGather),
    .visit = visit, .finish = finish, .drop = drop, .help = "one row for each pool, that is database and server user",
};
