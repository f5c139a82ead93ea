/* SPDX-License-Identifier: ISC */
#include "advisor/command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/lanes.h"
#include "poolwise/cli.h"

#ifndef POOLWISE_VERSION
#define POOLWISE_VERSION "development"
#endif

enum { OPT_LOG = 1, OPT_SQL, OPT_STATEMENTS, OPT_VALUES, OPT_DSN, OPT_SNAPSHOT, OPT_SCHEMA, OPT_REDACT, OPT_REPLICA_DSN, OPT_FORMAT, OPT_BUDGET, OPT_MAX_INDEXES, OPT_CONNECTIONS, OPT_MAX_CALLS, OPT_TIME_LIMIT, OPT_CURVE, OPT_MIN_GAIN, OPT_MAX_WRITE, OPT_NO_HYPOPG, OPT_NO_SAMPLE, OPT_MIGRATION, OPT_FAIL_ON, OPT_SCRATCH_DSN, OPT_FROM, OPT_TO, OPT_DATABASE, OPT_USER, OPT_APPLICATION, OPT_MIN_CALLS, OPT_MIN_TIME, OPT_INCLUDE, OPT_EXCLUDE, OPT_PREFIX, OPT_JOBS, OPT_OUTPUT, OPT_POOLER, OPT_STORE, OPT_ORIGIN, OPT_HELP, OPT_VERSION };

/* The commands that know an option, by name between blanks; "*": all. */
typedef struct OptionRow {
    PwCliRow cli;
    const char *commands;
} OptionRow;

#define READS_LOGS " report check verify collect "

