/* SPDX-License-Identifier: ISC */
/* keys.c - what a comparison compares with: literals, parameters, the clock. */
#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/dates.h"
#include "advisor/text.h"

#include <ctype.h>
#include <stdlib.h>

const char *adv_string_value(const Node *node)
{
    if (node && node->node_case == PG_QUERY__NODE__NODE_STRING && node->string && node->string->sval)
        return node->string->sval;
    return "";
}

const char *adv_type_name(const PgQuery__TypeName *type)
{
    if (!type || type->n_names == 0)
        return "";
    return adv_string_value(type->names[type->n_names - 1]);
}

/* now() and CURRENT_DATE: the server's clock when the catalog was read. */
static const char *clock_value(const Analyser *a, const Node *node, const char **ret_type)
{
    static const char *const functions[] = {"now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"};
    if (!a->catalog->now)
        return NULL;
    if (node->node_case == PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION) {
        PgQuery__SQLValueFunctionOp op = node->sqlvalue_function->op;
        bool date = op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE;
        *ret_type = date ? "date" : "timestamptz";
        return date                                                                        ? adv_arena_strndup(a->arena, a->catalog->now, strlen("2000-01-01"))
               : op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP || op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP ? a->catalog->now
                                                                                           : NULL;
    }
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || node->func_call->n_args > 0 || node->func_call->n_funcname == 0)
        return NULL;
    const char *name = adv_string_value(node->func_call->funcname[node->func_call->n_funcname - 1]);
    *ret_type = "timestamptz";
    for (size_t i = 0; i < PW_ARRAY_LEN(functions); i++)
        if (strcmp(functions[i], name) == 0)
            return a->catalog->now;
    return NULL;
}

/* interval '3' month, interval '3 months', '3 months'::interval */
static const char *interval_text(Analyser *a, const Node *node)
{
    static const struct {
        int mask;
        const char *unit;
    } fields[] = {{4, "year"}, {2, "month"}, {8, "day"}, {1024, "hour"}, {2048, "minute"}, {4096, "second"}};
    if (!node || node->node_case != PG_QUERY__NODE__NODE_TYPE_CAST || strcmp(adv_type_name(node->type_cast->type_name), "interval") != 0)
        return NULL;
    AdvValue value = adv_as_value(a, node->type_cast->arg, NULL);
    const PgQuery__TypeName *type = node->type_cast->type_name;
    if (value.kind != ADV_VALUE_LITERAL || !value.text)
        return NULL;
    if (type->n_typmods == 0 || strspn(value.text, "-0123456789") != strlen(value.text))
        return value.text;
    AdvValue mask = adv_as_value(a, type->typmods[0], NULL);
    for (size_t i = 0; mask.text && i < PW_ARRAY_LEN(fields); i++)
        if (fields[i].mask == atoi(mask.text))
            return adv_arena_printf(a->arena, "%s %s", value.text, fields[i].unit);
    return NULL;
}

/* date '2017-07-01' + interval '3 months', now() - interval '1 day', date '2017-07-01' + 30 */
static AdvValue sum_value(Analyser *a, const PgQuery__AExpr *expr, const char **ret_type)
{
    AdvValue value = {.kind = ADV_VALUE_UNKNOWN};
    const char *op = expr->n_name == 1 ? adv_string_value(expr->name[0]) : "", *type;
    if (!expr->lexpr || !expr->rexpr || (strcmp(op, "+") != 0 && strcmp(op, "-") != 0))
        return value;
    AdvValue left = adv_as_value(a, expr->lexpr, &type), right = adv_as_value(a, expr->rexpr, NULL);
    if (left.kind != ADV_VALUE_LITERAL || !left.text || !type)
        return value;
    const char *interval = interval_text(a, expr->rexpr);
    if (!interval && right.kind == ADV_VALUE_LITERAL && right.number && strcmp(type, "date") == 0)
        interval = adv_arena_printf(a->arena, "%s days", right.text);
    const char *text = interval ? adv_date_add(a->arena, left.text, interval, op[0] == '+' ? 1 : -1) : NULL;
    if (!text)
        return value;
    if (ret_type)
        *ret_type = type;
    return (AdvValue){.kind = ADV_VALUE_LITERAL, .text = text};
}

