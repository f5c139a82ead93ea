/* SPDX-License-Identifier: ISC */
/* atomic.h - C11 atomics by short names, so that the hand-over code can be compiled a second time
 * with a scheduler shim (tests/unit/pooler/pool/shim.h) that tries all interleavings.
 * Loads and stores default to sequentially consistent; the relaxed forms are for statistics only. */
#ifndef POOLER_NET_ATOMIC_H
#define POOLER_NET_ATOMIC_H

#ifdef PW_SCHEDULER_SHIM
#include "shim.h"
#else

#include <stdatomic.h>

#define PW_ATOMIC(T) _Atomic(T)
#define pw_atomic_init(p, v) atomic_init(p, v)
#define pw_atomic_load(p) atomic_load(p)
#define pw_atomic_store(p, v) atomic_store(p, v)
#define pw_atomic_add(p, v) atomic_fetch_add(p, v)
#define pw_atomic_sub(p, v) atomic_fetch_sub(p, v)
#define pw_atomic_exchange(p, v) atomic_exchange(p, v)
#define pw_atomic_cas(p, expected, v) atomic_compare_exchange_strong(p, expected, v)
#define pw_atomic_load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define pw_atomic_store_release(p, v) atomic_store_explicit(p, v, memory_order_release)
#define pw_atomic_store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)

#endif
#endif
