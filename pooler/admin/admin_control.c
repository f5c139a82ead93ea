/* SPDX-License-Identifier: ISC */
/* admin_control.c - DISABLE, ENABLE, KILL, KILL_CLIENT, RECONNECT, WAIT_CLOSE; what of a command waits, and ^C.
 *
 * What is wanted is kept in the DbStates, which all workers may read, and a tour makes every worker do it, as in admin_pause.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/net/resolver.h"
#include "pooler/pool/failure.h"
#include "poolwise/log.h"

/* ---- databases by name ---- */

bool admin_is_console_name(const char *database)
{
    return strcmp(database, "pgbouncer") == 0 || strcmp(database, "pooler") == 0;
}

/* A line of the file, or one that "*" made; `make`: or makes now. NULL: no such database. */
static DbState *find_db(WorkerCtx *ctx, const char *name, bool make)
{
    bool is_auto;
    if (!config_find_database(ctx->config, name, &is_auto))
        return NULL;
    DbState *db = registry_find_db(name);
    if (db || (is_auto && !make))
        return db;
    db = registry_db(name);
    pw_atomic_store(&db->is_auto, is_auto);
    if (is_auto) {
        pw_atomic_store(&db->last_used, worker_now(ctx->worker));
        pw_log(PW_LOG_LOG, "registered new auto-database: %s", name);
    }
    return db;
}

bool admin_control_start(AdminSession *s, const char *command, const char *verb, const AdminRequest *r, bool make, DbState **ret_db)
{
    *ret_db = NULL;
    if (!r->arg[0]) {
        pw_log(PW_LOG_LOG, "%s command issued", command);
        return true;
    }
    pw_log(PW_LOG_LOG, "%s '%s' command issued", command, r->arg);
    if (admin_is_console_name(r->arg)) {
        admin_error(s, "cannot %s admin db: %s", verb, r->arg);
        return false;
    }
    *ret_db = find_db(admin_ctx(s), r->arg, make);
    if (!*ret_db)
        admin_error(s, "no such database: %s", r->arg);
    return *ret_db != NULL;
}

static bool concerns(const AdminJob *job, const PoolLocal *local)
{
    return !job->db || job->db == local->entry->db;
}

/* ---- DISABLE and ENABLE: looked at by logins only ---- */

static void set_disabled(AdminSession *s, const char *command, const AdminRequest *r, bool disabled)
{
    DbState *db;
    if (!r->arg[0]) {
        admin_error(s, "a database is required");
        return;
    }
    if (!admin_control_start(s, command, disabled ? "disable" : "enable", r, disabled, &db))
        return;
    pw_atomic_store(&db->disabled, disabled);
    admin_complete(s, command);
}

void admin_cmd_disable(AdminSession *s, const AdminRequest *r)
{
    set_disabled(s, "DISABLE", r, true);
}

void admin_cmd_enable(AdminSession *s, const AdminRequest *r)
{
    set_disabled(s, "ENABLE", r, false);
}

/* ---- KILL and KILL_CLIENT ---- */

/* A close may take others along (a server's end, the client of the server), so the walk starts anew after each one
 * that was found until none is left. */
static bool kill_one_pass(WorkerCtx *ctx, const PoolLocal *local)
{
    bool any = false;
    Client *c, *next;
    for (c = TAILQ_FIRST(&ctx->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->relay.local != local || c->state == CLIENT_CLOSED)
            continue;
        client_close(c, "database removed", "database removed");
        any = true;
    }
    return any;
}

static void kill_local(WorkerCtx *ctx, PoolLocal *local)
{
    PoolShard *shard = local->shard;
    PoolServer *ps;
    pool_block(shard, true);
    while (kill_one_pass(ctx, local))
        ;
    while ((ps = TAILQ_FIRST(&shard->active)) || (ps = TAILQ_FIRST(&shard->connecting)) ||
           (ps = TAILQ_FIRST(&shard->idle)))
        server_close(server_of(ps), "database removed");
}

static void visit_kill(WorkerCtx *ctx, AdminJob *job)
{
    PoolLocal *local, *next;
    for (local = TAILQ_FIRST(&ctx->pools); local; local = next) {
        next = TAILQ_NEXT(local, link);
        if (concerns(job, local))
            kill_local(ctx, local);
    }
}

/* Those that nobody has used yet, too: who comes next waits for RESUME. */
static void pause_each(const Config *config)
{
    size_t n;
    for (size_t i = 0; i < config_n_databases(config); i++)
        if (!config_database_at(config, i)->is_auto)
            (void)registry_db(config_database_at(config, i)->name);
    AdminDbState *dbs = admin_db_states(&n);
    for (size_t i = 0; i < n; i++)
        registry_pause_db(dbs[i].db, true);
    free(dbs);
}

