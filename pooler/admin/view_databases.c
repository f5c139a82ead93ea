/* SPDX-License-Identifier: ISC */
/* view_databases.c - SHOW DATABASES; which databases there are. */
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/mem.h"

/* ---- which there are ---- */

typedef struct Fill {
    AdminDbState *states;
    size_t n, size;
} Fill;

static void fill(void *arg, DbState *db)
{
    Fill *f = arg;
    if (f->n < f->size)
        f->states[f->n] = (AdminDbState){db, db->past};
    f->n++;
}

AdminDbState *admin_db_states(size_t *ret_n)
{
    /* The visits run under the registry's lock and must not allocate: asked again when there were too few. */
    Fill f = {NULL, 0, 0};
    do {
        f.size = f.n + 16;
        f.n = 0;
        f.states = pw_xrealloc(f.states, f.size * sizeof(*f.states));
        registry_each_db(fill, &f);
    } while (f.n > f.size);
    *ret_n = f.n;
    return f.states;
}

/* One that "*" made is listed while it has connections or an operator's mark, and for autodb_idle_timeout after. */
static bool auto_is_alive(const Config *config, const DbState *db, PwUsec now)
{
    return pw_atomic_load(&db->clients.used) > 0 || pw_atomic_load(&db->servers.used) > 0 ||
           pw_atomic_load(&db->paused) & DB_PAUSED_SELF || pw_atomic_load(&db->disabled) ||
           now - pw_atomic_load(&db->last_used) < config->autodb_idle_timeout;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const AdminDatabase *)a)->name, ((const AdminDatabase *)b)->name);
}

AdminDatabase *admin_databases(const Config *config, PwUsec now, size_t *ret_n)
{
    size_t n = 0, n_states, n_lines = config_n_databases(config);
    AdminDbState *states = admin_db_states(&n_states);
    AdminDatabase *list = pw_xcalloc(n_lines + n_states + 1, sizeof(*list));
    for (size_t i = 0; i < n_lines; i++) {
        const DatabaseConf *conf = config_database_at(config, i);
        if (!conf->is_auto)
            list[n++] = (AdminDatabase){conf->name, conf, registry_find_db(conf->name), false};
    }
    for (size_t i = 0; i < n_states; i++) {
        bool is_auto;
        DbState *db = states[i].db;
        const DatabaseConf *conf = config_find_database(config, db->name, &is_auto);
        if (conf && is_auto && auto_is_alive(config, db, now))
            list[n++] = (AdminDatabase){db->name, conf, db, true};
    }
    list[n++] = (AdminDatabase){"pgbouncer", NULL, NULL, false};
    free(states);
    qsort(list, n, sizeof(*list), by_name);
    *ret_n = n;
    return list;
}

/* ---- SHOW DATABASES ---- */

static const AdminColumn database_columns[] = {
    {"name", ADMIN_TEXT, "database as clients ask for it"},
    {"host", ADMIN_TEXT, "host of its line; NULL: the unix socket in unix_socket_dir"},
    {"port", ADMIN_INT4, "port of its line"},
    {"database", ADMIN_TEXT, "its name on the server"},
    {"force_user", ADMIN_TEXT, "user of its line; NULL: servers are connected as the client's user"},
    {"pool_size", ADMIN_INT4, "servers that a pool may have"},
    {"min_pool_size", ADMIN_INT4, "servers that are kept open"},
    {"reserve_pool_size", ADMIN_INT4, "servers beyond pool_size when clients wait for long"},
    {"server_lifetime", ADMIN_INT4, "seconds after which an unused server is replaced"},
    {"pool_mode", ADMIN_TEXT, "pool_mode of its line; NULL: the general one"},
    {"load_balance_hosts", ADMIN_TEXT, "how hosts are chosen; NULL when it has one host"},
    {"max_connections", ADMIN_INT4, "most servers over all pools (max_db_connections); 0: no limit"},
    {"current_connections", ADMIN_INT4, "servers over all pools"},
    {"max_client_connections", ADMIN_INT4, "most clients (max_db_client_connections); 0: no limit"},
    {"current_client_connections", ADMIN_INT4, "clients"},
    {"paused", ADMIN_INT4, "1 after PAUSE (of this or of all databases) or KILL"},
    {"disabled", ADMIN_INT4, "1 after DISABLE"},
    {"reserve_pool", ADMIN_INT4 | ADMIN_EXTRA, "reserve_pool_size, by the name that it had in PgBouncer 1.7: Debian's exporter asks for it"},
};

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value >= 0 ? value : otherwise;
}

