/* SPDX-License-Identifier: ISC */
#include "advisor/candidate/roles.h"

#include <stdlib.h>

#include "advisor/catalog/stats.h"
#include "advisor/text.h"
#include "poolwise/str.h"

#define BOUND_SHARE (1.0 / 3) /* of the rows, as the server guesses of a < b */

static void add(AdvArena *arena, AdvRole **list, int *n, AdvRole role)
{
    for (int i = 0; i < *n; i++)
        if ((*list)[i].key.column == role.key.column && pw_str_equal((*list)[i].key.expr, role.key.expr)) {
            if (role.selectivity < (*list)[i].selectivity)
                (*list)[i].selectivity = role.selectivity;
            return;
        }
    ADV_ROOM(arena, *list, *n);
    (*list)[(*n)++] = role;
}

/* LIKE 'abc%' needs byte order, which only the C collation or a pattern operator class gives. */
static const char *pattern_opclass(const AdvColumn *column)
{
    if (column->collation_c)
        return NULL;
    if (strcmp(column->base_type, "varchar") == 0)
        return "varchar_pattern_ops";
    if (strcmp(column->base_type, "bpchar") == 0)
        return "bpchar_pattern_ops";
    return "text_pattern_ops";
}

static void add_pred(AdvRoles *roles, AdvArena *arena, const AdvFacts *facts, const AdvPred *pred)
{
    const AdvTable *table = facts->rels[pred->rel].table;
    bool first;
    AdvRole role = {.kind = ADV_ROLE_EQ, .key = {.column = pred->column, .expr = pred->expr}};
    role.selectivity = adv_pred_selectivity(table, pred);
    switch (pred->kind) {
    case ADV_PRED_PREFIX:
        role.key.opclass = pred->expr ? "text_pattern_ops" : pattern_opclass(adv_column(table, pred->column));
        role.kind = ADV_ROLE_RANGE;
        break;
    case ADV_PRED_RANGE:
        role.kind = ADV_ROLE_RANGE;
        role.selectivity = adv_range_selectivity(facts, pred, &first);
        break;
    case ADV_PRED_EQ:
    case ADV_PRED_IN:
    case ADV_PRED_IS_NULL:
    case ADV_PRED_TRUE:
    case ADV_PRED_FALSE:
        break;
    case ADV_PRED_NOT_NULL:
    case ADV_PRED_NE:
    case ADV_PRED_INFIX:
    case ADV_PRED_OPAQUE:
    case ADV_PRED_CONTAINS:
    case ADV_PRED_COUNT:
        return;
    }
    if (pred->or_group)
        add(arena, &roles->or_arms, &roles->n_or_arms, role);
    else if (role.kind == ADV_ROLE_RANGE)
        add(arena, &roles->range, &roles->n_range, role);
    else
        add(arena, &roles->eq, &roles->n_eq, role);
}

static AdvIndexKey sort_index_key(const AdvSort *sort, bool turn)
{
    return (AdvIndexKey){.column = sort->column, .expr = sort->expr, .desc = sort->desc != turn,
                         .nulls_first = sort->nulls_first != turn};
}

/* The leading items of ORDER BY that belong to this table. */
static void add_order(AdvRoles *roles, AdvArena *arena, const AdvBlock *block, int rel)
{
    if (roles->n_order > 0 || block->n_order == 0 || block->order[0].rel != rel)
        return;
    bool turn = block->order[0].desc; /* an index is read backwards as well */
    for (int i = 0; i < block->n_order && block->order[i].rel == rel; i++)
        add(arena, &roles->order, &roles->n_order,
            (AdvRole){.kind = ADV_ROLE_ORDER, .key = sort_index_key(&block->order[i], turn), .selectivity = 1});
}

static int by_selectivity(const void *a, const void *b)
{
    const AdvRole *x = a, *y = b;
    if (x->selectivity < y->selectivity)
        return -1;
    if (x->selectivity > y->selectivity)
        return 1;
    return x->key.column - y->key.column;
}

void adv_roles_find(AdvRoles *roles, AdvArena *arena, const AdvFacts *facts, int rel)
{
    memset(roles, 0, sizeof(*roles));
    for (int i = 0; i < facts->n_preds; i++)
        if (facts->preds[i].rel == rel)
            add_pred(roles, arena, facts, &facts->preds[i]);
    for (int i = 0; i < facts->n_joins; i++) {
        const AdvJoin *join = &facts->joins[i];
        if (join->rel_a == rel)
            add(arena, &roles->join, &roles->n_join,
                (AdvRole){.kind = ADV_ROLE_JOIN, .key = {.column = join->column_a}, .selectivity = 1});
        if (join->rel_b == rel)
            add(arena, &roles->join, &roles->n_join,
                (AdvRole){.kind = ADV_ROLE_JOIN, .key = {.column = join->column_b}, .selectivity = 1});
    }
    for (int i = 0; i < facts->rels[rel].n_bounds; i++)
        add(arena, &roles->range, &roles->n_range,
            (AdvRole){.kind = ADV_ROLE_RANGE, .key = {.column = facts->rels[rel].bounds[i]}, .selectivity = BOUND_SHARE});
    for (int b = 0; b < facts->n_blocks; b++) {
        const AdvBlock *block = &facts->blocks[b];
        add_order(roles, arena, block, rel);
        for (int i = 0; i < block->n_group && i < 8; i++)
            if (block->group[i].rel == rel)
                add(arena, &roles->group, &roles->n_group,
                    (AdvRole){.kind = ADV_ROLE_GROUP,
                              .key = {.column = block->group[i].column, .expr = block->group[i].expr},
                              .selectivity = 1});
        for (int i = 0; i < block->n_minmax; i++)
            if (block->minmax[i].rel == rel)
                add(arena, &roles->minmax, &roles->n_minmax,
                    (AdvRole){.kind = ADV_ROLE_ORDER,
                              .key = {.column = block->minmax[i].column, .expr = block->minmax[i].expr},
                              .selectivity = 1});
    }
    if (roles->n_eq > 1)
        qsort(roles->eq, (size_t)roles->n_eq, sizeof(*roles->eq), by_selectivity);
}

