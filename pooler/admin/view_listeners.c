/* SPDX-License-Identifier: ISC */
/* view_listeners.c - SHOW LISTENERS: the shared listening connections (listen_mode = shared), one row for each pool that has one. */
#include <stdio.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/listen/hub.h"

static const AdminColumn listener_columns[] = {
    {"database", ADMIN_TEXT, "the database that clients ask for"},
    {"user", ADMIN_TEXT, "user on the server"},
    {"worker", ADMIN_INT4, "the worker thread that owns the connection"},
    {"state", ADMIN_TEXT, "up, connecting, down (tries again after server_login_retry) or paused"},
    {"remote_pid", ADMIN_INT4, "process of the server, 0 without a connection"},
    {"channels", ADMIN_INT4, "channels that clients listen on"},
    {"notifications", ADMIN_INT8, "notifications received"},
    {"connects", ADMIN_INT8, "times that it was connected; each after the first may have lost notifications"},
};

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    AdminResult *r = &show->result;
    show->sort = true;
    const PoolLocal *local;
    ListenHubInfo hub;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        if (!listen_hub_info(local, &hub))
            continue;
        const PoolEntry *e = local->entry;
        char key[300];
        snprintf(key, sizeof(key), "%.127s\x1f%.127s", e->db->name, e->user->name);
        admin_row_begin(r, key);
        admin_row_text(r, e->db->name);
        admin_row_text(r, e->user->name);
        admin_row_int(r, ctx->worker->index);
        admin_row_text(r, hub.state);
        admin_row_int(r, hub.server ? (int64_t)hub.server->backend_pid : 0);
        admin_row_int(r, hub.channels);
        admin_row_count(r, hub.notifications);
        admin_row_count(r, hub.connects);
        admin_row_end(r);
    }
}

const AdminView admin_view_listeners = {
    .name = "listeners", .columns = listener_columns, .n_columns = PW_ARRAY_LEN(listener_columns), .visit = visit,
    .help = "server connections that listen for all clients of a pool (listen_mode = shared)",
};
