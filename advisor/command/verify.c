/* SPDX-License-Identifier: ISC */
/* verify.c - advisor verify: builds the advised indexes on a scratch database, measures the statements before and after, and takes
 * everything back.
 *
 * Building an index overwrites what pg_class says of its table (rows, pages), and with it every later plan: that is saved and restored.
 * Only SELECTs are run, and only there. */
#include "advisor/app_priv.h"
#include "advisor/command/command.h"
#include "advisor/cost/explain.h"
#include "advisor/json_build.h"
#include "advisor/text.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VERIFY_VERSION 1
#define RUNS 5
#define PREFIX "poolwise_verify_"
#define SLOW_MS 2000.0 /* a statement that takes longer is run only twice */

typedef struct Timed {
    const AdvQuery *query;
    double before_ms, after_ms; /* median; -1: not run */
    const char *why_not;
    const char *used;           /* new indexes in the plan after */
} Timed;

typedef struct Built {
    const AdvFinding *finding;
    const char *name;
    double build_ms, bytes;
    const char *why_not; /* NULL: it was built */
    bool used;
} Built;

typedef struct Saved {
    const char *oid, *rows, *pages, *visible, *has_index;
} Saved;

typedef struct Verify {
    App *app;
    AdvDb *scratch;
    int n_queries, n_built, n_saved;
    Timed *queries;
    Built *built;
    Saved *saved;
    bool restored;
} Verify;

static volatile sig_atomic_t interrupted;
static const AdvDb *measured_on; /* for the handler: set before it is installed */