static void database_row(AdminResult *r, const Config *config, const AdminDatabase *d)
{
    const DatabaseConf *c = d->conf;
    PwUsec lifetime = c->server_lifetime > 0 ? c->server_lifetime : config->server_lifetime;
    bool several = c->host && strchr(c->host, ',');
    LoadBalanceHosts how =
        c->load_balance_hosts == LOAD_BALANCE_UNSET ? LOAD_BALANCE_ROUND_ROBIN : c->load_balance_hosts;
    admin_row_begin(r, NULL);
    admin_row_text(r, d->name);
    admin_row_text(r, c->host);
    admin_row_int(r, c->port);
    admin_row_text(r, config_server_dbname(c, d->name));
    admin_row_text(r, c->user);
    admin_row_int(r, or_default(c->pool_size, config->default_pool_size));
    admin_row_int(r, or_default(c->min_pool_size, config->min_pool_size));
    admin_row_int(r, or_default(c->reserve_pool_size, config->reserve_pool_size));
    admin_row_int(r, lifetime / PW_USEC_PER_SEC);
    admin_row_text(r, config_pool_mode_name(c->pool_mode));
    admin_row_text(r, several ? config_load_balance_name(how) : NULL);
    admin_row_int(r, c->max_db_connections > 0 ? c->max_db_connections : config->max_db_connections);
    admin_row_int(r, d->db ? pw_atomic_load(&d->db->servers.used) : 0);
    admin_row_int(r, c->max_db_client_connections > 0 ? c->max_db_client_connections : config->max_db_client_connections);
    admin_row_int(r, d->db ? pw_atomic_load(&d->db->clients.used) : 0);
    bool paused = d->db ? pw_atomic_load(&d->db->paused) != 0 : admin_state() == ADMIN_PAUSED;
    admin_row_int(r, paused);
    admin_row_int(r, d->db && pw_atomic_load(&d->db->disabled));
    admin_row_int(r, or_default(c->reserve_pool_size, config->reserve_pool_size));
    admin_row_end(r);
}

static void console_row(AdminResult *r, const Config *config)
{
    admin_row_begin(r, NULL);
    admin_row_text(r, "pgbouncer");
    admin_row_text(r, NULL);
    admin_row_int(r, config->listen_port);
    admin_row_text(r, "pgbouncer");
    admin_row_text(r, "pgbouncer");
    admin_row_int(r, 2); /* as PgBouncer has it; there are no servers */
    admin_row_int(r, 0);
    admin_row_int(r, 0);
    admin_row_int(r, config->server_lifetime / PW_USEC_PER_SEC);
    admin_row_text(r, "statement");
    admin_row_text(r, NULL);
    admin_row_int(r, config->max_db_connections);
    admin_row_int(r, 0); /* it has no servers */
    admin_row_int(r, config->max_db_client_connections);
    admin_row_int(r, client_count_consoles());
    admin_row_int(r, 0); /* never paused, */
    admin_row_int(r, 0); /* never disabled */
    admin_row_int(r, 0);
    admin_row_end(r);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    size_t n;
    AdminDatabase *list = admin_databases(ctx->config, worker_now(ctx->worker), &n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].conf)
            database_row(&show->result, ctx->config, &list[i]);
        else
            console_row(&show->result, ctx->config);
    }
    free(list);
}

const AdminView admin_view_databases = {
    .name = "databases", .columns = database_columns, .n_columns = PW_ARRAY_LEN(database_columns), .finish = finish,
    .help = "the databases of the configuration, those made from \"*\", and the console",
};
