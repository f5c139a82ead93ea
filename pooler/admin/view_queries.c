/* SPDX-License-Identifier: ISC */
/* view_queries.c - SHOW QUERIES [n]: what was run since the start, longest total time first. */
#include <inttypes.h>
#include <stdio.h>

#include "pooler/admin/admin_priv.h"

#define QUERIES_LIMIT 100

static const AdminColumn query_columns[] = {
    {"database", ADMIN_TEXT, "database"},
    {"user", ADMIN_TEXT, "the client's user"},
    {"application_name", ADMIN_TEXT, "the client's application_name"},
    {"query", ADMIN_TEXT, "the query with its literals replaced; NULL: queries that found no place in the table, together"},
    {"fingerprint", ADMIN_TEXT, "names the query, as in the query log"},
    {"calls", ADMIN_INT8, "how often it was run, failures included"},
    {"total_time_us", ADMIN_INT8, "microseconds that the server took, all calls together"},
    {"mean_time_us", ADMIN_INT8, "the same divided by calls"},
    {"p50_us", ADMIN_INT8, "half of the calls took at most this; off by at most a quarter"},
    {"p95_us", ADMIN_INT8, "95 % of the calls took at most this"},
    {"p99_us", ADMIN_INT8, "99 % of the calls took at most this"},
    {"wait_time_us", ADMIN_INT8, "microseconds that its clients waited for a server"},
    {"rows", ADMIN_INT8, "rows returned or changed"},
    {"errors", ADMIN_INT8, "calls that failed"},
    {"bytes_in", ADMIN_INT8, "bytes received from clients"},
    {"bytes_out", ADMIN_INT8, "bytes sent to clients"},
};

typedef struct Queries {
    QueryMerge *merge;
} Queries;

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    Queries *q = show->gather;
    if (!q->merge)
        q->merge = query_merge_create(QUERY_COLLECT_TOTALS);
    if (ctx->queries)
        query_table_collect(ctx->queries, q->merge);
}

/* Within a bucket of the histogram nobody knows; but none is shorter than the shortest or longer than the longest. */
static void put_percentile(AdminResult *r, const PwQueryCounts *n, double percent)
{
    uint64_t value = (uint64_t)pw_hist_percentile(&n->server, percent);
    admin_row_count(r, value < n->server_min_us ? n->server_min_us : value > n->server_max_us ? n->server_max_us : value);
}

static void put(AdminResult *r, const PwWorkloadRecord *record)
{
    const PwQueryCounts *n = &record->counts;
    char fingerprint[24];
    snprintf(fingerprint, sizeof(fingerprint), "%016" PRIx64, record->fingerprint);
    admin_row_begin(r, NULL);
    admin_row_text(r, record->database);
    admin_row_text(r, record->user);
    admin_row_text(r, record->application_name);
    admin_row_text(r, record->query);
    admin_row_text(r, fingerprint);
    admin_row_count(r, n->calls);
    admin_row_count(r, n->server.sum);
    admin_row_count(r, n->calls ? n->server.sum / n->calls : 0);
    put_percentile(r, n, 50);
    put_percentile(r, n, 95);
    put_percentile(r, n, 99);
    admin_row_count(r, n->wait_us);
    admin_row_count(r, n->rows);
    admin_row_count(r, n->failed);
    admin_row_count(r, n->bytes_in);
    admin_row_count(r, n->bytes_out);
    admin_row_end(r);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    Queries *q = show->gather;
    query_merge_sort(q->merge);
    size_t n = query_merge_count(q->merge);
    for (size_t i = 0; i < n && (show->limit == 0 || i < show->limit); i++)
        put(&show->result, query_merge_get(q->merge, i));
}

static void drop(AdminShow *show)
{
    Queries *q = show->gather;
    query_merge_destroy(q->merge);
}

const AdminView admin_view_queries = {
    .name = "queries", .columns = query_columns, .n_columns = PW_ARRAY_LEN(query_columns), .gather = sizeof(Queries),
    .limit = QUERIES_LIMIT, .visit = visit, .finish = finish, .drop = drop,
    .help = "the queries that took the most time, all workers together",
};
