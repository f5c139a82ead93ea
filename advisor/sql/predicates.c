/* SPDX-License-Identifier: ISC */
/* predicates.c - WHERE, ON and HAVING conditions, taken apart into AdvPred and AdvJoin. */
#include "advisor/sql/analyse_priv.h"
#include "poolwise/mem.h"

AdvParam *adv_param_at(Analyser *a, int location, bool *ret_new)
{
    AdvFacts *facts = a->facts;
    if (location < 0 || (size_t)location >= a->text_len)
        return NULL;
    if (!a->param_at)
        a->param_at = pw_xcalloc(a->text_len, sizeof(*a->param_at));
    *ret_new = a->param_at[location] == 0;
    if (*ret_new) {
        ADV_ROOM(a->arena, facts->params, facts->n_params);
        facts->params[facts->n_params++] = (AdvParam){.rel = -1, .location = location};
        a->param_at[location] = facts->n_params;
    }
    return &facts->params[a->param_at[location] - 1];
}

void adv_note_param(Analyser *a, const Node *value, const AdvParam *context)
{
    AdvParam param = *context;
    while (value && value->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        if (!param.type || !*param.type)
            param.type = adv_arena_strdup(a->arena, adv_type_name(value->type_cast->type_name));
        value = value->type_cast->arg;
    }
    if (!value || value->node_case != PG_QUERY__NODE__NODE_PARAM_REF || a->in_view)
        return;
    param.number = value->param_ref->number;
    param.location = value->param_ref->location;
    bool is_new;
    AdvParam *old = adv_param_at(a, param.location, &is_new);
    /* Seen before by the generic walk: the better-informed description stays. */
    if (old && (is_new || (old->rel < 0 && !old->table && (param.rel >= 0 || param.table || param.type) && !old->is_limit && !old->hint)))
        *old = param;
}

/* x < date $1 + interval $2: the first operand is of the column's kind. */
static void note_bound(Analyser *a, const Node *value, const AdvParam *context)
{
    AdvParam operand = *context;
    while (value && value->node_case == PG_QUERY__NODE__NODE_A_EXPR && value->a_expr->lexpr && value->a_expr->n_name == 1 &&
           (strcmp(adv_string_value(value->a_expr->name[0]), "+") == 0 ||
            strcmp(adv_string_value(value->a_expr->name[0]), "-") == 0)) {
        value = value->a_expr->lexpr;
        operand.operand = true;
        operand.type = NULL;
        adv_as_value(a, value, &operand.type);
    }
    adv_note_param(a, value, &operand);
}

AdvPred *adv_add_pred(Analyser *a, AdvPredKind kind, const KeyRef *key)
{
    AdvFacts *facts = a->facts;
    ADV_ROOM(a->arena, facts->preds, facts->n_preds);
    AdvPred *pred = &facts->preds[facts->n_preds++];
    memset(pred, 0, sizeof(*pred));
    pred->kind = kind;
    pred->rel = key->rel;
    pred->column = key->column;
    pred->expr = key->expr;
    pred->or_group = a->or_group;
    pred->or_arm = a->or_arm;
    return pred;
}

static void add_join(Analyser *a, const KeyRef *x, int rel, int column)
{
    AdvFacts *facts = a->facts;
    ADV_ROOM(a->arena, facts->joins, facts->n_joins);
    facts->joins[facts->n_joins++] =
        (AdvJoin){.rel_a = x->rel, .column_a = x->column, .rel_b = rel, .column_b = column, .outer = a->outer_on, .block = a->block};
}

/* at BETWEEN s.started AND s.ended: a range that each row of s tells. */
static void add_bound(Analyser *a, const KeyRef *key)
{
    AdvRel *rel = &a->facts->rels[key->rel];
    if (key->expr || a->or_group)
        return;
    for (int i = 0; i < rel->n_bounds; i++)
        if (rel->bounds[i] == key->column)
            return;
    ADV_ROOM(a->arena, rel->bounds, rel->n_bounds);
    rel->bounds[rel->n_bounds++] = key->column;
}

