/* SPDX-License-Identifier: ISC */
/* app_sessions.c - further sessions with the database: HypoPG's indexes belong to a session, so each lane of the oracle has its own. */
#include <math.h>

#include "advisor/app_priv.h"
#include "advisor/lanes.h"

#define CONNECTIONS_DEFAULT 4
#define STATEMENTS_A_LANE 5 /* fewer are planned before a connection is open */

int adv_app_lanes(const App *app)
{
    int n = 0, wanted = app->options->connections;
    for (int q = 0; q < app->workload->n_queries; q++)
        n += app->workload->queries[q]->facts && !app->workload->queries[q]->why_not;
    if (wanted <= 0)
        wanted = n < STATEMENTS_A_LANE * CONNECTIONS_DEFAULT ? n / STATEMENTS_A_LANE : CONNECTIONS_DEFAULT;
    wanted = wanted < n ? wanted : n;
    return wanted < 1 ? 1 : wanted < ADV_LANES_MAX ? wanted : ADV_LANES_MAX;
}

void adv_app_open_sessions(App *app)
{
    int wanted = adv_app_lanes(app) - 1;
    const char *why;
    app->more = ADV_NEW_ARRAY(app->arena, AdvMoreSession, wanted + 1);
    while (app->db && app->n_more < wanted) {
        if (adv_db_connect(app->arena, app->options->dsn, &app->more[app->n_more].db, &why)) {
            adv_report_note(&app->report, adv_arena_printf(app->arena, "plans were asked for over %d connection%s instead of %d: %s", app->n_more + 1,
                                                           app->n_more ? "s" : "", wanted + 1, why));
            return;
        }
        app->n_more++;
    }
}

void adv_app_use_hypopg(App *app)
{
    const char *why;
    for (int i = 0; i < app->n_more && app->hypopg; i++) {
        AdvMoreSession *more = &app->more[i];
        if (adv_hypopg_create(adv_arena_create_under(app->arena), more->db, app->catalog, &more->hypopg, &why))
            more->hypopg = NULL; /* the others do its work */
    }
}

bool adv_app_lost(const App *app)
{
    bool lost = app->db && adv_db_lost(app->db);
    for (int i = 0; i < app->n_more; i++)
        lost = lost || adv_db_lost(app->more[i].db);
    return lost;
}

void adv_app_close_sessions(App *app)
{
    adv_hypopg_finish(app->hypopg);
    adv_db_close(app->db);
    for (int i = 0; i < app->n_more; i++) {
        adv_hypopg_finish(app->more[i].hypopg);
        adv_db_close(app->more[i].db);
    }
    app->n_more = 0;
}
