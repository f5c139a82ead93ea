/* SPDX-License-Identifier: ISC */
/* admin_pause.c - PAUSE, RESUME, SUSPEND.
 *
 * What is wanted (paused or not) is kept in the DbStates, which all workers may read; a tour makes every worker do it.
 * A visit looks at what is wanted now, not at what the command said: of two commands that run at once
 * the later tour leaves all workers in the state of the last command. */
#include <stdlib.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/listen/hub.h"
#include "pooler/pool/failure.h"
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
        if (!paused && local->shard->blocked)
            pool_entry_worked(local->entry); /* what it was paused for may have repaired what failed */
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

void admin_pause_look(AdminJob *job)
{
    if (job->undone || !(job->db ? pw_atomic_load(&job->db->paused) != 0 : admin_state() == ADMIN_PAUSED))
        admin_job_end(job, "PAUSE was undone by RESUME");
    else if (servers_left(job->db) == 0)
        admin_job_end(job, NULL);
}

void admin_cmd_pause(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (admin_state() != ADMIN_ACTIVE) {
        admin_error(s, "already suspended/paused");
        return;
    }
    if (!admin_control_start(s, "PAUSE", "pause", r, true, &db))
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
    admin_job_tour(job, visit_pause, admin_pause_look);
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

void admin_start_paused(void)
{
    if (change_state(ADMIN_ACTIVE, ADMIN_PAUSED))
        registry_pause_all(true);
}

void admin_start_marked(const char *database, bool is_auto, bool paused, bool disabled)
{
    DbState *db = registry_db(database);
    pw_atomic_store(&db->is_auto, is_auto);
    pw_atomic_store(&db->disabled, disabled);
    if (paused)
        registry_pause_db(db, true);
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
    if (resume_all(0) || resume_named(0)) {
        pw_log(PW_LOG_LOG, "got SIGUSR2, continuing from %s", suspended ? "SUSPEND" : "PAUSE");
        admin_process()->resumed(NULL);
    } else {
        pw_log(PW_LOG_LOG, "got SIGUSR2, but not paused/suspended");
    }
}

void admin_cmd_resume(AdminSession *s, const AdminRequest *r)
{
    DbState *db;
    if (admin_is_console_name(r->arg)) {
        admin_error(s, "database %s is not paused", r->arg); /* it cannot be */
        return;
    }
    if (!admin_control_start(s, "RESUME", "resume", r, false, &db))
        return;
    unsigned worker = admin_ctx(s)->worker->index;
    /* Where another process has the listening sockets, it passes its RESUME on for clients that still wait here. An operator who has a
     * console here must go there: most clients are. */
    ShutdownMode mode = admin_ctx(s)->shutdown;
    if (mode != SHUTDOWN_NONE && !(mode == SHUTDOWN_HANDED_OVER && s->client->console_own)) {
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
    admin_process()->resumed(db ? db->name : NULL);
    /* The answer follows the tour, so that who sends PAUSE next finds all workers resumed. */
    AdminJob *job = admin_job_create(s, "RESUME");
    job->db = db;
    admin_job_tour(job, visit_pause, admin_job_done);
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

void admin_suspend_look(AdminJob *job, PwUsec now)
{
    job->force = job->deadline && now >= job->deadline;
    admin_job_tour(job, visit_flushed, flushed_counted);
}

/* ---- taking it back ---- */

void admin_pause_undo(AdminJob *job)
{
    if (!job->db) {
        resume_all(job->worker);
    } else {
        registry_pause_db(job->db, false);
        tour_pause(job->worker, job->db);
    }
}

void admin_pause_console_gone(AdminSession *s)
{
    if (pw_atomic_load(&suspended_by) != s->client->id || !change_state(ADMIN_SUSPENDED, ADMIN_ACTIVE))
        return;
    pw_log(PW_LOG_LOG, "admin disappeared when suspended, doing RESUME");
    admin_process()->suspend(false);
}
