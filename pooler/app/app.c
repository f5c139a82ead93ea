/* SPDX-License-Identifier: ISC */
#include "pooler/app/app.h"

#include <ares.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pooler/admin/admin.h"
#include "pooler/app/app_priv.h"
#include "pooler/app/daemon.h"
#include "pooler/app/machine.h"
#include "pooler/app/notify.h"
#include "pooler/app/pidfile.h"
#include "pooler/app/signals.h"
#include "pooler/app/takeover.h"
#include "pooler/app/takeover_marks.h"
#include "pooler/client/client.h"
#include "pooler/net/jobs.h"
#include "pooler/net/libraries.h"
#include "pooler/server/alarms.h"
#include "pooler/server/moved.h"
#include "pooler/server/server.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/version.h"

/* Keys of this many logins are kept; an entry is about half a kilobyte. */
#define SCRAM_CACHE_ENTRIES 1024
/* Sockets from the service manager or from the process that we replace. */
#define LISTENERS_MAX 64

App app = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- configuration ---- */

static void print_problems(const PwDiag *diags)
{
    for (size_t i = 0; i < diags->n; i++) {
        char *line = pw_diag_format(&diags->items[i]);
        fprintf(stderr, "%s\n", line);
        free(line);
    }
}

static bool load_users(const Config *config, UserList **ret_users, PwDiag *diags)
{
    if (!config->auth_file || !config->auth_file[0]) {
        *ret_users = userlist_create_empty();
        return true;
    }
    return userlist_load(config->auth_file, ret_users, diags) == PW_OK;
}

/* A problem of TLS stands beside the others of the file. */
static bool load_tls(const Config *config, const TlsSet **ret_tls, PwDiag *diags)
{
    char why[TLS_WHY];
    if (tls_set_create(config, NULL, ret_tls, why) == PW_OK) {
        tls_set_check_dates(*ret_tls, config, diags);
        return true;
    }
    pw_diag_add(diags, PW_DIAG_ERROR, config->conffile, 0, NULL, "%s", why);
    return false;
}

int app_check(const char *conffile)
{
    PwDiag diags;
    Config *config = NULL;
    UserList *users = NULL;
    const TlsSet *tls = NULL;
    pw_diag_init(&diags);
    bool ok = config_load(conffile, &config, &diags) == PW_OK;
    if (ok && load_users(config, &users, &diags))
        userlist_unref(users);
    if (ok && load_tls(config, &tls, &diags))
        tls_set_unref(tls);
    if (ok)
        machine_check(config, &diags);
    size_t errors = config_print_problems(&diags, stdout);
    if (errors == 0 && ok)
        printf("%s: ok%s\n", conffile, diags.n_warnings ? ", with warnings" : "");
    else
        printf("%s: %zu problem%s\n", conffile, errors, errors == 1 ? "" : "s");
    pw_diag_finish(&diags);
    config_unref(config);
    return errors == 0 && ok ? 0 : 1;
}

static bool load(const AppOptions *o)
{
    PwDiag diags;
    Config *config = NULL;
    UserList *users = NULL;
    const TlsSet *tls = NULL;
    pw_diag_init(&diags);
    bool ok = config_load(o->conffile, &config, &diags) == PW_OK;
    if (ok && !load_users(config, &users, &diags)) {
        /* as PgBouncer: the process comes up, nobody can log in until RELOAD finds the file */
        users = userlist_create_empty();
    }
    if (ok)
        ok = load_tls(config, &tls, &diags);
    print_problems(&diags);
    pw_diag_finish(&diags);
    app.config = config;
    app.users = users;
    app.tls = tls;
    return ok;
}

/* ---- start, step by step ---- */

static char *join(const PwStrList *list)
{
    PwBuf b;
    pw_buf_init(&b);
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            pw_buf_append_u8(&b, ',');
        pw_buf_append_str(&b, list->items[i]);
    }
    pw_buf_append_u8(&b, 0);
    char *text = pw_xstrdup((const char *)pw_buf_head(&b));
    pw_buf_finish(&b);
    return text;
}

NetTune app_client_tune(const Config *c)
{
    return (NetTune){c->tcp_keepalive, c->tcp_keepidle, c->tcp_keepintvl, c->tcp_keepcnt, c->tcp_user_timeout, c->tcp_socket_buffer};
}

