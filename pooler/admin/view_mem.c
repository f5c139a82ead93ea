/* SPDX-License-Identifier: ISC */
/* view_mem.c - SHOW MEM: what objects and buffers take. */
#include "pooler/admin/admin_priv.h"
#include "pooler/listen/hub.h"
#include "pooler/relay/relay_listen.h"

static const AdminColumn mem_columns[] = {
    {"name", ADMIN_TEXT, "kind of object"},
    {"size", ADMIN_INT4, "bytes of one"},
    {"used", ADMIN_INT4, "how many are in use"},
    {"free", ADMIN_INT4, "how many more fit into what is allocated"},
    {"memtotal", ADMIN_INT4, "bytes of all"},
};

typedef struct Mem {
    uint64_t clients, servers, workers, held, unsent, server_held;
    uint64_t owed, on_servers; /* requests without an answer, prepared statements of servers */
    uint64_t of_clients, of_clients_bytes; /* prepared statements, as clients name them */
    uint64_t queued; /* notifications */
    uint64_t query_bytes, query_entries, query_max;
} Mem;

static void count_server(void *arg, Server *s)
{
    Mem *m = arg;
    m->servers++;
    m->owed += s->pipeline.count;
    m->on_servers += server_statements_count(&s->statements);
    m->server_held += s->held.cap + s->stream.out.cap + s->group.cap + s->welcome.cap + s->startup.cap;
}

static uint64_t held_by(const Relay *r)
{
    const RelayExtended *x = r->ext;
    return r->held.cap + (r->unnamed ? r->unnamed->parse.cap : 0) + (x ? x->unnamed_sql.cap + x->unnamed_text.cap + x->telling.bytes.cap : 0);
}

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    Mem *m = show->gather;
    m->workers++;
    const Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link) {
        m->clients++;
        m->held += held_by(&c->relay);
        m->unsent += c->relay.stream.out.cap;
        m->of_clients += client_statements_count(&c->relay.statements);
        m->of_clients_bytes += client_statements_bytes(&c->relay.statements);
        m->queued += c->relay.listen ? c->relay.listen->queue.cap : 0;
    }
    const PoolLocal *local;
    ListenHubInfo hub;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        admin_each_server(local, count_server, m);
        if (listen_hub_info(local, &hub) && hub.server)
            count_server(m, hub.server);
    }
    if (ctx->queries) {
        QueryTableStats stats;
        query_table_stats(ctx->queries, &stats);
        m->query_bytes += stats.bytes;
        m->query_entries += stats.entries;
        m->query_max += stats.max_queries;
    }
}

static void put(AdminResult *r, const char *name, uint64_t size, uint64_t used, uint64_t unused, uint64_t total)
{
    admin_row_begin(r, NULL);
    admin_row_text(r, name);
    admin_row_count(r, size);
    admin_row_count(r, used);
    admin_row_count(r, unused);
    admin_row_count(r, total);
    admin_row_end(r);
}

static void put_objects(AdminResult *r, const char *name, size_t size, uint64_t used)
{
    put(r, name, size, used, 0, size * used);
}

static void count_user(void *arg, UserState *user)
{
    (void)user;
    ++*(uint64_t *)arg;
}

static void count_db(void *arg, DbState *db)
{
    (void)db;
    ++*(uint64_t *)arg;
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    const Mem *m = show->gather;
    AdminResult *r = &show->result;
    uint64_t users = 0, dbs = 0, statements, statement_bytes;
    registry_each_user(count_user, &users);
    registry_each_db(count_db, &dbs);
    put_objects(r, "user_cache", sizeof(UserState), users);
    put_objects(r, "credentials_cache", sizeof(Secret), userlist_count(ctx->users));
    put_objects(r, "db_cache", sizeof(DbState), dbs);
    put_objects(r, "pool_cache", sizeof(PoolEntry) + sizeof(Pool) + m->workers * (sizeof(PoolLocal) + sizeof(PoolShard)),
                registry_n_pools());
    put_objects(r, "server_cache", sizeof(Server), m->servers);
    put_objects(r, "client_cache", sizeof(Client), m->clients);
    put_objects(r, "var_list_cache", sizeof(ParamSet), m->clients + m->servers);
    put_objects(r, "outstanding_request_cache", sizeof(PipelineEntry), m->owed);
    put_objects(r, "server_prepared_statement_cache", sizeof(ServerStatement), m->on_servers);
    put(r, "client_prepared_statement_cache", m->of_clients ? m->of_clients_bytes / m->of_clients : 0, m->of_clients, 0, m->of_clients_bytes);
    statement_store_stats(&statements, &statement_bytes);
    put(r, "prepared_statement_cache", statements ? statement_bytes / statements : 0, statements, 0, statement_bytes);
    put_objects(r, "session_settings_bytes", 1, settings_bytes());
    put_objects(r, "sql_prepared_bytes", 1, sql_names_bytes());
    /* one receive buffer a worker; connections have none of their own */
    put_objects(r, "iobuf_cache", WORKER_SCRATCH_HEADROOM + WORKER_SCRATCH_SIZE, m->workers);
    /* bytes: what connections hold beside it */
    put_objects(r, "client_held_bytes", 1, m->held);
    put_objects(r, "client_unsent_bytes", 1, m->unsent);
    put_objects(r, "client_notification_bytes", 1, m->queued);
    put_objects(r, "server_held_bytes", 1, m->server_held);
    put(r, "query_table", m->query_max ? m->query_bytes / m->query_max : 0, m->query_entries,
        m->query_max - m->query_entries, m->query_bytes);
}

const AdminView admin_view_mem = {
    .name = "mem", .columns = mem_columns, .n_columns = PW_ARRAY_LEN(mem_columns), .gather = sizeof(Mem),
    .visit = visit, .finish = finish, .help = "memory by kind of object; buffers by their bytes",
};
