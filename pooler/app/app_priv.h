/* SPDX-License-Identifier: ISC */
/* app_priv.h - between the files of pooler/app. */
#ifndef POOLER_APP_APP_PRIV_H
#define POOLER_APP_APP_PRIV_H

#include <pthread.h>

#include "pooler/app/app.h"

/* Who accepts at the listening sockets (-R). */
typedef enum AppSockets {
    SOCKETS_OURS,
    SOCKETS_LENT,  /* the new process; we keep them until it is sure to go on */
    SOCKETS_GIVEN, /* closed here */
} AppSockets;

typedef struct App {
    AppOptions options;
    Listener *listener;
    WorkerCtx *ctxs;          /* [workers] */
    pthread_mutex_t lock;     /* guards config, users and tls: the newest snapshots */
    const Config *config;
    const UserList *users;
    const TlsSet *tls;
    PW_ATOMIC(int) shutdown;  /* ShutdownMode */
    PW_ATOMIC(int) *active;   /* [workers] servers in use, written by each worker's tick */
    bool serves;              /* main thread; the start is over */
    PW_ATOMIC(int) stopping;  /* workers leave their loops */
    PW_ATOMIC(int) sockets;   /* AppSockets; the main worker writes */
} App;

extern App app;

/* app.c */
NetTune app_client_tune(const Config *config); /* the tcp_* options for client sockets */

/* app_log.c */
PwErr app_log_configure(const Config *config);

/* app_tick.c */
void app_tick_start(WorkerCtx *ctx);

/* retire.c */
void retire_idle_pools(PwUsec now); /* main worker, once a second */

/* app_query_log.c: one thread that writes an interval at a time */
PwErr query_log_start(void);
void query_log_stop(void); /* writes what is there */
void query_log_tick(PwUsec now); /* main worker */
void query_log_reopen(void);     /* any thread */

#endif
