/* SPDX-License-Identifier: ISC */
/* dates.h - dates and intervals that a statement adds up, so that what it compares with is known. Pure functions. */
#ifndef ADVISOR_SQL_DATES_H
#define ADVISOR_SQL_DATES_H

#include <stdbool.h>

#include "advisor/arena.h"

/* "2017-07-01" and "3 months", sign 1 or -1: "2017-10-01". With a time of day in either there is one in the result. NULL: one of the two is
 * written in a way that is not understood. */
const char *adv_date_add(AdvArena *arena, const char *date, const char *interval, int sign);

#endif
