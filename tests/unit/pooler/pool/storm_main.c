/* SPDX-License-Identifier: ISC */
/* Storms through the interleaving checker: more workers, clients and servers than all interleavings could be tried of, drawn.
 *
 * What it is for is the order: nobody is passed by more than POOL_SLACK_TICKETS later ones, with several servers, servers that
 * die at work and on their way, waiters that give up, checks that fail, pauses, sizes that change, and two pools under one limit.
 *
 *   check_storm                          the runs of the tests
 *   check_storm --runs N --first N       N runs of each storm, numbered from `first` on */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"
#include "pooler/pool/pool.h"

static const Scenario storms[] = {
    {.name = "one server", .pools = 1, .size = {1}},
    {.name = "two servers", .pools = 1, .size = {2}},
    {.name = "six servers", .pools = 1, .size = {6}},
    {.name = "two servers, deaths", .pools = 1, .size = {2}, .storm = STORM_DEATHS, .connects_may_fail = 3, .transits_may_die = 3},
    {.name = "four servers, deaths", .pools = 1, .size = {4}, .storm = STORM_DEATHS, .connects_may_fail = 3, .transits_may_die = 3},
    {.name = "pauses", .pools = 1, .size = {3}, .storm = STORM_PAUSES},
    {.name = "sizes change", .pools = 1, .size = {4}, .storm = STORM_SIZES},
    {.name = "two pools, one limit", .pools = 2, .size = {3, 3}, .database_max = 4},
    {.name = "two pools, one limit, all of it", .pools = 2, .size = {3, 3}, .database_max = 4, .connects_may_fail = 3,
     .transits_may_die = 3, .storm = STORM_DEATHS | STORM_PAUSES | STORM_SIZES},
};
static const int odds[] = {4, 16, 64, 256};

int main(int argc, char **argv)
{
    long runs = 100, first = 0;
    int bad = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--runs") == 0)
            runs = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--first") == 0)
            first = atol(argv[i + 1]);
    }
    for (unsigned s = 0; s < sizeof(storms) / sizeof(storms[0]); s++)
        for (unsigned o = 0; o < sizeof(odds) / sizeof(odds[0]); o++) {
            CheckResult r = check_storm(&storms[s], runs, first, odds[o]);
            printf("%-32s 1:%-4d %6ld runs %9ld points, passed by %d of %d %s%s%s\n", storms[s].name, odds[o], r.runs, r.points,
                   r.most_passed, POOL_SLACK_TICKETS, r.failure ? r.failure : "", r.failure ? ": " : "", r.failure ? r.detail : "");
            fflush(stdout);
            bad += r.failure != NULL;
        }
    return bad ? 1 : 0;
}
