/* SPDX-License-Identifier: ISC */
/* prefix.h - what log_line_prefix put in front of a message: time, process, user, database, application. Any thread. */
#ifndef ADVISOR_SOURCE_PREFIX_H
#define ADVISOR_SOURCE_PREFIX_H

#include "advisor/source/entry.h"

/* By the setting of the server, which `text` must be all of. False when it is of another form: nothing is known then. */
bool adv_prefix_match(const char *log_line_prefix, AdvSlice text, AdvEntry *entry);

/* Without it: a date and time, a number in brackets, user=..., db=..., app=..., user@database. */
void adv_prefix_guess(AdvSlice text, AdvEntry *entry);

/* Only the process, which is asked for more often. */
AdvSlice adv_prefix_pid(const char *log_line_prefix, AdvSlice text);

/* "2026-01-02 03:04:05.678" at the start of s (a T may stand for the blank): its length, 0 when it is none. */
size_t adv_time_length(AdvSlice s);

#define ADV_TIME_MAX 23

/* The same, or seconds since 1970 ("1772366400.123", told in UTC), as "2026-01-02 03:04:05[.678]": its length, at most ADV_TIME_MAX; no NUL; 0 when it is none. */
size_t adv_time_text(AdvSlice s, char *out);

#endif
