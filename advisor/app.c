/* SPDX-License-Identifier: ISC */
#include "advisor/app_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "advisor/candidate/generate.h"
#include "advisor/catalog/load.h"
#include "advisor/catalog/replica.h"
#include "advisor/catalog/snapshot.h"
#include "advisor/cost/model.h"
#include "advisor/cost/sample.h"
#include "advisor/cost/write_cost.h"
#include "advisor/lanes.h"
#include "advisor/report/redact.h"
#include "advisor/report/terminal.h"
#include "advisor/select/cover.h"
#include "advisor/select/curve.h"
#include "advisor/source/file.h"
#include "advisor/sql/schema.h"
#include "advisor/text.h"
#include "poolwise/fingerprint.h"

#define SEARCH_SECONDS 120.0
#define NAMES_SHOWN 5
#define CLAMP 20.0             /* a statement's time per unit of cost is at most this far from the median */

int adv_app_fail(int code, const char *why)
{
    fprintf(stderr, "advisor: %s\n", why);
    return code;
}

static int read_replicas(App *app)
{
    for (size_t i = 0; i < app->options->replica_dsns.n; i++) {
        AdvDb *db;
        const char *why;
        if (adv_db_connect(app->arena, app->options->replica_dsns.items[i], &db, &why))
            return adv_app_fail(ADV_EXIT_DATABASE, why);
        PwErr err = adv_load_replica_usage(db, app->catalog, &why);
        adv_db_close(db);
        if (err)
            return adv_app_fail(ADV_EXIT_DATABASE, why);
    }
    return ADV_EXIT_OK;
}

/* A snapshot or a schema in the place of a database. */
static int read_file(App *app)
{
    const char *why, *note = NULL, *path = app->options->snapshot ? app->options->snapshot : app->options->schema;
    char *text = adv_file_read(app->arena, path, &why);
    if (!text)
        return adv_app_fail(ADV_EXIT_INPUT, why);
    PwErr err = app->options->snapshot ? adv_snapshot_read(app->catalog, text, &why) : adv_schema_read(app->catalog, text, &note, &why);
    free(text);
    if (err)
        return adv_app_fail(ADV_EXIT_INPUT, adv_arena_printf(app->arena, "%s: %s", path, why));
    if (note)
        adv_report_note(&app->report, note);
    adv_app_pour(app);
    adv_workload_analyse(app->workload, app->catalog);
    adv_workload_add_fk_checks(app->workload, app->catalog);
    adv_report_note(&app->report, app->options->snapshot ? "no server was asked: schema and statistics are those of the snapshot, costs come from the "
                                                           "advisor's own model"
                                                         : "only the schema is known: sizes and values are assumed, costs come from the advisor's own "
                                                           "model; advisor snapshot gives the real ones");
    return read_replicas(app);
}