static bool open_listener(const Config *c)
{
    char why[300];
    int inherited[LISTENERS_MAX];
    size_t n_taken = takeover_sockets(inherited, PW_ARRAY_LEN(inherited));
    char *addrs = join(&c->listen_addr);
    ListenerOptions o = {
        .listen_addr = addrs,
        .listen_port = (uint16_t)c->listen_port,
        .unix_socket_dir = c->unix_socket_dir,
        .unix_socket_mode = (unsigned)c->unix_socket_mode,
        .unix_socket_group = c->unix_socket_group,
        .listen_backlog = c->listen_backlog,
        .so_reuseport = c->so_reuseport,
        .tcp_defer_accept = c->tcp_defer_accept,
        .tune = app_client_tune(c),
        .inherited = inherited,
        .inherited_count = n_taken ? n_taken : notify_listen_fds(inherited, PW_ARRAY_LEN(inherited)),
        .taken_over = n_taken > 0,
    };
    PwErr err = listener_open(&o, &app.listener, why, sizeof(why));
    free(addrs);
    if (err)
        pw_log(PW_LOG_FATAL, "%s", why);
    return err == PW_OK;
}

static bool check_pidfile(const Config *c)
{
    pid_t pid;
    if (!c->pidfile || !c->pidfile[0])
        return true;
    PwErr err = pidfile_check(c->pidfile, &pid);
    if (err == PW_ERR_EXISTS)
        pw_log(PW_LOG_FATAL, "pidfile \"%s\" names process %ld, which is alive; stop it or remove the file", c->pidfile,
               (long)pid);
    else if (err)
        pw_log(PW_LOG_FATAL, "cannot use pidfile \"%s\": %s", c->pidfile, err == PW_ERR_IO ? strerror(errno) : pw_err_text(err));
    return err == PW_OK;
}

/* Nothing runs as root: without a user in the file or on the command line root becomes nobody. */
static bool become_user(const AppOptions *o, const Config *c)
{
    char why[300];
    const char *user = o->user ? o->user : c->user;
    if (geteuid() == 0 && (!user || !user[0])) {
        user = "nobody";
        fprintf(stderr, "pooler: started as root without a user to become: runs as \"nobody\" (hint: set user in the "
                        "configuration or give -u)\n");
    }
    if (daemon_drop_user(user, why, sizeof(why)) == PW_OK)
        return true;
    fprintf(stderr, "pooler: %s\n", why);
    return false;
}

/* -R. As with PgBouncer nobody to take over from is no error. */
static bool take_over(const Config *c)
{
    char why[300];
    if (c->unix_socket_dir && c->unix_socket_dir[0] == '@') {
        pw_log(PW_LOG_FATAL, "-R needs a unix socket that is a file, not \"%s\"", c->unix_socket_dir);
        return false;
    }
    PwErr err = takeover_begin(c->unix_socket_dir, (uint16_t)c->listen_port, why, sizeof(why));
    if (err == PW_OK)
        return true;
    if (err != PW_ERR_NOT_FOUND) {
        pw_log(PW_LOG_FATAL, "cannot take over: %s", why);
        return false;
    }
    pw_log(PW_LOG_LOG, "old process not found, starting as usual");
    app.options.reboot = false;
    return true;
}

static bool go_background(const Config *c)
{
    char why[300];
    if (!c->pidfile || !c->pidfile[0]) {
        pw_log(PW_LOG_FATAL, "-d needs pidfile to be set in the configuration");
        return false;
    }
    if ((!c->logfile || !c->logfile[0]) && !c->syslog)
        fprintf(stderr, "pooler: in the background without logfile or syslog: nothing is logged\n");
    if (daemon_fork(why, sizeof(why)) == PW_OK)
        return true;
    fprintf(stderr, "pooler: %s\n", why);
    return false;
}

static bool write_pidfile(const Config *c)
{
    if (!c->pidfile || !c->pidfile[0])
        return true;
    PwErr err = app.options.reboot ? pidfile_take_over(c->pidfile) : pidfile_write(c->pidfile);
    if (err)
        pw_log(PW_LOG_FATAL, "cannot write pidfile \"%s\": %s", c->pidfile,
               err == PW_ERR_IO ? strerror(errno) : pw_err_text(err));
    return err == PW_OK;
}

static void warn_about_files(const Config *c)
{
    char why[300];
    uint64_t limit = daemon_raise_nofile();
    DaemonFdNeed need = {.clients = (uint64_t)c->max_client_conn, .servers = 0, .other = 64 + 8 * (uint64_t)c->worker_threads};
    for (size_t i = 0; i < config_n_databases(c); i++) {
        PoolSettings s;
        config_effective(c, config_database_at(c, i), "", &s);
        need.servers += (uint64_t)s.pool_size;
    }
    if (limit && !daemon_nofile_carries(limit, &need, why, sizeof(why)))
        pw_log(PW_LOG_WARNING, "%s", why);
}

