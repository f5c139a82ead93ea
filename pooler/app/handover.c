/* SPDX-License-Identifier: ISC */
/* handover.c - this process is replaced (-R): its listening sockets go to another one, and come back if that one dies. */
#include "pooler/app/app_priv.h"
#include "pooler/app/notify.h"
#include "pooler/app/pidfile.h"
#include "pooler/app/takeover.h"
#include "poolwise/log.h"

static void lend_visit(Worker *w, void *arg)
{
    (void)arg;
    if (w->index == 0) {
        pw_atomic_store(&app.sockets, SOCKETS_LENT);
        listener_suspend(app.listener);
    }
}

static void give_away_visit(Worker *w, void *arg)
{
    (void)arg;
    if (w->index == 0) {
        pw_atomic_store(&app.sockets, SOCKETS_GIVEN);
        listener_give_away(app.listener);
    }
}

void app_handed_over(void)
{
    if (pw_atomic_load(&app.shutdown) == SHUTDOWN_HANDED_OVER) {
        worker_tour(worker_get(0), give_away_visit, NULL, NULL);
        return;
    }
    worker_tour(worker_get(0), lend_visit, NULL, NULL);
    app_shutdown(SHUTDOWN_HANDED_OVER);
    takeover_pass_on(); /* of whom we have replaced ourselves */
}

/* On the main worker. */
static void accept_again(const WorkerCtx *ctx)
{
    int handed_over = SHUTDOWN_HANDED_OVER;
    if (pw_atomic_load(&app.stopping) || pw_atomic_load(&app.sockets) != SOCKETS_LENT ||
        !pw_atomic_cas(&app.shutdown, &handed_over, SHUTDOWN_NONE))
        return; /* it ends, or was told to, or yet another process accepts */
    pw_atomic_store(&app.sockets, SOCKETS_OURS);
    if (!ctx->suspended)
        listener_resume(app.listener);
    notify_took_over();
    pw_log(PW_LOG_WARNING, "the new process has died, this one accepts connections again and goes on (hint: its last lines are above, or on its standard error)");
}

static void take_back_visit(Worker *w, void *arg)
{
    (void)arg;
    WorkerCtx *ctx = worker_ctx(w);
    if (w->index == 0) {
        accept_again(ctx);
        if (pw_atomic_load(&app.sockets) == SOCKETS_OURS)
            pidfile_take_back();
    }
    ctx->shutdown = (ShutdownMode)pw_atomic_load(&app.shutdown);
}

void app_take_back(void)
{
    worker_tour(worker_get(0), take_back_visit, NULL, NULL);
}
