/* SPDX-License-Identifier: ISC */
/* reload.c - RELOAD, SET, SUSPEND and SHUTDOWN: one worker decides, a tour tells all.
 *
 * A snapshot never changes; each worker swaps its reference when the tour visits it and resolves its pools' settings
 * anew. Between the first and the last visit workers run with different snapshots; the shared limits are
 * stored by each visit and end with the newest value. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/app/app_priv.h"
#include "pooler/client/client.h"
#include "pooler/config/hba.h"
#include "pooler/listen/hub.h"
#include "pooler/pool/failure.h"
#include "pooler/server/server.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

typedef struct Swap {
    const Config *config;
    const UserList *users;
    const TlsSet *tls;
    uint64_t epoch; /* of the servers that the new snapshot wants */
} Swap;

/* ---- one worker ---- */

static Server *first_connecting(const PoolShard *shard)
{
    PoolServer *ps = TAILQ_FIRST(&shard->connecting);
    if (ps)
        return server_of(ps);
    TAILQ_FOREACH (ps, &shard->active, link) /* of replication and auth_query */
        if (server_is_connecting(server_of(ps)))
            return server_of(ps);
    return NULL;
}

/* The database is gone: without its line no login to a server can go on. */
static void close_connecting(PoolLocal *local)
{
    Server *s;
    while ((s = first_connecting(local->shard)))
        server_close(s, "database removed");
}

static void drop_clients(WorkerCtx *ctx, const PoolLocal *local, const char *text)
{
    Client *c, *next;
    for (c = TAILQ_FIRST(&ctx->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->relay.local == local)
            client_close(c, text, text);
    }
}

static void refresh_pool(WorkerCtx *ctx, PoolLocal *local, const DatabaseConf *before, bool tls_changed, uint64_t epoch)
{
    bool changed = false;
    context_setup_pool(ctx, local);
    if (!local->dbconf) {
        drop_clients(ctx, local, "database removed");
        close_connecting(local);
    } else if (tls_changed || !before || config_database_needs_reconnect(before, local->dbconf)) {
        changed = true;
        registry_raise_epoch(local->entry->db, epoch);
        local->reconnect_epoch = pw_atomic_load(&local->entry->db->reconnect_epoch);
        pool_entry_forget_welcome(local->entry);
    }
    pool_entry_worked(local->entry); /* what failed before may work now: no pause of server_login_retry */
    server_close_retired(local, changed ? "database configuration changed" : NULL, worker_now(ctx->worker));
    listen_hub_refresh(local);
    pool_kick(local->shard);
}

static void refresh_clients(WorkerCtx *ctx)
{
    Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link)
        if ((c->state == CLIENT_READY || c->state == CLIENT_WELCOME) && c->relay.local->dbconf)
            config_effective_client(ctx->config, c->relay.local->dbconf, c->user, &c->settings);
}

static void swap_visit(Worker *w, void *arg)
{
    Swap *swap = arg;
    WorkerCtx *ctx = worker_ctx(w);
    const Config *old = ctx->config;
    const UserList *old_users = ctx->users;
    const TlsSet *old_tls = ctx->tls;
    bool tls_changed = tls_set_server_differs(old_tls, swap->tls);
    ctx->tls = tls_set_ref(swap->tls);
    ctx->config = config_ref(swap->config);
    ctx->users = userlist_ref((UserList *)(uintptr_t)swap->users);
    if (w->index == 0) {
        NetTune tune = app_client_tune(swap->config);
        listener_set_tune(app.listener, &tune, swap->config->tcp_defer_accept);
    }
    resolver_set_ttl(ctx->resolver, ctx->config->dns_max_ttl, ctx->config->dns_nxdomain_ttl);
    if (ctx->queries)
        query_table_set_samples(ctx->queries, (unsigned)ctx->config->query_log_samples);
    PoolLocal *local, *next;
    for (local = TAILQ_FIRST(&ctx->pools); local; local = next) {
        next = TAILQ_NEXT(local, link);
        refresh_pool(ctx, local, local->dbconf, tls_changed, swap->epoch); /* still the old snapshot's line, alive until the unref below */
    }
    refresh_clients(ctx);
    config_unref(old);
    userlist_unref((UserList *)(uintptr_t)old_users);
    tls_set_unref(old_tls);
}

static void swap_done(Worker *origin, void *arg)
{
    (void)origin;
    Swap *swap = arg;
    config_unref(swap->config);
    userlist_unref((UserList *)(uintptr_t)swap->users);
    tls_set_unref(swap->tls);
    free(swap);
}

static void start_swap(const Config *config, const UserList *users, const TlsSet *tls)
{
    Swap *swap = pw_xcalloc(1, sizeof(*swap));
    swap->config = config_ref(config);
    swap->users = userlist_ref((UserList *)(uintptr_t)users);
    swap->tls = tls_set_ref(tls);
    swap->epoch = registry_new_epoch();
    /* the tour begins on worker 0 whoever asks, so two tours never overtake each other */
    worker_tour(worker_get(0), swap_visit, swap_done, swap);
}

