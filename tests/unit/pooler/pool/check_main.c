/* SPDX-License-Identifier: ISC */
/* Runs the scenarios through the interleaving checker.
 *
 *   check_pool                      all scenarios, the bound of the tests
 *   check_pool --preemptions 2      the same bound for all (many minutes)
 *   check_pool --only TEXT          scenarios whose name contains TEXT
 *   check_pool --runs N             at most N runs of each
 *   check_pool --expect FAILURE     passes only if some scenario reports FAILURE (the seeded bugs) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

int main(int argc, char **argv)
{
    int preemptions = -1;
    long runs_most = 20000000;
    const char *expect = NULL, *only = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--preemptions") == 0)
            preemptions = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--expect") == 0)
            expect = argv[i + 1];
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--runs") == 0)
            runs_most = atol(argv[i + 1]);
    }
    int bad = 0, seen = 0;
    for (int i = 0; i < n_scenarios; i++) {
        if (only && !strstr(scenarios[i].name, only))
            continue;
        CheckResult r = check_scenario(&scenarios[i], preemptions, runs_most);
        printf("%-45s %9ld runs %11ld points %s%s%s\n", scenarios[i].name, r.runs, r.points,
               r.failure ? r.failure : r.complete ? "complete" : "CUT SHORT", r.failure ? ": " : "",
               r.failure ? r.detail : "");
        fflush(stdout);
        if (expect && r.failure && strcmp(r.failure, expect) == 0) {
            seen++;
            break;
        }
        if (r.failure || !r.complete)
            bad++;
    }
    if (expect) {
        printf(seen ? "found the seeded bug\n" : "the seeded bug was not found\n");
        return seen ? 0 : 1;
    }
    return bad ? 1 : 0;
}