static bool init_ctx(WorkerCtx *ctx, unsigned i)
{
    const Config *c = app.config;
    ctx->worker = worker_get(i);
    ctx->worker->app = ctx;
    ctx->config = config_ref(c);
    ctx->users = userlist_ref((UserList *)(uintptr_t)app.users);
    ctx->tls = tls_set_ref(app.tls);
    TAILQ_INIT(&ctx->pools);
    TAILQ_INIT(&ctx->clients);
    STAILQ_INIT(&ctx->arrivals);
    TAILQ_INIT(&ctx->pace.due);
    if (c->query_observation)
        ctx->queries = query_table_create((unsigned)c->max_queries_observed, (unsigned)c->query_log_samples);
    ResolverOptions ro = {.max_ttl = c->dns_max_ttl, .nxdomain_ttl = c->dns_nxdomain_ttl, .resolv_conf = c->resolv_conf,
                          .lost = moved_note};
    if (resolver_create(ctx->worker->base, &ro, &ctx->resolver) != PW_OK) {
        pw_log(PW_LOG_FATAL, "cannot set up name resolution");
        return false;
    }
    alarms_start(ctx);
    app_tick_start(ctx);
    return true;
}

static bool on_accept(void *arg, int fd, const NetAddr *peer, bool is_unix)
{
    return client_accept(arg, fd, peer, is_unix);
}

/* Threads are made when the first job comes. */
static void start_jobs(unsigned workers)
{
    unsigned half = (workers + 1) / 2;
    JobsOptions options[] = {
        /* Behind the event loops: a thousand logins at once must not slow the queries of who is in. */
        [JOBS_CRYPTO] = {.name = "crypto", .threads = half < JOBS_THREADS_MAX ? half : JOBS_THREADS_MAX, .queue = 65536, .nice = 5},
        [JOBS_LDAP] = {.name = "ldap", .threads = 4, .queue = 1000},
        [JOBS_PAM] = {.name = "pam", .threads = 1, .queue = 1000}, /* its modules need not be thread-safe */
    };
    for (int i = 0; i < JOBS_KIND_COUNT; i++)
        context_set_jobs((JobsKind)i, jobs_create(&options[i]));
}

/* False: a directory or a PAM module still holds a thread. */
static bool stop_jobs(void)
{
    bool all = true;
    for (int i = 0; i < JOBS_KIND_COUNT; i++)
        all = jobs_destroy(context_jobs((JobsKind)i)) && all;
    return all;
}

/* auto takes what works here. */
static bool choose_engine(const Config *c)
{
    char why[200];
    if (c->io_engine == IO_ENGINE_EPOLL || stream_batch_sends(why, sizeof(why)) == PW_OK)
        return true;
    if (c->io_engine == IO_ENGINE_AUTO) {
        pw_log(PW_LOG_LOG, "io_engine = auto: epoll, because io_uring cannot be used here: %s", why);
        return true;
    }
    pw_log(PW_LOG_FATAL, "io_engine = io_uring cannot be used here: %s (hint: io_engine = auto)", why);
    return false;
}

static bool start_workers(void)
{
    const Config *c = app.config;
    ScramCache *cache;
    if (scram_cache_create(SCRAM_CACHE_ENTRIES, &cache) != PW_OK) {
        pw_log(PW_LOG_FATAL, "no random bytes from OpenSSL");
        return false;
    }
    context_set_scram_cache(cache);
    start_jobs((unsigned)c->worker_threads);
    params_names_init(&c->track_extra_parameters);
    unsigned n = (unsigned)c->worker_threads;
    if (workers_create(n) != PW_OK) {
        pw_log(PW_LOG_FATAL, "cannot create %u event loops: %s", n, strerror(errno));
        return false;
    }
    if (!choose_engine(c))
        return false;
    app.ctxs = pw_xcalloc(n, sizeof(*app.ctxs));
    app.active = pw_xcalloc(n, sizeof(*app.active));
    registry_init(n, &server_pool_ops);
    for (unsigned i = 0; i < n; i++)
        if (!init_ctx(&app.ctxs[i], i))
            return false;
    takeover_marks_apply(c);
    if (query_log_start() != PW_OK) {
        pw_log(PW_LOG_FATAL, "cannot start the query log's thread");
        return false;
    }
    if (workers_start() != PW_OK) {
        pw_log(PW_LOG_FATAL, "cannot start %u threads: %s", n, strerror(errno));
        return false;
    }
    return listener_start(app.listener, worker_get(0)->base, on_accept, worker_get(0)) == PW_OK;
}

/* ---- signals ---- */

static void on_hup(void *arg)
{
    (void)arg;
    char why[200];
    pw_log(PW_LOG_LOG, "got SIGHUP, re-reading config");
    notify_reloading();
    if (!app_reload(why, sizeof(why))) /* what is wrong was logged: only how much of it */
        pw_log(PW_LOG_ERROR, "RELOAD failed: %.*s", (int)strcspn(why, "\n"), why);
    notify_ready();
}

