/* SPDX-License-Identifier: ISC */
/* app_tick.c - what each worker does ten times a second, and the main worker besides. */
#include <event2/event.h>

#include "pooler/admin/admin.h"
#include "pooler/admin/stats_period.h"
#include "pooler/app/app_priv.h"
#include "pooler/client/client.h"
#include "pooler/listen/hub.h"
#include "pooler/pool/failure.h"
#include "pooler/server/server.h"
#include "pooler/server/zone_watch.h"
#include "poolwise/log.h"

#define TICK_USEC 100000
#define LATE_USEC (10 * TICK_USEC)

/* SHUTDOWN WAIT_FOR_SERVERS: from the second tick on, so that the console's answer comes first, as with PgBouncer. */
static void send_waiters_away(WorkerCtx *ctx)
{
    if (ctx->shutdown_ticks++ == 0)
        return;
    PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link)
        pool_fail_waiters(local->shard, PW_ERR_SHUTDOWN);
}

/* A pool whose oldest waiter here waits long enough may use the reserve. */
static void use_reserve(PoolLocal *local, PwUsec now)
{
    PoolWaiter *first = TAILQ_FIRST(&local->shard->waiting);
    if (!first || local->settings.reserve_pool_timeout <= 0 || local->settings.reserve_pool_size <= 0 ||
        now - first->since < local->settings.reserve_pool_timeout)
        return;
    if (pool_grow(local->shard, POOL_GROW_RESERVE))
        pw_log(PW_LOG_WARNING, "%s/%s taking connection from reserve_pool", local->entry->db->name, local->entry->user->name);
}

static void tend_pool(WorkerCtx *ctx, PoolLocal *local, PwUsec now)
{
    server_maintain(local, now);
    use_reserve(local, now);
    listen_hub_tick(local, now);
    /* stopped by a failure; since then an attempt of another worker may have worked, or there may be another one */
    if (local->shard->connect_off && !pool_entry_pauses(local->entry, now, ctx->config->server_login_retry))
        pool_kick(local->shard);
}

/* min_pool_size: one new connection a tick, opened on the worker that has clients of the pool (a forced user's pool
 * is kept warm without any). */
static void keep_warm(PoolLocal *local)
{
    const PoolSettings *s = &local->settings;
    if (s->min_pool_size <= 0 || !local->dbconf || pool_size_used(local->entry->pool) >= s->min_pool_size)
        return;
    if (local->n_clients > 0 || (local->dbconf->user && local->worker->index == 0))
        pool_grow(local->shard, POOL_GROW_MIN);
}

/* Pools of databases with a forced user and min_pool_size exist before their first client. */
static void warm_forced(WorkerCtx *ctx)
{
    for (size_t i = 0; i < config_n_databases(ctx->config); i++) {
        const DatabaseConf *db = config_database_at(ctx->config, i);
        PoolSettings s;
        if (!db->user || db->is_auto)
            continue;
        config_effective(ctx->config, db, db->user, &s);
        if (s.min_pool_size <= 0)
            continue;
        PoolEntry *e = registry_pool(registry_db(db->name), registry_user(db->user));
        PoolLocal *local = &e->locals[ctx->worker->index];
        if (!local->listed)
            context_setup_pool(ctx, local);
        registry_unref(e);
    }
}

/* Those that have not said who they are included. */
static int connections(void)
{
    int n = 0;
    for (unsigned i = 0; i < workers_count(); i++)
        n += client_count_worker(i);
    return n;
}

static bool may_exit(void)
{
    int mode = pw_atomic_load(&app.shutdown);
    if (mode == SHUTDOWN_NOW)
        return true;
    if (mode == SHUTDOWN_WAIT_FOR_CLIENTS)
        return client_count_total() == 0;
    if (mode == SHUTDOWN_HANDED_OVER)
        return pw_atomic_load(&app.sockets) != SOCKETS_OURS && connections() <= client_count_consoles() && !admin_is_handing_over();
    if (mode != SHUTDOWN_WAIT_FOR_SERVERS)
        return false;
    int active = 0;
    for (unsigned i = 0; i < workers_count(); i++)
        active += pw_atomic_load(&app.active[i]);
    return active == 0;
}

static void stop_all(void)
{
    if (pw_atomic_exchange(&app.stopping, 1))
        return;
    int mode = pw_atomic_load(&app.shutdown);
    if (mode == SHUTDOWN_WAIT_FOR_SERVERS)
        pw_log(PW_LOG_LOG, "server connections dropped, exiting");
    else if (mode == SHUTDOWN_WAIT_FOR_CLIENTS)
        pw_log(PW_LOG_LOG, "client connections dropped, exiting");
}

static void main_tick(WorkerCtx *ctx, PwUsec now)
{
    static PwUsec last_warm;
    if (now - last_warm >= PW_USEC_PER_SEC) {
        last_warm = now;
        warm_forced(ctx);
        retire_idle_pools(now);
    }
    stats_period_tick(ctx, now);
    query_log_tick(now);
    zone_watch_tick(ctx, now);
    if (may_exit())
        stop_all();
}

/* The process stood still (a frozen container, a machine that was moved): what clients and servers have said meanwhile was in time, and is
 * read before the next tick looks at timeouts. Never twice in a row. */
static bool put_off(WorkerCtx *ctx, PwUsec now)
{
    bool late = ctx->ticked_at && now - ctx->ticked_at > LATE_USEC;
    ctx->ticked_at = late ? 0 : now;
    return late;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    WorkerCtx *ctx = arg;
    PwUsec now = worker_now(ctx->worker);
    if (put_off(ctx, now))
        return;
    worker_read_mail(ctx->worker);
    int active = 0;
    PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        tend_pool(ctx, local, now);
        keep_warm(local);
        active += local->shard->n_active;
    }
    if (ctx->shutdown == SHUTDOWN_WAIT_FOR_SERVERS)
        send_waiters_away(ctx);
    client_tick(ctx, now);
    admin_tick(ctx, now);
    /* A worker that was not told to wait for servers counts as one: more may have begun since it counted. */
    if (ctx->shutdown != SHUTDOWN_WAIT_FOR_SERVERS)
        active++;
    pw_atomic_store(&app.active[ctx->worker->index], active);
    if (ctx->worker->index == 0)
        main_tick(ctx, now);
    if (pw_atomic_load(&app.stopping))
        worker_stop(ctx->worker);
}

void app_tick_start(WorkerCtx *ctx)
{
    struct timeval tv = {.tv_sec = 0, .tv_usec = TICK_USEC};
    pw_atomic_store(&app.active[ctx->worker->index], 1);
    ctx->ticked_at = pw_time_mono();
    ctx->tick = event_new(ctx->worker->base, -1, EV_PERSIST, on_tick, ctx);
    event_add(ctx->tick, &tv);
}
