/* SPDX-License-Identifier: ISC */
#include "poolwise/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/buf.h"
#include "poolwise/mem.h"
#include "poolwise/str.h"

/* getopt_long returns this plus the row's index for long options; letters stay below. */
#define LONG_BASE 1000

static const PwCliRow *row_of(const PwCli *cli, int code)
{
    if (code >= LONG_BASE)
        return &cli->rows[code - LONG_BASE];
    for (size_t i = 0; i < cli->n_rows; i++)
        if (cli->rows[i].letter != 0 && cli->rows[i].letter == code)
            return &cli->rows[i];
    return NULL;
}

/* The name as typed, without "=value": "--listen" or "-x". */
static void explain_unknown(const PwCli *cli, int argc, char **argv, char *why, size_t why_size)
{
    const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
    if (optopt > 0 && optopt < LONG_BASE) {
        (void)snprintf(why, why_size, "unknown option -%c; see --help", optopt);
        return;
    }
    char *name = pw_xstrndup(word, strcspn(word, "="));
    PwNearest nearest;
    pw_nearest_init(&nearest, strncmp(name, "--", 2) == 0 ? name + 2 : name);
    for (size_t i = 0; i < cli->n_rows; i++)
        if (cli->rows[i].help != NULL)
            pw_nearest_offer(&nearest, cli->rows[i].name);
    const char *best = pw_nearest_get(&nearest);
    if (optopt >= LONG_BASE)
        (void)snprintf(why, why_size, "option --%s takes no value", row_of(cli, optopt)->name);
    else if (best != NULL)
        (void)snprintf(why, why_size, "unknown or ambiguous option \"%s\"; did you mean --%s?",
                       name, best);
    else
        (void)snprintf(why, why_size, "unknown or ambiguous option \"%s\"; see --help", name);
    free(name);
}

PwErr pw_cli_parse(const PwCli *cli, int argc, char **argv, PwCliOption on_option, void *arg,
                   int *ret_operand, char *why, size_t why_size)
{
    struct option *longs = pw_xcalloc(cli->n_rows + 1, sizeof(*longs));
    char *letters = pw_xcalloc(1, 2 * cli->n_rows + 2);
    size_t n = 0;
    letters[n++] =
        ':'; /* tells a missing argument from an unknown option, and keeps getopt quiet */
    for (size_t i = 0; i < cli->n_rows; i++) {
        const PwCliRow *row = &cli->rows[i];
        longs[i] = (struct option){.name = row->name,
                                   .has_arg = row->arg != NULL ? required_argument : no_argument,
                                   .val = LONG_BASE + (int)i};
        if (row->letter != 0) {
            letters[n++] = row->letter;
            if (row->arg != NULL)
                letters[n++] = ':';
        }
    }
    PwErr err = PW_OK;
    opterr = 0;
    optind = 0; /* glibc: start over, so that it can be called twice */
    int code;
    while (err == PW_OK && (code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        char problem[200] = "";
        const PwCliRow *row;
        if (code == ':') {
            row = row_of(cli, optopt);
            (void)snprintf(why, why_size, "option --%s needs a value (%s)", row->name, row->arg);
            err = PW_ERR_SYNTAX;
        } else if (code == '?') {
            explain_unknown(cli, argc, argv, why, why_size);
            err = PW_ERR_SYNTAX;
        } else {
            row = row_of(cli, code);
            err =
                on_option(arg, row->id, row->arg != NULL ? optarg : NULL, problem, sizeof(problem));
            if (err != PW_OK) {
                (void)snprintf(why, why_size, "option --%s: %s", row->name,
                               problem[0] != '\0' ? problem : pw_err_text(err));
                err = PW_ERR_SYNTAX;
            }
        }
    }
    if (err == PW_OK)
        *ret_operand = optind;
    free(longs);
    free(letters);
    return err;
}

static size_t left_width(const PwCliRow *row)
{
    return strlen(row->name) + (row->arg != NULL ? strlen(row->arg) + 1 : 0);
}

char *pw_cli_help(const PwCli *cli)
{
    PwBuf out;
    pw_buf_init(&out);
    pw_buf_printf(&out, "Usage: %s %s\n%s\n\nOptions:\n", cli->program, cli->usage, cli->summary);
    size_t width = 0;
    for (size_t i = 0; i < cli->n_rows; i++)
        if (cli->rows[i].help != NULL && left_width(&cli->rows[i]) > width)
            width = left_width(&cli->rows[i]);
    for (size_t i = 0; i < cli->n_rows; i++) {
        const PwCliRow *row = &cli->rows[i];
        if (row->help == NULL)
            continue;
        char letter[8] = "    ";
        if (row->letter != 0)
            (void)snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        pw_buf_printf(&out, "  %s--%s%s%s%*s  %s\n", letter, row->name, row->arg != NULL ? "=" : "",
                      row->arg != NULL ? row->arg : "", (int)(width - left_width(row)), "",
                      row->help);
    }
    if (cli->epilog != NULL)
        pw_buf_printf(&out, "\n%s", cli->epilog);
    pw_buf_append_u8(&out, '\0');
    return (char *)out.data; /* the caller frees it */
}