/* A side of a comparison that no index can hold as it is: remember the column inside and what wraps it. */
void adv_add_opaque(Analyser *a, Scope *scope, const Node *node, const char *why)
{
    KeyRef key = {.rel = -1};
    if (!adv_first_column(a, scope, node, &key.rel, &key.column))
        return;
    if (!why) {
        why = "an expression around the column";
        if (node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && node->func_call->n_funcname > 0)
            why = adv_arena_printf(a->arena, "the function %s() around the column",
                                   adv_string_value(node->func_call->funcname[node->func_call->n_funcname - 1]));
        else if (node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
            why = adv_arena_printf(a->arena, "the cast of the column to %s",
                                   adv_type_name(node->type_cast->type_name));
        else if (node->node_case == PG_QUERY__NODE__NODE_A_EXPR)
            why = "arithmetic on the column";
    }
    adv_add_pred(a, ADV_PRED_OPAQUE, &key)->why = why;
}

static AdvPredKind operator_kind(const char *op, bool *ret_upper, bool *ret_known)
{
    *ret_upper = op[0] == '<';
    *ret_known = true;
    if (strcmp(op, "=") == 0)
        return ADV_PRED_EQ;
    if (strcmp(op, "<") == 0 || strcmp(op, "<=") == 0 || strcmp(op, ">") == 0 || strcmp(op, ">=") == 0)
        return ADV_PRED_RANGE;
    if (strcmp(op, "<>") == 0 || strcmp(op, "!=") == 0)
        return ADV_PRED_NE;
    *ret_known = false;
    return ADV_PRED_OPAQUE;
}

/* sent = false is what the server makes NOT sent of. */
static AdvPredKind boolean_kind(const Analyser *a, const KeyRef *key, const AdvValue *value)
{
    if (key->expr || value->kind != ADV_VALUE_LITERAL || !value->text || value->number ||
        strcmp(adv_column(a->facts->rels[key->rel].table, key->column)->base_type, "bool") != 0)
        return ADV_PRED_EQ;
    if (strcmp(value->text, "true") == 0 || strcmp(value->text, "t") == 0)
        return ADV_PRED_TRUE;
    return strcmp(value->text, "false") == 0 || strcmp(value->text, "f") == 0 ? ADV_PRED_FALSE : ADV_PRED_EQ;
}

/* key op value, with the value's parameter told what it is compared with. */
static void compare_key(Analyser *a, const KeyRef *key, AdvPredKind kind, bool upper, const Node *value)
{
    const char *type;
    AdvValue v = adv_as_value(a, value, &type);
    if (kind == ADV_PRED_EQ)
        kind = boolean_kind(a, key, &v);
    AdvPred *pred = adv_add_pred(a, kind, key);
    if (kind == ADV_PRED_RANGE && upper) {
        pred->hi = v;
        pred->has_hi = true;
    } else {
        pred->lo = v;
        pred->has_lo = kind == ADV_PRED_RANGE;
    }
    AdvParam context = {.rel = key->rel, .column = key->column, .pred = kind, .upper = upper, .type = type};
    if (key->expr)
        context.rel = -1;
    note_bound(a, value, &context);
}

static void compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated)
{
    bool upper, known;
    AdvPredKind kind = operator_kind(op, &upper, &known);
    if (negated && kind == ADV_PRED_EQ)
        kind = ADV_PRED_NE;
    else if (negated && kind == ADV_PRED_RANGE)
        upper = !upper;
    else if (negated && kind == ADV_PRED_NE)
        kind = ADV_PRED_EQ;
    KeyRef l, r;
    if (!known && (adv_gin_compare(a, scope, op, left, right, negated) || adv_gist_compare(a, scope, op, left, right, negated) ||
                   adv_network_compare(a, scope, op, left, right, negated) || adv_similarity_compare(a, scope, op, left, right, negated)))
        return;
    bool left_key = known && adv_as_key(a, scope, left, &l);
    bool right_key = known && adv_as_key(a, scope, right, &r);
    if (left_key && right_key) {
        if (kind == ADV_PRED_EQ && l.rel != r.rel && !l.expr && !r.expr)
            add_join(a, &l, r.rel, r.column);
        else if (kind == ADV_PRED_RANGE && l.rel != r.rel) {
            add_bound(a, &l);
            add_bound(a, &r);
        } else if (l.rel == r.rel && a->or_group == 0)
            a->facts->rels[l.rel].sifted *= kind == ADV_PRED_EQ ? 0.005 : kind == ADV_PRED_RANGE ? 1.0 / 3 : 1;
        return;
    }
    bool left_columns = adv_has_column(left), right_columns = adv_has_column(right);
    if (!left_key && left_columns)
        adv_walk_expr(a, scope, left);
    if (!right_key)
        adv_walk_expr(a, scope, right);
    if (!left_columns)
        adv_walk_expr(a, scope, left);
    bool right_sublink = right && right->node_case == PG_QUERY__NODE__NODE_SUB_LINK;
    bool left_sublink = left && left->node_case == PG_QUERY__NODE__NODE_SUB_LINK;
    if (left_key && (!right_columns || right_sublink)) {
        compare_key(a, &l, kind, upper, right);
    } else if (right_key && (!left_columns || left_sublink)) {
        compare_key(a, &r, kind, !upper, left);
    } else if (left_key && kind == ADV_PRED_EQ && !l.expr) {
        add_join(a, &l, -1, 0); /* a.x = f(b.y): x can be looked up for each row of b */
    } else if (right_key && kind == ADV_PRED_EQ && !r.expr) {
        add_join(a, &r, -1, 0);
    } else {
        if (left_columns && !left_sublink)
            adv_add_opaque(a, scope, left, known ? NULL : adv_arena_printf(a->arena, "the operator %s", op));
        else if (right_columns && !right_sublink)
            adv_add_opaque(a, scope, right, NULL);
    }
}