/* ---- the process ---- */

static void log_problems(const PwDiag *diags)
{
    for (size_t i = 0; i < diags->n; i++) {
        char *line = pw_diag_format(&diags->items[i]);
        pw_log(diags->items[i].level == PW_DIAG_ERROR ? PW_LOG_ERROR : PW_LOG_WARNING, "%s", line);
        free(line);
    }
}

static void on_fixed_option(void *arg, const char *key, const char *value, const char *def, bool changeable)
{
    (void)arg;
    (void)value;
    (void)def;
    if (!changeable)
        pw_log(PW_LOG_WARNING, "\"%s\" changed in the file: it takes a restart to take effect", key);
}

/* All are new or references of their own; takes them over. */
static void install(Config *config, const UserList *users, const TlsSet *tls)
{
    pthread_mutex_lock(&app.lock);
    const Config *old = app.config;
    const UserList *old_users = app.users;
    const TlsSet *old_tls = app.tls;
    config_diff(old, config, on_fixed_option, NULL);
    config_keep_fixed(config, old);
    app.config = config;
    app.users = users;
    app.tls = tls;
    start_swap(config, users, tls);
    pthread_mutex_unlock(&app.lock);
    config_unref(old);
    userlist_unref((UserList *)(uintptr_t)old_users);
    tls_set_unref(old_tls);
}

/* How many there are, then the errors, a line each, as far as there is room. */
static void describe_problems(const PwDiag *diags, char *why, size_t why_size)
{
    int n = snprintf(why, why_size, "%zu problem%s in the configuration; the old one stays in use", diags->n_errors,
                     diags->n_errors == 1 ? "" : "s");
    size_t used = n < 0 || (size_t)n >= why_size ? why_size : (size_t)n;
    for (size_t i = 0; i < diags->n; i++) {
        if (diags->items[i].level != PW_DIAG_ERROR)
            continue;
        char *line = pw_diag_format(&diags->items[i]);
        size_t len = strlen(line);
        if (used + len + 2 <= why_size) {
            why[used++] = '\n';
            memcpy(why + used, line, len + 1);
            used += len;
        }
        free(line);
    }
}

/* A file that somebody is just writing must not cost anybody the login: nobody would notice before the next one. One that has been
 * malformed from the beginning goes on giving the users before that line, as with PgBouncer. */
static bool reload_users(const Config *config, const UserList *old, UserList **ret_users, PwDiag *diags)
{
    const char *user;
    if (!config->auth_file || !config->auth_file[0]) {
        *ret_users = userlist_create_empty();
        return true;
    }
    if (userlist_load(config->auth_file, ret_users, diags) != PW_OK)
        return false;
    if (!userlist_loses(*ret_users, old, &user))
        return true;
    pw_diag_add(diags, PW_DIAG_ERROR, config->auth_file, 0, "write it beside and rename it, then RELOAD; a file that is to have no users has a comment (;)",
                "%s: user \"%s\", and perhaps others, would lose the login", userlist_count(*ret_users) ? "incomplete" : "no users in it", user);
    return false;
}

bool app_reload(char *why, size_t why_size)
{
    PwDiag diags;
    Config *config = NULL;
    UserList *users = NULL;
    const TlsSet *tls = NULL;
    char tls_why[TLS_WHY];
    pw_diag_init(&diags);
    pthread_mutex_lock(&app.lock);
    char *conffile = pw_xstrdup(app.config->conffile && app.config->conffile[0] ? app.config->conffile : app.options.conffile);
    const TlsSet *old_tls = tls_set_ref(app.tls);
    const UserList *old_users = userlist_ref((UserList *)(uintptr_t)app.users);
    pthread_mutex_unlock(&app.lock);
    bool ok = config_load(conffile, &config, &diags) == PW_OK;
    free(conffile);
    if (ok) {
        ok = reload_users(config, old_users, &users, &diags);
        ok &= config_hba_is_whole(config, &diags);
        if (tls_set_create(config, old_tls, &tls, tls_why) != PW_OK) {
            pw_diag_add(&diags, PW_DIAG_ERROR, config->conffile, 0, NULL, "%s", tls_why);
            ok = false;
        } else {
            tls_set_check_dates(tls, config, &diags);
        }
    }
    tls_set_unref(old_tls);
    userlist_unref((UserList *)(uintptr_t)old_users);
    log_problems(&diags);
    if (!ok) {
        describe_problems(&diags, why, why_size);
        config_unref(config);
        userlist_unref(users);
        tls_set_unref(tls);
        pw_diag_finish(&diags);
        return false;
    }
    pw_diag_finish(&diags);
    why[0] = '\0';
    if (app_log_configure(config) != PW_OK || pw_log_reopen() != PW_OK) {
        snprintf(why, why_size, "cannot open logfile \"%s\": %s", config->logfile, strerror(errno));
        pw_log(PW_LOG_ERROR, "%s", why);
    }
    install(config, users, tls);
    query_log_reopen(); /* the new one, if the name changed */
    return true;
}

