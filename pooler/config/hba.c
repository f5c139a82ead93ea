/* SPDX-License-Identifier: ISC */
/* hba.c - access rules: life and matching. */
#include "pooler/config/hba.h"

#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "pooler/config/hba_priv.h"
#include "pooler/config/ldap_options.h"
#include "poolwise/mem.h"

const Hba *hba_ref(const Hba *hba)
{
    pw_refs_take(&hba->refs);
    return hba;
}

void hba_unref(const Hba *hba)
{
    if (!hba || !pw_refs_drop(&hba->refs))
        return;
    Hba *gone = (Hba *)(uintptr_t)hba;
    for (size_t i = 0; i < gone->n; i++) {
        pw_str_list_finish(&gone->rules[i].databases.list);
        pw_str_list_finish(&gone->rules[i].users.list);
        ldap_options_unref(gone->rules[i].answer.ldap);
    }
    free(gone->rules);
    ident_destroy(gone->ident);
    free(gone);
}

size_t hba_n_rules(const Hba *hba)
{
    return hba->n;
}

bool hba_is_incomplete(const Hba *hba)
{
    return hba->incomplete;
}

static int compare_name(const void *key, const void *item)
{
    return strcmp(key, *(char *const *)item);
}

static bool has_name(const HbaNames *names, const char *name)
{
    return names->list.n > 0 &&
           bsearch(name, names->list.items, names->list.n, sizeof(char *), compare_name) != NULL;
}

static bool matches_database(const HbaRule *rule, const HbaQuery *q)
{
    if (q->physical_replication)
        return rule->databases.replication;
    return rule->databases.all || (rule->databases.same_user && strcmp(q->database, q->user) == 0) ||
           has_name(&rule->databases, q->database);
}

static bool matches_address(const HbaRule *rule, const struct sockaddr *peer)
{
    const uint8_t *addr;
    size_t n;
    if (rule->family == AF_UNSPEC)
        return true;
    if (peer->sa_family != rule->family)
        return false;
    if (rule->family == AF_INET) {
        addr = (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
        n = 4;
    } else {
        addr = (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
        n = 16;
    }
    for (size_t i = 0; i < n; i++)
        if ((addr[i] & rule->mask[i]) != rule->addr[i])
            return false;
    return true;
}

static bool matches_connection(const HbaRule *rule, const HbaQuery *q)
{
    bool local = q->peer->sa_family == AF_UNIX;
    switch (rule->type) {
    case HBA_CONN_LOCAL:
        return local;
    case HBA_CONN_HOST:
        return !local && matches_address(rule, q->peer);
    case HBA_CONN_HOSTSSL:
        return !local && q->tls && matches_address(rule, q->peer);
    case HBA_CONN_HOSTNOSSL:
        return !local && !q->tls && matches_address(rule, q->peer);
    case HBA_CONN_TYPE_COUNT:
        break;
    }
    return false;
}

bool hba_match(const Hba *hba, const HbaQuery *query, HbaAnswer *ret_answer)
{
    for (size_t i = 0; i < hba->n; i++) {
        const HbaRule *rule = &hba->rules[i];
        if (matches_connection(rule, query) && matches_database(rule, query) &&
            (rule->users.all || has_name(&rule->users, query->user))) {
            *ret_answer = rule->answer;
            return true;
        }
    }
    return false;
}
