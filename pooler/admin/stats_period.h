/* SPDX-License-Identifier: ISC */
/* stats_period.h - the counters of all pools by database, and their averages.
 *
 * Once a stats_period the main worker keeps a copy of all counters and drops the one before the last, so that an
 * average looks back over one to two periods, as PgBouncer's does. Averages of counts and bytes are per second;
 * times are microseconds per transaction, per query, and (waiting) per server assignment. */
#ifndef POOLER_ADMIN_STATS_PERIOD_H
#define POOLER_ADMIN_STATS_PERIOD_H

#include <uthash.h>

#include "pooler/server/context.h"

/* The row of databases that are forgotten: only in the sums. */
#define STATS_FORGOTTEN ""

typedef struct StatsRow {
    UT_hash_handle hh;
    const char *database; /* a DbState's name or "pgbouncer": lives as long as the process; STATS_FORGOTTEN */
    PoolStats total;
    PoolStats older; /* at StatsTable.older_at */
} StatsRow;

/* Carried from worker to worker; belongs to whoever holds it. Zeroed memory is an empty one. */
typedef struct StatsTable {
    StatsRow *rows;
    PwUsec older_at, now;
} StatsTable;

/* The main worker, ten times a second: ends the period when it is due (and writes the log line). */
void stats_period_tick(WorkerCtx *ctx, PwUsec now);

/* Adds what this worker counted; on the main worker also what pools left behind and the older copy. */
void stats_table_visit(WorkerCtx *ctx, StatsTable *table);
void stats_table_sort(StatsTable *table); /* by database, without those that are forgotten; sets `now` */
void stats_table_finish(StatsTable *table);

/* of `total` against `older` over older_at .. now */
void stats_average(const StatsTable *table, const PoolStats *total, const PoolStats *older, PoolStats *ret);

#endif
