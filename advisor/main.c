/* SPDX-License-Identifier: ISC */
/* main.c - the commands of the advisor. */
#include <stdio.h>

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
    return adv_app_report(&line->options);
}

static const AdvCommand commands[] = {
    {.name = "report",
     .usage = "[--log FILE]... [--sql FILE]... [OPTION]...",
     .summary = "Says which indexes to create and which to drop, from the queries that really run. Changes nothing.",
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
     .run = run_report},
};

int main(int argc, char **argv)
{
    return adv_command_line_run(commands, PW_ARRAY_LEN(commands), argc, argv);
}