static void row_compare(Analyser *a, Scope *scope, const char *op, const PgQuery__RowExpr *left,
                        const PgQuery__RowExpr *right, bool negated)
{
    bool equal = strcmp(op, "=") == 0;
    for (size_t i = 0; i < left->n_args && i < right->n_args; i++) {
        /* (a, b) > (x, y) bounds only its first column. */
        if (equal || i == 0)
            compare(a, scope, op, left->args[i], right->args[i], negated);
        else {
            adv_walk_expr(a, scope, left->args[i]);
            adv_walk_expr(a, scope, right->args[i]);
        }
    }
}

static void between(Analyser *a, Scope *scope, const PgQuery__AExpr *expr)
{
    KeyRef key;
    const PgQuery__List *list =
        expr->rexpr && expr->rexpr->node_case == PG_QUERY__NODE__NODE_LIST ? expr->rexpr->list : NULL;
    if (!list || list->n_items != 2 || !adv_as_key(a, scope, expr->lexpr, &key)) {
        adv_walk_expr(a, scope, expr->lexpr);
        adv_walk_expr(a, scope, expr->rexpr);
        if (adv_has_column(expr->lexpr))
            adv_add_opaque(a, scope, expr->lexpr, NULL);
        return;
    }
    bool lo_columns = adv_has_column(list->items[0]), hi_columns = adv_has_column(list->items[1]);
    adv_walk_expr(a, scope, list->items[0]);
    adv_walk_expr(a, scope, list->items[1]);
    if (lo_columns || hi_columns) {
        for (size_t i = 0; i < list->n_items; i++) {
            KeyRef bound;
            if (!adv_as_key(a, scope, list->items[i], &bound) || bound.rel == key.rel)
                continue;
            add_bound(a, &key);
            add_bound(a, &bound);
        }
        return;
    }
    AdvPred *pred = adv_add_pred(a, ADV_PRED_RANGE, &key);
    const char *lo_type, *hi_type;
    pred->lo = adv_as_value(a, list->items[0], &lo_type);
    pred->hi = adv_as_value(a, list->items[1], &hi_type);
    pred->has_lo = pred->has_hi = true;
    int rel = key.expr ? -1 : key.rel;
    AdvParam lo = {.rel = rel, .column = key.column, .pred = ADV_PRED_RANGE, .type = lo_type};
    AdvParam hi = {.rel = rel, .column = key.column, .pred = ADV_PRED_RANGE, .upper = true, .type = hi_type};
    note_bound(a, list->items[0], &lo);
    note_bound(a, list->items[1], &hi);
}

