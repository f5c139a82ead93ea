/* SPDX-License-Identifier: ISC */
/* client_job.c - the part of a login that runs on another thread: key derivation, LDAP, PAM.
 *
 * One job a client at most. The job knows its client only while the client waits for it: a client that is closed
 * cancels the job, which then ends for nobody. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/auth/ldap_check.h"
#include "pooler/auth/pam_check.h"
#include "pooler/client/client_priv.h"
#include "pooler/config/ldap_options.h"
#include "pooler/net/jobs.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"

struct ClientJob {
    Job job; /* first */
    JobsKind kind;
    Client *client; /* its worker's; not looked at by the job's thread */
    ScramWork scram; /* JOBS_CRYPTO */
    char *user, *password; /* the others */
    char rhost[NET_ADDR_TEXT];
    const LdapOptions *ldap; /* one reference */
    PwErr outcome;
    char why[200];
};

typedef struct KindRow {
    void (*run)(ClientJob *j);
    const char *refused; /* what the client is told */
} KindRow;

static void run_crypto(ClientJob *j)
{
    scram_work_run(&j->scram);
}

static void run_ldap(ClientJob *j)
{
    j->outcome = ldap_check(j->ldap, j->user, j->password, j->why, sizeof(j->why));
}

static void run_pam(ClientJob *j)
{
    j->outcome = pam_check(j->user, j->password, j->rhost, j->why, sizeof(j->why));
}

static const KindRow kinds[] = {
    [JOBS_CRYPTO] = {run_crypto, NULL},
    [JOBS_LDAP] = {run_ldap, "LDAP authentication failed"},
    [JOBS_PAM] = {run_pam, "PAM authentication failed"},
};
static_assert(PW_ARRAY_LEN(kinds) == JOBS_KIND_COUNT, "a row for each kind");

static void run(Job *job)
{
    ClientJob *j = (ClientJob *)job;
    kinds[j->kind].run(j);
}

static void destroy(ClientJob *j)
{
    scram_work_finish(&j->scram);
    free(j->user);
    if (j->password)
        pw_wipe(j->password, strlen(j->password));
    free(j->password);
    ldap_options_unref(j->ldap);
    free(j);
}

static AuthStep judge(ClientJob *j)
{
    Client *c = j->client;
    if (j->outcome) /* a wrong password is the client's affair, a directory that does not answer the operator's */
        client_log(c, j->outcome == PW_ERR_AUTH ? PW_LOG_LOG : PW_LOG_ERROR, "login refused: %s", j->why);
    return client_auth_judged(c->login->auth, j->outcome == PW_OK, kinds[j->kind].refused);
}

static void done(Job *job)
{
    ClientJob *j = (ClientJob *)job;
    Client *c = j->client;
    if (!job_is_cancelled(job)) {
        PwBuf out;
        pw_buf_init(&out);
        c->login->job = NULL;
        AuthStep step = j->kind == JOBS_CRYPTO ? client_auth_resume(c->login->auth, &j->scram, &out) : judge(j);
        client_login_step(c, step, &out);
        pw_buf_finish(&out);
    }
    destroy(j);
}

static void drop(Job *job)
{
    destroy((ClientJob *)job);
}

static JobsKind kind_for(const Client *c)
{
    return c->login->auth_type == AUTH_TYPE_LDAP ? JOBS_LDAP : c->login->auth_type == AUTH_TYPE_PAM ? JOBS_PAM : JOBS_CRYPTO;
}

void client_job_start(Client *c)
{
    ClientJob *j = pw_xcalloc(1, sizeof(*j));
    j->client = c;
    j->kind = kind_for(c);
    j->job.run = run;
    j->job.done = done;
    j->job.drop = drop;
    if (j->kind == JOBS_CRYPTO) {
        client_auth_take_work(c->login->auth, &j->scram);
    } else {
        j->user = pw_xstrdup(c->user);
        j->password = pw_xstrdup(client_auth_password(c->login->auth));
        NetAddr peer;
        client_peer(c, &peer);
        net_addr_host(&peer, j->rhost, sizeof(j->rhost));
        if (c->login->auth_ldap)
            j->ldap = ldap_options_ref(c->login->auth_ldap);
    }
    c->login->job = j;
    if (jobs_submit(context_jobs(j->kind), &j->job, client_ctx(c)->worker->index))
        return;
    c->login->job = NULL;
    destroy(j);
    client_close(c, "bouncer resources exhaustion", "too many logins at once");
}

void client_job_cancel(Client *c)
{
    ClientJob *j = c->login ? c->login->job : NULL;
    if (!j)
        return;
    c->login->job = NULL;
    job_cancel(&j->job);
}
