/* SPDX-License-Identifier: ISC */
/* retire.c - pools that nobody uses any more: those of automatic databases (autodb_idle_timeout), and any pool without
 * clients and servers (pool_idle_timeout).
 *
 *   main worker: take it off the registry -> tour: each worker retires its shard -> when drained: free it
 *
 * A login that comes meanwhile makes a new pool of the same name; the old one only waits for its servers to end. */
#include <stdlib.h>

#include "pooler/app/app_priv.h"
#include "pooler/client/client.h"
#include "pooler/server/alarms.h"
#include "pooler/server/server.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

typedef struct Retiring {
    PoolEntry *entry;
    bool toured; /* main worker */
    TAILQ_ENTRY(Retiring) link;
} Retiring;

static TAILQ_HEAD(, Retiring) retiring = TAILQ_HEAD_INITIALIZER(retiring); /* main worker */

static void retire_visit(Worker *w, void *arg)
{
    PoolEntry *e = ((Retiring *)arg)->entry;
    WorkerCtx *ctx = worker_ctx(w);
    PoolLocal *local = &e->locals[w->index];
    if (local->listed) {
        TAILQ_REMOVE(&ctx->pools, local, link);
        local->listed = false;
    }
    local->worker = w;
    alarms_forget(local);
    registry_keep_stats(local); /* nobody finds them here any more */
    pool_shard_retire(local->shard);
}

static void retire_done(Worker *origin, void *arg)
{
    (void)origin;
    ((Retiring *)arg)->toured = true;
}

/* Shows up at most this many a round: the registry's lock is held while looking. */
#define LOOK_MAX 512

typedef struct Look {
    PwUsec now;
    const Config *config;
    PoolEntry *found[LOOK_MAX];
    const char *why[LOOK_MAX];
    unsigned n;
} Look;

static void look(void *arg, PoolEntry *e)
{
    Look *l = arg;
    PwUsec empty = pw_atomic_load(&e->empty_since);
    if (l->n == LOOK_MAX || pw_atomic_load(&e->clients) > 0 || empty == 0)
        return;
    PwUsec age = l->now - empty;
    const char *why = NULL;
    if (pw_atomic_load(&e->db->is_auto) && l->config->autodb_idle_timeout > 0 && age >= l->config->autodb_idle_timeout)
        why = "autodb idle timeout";
    else if (l->config->pool_idle_timeout > 0 && age >= l->config->pool_idle_timeout && pool_size_used(e->pool) == 0)
        why = "pool idle timeout";
    if (why) {
        l->why[l->n] = why;
        l->found[l->n++] = e;
    }
}

static void free_drained(void)
{
    Retiring *t, *next;
    for (t = TAILQ_FIRST(&retiring); t; t = next) {
        next = TAILQ_NEXT(t, link);
        if (!t->toured || !pool_drained(t->entry->pool))
            continue;
        TAILQ_REMOVE(&retiring, t, link);
        registry_free_entry(t->entry);
        free(t);
    }
}

void retire_idle_pools(PwUsec now)
{
    Look l = {.now = now, .config = app.ctxs[0].config};
    free_drained();
    if (l.config->autodb_idle_timeout > 0)
        registry_forget_auto_stats(now, l.config->autodb_idle_timeout);
    registry_each_pool(look, &l);
    for (unsigned i = 0; i < l.n; i++) {
        PoolEntry *e = l.found[i];
        if (!registry_take_off(e))
            continue; /* somebody logged in since */
        pw_log(PW_LOG_LOG, "cleaning up idle pool for user %s on db %s because: %s (age= %llds)", e->user->name, e->db->name,
               l.why[i], (long long)((now - pw_atomic_load(&e->empty_since)) / PW_USEC_PER_SEC));
        Retiring *t = pw_xcalloc(1, sizeof(*t));
        t->entry = e;
        TAILQ_INSERT_TAIL(&retiring, t, link);
        worker_tour(worker_get(0), retire_visit, retire_done, t);
    }
}