static void like(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, bool negated)
{
    KeyRef key;
    adv_walk_expr(a, scope, expr->rexpr);
    if (!adv_as_key(a, scope, expr->lexpr, &key)) {
        adv_walk_expr(a, scope, expr->lexpr);
        adv_add_opaque(a, scope, expr->lexpr, NULL);
        return;
    }
    const char *op = expr->n_name ? adv_string_value(expr->name[0]) : "";
    if (negated || op[0] == '!') {
        adv_add_pred(a, ADV_PRED_NE, &key);
        return;
    }
    AdvValue value = adv_as_value(a, expr->rexpr, NULL);
    AdvPredKind kind = ADV_PRED_INFIX;
    const char *why = "the pattern of LIKE is not a known prefix";
    if (expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE) {
        why = "ILIKE ignores case";
    } else if (expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR) {
        why = "SIMILAR TO is a regular expression";
    } else if (value.kind == ADV_VALUE_LITERAL && value.text) {
        if (value.text[0] == '%' || value.text[0] == '_')
            why = "the pattern of LIKE begins with a wildcard";
        else if (value.text[0])
            kind = ADV_PRED_PREFIX;
    } else if (value.kind == ADV_VALUE_PARAM) {
        /* The log did not keep the pattern; a prefix is what an index could serve, so that is assumed. */
        kind = ADV_PRED_PREFIX;
    }
    AdvPred *pred = adv_add_pred(a, kind, &key);
    pred->lo = value;
    pred->why = kind == ADV_PRED_INFIX ? why : NULL;
    pred->trigram = kind == ADV_PRED_INFIX && expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR && adv_has_trigram(&value, "%_");
    AdvParam context = {.rel = key.expr ? -1 : key.rel, .column = key.column, .pred = kind};
    adv_note_param(a, expr->rexpr, &context);
}