/* New contexts for a changed option of TLS; if they cannot be made the old ones stay, and *why says why. */
static const TlsSet *tls_for(const Config *config, const char *key, const TlsSet *old, char *why)
{
    char text[TLS_WHY];
    const TlsSet *set;
    if (strncmp(key, "client_tls", 10) != 0 && strncmp(key, "server_tls", 10) != 0)
        return tls_set_ref(old);
    if (tls_set_create(config, old, &set, text) == PW_OK)
        return set;
    pw_log(PW_LOG_ERROR, "%s", text);
    snprintf(why, CONFIG_WHY, "%s", text);
    return tls_set_ref(old);
}

/* SET has one line for its answer; what is wrong with the lines of the access files goes to the log, as RELOAD's does. */
static void log_hba_problems(const Config *config, const char *key)
{
    if (!config->hba || strncmp(key, "auth_", 5) != 0)
        return;
    PwDiag diags;
    pw_diag_init(&diags);
    hba_unref(hba_load(config->auth_hba_file, config->auth_ident_file, &diags));
    log_problems(&diags);
    pw_diag_finish(&diags);
}

PwErr app_set(const char *key, const char *value, char *why)
{
    pthread_mutex_lock(&app.lock);
    Config *config = NULL;
    PwErr err = config_with(app.config, key, value, &config, why);
    const UserList *users = userlist_ref((UserList *)(uintptr_t)app.users);
    const TlsSet *old_tls = tls_set_ref(app.tls);
    pthread_mutex_unlock(&app.lock);
    if (err) {
        userlist_unref((UserList *)(uintptr_t)users);
        tls_set_unref(old_tls);
        return err;
    }
    const TlsSet *tls = tls_for(config, key, old_tls, why);
    tls_set_unref(old_tls);
    if (app_log_configure(config) != PW_OK)
        pw_log(PW_LOG_ERROR, "cannot open logfile \"%s\": %s", config->logfile, strerror(errno));
    log_hba_problems(config, key);
    install(config, users, tls);
    return PW_OK;
}

/* ---- SUSPEND ---- */

static void suspend_visit(Worker *w, void *arg)
{
    WorkerCtx *ctx = worker_ctx(w);
    bool on = arg != NULL;
    if (w->index == 0) {
        if (on)
            listener_suspend(app.listener);
        else if (pw_atomic_load(&app.sockets) == SOCKETS_OURS)
            listener_resume(app.listener);
    }
    if (ctx->suspended == on)
        return;
    ctx->suspended = on;
    Client *c, *next;
    for (c = TAILQ_FIRST(&ctx->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->state == CLIENT_CONSOLE || c->state == CLIENT_CANCEL || c->state == CLIENT_LEAVING)
            continue;
        if (on)
            stream_read_stop(&c->relay.stream);
        else if (!(c->relay.hold & HOLD_FLOW))
            stream_read_start(&c->relay.stream);
    }
}

void app_suspend(bool on)
{
    worker_tour(worker_get(0), suspend_visit, NULL, on ? &app : NULL);
}

/* ---- SHUTDOWN ---- */

static void shutdown_visit(Worker *w, void *arg)
{
    (void)arg;
    WorkerCtx *ctx = worker_ctx(w);
    ctx->shutdown = (ShutdownMode)pw_atomic_load(&app.shutdown);
    if (w->index == 0 && ctx->shutdown != SHUTDOWN_HANDED_OVER)
        listener_close_tcp(app.listener);
    if (ctx->shutdown != SHUTDOWN_WAIT_FOR_SERVERS)
        return;
    PoolLocal *local, *next;
    for (local = TAILQ_FIRST(&ctx->pools); local; local = next) {
        next = TAILQ_NEXT(local, link);
        pool_block(local->shard, true); /* who waits is sent away by the ticks: after the answer to SHUTDOWN */
        PoolServer *ps;
        while ((ps = TAILQ_FIRST(&local->shard->idle)))
            server_close(server_of(ps), "server shutting down");
    }
}

void app_shutdown(ShutdownMode mode)
{
    pw_atomic_store(&app.shutdown, (int)mode);
    if (mode == SHUTDOWN_NOW)
        pw_atomic_store(&app.stopping, 1); /* every worker sees it at its next tick */
    else
        worker_tour(worker_get(0), shutdown_visit, NULL, NULL);
}

void app_each_listener(void (*each)(void *arg, int fd, const NetAddr *addr), void *arg)
{
    for (size_t i = 0; i < listener_count(app.listener); i++)
        each(arg, listener_fd(app.listener, i), listener_addr(app.listener, i));
}

bool app_is_shutting_down(void)
{
    return pw_atomic_load(&app.shutdown) != SHUTDOWN_NONE;
}