static void end_by_signal(const char *signal, ShutdownMode mode, const char *what)
{
    if (app_is_shutting_down()) {
        pw_log(PW_LOG_LOG, "got %s while shutting down, fast exit", signal);
        mode = SHUTDOWN_NOW;
    } else {
        pw_log(PW_LOG_LOG, "got %s, %s", signal, what);
    }
    app_shutdown(mode);
}

static void on_int(void *arg)
{
    (void)arg;
    end_by_signal("SIGINT", SHUTDOWN_WAIT_FOR_SERVERS, "shutting down, waiting for all servers connections to be released");
}

static void on_term(void *arg)
{
    (void)arg;
    end_by_signal("SIGTERM", SHUTDOWN_WAIT_FOR_CLIENTS, "shutting down, waiting for all clients disconnect");
}

static void on_quit(void *arg)
{
    (void)arg;
    end_by_signal("SIGQUIT", SHUTDOWN_NOW, "fast exit");
}

static void on_usr1(void *arg)
{
    (void)arg;
    admin_pause_all();
}

static void on_usr2(void *arg)
{
    (void)arg;
    if (app_is_shutting_down()) {
        pw_log(PW_LOG_LOG, "got SIGUSR2 while shutting down, ignoring");
        return;
    }
    admin_resume_all();
}

/* ---- the run ---- */

/* The process that we were to replace goes on: its are the pid file and the socket in unix_socket_dir. */
static void leave_to_the_old(void)
{
    pidfile_give_back();
    if (app.listener)
        listener_give_away(app.listener);
}

static void clean_up(int status)
{
    takeover_finish();
    if (pw_atomic_load(&app.sockets) == SOCKETS_OURS) /* else the service goes on without us */
        notify_stopping();
    else
        listener_give_away(app.listener);
    if (status && app.options.reboot)
        leave_to_the_old();
    listener_destroy(app.listener);
    pidfile_remove();
    pw_log_stop();
}

/* Set aside for when there is no memory: enough for some hundred clients to go on. */
#define MEMORY_RESERVE (1024 * 1024)

/* What libevent ends the process for, outside of our flow. */
static void end_in_the_middle(void)
{
    if (app.serves)
        app.options.reboot = false;
    clean_up(1);
    _exit(1);
}

static const AdminProcessOps process_ops = {app_reload, app_set, app_shutdown, app_suspend,
                                          app_each_listener, app_handed_over, app_take_back, takeover_resume};

int app_run(const AppOptions *options)
{
    app.options = *options;
    net_libraries_prepare(end_in_the_middle);
    pw_mem_reserve(MEMORY_RESERVE);
    if (!load(options))
        return 1;
    const Config *c = app.config;
    int verbose = options->verbose > c->verbose ? options->verbose : c->verbose;
    pw_log_set_level(verbose >= 2 ? PW_LOG_NOISE : verbose == 1 ? PW_LOG_DEBUG : PW_LOG_LOG);
    if (!become_user(options, c))
        return 1;
    if (app_log_configure(c) != PW_OK) {
        fprintf(stderr, "pooler: cannot open logfile \"%s\": %s\n", c->logfile, strerror(errno));
        return 1;
    }
    if (app.options.reboot && !take_over(c))
        return 1;
    if ((!app.options.reboot && !check_pidfile(c)) || (options->daemon && !go_background(c)) || !write_pidfile(c))
        return 1;
    int status = 1;
    bool threads_gone = true;
    if (pw_log_start() != PW_OK || !open_listener(c))
        goto fail;
    warn_about_files(c);
    admin_init(&process_ops);
    takeover_prepare();
    if (!start_workers())
        goto fail;
    SignalHandlers handlers = {on_hup, on_int, on_term, on_quit, on_usr1, on_usr2, NULL};
    Signals *signals;
    if (signals_create(worker_get(0)->base, &handlers, &signals) != PW_OK)
        goto fail;
    pw_log(PW_LOG_LOG, "process up: " POOLWISE_BANNER ", libevent %s (%s), adns: c-ares %s, tls: %s, %d worker%s", event_get_version(),
           worker_get(0)->batch ? "epoll, sends by io_uring" : "epoll", ares_version(NULL), OpenSSL_version(OPENSSL_VERSION),
           c->worker_threads, c->worker_threads == 1 ? "" : "s");
    daemon_ready();
    if (app.options.reboot)
        notify_took_over();
    else
        notify_ready();
    takeover_continue(worker_get(0)->base);
    app.serves = true;
    workers_run_main();
    workers_join();
    query_log_stop();
    threads_gone = stop_jobs();
    status = 0;
fail:
    clean_up(status);
    if (!threads_gone)
        _exit(status); /* exit() would take the libraries down under a thread that still uses them */
    return status;
}
