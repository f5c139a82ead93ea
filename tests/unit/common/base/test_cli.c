/* SPDX-License-Identifier: ISC */
#include "poolwise/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const PwCliRow rows[] = {
    {'d', 'd', "daemon", NULL, "run in the background"},
    {'u', 'u', "user", "NAME", "become this user"},
    {500, 0, "check", "FILE", "only check"},
    {501, 0, "dump", NULL, NULL},
};
static const PwCli cli = {"prog", "[OPTION]... FILE",        "Does things.", rows,
                          4,      "Example:\n  prog x.ini\n"};

static char got[200];

static PwErr on_option(void *arg, int id, const char *value, char *why, size_t why_size)
{
    (void)arg;
    size_t n = strlen(got);
    (void)snprintf(got + n, sizeof(got) - n, "%d=%s;", id, value != NULL ? value : "-");
    if (value != NULL && strcmp(value, "root") == 0) {
        (void)snprintf(why, why_size, "not root");
        return PW_ERR_RANGE;
    }
    return PW_OK;
}

static PwErr parse(char *const *words, int n, int *operand, char *why)
{
    char *argv[8] = {0};
    for (int i = 0; i < n; i++)
        argv[i] = words[i];
    got[0] = '\0';
    return pw_cli_parse(&cli, n, argv, on_option, NULL, operand, why, 200);
}

#define PARSE(operand, why, ...)                     \
    parse((char *[]){(char[]){"prog"}, __VA_ARGS__}, \
          (int)(sizeof((char *[]){(char[]){"prog"}, __VA_ARGS__}) / sizeof(char *)), operand, why)
#define W(text) ((char[]){text})

static void options_come_in_order(void **state)
{
    (void)state;
    int operand = -1;
    char why[200];
    assert_int_equal(
        PARSE(&operand, why, W("-d"), W("x.ini"), W("--user=bob"), W("--check"), W("f")), PW_OK);
    assert_string_equal(got, "100=-;117=bob;500=f;");
    assert_int_equal(operand, 5); /* x.ini was moved to the end */
    assert_int_equal(PARSE(&operand, why, W("-du"), W("bob")), PW_OK);
    assert_string_equal(got, "100=-;117=bob;");
    assert_int_equal(PARSE(&operand, why, W("--"), W("-d")), PW_OK);
    assert_string_equal(got, "");
    assert_int_equal(operand, 2);
}

static void mistakes_are_explained(void **state)
{
    (void)state;
    int operand = -1;
    char why[200];
    assert_int_equal(PARSE(&operand, why, W("--deamon")), PW_ERR_SYNTAX);
    assert_string_equal(why, "unknown or ambiguous option \"--deamon\"; did you mean --daemon?");
    assert_int_equal(PARSE(&operand, why, W("--zzz=secret")), PW_ERR_SYNTAX);
    assert_string_equal(why, "unknown or ambiguous option \"--zzz\"; see --help");
    assert_int_equal(PARSE(&operand, why, W("-x")), PW_ERR_SYNTAX);
    assert_string_equal(why, "unknown option -x; see --help");
    assert_int_equal(PARSE(&operand, why, W("--user")), PW_ERR_SYNTAX);
    assert_string_equal(why, "option --user needs a value (NAME)");
    assert_int_equal(PARSE(&operand, why, W("--daemon=1")), PW_ERR_SYNTAX);
    assert_string_equal(why, "option --daemon takes no value");
    assert_int_equal(PARSE(&operand, why, W("-u"), W("root")), PW_ERR_SYNTAX);
    assert_string_equal(why, "option --user: not root");
    assert_int_equal(operand, -1);
}

static void help_has_every_shown_row(void **state)
{
    (void)state;
    char *help = pw_cli_help(&cli);
    assert_string_equal(help, "Usage: prog [OPTION]... FILE\n"
                              "Does things.\n\n"
                              "Options:\n"
                              "  -d, --daemon      run in the background\n"
                              "  -u, --user=NAME   become this user\n"
                              "      --check=FILE  only check\n"
                              "\nExample:\n  prog x.ini\n");
    free(help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_come_in_order),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(help_has_every_shown_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