static AdvRole *without(AdvRole *list, int *n, int column)
{
    /* Only the ends can be cut off without copying; a column in the middle of an order ends the order there. */
    int i = 0;
    while (i < *n && list[i].key.column != column)
        i++;
    if (i == 0 && *n > 0) {
        (*n)--;
        return list + 1;
    }
    if (i < *n)
        *n = i;
    return list;
}

void adv_roles_without(AdvRoles *roles, const AdvRoles *from, int column)
{
    *roles = *from;
    roles->range = without(roles->range, &roles->n_range, column);
    roles->join = without(roles->join, &roles->n_join, column);
    roles->order = without(roles->order, &roles->n_order, column);
    roles->group = without(roles->group, &roles->n_group, column);
    /* The equalities are a set: the others all stay. */
    for (int i = 0; i < roles->n_eq; i++) {
        if (roles->eq[i].key.column != column)
            continue;
        AdvRole removed = roles->eq[i];
        memmove(&roles->eq[1], &roles->eq[0], (size_t)i * sizeof(removed));
        roles->eq[0] = removed; /* the same members, so the original list still holds them all */
        roles->eq++;
        roles->n_eq--;
        break;
    }
}

const char *adv_pred_sql(AdvArena *arena, const AdvTable *table, const AdvPred *pred)
{
    if (pred->expr)
        return NULL;
    const char *name = adv_quote_ident(arena, adv_column(table, pred->column)->name);
    switch (pred->kind) {
    case ADV_PRED_IS_NULL:
        return adv_arena_printf(arena, "%s IS NULL", name);
    case ADV_PRED_TRUE:
        return name;
    case ADV_PRED_FALSE:
        return adv_arena_printf(arena, "NOT %s", name);
    case ADV_PRED_NOT_NULL:
        return adv_arena_printf(arena, "%s IS NOT NULL", name);
    case ADV_PRED_EQ:
        break;
    case ADV_PRED_IN:
    case ADV_PRED_RANGE:
    case ADV_PRED_PREFIX:
    case ADV_PRED_NE:
    case ADV_PRED_INFIX:
    case ADV_PRED_OPAQUE:
    case ADV_PRED_CONTAINS:
    case ADV_PRED_COUNT:
        return NULL;
    }
    if (pred->lo.kind != ADV_VALUE_LITERAL)
        return NULL;
    AdvText text;
    adv_text_init(&text, arena);
    adv_text_addf(&text, "%s = ", name);
    if (pred->lo.number)
        adv_text_add(&text, pred->lo.text);
    else
        adv_text_add_literal(&text, pred->lo.text);
    return adv_text_get(&text);
}

/* No NULL fulfils them: what they compare with is never NULL, and neither is the column then. */
static bool is_strict(AdvPredKind kind)
{
    return kind == ADV_PRED_EQ || kind == ADV_PRED_IN || kind == ADV_PRED_RANGE || kind == ADV_PRED_PREFIX || kind == ADV_PRED_NOT_NULL;
}

bool adv_needs_value(const AdvFacts *facts, int rel, int column)
{
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        if (p->rel == rel && p->column == column && !p->expr && !p->or_group && is_strict(p->kind))
            return true;
    }
    for (int i = 0; i < facts->n_joins; i++) {
        const AdvJoin *j = &facts->joins[i];
        if (!j->outer && ((j->rel_a == rel && j->column_a == column) || (j->rel_b == rel && j->column_b == column)))
            return true;
    }
    return false;
}

int adv_not_null_column(AdvArena *arena, const AdvTable *table, const char *predicate)
{
    size_t n = strlen(predicate), end = strlen(" IS NOT NULL");
    if (n <= end || strcmp(predicate + n - end, " IS NOT NULL") != 0)
        return 0;
    for (int c = 1; c <= table->n_columns; c++) {
        const char *name = adv_quote_ident(arena, adv_column(table, c)->name);
        if (strlen(name) == n - end && memcmp(name, predicate, n - end) == 0)
            return c;
    }
    return 0;
}
