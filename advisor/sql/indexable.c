/* SPDX-License-Identifier: ISC */
/* indexable.c - which side of a comparison an index could hold: a column, or an immutable expression on columns of one table and constants. */
#include "advisor/sql/analyse_priv.h"
#include "advisor/text.h"

#define DEPTH_MAX 8 /* of expressions in one another */

/* Functions of pg_catalog that are immutable for every argument type they take, and that people filter by. `type`: of what they return; NULL: as their argument. */
static const struct {
    const char *name;
    const char *type;
} immutable_functions[] = {
    {"abs", NULL},      {"btrim", "text"},  {"ceil", NULL},      {"floor", NULL},    {"left", "text"},       {"length", "int4"},
    {"lower", "text"},  {"ltrim", "text"},  {"md5", "text"},     {"replace", "text"}, {"reverse", "text"},   {"right", "text"},
    {"rtrim", "text"},  {"split_part", "text"}, {"substr", "text"}, {"substring", "text"}, {"upper", "text"},
    {"point", "point"}, {"ll_to_earth", "cube"}, {"setweight", "tsvector"},
};

/* What a part of an expression is: its SQL, and its type as far as rules ask for it ("" when not known). */
typedef struct Part {
    const char *sql;
    const char *type;
    bool plain; /* the column itself */
} Part;

static bool add_constant(Analyser *a, AdvText *text, const Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->isnull)
        return false;
    AdvValue value = adv_as_value(a, node, NULL);
    if (value.kind != ADV_VALUE_LITERAL)
        return false;
    if (value.number || node->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL)
        adv_text_add(text, value.text);
    else
        adv_text_add_literal(text, value.text);
    return true;
}

static bool part_of(Analyser *a, Scope *scope, const Node *node, int depth, KeyRef *key, Part *ret_part);

static bool is_text(const char *type)
{
    return strcmp(type, "text") == 0 || strcmp(type, "varchar") == 0;
}

/* An index has one table. The first column found stays the one that the expression is filed under. */
static const AdvColumn *column_of(Analyser *a, Scope *scope, const PgQuery__ColumnRef *ref, KeyRef *key)
{
    int rel, column;
    if (!adv_resolve(a, scope, ref, &rel, &column) || (key->rel >= 0 && key->rel != rel))
        return NULL;
    if (key->rel < 0) {
        key->rel = rel;
        key->column = column;
    }
    return adv_column(a->facts->rels[rel].table, column);
}

/* Functions of times follow the session's time zone unless it is named or the type has none. */
static bool time_function(const char *name, const PgQuery__FuncCall *call, const char *type, const char **ret_type)
{
    bool local = strcmp(type, "timestamp") == 0;
    if (strcmp(name, "date_trunc") == 0 && call->n_args == 2)
        *ret_type = "timestamp";
    else if (strcmp(name, "date") == 0 && call->n_args == 1)
        *ret_type = "date";
    else if (strcmp(name, "timezone") == 0 && call->n_args == 2 && (local || strcmp(type, "timestamptz") == 0)) {
        *ret_type = local ? "timestamptz" : "timestamp";
        return true;
    } else
        return false;
    return local;
}

static bool is_immutable(const char *name, const PgQuery__FuncCall *call, const Part *part, const char **ret_type)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(immutable_functions); i++)
        if (strcmp(immutable_functions[i].name, name) == 0) {
            *ret_type = immutable_functions[i].type ? immutable_functions[i].type : part->type;
            return true;
        }
    /* With its configuration named to_tsvector does not depend on the session. */
    *ret_type = "tsvector";
    return (strcmp(name, "to_tsvector") == 0 && call->n_args == 2 && is_text(part->type)) || time_function(name, call, part->type, ret_type);
}

/* substring(x from 'regex') is another function than substr. */
static bool is_plain_substring(const PgQuery__FuncCall *call)
{
    return call->n_args >= 2 && call->args[1]->node_case == PG_QUERY__NODE__NODE_A_CONST &&
           call->args[1]->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
}

/* lower(email), substr(code, 1, 3), coalesce(name, ''): parts with columns, and constants. A parameter among the arguments is
 * no constant: the index would hold one value of it, the statement may bring another. The type is that of the first part. */
