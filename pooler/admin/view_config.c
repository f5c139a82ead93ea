/* SPDX-License-Identifier: ISC */
/* view_config.c - SHOW CONFIG: every option of [pgbouncer]. */
#include "pooler/admin/admin_priv.h"

static const AdminColumn config_columns[] = {
    {"key", ADMIN_TEXT, "option"},
    {"value", ADMIN_TEXT, "its value; NULL: unset"},
    {"default", ADMIN_TEXT, "its value when the file does not set it; NULL: unset"},
    {"changeable", ADMIN_TEXT, "yes: SET and RELOAD can change it; no: it takes a restart"},
};

static void put(void *arg, const char *key, const char *value, const char *def, bool changeable)
{
    AdminResult *r = arg;
    admin_row_begin(r, NULL);
    admin_row_text(r, key);
    admin_row_text(r, value);
    admin_row_text(r, def);
    admin_row_text(r, changeable ? "yes" : "no");
    admin_row_end(r);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    config_show(ctx->config, put, &show->result);
}

const AdminView admin_view_config = {
    .name = "config", .columns = config_columns, .n_columns = PW_ARRAY_LEN(config_columns), .finish = finish,
    .help = "every option with its value",
};
