/* SPDX-License-Identifier: ISC */
/* app.h - the pipeline: sources, catalog, facts, candidates, costs, selection, report. */
#ifndef ADVISOR_APP_H
#define ADVISOR_APP_H

#include <stdbool.h>

#include "advisor/arena.h"
#include "advisor/source/filter.h"
#include "poolwise/str.h"

typedef enum AdvFormat { ADV_FORMAT_TEXT, ADV_FORMAT_JSON, ADV_FORMAT_SQL, ADV_FORMAT_SARIF, ADV_FORMAT_MARKDOWN, ADV_FORMAT_HTML, ADV_FORMAT_COUNT } AdvFormat;

/* How bad what check finds is. */
typedef enum AdvLevel { ADV_LEVEL_NONE, ADV_LEVEL_NOTE, ADV_LEVEL_WARNING, ADV_LEVEL_ERROR, ADV_LEVEL_COUNT } AdvLevel;

typedef struct AdvOptions {
    PwStrList logs; /* files, patterns, directories */
    AdvFilterOptions filter;
    PwStrList poolers;   /* consoles */
    const char *store;   /* where summaries are kept; NULL: nowhere */
    const char *origin;  /* what a summary that is stored is called; NULL: by the host */
    unsigned jobs;  /* threads that read logs; 0: one a core */
    const char *output; /* of collect and merge; NULL: standard output */
    PwStrList sql_files;
    PwStrList migrations; /* scripts that check looks at */
    PwStrList replica_dsns; /* servers whose index usage counts too */
    const char *dsn; /* "": libpq's defaults and environment */
    const char *schema;   /* file of DDL instead of a database; NULL: none */
    const char *snapshot; /* file instead of a database; NULL: none */
    bool redact;     /* no values of statements or rows in what is written */
    bool values;     /* keep them in Markdown and HTML too */
    bool statements; /* read pg_stat_statements of the database */
    const char *scratch_dsn; /* where verify builds; NULL: not given */
    AdvLevel fail_on; /* of check */
    AdvFormat format;
    double budget;   /* bytes; 0: none */
    double budget_share; /* of the size of the database, in its place; 0: none */
    double max_write_penalty; /* share of the workload's cost that the upkeep of new indexes may take; 0: no limit */
    int max_indexes; /* 0: no limit */
    int connections; /* over which plans are asked for at once; 0: as many as are worth it */
    int max_calls;   /* plans that the search may ask for; 0: no limit */
    double time_limit; /* seconds of the search; 0: the default */
    bool curve;      /* cost against size, and the order to build in */
    double min_gain; /* share; -1: the default */
    bool no_hypopg;
    bool no_sample; /* never look at rows */
} AdvOptions;

/* Exit codes of the program. */
enum {
    ADV_EXIT_OK = 0,
    ADV_EXIT_PROBLEMS = 1, /* check and diff found something */
    ADV_EXIT_USAGE = 2,    /* wrong options */
    ADV_EXIT_INPUT = 3,    /* a log or script cannot be read, or holds nothing to advise on */
    ADV_EXIT_DATABASE = 4, /* the database cannot be reached or read */
    ADV_EXIT_INTERNAL = 70,
    ADV_EXIT_INTERRUPTED = 130 /* what was read until then is reported all the same */
};

/* Prints the report to stdout and problems to stderr; returns the exit code. */
int adv_app_report(const AdvOptions *options);

#endif
