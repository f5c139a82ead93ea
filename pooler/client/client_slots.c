/* SPDX-License-Identifier: ISC */
/* client_slots.c - limits on clients: max_client_conn, max_db_client_connections, max_user_client_connections.
 *
 * Counted over all workers; compare-and-swap keeps each exact. What a client has taken is noted in it and given back once. */
#include "pooler/client/client_priv.h"

static PW_ATOMIC(int) n_clients_total; /* but those of the console */
static PW_ATOMIC(int) n_consoles;      /* max_db_client_connections counts them, and stops those that only look */

int client_count_total(void)
{
    return pw_atomic_load(&n_clients_total);
}

int client_count_consoles(void)
{
    return pw_atomic_load(&n_consoles);
}

static bool take_slot(PW_ATOMIC(int) *used, int max)
{
    int n = pw_atomic_load(used);
    do {
        if (max > 0 && n >= max)
            return false;
    } while (!pw_atomic_cas(used, &n, n + 1));
    return true;
}

static bool refuse(Client *c, const char *why)
{
    client_close(c, why, why);
    return false;
}

bool client_take_total_slot(Client *c)
{
    if (!take_slot(&n_clients_total, client_ctx(c)->config->max_client_conn))
        return refuse(c, "no more connections allowed (max_client_conn)");
    c->counted = true;
    return true;
}

static bool take_user_slot(Client *c, int max)
{
    UserState *user = registry_user(c->user);
    if (!take_slot(&user->clients.used, max))
        return refuse(c, "client connections exceeded (max_user_client_connections)");
    c->login_user = user;
    return true;
}

bool client_take_console_slots(Client *c)
{
    config_effective_client(c->login->config, NULL, c->user, &c->settings);
    int max_db = c->console_admin ? 0 : c->settings.max_db_client_connections;
    int max_user = c->console_admin ? 0 : c->settings.max_user_client_connections;
    if (!take_slot(&n_consoles, max_db))
        return refuse(c, "client connections exceeded (max_db_client_connections)");
    c->console_counted = true;
    return take_user_slot(c, max_user);
}

bool client_take_slots(Client *c, const DatabaseConf *dbconf)
{
    config_effective_client(c->login->config, dbconf, c->user, &c->settings);
    DbState *db = registry_db(c->database);
    if (!take_slot(&db->clients.used, c->settings.max_db_client_connections))
        return refuse(c, "client connections exceeded (max_db_client_connections)");
    c->db = db;
    pw_atomic_store(&db->clients.max, c->settings.max_db_client_connections);
    if (!take_user_slot(c, c->settings.max_user_client_connections))
        return false;
    pw_atomic_store(&c->login_user->clients.max, c->settings.max_user_client_connections);
    return true;
}

void client_force_slots(Client *c, const DatabaseConf *dbconf)
{
    pw_atomic_add(&n_clients_total, 1);
    c->counted = true;
    config_effective_client(c->login->config, dbconf, c->user, &c->settings);
    c->db = registry_db(c->database);
    pw_atomic_add(&c->db->clients.used, 1);
    c->login_user = registry_user(c->user);
    pw_atomic_add(&c->login_user->clients.used, 1);
}

void client_release_slots(Client *c)
{
    if (c->counted)
        pw_atomic_sub(&n_clients_total, 1);
    c->counted = false;
    if (c->console_counted)
        pw_atomic_sub(&n_consoles, 1);
    c->console_counted = false;
    if (c->login_user)
        pw_atomic_sub(&c->login_user->clients.used, 1);
    if (c->db)
        pw_atomic_sub(&c->db->clients.used, 1);
    c->login_user = NULL;
    c->db = NULL;
}