static bool arguments(Analyser *a, Scope *scope, Node *const *args, size_t n, int depth, KeyRef *key, AdvText *text, Part *ret_part)
{
    int parts = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            adv_text_add(text, ", ");
        if (args[i]->node_case == PG_QUERY__NODE__NODE_A_CONST) {
            if (!add_constant(a, text, args[i]))
                return false;
        } else {
            Part part = {0};
            if (!part_of(a, scope, args[i], depth + 1, key, &part))
                return false;
            adv_text_add(text, part.sql);
            if (parts++ == 0)
                *ret_part = part;
        }
    }
    return parts > 0;
}

/* date(x) and x::date are one to the server. */
static const char *as_date(Analyser *a, const Part *part)
{
    return adv_arena_printf(a->arena, "(%s::date)", part->sql);
}

static bool function_part(Analyser *a, Scope *scope, const PgQuery__FuncCall *call, int depth, KeyRef *key, Part *ret_part)
{
    if (call->n_funcname == 0 || call->n_funcname > 2 || call->agg_star || call->agg_distinct || call->over || call->agg_filter ||
        call->n_agg_order > 0 || (call->n_funcname == 2 && strcmp(adv_string_value(call->funcname[0]), "pg_catalog") != 0))
        return false;
    const char *name = adv_string_value(call->funcname[call->n_funcname - 1]);
    bool substring = strcmp(name, "substring") == 0;
    AdvText text;
    Part inner = {0};
    adv_text_init(&text, a->arena);
    /* substring(x from 1 for 2) is substring(x, 1, 2) to the server; substr(x, 1, 2) does the same and is another function, whose index does not serve. */
    adv_text_addf(&text, "%s(", name);
    if (!arguments(a, scope, call->args, call->n_args, depth, key, &text, &inner) || !is_immutable(name, call, &inner, &ret_part->type) ||
        (substring && !is_plain_substring(call)))
        return false;
    adv_text_add(&text, ")");
    ret_part->sql = strcmp(name, "date") == 0 ? as_date(a, &inner) : adv_text_get(&text);
    return true;
}

static bool coalesce_part(Analyser *a, Scope *scope, const PgQuery__CoalesceExpr *expr, int depth, KeyRef *key, Part *ret_part)
{
    AdvText text;
    Part inner = {0};
    adv_text_init(&text, a->arena);
    adv_text_add(&text, "COALESCE(");
    if (expr->n_args < 2 || !arguments(a, scope, expr->args, expr->n_args, depth, key, &text, &inner))
        return false;
    adv_text_add(&text, ")");
    *ret_part = (Part){.sql = adv_text_get(&text), .type = inner.type};
    return true;
}

