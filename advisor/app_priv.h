/* SPDX-License-Identifier: ISC */
/* app_priv.h - the pipeline's steps, for the commands that go their own way after some of them. */
#ifndef ADVISOR_APP_PRIV_H
#define ADVISOR_APP_PRIV_H

#include "advisor/app.h"
#include "advisor/cost/hypopg.h"
#include "advisor/report/findings.h"
#include "advisor/source/gather.h"

typedef struct AdvMoreSession {
    AdvDb *db;
    AdvHypopg *hypopg; /* NULL: not used */
} AdvMoreSession;

typedef struct App {
    const AdvOptions *options;
    AdvArena *arena;
    AdvDb *db; /* NULL with a snapshot */
    AdvCatalog *catalog;
    AdvFilter *filter; /* NULL: nothing was read yet */
    AdvGather *gather; /* of logs; NULL: the same */
    AdvWorkload *workload;
    AdvHypopg *hypopg; /* NULL: not used */
    int n_more;        /* further sessions with the database, for plans asked for at once */
    AdvMoreSession *more;
    AdvReport report;
} App;

void adv_app_open(App *app, const AdvOptions *options);
void adv_app_close(App *app);

/* Prints "advisor: why" and returns the code. */
int adv_app_fail(int code, const char *why);

/* In this order; each returns an exit code. */
int adv_app_read_sources(App *app);
int adv_app_read_database(App *app); /* or the snapshot; analyses the statements */
void adv_app_advise(App *app);       /* costs, search, report */

/* app_sessions.c: how many things may go on at once; the sessions for it; each with HypoPG when the first one has it. */
int adv_app_lanes(const App *app);
void adv_app_open_sessions(App *app);
void adv_app_use_hypopg(App *app);
bool adv_app_lost(const App *app); /* one of the connections broke */
void adv_app_close_sessions(App *app);

/* The steps of reading apart, for those that want no report. app_sources.c */
int adv_app_read_logs(App *app, bool scripts_too); /* scripts_too: files named *.sql among them are scripts */
int adv_app_read_poolers(App *app);
int adv_app_read_store(App *app);
int adv_app_read_statements(App *app); /* of the database that the app is connected to */
void adv_app_pour(App *app);           /* from what was read to the workload */

/* All three. */
int adv_app_work(App *app);

#endif