/* lower('Abc'), upper('abc%'), as ORMs compare without case; other than ASCII depends on the collation. */
static AdvValue folded_value(Analyser *a, const PgQuery__FuncCall *call)
{
    AdvValue value = {.kind = ADV_VALUE_UNKNOWN};
    const char *name = call->n_funcname > 0 ? adv_string_value(call->funcname[call->n_funcname - 1]) : "";
    bool lower = strcmp(name, "lower") == 0;
    if (call->n_args != 1 || (!lower && strcmp(name, "upper") != 0))
        return value;
    AdvValue inner = adv_as_value(a, call->args[0], NULL);
    if (inner.kind != ADV_VALUE_LITERAL || !inner.text || inner.number)
        return value;
    AdvText text;
    adv_text_init(&text, a->arena);
    for (const char *p = inner.text; *p; p++) {
        if ((unsigned char)*p >= 0x80)
            return value;
        char c = (char)(lower ? tolower((unsigned char)*p) : toupper((unsigned char)*p));
        adv_text_add_n(&text, &c, 1);
    }
    return (AdvValue){.kind = ADV_VALUE_LITERAL, .text = adv_text_get(&text)};
}

AdvValue adv_as_value(Analyser *a, const Node *node, const char **ret_type)
{
    AdvValue value = {.kind = ADV_VALUE_UNKNOWN};
    if (ret_type)
        *ret_type = NULL;
    while (node && node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        if (ret_type)
            *ret_type = adv_arena_strdup(a->arena, adv_type_name(node->type_cast->type_name));
        node = node->type_cast->arg;
    }
    if (!node)
        return value;
    if (node->node_case == PG_QUERY__NODE__NODE_PARAM_REF) {
        value.kind = ADV_VALUE_PARAM;
        value.param = node->param_ref->number;
    } else if (node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        const PgQuery__AConst *c = node->a_const;
        if (c->isnull) {
            value.kind = ADV_VALUE_NULL;
            return value;
        }
        value.kind = ADV_VALUE_LITERAL;
        value.number = c->val_case == PG_QUERY__A__CONST__VAL_IVAL || c->val_case == PG_QUERY__A__CONST__VAL_FVAL;
        switch (c->val_case) {
        case PG_QUERY__A__CONST__VAL_SVAL:
            value.text = adv_arena_strdup(a->arena, c->sval->sval);
            break;
        case PG_QUERY__A__CONST__VAL_FVAL:
            value.text = adv_arena_strdup(a->arena, c->fval->fval);
            break;
        case PG_QUERY__A__CONST__VAL_BOOLVAL:
            value.text = c->boolval->boolval ? "true" : "false";
            break;
        case PG_QUERY__A__CONST__VAL_BSVAL:
            value.text = adv_arena_strdup(a->arena, c->bsval->bsval);
            break;
        case PG_QUERY__A__CONST__VAL_IVAL:
            value.text = adv_arena_printf(a->arena, "%d", c->ival->ival);
            break;
        case PG_QUERY__A__CONST__VAL__NOT_SET:
        default: /* protobuf-c adds a member of its own to the enum */
            value.kind = ADV_VALUE_UNKNOWN;
            break;
        }
    } else if (node->node_case == PG_QUERY__NODE__NODE_A_EXPR && node->a_expr->n_name == 1 && !node->a_expr->lexpr &&
               strcmp(adv_string_value(node->a_expr->name[0]), "-") == 0) {
        AdvValue inner = adv_as_value(a, node->a_expr->rexpr, NULL);
        if (inner.kind == ADV_VALUE_PARAM)
            value = inner;
    } else if (node->node_case == PG_QUERY__NODE__NODE_A_EXPR) {
        return sum_value(a, node->a_expr, ret_type);
    } else {
        const char *type = NULL, *now = clock_value(a, node, &type);
        if (now)
            value = (AdvValue){.kind = ADV_VALUE_LITERAL, .text = now};
        if (now && ret_type && !*ret_type)
            *ret_type = type;
        if (!now && node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL)
            value = folded_value(a, node->func_call);
    }
    return value;
}

bool adv_first_column(Analyser *a, Scope *scope, const Node *node, int *ret_rel, int *ret_column)
{
    if (!node)
        return false;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return adv_resolve(a, scope, node->column_ref, ret_rel, ret_column);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return adv_first_column(a, scope, node->type_cast->arg, ret_rel, ret_column);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        for (size_t i = 0; i < node->func_call->n_args; i++)
            if (adv_first_column(a, scope, node->func_call->args[i], ret_rel, ret_column))
                return true;
        return false;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        for (size_t i = 0; i < node->coalesce_expr->n_args; i++)
            if (adv_first_column(a, scope, node->coalesce_expr->args[i], ret_rel, ret_column))
                return true;
        return false;
    case PG_QUERY__NODE__NODE_A_EXPR:
        return adv_first_column(a, scope, node->a_expr->lexpr, ret_rel, ret_column) ||
               adv_first_column(a, scope, node->a_expr->rexpr, ret_rel, ret_column);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return adv_first_column(a, scope, node->collate_clause->arg, ret_rel, ret_column);
    default:
        return false;
    }
}
