/* SPDX-License-Identifier: ISC */
/* redact.h - takes the values of statements and rows out of a report that is meant to be passed on. */
#ifndef ADVISOR_REPORT_REDACT_H
#define ADVISOR_REPORT_REDACT_H

#include "advisor/report/findings.h"

/* Every text of a built report: statements as the query log would have them, constants in the conditions of indexes as $1, $2, ... A note says when a
 * command became incomplete by it. Once, before it is printed. */
void adv_report_redact(AdvReport *report);

/* An SQL expression with its strings and numbers as $1, $2, ... */
const char *adv_hide_constants(AdvArena *arena, const char *sql);

#endif
