/* SPDX-License-Identifier: ISC */
/* resolver.h - host names to addresses without blocking: c-ares on a libevent base, with a cache.
 *
 * One resolver per worker; every call is made on that worker and no lock is needed. Numeric
 * addresses and unix socket directories never leave the process; /etc/hosts is honoured. Questions
 * for a name that is already being asked join it. */
#ifndef POOLER_NET_RESOLVER_H
#define POOLER_NET_RESOLVER_H

#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"
#include "poolwise/time.h"
#include "pooler/net/addr.h"

struct event_base;

typedef struct Resolver Resolver;
typedef struct ResolverQuery ResolverQuery;

/* A new answer lacks an address that the name had before (port 0). Must not call the resolver. */
typedef void (*ResolverLost)(void *arg, const char *host, const NetAddr *addr);

typedef struct ResolverOptions {
    ResolverLost lost; /* NULL: nobody wants to know */
    void *lost_arg;
    PwUsec max_ttl;          /* dns_max_ttl: bounds the TTL that an answer brings */
    PwUsec nxdomain_ttl;     /* dns_nxdomain_ttl: how long a failure is kept */
    const char *resolv_conf; /* NULL or "": the system's */
    const char *servers;     /* NULL: those of resolv_conf; else "127.0.0.1:5353,..." (tests) */
    int timeout_ms;          /* of one try; 0: 2000 */
    int tries;               /* 0: 3 */
    size_t max_names;        /* the cache's bound; 0: 1024 */
} ResolverOptions;

/* PW_OK: n >= 1 addresses, best first, with the port asked for, valid during the call.
 * PW_ERR_NOT_FOUND: no such name or no address. PW_ERR_TIMEOUT: no name server answered.
 * PW_ERR_IO: they refused or answered with a failure. PW_ERR_SHUTDOWN: the resolver ends.
 * Otherwise addrs is NULL, n 0. */
typedef void (*ResolverDone)(void *arg, PwErr err, const NetAddr *addrs, size_t n);

PW_MUSTCHECK PwErr resolver_create(struct event_base *base, const ResolverOptions *options,
                                   Resolver **ret_resolver);

/* Calls back every open question with PW_ERR_SHUTDOWN. Not from within a callback. NULL is fine. */
void resolver_destroy(Resolver *resolver);

/* Asks. When the answer is known at once (numeric, unix, cached) `done` is called before this
 * returns and the result is NULL; otherwise the result can be given to resolver_cancel until
 * `done` was called. */
ResolverQuery *resolver_lookup(Resolver *resolver, const char *host, uint16_t port,
                               ResolverDone done, void *arg);

/* `done` will not be called. The answer, when it comes, still goes to the cache. */
void resolver_cancel(ResolverQuery *query);

/* New limits (RELOAD); names already cached keep their times, bounded by the new ones. */
void resolver_set_ttl(Resolver *resolver, PwUsec max_ttl, PwUsec nxdomain_ttl);

/* Forgets one name or (NULL) all, so that the next question goes out. Open questions go on. */
void resolver_forget(Resolver *resolver, const char *host);

/* The zone of a name: what follows its first dot. NULL: it has none. Points into `host`. */
const char *resolver_zone(const char *host);

/* Asks again for every name of the zone, whether its answer is still good or not. */
void resolver_ask_again(Resolver *resolver, const char *zone);

/* The serial number of a zone's SOA record. `done` is called exactly once, perhaps before this returns; with
 * PW_ERR_SHUTDOWN when the resolver ends. */
typedef void (*ResolverSerial)(void *arg, PwErr err, uint32_t serial);
void resolver_serial(Resolver *resolver, const char *zone, ResolverSerial done, void *arg);

/* SHOW DNS_HOSTS and SHOW LISTS. `ttl_left` is in microseconds, negative when over; n = 0 for a
 * failure. */
typedef void (*ResolverVisit)(void *arg, const char *host, PwUsec ttl_left, const NetAddr *addrs,
                              size_t n);
void resolver_each(const Resolver *resolver, ResolverVisit visit, void *arg);
size_t resolver_names(const Resolver *resolver);
size_t resolver_pending(const Resolver *resolver); /* names being asked now */
size_t resolver_waiting(const Resolver *resolver); /* who wait for the answers */

#endif
