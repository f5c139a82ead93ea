/* SPDX-License-Identifier: ISC */
/* pidfile.h - one file that says which process is the pooler. Main thread. */
#ifndef POOLER_APP_PIDFILE_H
#define POOLER_APP_PIDFILE_H

#include <stddef.h>
#include <sys/types.h>

#include "poolwise/err.h"

/* PW_ERR_EXISTS when the file names a live process (its id in ret_pid). A missing, empty or stale
 * file is fine. PW_ERR_IO when it cannot be read, PW_ERR_SYNTAX when it holds something else than
 * a process id. */
PW_MUSTCHECK PwErr pidfile_check(const char *path, pid_t *ret_pid);

/* Writes our id ("123\n"), replacing a stale file. PW_ERR_EXISTS as above, also when another
 * process wrote it since. The path is remembered, absolute, for pidfile_remove. */
PW_MUSTCHECK PwErr pidfile_write(const char *path);

/* Writes our id whoever's was there: that process goes (-R). */
PW_MUSTCHECK PwErr pidfile_take_over(const char *path);

/* ... or it stays, because we cannot: its id comes back if the file still holds ours. Without pidfile_take_over as pidfile_remove. */
void pidfile_give_back(void);

/* It has died after pidfile_take_over: the file that was ours is so again. */
void pidfile_take_back(void);

/* Removes the file if this process wrote it and it still holds its id. */
void pidfile_remove(void);

#endif
