/* SPDX-License-Identifier: ISC */
/* failure.h - what a pool remembers of a connect or login that failed, and when it may try again.
 *
 * While its last attempt failed a pool has one connection at a time find out whether it works again: one that is begun each
 * server_login_retry, whatever the number of clients that wait and of workers. When it works all that is wanted is opened at once.
 * Any worker may call these. */
#ifndef POOLER_POOL_FAILURE_H
#define POOLER_POOL_FAILURE_H

#include "pooler/pool/registry.h"

/* A server that says that it is starting up is asked again after that time, should server_login_retry be longer. */
#define POOL_STARTING_RETRY PW_USEC_PER_SEC

/* `sqlstate` NULL: not the server's word (nothing listens, connection lost): who waits goes on waiting. */
void pool_entry_failed(PoolEntry *entry, PwUsec now, const char *sqlstate, const char *text);

/* An attempt worked, or there is a reason to believe that the next one will (other secrets, RECONNECT, RELOAD). */
void pool_entry_worked(PoolEntry *entry);

/* True while no attempt may be begun; `retry` is server_login_retry. */
bool pool_entry_pauses(PoolEntry *entry, PwUsec now, PwUsec retry);

/* May the caller begin an attempt, now and here? True after a failure: then nobody else may before `retry` is over again. */
bool pool_entry_try(PoolEntry *entry, PwUsec now, PwUsec retry);

#endif
