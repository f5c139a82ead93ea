/* SPDX-License-Identifier: ISC */
/* admin_process.c - RELOAD, SET, SHUTDOWN: the console's side of what pooler/app does. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/log.h"
#include "poolwise/wire.h"

/* An empty tour: it follows the one that swaps the snapshots, so the answer comes when all workers have the new one. */
static void visit_nothing(WorkerCtx *ctx, AdminJob *job)
{
    (void)ctx;
    (void)job;
}

static void answer_done(AdminJob *job)
{
    admin_job_end(job, NULL);
}

#define RELOAD_WHY 4000 /* some twenty problems */

void admin_cmd_reload(AdminSession *s, const AdminRequest *r)
{
    (void)r;
    char why[RELOAD_WHY];
    pw_log(PW_LOG_LOG, "RELOAD command issued");
    if (!admin_process()->reload(why, sizeof(why))) {
        admin_error_state(s, "F0000", why, "RELOAD failed, see logs for additional details");
        return;
    }
    if (why[0]) /* who looks for a line about it looks into the new file */
        admin_notice(s, "the log goes on where it was", why);
    admin_job_tour(admin_job_create(s, "RELOAD"), visit_nothing, answer_done);
}

/* ---- SET ---- */

/* Drivers set these without asking; a console has no use for them. */
static const AdminFakeSetting fake_settings[] = {
    {{"client_encoding", ADMIN_TEXT, ""}, "UTF-8"},
    {{"default_transaction_isolation", ADMIN_TEXT, ""}, "read committed"},
    {{"standard_conforming_strings", ADMIN_TEXT, ""}, "on"},
    {{"datestyle", ADMIN_TEXT, ""}, "ISO"},
    {{"timezone", ADMIN_TEXT, ""}, "GMT"},
    {{"extra_float_digits", ADMIN_TEXT, ""}, "2"},
    {{"application_name", ADMIN_TEXT, ""}, ""},
};

const AdminFakeSetting *admin_fake_setting(const char *name)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(fake_settings); i++)
        if (strcasecmp(fake_settings[i].column.name, name) == 0)
            return &fake_settings[i];
    return NULL;
}

/* Success with a notice, as drivers and scripts of PgBouncer's users expect it. */
static void set_without_effect(AdminSession *s, const char *notice, const char *detail, const char *tag)
{
    Client *c = s->client;
    admin_notice(s, notice, detail);
    if (c->console)
        admin_complete(s, tag);
}

void admin_cmd_set(AdminSession *s, const AdminRequest *r)
{
    char why[CONFIG_WHY] = "", tag[ADMIN_TAG_MAX];
    if (r->is_set && admin_fake_setting(r->arg)) {
        set_without_effect(s, "SET ignored", NULL, "SET");
        return;
    }
    if (!s->client->console_admin) {
        admin_error(s, "admin access needed");
        return;
    }
    snprintf(tag, sizeof(tag), "SET %s=%s", r->arg, r->value);
    PwErr err = admin_process()->set(r->arg, r->value, why);
    if (err == PW_ERR_FIXED) {
        set_without_effect(s, why, "RELOAD and SET leave it as it is; change it in the file and restart the pooler", tag);
        return;
    }
    if (err) {
        admin_error_state(s, "08P01", why[0] ? why : NULL, "SET failed");
        return;
    }
    if (why[0])
        admin_notice(s, "TLS settings could not be applied, still using old configuration", why);
    const PwParamRow *row = pw_param_find(&config_params, r->arg);
    if (row && (row->flags & PARAM_INERT))
        admin_notice(s, "it is kept and has no effect", row->help);
    if (!s->client->console)
        return;
    AdminJob *job = admin_job_create(s, NULL);
    snprintf(job->tag_text, sizeof(job->tag_text), "%s", tag);
    job->tag = job->tag_text;
    admin_job_tour(job, visit_nothing, answer_done);
}

/* ---- SHUTDOWN ---- */

void admin_cmd_shutdown(AdminSession *s, const AdminRequest *r)
{
    ShutdownMode mode = SHUTDOWN_NOW;
    if (strcasecmp(r->arg, "WAIT_FOR_SERVERS") == 0)
        mode = SHUTDOWN_WAIT_FOR_SERVERS;
    else if (strcasecmp(r->arg, "WAIT_FOR_CLIENTS") == 0)
        mode = SHUTDOWN_WAIT_FOR_CLIENTS;
    else if (r->arg[0]) {
        admin_error(s, "invalid command 'SHUTDOWN %s', use SHOW HELP;", r->arg);
        return;
    }
    pw_log(PW_LOG_LOG, "SHUTDOWN%s%s command issued", r->arg[0] ? " " : "", r->arg);
    admin_process()->shutdown(mode);
    if (mode != SHUTDOWN_NOW)
        admin_complete(s, "SHUTDOWN"); /* else the connection just ends */
}
