/* SPDX-License-Identifier: ISC */
#include "advisor/health/health.h"

#include <assert.h>

#include "poolwise/str.h"

typedef struct KindRow {
    const char *name;
    const char *title;
} KindRow;

static const KindRow kinds[] = {
    [ADV_HEALTH_ANALYZE] = {"analyze", "ANALYZE"},
    [ADV_HEALTH_VACUUM] = {"vacuum", "VACUUM"},
    [ADV_HEALTH_FK_WITHOUT_INDEX] = {"fk_without_index", "FOREIGN KEY without an index on"},
    [ADV_HEALTH_REINDEX] = {"reindex", "REINDEX on"},
    [ADV_HEALTH_TABLE_BLOAT] = {"table_bloat", "BLOAT of table"},
    [ADV_HEALTH_CLUSTER] = {"cluster", "CLUSTER"},
    [ADV_HEALTH_BRIN] = {"brin", "BRIN instead of a b-tree on"},
    [ADV_HEALTH_STATISTICS] = {"create_statistics", "CREATE STATISTICS on"},
    [ADV_HEALTH_N_PLUS_ONE] = {"n_plus_one", "ONE BY ONE (N+1) from"},
};
static_assert(PW_ARRAY_LEN(kinds) == ADV_HEALTH_COUNT, "one row per kind");

static void (*const finders[])(AdvHealthList *) = {
    adv_health_upkeep, adv_health_foreign_keys, adv_health_bloat, adv_health_order, adv_health_correlated, adv_health_sequences,
};

const char *adv_health_kind_name(AdvHealthKind kind)
{
    return kinds[kind].name;
}

const char *adv_health_kind_title(AdvHealthKind kind)
{
    return kinds[kind].title;
}

AdvHealth *adv_health_add(AdvHealthList *list, AdvHealthKind kind, const AdvTable *table)
{
    ADV_ROOM(list->arena, list->items, list->n);
    AdvHealth *h = &list->items[list->n++];
    *h = (AdvHealth){.kind = kind, .table = table, .confidence = ADV_CONFIDENCE_MEDIUM};
    return h;
}

double adv_health_load(const AdvHealthList *list)
{
    double load = 0;
    for (int i = 0; i < list->workload->n_queries; i++)
        load += list->workload->queries[i]->weight * list->workload->queries[i]->cost_today;
    return load;
}

void adv_health_statement(AdvHealthList *list, AdvScript *script, const char *statement)
{
    adv_script_add(script, list->arena, statement);
}

void adv_health_find(AdvHealthList *list)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(finders); i++)
        finders[i](list);
    /* By kind, in place; the finders' own order stays. */
    AdvHealth *sorted = ADV_NEW_ARRAY(list->arena, AdvHealth, list->n + 1);
    int n = 0;
    for (int kind = 0; kind < ADV_HEALTH_COUNT; kind++)
        for (int i = 0; i < list->n; i++)
            if ((int)list->items[i].kind == kind)
                sorted[n++] = list->items[i];
    list->items = sorted;
}
