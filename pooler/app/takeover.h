/* SPDX-License-Identifier: ISC */
/* takeover.h - a new process takes the place of the running one (-R), and no client notices.
 *
 *   1. before threads start: log in to the old one's console over the unix socket, take copies of its listening sockets, and ask which
 *      databases are paused or disabled (takeover_marks.h)
 *   2. once we serve: tell it so (HANDOVER DONE); it stops accepting, but keeps its sockets: if we die, it goes on
 *   3. ask for its clients again and again: those at rest move with their sockets (client_adopt), the others
 *      finish what they do, or leave, where they are; the old process ends with its last client
 *
 * One at a time in a process. Steps 2 and 3 run on the main worker's loop. */
#ifndef POOLER_APP_TAKEOVER_H
#define POOLER_APP_TAKEOVER_H

#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"

struct event_base;

/* Step 1; may block for some seconds. PW_ERR_NOT_FOUND: nobody listens there. All other errors: `why` tells. */
PW_MUSTCHECK PwErr takeover_begin(const char *unix_socket_dir, uint16_t port, char *why, size_t why_size);

/* The listening sockets, the caller's from now on. */
size_t takeover_sockets(int *ret_fds, size_t most);

/* Before the workers start: cancel requests for clients of the old process will reach it. */
void takeover_prepare(void);

/* Steps 2 and 3. */
void takeover_continue(struct event_base *base);

/* Clients may still wait in the old process for RESUME, which only reaches us: passed on. `database` NULL: all. Any worker. */
void takeover_resume(const char *database);

/* This process is replaced in its turn: the old one, whose clients still move here, will not be needed to accept again. Any worker. */
void takeover_pass_on(void);

void takeover_finish(void); /* lets go of the old process; also without a takeover */

#endif
