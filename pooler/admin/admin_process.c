/* SPDX-License-Identifier: ISC */
/* admin_process.c - RELOAD, SET, SHUTDOWN: the console's side of what pooler/app does. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pooler/admin/admin_priv.h"
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

void admin_cmd_reload(AdminSession *s, const AdminRequest *r)
{
    (void)r;
    char why[CONFIG_WHY];
    pw_log(PW_LOG_LOG, "RELOAD command issued");
    if (!admin_process()->reload(why, sizeof(why))) {
        admin_error_state(s, "F0000", why, "RELOAD failed, see logs for additional details");
        return;
    }
    admin_job_tour(admin_job_create(s, "RELOAD"), visit_nothing, answer_done);
}

/* ---- SET ---- */

/* Drivers set these without asking; a console has no use for them. */
static const struct {
    const char *name, *value;
} fake_settings[] = {
    {"client_encoding", "UTF-8"}, {"default_transaction_isolation", "read committed"},
    {"standard_conforming_strings", "on"}, {"datestyle", "ISO"},
    {"timezone", "GMT"}, {"extra_float_digits", "2"},
};

const char *admin_fake_setting(const char *name, const char **ret_name)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(fake_settings); i++)
        if (strcasecmp(fake_settings[i].name, name) == 0) {
            *ret_name = fake_settings[i].name;
            return fake_settings[i].value;
        }
    return NULL;
}

static void set_ignored(AdminSession *s)
{
    PwErrorText text = {.severity = "NOTICE", .sqlstate = "00000", .message = "SET ignored"};
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_notice(&out, &text);
    pw_msg_command_complete(&out, "SET");
    admin_answer(s, &out);
    pw_buf_finish(&out);
}

/* A notice ahead of the answer. False: the console is gone. */
static bool say(AdminSession *s, const char *what)
{
    Client *c = s->client;
    PwErrorText text = {.severity = "NOTICE", .sqlstate = "00000", .message = what};
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_notice(&out, &text);
    if (!stream_send_buf(&c->relay.stream, &out))
        client_close(c, NULL, "client unexpected eof");
    pw_buf_finish(&out);
    return c->console != NULL;
}

void admin_cmd_set(AdminSession *s, const AdminRequest *r)
{
    const char *name;
    char why[CONFIG_WHY] = "";
    if (r->is_set && admin_fake_setting(r->arg, &name)) {
        set_ignored(s);
        return;
    }
    if (!s->client->console_admin) {
        admin_error(s, "admin access needed");
        return;
    }
    if (admin_process()->set(r->arg, r->value, why)) {
        admin_error_state(s, "08P01", why[0] ? why : NULL, "SET failed");
        return;
    }
    if (why[0] && !say(s, why))
        return;
    AdminJob *job = admin_job_create(s, NULL);
    snprintf(job->tag_text, sizeof(job->tag_text), "SET %s=%s", r->arg, r->value);
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
