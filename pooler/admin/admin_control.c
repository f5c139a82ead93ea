/* SPDX-License-Identifier: ISC */
/* admin_control.c - PAUSE, RESUME, DISABLE, ENABLE, KILL, KILL_CLIENT, SUSPEND, RECONNECT, WAIT_CLOSE.
 *
 * What is wanted (paused or not) is kept in the DbStates, which all workers may read; a tour makes every worker do it.
 * A visit looks at what is wanted now, not at what the command said: of two commands that run at once
 * the later tour leaves all workers in the state of the last command. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/listen/hub.h"
#include "poolwise/log.h"

/* Of the process. Changed by compare-and-swap, so that of two PAUSEs one is told. */
static PW_ATOMIC(int) state;

/* Client.id of the console that suspended last: SUSPEND ends with it. */
static PW_ATOMIC(uint64_t) suspended_by;

AdminState admin_state(void)
{
    return (AdminState)pw_atomic_load(&state);
}

static bool change_state(AdminState from, AdminState to)
{
    int expected = from;
    return pw_atomic_cas(&state, &expected, to);
}

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

/* The command is logged; false: an error was answered. *ret_db stays NULL without a name. `verb`: what cannot be done
 * to the console's own database. */
static bool start(AdminSession *s, const char *command, const char *verb, const AdminRequest *r, bool make,
                  DbState **ret_db)
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

static void answer_done(AdminJob *job)
{
    admin_job_end(job, NULL);
}

/* ---- PAUSE and RESUME ---- */

static void close_idle(PoolLocal *local, const char *reason)
{
    PoolServer *ps;
    while ((ps = TAILQ_FIRST(&local->shard->idle)))
        server_close(server_of(ps), reason);
}

static void apply_pause(WorkerCtx *ctx, const DbState *only)
{
    PoolLocal *local, *next;
    for (local = TAILQ_FIRST(&ctx->pools); local; local = next) {
        next = TAILQ_NEXT(local, link);
        if (only && local->entry->db != only)
            continue;
        bool paused = pw_atomic_load(&local->entry->db->paused) != 0 || ctx->shutdown == SHUTDOWN_WAIT_FOR_SERVERS;
        pool_block(local->shard, paused);
        if (paused)
            close_idle(local, "pause mode");
        listen_hub_refresh(local);
    }
}

static void visit_pause(WorkerCtx *ctx, AdminJob *job)
{
    apply_pause(ctx, job->db);
}

static void visit_pause_plain(Worker *w, void *arg)
{
    apply_pause(worker_ctx(w), arg);
}

/* Without a console to answer. */
static void tour_pause(unsigned origin, DbState *db)
{
    worker_tour(worker_get(origin), visit_pause_plain, NULL, db);
}

static void sum_servers(void *arg, DbState *db)
{
    *(int *)arg += pw_atomic_load(&db->servers.used);
}

static int servers_left(DbState *db)
{
    int n = 0;
    if (db)
        sum_servers(&n, db);
    else
        registry_each_db(sum_servers, &n);
    return n;
}

static void check_paused(AdminJob *job)
{
    if (job->undone || !(job->db ? pw_atomic_load(&job->db->paused) != 0 : admin_state() == ADMIN_PAUSED))
        admin_job_end(job, "PAUSE was undone by RESUME");
    else if (servers_left(job->db) == 0)
        admin_job_end(job, NULL);
}

static void pause_toured(AdminJob *job)
{
    check_paused(job);
}

void admin_cmd_pause(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (admin_state() != ADMIN_ACTIVE) {
        admin_error(s, "already suspended/paused");
        return;
    }
    if (!start(s, "PAUSE", "pause", r, true, &db))
        return;
    if (db) {
        registry_pause_db(db, true);
    } else {
        if (!change_state(ADMIN_ACTIVE, ADMIN_PAUSED)) {
            admin_error(s, "already suspended/paused");
            return;
        }
        registry_pause_all(true);
    }
    AdminJob *job = admin_job_create(s, "PAUSE");
    job->db = db;
    admin_job_wait(job, ADMIN_WAIT_PAUSE); /* from now on ^C takes it back */
    admin_job_tour(job, visit_pause, pause_toured);
}