/* The first signal ends the statement that runs; what was built is dropped then, undisturbed by further ones. */
static void on_signal(int number)
{
    (void)number;
    if (!interrupted)
        adv_db_cancel(measured_on);
    interrupted = 1;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

/* False with the server's word in adv_db_error. */
static bool run(Verify *v, const char *sql)
{
    AdvRows rows;
    if (adv_db_query(v->scratch, sql, 0, NULL, &rows))
        return false;
    adv_db_free_rows(&rows);
    return true;
}

/* What a broken run left behind. */
static void drop_all(Verify *v)
{
    AdvRows rows;
    static const char sql[] = "SELECT format('DROP INDEX IF EXISTS %I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c"
                              " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                              " WHERE c.relkind IN ('i', 'I') AND NOT c.relispartition AND c.relname ~ '^" PREFIX "[0-9]+$'";
    if (adv_db_query(v->scratch, sql, 0, NULL, &rows) && adv_db_query(v->scratch, sql, 0, NULL, &rows))
        return;
    for (int i = 0; i < rows.n_rows; i++)
        if (!run(v, adv_db_cell(&rows, i, 0)))
            run(v, adv_db_cell(&rows, i, 0)); /* a late cancel request may have hit the first */
    adv_db_free_rows(&rows);
}

static const char *dup_cell(Verify *v, const AdvRows *rows, int row, int column)
{
    const char *cell = adv_db_cell(rows, row, column);
    return adv_arena_strdup(v->app->arena, cell ? cell : "0");
}

static void save(Verify *v)
{
    AdvRows rows;
    static const char sql[] = "SELECT oid, reltuples, relpages, relallvisible, relhasindex FROM pg_catalog.pg_class"
                              " WHERE relkind IN ('r', 'p', 'm') AND relnamespace <> 'pg_catalog'::pg_catalog.regnamespace";
    if (adv_db_query(v->scratch, sql, 0, NULL, &rows))
        return;
    v->saved = ADV_NEW_ARRAY(v->app->arena, Saved, rows.n_rows + 1);
    for (int i = 0; i < rows.n_rows; i++)
        v->saved[v->n_saved++] = (Saved){dup_cell(v, &rows, i, 0), dup_cell(v, &rows, i, 1), dup_cell(v, &rows, i, 2), dup_cell(v, &rows, i, 3),
                                         dup_cell(v, &rows, i, 4)};
    adv_db_free_rows(&rows);
}

/* Only a superuser may write there; for others ANALYZE is the way back, and the report says so. While the indexes are there,
 * relhasindex must stay: the planner looks for none without it. */
static void restore(Verify *v, bool dropped)
{
    v->restored = true;
    for (int i = 0; i < v->n_saved; i++) {
        const Saved *s = &v->saved[i];
        const char *flag = dropped ? adv_arena_printf(v->app->arena, "'%s'::bool", s->has_index) : "relhasindex";
        const char *sql = adv_arena_printf(v->app->arena,
                                           "UPDATE pg_catalog.pg_class SET reltuples = %s, relpages = %s, relallvisible = %s, relhasindex = %s"
                                           " WHERE oid = %s AND (reltuples, relpages, relallvisible, relhasindex) IS DISTINCT FROM"
                                           " (%s::real, %s::int, %s::int, %s)",
                                           s->rows, s->pages, s->visible, flag, s->oid, s->rows, s->pages, s->visible, flag);
        v->restored = run(v, sql) && v->restored;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static bool run_once(Verify *v, const char *sql, double *ret_ms, AdvPlan *ret_plan)
{
    AdvRows rows;
    if (adv_db_query(v->scratch, sql, 0, NULL, &rows))
        return false;
    const char *json = rows.n_rows ? adv_db_cell(&rows, 0, 0) : NULL;
    json_t *root = json ? json_loads(json, 0, NULL) : NULL;
    *ret_ms = json_number_value(json_object_get(json_array_get(root, 0), "Execution Time"));
    bool ok = json && !adv_plan_parse(v->app->arena, json, ret_plan);
    json_decref(root);
    adv_db_free_rows(&rows);
    return ok;
}

/* The median of some runs after one that warms the caches. */
static bool measure(Verify *v, const AdvQuery *q, double *ret_ms, AdvPlan *ret_plan)
{
    const char *sql = adv_arena_printf(v->app->arena, "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) %s", q->bound);
    double times[RUNS], first;
    int n = 0;
    if (!run_once(v, sql, &first, ret_plan))
        return false;
    int runs = first > SLOW_MS ? 1 : RUNS;
    while (n < runs && !interrupted && run_once(v, sql, &times[n], ret_plan))
        n++;
    if (n == 0)
        return false;
    qsort(times, (size_t)n, sizeof(*times), by_value);
    *ret_ms = times[n / 2];
    return true;
}

static void measure_all(Verify *v, bool after)
{
    for (int i = 0; i < v->n_queries && !interrupted; i++) {
        Timed *t = &v->queries[i];
        AdvPlan plan = {0};
        double ms;
        if (t->why_not)
            continue;
        if (!measure(v, t->query, &ms, &plan)) {
            t->why_not = adv_arena_strdup(v->app->arena, interrupted ? "interrupted" : adv_db_error(v->scratch)->message);
            continue;
        }
        *(after ? &t->after_ms : &t->before_ms) = ms;
        AdvText used;
        adv_text_init(&used, v->app->arena);
        for (int k = 0; after && k < v->n_built; k++)
            for (int p = 0; p < plan.n_indexes; p++)
                if (strcmp(plan.indexes[p], v->built[k].name) == 0) {
                    v->built[k].used = true;
                    adv_text_addf(&used, "%s%s", used.len ? ", " : "", v->built[k].finding->name);
                }
        t->used = adv_text_get(&used);
    }
}

static void choose_queries(Verify *v)
{
    const AdvWorkload *w = v->app->workload;
    v->queries = ADV_NEW_ARRAY(v->app->arena, Timed, w->n_queries + 1);
    for (int i = 0; i < w->n_queries; i++) {
        const AdvQuery *q = w->queries[i];
        if (q->foreign_key_check)
            continue;
        Timed *t = &v->queries[v->n_queries++];
        *t = (Timed){.query = q, .before_ms = -1, .after_ms = -1, .used = ""};
        if (q->why_not)
            t->why_not = q->why_not;
        else if (q->facts->kind != ADV_STMT_SELECT || q->facts->locks_rows)
            t->why_not = "only SELECTs are run";
        else if (q->generic)
            t->why_not = "no values are known for its parameters";
        else if (!q->bound)
            t->why_not = "it is not planned";
    }
}

static void build_one(Verify *v, Built *b)
{
    const AdvIndex *def = &b->finding->create->def;
    const char *sql = adv_index_create_text(v->app->catalog, def, b->name, false);
    double start = now_ms();
    if (!run(v, sql)) {
        b->why_not = adv_arena_strdup(v->app->arena, adv_db_error(v->scratch)->message);
        return;
    }
    b->build_ms = now_ms() - start;
    AdvRows rows;
    const AdvIndex named = {.table = def->table, .name = b->name};
    const char *params[] = {adv_index_sql_name(v->app->catalog, &named)};
    static const char size[] = "SELECT greatest(pg_catalog.pg_relation_size($1::pg_catalog.regclass), (SELECT sum(pg_catalog.pg_relation_size(relid))"
                               " FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass)))";
    if (!adv_db_query(v->scratch, size, 1, params, &rows)) {
        const char *cell = rows.n_rows ? adv_db_cell(&rows, 0, 0) : NULL;
        b->bytes = cell ? strtod(cell, NULL) : 0;
        adv_db_free_rows(&rows);
    }
}

static void build(Verify *v)
{
    const AdvReport *r = &v->app->report;
    v->built = ADV_NEW_ARRAY(v->app->arena, Built, r->n_findings + 1);
    for (int i = 0; i < r->n_findings && !interrupted; i++) {
        if (!r->findings[i].create)
            continue;
        Built *b = &v->built[v->n_built++];
        *b = (Built){.finding = &r->findings[i], .name = adv_arena_printf(v->app->arena, PREFIX "%d", i + 1)};
        build_one(v, b);
    }
}

static void sum_up(const Verify *v, double *before, double *after, int *n)
{
    *before = *after = *n = 0;
    for (int i = 0; i < v->n_queries; i++) {
        const Timed *t = &v->queries[i];
        if (t->before_ms < 0 || t->after_ms < 0)
            continue;
        *before += t->query->calls * t->before_ms;
        *after += t->query->calls * t->after_ms;
        (*n)++;
    }
}

static const char *as_text(const Verify *v)
{
    AdvArena *arena = v->app->arena;
    AdvText text;
    adv_text_init(&text, arena);
    for (int i = 0; i < v->n_built; i++) {
        const Built *b = &v->built[i];
        adv_text_addf(&text, "%s on %s %s\n", b->finding->name, b->finding->table, adv_index_columns_text(arena, &b->finding->create->def));
        if (b->why_not)
            adv_text_addf(&text, "    not built: %s\n", b->why_not);
        else
            adv_text_addf(&text, "    %s (estimated %s), built in %s, %s\n", adv_format_bytes(arena, b->bytes), adv_format_bytes(arena, b->finding->bytes),
                          adv_format_seconds(arena, b->build_ms / 1000), b->used ? "used" : "not used by any statement");
    }
    adv_text_addf(&text, "\n%12s %12s %8s   statement\n", "before ms", "after ms", "faster");
    for (int i = 0; i < v->n_queries; i++) {
        const Timed *t = &v->queries[i];
        const char *line = adv_one_line(arena, t->query->text, 90);
        if (t->before_ms < 0 || t->after_ms < 0)
            adv_text_addf(&text, "%12s %12s %8s   %.0f x %s: %s\n", "-", "-", "-", t->query->calls, line, t->why_not ? t->why_not : "interrupted");
        else
            adv_text_addf(&text, "%12.3f %12.3f %7.1fx   %.0f x %s\n", t->before_ms, t->after_ms, t->before_ms / fmax(t->after_ms, 0.001),
                          t->query->calls, line);
    }
    double before, after;
    int n;
    sum_up(v, &before, &after, &n);
    adv_text_addf(&text, "\n%d statements measured: %.1f ms -> %.1f ms, weighted with their calls\n", n, before, after);
    adv_text_add(&text, v->restored ? "Everything was taken back.\n"
                                    : "The indexes were dropped; row counts in pg_class could not be restored without superuser: run ANALYZE there.\n");
    return adv_text_get(&text);
}

static const char *as_json(const Verify *v)
{
    json_t *root = json_object(), *indexes = json_array(), *queries = json_array();
    for (int i = 0; i < v->n_built; i++) {
        const Built *b = &v->built[i];
        json_t *o = json_object();
        json_object_set_new(o, "index", adv_json_text_or_null(b->finding->name));
        json_object_set_new(o, "ddl", adv_json_text_or_null(b->finding->ddl));
        json_object_set_new(o, "bytes", json_real(b->bytes));
        json_object_set_new(o, "bytes_estimated", json_real(b->finding->bytes));
        json_object_set_new(o, "build_ms", json_real(b->build_ms));
        json_object_set_new(o, "used", json_boolean(b->used));
        json_object_set_new(o, "why_not", adv_json_text_or_null(b->why_not));
        json_array_append_new(indexes, o);
    }
    for (int i = 0; i < v->n_queries; i++) {
        const Timed *t = &v->queries[i];
        json_t *o = json_object();
        json_object_set_new(o, "query", adv_json_text_or_null(t->query->text));
        json_object_set_new(o, "origin", adv_json_text_or_null(t->query->origin));
        json_object_set_new(o, "calls", json_real(t->query->calls));
        json_object_set_new(o, "before_ms", t->before_ms < 0 ? json_null() : json_real(t->before_ms));
        json_object_set_new(o, "after_ms", t->after_ms < 0 ? json_null() : json_real(t->after_ms));
        json_object_set_new(o, "uses", adv_json_text_or_null(t->used));
        json_object_set_new(o, "why_not", adv_json_text_or_null(t->why_not));
        json_array_append_new(queries, o);
    }
    double before, after;
    int n;
    sum_up(v, &before, &after, &n);
    json_object_set_new(root, "version", json_integer(VERIFY_VERSION));
    json_object_set_new(root, "measured", json_integer(n));
    json_object_set_new(root, "before_ms", json_real(before));
    json_object_set_new(root, "after_ms", json_real(after));
    json_object_set_new(root, "restored", json_boolean(v->restored));
    json_object_set_new(root, "indexes", indexes);
    json_object_set_new(root, "queries", queries);
    return adv_json_print(v->app->arena, root, 2);
}

static const char *identity(AdvDb *db, AdvArena *arena)
{
    AdvRows rows;
    static const char sql[] = "SELECT pg_catalog.pg_postmaster_start_time()::text || ' ' || oid || ' ' || datname FROM pg_catalog.pg_database"
                              " WHERE datname = pg_catalog.current_database()";
    if (adv_db_query(db, sql, 0, NULL, &rows))
        return "";
    const char *name = rows.n_rows ? adv_arena_strdup(arena, adv_db_cell(&rows, 0, 0)) : "";
    adv_db_free_rows(&rows);
    return name;
}

/* Two names for one database: then it is no scratch database. */
static bool is_the_same(Verify *v)
{
    App *app = v->app;
    return *app->options->dsn && strcmp(identity(app->db, app->arena), identity(v->scratch, app->arena)) == 0;
}

static int verify(Verify *v)
{
    App *app = v->app;
    const char *why;
    if (adv_db_connect_writable(app->arena, app->options->scratch_dsn, &v->scratch, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    if (is_the_same(v))
        return adv_app_fail(ADV_EXIT_USAGE, "--scratch-dsn leads to the database of --dsn\n"
                                            "hint: make a copy for it; verify builds and drops indexes there");
    measured_on = v->scratch;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    drop_all(v);
    save(v);
    choose_queries(v);
    measure_all(v, false);
    build(v);
    restore(v, false); /* plans must not see other row counts than before, only the indexes */
    measure_all(v, true);
    drop_all(v);
    restore(v, true);
    if (adv_db_lost(v->scratch))
        return adv_app_fail(ADV_EXIT_DATABASE, "the connection to the scratch database broke\n"
                                               "hint: indexes named " PREFIX "* may be left there; the next run drops them");
    const char *text = app->options->format == ADV_FORMAT_JSON ? as_json(v) : as_text(v);
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the answer");
    return interrupted ? ADV_EXIT_INTERRUPTED : ADV_EXIT_OK;
}

int adv_command_verify(const AdvOptions *options)
{
    App app;
    AdvOptions own = *options;
    if (!*own.dsn)
        own.dsn = own.scratch_dsn;
    adv_app_open(&app, &own);
    Verify v = {.app = &app};
    int code = adv_app_work(&app);
    app.options = options;
    if (!code)
        code = verify(&v);
    adv_db_close(v.scratch);
    adv_app_close(&app);
    return code;
}
