/* SPDX-License-Identifier: ISC */
/* app_sources.c - the first step: what ran, from wherever the user says. */
#include "advisor/app_priv.h"

#include <stdlib.h>

#include "advisor/source/console.h"
#include "advisor/source/pour.h"
#include "advisor/source/source.h"
#include "advisor/source/statements.h"
#include "advisor/source/store.h"

static void on_note(void *arg, const char *note)
{
    App *app = arg;
    adv_report_note(&app->report, adv_arena_strdup(app->arena, note));
}

/* Takes over a message that is on the heap. */
static int fail_with(App *app, int code, char *why)
{
    const char *own = adv_arena_strdup(app->arena, why);
    free(why);
    return adv_app_fail(code, own);
}

/* Scripts of SQL go another way: nothing ran yet, and each text counts. */
static int read_scripts(App *app, const AdvFiles *scripts)
{
    const char *note, *why;
    for (size_t i = 0; i < scripts->n; i++) {
        if (adv_source_sql_file(app->workload, scripts->items[i].path, &note, &why))
            return adv_app_fail(ADV_EXIT_INPUT, why);
        if (note)
            adv_report_note(&app->report, note);
    }
    return ADV_EXIT_OK;
}

static int read_files(App *app, AdvFiles *files, bool scripts_too)
{
    AdvFiles scripts = {0};
    char *why;
    if (scripts_too)
        adv_files_take_scripts(files, &scripts);
    PwErr err = adv_gather_files(app->gather, files, &why);
    int code = err ? fail_with(app, ADV_EXIT_INPUT, why) : read_scripts(app, &scripts);
    adv_files_finish(&scripts);
    return code;
}

int adv_app_read_logs(App *app, bool scripts_too)
{
    AdvFiles files;
    char *why;
    if (adv_filter_create(&app->options->filter, &app->filter, &why))
        return fail_with(app, ADV_EXIT_USAGE, why);
    app->gather = adv_gather_create(app->filter, app->options->jobs, true);
    if (adv_files_expand(&app->options->logs, &files, &why))
        return fail_with(app, ADV_EXIT_INPUT, why);
    int code = read_files(app, &files, scripts_too);
    adv_files_finish(&files);
    return code;
}

static int read_pooler(App *app, const char *conninfo)
{
    AdvDb *console;
    const char *note = NULL, *why;
    if (adv_db_connect_console(app->arena, conninfo, &console, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    PwErr err = adv_source_console(adv_gather_tally(app->gather), app->filter, app->arena, console, &note, &why);
    adv_db_close(console);
    if (note)
        adv_report_note(&app->report, note);
    return err ? adv_app_fail(ADV_EXIT_DATABASE, why) : ADV_EXIT_OK;
}

int adv_app_read_poolers(App *app)
{
    int code = ADV_EXIT_OK;
    for (size_t i = 0; !code && i < app->options->poolers.n; i++)
        code = read_pooler(app, app->options->poolers.items[i]);
    return code;
}

int adv_app_read_store(App *app)
{
    AdvDb *db;
    const char *note = NULL, *why;
    if (!app->options->store)
        return ADV_EXIT_OK;
    if (adv_filter_asks_entries(app->filter))
        return adv_app_fail(ADV_EXIT_USAGE, "summaries of a store can no longer be filtered by time, database, user or application: do that when they are collected");
    if (adv_db_connect(app->arena, app->options->store, &db, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    PwErr err = adv_store_read(db, app->arena, adv_gather_tally(app->gather), &note, &why);
    adv_db_close(db);
    if (note)
        adv_report_note(&app->report, note);
    return err ? adv_app_fail(ADV_EXIT_DATABASE, why) : ADV_EXIT_OK;
}

int adv_app_read_sources(App *app)
{
    const char *note, *why;
    int code = adv_app_read_logs(app, true);
    if (!code)
        code = adv_app_read_poolers(app);
    if (!code)
        code = adv_app_read_store(app);
    for (size_t i = 0; !code && i < app->options->sql_files.n; i++) {
        if (adv_source_sql_file(app->workload, app->options->sql_files.items[i], &note, &why))
            return adv_app_fail(ADV_EXIT_INPUT, why);
        if (note)
            adv_report_note(&app->report, note);
    }
    return code;
}

int adv_app_read_statements(App *app)
{
    const char *note, *why;
    if (adv_source_statements(adv_gather_tally(app->gather), app->arena, app->db, &note, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    if (note)
        adv_report_note(&app->report, note);
    return ADV_EXIT_OK;
}

void adv_app_pour(App *app)
{
    if (app->gather)
        adv_pour(app->workload, adv_gather_tally(app->gather), app->filter, on_note, app);
}
