/* SPDX-License-Identifier: ISC */
/* view_stats.c - SHOW STATS, STATS_TOTALS, STATS_AVERAGES (or AVERAGES), TOTALS. */
#include <stdio.h>
#include <stddef.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/admin/stats_period.h"

#define TOTAL_HELP_ASSIGN "times that a client was given a server"
#define TOTAL_HELP_XACT "transactions"
#define TOTAL_HELP_QUERY "queries"
#define TOTAL_HELP_RECV "bytes received from clients"
#define TOTAL_HELP_SENT "bytes sent to clients"
#define TOTAL_HELP_XTIME "microseconds spent in transactions"
#define TOTAL_HELP_QTIME "microseconds that servers spent on queries"
#define TOTAL_HELP_WAIT "microseconds that clients waited for a server"
#define TOTAL_HELP_CPARSE "prepared statements made by clients"
#define TOTAL_HELP_SPARSE "prepared statements made on servers"
#define TOTAL_HELP_BIND "prepared statements bound by clients"
#define TOTAL_HELP_LOGIN "logins of clients"
#define TOTAL_HELP_FAILED "waits for a server that ended without one"
#define AVG_HELP_XTIME "microseconds a transaction took"
#define AVG_HELP_QTIME "microseconds a query took"
#define AVG_HELP_WAIT "microseconds a client waited for its server"

