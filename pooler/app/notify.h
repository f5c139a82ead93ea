/* SPDX-License-Identifier: ISC */
/* notify.h - tells systemd how we are; does nothing elsewhere or when built without libsystemd.
 * Any thread. */
#ifndef POOLER_APP_NOTIFY_H
#define POOLER_APP_NOTIFY_H

#include <stddef.h>

void notify_ready(void);
void notify_took_over(void); /* -R: this process is the service's main one now, and ready */
void notify_reloading(void); /* followed by notify_ready when done */
void notify_stopping(void);

/* Sockets handed over by systemd (LISTEN_FDS), for ListenerOptions.inherited: writes at most
 * `most` to ret_fds and returns how many; 0 without systemd. Once per process, before any fork. */
size_t notify_listen_fds(int *ret_fds, size_t most);

#endif
