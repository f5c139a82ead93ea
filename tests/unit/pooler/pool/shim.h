/* SPDX-License-Identifier: ISC */
/* shim.h - stands in for pooler/net/atomic.h and lock.h in the interleaving checker (checker.h): each shared
 * access is a point where the scheduler may switch to another worker. All accesses are sequentially consistent
 * here; that the weaker ones in the code suffice is for the comments there and for ThreadSanitizer. */
#ifndef TESTS_POOL_SHIM_H
#define TESTS_POOL_SHIM_H

#include <stdbool.h>

/* A shared access to `p` comes next: checks that it is not freed, may switch. */
void shim_point(const volatile void *p);
/* The same without a switch: for relaxed loads, of own fields and of hints. */
void shim_touch(const volatile void *p);
/* The eventfd of a mailbox was written. */
void shim_signal(int worker);
/* Gives up the processor until *held is false. */
void shim_block(const bool *held);

#define PW_ATOMIC(T) T
#define pw_atomic_init(p, v) ((void)(*(p) = (v)))
#define pw_atomic_load(p)                                                                                              \
    __extension__({                                                                                                    \
        shim_point(p);                                                                                                 \
        *(p);                                                                                                          \
    })
#define pw_atomic_load_relaxed(p)                                                                                      \
    __extension__({                                                                                                    \
        shim_touch(p);                                                                                                 \
        *(p);                                                                                                          \
    })
#define pw_atomic_store(p, v)                                                                                          \
    __extension__({                                                                                                    \
        __typeof__(*(p)) shim_new = (v);                                                                               \
        shim_point(p);                                                                                                 \
        *(p) = shim_new;                                                                                               \
        (void)0;                                                                                                       \
    })
#define pw_atomic_store_relaxed(p, v) pw_atomic_store(p, v)
#define pw_atomic_store_release(p, v) pw_atomic_store(p, v)
#define pw_atomic_exchange(p, v)                                                                                       \
    __extension__({                                                                                                    \
        __typeof__(*(p)) shim_new = (v);                                                                               \
        shim_point(p);                                                                                                 \
        __typeof__(*(p)) shim_old = *(p);                                                                              \
        *(p) = shim_new;                                                                                               \
        shim_old;                                                                                                      \
    })
#define pw_atomic_add(p, v)                                                                                            \
    __extension__({                                                                                                    \
        shim_point(p);                                                                                                 \
        __typeof__(*(p)) shim_old = *(p);                                                                              \
        *(p) = (__typeof__(*(p)))(shim_old + (v));                                                                     \
        shim_old;                                                                                                      \
    })
#define pw_atomic_sub(p, v)                                                                                            \
    __extension__({                                                                                                    \
        shim_point(p);                                                                                                 \
        __typeof__(*(p)) shim_old = *(p);                                                                              \
        *(p) = (__typeof__(*(p)))(shim_old - (v));                                                                     \
        shim_old;                                                                                                      \
    })
#define pw_atomic_cas(p, expected, v)                                                                                  \
    __extension__({                                                                                                    \
        __typeof__(*(p)) shim_new = (v);                                                                               \
        shim_point(p);                                                                                                 \
        bool shim_same = *(p) == *(expected);                                                                          \
        if (shim_same)                                                                                                 \
            *(p) = shim_new;                                                                                           \
        else                                                                                                           \
            *(expected) = *(p);                                                                                        \
        shim_same;                                                                                                     \
    })

typedef struct PwLock {
    bool held;
} PwLock;

static inline void pw_lock_init(PwLock *lock) { lock->held = false; }
static inline void pw_lock_finish(PwLock *lock) { (void)lock; }
static inline void pw_lock(PwLock *lock)
{
    shim_point(lock);
    while (lock->held)
        shim_block(&lock->held);
    lock->held = true;
}
static inline void pw_unlock(PwLock *lock)
{
    shim_point(lock);
    lock->held = false;
}

#endif
