/* SPDX-License-Identifier: ISC */
/* daemon.h - what the process does to itself at start: background, user, file descriptors.
 *
 * All of it runs in the main thread before any other thread and any event base exists. Failures
 * come back with a sentence in `why`; nothing here logs. The order, after the configuration was
 * read (perhaps as root), so that every file made belongs to the user:
 *   daemon_drop_user, pw_log_configure, pidfile_check, daemon_fork, pidfile_write, pw_log_start,
 *   listener_open, workers, daemon_ready. */
#ifndef POOLER_APP_DAEMON_H
#define POOLER_APP_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"

/* Goes to the background (two forks and a new session). Returns in the daemon only. The process
 * that the user started waits until daemon_ready(): it then exits 0; it exits 1 if the daemon ends
 * before. Standard error stays open until then, so that a failing start is seen. */
PW_MUSTCHECK PwErr daemon_fork(char *why, size_t why_size);

/* The start succeeded: the user's process may go, stdin, stdout and stderr become /dev/null. Does
 * nothing in a process that was not made by daemon_fork. */
void daemon_ready(void);

/* Becomes `user` (a name; NULL or "": stay who we are) with all its groups, for good. PW_ERR_AUTH
 * when that leaves us root, PW_ERR_NOT_FOUND for an unknown user, PW_ERR_IO when the system
 * refuses. */
PW_MUSTCHECK PwErr daemon_drop_user(const char *user, char *why, size_t why_size);

typedef struct DaemonFdNeed {
    uint64_t clients; /* max_client_conn */
    uint64_t servers; /* sum of what the pools may open, 0 = not bounded */
    uint64_t other;   /* listeners, logs, epoll and event descriptors of the workers */
} DaemonFdNeed;

/* Raises RLIMIT_NOFILE to its hard limit; returns the limit that now holds, 0 if it cannot be
 * read. */
uint64_t daemon_raise_nofile(void);

/* True when `limit` carries the need; otherwise a sentence with the numbers is in `why`. */
bool daemon_nofile_carries(uint64_t limit, const DaemonFdNeed *need, char *why, size_t why_size);

#endif
