/* SPDX-License-Identifier: ISC */
/* cli.h - command lines declared as rows: getopt_long's tables and the help text derive from them.
 * getopt keeps global state: main thread only. */
#ifndef POOLWISE_CLI_H
#define POOLWISE_CLI_H

#include <stddef.h>

#include "poolwise/err.h"

typedef struct PwCliRow {
    int id;           /* handed to on_option; unique, > 0; the short letter when there is one */
    char letter;      /* 0: no short form */
    const char *name; /* long form without the dashes */
    const char *arg;  /* name of its argument in the help ("FILE"); NULL: takes none */
    const char *help; /* NULL: hidden from the help */
} PwCliRow;

typedef struct PwCli {
    const char *program; /* "pooler", "advisor report" */
    const char *usage;   /* after the program's name: "[OPTION]... CONFIG_FILE" */
    const char *summary; /* one line */
    const PwCliRow *rows;
    size_t n_rows;
    const char *epilog; /* examples; NULL: none; printed as is */
} PwCli;

/* The caller's handler; `value` is NULL for rows without an argument. On an error it writes a text of
 * at most why_size bytes ("must be a number"). */
typedef PwErr (*PwCliOption)(void *arg, int id, const char *value, char *why, size_t why_size);

/* Calls on_option for each option in order. *ret_operand is the index of the first argument that is not an option
 * (argv is permuted). On PW_ERR_SYNTAX why[] holds the whole message, ready to print after "program: ". */
PW_MUSTCHECK PwErr pw_cli_parse(const PwCli *cli, int argc, char **argv, PwCliOption on_option,
                                void *arg, int *ret_operand, char *why, size_t why_size);

/* The --help text; the caller frees. */
char *pw_cli_help(const PwCli *cli);

#endif
