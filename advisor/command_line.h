/* SPDX-License-Identifier: ISC */
/* command_line.h - the advisor's commands and their options: one row each, from which parsing and help derive. */
#ifndef ADVISOR_COMMAND_LINE_H
#define ADVISOR_COMMAND_LINE_H

#include "advisor/app.h"

/* What one command line says. The lists of `options` are freed by adv_command_line_finish. */
typedef struct AdvCommandLine {
    AdvOptions options;
    const char *formats;
    const char *command; /* its name, once it is known */
    bool help, version;
} AdvCommandLine;

typedef struct AdvCommand {
    const char *name;
    const char *usage;   /* after "advisor NAME " */
    const char *summary; /* one line */
    const char *formats; /* that --format takes, as its error says them: "text, json or sql"; NULL: none */
    const char *epilog;  /* examples and exit codes */
    /* Runs it; checks first that the options make sense together. `operands` are the words that are no options. */
    int (*run)(AdvCommandLine *line, int n_operands, char **operands);
} AdvCommand;

/* Prints a message with a hint at the help of the command; returns ADV_EXIT_USAGE. */
int adv_usage_error(const AdvCommandLine *line, const char *why);

/* Finds the command among the arguments, parses its options, runs it; returns the exit code. */
int adv_command_line_run(const AdvCommand *commands, size_t n_commands, int argc, char **argv);

#endif