static void a_expr(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, bool negated)
{
    const char *op = expr->n_name ? adv_string_value(expr->name[expr->n_name - 1]) : "";
    const Node *left = expr->lexpr, *right = expr->rexpr;
    switch ((int)expr->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
        if (!left || !right)
            break;
        if (left->node_case == PG_QUERY__NODE__NODE_ROW_EXPR && right->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
            row_compare(a, scope, op, left->row_expr, right->row_expr, negated);
        else
            compare(a, scope, op, left, right, negated);
        return;
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT: /* to the server it is no equality that an index could serve */
        adv_walk_expr(a, scope, left);
        adv_walk_expr(a, scope, right);
        if (!negated)
            adv_add_opaque(a, scope, adv_has_column(left) ? left : right, "IS NOT DISTINCT FROM");
        return;
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        adv_in_list(a, scope, expr, negated);
        return;
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        adv_any_array(a, scope, expr, negated);
        return;
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
        if (negated)
            break;
        between(a, scope, expr);
        return;
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        like(a, scope, expr, negated);
        return;
    default:
        break;
    }
    adv_walk_expr(a, scope, left);
    adv_walk_expr(a, scope, right);
}

/* col IN (SELECT x ...): the planner makes a join of it, in either direction. */
static void sub_link(Analyser *a, Scope *scope, const PgQuery__SubLink *link, bool negated)
{
    KeyRef key;
    bool has_key = link->testexpr && adv_as_key(a, scope, link->testexpr, &key);
    if (link->testexpr && !has_key)
        adv_walk_expr(a, scope, link->testexpr);
    AdvOutput *outputs = NULL;
    int n = 0, block = -1;
    /* Nothing of what EXISTS (SELECT * ...) selects is read. */
    a->outputs_unread = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK;
    adv_analyse_query_node(a, link->subselect, scope, &outputs, &n, &block);
    a->outputs_unread = false;
    bool any = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK;
    bool exists = link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK;
    if (block >= 0 && (any || exists))
        a->facts->blocks[block].kind = a->or_group || (any && negated) ? ADV_BLOCK_TEST : negated ? ADV_BLOCK_ANTI : ADV_BLOCK_SEMI;
    if (!any)
        return;
    if (has_key && !key.expr && n == 1) {
        add_join(a, &key, outputs[0].rel, outputs[0].column);
    } else if (link->testexpr && link->testexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        const PgQuery__RowExpr *row = link->testexpr->row_expr;
        for (size_t i = 0; i < row->n_args && (int)i < n; i++)
            if (adv_as_key(a, scope, row->args[i], &key) && !key.expr)
                add_join(a, &key, outputs[i].rel, outputs[i].column);
    }
}

/* Whether an outer join can leave the rel's columns NULL, its own or one around the subquery that it is in. */
static bool may_be_missing(const Analyser *a, int rel)
{
    const AdvFacts *facts = a->facts;
    bool missing = facts->rels[rel].nullable;
    for (int r = 0; r < facts->n_rels && !missing; r++)
        missing = facts->rels[r].nullable && facts->rels[r].inner >= 0 && facts->rels[r].inner == facts->rels[rel].block;
    return missing;
}

/* IS NULL of what an outer join brings is asked after the join: no index of the table finds rows that are not there. */
static void rows_missing(Analyser *a, const KeyRef *key)
{
    const AdvFacts *facts = a->facts;
    bool joined = false;
    for (int j = 0; j < facts->n_joins; j++)
        joined = joined || (facts->joins[j].rel_a == key->rel && facts->joins[j].column_a == key->column) ||
                 (facts->joins[j].rel_b == key->rel && facts->joins[j].column_b == key->column);
    if (a->or_group > 0)
        adv_add_pred(a, ADV_PRED_NE, key);
    else if (joined && !key->expr)
        a->facts->rels[key->rel].anti = true;
}

static void null_test(Analyser *a, Scope *scope, const PgQuery__NullTest *test, bool negated)
{
    KeyRef key;
    if (!adv_as_key(a, scope, test->arg, &key)) {
        adv_walk_expr(a, scope, test->arg);
        return;
    }
    bool is_null = (test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL) != negated;
    if (is_null && may_be_missing(a, key.rel) && !a->outer_on)
        rows_missing(a, &key);
    else
        adv_add_pred(a, is_null ? ADV_PRED_IS_NULL : ADV_PRED_NOT_NULL, &key);
}

static void bool_test(Analyser *a, Scope *scope, const PgQuery__BooleanTest *test, bool negated)
{
    KeyRef key;
    if (!adv_as_key(a, scope, test->arg, &key)) {
        adv_walk_expr(a, scope, test->arg);
        return;
    }
    AdvPredKind kind = ADV_PRED_NE;
    if (test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_TRUE && !negated)
        kind = ADV_PRED_TRUE;
    else if (test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_FALSE && !negated)
        kind = ADV_PRED_FALSE;
    else if (test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN && !negated)
        kind = ADV_PRED_IS_NULL;
    adv_add_pred(a, kind, &key);
}

static void bool_expr(Analyser *a, Scope *scope, const PgQuery__BoolExpr *expr, bool negated)
{
    if (expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR) {
        if (expr->n_args > 0)
            adv_analyse_qual(a, scope, expr->args[0], !negated);
        return;
    }
    bool is_or = (expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR) != negated;
    if (!is_or || a->or_group) {
        /* An OR inside an arm of an OR: its parts count for that arm. */
        for (size_t i = 0; i < expr->n_args; i++)
            adv_analyse_qual(a, scope, expr->args[i], negated);
        return;
    }
    a->or_group = ++a->n_or_groups;
    for (size_t i = 0; i < expr->n_args; i++) {
        a->or_arm = (int)i;
        adv_analyse_qual(a, scope, expr->args[i], negated);
    }
    a->or_group = 0;
    a->or_arm = 0;
}

void adv_analyse_qual(Analyser *a, Scope *scope, const Node *node, bool negated)
{
    if (!node || a->expr_depth > MAX_EXPR_DEPTH)
        return;
    a->expr_depth++;
    KeyRef key;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        bool_expr(a, scope, node->bool_expr, negated);
        break;
    case PG_QUERY__NODE__NODE_A_EXPR:
        a_expr(a, scope, node->a_expr, negated);
        break;
    case PG_QUERY__NODE__NODE_NULL_TEST:
        null_test(a, scope, node->null_test, negated);
        break;
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        bool_test(a, scope, node->boolean_test, negated);
        break;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        sub_link(a, scope, node->sub_link, negated);
        break;
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        if (adv_as_key(a, scope, node, &key))
            adv_add_pred(a, negated ? ADV_PRED_FALSE : ADV_PRED_TRUE, &key);
        break;
    case PG_QUERY__NODE__NODE_FUNC_CALL: /* jsonb_path_exists(doc, '...') */
        adv_add_opaque(a, scope, node, NULL);
        adv_walk_expr(a, scope, node);
        break;
    default:
        adv_walk_expr(a, scope, node);
        break;
    }
    a->expr_depth--;
}
