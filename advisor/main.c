/* SPDX-License-Identifier: ISC */
/* main.c - the command line of the advisor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/app.h"
#include "poolwise/cli.h"

#ifndef POOLWISE_VERSION
#define POOLWISE_VERSION "development"
#endif

enum { OPT_LOG = 1, OPT_SQL, OPT_DSN, OPT_FORMAT, OPT_BUDGET, OPT_MAX_INDEXES, OPT_MIN_GAIN, OPT_NO_HYPOPG, OPT_HELP, OPT_VERSION };

static const PwCliRow rows[] = {
    {OPT_LOG, 0, "log", "FILE", "query log of the pooler (query_log = FILE in pooler.ini); may be repeated"},
    {OPT_SQL, 0, "sql", "FILE", "SQL script, - for standard input; \"-- weight: N\" before a statement: it runs N times"},
    {OPT_DSN, 0, "dsn", "CONNINFO", "database to advise: libpq conninfo or URI; default: PGHOST, PGDATABASE, ..."},
    {OPT_FORMAT, 0, "format", "FORMAT", "text (default), json or sql"},
    {OPT_BUDGET, 0, "budget", "SIZE", "space for new indexes together, as 500MB or 2GB; default: no limit"},
    {OPT_MAX_INDEXES, 0, "max-indexes", "N", "at most N new indexes"},
    {OPT_MIN_GAIN, 0, "min-gain", "PCT", "an index that halves no statement must save this percentage of all (0.5; with --budget 0.02)"},
    {OPT_NO_HYPOPG, 0, "no-hypopg", NULL, "do not use the extension HypoPG; costs come from the advisor's own model"},
    {OPT_HELP, 'h', "help", NULL, "show this help"},
    {OPT_VERSION, 'V', "version", NULL, "show the version"},
};

static const PwCli cli = {
    .program = "advisor report",
    .usage = "[--log FILE]... [--sql FILE]... [OPTION]...",
    .summary = "Says which indexes to create and which to drop, from the queries that really run. Changes nothing.",
    .rows = rows,
    .n_rows = PW_ARRAY_LEN(rows),
    .epilog = "Examples:\n"
              "  advisor report --log /var/log/poolwise/queries.jsonl --dsn \"host=db1 dbname=shop\"\n"
              "  advisor report --sql slow.sql --dsn postgresql://me@db1/shop --budget 2GB\n"
              "  advisor report --sql slow.sql --dsn dbname=shop --format sql > indexes.sql && psql -f indexes.sql shop\n"
              "  echo \"SELECT * FROM orders WHERE customer_id = 7\" | advisor report --sql - --dsn dbname=shop\n"
              "\n"
              "Exit status: 0 advice printed (also when there is nothing to do), 2 wrong options, 3 a log or script\n"
              "cannot be read, 4 the database cannot be reached or read, 70 internal error.\n"
              "The database session is read-only. With the extension HypoPG in the database costs come from its own\n"
              "planner (CREATE EXTENSION hypopg; by you: the advisor never creates anything).\n",
};

static const struct {
    const char *name;
    AdvFormat format;
} formats[] = {{"text", ADV_FORMAT_TEXT}, {"json", ADV_FORMAT_JSON}, {"sql", ADV_FORMAT_SQL}};

/* "500MB", "2 GB", "8192": bytes; -1 when it is none. */
static double parse_size(const char *text)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"", 1}, {"B", 1}, {"kB", 1024}, {"KB", 1024}, {"MB", 1024.0 * 1024}, {"GB", 1024.0 * 1024 * 1024},
                 {"TB", 1024.0 * 1024 * 1024 * 1024}, {"k", 1024}, {"M", 1024.0 * 1024}, {"G", 1024.0 * 1024 * 1024}};
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value > 0) || value > 1e15)
        return -1;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < PW_ARRAY_LEN(units); i++)
        if (strcmp(end, units[i].suffix) == 0)
            return value * units[i].factor;
    return -1;
}

