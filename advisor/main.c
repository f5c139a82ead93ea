/* SPDX-License-Identifier: ISC */
/* main.c - the commands of the advisor. */
#include <stdio.h>
#include <string.h>

#include "advisor/command/command.h"
#include "advisor/command_line.h"

static bool has_statements(const AdvOptions *o)
{
    return o->logs.n > 0 || o->sql_files.n > 0 || o->poolers.n > 0 || o->store || o->statements;
}

/* Statements are advised on against one thing. */
static int one_place(const AdvCommandLine *line)
{
    const AdvOptions *o = &line->options;
    int places = (*o->dsn != 0) + (o->snapshot != NULL) + (o->schema != NULL);
    if (places > 1)
        return adv_usage_error(line, "give either --dsn, --snapshot or --schema, only one of them");
    if (o->statements && (o->snapshot || o->schema))
        return adv_usage_error(line, "--pg-stat-statements needs the database: give --dsn instead of --snapshot or --schema");
    return ADV_EXIT_OK;
}

static void add_logs(AdvOptions *o, int n_operands, char **operands)
{
    for (int i = 0; i < n_operands; i++)
        pw_str_list_add(&o->logs, operands[i], strlen(operands[i]));
}

static int run_report(AdvCommandLine *line, int n_operands, char **operands)
{
    add_logs(&line->options, n_operands, operands); /* --log *.log gives the others as words of their own */
    if (!has_statements(&line->options))
        return adv_usage_error(line, "no workload: give a log with --log, a script with --sql, or --pg-stat-statements");
    int code = one_place(line);
    return code ? code : adv_app_report(&line->options);
}

static int no_operands(const AdvCommandLine *line, int n_operands, char **operands)
{
    char why[256];
    if (n_operands == 0)
        return ADV_EXIT_OK;
    snprintf(why, sizeof(why), "\"%.200s\" is not an option", operands[0]);
    return adv_usage_error(line, why);
}

static int run_snapshot(AdvCommandLine *line, int n_operands, char **operands)
{
    int code = no_operands(line, n_operands, operands);
    return code ? code : adv_command_snapshot(&line->options);
}

static int run_explain(AdvCommandLine *line, int n_operands, char **operands)
{
    if (n_operands != 1)
        return adv_usage_error(line, "give one statement in quotes: advisor explain \"SELECT ...\"");
    int code = one_place(line);
    return code ? code : adv_command_explain(&line->options, operands[0]);
}

static int run_check(AdvCommandLine *line, int n_operands, char **operands)
{
    const AdvOptions *o = &line->options;
    int code = no_operands(line, n_operands, operands);
    if (code)
        return code;
    if (!has_statements(o) && o->migrations.n == 0)
        return adv_usage_error(line, "nothing to check: give statements with --sql or --log, or a migration with --migration");
    code = one_place(line);
    return code ? code : adv_command_check(o);
}

static int run_collect(AdvCommandLine *line, int n_operands, char **operands)
{
    AdvOptions *o = &line->options;
    add_logs(o, n_operands, operands);
    if (o->logs.n == 0 && o->poolers.n == 0 && !o->statements)
        return adv_usage_error(line, "nothing to collect: give a log with --log, a pooler with --pooler, or --pg-stat-statements");
    if (*o->dsn && !o->statements)
        return adv_usage_error(line, "--dsn is the database of --pg-stat-statements: give both or none");
    return adv_command_collect(o);
}

static int run_merge(AdvCommandLine *line, int n_operands, char **operands)
{
    if (n_operands == 0 && !line->options.store)
        return adv_usage_error(line, "give summaries that advisor collect wrote: advisor merge a.summary b.summary");
    add_logs(&line->options, n_operands, operands);
    return adv_command_merge(&line->options);
}

static int run_diff(AdvCommandLine *line, int n_operands, char **operands)
{
    if (n_operands != 2)
        return adv_usage_error(line, "give two reports: advisor diff OLD.json NEW.json");
    return adv_command_diff(&line->options, operands[0], operands[1]);
}

