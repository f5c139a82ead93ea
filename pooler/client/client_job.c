/* SPDX-License-Identifier: ISC */
/* client_job.c - the part of a login that runs on another thread.
 *
 * One job a client at most. The job knows its client only while the client waits for it: a client that is closed
 * cancels the job, which then ends for nobody. */
#include <stdlib.h>

#include "pooler/client/client_priv.h"
#include "pooler/net/jobs.h"
#include "poolwise/mem.h"

struct ClientJob {
    Job job; /* first */
    Client *client; /* its worker's; not looked at by the job's thread */
    ScramWork scram;
};

static void run_scram(Job *job)
{
    scram_work_run(&((ClientJob *)job)->scram);
}

static void done(Job *job)
{
    ClientJob *j = (ClientJob *)job;
    Client *c = j->client;
    if (!job_is_cancelled(job)) {
        PwBuf out;
        pw_buf_init(&out);
        c->job = NULL;
        AuthStep step = client_auth_resume(c->auth, &j->scram, &out);
        client_login_step(c, step, &out);
        pw_buf_finish(&out);
    }
    scram_work_finish(&j->scram);
    free(j);
}

void client_job_start(Client *c)
{
    ClientJob *j = pw_xcalloc(1, sizeof(*j));
    j->client = c;
    j->job.run = run_scram;
    j->job.done = done;
    client_auth_take_work(c->auth, &j->scram);
    c->job = j;
    if (jobs_submit(context_crypto_jobs(), &j->job, client_ctx(c)->worker->index))
        return;
    c->job = NULL;
    scram_work_finish(&j->scram);
    free(j);
    client_close(c, "bouncer resources exhaustion", "too many logins at once");
}

void client_job_cancel(Client *c)
{
    ClientJob *j = c->job;
    c->job = NULL;
    if (j)
        job_cancel(&j->job);
}
