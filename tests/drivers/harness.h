/* SPDX-License-Identifier: ISC */
/* harness.h - what the C programs share: how a scenario fails, and the loop over the command line that prints a line for each.
 *
 * Included once, behind the program's `Connection`. The program then defines one(), all scenarios, and main, which calls
 * run_scenarios with how a connection is opened (NULL: fail() was called) and closed. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char why[600];  /* of the scenario that failed */
static char told[100]; /* what a scenario wants to tell */

/* Told by a scenario that this driver cannot do, whatever it is connected to. */
__attribute__((unused)) static const char not_supported[] = "\1";

static bool fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    for (char *p = why; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    return false;
}

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition))                                             \
            return fail("line %d: not true: %s", __LINE__, #condition); \
    } while (0)

static bool is(const char *got, const char *want)
{
    return strcmp(got, want) == 0 || fail("'%.150s' instead of '%.80s'", got, want);
}

/* The first value of the statement's result; "SQLSTATE <code>" after an error. Good until the third next call. */
static const char *one(Connection *c, const char *sql);

static bool servers(Connection *c)
{
    char seen[30][20];
    int n = 0;
    for (int i = 0; i < 30; i++) {
        const char *pid = one(c, "SELECT pg_backend_pid()");
        int k = 0;
        while (k < n && strcmp(seen[k], pid) != 0)
            k++;
        if (k == n)
            snprintf(seen[n++], sizeof(seen[0]), "%s", pid);
    }
    snprintf(told, sizeof(told), "%d", n);
    return true;
}

typedef struct Scenario {
    const char *name;
    bool (*run)(Connection *c);
} Scenario;

#define SCENARIOS                                                                                                             \
    {                                                                                                                         \
        {"connect", connect_}, {"parameters", parameters}, {"settings", settings}, {"prepared", prepared}, {"batch", batch},  \
            {"transactions", transactions}, {"cursor", cursor}, {"copy", copy}, {"cancel", cancel}, {"notices", notices},     \
            {"notify", notify}, {"large", large}, {"errors", errors}, {"ddl", ddl}, {"session", session},                     \
            {"reconnect", reconnect}, {"servers", servers},                                                                   \
    }

static int run_scenarios(int argc, char **argv, const Scenario *scenarios, size_t n, Connection *(*open_it)(void), void (*close_it)(Connection *c))
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        for (size_t k = 0; k < n; k++) {
            if (strcmp(argv[i], scenarios[k].name) != 0)
                continue;
            why[0] = told[0] = '\0';
            Connection *c = open_it();
            if (c && scenarios[k].run(c))
                printf("%s\tok\t%s\n", argv[i], told);
            else
                printf("%s\t%s\t%s\n", argv[i], told[0] == not_supported[0] ? "n/a" : "FAIL", why);
            if (c)
                close_it(c);
        }
    }
    return 0;
}