static const OptionRow rows[] = {
    {{OPT_LOG, 0, "log", "FILE", "log of PostgreSQL, query log of the pooler, CSV of pg_stat_statements or summary of collect, also compressed; a file, a pattern, a directory, or - for standard input; may be repeated"}, " report check verify collect "},
    {{OPT_SQL, 0, "sql", "FILE", "SQL script, - for standard input; \"-- weight: N\" before a statement: it runs N times"}, " report check verify "},
    {{OPT_STATEMENTS, 0, "pg-stat-statements", NULL, "what the extension pg_stat_statements of the database holds"}, " report check verify collect "},
    {{OPT_DSN, 0, "dsn", "CONNINFO", "database to advise: libpq conninfo or URI; default: PGHOST, PGDATABASE, ..."}, " report explain check verify snapshot "},
    {{OPT_DSN, 0, "dsn", "CONNINFO", "database of --pg-stat-statements: libpq conninfo or URI; default: PGHOST, PGDATABASE, ..."}, " collect "},
    {{OPT_SNAPSHOT, 0, "snapshot", "FILE", "what advisor snapshot wrote, instead of a database: nothing is asked"}, " report explain check "},
    {{OPT_SCHEMA, 0, "schema", "FILE", "what pg_dump --schema-only wrote, instead of a database; sizes are assumed"}, " report explain check "},
    {{OPT_REDACT, 0, "redact", NULL, "values in the statistics become numbers of their rank: none leaves the database"}, " snapshot "},
    {{OPT_REDACT, 0, "redact", NULL, "statements without their values (markdown, html: always, unless --values)"}, " report "},
    {{OPT_REDACT, 0, "redact", NULL, "statements without their values"}, " collect merge "},
    {{OPT_FROM, 0, "from", "TIME", "of logs, only what is not before: 2026-01-31, or \"2026-01-31 12:30\", as the log writes it"}, READS_LOGS},
    {{OPT_TO, 0, "to", "TIME", "of logs, only what is not after"}, READS_LOGS},
    {{OPT_DATABASE, 0, "database", "NAME", "of logs, only this database; may be repeated"}, READS_LOGS},
    {{OPT_USER, 0, "user", "NAME", "of logs, only this user; may be repeated"}, READS_LOGS},
    {{OPT_APPLICATION, 0, "application", "NAME", "of logs, only this application_name; may be repeated"}, READS_LOGS},
    {{OPT_MIN_CALLS, 0, "min-calls", "N", "only statements that ran so often"}, " report check verify "},
    {{OPT_MIN_TIME, 0, "min-time", "MS", "only statements that took so many milliseconds together"}, " report check verify "},
    {{OPT_INCLUDE, 0, "include", "REGEX", "only statements that match this extended regular expression; may be repeated"}, " report check verify "},
    {{OPT_EXCLUDE, 0, "exclude", "REGEX", "no statements that match it; may be repeated"}, " report check verify "},
    {{OPT_PREFIX, 0, "log-line-prefix", "PREFIX", "log_line_prefix of the server; without it, it is guessed"}, READS_LOGS},
    {{OPT_JOBS, 0, "jobs", "N", "threads that read logs; default: one a core"}, READS_LOGS},
    {{OPT_POOLER, 0, "pooler", "CONNINFO", "console of a running pooler, as \"host=pool1 port=6432 dbname=pgbouncer\"; may be repeated"}, READS_LOGS},
    {{OPT_STORE, 0, "store", "CONNINFO", "database that keeps summaries of a fleet: all of them are read"}, " report check verify merge "},
    {{OPT_STORE, 0, "store", "CONNINFO", "add the summary to this database (schema poolwise) instead of writing it"}, " collect "},
    {{OPT_ORIGIN, 0, "origin", "NAME", "name of a summary in the store; default: the host's name"}, " collect "},
    {{OPT_OUTPUT, 'o', "output", "FILE", "write to this file instead of standard output"}, " collect merge "},
    {{OPT_VALUES, 0, "values", NULL, "keep the values of statements in markdown and html"}, " report "},
    {{OPT_REPLICA_DSN, 0, "replica-dsn", "CONNINFO", "the same database on another server: scans there count as usage too; may be repeated"}, " report "},
    {{OPT_FORMAT, 0, "format", "FORMAT", "text (default), json, sql, markdown or html (one file, no network)"}, " report "},
    {{OPT_FORMAT, 0, "format", "FORMAT", "text (default) or json"}, " explain diff verify "},
    {{OPT_FORMAT, 0, "format", "FORMAT", "text (default), json or sarif"}, " check "},
    {{OPT_MIGRATION, 0, "migration", "FILE", "script of DDL that is to run on the database; may be repeated"}, " check "},
    {{OPT_FAIL_ON, 0, "fail-on", "LEVEL", "exit with 1 for this level and worse: none, note, warning or error (default)"}, " check "},
    {{OPT_SCRATCH_DSN, 0, "scratch-dsn", "CONNINFO", "a copy of the database to build and measure on; required"}, " verify "},
    {{OPT_BUDGET, 0, "budget", "SIZE", "space for new indexes together, as 500MB, 2GB, or 10% of the database; default: no limit"}, " report explain verify "},
    {{OPT_MAX_INDEXES, 0, "max-indexes", "N", "at most N new indexes"}, " report verify "},
    {{OPT_CONNECTIONS, 0, "connections", "N", "ask for plans over N connections at once; default: up to 4; the advice is the same"}, " report check verify "},
    {{OPT_MAX_CALLS, 0, "max-calls", "N", "at most N plans with hypothetical indexes; the best answer until then stands"}, " report verify "},
    {{OPT_TIME_LIMIT, 0, "time-limit", "SECONDS", "the search ends after so long (120); the best answer until then stands"}, " report verify "},
    {{OPT_CURVE, 0, "curve", NULL, "also print what smaller budgets would bring, and in which order to build"}, " report "},
    {{OPT_MIN_GAIN, 0, "min-gain", "PCT", "an index that halves no statement must save this percentage of all (0.5; with --budget 0.02)"}, " report check verify "},
    {{OPT_MAX_WRITE, 0, "max-write-penalty", "PCT", "keeping the new indexes up to date may cost this percentage of the workload at most"}, " report verify "},
    {{OPT_NO_HYPOPG, 0, "no-hypopg", NULL, "do not use the extension HypoPG; costs come from the advisor's own model"}, " report explain check verify "},
    {{OPT_NO_SAMPLE, 0, "no-sample", NULL, "do not count a sample of rows to find columns that depend on each other"}, " report explain "},
    {{OPT_HELP, 'h', "help", NULL, "show this help"}, "*"},
    {{OPT_VERSION, 'V', "version", NULL, "show the version"}, "*"},
};