static int run_verify(AdvCommandLine *line, int n_operands, char **operands)
{
    int code = no_operands(line, n_operands, operands);
    if (code)
        return code;
    if (!line->options.scratch_dsn)
        return adv_usage_error(line, "say where to build with --scratch-dsn: a copy of the database, made for this");
    if (!has_statements(&line->options))
        return adv_usage_error(line, "no workload: give a log with --log, a script with --sql, or --pg-stat-statements");
    return adv_command_verify(&line->options);
}

static const AdvCommand commands[] = {
    {.name = "report",
     .usage = "[--log FILE]... [--sql FILE]... [OPTION]...",
     .summary = "Says which indexes to create and which to drop, from the queries that really run. Changes nothing.",
     .epilog = "Examples:\n"
               "  advisor report --log /var/log/poolwise/queries.jsonl --dsn \"host=db1 dbname=shop\"\n"
               "  advisor report --sql slow.sql --dsn postgresql://me@db1/shop --budget 2GB\n"
               "  advisor report --sql slow.sql --dsn dbname=shop --format sql > indexes.sql && psql -f indexes.sql shop\n"
               "  advisor report --log /var/log/postgresql/postgresql-15-main.log --dsn dbname=shop\n"
               "  advisor report --pg-stat-statements --dsn dbname=shop --format html > advice.html\n"
               "  pg_dump --schema-only shop > shop.sql && advisor report --sql queries.sql --schema shop.sql\n"
               "  advisor report --log queries.jsonl --snapshot shop.json   # no connection; see advisor snapshot\n"
               "  echo \"SELECT * FROM orders WHERE customer_id = 7\" | advisor report --sql - --dsn dbname=shop\n"
               "\n"
               "Exit status: 0 advice printed (also when there is nothing to do), 2 wrong options, 3 a log or script\n"
               "cannot be read, 4 the database cannot be reached or read, 70 internal error.\n"
               "The database session is read-only. With the extension HypoPG in the database costs come from its own\n"
               "planner (CREATE EXTENSION hypopg; by you: the advisor never creates anything).\n",
     .formats = "html, markdown, text, json or sql",
     .run = run_report},
    {.name = "explain",
     .usage = "[OPTION]... STATEMENT",
     .summary = "Tells what one statement needs of each table, what serves it, and its plan without and with the advised index.",
     .epilog = "Examples:\n"
               "  advisor explain --dsn dbname=shop \"SELECT * FROM orders WHERE customer_id = 7 ORDER BY created_at DESC LIMIT 10\"\n"
               "  advisor explain --dsn dbname=shop --format json \"SELECT name FROM customers WHERE lower(email) = $1\"\n"
               "\n"
               "Exit status: 0 explained, 2 wrong options, 3 no statement that can be planned, 4 the database cannot be reached or\n"
               "read, 70 internal error. The statement is planned, never run.\n",
     .formats = "text or json",
     .run = run_explain},
    {.name = "snapshot",
     .usage = "[OPTION]... > FILE",
     .summary = "Writes schema, statistics, sizes and usage of a database as a file, for report --snapshot.",
     .epilog = "Examples:\n"
               "  advisor snapshot --dsn \"host=db1 dbname=shop\" > shop.json\n"
               "  advisor snapshot --dsn \"host=db1 dbname=shop\" --redact > shop.json   # no values of rows in it\n"
               "  advisor report --log /var/log/postgresql/postgresql-15-main.log --dsn dbname=shop\n"
               "  advisor report --pg-stat-statements --dsn dbname=shop --format markdown > advice.md\n"
               "  advisor report --log queries.jsonl --snapshot shop.json\n"
               "\n"
               "Exit status: 0 written, 2 wrong options, 4 the database cannot be reached or read, 70 internal error.\n",
     .run = run_snapshot},
    {.name = "check",
     .usage = "[--sql FILE]... [--log FILE]... [--migration FILE]... [OPTION]...",
     .summary = "The gate for CI: fails when statements need an index, or a migration does harm to indexes and foreign keys.",
     .epilog = "Examples:\n"
               "  advisor check --sql queries.sql --dsn dbname=shop\n"
               "  advisor check --migration V42__orders.sql --sql queries.sql --snapshot shop.json --fail-on warning\n"
               "  advisor check --sql queries.sql --dsn dbname=shop --format sarif > advisor.sarif\n"
               "\n"
               "Exit status: 0 nothing of the level of --fail-on, 1 something, 2 wrong options, 3 a file cannot be read, 4 the\n"
               "database cannot be reached or read, 70 internal error.\n",
     .formats = "text, json or sarif",
     .run = run_check},
    {.name = "verify",
     .usage = "--scratch-dsn CONNINFO [--log FILE]... [--sql FILE]... [OPTION]...",
     .summary = "Builds the advised indexes on a scratch database, measures the statements before and after, takes all back.",
     .epilog = "Examples:\n"
               "  createdb -T shop shop_scratch && advisor verify --sql slow.sql --dsn dbname=shop --scratch-dsn dbname=shop_scratch\n"
               "  advisor verify --log queries.jsonl --scratch-dsn \"host=test1 dbname=shop_copy\" --format json\n"
               "\n"
               "Without --dsn the advice is made on the scratch database too. Only SELECTs are run, and only there.\n"
               "Exit status: 0 measured, 2 wrong options, 3 a log or script cannot be read, 4 a database cannot be reached or\n"
               "read, 70 internal error, 130 interrupted (what was built is dropped).\n",
     .formats = "text or json",
     .run = run_verify},
    {.name = "collect",
     .usage = "[--log FILE]... [--pooler CONNINFO]... [--pg-stat-statements] [OPTION]...",
     .summary = "Writes a summary of what ran, small enough to be kept and sent, for report and merge.",
     .epilog = "Examples:\n"
               "  advisor collect --log /var/log/postgresql --output db1.summary\n"
               "  advisor collect --log 'postgresql-*.log.gz' --from \"2026-01-31 09:00\" --to \"2026-01-31 17:00\" > day.summary\n"
               "  advisor report --log db1.summary --log db2.summary --dsn dbname=shop\n"
               "  advisor collect --pooler \"host=pool1 port=6432 dbname=pgbouncer\" --store \"host=ops dbname=fleet\"\n"
               "\n"
               "Exit status: 0 written, 2 wrong options, 3 a log cannot be read, 4 the database cannot be reached or read, 70 internal\n"
               "error, 130 interrupted (what was read until then is written).\n",
     .run = run_collect},
    {.name = "merge",
     .usage = "[OPTION]... FILE...",
     .summary = "Adds up summaries of advisor collect; the report of the result is that of all the logs read together.",
     .epilog = "Examples:\n"
               "  advisor merge db1.summary db2.summary --output fleet.summary\n"
               "  advisor merge --store \"host=ops dbname=fleet\" --output fleet.summary\n"
               "  advisor merge monday.summary tuesday.summary | advisor report --log - --dsn dbname=shop\n"
               "\n"
               "Exit status: 0 written, 2 wrong options, 3 a file cannot be read, 70 internal error.\n",
     .run = run_merge},
    {.name = "diff",
     .usage = "[OPTION]... OLD.json NEW.json",
     .summary = "Tells what changed between two reports in JSON: findings that are new, gone, or worth more or less.",
     .epilog = "Examples:\n"
               "  advisor report --log monday.jsonl --dsn dbname=shop --format json > monday.json\n"
               "  advisor diff monday.json tuesday.json\n"
               "\n"
               "Exit status: 0 no new finding, 1 new findings, 2 wrong options, 3 a file is no report, 70 internal error.\n",
     .formats = "text or json",
     .run = run_diff},
};

int main(int argc, char **argv)
{
    return adv_command_line_run(commands, PW_ARRAY_LEN(commands), argc, argv);
}
