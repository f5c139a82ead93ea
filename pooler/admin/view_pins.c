/* SPDX-License-Identifier: ISC */
/* view_pins.c - SHOW PINS: session state in transaction mode, one row for each pool and worker. */
#include <assert.h>
#include <stdio.h>

#include "pooler/admin/admin_priv.h"

static const AdminColumn pin_columns[] = {
    {"database", ADMIN_TEXT, "the database that clients ask for"},
    {"user", ADMIN_TEXT, "user on the server"},
    {"worker", ADMIN_INT4, "the worker thread"},
    {"session_state", ADMIN_TEXT, "track, pin or off"},
    {"pinned", ADMIN_INT4, "clients that keep their server between transactions now"},
    {"probes", ADMIN_INT8, "questions to servers whether something is left in the session"},
    {"replays", ADMIN_INT8, "times that settings were brought to another server"},
    {"prepares", ADMIN_INT8, "SQL-level prepared statements brought to or taken from a server"},
    {"retries", ADMIN_INT8, "groups of requests sent again because DDL had made the plan that they used stale"},
    {"reprepares", ADMIN_INT8, "statements prepared anew in place of a plan that was stale or may have been"},
    {"checks", ADMIN_INT8, "questions to servers what a prepared statement returns now"},
    {"listen", ADMIN_INT8, "pins that began because of LISTEN"},
    {"advisory_lock", ADMIN_INT8, "because of an advisory lock of the session"},
    {"temp_table", ADMIN_INT8, "because of a temporary table, view, sequence, function or type"},
    {"hold_cursor", ADMIN_INT8, "because of a cursor WITH HOLD"},
    {"prepared", ADMIN_INT8, "because of prepared statements that cannot be followed"},
    {"setting", ADMIN_INT8, "because of settings that cannot be followed, or session_state = pin"},
    {"unknown", ADMIN_INT8, "because the server could not be asked"},
    {"load", ADMIN_INT8, "because of LOAD and what else cannot be undone"},
};
static_assert(PW_ARRAY_LEN(pin_columns) == 11 + SESSION_PIN_COUNT, "a column for each reason");

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    AdminResult *r = &show->result;
    show->sort = true;
    const PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        const PoolEntry *e = local->entry;
        const Client *c;
        int pinned = 0;
        TAILQ_FOREACH(c, &ctx->clients, link)
            pinned += c->state == CLIENT_READY && c->relay.local == local && c->relay.state.pins != 0;
        char key[300];
        snprintf(key, sizeof(key), "%.127s\x1f%.127s\x1f%05u", e->db->name, e->user->name, ctx->worker->index);
        admin_row_begin(r, key);
        admin_row_text(r, e->db->name);
        admin_row_text(r, e->user->name);
        admin_row_int(r, ctx->worker->index);
        admin_row_text(r, config_session_state_name(local->settings.session_state));
        admin_row_int(r, pinned);
        admin_row_count(r, local->session.probes);
        admin_row_count(r, local->session.replays);
        admin_row_count(r, local->session.prepares);
        admin_row_count(r, local->session.retries);
        admin_row_count(r, local->session.reprepares);
        admin_row_count(r, local->session.checks);
        for (unsigned i = 0; i < SESSION_PIN_COUNT; i++)
            admin_row_count(r, local->session.pins[i]);
        admin_row_end(r);
    }
}

const AdminView admin_view_pins = {
    .name = "pins", .columns = pin_columns, .n_columns = PW_ARRAY_LEN(pin_columns), .visit = visit,
    .help = "why clients keep their servers in transaction mode, one row for each pool and worker",
};