typedef struct CommandLine {
    AdvOptions options;
    bool help, version;
} CommandLine;

static PwErr on_option(void *arg, int id, const char *value, char *why, size_t why_size)
{
    CommandLine *line = arg;
    AdvOptions *o = &line->options;
    char *end;
    switch (id) {
    case OPT_LOG:
        pw_str_list_add(&o->logs, value, strlen(value));
        return PW_OK;
    case OPT_SQL:
        pw_str_list_add(&o->sql_files, value, strlen(value));
        return PW_OK;
    case OPT_DSN:
        o->dsn = value;
        return PW_OK;
    case OPT_FORMAT:
        for (size_t i = 0; i < PW_ARRAY_LEN(formats); i++)
            if (strcmp(formats[i].name, value) == 0) {
                o->format = formats[i].format;
                return PW_OK;
            }
        snprintf(why, why_size, "must be text, json or sql");
        return PW_ERR_RANGE;
    case OPT_BUDGET:
        o->budget = parse_size(value);
        if (o->budget > 0)
            return PW_OK;
        snprintf(why, why_size, "must be a size such as 500MB or 2GB");
        return PW_ERR_RANGE;
    case OPT_MAX_INDEXES:
        o->max_indexes = (int)strtol(value, &end, 10);
        if (*value && !*end && o->max_indexes > 0)
            return PW_OK;
        snprintf(why, why_size, "must be a whole number above 0");
        return PW_ERR_RANGE;
    case OPT_MIN_GAIN:
        o->min_gain = strtod(value, &end) / 100;
        if (*value && (!*end || strcmp(end, "%") == 0) && o->min_gain >= 0 && o->min_gain <= 1)
            return PW_OK;
        snprintf(why, why_size, "must be a percentage from 0 to 100");
        return PW_ERR_RANGE;
    case OPT_NO_HYPOPG:
        o->no_hypopg = true;
        return PW_OK;
    case OPT_HELP:
        line->help = true;
        return PW_OK;
    case OPT_VERSION:
        line->version = true;
        return PW_OK;
    default:
        return PW_ERR_UNKNOWN_KEY;
    }
}

static int usage_error(const char *why)
{
    fprintf(stderr, "advisor: %s\nhint: see \"advisor --help\"\n", why);
    return ADV_EXIT_USAGE;
}

static int run(int argc, char **argv, CommandLine *line)
{
    char why[512];
    int operand;
    if (pw_cli_parse(&cli, argc, argv, on_option, line, &operand, why, sizeof(why)))
        return usage_error(why);
    if (line->help) {
        char *help = pw_cli_help(&cli);
        fputs(help, stdout);
        free(help);
        return ADV_EXIT_OK;
    }
    if (line->version) {
        printf("advisor (Poolwise) " POOLWISE_VERSION "\n");
        return ADV_EXIT_OK;
    }
    if (operand >= argc)
        return usage_error("say what to do: advisor report --log FILE --dsn CONNINFO");
    if (strcmp(argv[operand], "report") != 0) {
        snprintf(why, sizeof(why), "unknown command \"%.100s\"; there is: report", argv[operand]);
        return usage_error(why);
    }
    if (operand + 1 < argc) {
        snprintf(why, sizeof(why), "\"%.200s\" is not an option; give files with --log or --sql", argv[operand + 1]);
        return usage_error(why);
    }
    if (line->options.logs.n == 0 && line->options.sql_files.n == 0)
        return usage_error("no workload: give a query log with --log or a script with --sql");
    return adv_app_report(&line->options);
}

int main(int argc, char **argv)
{
    CommandLine line = {.options = {.dsn = "", .min_gain = -1}};
    int code = run(argc, argv, &line);
    pw_str_list_finish(&line.options.logs);
    pw_str_list_finish(&line.options.sql_files);
    return code;
}
