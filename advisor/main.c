/* SPDX-License-Identifier: ISC */
/* main.c - the commands of the advisor. */
#include <stdio.h>

#include "advisor/command/command.h"
#include "advisor/command_line.h"

static int run_report(AdvCommandLine *line, int n_operands, char **operands)
{
    if (n_operands > 0) {
        char why[256];
        snprintf(why, sizeof(why), "\"%.200s\" is not an option; give files with --log or --sql", operands[0]);
        return adv_usage_error(why);
    }
    if (line->options.logs.n == 0 && line->options.sql_files.n == 0)
        return adv_usage_error("no workload: give a query log with --log or a script with --sql");
    if (line->options.snapshot && *line->options.dsn)
        return adv_usage_error("give either --dsn or --snapshot");
    return adv_app_report(&line->options);
}

static int no_operands(int n_operands, char **operands)
{
    char why[256];
    if (n_operands == 0)
        return ADV_EXIT_OK;
    snprintf(why, sizeof(why), "\"%.200s\" is not an option", operands[0]);
    return adv_usage_error(why);
}

static int run_snapshot(AdvCommandLine *line, int n_operands, char **operands)
{
    int code = no_operands(n_operands, operands);
    return code ? code : adv_command_snapshot(&line->options);
}

static int run_explain(AdvCommandLine *line, int n_operands, char **operands)
{
    if (n_operands != 1)
        return adv_usage_error("give one statement in quotes: advisor explain \"SELECT ...\"");
    if (line->options.format == ADV_FORMAT_SQL)
        return adv_usage_error("explain has the formats text and json");
    if (line->options.snapshot && *line->options.dsn)
        return adv_usage_error("give either --dsn or --snapshot");
    return adv_command_explain(&line->options, operands[0]);
}

static const AdvCommand commands[] = {
    {.name = "report",
     .usage = "[--log FILE]... [--sql FILE]... [OPTION]...",
     .summary = "Says which indexes to create and which to drop, from the queries that really run. Changes nothing.",
     .epilog = "Examples:\n"
               "  advisor report --log /var/log/poolwise/queries.jsonl --dsn \"host=db1 dbname=shop\"\n"
               "  advisor report --sql slow.sql --dsn postgresql://me@db1/shop --budget 2GB\n"
               "  advisor report --sql slow.sql --dsn dbname=shop --format sql > indexes.sql && psql -f indexes.sql shop\n"
               "  advisor report --log queries.jsonl --snapshot shop.json   # no connection; see advisor snapshot\n"
               "  echo \"SELECT * FROM orders WHERE customer_id = 7\" | advisor report --sql - --dsn dbname=shop\n"
               "\n"
               "Exit status: 0 advice printed (also when there is nothing to do), 2 wrong options, 3 a log or script\n"
               "cannot be read, 4 the database cannot be reached or read, 70 internal error.\n"
               "The database session is read-only. With the extension HypoPG in the database costs come from its own\n"
               "planner (CREATE EXTENSION hypopg; by you: the advisor never creates anything).\n",
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
     .run = run_explain},
    {.name = "snapshot",
     .usage = "[OPTION]... > FILE",
     .summary = "Writes schema, statistics, sizes and usage of a database as a file, for report --snapshot.",
     .epilog = "Examples:\n"
               "  advisor snapshot --dsn \"host=db1 dbname=shop\" > shop.json\n"
               "  advisor snapshot --dsn \"host=db1 dbname=shop\" --redact > shop.json   # no values of rows in it\n"
               "  advisor report --log queries.jsonl --snapshot shop.json\n"
               "\n"
               "Exit status: 0 written, 2 wrong options, 4 the database cannot be reached or read, 70 internal error.\n",
     .run = run_snapshot},
};

int main(int argc, char **argv)
{
    return adv_command_line_run(commands, PW_ARRAY_LEN(commands), argc, argv);
}
