/* SPDX-License-Identifier: ISC */
#include "pooler/server/alarms.h"

#include <event2/event.h>
#include <stdlib.h>

static const struct timeval patience = {.tv_usec = POOL_PATIENCE_USEC};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    WorkerCtx *ctx = arg;
    for (unsigned due = ctx->n_alarms; due > 0 && ctx->n_alarms > 0; due--) { /* an alarm may set the next one */
        PoolLocal *local = TAILQ_FIRST(&ctx->alarms);
        alarms_forget(local);
        pool_alarm(local->shard);
    }
    if (ctx->n_alarms > 0)
        event_add(ctx->alarm, &patience);
}

void alarms_start(WorkerCtx *ctx)
{
    TAILQ_INIT(&ctx->alarms);
    ctx->alarm = evtimer_new(ctx->worker->base, on_timer, ctx);
    if (!ctx->alarm)
        abort(); /* no memory at start */
}

void alarms_set(PoolShard *shard)
{
    PoolLocal *local = shard->owner;
    WorkerCtx *ctx = worker_ctx(worker_get(shard->worker));
    if (ctx->n_alarms++ == 0)
        event_add(ctx->alarm, &patience);
    local->alarmed = true;
    TAILQ_INSERT_TAIL(&ctx->alarms, local, alarm_link);
}

void alarms_forget(PoolLocal *local)
{
    if (!local->alarmed)
        return;
    WorkerCtx *ctx = worker_ctx(worker_get(local->shard->worker));
    TAILQ_REMOVE(&ctx->alarms, local, alarm_link);
    ctx->n_alarms--;
    local->alarmed = false;
}
