/* SPDX-License-Identifier: ISC */
/* Each worker has a cache of its own; a name is shown once. Zones follow from the names; their serial numbers, where
 * dns_zone_check_period asks for them, are the main worker's. */
#include "pooler/admin/view_dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/server/zone_watch.h"
#include "poolwise/mem.h"

static const AdminColumn host_columns[] = {
    {"hostname", ADMIN_TEXT, "name as in the configuration"},
    {"ttl", ADMIN_INT8, "seconds until it is asked again; of several workers' the longest"},
    {"addrs", ADMIN_TEXT, "its addresses, comma separated; empty: none were found"},
};

static const AdminColumn zone_columns[] = {
    {"zonename", ADMIN_TEXT, "zone: what follows the first dot of a name"},
    {"serial", ADMIN_INT8, "its serial number when dns_zone_check_period last asked for it; 0: not known"},
    {"count", ADMIN_INT4, "names in it that were looked up"},
};

typedef struct Gather {
    AdminDnsHost *hosts;
    AdminDnsZone *zones;
} Gather;

/* ---- names ---- */

static char *join(const NetAddr *addrs, size_t n)
{
    PwBuf buf;
    char one[NET_ADDR_TEXT];
    pw_buf_init(&buf);
    for (size_t i = 0; i < n; i++) {
        if (i)
            pw_buf_append_u8(&buf, ',');
        pw_buf_append_str(&buf, net_addr_host(&addrs[i], one, sizeof(one)));
    }
    pw_buf_append_u8(&buf, 0);
    char *text = pw_xstrdup((const char *)pw_buf_head(&buf));
    pw_buf_finish(&buf);
    return text;
}

static void on_host(void *arg, const char *name, PwUsec ttl_left, const NetAddr *addrs, size_t n)
{
    AdminDnsHost **hosts = arg, *host;
    HASH_FIND_STR(*hosts, name, host);
    if (!host) {
        host = pw_xcalloc(1, sizeof(*host));
        host->name = pw_xstrdup(name);
        HASH_ADD_KEYPTR(hh, *hosts, host->name, strlen(host->name), host);
    } else if (host->ttl >= ttl_left) {
        return;
    }
    free(host->addrs);
    host->addrs = join(addrs, n);
    host->ttl = ttl_left;
}

void admin_dns_collect(WorkerCtx *ctx, AdminDnsHost **hosts)
{
    resolver_each(ctx->resolver, on_host, hosts);
}

void admin_dns_hosts_free(AdminDnsHost *hosts)
{
    AdminDnsHost *host, *next;
    HASH_ITER(hh, hosts, host, next)
    {
        HASH_DEL(hosts, host);
        free(host->name);
        free(host->addrs);
        free(host);
    }
}

/* ---- zones ---- */

static AdminDnsZone *zone_get(AdminDnsZone **zones, const char *name)
{
    AdminDnsZone *zone;
    HASH_FIND_STR(*zones, name, zone);
    if (!zone) {
        zone = pw_xcalloc(1, sizeof(*zone));
        zone->name = pw_xstrdup(name);
        HASH_ADD_KEYPTR(hh, *zones, zone->name, strlen(zone->name), zone);
    }
    return zone;
}

void admin_dns_count_zones(const AdminDnsHost *hosts, AdminDnsZone **zones)
{
    for (const AdminDnsHost *host = hosts; host; host = host->hh.next) {
        const char *name = resolver_zone(host->name);
        if (name)
            zone_get(zones, name)->count++;
    }
}

void admin_dns_zones_free(AdminDnsZone *zones)
{
    AdminDnsZone *zone, *next;
    HASH_ITER(hh, zones, zone, next)
    {
        HASH_DEL(zones, zone);
        free(zone->name);
        free(zone);
    }
}

/* ---- views ---- */

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    admin_dns_collect(ctx, &((Gather *)show->gather)->hosts);
}

static int by_name(AdminDnsHost *a, AdminDnsHost *b)
{
    return strcmp(a->name, b->name);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    Gather *g = show->gather;
    HASH_SORT(g->hosts, by_name);
    for (const AdminDnsHost *host = g->hosts; host; host = host->hh.next) {
        admin_row_begin(&show->result, NULL);
        admin_row_text(&show->result, host->name);
        admin_row_int(&show->result, host->ttl > 0 ? host->ttl / PW_USEC_PER_SEC : 0);
        admin_row_text(&show->result, host->addrs);
        admin_row_end(&show->result);
    }
}

static void drop(AdminShow *show)
{
    Gather *g = show->gather;
    admin_dns_hosts_free(g->hosts);
    admin_dns_zones_free(g->zones);
}

static void on_serial(void *arg, const char *zone, uint32_t serial)
{
    zone_get(arg, zone)->serial = serial;
}

static void visit_zones(WorkerCtx *ctx, AdminShow *show)
{
    Gather *g = show->gather;
    admin_dns_collect(ctx, &g->hosts);
    if (ctx->worker->index == 0)
        zone_watch_each(on_serial, &g->zones);
}

static int zones_by_name(AdminDnsZone *a, AdminDnsZone *b)
{
    return strcmp(a->name, b->name);
}

static void finish_zones(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    Gather *g = show->gather;
    admin_dns_count_zones(g->hosts, &g->zones);
    HASH_SORT(g->zones, zones_by_name);
    for (const AdminDnsZone *zone = g->zones; zone; zone = zone->hh.next) {
        if (zone->count == 0)
            continue;
        admin_row_begin(&show->result, NULL);
        admin_row_text(&show->result, zone->name);
        admin_row_int(&show->result, zone->serial);
        admin_row_int(&show->result, zone->count);
        admin_row_end(&show->result);
    }
}

const AdminView admin_view_dns_hosts = {
    .name = "dns_hosts", .columns = host_columns, .n_columns = PW_ARRAY_LEN(host_columns), .gather = sizeof(Gather),
    .visit = visit, .finish = finish, .drop = drop, .help = "host names that were looked up",
};
const AdminView admin_view_dns_zones = {
    .name = "dns_zones", .columns = zone_columns, .n_columns = PW_ARRAY_LEN(zone_columns), .gather = sizeof(Gather),
    .visit = visit_zones, .finish = finish_zones, .drop = drop, .help = "zones of the host names that were looked up",
};