void admin_cmd_kill(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (admin_state() != ADMIN_ACTIVE) {
        admin_error(s, "already suspended/paused");
        return;
    }
    if (!admin_control_start(s, "KILL", "kill", r, true, &db))
        return;
    if (db) {
        registry_pause_db(db, true);
    } else {
        pause_each(admin_ctx(s)->config);
    }
    AdminJob *job = admin_job_create(s, "KILL");
    job->db = db;
    admin_job_tour(job, visit_kill, admin_job_done);
}

static void visit_kill_client(WorkerCtx *ctx, AdminJob *job)
{
    Client *c = job->count ? NULL : client_find(ctx, job->id);
    if (!c || c->state == CLIENT_STARTUP || c->state == CLIENT_AUTH)
        return;
    job->count++;
    client_close(c, "admin forced disconnect", "admin forced disconnect");
}

static void kill_client_done(AdminJob *job)
{
    admin_job_end(job, job->count ? NULL : "client not found");
}

void admin_cmd_kill_client(AdminSession *s, const AdminRequest *r)
{
    char *end;
    errno = 0;
    unsigned long long id = strtoull(r->arg, &end, 10);
    if (r->arg[0] < '0' || r->arg[0] > '9' || *end || errno) {
        admin_error_hint(s, "invalid client pointer supplied", "the number is in the column id of SHOW CLIENTS");
        return;
    }
    pw_log(PW_LOG_LOG, "KILL_CLIENT '%s' command issued", r->arg);
    AdminJob *job = admin_job_create(s, "KILL_CLIENT");
    job->id = id;
    admin_job_tour(job, visit_kill_client, kill_client_done);
}

/* ---- RECONNECT and WAIT_CLOSE ---- */

static void visit_reconnect(WorkerCtx *ctx, AdminJob *job)
{
    PwUsec now = worker_now(ctx->worker);
    PoolLocal *local, *next;
    resolver_forget(ctx->resolver, NULL); /* names may lead elsewhere now, or somewhere at last */
    for (local = TAILQ_FIRST(&ctx->pools); local; local = next) {
        next = TAILQ_NEXT(local, link);
        if (!concerns(job, local))
            continue;
        local->reconnect_epoch = pw_atomic_load(&local->entry->db->reconnect_epoch);
        pool_entry_forget_welcome(local->entry); /* another server may stand there now */
        pool_entry_worked(local->entry);         /* or the same may have been repaired */
        server_close_retired(local, NULL, now);
    }
}

void admin_cmd_reconnect(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (!admin_control_start(s, "RECONNECT", "reconnect", r, true, &db))
        return;
    uint64_t epoch = registry_new_epoch();
    size_t n;
    AdminDbState *dbs = admin_db_states(&n);
    for (size_t i = 0; i < n; i++)
        if (!db || db == dbs[i].db)
            registry_raise_epoch(dbs[i].db, epoch);
    free(dbs);
    AdminJob *job = admin_job_create(s, "RECONNECT");
    job->db = db;
    admin_job_tour(job, visit_reconnect, admin_job_done);
}

static void count_obsolete(void *arg, Server *server)
{
    int *n = arg;
    *n += server_is_obsolete(server);
}

static void visit_obsolete(WorkerCtx *ctx, AdminJob *job)
{
    PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        if (!concerns(job, local))
            continue;
        admin_each_server(local, count_obsolete, &job->count);
        /* Between two workers a server is on no list: look again. */
        job->count += pw_atomic_load(&local->entry->pool->n_transit);
    }
}

static void obsolete_counted(AdminJob *job)
{
    if (job->undone)
        admin_job_end(job, "WAIT_CLOSE was cancelled");
    else if (job->count == 0)
        admin_job_end(job, NULL);
}

void admin_cmd_wait_close(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (!admin_control_start(s, "WAIT_CLOSE", "wait in", r, true, &db))
        return;
    AdminJob *job = admin_job_create(s, "WAIT_CLOSE");
    job->db = db;
    admin_job_wait(job, ADMIN_WAIT_CLOSE);
    admin_job_tour(job, visit_obsolete, obsolete_counted);
}

/* ---- waiting and ^C ---- */

void admin_control_tick(AdminJob *job, PwUsec now)
{
    if (job->touring)
        return;
    job->count = 0;
    switch (job->wait) {
    case ADMIN_WAIT_NONE:
        return;
    case ADMIN_WAIT_PAUSE:
        admin_pause_look(job);
        return;
    case ADMIN_WAIT_CLOSE:
        admin_job_tour(job, visit_obsolete, obsolete_counted);
        return;
    case ADMIN_WAIT_FDS:
        admin_fds_send(job);
        return;
    case ADMIN_WAIT_SUSPEND:
        admin_suspend_look(job, now);
        return;
    }
}

void admin_control_cancel(AdminJob *job)
{
    if (job->wait == ADMIN_WAIT_NONE || job->wait == ADMIN_WAIT_FDS)
        return; /* the answer is on its way */
    job->undone = true;
    if (job->wait != ADMIN_WAIT_CLOSE)
        admin_pause_undo(job);
}
