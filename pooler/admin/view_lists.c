/* SPDX-License-Identifier: ISC */
/* view_lists.c - SHOW LISTS: how many there are of everything, counted from the lists themselves. */
#include <stdlib.h>

#include "pooler/admin/view_dns.h"
#include "pooler/admin/view_users.h"
#include "pooler/listen/hub.h"

static const AdminColumn list_columns[] = {
    {"list", ADMIN_TEXT, "what is counted"},
    {"items", ADMIN_INT4, "how many"},
};

typedef struct Lists {
    int64_t used_clients, login_clients, used_servers, dns_queries, dns_pending;
    AdminDnsHost *hosts;
} Lists;

static void count_server(void *arg, Server *s)
{
    (void)s;
    ((Lists *)arg)->used_servers++;
}

static void count_cancel(void *arg, const ServerCancelInfo *info)
{
    ((Lists *)arg)->used_servers += !info->waits;
}

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    Lists *l = show->gather;
    const Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link) {
        l->used_clients++;
        l->login_clients += c->state == CLIENT_STARTUP || c->state == CLIENT_AUTH;
    }
    const PoolLocal *local;
    ListenHubInfo hub;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        admin_each_server(local, count_server, l);
        l->used_servers += listen_hub_info(local, &hub) && hub.server;
        server_cancel_each(local, count_cancel, l);
    }
    admin_dns_collect(ctx, &l->hosts);
    l->dns_queries += (int64_t)resolver_pending(ctx->resolver);
    l->dns_pending += (int64_t)resolver_waiting(ctx->resolver);
}

static void put(AdminResult *r, const char *name, int64_t n)
{
    admin_row_begin(r, NULL);
    admin_row_text(r, name);
    admin_row_int(r, n);
    admin_row_end(r);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    const Lists *l = show->gather;
    AdminDnsZone *zones = NULL;
    admin_dns_count_zones(l->hosts, &zones);
    AdminResult *r = &show->result;
    size_t n_databases, n_users;
    free(admin_databases(ctx->config, worker_now(ctx->worker), &n_databases));
    free(admin_users(ctx->config, ctx->users, &n_users));
    put(r, "databases", (int64_t)n_databases);
    put(r, "users", (int64_t)n_users);
    put(r, "peers", (int64_t)config_n_peers(ctx->config));
    put(r, "pools", (int64_t)registry_n_pools() + 1); /* and the console's */
    put(r, "peer_pools", admin_count_peer_pools(ctx->config));
    put(r, "free_clients", 0); /* memory goes back to the system: nothing is kept for later */
    put(r, "used_clients", l->used_clients);
    put(r, "login_clients", l->login_clients);
    put(r, "free_servers", 0);
    put(r, "used_servers", l->used_servers);
    put(r, "dns_names", HASH_COUNT(l->hosts));
    put(r, "dns_zones", HASH_COUNT(zones));
    put(r, "dns_queries", l->dns_queries);
    put(r, "dns_pending", l->dns_pending);
    admin_dns_zones_free(zones);
}

static void drop(AdminShow *show)
{
    admin_dns_hosts_free(((Lists *)show->gather)->hosts);
}

const AdminView admin_view_lists = {
    .name = "lists", .columns = list_columns, .n_columns = PW_ARRAY_LEN(list_columns), .gather = sizeof(Lists),
    .visit = visit, .finish = finish, .drop = drop, .help = "how many databases, users, pools, clients, servers and names there are",
};
