/* SPDX-License-Identifier: ISC */
#include "advisor/cost/explain.h"

#include <jansson.h>

static void add_name(AdvArena *arena, const char ***names, int *n, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (strcmp((*names)[i], name) == 0)
            return;
    ADV_ROOM(arena, *names, *n);
    (*names)[(*n)++] = adv_arena_strdup(arena, name);
}

static void walk(AdvArena *arena, const json_t *node, AdvPlan *plan)
{
    const char *index = json_string_value(json_object_get(node, "Index Name"));
    const char *type = json_string_value(json_object_get(node, "Node Type"));
    const char *relation = json_string_value(json_object_get(node, "Relation Name"));
    if (index)
        add_name(arena, &plan->indexes, &plan->n_indexes, index);
    if (type && relation && strcmp(type, "Seq Scan") == 0)
        add_name(arena, &plan->seq_scans, &plan->n_seq_scans, relation);
    if (type && relation && strcmp(type, "Seq Scan") == 0) {
        const char *alias = json_string_value(json_object_get(node, "Alias"));
        ADV_ROOM(arena, plan->whole, plan->n_whole);
        plan->whole[plan->n_whole++] =
            (AdvWholeScan){.table = adv_arena_strdup(arena, relation), .alias = adv_arena_strdup(arena, alias ? alias : relation),
                           .cost = json_number_value(json_object_get(node, "Total Cost")),
                           .rows = json_number_value(json_object_get(node, "Plan Rows"))};
    }
    const json_t *children = json_object_get(node, "Plans");
    for (size_t i = 0; i < json_array_size(children); i++)
        walk(arena, json_array_get(children, i), plan);
}

/* What writes rows returns none, unless it has RETURNING: those are the rows of the plan below it (several of them for partitions before PostgreSQL 14). */
static double rows_of(const json_t *top)
{
    const char *type = json_string_value(json_object_get(top, "Node Type"));
    double rows = 0;
    if (!type || strcmp(type, "ModifyTable") != 0)
        return json_number_value(json_object_get(top, "Plan Rows"));
    const json_t *children = json_object_get(top, "Plans");
    for (size_t i = 0; i < json_array_size(children); i++) {
        const json_t *child = json_array_get(children, i);
        const char *relation = json_string_value(json_object_get(child, "Parent Relationship"));
        if (relation && (strcmp(relation, "Outer") == 0 || strcmp(relation, "Member") == 0))
            rows += json_number_value(json_object_get(child, "Plan Rows"));
    }
    return rows;
}

PwErr adv_plan_parse(AdvArena *arena, const char *json, AdvPlan *ret_plan)
{
    json_t *root = json_loads(json, 0, NULL);
    const json_t *top = json_object_get(json_array_get(root, 0), "Plan");
    const json_t *cost = json_object_get(top, "Total Cost");
    if (!json_is_number(cost)) {
        json_decref(root);
        return PW_ERR_SYNTAX;
    }
    AdvPlan plan = {.cost = json_number_value(cost), .rows = rows_of(top)};
    walk(arena, top, &plan);
    json_decref(root);
    *ret_plan = plan;
    return PW_OK;
}
