/* SPDX-License-Identifier: ISC */
/* admin_show.c - SHOW: finds the view, tours the workers for it, sends what they gathered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

const AdminView *const admin_views[] = {
    &admin_view_active_sockets, &admin_view_averages,   &admin_view_clients, &admin_view_config,
    &admin_view_databases,      &admin_view_dns_hosts,  &admin_view_dns_zones, &admin_view_fds,     &admin_view_listeners, &admin_view_lists,
    &admin_view_mem,            &admin_view_peer_pools, &admin_view_peers,   &admin_view_pins,    &admin_view_pools,
    &admin_view_queries,        &admin_view_servers,    &admin_view_sockets, &admin_view_state,
    &admin_view_stats,          &admin_view_stats_averages, &admin_view_stats_totals, &admin_view_totals,
    &admin_view_users,          &admin_view_version,    &admin_view_workers, NULL,
};

static const AdminView *find_view(const char *name)
{
    for (size_t i = 0; admin_views[i]; i++)
        if (strcasecmp(admin_views[i]->name, name) == 0)
            return admin_views[i];
    return NULL;
}

/* ---- SHOW HELP, and what drivers ask ---- */

static void help_list(PwBuf *detail)
{
    size_t line = 0;
    pw_buf_append_str(detail, "\n\tSHOW HELP");
    for (size_t i = 0; admin_views[i]; i++) {
        const AdminView *v = admin_views[i];
        bool wrap = ++line % 6 == 0;
        pw_buf_append_str(detail, wrap ? "\n\tSHOW " : "|");
        for (const char *p = v->name; *p; p++)
            pw_buf_append_u8(detail, (uint8_t)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p));
        if (v->limit)
            pw_buf_append_str(detail, " [n]");
    }
    for (size_t i = 0; i < admin_command_count(); i++) {
        const AdminCommand *c = admin_command_at(i);
        if (c->usage && c->run != admin_cmd_show)
            pw_buf_printf(detail, "\n\t%s", c->usage);
    }
    pw_buf_append_u8(detail, 0);
}

static void show_help(AdminSession *s)
{
    PwBuf detail;
    Client *c = s->client;
    pw_buf_init(&detail);
    help_list(&detail);
    admin_notice(s, "Console usage", (const char *)pw_buf_head(&detail));
    pw_buf_finish(&detail);
    if (c->console)
        admin_complete(s, "SHOW");
}

static void show_fake(AdminSession *s, const AdminFakeSetting *fake)
{
    AdminResult result;
    admin_result_init(&result, &fake->column, 1, false);
    admin_row_begin(&result, NULL);
    admin_row_text(&result, fake->value);
    admin_row_end(&result);
    admin_result(s, &result, 0, "SHOW");
    admin_result_finish(&result);
}

/* ---- views ---- */

static void visit(WorkerCtx *ctx, AdminJob *job)
{
    job->show->view->visit(ctx, job->show);
}

static void gathered(AdminJob *job)
{
    AdminSession *s = job->session;
    if (!s) { /* nobody listens any more */
        admin_job_free(job);
        return;
    }
    AdminShow *show = job->show;
    Client *c = s->client;
    if (show->view->finish)
        show->view->finish(admin_ctx(s), show);
    if (show->sort)
        admin_result_sort(&show->result);
    s->job = NULL; /* over: the answer may end the session, which then leaves the job to us */
    admin_result(s, &show->result, show->limit, "SHOW");
    job->session = NULL;
    admin_job_free(job);
    if (c->console)
        admin_session_next(s);
}

/* n of SHOW QUERIES n. */
static bool read_limit(const AdminView *view, const char *text, size_t *ret_limit)
{
    char *end;
    *ret_limit = view->limit;
    if (!text[0])
        return true;
    if (!view->limit || strlen(text) > 9 || text[0] < '0' || text[0] > '9')
        return false;
    *ret_limit = strtoul(text, &end, 10);
    return *end == '\0';
}

static bool is_help(const AdminRequest *r)
{
    return strcasecmp(r->arg, "help") == 0;
}

bool admin_show_exists(const AdminRequest *r)
{
    size_t limit;
    const AdminView *view = find_view(r->arg);
    if (view)
        return read_limit(view, r->extra, &limit);
    return !r->extra[0] && (is_help(r) || admin_fake_setting(r->arg));
}

unsigned admin_show_columns(const AdminRequest *r, const AdminColumn **ret_columns)
{
    const AdminView *view = find_view(r->arg);
    const AdminFakeSetting *fake = view ? NULL : admin_fake_setting(r->arg);
    if (!view && !fake)
        return 0;
    *ret_columns = view ? view->columns : &fake->column;
    return view ? view->n_columns : 1;
}

/* `r` was found to exist. */
void admin_cmd_show(AdminSession *s, const AdminRequest *r)
{
    size_t limit = 0;
    const AdminView *view = find_view(r->arg);
    if (!view) {
        if (is_help(r))
            show_help(s);
        else
            show_fake(s, admin_fake_setting(r->arg));
        return;
    }
    if (view->start) {
        if (s->client->console_admin)
            view->start(s);
        else
            admin_error(s, "admin access needed");
        return;
    }
    (void)read_limit(view, r->extra, &limit);
    AdminShow *show = pw_xcalloc(1, sizeof(*show));
    show->view = view;
    show->limit = limit;
    show->gather = view->gather ? pw_xcalloc(1, view->gather) : NULL;
    admin_result_init(&show->result, view->columns, view->n_columns, admin_strict(s));
    AdminJob *job = admin_job_create(s, "SHOW");
    job->show = show;
    if (view->visit)
        admin_job_tour(job, visit, gathered);
    else
        gathered(job);
}
