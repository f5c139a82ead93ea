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
