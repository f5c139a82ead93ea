/* SPDX-License-Identifier: ISC */
/* signals.h - UNIX signals as ordinary callbacks on the main worker's loop.
 *
 * Only one event base of a process may do this. SIGPIPE is ignored. */
#ifndef POOLER_APP_SIGNALS_H
#define POOLER_APP_SIGNALS_H

#include "poolwise/err.h"

struct event_base;

typedef struct Signals Signals;

/* One per signal; NULL keeps what the system does by default. */
typedef struct SignalHandlers {
    void (*on_hup)(void *arg);  /* RELOAD */
    void (*on_int)(void *arg);  /* SHUTDOWN WAIT_FOR_SERVERS */
    void (*on_term)(void *arg); /* SHUTDOWN WAIT_FOR_CLIENTS */
    void (*on_quit)(void *arg); /* exit at once */
    void (*on_usr1)(void *arg); /* PAUSE */
    void (*on_usr2)(void *arg); /* RESUME */
    void *arg;
} SignalHandlers;

PW_MUSTCHECK PwErr signals_create(struct event_base *base, const SignalHandlers *handlers,
                                  Signals **ret_signals);

/* Restores what the signals did before; SIGPIPE stays ignored. NULL is fine. */
void signals_destroy(Signals *signals);

/* Blocks all of the above in the calling thread (and those it starts): for every thread but the
 * main one. */
void signals_block_in_thread(void);

#endif
