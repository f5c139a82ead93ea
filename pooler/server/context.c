/* SPDX-License-Identifier: ISC */
#include "pooler/server/context.h"

#include <stdatomic.h>

static _Atomic uint64_t last_id; /* relaxed: only distinctness and order of one thread's ids matter */
static ScramCache *scram_cache;  /* written once before the threads start */
static struct Jobs *all_jobs[JOBS_KIND_COUNT]; /* likewise */

uint64_t context_next_id(void)
{
    return atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
}

ScramCache *context_scram_cache(void)
{
    return scram_cache;
}

void context_set_scram_cache(ScramCache *cache)
{
    scram_cache = cache;
}

struct Jobs *context_jobs(JobsKind kind)
{
    return all_jobs[kind];
}

void context_set_jobs(JobsKind kind, struct Jobs *jobs)
{
    all_jobs[kind] = jobs;
}

void context_setup_pool(WorkerCtx *ctx, PoolLocal *local)
{
    PoolEntry *e = local->entry;
    bool is_auto;
    local->worker = ctx->worker;
    local->dbconf = config_find_database(ctx->config, e->db->name, &is_auto);
    if (local->dbconf) {
        config_effective(ctx->config, local->dbconf, e->user->name, &local->settings);
        pw_atomic_store(&e->pool->size.max, local->settings.pool_size);
        pw_atomic_store(&e->pool->reserve_max, local->settings.reserve_pool_size);
        pw_atomic_store(&e->db->servers.max, local->settings.max_db_connections);
        pw_atomic_store(&e->user->servers.max, local->settings.max_user_connections);
        pw_atomic_store(&e->db->is_auto, is_auto);
        pw_atomic_store(&e->pool->lifo, !ctx->config->server_round_robin);
    }
    local->maybe_too_many = true;
    local->reconnect_epoch = pw_atomic_load(&e->db->reconnect_epoch);
    bool paused = pw_atomic_load(&e->db->paused) != 0;
    if (local->shard->blocked != paused)
        pool_block(local->shard, paused);
    if (!local->listed) {
        TAILQ_INSERT_TAIL(&ctx->pools, local, link);
        local->listed = true;
    }
}
