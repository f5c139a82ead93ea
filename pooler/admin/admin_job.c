/* SPDX-License-Identifier: ISC */
/* admin_job.c - what a command does on other workers or over some time.
 *
 * A job is freed by its own end only, never by its console's: a tour may carry it. */
#include <stdio.h>
#include <stdlib.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/mem.h"

AdminJob *admin_job_create(AdminSession *s, const char *tag)
{
    AdminJob *job = pw_xcalloc(1, sizeof(*job));
    job->session = s;
    job->worker = s->client->relay.stream.worker->index;
    job->tag = tag;
    s->job = job;
    return job;
}

static void visit(Worker *w, void *arg)
{
    AdminJob *job = arg;
    job->visit(worker_ctx(w), job);
}

static void done(Worker *origin, void *arg)
{
    (void)origin;
    AdminJob *job = arg;
    job->touring = false;
    job->done(job);
}

void admin_job_tour(AdminJob *job, void (*on_visit)(WorkerCtx *ctx, AdminJob *job), void (*on_done)(AdminJob *job))
{
    job->visit = on_visit;
    job->done = on_done;
    job->touring = true;
    worker_tour(worker_get(job->worker), visit, done, job);
}

void admin_job_wait(AdminJob *job, AdminWait wait)
{
    job->wait = wait;
    if (job->listed)
        return;
    TAILQ_INSERT_TAIL(&admin_worker(job->worker)->waiting, job, link);
    job->listed = true;
}

void admin_job_free(AdminJob *job)
{
    if (job->listed)
        TAILQ_REMOVE(&admin_worker(job->worker)->waiting, job, link);
    if (job->session)
        job->session->job = NULL;
    admin_fds_destroy(job->fds);
    if (job->show) {
        if (job->show->view->drop)
            job->show->view->drop(job->show);
        admin_result_finish(&job->show->result);
        free(job->show->gather);
        free(job->show);
    }
    free(job);
}

void admin_job_end(AdminJob *job, const char *error)
{
    AdminSession *s = job->session;
    char tag[sizeof(job->tag_text)]; /* it may lie in the job */
    snprintf(tag, sizeof(tag), "%s", job->tag ? job->tag : "");
    admin_job_free(job);
    if (!s)
        return;
    Client *c = s->client;
    if (error)
        admin_error(s, "%s", error);
    else
        admin_complete(s, tag);
    if (c->console)
        admin_session_next(s);
}

void admin_job_done(AdminJob *job)
{
    admin_job_end(job, NULL);
}
