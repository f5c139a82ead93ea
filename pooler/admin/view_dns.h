/* SPDX-License-Identifier: ISC */
/* view_dns.h - the host names that the workers have looked up, and the zones that they are in. */
#ifndef POOLER_ADMIN_VIEW_DNS_H
#define POOLER_ADMIN_VIEW_DNS_H

#include <uthash.h>

#include "pooler/admin/admin_priv.h"

typedef struct AdminDnsHost {
    UT_hash_handle hh; /* by name */
    char *name, *addrs;
    PwUsec ttl;
} AdminDnsHost;

typedef struct AdminDnsZone {
    UT_hash_handle hh; /* by name */
    char *name;
    uint32_t serial;
    int count; /* names */
} AdminDnsZone;

/* Adds the names of one worker; NULL is the empty set. Within a visit. */
void admin_dns_collect(WorkerCtx *ctx, AdminDnsHost **hosts);
void admin_dns_hosts_free(AdminDnsHost *hosts);

/* Adds each name to the count of its zone. */
void admin_dns_count_zones(const AdminDnsHost *hosts, AdminDnsZone **zones);
void admin_dns_zones_free(AdminDnsZone *zones);

#endif