void admin_pause_all(void)
{
    if (!change_state(ADMIN_ACTIVE, ADMIN_PAUSED)) {
        pw_log(PW_LOG_LOG, "got SIGUSR1, but already paused/suspended");
        return;
    }
    pw_log(PW_LOG_LOG, "got SIGUSR1, pausing all activity");
    registry_pause_all(true);
    tour_pause(0, NULL);
}

/* What PAUSE without a name or SUSPEND did. False: neither is in force. */
static bool resume_all(unsigned origin)
{
    if (change_state(ADMIN_PAUSED, ADMIN_ACTIVE)) {
        registry_pause_all(false);
        tour_pause(origin, NULL);
        return true;
    }
    if (change_state(ADMIN_SUSPENDED, ADMIN_ACTIVE)) {
        admin_process()->suspend(false);
        return true;
    }
    return false;
}

/* Databases that were paused by name or killed. */
static bool resume_named(unsigned origin)
{
    size_t n;
    bool any = false;
    AdminDbState *dbs = admin_db_states(&n);
    for (size_t i = 0; i < n; i++)
        if (pw_atomic_load(&dbs[i].db->paused) & DB_PAUSED_SELF) {
            registry_pause_db(dbs[i].db, false);
            any = true;
        }
    free(dbs);
    if (any)
        tour_pause(origin, NULL);
    return any;
}

void admin_resume_all(void)
{
    bool suspended = admin_state() == ADMIN_SUSPENDED;
    if (resume_all(0) || resume_named(0))
        pw_log(PW_LOG_LOG, "got SIGUSR2, continuing from %s", suspended ? "SUSPEND" : "PAUSE");
    else
        pw_log(PW_LOG_LOG, "got SIGUSR2, but not paused/suspended");
}

void admin_cmd_resume(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (admin_is_console_name(r->arg)) {
        admin_error(s, "database %s is not paused", r->arg); /* it cannot be */
        return;
    }
    if (!start(s, "RESUME", "resume", r, false, &db))
        return;
    unsigned worker = admin_ctx(s)->worker->index;
    if (admin_ctx(s)->shutdown != SHUTDOWN_NONE) {
        admin_error(s, "pooler is shutting down");
        return;
    }
    if (db) {
        if (!(pw_atomic_load(&db->paused) & DB_PAUSED_SELF)) {
            admin_error(s, "database %s is not paused", r->arg);
            return;
        }
        registry_pause_db(db, false);
    } else if (!resume_all(worker) && !resume_named(worker)) {
        admin_error(s, "pooler is not paused/suspended");
        return;
    }
    /* The answer follows the tour, so that who sends PAUSE next finds all workers resumed. */
    AdminJob *job = admin_job_create(s, "RESUME");
    job->db = db;
    admin_job_tour(job, visit_pause, answer_done);
}

/* ---- DISABLE and ENABLE: looked at by logins only ---- */

static void set_disabled(AdminSession *s, const char *command, const AdminRequest *r, bool disabled)
{
    DbState *db;
    if (!r->arg[0]) {
        admin_error(s, "a database is required");
        return;
    }
    if (!start(s, command, disabled ? "disable" : "enable", r, disabled, &db))
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

void admin_cmd_kill(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (admin_state() != ADMIN_ACTIVE) {
        admin_error(s, "already suspended/paused");
        return;
    }
    if (!start(s, "KILL", "kill", r, true, &db))
        return;
    if (db) {
        registry_pause_db(db, true);
    } else {
        size_t n;
        AdminDbState *dbs = admin_db_states(&n);
        for (size_t i = 0; i < n; i++)
            registry_pause_db(dbs[i].db, true);
        free(dbs);
    }
    AdminJob *job = admin_job_create(s, "KILL");
    job->db = db;
    admin_job_tour(job, visit_kill, answer_done);
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
        admin_error(s, "invalid client pointer supplied");
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
    for (local = TAILQ_FIRST(&ctx->pools); local; local = next) {
        next = TAILQ_NEXT(local, link);
        if (!concerns(job, local))
            continue;
        local->reconnect_epoch = pw_atomic_load(&local->entry->db->reconnect_epoch);
        pool_entry_forget_welcome(local->entry); /* another server may stand there now */
        server_close_retired(local, NULL, now);
    }
}

void admin_cmd_reconnect(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (!start(s, "RECONNECT", "reconnect", r, true, &db))
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
    admin_job_tour(job, visit_reconnect, answer_done);
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
    if (!start(s, "WAIT_CLOSE", "wait in", r, true, &db))
        return;
    AdminJob *job = admin_job_create(s, "WAIT_CLOSE");
    job->db = db;
    admin_job_wait(job, ADMIN_WAIT_CLOSE);
    admin_job_tour(job, visit_obsolete, obsolete_counted);
}

/* ---- SUSPEND ---- */

static void flush_server(void *arg, Server *server)
{
    AdminJob *job = arg;
    if (stream_flush(&server->stream) && stream_pending(&server->stream) == 0)
        return;
    if (job->force)
        server_close(server, "suspend_timeout");
    else
        job->count++;
}

static void visit_flushed(WorkerCtx *ctx, AdminJob *job)
{
    Client *c, *next;
    for (c = TAILQ_FIRST(&ctx->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->state != CLIENT_READY || (stream_flush(&c->relay.stream) && stream_pending(&c->relay.stream) == 0))
            continue;
        if (job->force)
            client_close(c, NULL, "suspend_timeout");
        else
            job->count++;
    }
    PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link)
        admin_each_server(local, flush_server, job);
}

