/* SPDX-License-Identifier: ISC */
#include "advisor/cost/explain.h"

#include <jansson.h>
#include <stdbool.h>

static void add_name(AdvArena *arena, const char ***names, int *n, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (strcmp((*names)[i], name) == 0)
            return;
    ADV_ROOM(arena, *names, *n);
    (*names)[(*n)++] = adv_arena_strdup(arena, name);
}

static const char *text_of(const json_t *node, const char *name)
{
    const char *value = json_string_value(json_object_get(node, name));
    return value ? value : "";
}

/* The indexes of a bitmap scan are below it. */
static void names_below(AdvArena *arena, const json_t *node, AdvTableScan *scan)
{
    const char *index = json_string_value(json_object_get(node, "Index Name"));
    if (index)
        add_name(arena, &scan->indexes, &scan->n_indexes, index);
    const json_t *children = json_object_get(node, "Plans");
    for (size_t i = 0; i < json_array_size(children); i++)
        names_below(arena, json_array_get(children, i), scan);
}

static bool is_indexed_scan(const char *type)
{
    return strcmp(type, "Bitmap Heap Scan") == 0 || strcmp(type, "Index Scan") == 0 || strcmp(type, "Index Only Scan") == 0;
}

/* `again`: the node is run for each row of something else. */
static void walk(AdvArena *arena, const json_t *node, bool again, AdvPlan *plan)
{
    const char *index = json_string_value(json_object_get(node, "Index Name"));
    const char *relation = json_string_value(json_object_get(node, "Relation Name"));
    const char *type = text_of(node, "Node Type"), *place = text_of(node, "Parent Relationship");
    bool whole = relation && strcmp(type, "Seq Scan") == 0;
    again = again || strcmp(place, "SubPlan") == 0;
    if (index)
        add_name(arena, &plan->indexes, &plan->n_indexes, index);
    if (whole)
        add_name(arena, &plan->seq_scans, &plan->n_seq_scans, relation);
    if (whole || (relation && is_indexed_scan(type))) {
        const char *alias = json_string_value(json_object_get(node, "Alias"));
        AdvTableScan scan = {.table = adv_arena_strdup(arena, relation), .alias = adv_arena_strdup(arena, alias ? alias : relation),
                             .again = again && !whole,
                             .cost = json_number_value(json_object_get(node, "Total Cost")),
                             .rows = json_number_value(json_object_get(node, "Plan Rows"))};
        names_below(arena, node, &scan);
        ADV_ROOM(arena, plan->scans, plan->n_scans);
        plan->scans[plan->n_scans++] = scan;
    }
    bool loop = strcmp(type, "Nested Loop") == 0;
    const json_t *children = json_object_get(node, "Plans");
    for (size_t i = 0; i < json_array_size(children); i++) {
        const json_t *child = json_array_get(children, i);
        walk(arena, child, again || (loop && strcmp(text_of(child, "Parent Relationship"), "Inner") == 0), plan);
    }
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
    walk(arena, top, false, &plan);
    json_decref(root);
    *ret_plan = plan;
    return PW_OK;
}
