/* SPDX-License-Identifier: ISC */
/* lists.c - comparisons with a list of values: IN (...), = ANY (array). */
#include "advisor/sql/analyse_priv.h"

/* (a, b) IN ((1, 2), (3, 4)): the server looks up each pair. Of each column the values are a list. */
static void row_in_list(Analyser *a, Scope *scope, const PgQuery__RowExpr *row, const PgQuery__List *list, bool negated)
{
    for (size_t c = 0; c < row->n_args; c++) {
        KeyRef key;
        bool known = adv_as_key(a, scope, row->args[c], &key);
        AdvPred *pred = known ? adv_add_pred(a, negated ? ADV_PRED_NE : ADV_PRED_IN, &key) : NULL;
        AdvValue *values = ADV_NEW_ARRAY(a->arena, AdvValue, list->n_items + 1);
        int n = 0;
        if (!known)
            adv_walk_expr(a, scope, row->args[c]);
        for (size_t i = 0; i < list->n_items; i++) {
            const Node *item = list->items[i];
            if (item->node_case != PG_QUERY__NODE__NODE_ROW_EXPR || c >= item->row_expr->n_args)
                continue;
            const Node *value = item->row_expr->args[c];
            AdvParam context = {.rel = known && !key.expr ? key.rel : -1, .column = known ? key.column : 0, .pred = ADV_PRED_IN};
            values[n++] = adv_as_value(a, value, &context.type);
            adv_note_param(a, value, &context);
            adv_walk_expr(a, scope, value);
        }
        if (!pred)
            continue;
        pred->n_values = n;
        pred->values = values;
    }
}

void adv_in_list(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, bool negated)
{
    KeyRef key;
    bool not_in = strcmp(expr->n_name ? adv_string_value(expr->name[0]) : "", "<>") == 0;
    const PgQuery__List *list =
        expr->rexpr && expr->rexpr->node_case == PG_QUERY__NODE__NODE_LIST ? expr->rexpr->list : NULL;
    if (list && expr->lexpr && expr->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        row_in_list(a, scope, expr->lexpr->row_expr, list, not_in != negated);
        return;
    }
    bool has_key = adv_as_key(a, scope, expr->lexpr, &key);
    if (!has_key)
        adv_walk_expr(a, scope, expr->lexpr);
    size_t n = list ? list->n_items : 0;
    if (!has_key) {
        adv_walk_expr(a, scope, expr->rexpr);
        adv_add_opaque(a, scope, expr->lexpr, NULL);
        return;
    }
    /* One parameter may stand for a longer list: logs fold IN lists. One literal is an equality. */
    bool single = n == 1 && adv_as_value(a, list->items[0], NULL).kind == ADV_VALUE_LITERAL;
    AdvPred *pred = adv_add_pred(a, not_in != negated ? ADV_PRED_NE : single ? ADV_PRED_EQ : ADV_PRED_IN, &key);
    AdvPredKind kind = pred->kind;
    AdvValue *values = ADV_NEW_ARRAY(a->arena, AdvValue, n + 1);
    pred->n_values = (int)n;
    pred->values = values;
    if (n == 1)
        pred->lo = adv_as_value(a, list->items[0], NULL);
    for (size_t i = 0; i < n; i++) {
        const char *type;
        values[i] = adv_as_value(a, list->items[i], &type);
        AdvParam context = {.rel = key.expr ? -1 : key.rel, .column = key.column, .pred = kind, .type = type};
        adv_note_param(a, list->items[i], &context);
        if (values[i].kind == ADV_VALUE_UNKNOWN)
            adv_walk_expr(a, scope, list->items[i]);
    }
}

/* col = ANY (array) */
void adv_any_array(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, bool negated)
{
    KeyRef key;
    bool equal = strcmp(expr->n_name ? adv_string_value(expr->name[0]) : "", "=") == 0;
    if (adv_has_column(expr->rexpr)) {
        adv_walk_expr(a, scope, expr->lexpr);
        adv_walk_expr(a, scope, expr->rexpr);
        adv_add_opaque(a, scope, expr->rexpr, "a search inside an array column");
        return;
    }
    if (!adv_as_key(a, scope, expr->lexpr, &key)) {
        adv_walk_expr(a, scope, expr->lexpr);
        adv_walk_expr(a, scope, expr->rexpr);
        return;
    }
    bool in = equal && expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY && !negated;
    AdvPred *pred = adv_add_pred(a, in ? ADV_PRED_IN : ADV_PRED_NE, &key);
    const Node *array = expr->rexpr;
    while (array && array->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        array = array->type_cast->arg;
    if (array && array->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        const PgQuery__AArrayExpr *elements = array->a_array_expr;
        pred->n_values = (int)elements->n_elements;
        pred->values = ADV_NEW_ARRAY(a->arena, AdvValue, elements->n_elements + 1);
        AdvValue *values = pred->values;
        for (size_t i = 0; i < elements->n_elements; i++) {
            values[i] = adv_as_value(a, elements->elements[i], NULL);
            AdvParam context = {.rel = key.expr ? -1 : key.rel, .column = key.column, .pred = ADV_PRED_IN};
            adv_note_param(a, elements->elements[i], &context);
        }
        return;
    }
    AdvParam context = {.rel = key.expr ? -1 : key.rel, .column = key.column, .pred = ADV_PRED_IN, .is_list = true};
    adv_note_param(a, array, &context);
    adv_walk_expr(a, scope, expr->rexpr);
}