static void flushed_counted(AdminJob *job)
{
    if (job->undone || admin_state() != ADMIN_SUSPENDED)
        admin_job_end(job, "SUSPEND was undone by RESUME");
    else if (job->count == 0)
        admin_job_end(job, NULL);
}

static void count_paused(void *arg, DbState *db)
{
    *(int *)arg += pw_atomic_load(&db->paused) != 0;
}

void admin_cmd_suspend(AdminSession *s, const AdminRequest *r)
{
    (void)r;
    int paused = 0;
    if (admin_state() != ADMIN_ACTIVE) {
        admin_error(s, "already suspended/paused");
        return;
    }
    registry_each_db(count_paused, &paused);
    if (paused > 0) {
        admin_error(s, "cannot suspend with paused databases");
        return;
    }
    if (!change_state(ADMIN_ACTIVE, ADMIN_SUSPENDED)) {
        admin_error(s, "already suspended/paused");
        return;
    }
    pw_atomic_store(&suspended_by, s->client->id);
    pw_log(PW_LOG_LOG, "SUSPEND command issued");
    admin_process()->suspend(true);
    AdminJob *job = admin_job_create(s, "SUSPEND");
    PwUsec limit = admin_ctx(s)->config->suspend_timeout;
    admin_job_wait(job, ADMIN_WAIT_SUSPEND);
    job->deadline = limit > 0 ? worker_now(admin_ctx(s)->worker) + limit : 0;
    admin_job_tour(job, visit_flushed, flushed_counted);
}

/* ---- waiting, ^C, and consoles that go away ---- */

void admin_control_tick(AdminJob *job, PwUsec now)
{
    if (job->touring)
        return;
    job->count = 0;
    switch (job->wait) {
    case ADMIN_WAIT_NONE:
        return;
    case ADMIN_WAIT_PAUSE:
        check_paused(job);
        return;
    case ADMIN_WAIT_CLOSE:
        admin_job_tour(job, visit_obsolete, obsolete_counted);
        return;
    case ADMIN_WAIT_FDS:
        admin_fds_send(job);
        return;
    case ADMIN_WAIT_SUSPEND:
        job->force = job->deadline && now >= job->deadline;
        admin_job_tour(job, visit_flushed, flushed_counted);
        return;
    }
}

void admin_control_cancel(AdminJob *job)
{
    if (job->wait == ADMIN_WAIT_NONE || job->wait == ADMIN_WAIT_FDS)
        return; /* the answer is on its way */
    job->undone = true;
    if (job->wait == ADMIN_WAIT_CLOSE)
        return;
    if (!job->db) {
        resume_all(job->worker);
    } else {
        registry_pause_db(job->db, false);
        tour_pause(job->worker, job->db);
    }
}

void admin_control_console_gone(AdminSession *s)
{
    if (pw_atomic_load(&suspended_by) != s->client->id || !change_state(ADMIN_SUSPENDED, ADMIN_ACTIVE))
        return;
    pw_log(PW_LOG_LOG, "admin disappeared when suspended, doing RESUME");
    admin_process()->suspend(false);
}
