/* SPDX-License-Identifier: ISC */
/* filter.h - which executions count: by time, database, user and application while a log is read, by calls, time and text afterwards. */
#ifndef ADVISOR_SOURCE_FILTER_H
#define ADVISOR_SOURCE_FILTER_H

#include "advisor/source/entry.h"
#include "advisor/source/tally.h"
#include "poolwise/err.h"
#include "poolwise/str.h"

typedef struct AdvFilterOptions {
    const char *from, *to; /* "2026-01-31", "2026-01-31 12:30[:15[.678]]"; NULL: no limit */
    PwStrList databases, users, applications; /* empty: all */
    PwStrList include, exclude; /* POSIX extended regular expressions, case does not count */
    double min_calls, min_ms;
    const char *prefix; /* log_line_prefix; NULL: guessed */
} AdvFilterOptions;

typedef struct AdvFilter AdvFilter;

/* PW_ERR_SYNTAX with *ret_why (to be freed) when a time or an expression is none. The options must live as long. */
PW_MUSTCHECK PwErr adv_filter_create(const AdvFilterOptions *options, AdvFilter **ret_filter, char **ret_why);
void adv_filter_destroy(AdvFilter *filter);

typedef enum AdvWanted { ADV_WANTED, ADV_UNWANTED, ADV_UNPLACED } AdvWanted;

/* Any thread. May complete the entry from its prefix. */
AdvWanted adv_filter_entry(const AdvFilter *filter, AdvEntry *entry);

/* log_line_prefix as the user gives it; NULL: not given. `filter` may be NULL. */
const char *adv_filter_prefix(const AdvFilter *filter);

/* Does it ask for more than every entry? */
bool adv_filter_asks_entries(const AdvFilter *filter);

/* Takes the shapes that are not wanted out of what a report is made of. One thread. */
bool adv_filter_shape(const AdvFilter *filter, const AdvShape *shape);

#endif
