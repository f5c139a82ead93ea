/* SPDX-License-Identifier: ISC */
/* log.h - the log of the process: lines in PgBouncer's shape to stderr, a file and syslog.
 *
 *   2026-11-23 20:14:57.588 UTC [PID] LEVEL text
 *
 * After pw_log_start() lines go through a bounded queue to a writer thread: in order, one write each,
 * dropped lines are counted and the count is logged. Before it, and after pw_log_stop(), they are
 * written at once. Any thread. Messages are lower case without a full stop and never hold secrets. */
#ifndef POOLWISE_LOG_H
#define POOLWISE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"

typedef enum PwLogLevel {
    PW_LOG_FATAL,
    PW_LOG_ERROR,
    PW_LOG_WARNING,
    PW_LOG_LOG,
    PW_LOG_DEBUG, /* -v */
    PW_LOG_NOISE, /* -v -v */
    PW_LOG_COUNT
} PwLogLevel;

typedef struct PwLogTarget {
    const char *file;            /* NULL or "": none; opened for append */
    bool to_stderr;              /* false with -q */
    bool stderr_problems;        /* there only WARNING and worse: -d, whose user waits for the start and for nothing else */
    bool to_syslog;
    const char *syslog_ident;    /* NULL: the program's name */
    const char *syslog_facility; /* "daemon", "local0", ... */
} PwLogTarget;

/* Sets where lines go; opens the file. Called at start and by RELOAD. On error the old target stays. */
PW_MUSTCHECK PwErr pw_log_configure(const PwLogTarget *target);
PW_MUSTCHECK PwErr pw_log_reopen(void); /* same file name again, after rotation */
void pw_log_set_level(PwLogLevel most_verbose);
bool pw_log_enabled(PwLogLevel level);

PW_MUSTCHECK PwErr pw_log_start(void); /* starts the writer thread (after fork) */
void pw_log_stop(void);                /* flushes and joins it */

/* Waits until the lines so far are written, for a few milliseconds at most: who is about to hear of something finds it in
 * the log. A target that took longer is not waited for again within a second. False: they are not written yet. DEBUG and NOISE
 * lines do so themselves. */
bool pw_log_settle(void);
uint64_t pw_log_dropped(void);

/* A FATAL line past the queue, to the file alone: without memory, and without waiting for who may never go on. Then the caller ends the process. */
void pw_log_last_words(const char *text, size_t len);

void pw_log(PwLogLevel level, const char *fmt, ...) PW_PRINTF(2, 3);

#endif
