/* SPDX-License-Identifier: ISC */
/* lock.h - a mutex by short names, for the few tables that workers share and that are compiled a second time
 * with the scheduler shim. Never held over I/O, a callback or an allocation. */
#ifndef POOLER_NET_LOCK_H
#define POOLER_NET_LOCK_H

#ifdef PW_SCHEDULER_SHIM
#include "shim.h"
#else

#include <pthread.h>

typedef pthread_mutex_t PwLock;

static inline void pw_lock_init(PwLock *lock) { pthread_mutex_init(lock, NULL); }
static inline void pw_lock_finish(PwLock *lock) { pthread_mutex_destroy(lock); }
static inline void pw_lock(PwLock *lock) { pthread_mutex_lock(lock); }
static inline void pw_unlock(PwLock *lock) { pthread_mutex_unlock(lock); }

#endif
#endif