static const AdminColumn stats_columns[] = {
    {"database", ADMIN_TEXT, "database; pgbouncer is the console"},
    {"total_server_assignment_count", ADMIN_NUMERIC, TOTAL_HELP_ASSIGN},
    {"total_xact_count", ADMIN_NUMERIC, TOTAL_HELP_XACT},
    {"total_query_count", ADMIN_NUMERIC, TOTAL_HELP_QUERY},
    {"total_received", ADMIN_NUMERIC, TOTAL_HELP_RECV},
    {"total_sent", ADMIN_NUMERIC, TOTAL_HELP_SENT},
    {"total_xact_time", ADMIN_NUMERIC, TOTAL_HELP_XTIME},
    {"total_query_time", ADMIN_NUMERIC, TOTAL_HELP_QTIME},
    {"total_wait_time", ADMIN_NUMERIC, TOTAL_HELP_WAIT},
    {"total_client_parse_count", ADMIN_NUMERIC, TOTAL_HELP_CPARSE},
    {"total_server_parse_count", ADMIN_NUMERIC, TOTAL_HELP_SPARSE},
    {"total_bind_count", ADMIN_NUMERIC, TOTAL_HELP_BIND},
    {"total_client_login_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_LOGIN},
    {"avg_server_assignment_count", ADMIN_NUMERIC, TOTAL_HELP_ASSIGN ", a second"},
    {"avg_xact_count", ADMIN_NUMERIC, TOTAL_HELP_XACT " a second"},
    {"avg_query_count", ADMIN_NUMERIC, TOTAL_HELP_QUERY " a second"},
    {"avg_recv", ADMIN_NUMERIC, TOTAL_HELP_RECV " a second"},
    {"avg_sent", ADMIN_NUMERIC, TOTAL_HELP_SENT " a second"},
    {"avg_xact_time", ADMIN_NUMERIC, AVG_HELP_XTIME},
    {"avg_query_time", ADMIN_NUMERIC, AVG_HELP_QTIME},
    {"avg_wait_time", ADMIN_NUMERIC, AVG_HELP_WAIT},
    {"avg_client_parse_count", ADMIN_NUMERIC, TOTAL_HELP_CPARSE " a second"},
    {"avg_server_parse_count", ADMIN_NUMERIC, TOTAL_HELP_SPARSE " a second"},
    {"avg_bind_count", ADMIN_NUMERIC, TOTAL_HELP_BIND " a second"},
    {"avg_client_login_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_LOGIN " a second"},
    {"total_requests", ADMIN_NUMERIC | ADMIN_EXTRA, "total_query_count, by the name that it had in PgBouncer 1.7: Debian's exporter asks for it"},
    {"total_wait_failed_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_FAILED},
    {"avg_wait_failed_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_FAILED ", a second"},
};

static const AdminColumn stats_totals_columns[] = {
    {"database", ADMIN_TEXT, "database; pgbouncer is the console"},
    {"server_assignment_count", ADMIN_NUMERIC, TOTAL_HELP_ASSIGN},
    {"xact_count", ADMIN_NUMERIC, TOTAL_HELP_XACT},
    {"query_count", ADMIN_NUMERIC, TOTAL_HELP_QUERY},
    {"bytes_received", ADMIN_NUMERIC, TOTAL_HELP_RECV},
    {"bytes_sent", ADMIN_NUMERIC, TOTAL_HELP_SENT},
    {"xact_time", ADMIN_NUMERIC, TOTAL_HELP_XTIME},
    {"query_time", ADMIN_NUMERIC, TOTAL_HELP_QTIME},
    {"wait_time", ADMIN_NUMERIC, TOTAL_HELP_WAIT},
    {"client_parse_count", ADMIN_NUMERIC, TOTAL_HELP_CPARSE},
    {"server_parse_count", ADMIN_NUMERIC, TOTAL_HELP_SPARSE},
    {"bind_count", ADMIN_NUMERIC, TOTAL_HELP_BIND},
    {"client_login_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_LOGIN},
    {"wait_failed_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_FAILED},
};

/* The first ones carry no avg_, as in PgBouncer: tools know them by these names. */
static const AdminColumn stats_averages_columns[] = {
    {"database", ADMIN_TEXT, "database; pgbouncer is the console"},
    {"server_assignment_count", ADMIN_NUMERIC, TOTAL_HELP_ASSIGN ", a second"},
    {"xact_count", ADMIN_NUMERIC, TOTAL_HELP_XACT " a second"},
    {"query_count", ADMIN_NUMERIC, TOTAL_HELP_QUERY " a second"},
    {"bytes_received", ADMIN_NUMERIC, TOTAL_HELP_RECV " a second"},
    {"bytes_sent", ADMIN_NUMERIC, TOTAL_HELP_SENT " a second"},
    {"xact_time", ADMIN_NUMERIC, AVG_HELP_XTIME},
    {"query_time", ADMIN_NUMERIC, AVG_HELP_QTIME},
    {"wait_time", ADMIN_NUMERIC, AVG_HELP_WAIT},
    {"avg_client_parse_count", ADMIN_NUMERIC, TOTAL_HELP_CPARSE " a second"},
    {"avg_server_parse_count", ADMIN_NUMERIC, TOTAL_HELP_SPARSE " a second"},
    {"avg_bind_count", ADMIN_NUMERIC, TOTAL_HELP_BIND " a second"},
    {"avg_client_login_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_LOGIN " a second"},
    {"avg_wait_failed_count", ADMIN_NUMERIC | ADMIN_EXTRA, TOTAL_HELP_FAILED ", a second"},
};

static const AdminColumn totals_columns[] = {
    {"name", ADMIN_TEXT, "a counter of SHOW STATS by its inner name, total_ or avg_ in front"},
    {"value", ADMIN_NUMERIC, "its sum over all databases"},
};

/* One row a counter, in the order of the columns above, ours last; the name is that of SHOW TOTALS. */
static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    {"server_assignment_count", offsetof(PoolStats, server_assignment_count)},
    {"xact_count", offsetof(PoolStats, xact_count)},
    {"query_count", offsetof(PoolStats, query_count)},
    {"client_bytes", offsetof(PoolStats, bytes_received)},
    {"server_bytes", offsetof(PoolStats, bytes_sent)},
    {"xact_time", offsetof(PoolStats, xact_time)},
    {"query_time", offsetof(PoolStats, query_time)},
    {"wait_time", offsetof(PoolStats, wait_time)},
    {"ps_client_parse_count", offsetof(PoolStats, client_parse_count)},
    {"ps_server_parse_count", offsetof(PoolStats, server_parse_count)},
    {"ps_bind_count", offsetof(PoolStats, bind_count)},
    {"client_login_count", offsetof(PoolStats, client_login_count)},
    {"wait_failed_count", offsetof(PoolStats, wait_failed_count)},
};
#define OUR_FIELDS 1 /* of SHOW STATS at the end, behind total_requests */
_Static_assert(PW_ARRAY_LEN(fields) * sizeof(uint64_t) == sizeof(PoolStats), "each counter has a row");
_Static_assert(PW_ARRAY_LEN(stats_columns) == 2 + 2 * PW_ARRAY_LEN(fields), "totals, averages, total_requests");
_Static_assert(PW_ARRAY_LEN(stats_totals_columns) == 1 + PW_ARRAY_LEN(fields), "totals");
_Static_assert(PW_ARRAY_LEN(stats_averages_columns) == 1 + PW_ARRAY_LEN(fields), "averages");

static uint64_t get(const PoolStats *stats, size_t field)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + fields[field].offset, sizeof(value));
    return value;
}

static void put(AdminResult *r, const PoolStats *stats, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        admin_row_count(r, get(stats, i));
}

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    stats_table_visit(ctx, show->gather);
}

static void drop(AdminShow *show)
{
    stats_table_finish(show->gather);
}

static void rows(AdminShow *show, bool totals, bool averages)
{
    StatsTable *table = show->gather;
    AdminResult *r = &show->result;
    stats_table_sort(table);
    for (const StatsRow *row = table->rows; row; row = row->hh.next) {
        PoolStats average;
        if (strcmp(row->database, STATS_FORGOTTEN) == 0)
            continue;
        stats_average(table, &row->total, &row->older, &average);
        admin_row_begin(r, NULL);
        admin_row_text(r, row->database);
        size_t all = PW_ARRAY_LEN(fields), theirs = totals && averages ? all - OUR_FIELDS : all;
        if (totals)
            put(r, &row->total, 0, theirs);
        if (averages)
            put(r, &average, 0, theirs);
        if (totals && averages) {
            admin_row_count(r, row->total.query_count);
            put(r, &row->total, theirs, all);
            put(r, &average, theirs, all);
        }
        admin_row_end(r);
    }
}

static void finish_stats(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    rows(show, true, true);
}

static void finish_stats_totals(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    rows(show, true, false);
}

static void finish_averages(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    rows(show, false, true);
}

static void put_named(AdminResult *r, const char *prefix, const PoolStats *stats)
{
    char name[64];
    for (size_t i = 0; i < PW_ARRAY_LEN(fields); i++) {
        snprintf(name, sizeof(name), "%s%s", prefix, fields[i].name);
        admin_row_begin(r, NULL);
        admin_row_text(r, name);
        admin_row_count(r, get(stats, i));
        admin_row_end(r);
    }
}

static void finish_totals(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    StatsTable *table = show->gather;
    PoolStats total, older, average;
    memset(&total, 0, sizeof(total));
    memset(&older, 0, sizeof(older));
    stats_table_sort(table);
    for (const StatsRow *row = table->rows; row; row = row->hh.next) {
        pool_stats_add(&total, &row->total);
        pool_stats_add(&older, &row->older);
    }
    stats_average(table, &total, &older, &average);
    put_named(&show->result, "total_", &total);
    put_named(&show->result, "avg_", &average);
}

const AdminView admin_view_stats = {
    .name = "stats", .columns = stats_columns, .n_columns = PW_ARRAY_LEN(stats_columns), .gather = sizeof(StatsTable),
    .visit = visit, .finish = finish_stats, .drop = drop, .help = "counters of each database, and their averages",
};
const AdminView admin_view_stats_totals = {
    .name = "stats_totals", .columns = stats_totals_columns, .n_columns = PW_ARRAY_LEN(stats_totals_columns),
    .gather = sizeof(StatsTable), .visit = visit, .finish = finish_stats_totals, .drop = drop,
    .help = "the counters of SHOW STATS alone",
};
const AdminView admin_view_stats_averages = {
    .name = "stats_averages", .columns = stats_averages_columns, .n_columns = PW_ARRAY_LEN(stats_averages_columns),
    .gather = sizeof(StatsTable), .visit = visit, .finish = finish_averages, .drop = drop,
    .help = "the averages of SHOW STATS alone",
};
const AdminView admin_view_averages = {
    .name = "averages", .columns = stats_averages_columns, .n_columns = PW_ARRAY_LEN(stats_averages_columns),
    .gather = sizeof(StatsTable), .visit = visit, .finish = finish_averages, .drop = drop,
    .help = "another name of SHOW STATS_AVERAGES",
};
const AdminView admin_view_totals = {
    .name = "totals", .columns = totals_columns, .n_columns = PW_ARRAY_LEN(totals_columns), .gather = sizeof(StatsTable),
    .visit = visit, .finish = finish_totals, .drop = drop, .help = "the sums of SHOW STATS over all databases, one row each",
};
