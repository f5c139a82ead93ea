/* SPDX-License-Identifier: ISC */
/* view_state.c - SHOW STATE, VERSION. */
#include "pooler/admin/admin_priv.h"
#include "poolwise/version.h"

static const AdminColumn state_columns[] = {
    {"key", ADMIN_TEXT, "active, paused or suspended"},
    {"value", ADMIN_TEXT, "yes for the one that is so, no for the others"},
};

static void put(AdminResult *r, const char *key, bool value)
{
    admin_row_begin(r, NULL);
    admin_row_text(r, key);
    admin_row_text(r, value ? "yes" : "no");
    admin_row_end(r);
}

static void finish_state(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    AdminState state = admin_state();
    put(&show->result, "active", state == ADMIN_ACTIVE);
    put(&show->result, "paused", state == ADMIN_PAUSED);
    put(&show->result, "suspended", state == ADMIN_SUSPENDED);
}

const AdminView admin_view_state = {
    .name = "state", .columns = state_columns, .n_columns = PW_ARRAY_LEN(state_columns), .finish = finish_state,
    .help = "whether PAUSE (of all databases) or SUSPEND is in force",
};

static const AdminColumn version_columns[] = {
    {"version", ADMIN_TEXT, "the version of PgBouncer that it stands for, and its own"},
};

static void finish_version(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    admin_row_begin(&show->result, NULL);
    admin_row_text(&show->result, show->result.strict ? "PgBouncer " POOLWISE_PGBOUNCER_VERSION : POOLWISE_AS_PGBOUNCER);
    admin_row_end(&show->result);
}

const AdminView admin_view_version = {
    .name = "version", .columns = version_columns, .n_columns = PW_ARRAY_LEN(version_columns), .finish = finish_version,
    .help = "the version",
};