static const struct {
    const char *name;
    AdvFormat format;
} formats[] = {{"text", ADV_FORMAT_TEXT}, {"json", ADV_FORMAT_JSON}, {"sql", ADV_FORMAT_SQL}, {"sarif", ADV_FORMAT_SARIF}, {"markdown", ADV_FORMAT_MARKDOWN},
             {"html", ADV_FORMAT_HTML}};

int adv_usage_error(const AdvCommandLine *line, const char *why)
{
    fprintf(stderr, "advisor: %s\nhint: see \"advisor%s%s --help\"\n", why, line->command ? " " : "", line->command ? line->command : "");
    return ADV_EXIT_USAGE;
}

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

/* "10%", "0.5 %": a share above 0; -1 when it is none. */
static double parse_share(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    while (end != text && *end == ' ')
        end++;
    return end != text && strcmp(end, "%") == 0 && value > 0 && value <= 1e6 ? value / 100 : -1;
}

static PwErr set_budget(AdvOptions *o, const char *value, char *why, size_t why_size)
{
    double share = parse_share(value), bytes = parse_size(value);
    o->budget_share = share > 0 ? share : 0;
    o->budget = bytes > 0 ? bytes : 0;
    if (share > 0 || bytes > 0)
        return PW_OK;
    snprintf(why, why_size, "must be a size such as 500MB or 2GB, or a share such as 10%%");
    return PW_ERR_RANGE;
}

static PwErr set_max_write(AdvOptions *o, const char *value, char *why, size_t why_size)
{
    char *end;
    o->max_write_penalty = strtod(value, &end) / 100;
    if (*value && (!*end || strcmp(end, "%") == 0) && o->max_write_penalty > 0 && o->max_write_penalty <= 1e6)
        return PW_OK;
    snprintf(why, why_size, "must be a percentage above 0");
    return PW_ERR_RANGE;
}

static PwErr set_format(AdvCommandLine *line, const char *value, char *why, size_t why_size)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(formats); i++)
        if (strcmp(formats[i].name, value) == 0 && strstr(line->formats, value)) {
            line->options.format = formats[i].format;
            return PW_OK;
        }
    snprintf(why, why_size, "must be %s", line->formats);
    return PW_ERR_RANGE;
}

static PwErr set_fail_on(AdvOptions *o, const char *value, char *why, size_t why_size)
{
    static const char *const names[] = {
        [ADV_LEVEL_NONE] = "none", [ADV_LEVEL_NOTE] = "note", [ADV_LEVEL_WARNING] = "warning", [ADV_LEVEL_ERROR] = "error"};
    for (int i = 0; i < ADV_LEVEL_COUNT; i++)
        if (strcmp(names[i], value) == 0) {
            /* Nothing is worse than an error: "none" never fails. */
            o->fail_on = i == ADV_LEVEL_NONE ? ADV_LEVEL_COUNT : (AdvLevel)i;
            return PW_OK;
        }
    snprintf(why, why_size, "must be none, note, warning or error");
    return PW_ERR_RANGE;
}

static PwErr set_number(double *ret, const char *value, char *why, size_t why_size)
{
    char *end;
    *ret = strtod(value, &end);
    if (*value && !*end && *ret >= 0 && *ret < 1e15)
        return PW_OK;
    snprintf(why, why_size, "must be a number of 0 or more");
    return PW_ERR_RANGE;
}

static PwErr add_to(PwStrList *list, const char *value)
{
    pw_str_list_add(list, value, strlen(value));
    return PW_OK;
}

/* The options that choose among what ran. */
static PwErr on_filter(AdvOptions *o, int id, const char *value, char *why, size_t why_size)
{
    double jobs;
    switch (id) {
    case OPT_FROM:
        o->filter.from = value;
        return PW_OK;
    case OPT_TO:
        o->filter.to = value;
        return PW_OK;
    case OPT_DATABASE:
        return add_to(&o->filter.databases, value);
    case OPT_USER:
        return add_to(&o->filter.users, value);
    case OPT_APPLICATION:
        return add_to(&o->filter.applications, value);
    case OPT_MIN_CALLS:
        return set_number(&o->filter.min_calls, value, why, why_size);
    case OPT_MIN_TIME:
        return set_number(&o->filter.min_ms, value, why, why_size);
    case OPT_INCLUDE:
        return add_to(&o->filter.include, value);
    case OPT_EXCLUDE:
        return add_to(&o->filter.exclude, value);
    case OPT_PREFIX:
        o->filter.prefix = value;
        return PW_OK;
    case OPT_JOBS:
        if (set_number(&jobs, value, why, why_size) == PW_OK && jobs >= 1 && jobs <= 1024) {
            o->jobs = (unsigned)jobs;
            return PW_OK;
        }
        snprintf(why, why_size, "must be a whole number from 1 to 1024");
        return PW_ERR_RANGE;
    case OPT_OUTPUT:
        o->output = value;
        return PW_OK;
    case OPT_POOLER:
        return add_to(&o->poolers, value);
    case OPT_STORE:
        o->store = value;
        return PW_OK;
    case OPT_ORIGIN:
        o->origin = value;
        return PW_OK;
    default:
        return PW_ERR_UNKNOWN_KEY;
    }
}

