/* SPDX-License-Identifier: ISC */
/* A round:
 *
 *   IDLE --period over--> COLLECT, a tour of all workers --> ASK zone --answer--> [REFRESH, a tour] --> ASK next zone --> IDLE
 *
 * `found` is filled by the tour, one worker at a time; all else is touched by the main worker only. */
#include "pooler/server/zone_watch.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "poolwise/log.h"
#include "poolwise/mem.h"

typedef struct Zone {
    UT_hash_handle hh;
    char *name;
    uint32_t serial;
    bool is_known;
} Zone;

static struct {
    WorkerCtx *main;
    PwUsec last; /* when the last round began, or the period was set; 0: it is off */
    bool busy;
    Zone *zones; /* of the last round, in order */
    Zone *found; /* COLLECT */
    Zone *next;  /* ASK, REFRESH */
} watch;

static Zone *find(Zone *set, const char *name)
{
    Zone *z;
    HASH_FIND_STR(set, name, z);
    return z;
}

/* ---- ASK ---- */

static void ask_next(void);

static void refresh_visit(Worker *w, void *arg)
{
    const Zone *z = arg;
    resolver_ask_again(worker_ctx(w)->resolver, z->name);
}

static void refresh_done(Worker *origin, void *arg)
{
    (void)origin;
    (void)arg;
    ask_next();
}

static void on_serial(void *arg, PwErr err, uint32_t serial)
{
    Zone *z = arg;
    if (err == PW_ERR_SHUTDOWN)
        return;
    if (err != PW_OK) {
        pw_log(PW_LOG_DEBUG, "failure to get zone '%s' serial: %s", z->name, pw_err_text(err));
        ask_next();
        return;
    }
    uint32_t before = z->serial;
    bool changed = z->is_known && serial != before;
    z->serial = serial;
    z->is_known = true;
    if (!changed) {
        ask_next();
        return;
    }
    pw_log(PW_LOG_LOG, "zone '%s' serial changed: old=%u new=%u", z->name, before, serial);
    worker_tour(watch.main->worker, refresh_visit, refresh_done, z);
}

static void ask_next(void)
{
    Zone *z = watch.next;
    if (!z) {
        watch.busy = false;
        return;
    }
    watch.next = z->hh.next;
    resolver_serial(watch.main->resolver, z->name, on_serial, z);
}

/* ---- COLLECT ---- */

static void on_host(void *arg, const char *host, PwUsec ttl_left, const NetAddr *addrs, size_t n)
{
    (void)arg;
    (void)ttl_left;
    (void)addrs;
    (void)n;
    const char *name = resolver_zone(host);
    if (!name || find(watch.found, name))
        return;
    Zone *z = pw_xcalloc(1, sizeof(*z));
    z->name = pw_xstrdup(name);
    HASH_ADD_KEYPTR(hh, watch.found, z->name, strlen(z->name), z);
}

static void collect_visit(Worker *w, void *arg)
{
    (void)arg;
    resolver_each(worker_ctx(w)->resolver, on_host, NULL);
}

static void forget_all(Zone **set)
{
    Zone *z, *next;
    HASH_ITER(hh, *set, z, next)
    {
        HASH_DEL(*set, z);
        free(z->name);
        free(z);
    }
}

/* Zones that no name is in any more are forgotten. */
static void collect_done(Worker *origin, void *arg)
{
    (void)origin;
    (void)arg;
    for (Zone *z = watch.found; z; z = z->hh.next) {
        const Zone *known = find(watch.zones, z->name);
        z->serial = known ? known->serial : 0;
        z->is_known = known && known->is_known;
    }
    forget_all(&watch.zones);
    watch.zones = watch.next = watch.found;
    watch.found = NULL;
    ask_next();
}

void zone_watch_tick(WorkerCtx *main, PwUsec now)
{
    PwUsec period = main->config->dns_zone_check_period;
    watch.main = main;
    if (period <= 0 || watch.last == 0) {
        watch.last = period > 0 ? now : 0;
        return;
    }
    if (watch.busy || now - watch.last < period)
        return;
    watch.last = now;
    watch.busy = true;
    worker_tour(main->worker, collect_visit, collect_done, NULL);
}

void zone_watch_each(void (*each)(void *arg, const char *zone, uint32_t serial), void *arg)
{
    for (const Zone *z = watch.zones; z; z = z->hh.next)
        if (z->is_known)
            each(arg, z->name, z->serial);
}
