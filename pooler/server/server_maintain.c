/* SPDX-License-Identifier: ISC */
/* server_maintain.c - the timeouts of servers, and which of them go for that or another reason: when they are released, and every tick. */
#include "pooler/server/moved.h"
#include "pooler/server/server_priv.h"

/* Is the address it is connected to still one of its host's? */
static void look_whether_moved(Server *s)
{
    if (PW_LIKELY(!moved_since(&s->moved_epoch, s->host, &s->addr)) || s->close_needed)
        return;
    s->close_needed = true;
    s->close_why = "obsolete connection";
}

const char *server_retire_reason(Server *s, PwUsec now)
{
    PoolLocal *local = server_local(s);
    look_whether_moved(s);
    if (s->close_needed)
        return s->close_why;
    if (s->reconnect_epoch != local->reconnect_epoch)
        return "obsolete connection";
    if (!local->dbconf)
        return "database removed";
    if (s->lifetime == 0 || now - s->connected_at >= s->lifetime)
        return "server lifetime over";
    return NULL;
}

/* More servers than pool_size and the reserve allow, because they were lowered (or replication connections came, which count). When
 * workers look at the same moment each may close the last one that is too many. */
static bool has_too_many(const PoolLocal *local)
{
    Pool *pool = local->entry->pool;
    int max = pw_atomic_load_relaxed(&pool->size.max);
    return max > 0 && pool_size_used(pool) - pw_atomic_load_relaxed(&pool->reserve_max) > max;
}

static const char too_many[] = "too many servers in the pool";

static void close_too_many(PoolLocal *local)
{
    PoolServer *longest_idle;
    while ((local->maybe_too_many = has_too_many(local)) && (longest_idle = TAILQ_LAST(&local->shard->idle, PoolServerList)))
        server_close(server_of(longest_idle), too_many);
}

void server_to_pool(Server *s)
{
    if (PW_UNLIKELY(!LIST_EMPTY(&s->cancel_list)))
        server_cancel_too_late(s);
    const PoolLocal *local = server_local(s);
    PwUsec now = worker_now(s->stream.worker);
    const char *why = server_retire_reason(s, now);
    if (PW_UNLIKELY(local->maybe_too_many) && !why && has_too_many(local))
        why = too_many;
    if (PW_UNLIKELY(why != NULL)) {
        server_close(s, why);
        return;
    }
    s->phase = SERVER_READY;
    s->released_at = now;
    stream_read_start(&s->stream);
    pool_release(server_local(s)->shard, &s->ps);
}

void server_check_connect(Server *s, PwUsec now)
{
    const Config *config = worker_ctx(server_local(s)->worker)->config;
    if (s->failed_early)
        server_connect_failed(s, s->failed_early);
    else if (config->server_connect_timeout && now - s->connected_at >= config->server_connect_timeout)
        server_connect_failed(s, "connect timeout");
}

static void close_idle(PoolLocal *local, const char *(*why)(Server *s, PwUsec now), const char *instead, PwUsec now)
{
    PoolServer *ps = TAILQ_FIRST(&local->shard->idle);
    while (ps) {
        const char *reason = why(server_of(ps), now);
        if (reason)
            server_close(server_of(ps), instead ? instead : reason);
        /* closing one settles the pool, which may have given any other away: from the start */
        ps = reason ? TAILQ_FIRST(&local->shard->idle) : TAILQ_NEXT(ps, link);
    }
}

void server_close_retired(PoolLocal *local, const char *instead, PwUsec now)
{
    close_idle(local, server_retire_reason, instead, now);
}

static const char *why_idle_goes(Server *s, PwUsec now)
{
    const PoolLocal *local = server_local(s);
    const char *why = server_retire_reason(s, now);
    if (!why && local->settings.server_idle_timeout && now - s->released_at >= local->settings.server_idle_timeout &&
        pool_size_used(local->entry->pool) > local->settings.min_pool_size)
        why = "server idle timeout";
    return why;
}

void server_maintain(PoolLocal *local, PwUsec now)
{
    PoolShard *shard = local->shard;
    PoolServer *ps, *next;
    server_cancel_serve(local);
    for (ps = TAILQ_FIRST(&shard->connecting); ps; ps = next) {
        next = TAILQ_NEXT(ps, link);
        server_check_connect(server_of(ps), now);
    }
    for (ps = TAILQ_FIRST(&shard->active); ps; ps = next) {
        next = TAILQ_NEXT(ps, link);
        Server *s = server_of(ps);
        look_whether_moved(s);
        const char *why = s->replication ? server_own_retire_reason(s) : NULL;
        if (why)
            server_close(s, why);
        else if (server_is_connecting(s))
            server_check_connect(s, now);
        else if (s->phase == SERVER_CHORE)
            server_chore_maintain(s, now);
    }
    close_too_many(local);
    close_idle(local, why_idle_goes, NULL, now);
}
