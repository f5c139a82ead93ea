/* SPDX-License-Identifier: ISC */
/* pglog.h - one message of PostgreSQL's log, whatever form the log has: the execution that it tells of. One thread. */
#ifndef ADVISOR_SOURCE_PGLOG_H
#define ADVISOR_SOURCE_PGLOG_H

#include "advisor/source/collect.h"

typedef struct AdvLogTotals {
    double messages;
    double statements; /* that tell of an execution */
    double explained;  /* auto_explain's, which are counted only when nothing else tells of executions */
} AdvLogTotals;

/* `detail` may be NULL. Both may be changed. */
void adv_pglog_message(AdvCollector *collector, AdvLogTotals *totals, char *message, size_t len, const char *detail);

#endif