static PwErr on_option(void *arg, int id, const char *value, char *why, size_t why_size)
{
    AdvCommandLine *line = arg;
    AdvOptions *o = &line->options;
    char *end;
    switch (id) {
    case OPT_LOG:
        pw_str_list_add(&o->logs, value, strlen(value));
        return PW_OK;
    case OPT_SQL:
        pw_str_list_add(&o->sql_files, value, strlen(value));
        return PW_OK;
    case OPT_STATEMENTS:
        o->statements = true;
        return PW_OK;
    case OPT_VALUES:
        o->values = true;
        return PW_OK;
    case OPT_DSN:
        o->dsn = value;
        return PW_OK;
    case OPT_SNAPSHOT:
        o->snapshot = value;
        return PW_OK;
    case OPT_SCHEMA:
        o->schema = value;
        return PW_OK;
    case OPT_REDACT:
        o->redact = true;
        return PW_OK;
    case OPT_REPLICA_DSN:
        pw_str_list_add(&o->replica_dsns, value, strlen(value));
        return PW_OK;
    case OPT_FORMAT:
        return set_format(line, value, why, why_size);
    case OPT_BUDGET:
        return set_budget(o, value, why, why_size);
    case OPT_MAX_INDEXES:
        o->max_indexes = (int)strtol(value, &end, 10);
        if (*value && !*end && o->max_indexes > 0)
            return PW_OK;
        snprintf(why, why_size, "must be a whole number above 0");
        return PW_ERR_RANGE;
    case OPT_CONNECTIONS:
        o->connections = (int)strtol(value, &end, 10);
        if (*value && !*end && o->connections >= 1 && o->connections <= ADV_LANES_MAX)
            return PW_OK;
        snprintf(why, why_size, "must be a whole number from 1 to %d", ADV_LANES_MAX);
        return PW_ERR_RANGE;
    case OPT_MAX_CALLS:
        o->max_calls = (int)strtol(value, &end, 10);
        if (*value && !*end && o->max_calls > 0)
            return PW_OK;
        snprintf(why, why_size, "must be a whole number above 0");
        return PW_ERR_RANGE;
    case OPT_TIME_LIMIT:
        o->time_limit = strtod(value, &end);
        if (*value && !*end && o->time_limit > 0 && o->time_limit <= 1e6)
            return PW_OK;
        snprintf(why, why_size, "must be a number of seconds above 0");
        return PW_ERR_RANGE;
    case OPT_CURVE:
        o->curve = true;
        return PW_OK;
    case OPT_MIN_GAIN:
        o->min_gain = strtod(value, &end) / 100;
        if (*value && (!*end || strcmp(end, "%") == 0) && o->min_gain >= 0 && o->min_gain <= 1)
            return PW_OK;
        snprintf(why, why_size, "must be a percentage from 0 to 100");
        return PW_ERR_RANGE;
    case OPT_MAX_WRITE:
        return set_max_write(o, value, why, why_size);
    case OPT_NO_HYPOPG:
        o->no_hypopg = true;
        return PW_OK;
    case OPT_NO_SAMPLE:
        o->no_sample = true;
        return PW_OK;
    case OPT_MIGRATION:
        pw_str_list_add(&o->migrations, value, strlen(value));
        return PW_OK;
    case OPT_FAIL_ON:
        return set_fail_on(o, value, why, why_size);
    case OPT_SCRATCH_DSN:
        o->scratch_dsn = value;
        return PW_OK;
    case OPT_HELP:
        line->help = true;
        return PW_OK;
    case OPT_VERSION:
        line->version = true;
        return PW_OK;
    default:
        return on_filter(o, id, value, why, why_size);
    }
}

