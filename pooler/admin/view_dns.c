/* SPDX-License-Identifier: ISC */
/* view_dns.c - SHOW DNS_HOSTS, DNS_ZONES: each worker has a cache of its own; a name is shown once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "pooler/admin/admin_priv.h"
#include "poolwise/mem.h"

static const AdminColumn host_columns[] = {
    {"hostname", ADMIN_TEXT, "name as in the configuration"},
    {"ttl", ADMIN_INT8, "seconds until it is asked again; of several workers' the longest"},
    {"addrs", ADMIN_TEXT, "its addresses, comma separated; empty: none were found"},
};

static const AdminColumn zone_columns[] = {
    {"zonename", ADMIN_TEXT, "zone"},
    {"serial", ADMIN_INT8, "its serial number"},
    {"count", ADMIN_INT4, "names in it"},
};

typedef struct Host {
    UT_hash_handle hh;
    char *name, *addrs;
    PwUsec ttl;
} Host;

typedef struct Hosts {
    Host *hosts;
} Hosts;

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
    Hosts *h = arg;
    Host *host;
    HASH_FIND_STR(h->hosts, name, host);
    if (!host) {
        host = pw_xcalloc(1, sizeof(*host));
        host->name = pw_xstrdup(name);
        HASH_ADD_KEYPTR(hh, h->hosts, host->name, strlen(host->name), host);
    } else if (host->ttl >= ttl_left) {
        return;
    }
    free(host->addrs);
    host->addrs = join(addrs, n);
    host->ttl = ttl_left;
}

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    resolver_each(ctx->resolver, on_host, show->gather);
}

static int by_name(Host *a, Host *b)
{
    return strcmp(a->name, b->name);
}

static void finish(WorkerCtx *ctx, AdminShow *show)
{
    (void)ctx;
    Hosts *h = show->gather;
    HASH_SORT(h->hosts, by_name);
    for (const Host *host = h->hosts; host; host = host->hh.next) {
        admin_row_begin(&show->result, NULL);
        admin_row_text(&show->result, host->name);
        admin_row_int(&show->result, host->ttl > 0 ? host->ttl / PW_USEC_PER_SEC : 0);
        admin_row_text(&show->result, host->addrs);
        admin_row_end(&show->result);
    }
}

static void drop(AdminShow *show)
{
    Hosts *h = show->gather;
    Host *host, *next;
    HASH_ITER(hh, h->hosts, host, next)
    {
        HASH_DEL(h->hosts, host);
        free(host->name);
        free(host->addrs);
        free(host);
    }
}

const AdminView admin_view_dns_hosts = {
    .name = "dns_hosts", .columns = host_columns, .n_columns = PW_ARRAY_LEN(host_columns), .gather = sizeof(Hosts),
    .visit = visit, .finish = finish, .drop = drop, .help = "host names that were looked up",
};
const AdminView admin_view_dns_zones = {
    .name = "dns_zones", .columns = zone_columns, .n_columns = PW_ARRAY_LEN(zone_columns),
    .help = "no rows: zones are not watched in this version",
};
