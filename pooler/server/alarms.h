/* SPDX-License-Identifier: ISC */
/* alarms.h - the alarms of the pool shards of one worker (PoolOps.alarm): one timer for all of them.
 *
 * An alarm comes POOL_PATIENCE_USEC after the first one that was set, so up to that much early or, since libevent's
 * timers follow a coarse clock, some milliseconds late. Own worker only. */
#ifndef POOLER_SERVER_ALARMS_H
#define POOLER_SERVER_ALARMS_H

#include "pooler/server/context.h"

void alarms_start(WorkerCtx *ctx); /* before the worker's loop runs */
void alarms_set(PoolShard *shard);     /* PoolOps.alarm */
void alarms_forget(PoolLocal *local);  /* its shard retires */

#endif
