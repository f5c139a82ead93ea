/* SPDX-License-Identifier: ISC */
/* prefix.h - what log_line_prefix put in front of a message: time, process, user, database, application. Any thread. */
#ifndef ADVISOR_SOURCE_PREFIX_H
#define ADVISOR_SOURCE_PREFIX_H

#include "advisor/source/entry.h"

/* By the setting of the server. False when the line is of another form: nothing is known then. */
bool adv_prefix_match(const char *log_line_prefix, AdvSlice text, AdvEntry *entry);

/* Without it: a date and time, a number in brackets, user=..., db=..., app=..., user@database. */
void adv_prefix_guess(AdvSlice text, AdvEntry *entry);

/* Only the process, which is asked for more often. */
AdvSlice adv_prefix_pid(const char *log_line_prefix, AdvSlice text);

/* "2026-01-02 03:04:05.678" at the start of s (a T may stand for the blank): its length, 0 when it is none. */
size_t adv_time_length(AdvSlice s);

#endif