static bool knows(const AdvCommand *command, const OptionRow *row)
{
    char word[32];
    snprintf(word, sizeof(word), " %s ", command->name);
    return strcmp(row->commands, "*") == 0 || strstr(row->commands, word);
}

static void print_overview(const AdvCommand *commands, size_t n)
{
    printf("Usage: advisor COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; i < n; i++)
        printf("  %-10s%s\n", commands[i].name, commands[i].summary);
    printf("\n\"advisor COMMAND --help\" shows the options of each. Those of the first:\n\n");
}

static void print_help(const PwCli *cli)
{
    char *help = pw_cli_help(cli);
    fputs(help, stdout);
    free(help);
}

/* The first word that names a command, wherever it stands: advisor --dsn x report works too. */
static const AdvCommand *find_command(const AdvCommand *commands, size_t n, int argc, char **argv)
{
    for (int a = 1; a < argc; a++)
        for (size_t i = 0; i < n; i++)
            if (strcmp(argv[a], commands[i].name) == 0)
                return &commands[i];
    return NULL;
}

static int unknown_command(const AdvCommandLine *line, const AdvCommand *commands, size_t n, const char *word)
{
    char why[512];
    int at = snprintf(why, sizeof(why), "unknown command \"%.100s\"; there is: ", word);
    for (size_t i = 0; i < n && at < (int)sizeof(why); i++)
        at += snprintf(why + at, sizeof(why) - (size_t)at, "%s%s", i ? ", " : "", commands[i].name);
    return adv_usage_error(line, why);
}

static int run(const AdvCommand *commands, size_t n, int argc, char **argv, AdvCommandLine *line)
{
    const AdvCommand *found = find_command(commands, n, argc, argv), *command = found ? found : &commands[0];
    PwCliRow own[PW_ARRAY_LEN(rows)];
    size_t n_own = 0;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++)
        if (knows(command, &rows[i]))
            own[n_own++] = rows[i].cli;
    char program[64];
    snprintf(program, sizeof(program), "advisor %s", command->name);
    const PwCli cli = {.program = program, .usage = command->usage, .summary = command->summary, .rows = own,
                       .n_rows = n_own, .epilog = command->epilog};
    char why[512];
    int operand;
    line->formats = command->formats ? command->formats : "";
    line->command = found ? found->name : NULL;
    if (pw_cli_parse(&cli, argc, argv, on_option, line, &operand, why, sizeof(why)))
        return adv_usage_error(line, why);
    if (line->help) {
        if (!found)
            print_overview(commands, n);
        print_help(&cli);
        return ADV_EXIT_OK;
    }
    if (line->version) {
        printf("advisor (Poolwise) " POOLWISE_VERSION "\n");
        return ADV_EXIT_OK;
    }
    if (operand >= argc)
        return adv_usage_error(line, "say what to do: advisor report --log FILE --dsn CONNINFO");
    if (found && strcmp(argv[operand], found->name) != 0)
        line->command = NULL;
    if (!line->command)
        return unknown_command(line, commands, n, argv[operand]);
    return command->run(line, argc - operand - 1, argv + operand + 1);
}

int adv_command_line_run(const AdvCommand *commands, size_t n_commands, int argc, char **argv)
{
    AdvCommandLine line = {.options = {.dsn = "", .min_gain = -1, .fail_on = ADV_LEVEL_ERROR}};
    int code = run(commands, n_commands, argc, argv, &line);
    pw_str_list_finish(&line.options.logs);
    pw_str_list_finish(&line.options.sql_files);
    pw_str_list_finish(&line.options.replica_dsns);
    pw_str_list_finish(&line.options.migrations);
    pw_str_list_finish(&line.options.poolers);
    pw_str_list_finish(&line.options.filter.databases);
    pw_str_list_finish(&line.options.filter.users);
    pw_str_list_finish(&line.options.filter.applications);
    pw_str_list_finish(&line.options.filter.include);
    pw_str_list_finish(&line.options.filter.exclude);
    return code;
}
