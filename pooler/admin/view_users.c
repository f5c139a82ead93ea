/* SPDX-License-Identifier: ISC */
/* view_users.c - SHOW USERS; which users there are: of auth_file, of [users], and who has used the pooler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/view_users.h"
#include "poolwise/mem.h"

static const AdminColumn user_columns[] = {
    {"name", ADMIN_TEXT, "user"},
    {"pool_size", ADMIN_TEXT, "pool_size of its line in [users]; empty: none"},
    {"reserve_pool_size", ADMIN_TEXT, "reserve_pool_size of its line; empty: none"},
    {"pool_mode", ADMIN_TEXT, "pool_mode of its line; NULL: none"},
    {"max_user_connections", ADMIN_INT4, "most servers over all its pools; 0: no limit"},
    {"current_connections", ADMIN_INT4, "servers connected as this user"},
    {"max_user_client_connections", ADMIN_INT4, "most clients; 0: no limit"},
    {"current_client_connections", ADMIN_INT4, "clients logged in as this user"},
};

typedef struct FillUsers {
    UserState **users;
    size_t n, size;
} FillUsers;

static void fill(void *arg, UserState *user)
{
    FillUsers *f = arg;
    if (f->n < f->size)
        f->users[f->n] = user;
    f->n++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **admin_users(const Config *config, const UserList *list, size_t *ret_n)
{
    FillUsers f = {NULL, 0, 0};
    do { /* not under the registry's lock: no allocation there */
        f.size = f.n + 16;
        f.n = 0;
        f.users = pw_xrealloc(f.users, f.size * sizeof(*f.users));
        registry_each_user(fill, &f);
    } while (f.n > f.size);
    size_t n_list = userlist_count(list), n_conf = config_n_users(config), n = 0, kept = 0;
    const char **names = pw_xcalloc(n_list + n_conf + f.n + 1, sizeof(*names));
    for (size_t i = 0; i < n_list; i++)
        userlist_at(list, i, &names[n++]);
    for (size_t i = 0; i < n_conf; i++)
        names[n++] = config_user_at(config, i)->name;
    for (size_t i = 0; i < f.n; i++)
        names[n++] = f.users[i]->name;
    free(f.users);
    names[n++] = "pgbouncer";
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[kept - 1]) != 0)
            names[kept++] = names[i];
    *ret_n = kept;
    return names;
}

static void put_size(AdminResult *r, int size)
{
    char text[16] = "";
    if (size >= 0)
        snprintf(text, sizeof(text), "%9d", size); /* right-aligned, as PgBouncer has it */
    admin_row_text(r, text);
}

static void user_row(AdminResult *r, const Config *config, const char *name)
{
    const UserConf *conf = config_find_user(config, name);
    UserState *user = registry_find_user(name);
    int max_servers = conf ? conf->max_user_connections : -1;
    int max_clients = conf ? conf->max_user_client_connections : -1;
    admin_row_begin(r, NULL);
    admin_row_text(r, name);
    put_size(r, conf ? conf->pool_size : -1);
    put_size(r, conf ? conf->reserve_pool_size : -1);
    admin_row_text(r, conf ? config_pool_mode_name(conf->pool_mode) : NULL);
    admin_row_int(r, max_servers >= 0 ? max_servers : config->max_user_connections);
    admin_row_int(r, user ? pw_atomic_load(&user->servers.used) : 0);
    admin_row_int(r, max_clients >= 0 ? max_clients : config->max_user_client_connections);
    admin_row_int(r, user ? pw_atomic_load(&user->clients.used) : 0);
    admin_row_end(r);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    size_t n;
    const char **names = admin_users(ctx->config, ctx->users, &n);
    for (size_t i = 0; i < n; i++)
        user_row(&show->result, ctx->config, names[i]);
    free(names);
}

const AdminView admin_view_users = {
    .name = "users", .columns = user_columns, .n_columns = PW_ARRAY_LEN(user_columns), .finish = finish,
    .help = "the users of auth_file and [users], and those who have used the pooler",
};
