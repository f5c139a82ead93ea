/* SPDX-License-Identifier: ISC */
#include "pooler/admin/stats_period.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

/* The main worker's. */
static struct {
    StatsTable older, newer; /* counters as they were at their `now` */
    bool started, gathering;
} period;

/* ---- tables ---- */

static StatsRow *row_of(StatsTable *table, const char *database)
{
    StatsRow *row;
    HASH_FIND_STR(table->rows, database, row);
    if (!row) {
        row = pw_xcalloc(1, sizeof(*row));
        row->database = database;
        HASH_ADD_KEYPTR(hh, table->rows, row->database, strlen(row->database), row);
    }
    return row;
}

static bool is_nothing(const PoolStats *stats)
{
    static const PoolStats nothing;
    return memcmp(stats, &nothing, sizeof(nothing)) == 0;
}

/* What pools left behind that are gone. */
static void add_past(StatsTable *table)
{
    size_t n;
    PoolStats forgotten;
    registry_forgotten_stats(&forgotten);
    pool_stats_add(&row_of(table, STATS_FORGOTTEN)->total, &forgotten);
    AdminDbState *dbs = admin_db_states(&n);
    for (size_t i = 0; i < n; i++)
        if (!is_nothing(&dbs[i].past))
            pool_stats_add(&row_of(table, dbs[i].db->name)->total, &dbs[i].past);
    free(dbs);
}

static void add_older(StatsTable *table)
{
    table->older_at = period.older.now;
    for (StatsRow *old = period.older.rows; old; old = old->hh.next)
        row_of(table, old->database)->older = old->total;
}

void stats_table_visit(WorkerCtx *ctx, StatsTable *table)
{
    PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link)
        pool_stats_add(&row_of(table, local->entry->db->name)->total, &local->stats);
    pool_stats_add(&row_of(table, "pgbouncer")->total, &admin_worker(ctx->worker->index)->stats);
    if (ctx->worker->index != 0)
        return;
    add_past(table);
    add_older(table);
}

static int by_database(StatsRow *a, StatsRow *b)
{
    return strcmp(a->database, b->database);
}

/* It counted once, and counts nothing now: it is forgotten, and so is what its averages are measured against. */
static void forget_rows(StatsTable *table)
{
    StatsRow *row, *next, *forgotten = row_of(table, STATS_FORGOTTEN);
    HASH_ITER(hh, table->rows, row, next)
    {
        if (row == forgotten || !is_nothing(&row->total) || is_nothing(&row->older))
            continue;
        pool_stats_add(&forgotten->older, &row->older);
        HASH_DEL(table->rows, row);
        free(row);
    }
}

void stats_table_sort(StatsTable *table)
{
    forget_rows(table);
    HASH_SORT(table->rows, by_database);
    table->now = pw_time_mono();
}

void stats_table_finish(StatsTable *table)
{
    StatsRow *row, *next;
    HASH_ITER(hh, table->rows, row, next)
    {
        HASH_DEL(table->rows, row);
        free(row);
    }
}

/* ---- averages ---- */

static uint64_t per_second(uint64_t now, uint64_t before, PwUsec span)
{
    if (now <= before)
        return 0;
    return (uint64_t)((double)(now - before) * (double)PW_USEC_PER_SEC / (double)span);
}

static uint64_t per_item(uint64_t now, uint64_t before, uint64_t items_now, uint64_t items_before)
{
    return now > before && items_now > items_before ? (now - before) / (items_now - items_before) : 0;
}

void stats_average(const StatsTable *table, const PoolStats *total, const PoolStats *older, PoolStats *ret)
{
    /* A process that has just begun has no second to divide by. */
    PwUsec span = table->now - table->older_at;
    if (span < PW_USEC_PER_SEC)
        span = PW_USEC_PER_SEC;
#define RATE(field) ret->field = per_second(total->field, older->field, span)
#define MEAN(field, count) ret->field = per_item(total->field, older->field, total->count, older->count)
    RATE(server_assignment_count);
    RATE(xact_count);
    RATE(query_count);
    RATE(bytes_received);
    RATE(bytes_sent);
    MEAN(xact_time, xact_count);
    MEAN(query_time, query_count);
    ret->wait_time = per_item(total->wait_time, older->wait_time, total->server_assignment_count + total->wait_failed_count,
                              older->server_assignment_count + older->wait_failed_count);
    RATE(client_parse_count);
    RATE(server_parse_count);
    RATE(bind_count);
    RATE(client_login_count);
    RATE(wait_failed_count);
#undef RATE
#undef MEAN
}

/* ---- the period ---- */

static void log_averages(const StatsTable *table)
{
    PoolStats total, older, a;
    memset(&total, 0, sizeof(total));
    memset(&older, 0, sizeof(older));
    for (const StatsRow *row = table->rows; row; row = row->hh.next) {
        pool_stats_add(&total, &row->total);
        pool_stats_add(&older, &row->older);
    }
    stats_average(table, &total, &older, &a);
    pw_log(PW_LOG_LOG,
           "stats: %" PRIu64 " xacts/s, %" PRIu64 " queries/s, %" PRIu64 " client parses/s, %" PRIu64
           " server parses/s, %" PRIu64 " binds/s, in %" PRIu64 " B/s, out %" PRIu64 " B/s, xact %" PRIu64
           " us, query %" PRIu64 " us, wait %" PRIu64 " us",
           a.xact_count, a.query_count, a.client_parse_count, a.server_parse_count, a.bind_count, a.bytes_received,
           a.bytes_sent, a.xact_time, a.query_time, a.wait_time);
}

static void visit(Worker *w, void *arg)
{
    stats_table_visit(worker_ctx(w), arg);
}

static void gathered(Worker *origin, void *arg)
{
    StatsTable *table = arg;
    stats_table_sort(table);
    stats_table_finish(&period.older);
    period.older = period.newer;
    period.newer = *table;
    free(table);
    period.gathering = false;
    /* The line is about the period that ended: against the copy made at its start. */
    StatsTable *now = &period.newer;
    now->older_at = period.older.now;
    for (StatsRow *row = now->rows; row; row = row->hh.next)
        memset(&row->older, 0, sizeof(row->older));
    for (StatsRow *old = period.older.rows; old; old = old->hh.next) {
        StatsRow *row;
        HASH_FIND_STR(now->rows, old->database, row);
        pool_stats_add(&(row ? row : row_of(now, STATS_FORGOTTEN))->older, &old->total);
    }
    if (worker_ctx(origin)->config->log_stats)
        log_averages(now);
}

void stats_period_tick(WorkerCtx *ctx, PwUsec now)
{
    if (!period.started) {
        period.started = true;
        period.older.now = period.newer.now = now;
    }
    PwUsec length = ctx->config->stats_period;
    if (period.gathering || length <= 0 || now - period.newer.now < length)
        return;
    period.gathering = true;
    worker_tour(ctx->worker, visit, gathered, pw_xcalloc(1, sizeof(StatsTable)));
}
