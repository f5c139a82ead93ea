/* SPDX-License-Identifier: ISC */
/* collect.c - advisor collect and advisor merge: what ran, as a summary that reports and further merges read like a log. */
#include "advisor/app_priv.h"
#include "advisor/command/command.h"
#include "advisor/source/pour.h"
#include "advisor/source/store.h"
#include "advisor/source/summary.h"
#include "poolwise/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Whoever reads the file while it is written anew sees the old one or the new one, never half of it. */
static int write_file(App *app, const char *path, const PwBuf *out)
{
    char *temporary = adv_arena_printf(app->arena, "%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(temporary, "wxe");
    bool written = file && fwrite(out->data, 1, out->len, file) == out->len;
    written = file && fclose(file) == 0 && written;
    if (written && rename(temporary, path) == 0)
        return ADV_EXIT_OK;
    const char *why = adv_arena_printf(app->arena, "cannot write %s: %s", path, strerror(errno));
    if (file)
        unlink(temporary);
    return adv_app_fail(ADV_EXIT_INTERNAL, why);
}

static int write_summary(App *app)
{
    PwBuf out;
    int code = ADV_EXIT_OK;
    pw_buf_init(&out);
    adv_summary_write(adv_gather_tally(app->gather), app->options->redact, &out);
    if (app->options->output)
        code = write_file(app, app->options->output, &out);
    else if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) == EOF)
        code = adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the summary");
    pw_buf_finish(&out);
    return code;
}

static int store(App *app)
{
    char host[256] = "";
    const char *why, *origin = app->options->origin;
    if (!origin && gethostname(host, sizeof(host) - 1) == 0)
        origin = host;
    AdvDb *db;
    if (adv_db_connect_writable(app->arena, app->options->store, &db, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    PwErr err = adv_store_write(db, app->arena, adv_gather_tally(app->gather), app->options->redact, origin ? origin : "", &why);
    adv_db_close(db);
    return err ? adv_app_fail(ADV_EXIT_DATABASE, why) : ADV_EXIT_OK;
}

static void print_note(void *arg, const char *note)
{
    (void)arg;
    fprintf(stderr, "advisor: %s\n", note);
}

static int work(App *app, bool merge)
{
    const char *why;
    int code = adv_app_read_logs(app, false);
    if (!code)
        code = merge ? adv_app_read_store(app) : adv_app_read_poolers(app);
    if (!code && app->options->statements) {
        if (adv_db_connect(app->arena, app->options->dsn, &app->db, &why))
            return adv_app_fail(ADV_EXIT_DATABASE, why);
        code = adv_app_read_statements(app);
    }
    if (!code)
        adv_tell_notes(adv_gather_tally(app->gather), print_note, NULL);
    for (int i = 0; !code && i < app->report.n_notes; i++)
        print_note(NULL, app->report.notes[i]);
    if (!code && app->options->store && !merge)
        code = store(app);
    if (!code && (merge || !app->options->store || app->options->output))
        code = write_summary(app);
    return !code && adv_gather_interrupted(app->gather) ? ADV_EXIT_INTERRUPTED : code;
}

static int run(const AdvOptions *options, bool merge)
{
    App app;
    adv_app_open(&app, options);
    int code = work(&app, merge);
    adv_app_close(&app);
    return code;
}

int adv_command_collect(const AdvOptions *options)
{
    return run(options, false);
}

int adv_command_merge(const AdvOptions *options)
{
    return run(options, true);
}
