/* SPDX-License-Identifier: ISC */
/* app.h - wiring: what the process is made of, and what changes it as a whole (RELOAD, SET, SUSPEND, SHUTDOWN).
 *
 * The state belongs to the main worker (worker 0), which also runs the signals and the listeners. */
#ifndef POOLER_APP_APP_H
#define POOLER_APP_APP_H

#include <stdbool.h>

#include "pooler/config/snapshot.h"
#include "pooler/net/listener.h"
#include "pooler/net/worker.h"
#include "pooler/server/context.h"

typedef struct AppOptions {
    const char *conffile;
    const char *user; /* -u */
    bool daemon, quiet;
    bool reboot; /* -R: take over from the process that listens on our unix socket */
    int verbose;
} AppOptions;

/* Runs the pooler until it is told to stop; returns the exit status. */
int app_run(const AppOptions *options);

/* Prints all problems of a configuration file; the exit status of --check. */
int app_check(const char *conffile);

/* ---- any worker ---- */

/* Reads the files again and gives every worker the new snapshot. The swap goes on after the return. False: nothing
 * changed; `why` says so in its first line, then come the problems, as far as there is room. The log has all. True: `why` is empty, or
 * says why the log could not be opened. */
bool app_reload(char *why, size_t why_size);
/* One option. `why` holds CONFIG_WHY bytes. */
PwErr app_set(const char *key, const char *value, char *why);
void app_shutdown(ShutdownMode mode);
void app_suspend(bool on);
bool app_is_shutting_down(void);
/* Another process accepts now: this one ends with its last client. The second time: it will never be needed again, and closes its own sockets. */
void app_handed_over(void);
/* The process that was taking over has died. This one accepts again if it can. */
void app_take_back(void);
void app_each_listener(void (*each)(void *arg, int fd, const NetAddr *addr), void *arg); /* main worker */

#endif
