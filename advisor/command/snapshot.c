/* SPDX-License-Identifier: ISC */
/* snapshot.c - advisor snapshot: schema, statistics, sizes and usage of a database as a file. */
#include "advisor/app_priv.h"
#include "advisor/catalog/load.h"
#include "advisor/catalog/snapshot.h"
#include "advisor/command/command.h"

#include <stdio.h>

static int work(App *app)
{
    const char *why;
    if (adv_db_connect(app->arena, app->options->dsn, &app->db, &why) || adv_load_schema(app->db, app->catalog, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    /* Whatever statements will come, their tables must be there with all that is known of them. */
    for (int i = 0; i < app->catalog->n_tables; i++)
        app->catalog->tables[i]->referenced = true;
    if (adv_load_statistics(app->db, app->catalog, &why))
        return adv_app_fail(ADV_EXIT_DATABASE, why);
    if (fputs(adv_snapshot_write(app->catalog, app->options->redact), stdout) == EOF || fflush(stdout) == EOF)
        return adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the snapshot");
    return ADV_EXIT_OK;
}

int adv_command_snapshot(const AdvOptions *options)
{
    App app;
    adv_app_open(&app, options);
    int code = work(&app);
    adv_app_close(&app);
    return code;
}
