/* SPDX-License-Identifier: ISC */
/* collect.h - executions out of a log, gathered by the shape of their statement.
 *
 * A log holds the same few shapes millions of times: each execution costs one fingerprint and one look into a hash table. Of each shape a
 * few texts with their values are kept as samples. One thread. */
#ifndef ADVISOR_SOURCE_COLLECT_H
#define ADVISOR_SOURCE_COLLECT_H

#include "advisor/workload.h"

typedef struct AdvCollector AdvCollector;

/* `origin` is said of the statements: "postgres log". */
AdvCollector *adv_collector_create(AdvWorkload *workload, const char *origin);
void adv_collector_destroy(AdvCollector *collector);

/* One execution (or `calls` of them). `params`: values as PostgreSQL logs them ("$1 = '7', $2 = NULL"), which take the places of $n, or NULL. `ms`:
 * of all calls together, 0 unknown; `rows`: of all calls, -1 unknown. */
void adv_collect(AdvCollector *collector, const char *text, size_t len, const char *params, double calls, double ms, double rows);

/* What "parameters: $1 = 'a', $2 = NULL" gives, put into the text; NULL when a value is missing or cut. On the arena. */
const char *adv_fill_parameters(AdvArena *arena, const char *text, const char *params);

#endif
