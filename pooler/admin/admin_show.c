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
    &admin_view_databases,      &admin_view_dns_hosts,  &admin_view_dns_zones, &admin_view_lists,
    &admin_view_mem,            &admin_view_peer_pools, &admin_view_peers,   &admin_view_pools,
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
    PwBuf detail, out;
    pw_buf_init(&detail);
    pw_buf_init(&out);
    help_list(&detail);
    PwErrorText text = {.severity = "NOTICE",
                        .sqlstate = "00000",
                        .message = "Console usage",
                        .detail = (const char *)pw_buf_head(&detail)};
    pw_msg_notice(&out, &text);
    pw_msg_command_complete(&out, "SHOW");
    admin_answer(s, &out);
    pw_buf_finish(&out);
    pw_buf_finish(&detail);
}

static bool show_fake(AdminSession *s, const char *what)
{
    const char *name, *value = admin_fake_setting(what, &name);
    if (!value)
        return false;
    AdminColumn column = {name, ADMIN_TEXT, NULL};
    AdminResult result;
    PwBuf out;
    pw_buf_init(&out);
    admin_result_init(&result, &column, 1);
    admin_row_begin(&result, NULL);
    admin_row_text(&result, value);
    admin_row_end(&result);
    admin_result_write(&result, 0, "SHOW", &out);
    admin_result_finish(&result);
    admin_answer(s, &out);
    pw_buf_finish(&out);
    return true;
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
    PwBuf out;
    pw_buf_init(&out);
    admin_result_write(&show->result, show->limit, "SHOW", &out);
    admin_job_free(job);
    admin_answer(s, &out);
    pw_buf_finish(&out);
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

void admin_cmd_show(AdminSession *s, const AdminRequest *r)
{
    size_t limit = 0;
    bool is_help = strcasecmp(r->arg, "help") == 0;
    const AdminView *view = is_help ? NULL : find_view(r->arg);
    if (!view && !r->extra[0] && show_fake(s, r->arg))
        return;
    if ((!view && !is_help) || (is_help && r->extra[0]) || (view && !read_limit(view, r->extra, &limit))) {
        admin_error(s, "invalid command '%s %s%s%s', use SHOW HELP;", r->word, r->arg, r->extra[0] ? " " : "", r->extra);
        return;
    }
    if (is_help) {
        show_help(s);
        return;
    }
    AdminShow *show = pw_xcalloc(1, sizeof(*show));
    show->view = view;
    show->limit = limit;
    show->gather = view->gather ? pw_xcalloc(1, view->gather) : NULL;
    admin_result_init(&show->result, view->columns, view->n_columns);
    AdminJob *job = admin_job_create(s, "SHOW");
    job->show = show;
    if (view->visit)
        admin_job_tour(job, visit, gathered);
    else
        gathered(job);
}