int adv_app_read_database(App *app)
{
    const char *why;
    if (app->options->snapshot || app->options->schema)
        return read_file(app);
    if (adv_db_connect(app->arena, app->options->dsn, &app->db, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    if (app->options->statements) {
        int code = adv_app_read_statements(app);
        if (code)
            return code;
    }
    adv_app_pour(app);
    if (adv_load_schema(app->db, app->catalog, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    adv_workload_analyse(app->workload, app->catalog);
    adv_workload_add_fk_checks(app->workload, app->catalog);
    if (adv_load_statistics(app->db, app->catalog, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    return read_replicas(app);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* With measured times the objective is milliseconds: a statement's weight turns its cost into the time it took.
 * Lock waits and cold caches would make single statements look too heavy, hence the clamp. */
static void set_weights(AdvWorkload *w)
{
    double *ratios = ADV_NEW_ARRAY(w->arena, double, w->n_queries + 1);
    int n = 0;
    for (int i = 0; i < w->n_queries; i++) {
        const AdvQuery *q = w->queries[i];
        if (q->bound && q->cost_today > 0 && q->total_ms > 0 && q->calls > 0)
            ratios[n++] = q->total_ms / q->calls / q->cost_today;
    }
    w->unit = 1;
    if (n > 0) {
        qsort(ratios, (size_t)n, sizeof(*ratios), compare_doubles);
        w->unit = ratios[n / 2];
    }
    for (int i = 0; i < w->n_queries; i++) {
        AdvQuery *q = w->queries[i];
        double ratio = w->unit;
        if (!q->bound || q->cost_today <= 0)
            continue;
        if (q->total_ms > 0 && q->calls > 0)
            ratio = fmin(fmax(q->total_ms / q->calls / q->cost_today, w->unit / CLAMP), w->unit * CLAMP);
        q->weight = q->calls * ratio;
    }
}

static void note_unparsed(App *app)
{
    const AdvWorkload *w = app->workload;
    double calls = 0, ms = 0;
    for (int i = 0; i < w->n_queries; i++) {
        calls += w->queries[i]->foreign_key_check ? 0 : w->queries[i]->calls;
        ms += w->queries[i]->total_ms;
    }
    if (w->unparsed < 1)
        return;
    const char *share = calls > 0 ? adv_arena_printf(app->arena, "%.1f %% of the calls", 100 * w->unparsed_calls / calls) : "no call";
    if (ms > 0)
        share = adv_arena_printf(app->arena, "%s, %.1f %% of the measured time", share, 100 * w->unparsed_ms / ms);
    adv_report_note(&app->report, adv_arena_printf(app->arena, "%.0f statements (%s) do not parse and are not considered, the first: %s", w->unparsed, share,
                                                   w->first_unparsed));
}

static void note_statistics(App *app)
{
    for (int i = 0; i < app->catalog->n_tables; i++) {
        const AdvTable *t = app->catalog->tables[i];
        if (!t->referenced || (t->kind != 'r' && t->kind != 'm'))
            continue;
        bool has = false;
        for (int c = 0; c < t->n_columns; c++)
            has = has || t->columns[c].has_stats;
        if (!has && t->rows == 0 && t->n_children == 0) /* the rows may be those of its heirs */
            adv_report_note(&app->report,
                            adv_arena_printf(app->arena, "%s is empty or was never analysed: run ANALYZE %s and ask again",
                                             t->name, adv_table_sql_name(app->catalog, t)));
    }
    note_unparsed(app);
    if (app->workload->unlogged_calls > 0)
        adv_report_note(&app->report,
                        adv_arena_printf(app->arena, "%.0f calls are in the log without their text and are not considered",
                                         app->workload->unlogged_calls));
}

static void note_locked(App *app)
{
    if (app->catalog->n_locked > 0)
        adv_report_note(&app->report, adv_arena_printf(app->arena, "%d tables and indexes are held exclusively by somebody (a migration, REINDEX): they and all views are "
                                                       "left out; ask again later",
                                                       app->catalog->n_locked));
}

static void note_unreadable(App *app)
{
    AdvText names;
    adv_text_init(&names, app->arena);
    int n = 0;
    for (int i = 0; i < app->catalog->n_tables; i++) {
        const AdvTable *t = app->catalog->tables[i];
        if (!t->referenced || t->readable)
            continue;
        if (n++ < NAMES_SHOWN)
            adv_text_addf(&names, "%s%s", n > 1 ? ", " : "", t->name);
    }
    if (n == 0)
        return;
    adv_report_note(&app->report, adv_arena_printf(app->arena, "the role %s may not read %s%s: their statistics are hidden and statements on them cannot "
                                                   "be planned; GRANT pg_read_all_data TO it, or SELECT on them",
                                                   app->catalog->role, adv_text_get(&names), n > NAMES_SHOWN ? ", ..." : ""));
}

/* Tables of the workload that advice cannot be given on as they stand. */
static void note_odd_tables(App *app)
{
    for (int i = 0; i < app->catalog->n_tables; i++) {
        const AdvTable *t = app->catalog->tables[i];
        if (!t->referenced)
            continue;
        if (t->kind == 'f')
            adv_report_note(&app->report, adv_arena_printf(app->arena, "%s is a foreign table: indexes are made on its own server; ask for advice there",
                                                           t->name));
        if (t->policies_passed_over)
            adv_report_note(&app->report, adv_arena_printf(app->arena, "%s has row security, which does not apply to the role %s: other roles' statements are also checked against its "
                                                           "policies, and an index serves them only by operators that are leakproof; ask with --dsn as one of those roles",
                                                           t->name, app->catalog->role));
        if (t->kind == 'r' && t->n_children > 0)
            adv_report_note(&app->report, adv_arena_printf(app->arena, "%s inherits from %s: an index on %s does not hold its rows; each heir needs its own. To have advice for it, "
                                                           "ask about the statement with %s in the place of %s",
                                                           t->children[0]->name, t->name, t->name, t->children[0]->name, t->name));
    }
}

static void note_builds(App *app)
{
    for (int t = 0; t < app->catalog->n_tables; t++)
        for (int i = 0; i < app->catalog->tables[t]->n_indexes; i++) {
            const AdvIndex *index = app->catalog->tables[t]->indexes[i];
            if (index->building)
                adv_report_note(&app->report, adv_arena_printf(app->arena, "the index %s is not valid, and something works on its "
                                                               "table: if nothing builds it, ask again later",
                                                               index->name));
        }
}

static const AdvCostBackend *choose_backend(App *app)
{
    const char *why;
    app->report.model_why = app->options->snapshot      ? "the snapshot's statistics"
                            : app->options->schema      ? "assumed statistics"
                            : app->options->no_hypopg   ? "the server's statistics (--no-hypopg)"
                            : app->catalog->has_hypopg  ? "the server's statistics (HypoPG cannot be used)"
                                                        : "the server's statistics (HypoPG is not installed)";
    if (!app->options->no_hypopg && !app->catalog->offline) {
        if (!adv_hypopg_create(app->arena, app->db, app->catalog, &app->hypopg, &why))
            return adv_hypopg_backend(app->hypopg);
        adv_report_note(&app->report, adv_arena_printf(app->arena, "costs come from the advisor's own model: %s", why));
    }
    return adv_model_create(app->arena, app->catalog);
}

/* The model asks nobody: all its lanes share it. */
static void add_lanes(App *app, AdvOracle *oracle, const AdvCostBackend *backend)
{
    for (int i = 1; !app->hypopg && i < adv_app_lanes(app); i++)
        adv_oracle_add_lane(oracle, backend);
    for (int i = 0; i < app->n_more; i++)
        if (app->more[i].hypopg)
            adv_oracle_add_lane(oracle, adv_hypopg_backend(app->more[i].hypopg));
}

static void plan_today(App *app)
{
    AdvDb *sessions[ADV_LANES_MAX] = {app->db};
    int n = 1;
    for (int i = 0; i < app->n_more && n < ADV_LANES_MAX; i++)
        sessions[n++] = app->more[i].db;
    adv_plan_today(sessions, n, app->catalog, app->workload);
}

/* What the sample has shown to be no use. */
static int without_coarse(const AdvPool *pool, int *ids, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!adv_candidate_is_coarse(&pool->items[ids[i]]->def))
            ids[kept++] = ids[i];
    return kept;
}

/* Of all tables and indexes, whoever uses them. */
static double database_bytes(const AdvCatalog *catalog)
{
    double bytes = 0;
    for (int t = 0; t < catalog->n_tables; t++) {
        const AdvTable *table = catalog->tables[t];
        if (table->kind == 'r' || table->kind == 'm')
            bytes += fmax(table->pages > 0 ? table->pages : table->size_pages, 0) * ADV_BLOCK_SIZE;
        for (int i = 0; i < table->n_indexes; i++)
            bytes += fmax(table->indexes[i]->bytes, 0);
    }
    return bytes;
}

static AdvSearchLimits search_limits(const App *app)
{
    const AdvOptions *o = app->options;
    AdvSearchLimits limits = {.budget = o->budget, .max_indexes = o->max_indexes, .min_gain = o->min_gain, .max_write = o->max_write_penalty,
                              .max_seconds = o->time_limit > 0 ? o->time_limit : SEARCH_SECONDS, .curve = o->curve};
    if (o->budget_share > 0) /* a byte at least: a budget it is */
        limits.budget = fmax(o->budget_share * database_bytes(app->catalog), 1);
    return limits;
}

void adv_app_advise(App *app)
{
    AdvWorkload *w = app->workload;
    AdvReport *report = &app->report;
    const AdvOptions *options = app->options;
    adv_app_open_sessions(app);
    const AdvCostBackend *backend = choose_backend(app);
    adv_app_use_hypopg(app);
    if (app->catalog->offline)
        adv_plan_offline(app->catalog, w);
    else
        plan_today(app);
    adv_workload_count_fk_checks(w);
    set_weights(w);
    AdvPool *pool = adv_pool_create(app->arena, app->catalog);
    int **ids = ADV_NEW_ARRAY(app->arena, int *, w->n_queries + 1);
    int *n_ids = ADV_NEW_ARRAY(app->arena, int, w->n_queries + 1);
    for (int q = 0; q < w->n_queries; q++)
        if (w->queries[q]->weight > 0)
            adv_generate(pool, w, w->queries[q], &ids[q], &n_ids[q]);
    adv_bound_distinct(app->catalog);
    if (!options->no_sample && app->db)
        adv_sample_tables(app->db, app->catalog, pool);
    for (int q = 0; q < w->n_queries; q++)
        n_ids[q] = without_coarse(pool, ids[q], n_ids[q]);
    for (int i = 0; i < pool->n; i++)
        adv_price(app->catalog, w, w->unit, pool->items[i]);
    AdvOracle *oracle = adv_oracle_create(app->arena, pool, w, backend);
    add_lanes(app, oracle, backend);
    AdvSearchLimits limits = search_limits(app);
    adv_oracle_limit(oracle, (uint64_t)options->max_calls);
    AdvSelection *selection = ADV_NEW(app->arena, AdvSelection);
    adv_search(app->arena, oracle, pool, w, ids, n_ids, &limits, selection);
    if (limits.budget <= 0)
        adv_cover(app->arena, oracle, pool, w, &limits, selection);
    if (limits.budget <= 0 && options->curve)
        adv_curve_end(&selection->curve, selection);
    if (options->curve)
        adv_build_order(app->arena, oracle, pool, w, selection, &report->build_order);
    if (adv_oracle_is_exhausted(oracle))
        adv_report_note(report, adv_arena_printf(app->arena, "the search was stopped after %d plans: there may be a better combination", options->max_calls));
    else if (selection->out_of_time)
        adv_report_note(report, adv_arena_printf(app->arena, "the search for a better combination was stopped after %.0f seconds", limits.max_seconds));
    const AdvCandidate **advised = ADV_NEW_ARRAY(app->arena, const AdvCandidate *, selection->n + 1);
    for (int i = 0; i < selection->n; i++)
        advised[i] = pool->items[selection->ids[i]];
    if (app->hypopg)
        adv_plan_after(app->hypopg, app->arena, w, advised, selection->n);
    AdvDropList drops;
    adv_find_drops(app->arena, app->catalog, w, advised, selection->n, &drops);
    note_statistics(app);
    note_builds(app);
    note_locked(app);
    note_unreadable(app);
    note_odd_tables(app);
    report->catalog = app->catalog;
    report->workload = w;
    report->selection = selection;
    report->cost_source = backend->name;
    report->budget = limits.budget;
    report->health.db = app->db;
    report->health.no_sample = options->no_sample;
    adv_report_build(report, oracle, pool, &drops);
    report->questions = adv_oracle_questions(oracle);
    report->plans = adv_oracle_backend_calls(oracle);
}

static bool is_meant_to_be_shared(AdvFormat format)
{
    return format == ADV_FORMAT_MARKDOWN || format == ADV_FORMAT_HTML;
}

static int print(App *app)
{
    const char *text = "";
    if (app->options->redact || (is_meant_to_be_shared(app->options->format) && !app->options->values))
        adv_report_redact(&app->report);
    switch (app->options->format) {
    case ADV_FORMAT_TEXT:
        text = adv_report_text(&app->report);
        if (adv_terminal_columns() > 0)
            text = adv_for_terminal(app->arena, text, adv_terminal_columns(), adv_terminal_has_colours());
        break;
    case ADV_FORMAT_JSON:
        text = adv_report_json(&app->report);
        break;
    case ADV_FORMAT_SQL:
        text = adv_report_sql(&app->report);
        break;
    case ADV_FORMAT_MARKDOWN:
        text = adv_report_markdown(&app->report);
        break;
    case ADV_FORMAT_HTML:
        text = adv_report_html(&app->report);
        break;
    case ADV_FORMAT_SARIF:
    case ADV_FORMAT_COUNT:
        break;
    }
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the report");
    return ADV_EXIT_OK;
}

void adv_app_open(App *app, const AdvOptions *options)
{
    *app = (App){.options = options, .arena = adv_arena_create()};
    app->catalog = adv_catalog_create(app->arena);
    app->workload = adv_workload_create(app->arena);
    app->report.arena = app->arena;
}

void adv_app_close(App *app)
{
    adv_app_close_sessions(app);
    adv_gather_destroy(app->gather);
    adv_filter_destroy(app->filter);
    adv_arena_destroy(app->arena);
}

int adv_app_work(App *app)
{
    int code = adv_app_read_sources(app);
    if (!code)
        code = adv_app_read_database(app);
    if (code)
        return code;
    adv_app_advise(app);
    if (adv_app_lost(app))
        return adv_app_fail(ADV_EXIT_DATABASE, "the connection to the database broke during the work\nhint: try again");
    return ADV_EXIT_OK;
}

int adv_app_report(const AdvOptions *options)
{
    App app;
    adv_app_open(&app, options);
    int code = adv_app_work(&app);
    if (!code)
        code = print(&app);
    if (!code && adv_gather_interrupted(app.gather))
        code = ADV_EXIT_INTERRUPTED;
    adv_app_close(&app);
    return code;
}