/* Casts of a text that depend on no setting: (doc ->> 'amount')::int. */
static bool is_steady_cast(const char *type)
{
    static const char *const types[] = {"int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid"};
    for (size_t i = 0; i < PW_ARRAY_LEN(types); i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

static bool cast_part(Analyser *a, Scope *scope, const PgQuery__TypeCast *cast, int depth, KeyRef *key, Part *ret_part)
{
    const char *type = adv_arena_strdup(a->arena, adv_type_name(cast->type_name));
    bool sized = cast->type_name->n_typmods > 0;
    Part inner = {0};
    if (!cast->arg || cast->type_name->n_array_bounds > 0 || !part_of(a, scope, cast->arg, depth + 1, key, &inner))
        return false;
    if ((is_text(type) && is_text(inner.type) && !sized) || (strcmp(type, inner.type) == 0 && (inner.plain || !sized))) {
        *ret_part = inner; /* the cast changes nothing an index would notice */
        return true;
    }
    bool day = strcmp(type, "date") == 0 && strcmp(inner.type, "timestamp") == 0;
    bool steady = !inner.plain && !sized && strcmp(inner.type, "text") == 0 && is_steady_cast(type);
    *ret_part = (Part){.sql = day ? as_date(a, &inner) : adv_arena_printf(a->arena, "(%s::%s)", inner.sql, type), .type = type};
    return day || steady;
}

/* The column, or col -> 'a' -> 0: what a JSON operator is applied to. */
static bool json_source(Analyser *a, Scope *scope, const Node *node, KeyRef *key, AdvText *text)
{
    if (node && node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
        const AdvColumn *column = column_of(a, scope, node->column_ref, key);
        if (column)
            adv_text_add_ident(text, column->name);
        return column;
    }
    const PgQuery__AExpr *expr = node && node->node_case == PG_QUERY__NODE__NODE_A_EXPR ? node->a_expr : NULL;
    if (!expr || expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || expr->n_name != 1 || !expr->lexpr || !expr->rexpr ||
        strcmp(adv_string_value(expr->name[0]), "->") != 0)
        return false;
    adv_text_add(text, "(");
    if (!json_source(a, scope, expr->lexpr, key, text))
        return false;
    adv_text_add(text, " -> ");
    bool constant = add_constant(a, text, expr->rexpr);
    adv_text_add(text, ")");
    return constant;
}

/* One side of ||: a literal, whose type is that of the other side, or a text or tsvector. Other types are made a text by rules that
 * depend on settings. */
static bool concat_side(Analyser *a, Scope *scope, const Node *node, int depth, KeyRef *key, AdvText *text, const char **type)
{
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return node->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL && add_constant(a, text, node);
    Part part = {0};
    if (!part_of(a, scope, node, depth + 1, key, &part))
        return false;
    const char *kind = is_text(part.type) ? "text" : strcmp(part.type, "tsvector") == 0 ? "tsvector" : NULL;
    if (!kind || (*type && strcmp(*type, kind) != 0))
        return false;
    adv_text_add(text, part.sql);
    *type = kind;
    return true;
}

/* first_name || ' ' || last_name */
static bool concat_part(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, int depth, KeyRef *key, Part *ret_part)
{
    AdvText text;
    const char *type = NULL;
    adv_text_init(&text, a->arena);
    adv_text_add(&text, "(");
    if (!concat_side(a, scope, expr->lexpr, depth, key, &text, &type))
        return false;
    adv_text_add(&text, " || ");
    if (!concat_side(a, scope, expr->rexpr, depth, key, &text, &type) || !type)
        return false;
    adv_text_add(&text, ")");
    *ret_part = (Part){.sql = adv_text_get(&text), .type = type};
    return true;
}

/* doc ->> 'key', doc -> 'a' ->> 'b', doc #>> '{a,b}', a || b */
static bool operator_part(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, int depth, KeyRef *key, Part *ret_part)
{
    const char *op = expr->n_name == 1 ? adv_string_value(expr->name[0]) : "";
    if (expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && expr->lexpr && expr->rexpr && strcmp(op, "||") == 0)
        return concat_part(a, scope, expr, depth, key, ret_part);
    if (expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || !expr->lexpr || !expr->rexpr || (strcmp(op, "->>") != 0 && strcmp(op, "#>>") != 0))
        return false;
    AdvText text;
    adv_text_init(&text, a->arena);
    adv_text_add(&text, "(");
    if (!json_source(a, scope, expr->lexpr, key, &text))
        return false;
    adv_text_addf(&text, " %s ", op);
    if (!add_constant(a, &text, expr->rexpr))
        return false;
    adv_text_add(&text, ")");
    *ret_part = (Part){.sql = adv_text_get(&text), .type = "text"};
    return true;
}

static bool part_of(Analyser *a, Scope *scope, const Node *node, int depth, KeyRef *key, Part *ret_part)
{
    if (!node || depth > DEPTH_MAX)
        return false;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const AdvColumn *column = column_of(a, scope, node->column_ref, key);
        if (column)
            *ret_part = (Part){.sql = adv_quote_ident(a->arena, column->name), .type = column->base_type, .plain = true};
        return column;
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return function_part(a, scope, node->func_call, depth, key, ret_part);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return coalesce_part(a, scope, node->coalesce_expr, depth, key, ret_part);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return cast_part(a, scope, node->type_cast, depth, key, ret_part);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return operator_part(a, scope, node->a_expr, depth, key, ret_part);
    default:
        return false;
    }
}

bool adv_as_document(Analyser *a, Scope *scope, const Node *node, KeyRef *ret_key)
{
    KeyRef key = {.rel = -1};
    AdvText text;
    adv_text_init(&text, a->arena);
    if (!node || node->node_case != PG_QUERY__NODE__NODE_A_EXPR || !json_source(a, scope, node, &key, &text) ||
        strcmp(adv_column(a->facts->rels[key.rel].table, key.column)->base_type, "jsonb") != 0)
        return false;
    key.expr = adv_text_get(&text);
    key.type = "jsonb";
    *ret_key = key;
    return true;
}

bool adv_as_key(Analyser *a, Scope *scope, const Node *node, KeyRef *ret_key)
{
    KeyRef key = {.rel = -1};
    Part part = {0};
    if (!part_of(a, scope, node, 0, &key, &part))
        return false;
    key.expr = part.plain ? NULL : part.sql;
    key.type = part.type;
    *ret_key = key;
    return true;
}
