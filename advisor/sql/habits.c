/* SPDX-License-Identifier: ISC */
#include "advisor/sql/habits.h"

#include <stdlib.h>

#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/tree.h"

typedef struct Walk {
    AdvHabits habits;
    int depth;
} Walk;

static bool is_random(const Node *node)
{
    if (!node || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || node->func_call->n_funcname == 0)
        return false;
    return strcmp(adv_string_value(node->func_call->funcname[node->func_call->n_funcname - 1]), "random") == 0;
}

static bool is_any_sublink(const Node *node)
{
    return node && node->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
           node->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK && node->sub_link->n_oper_name == 0;
}

static void look_at_select(Walk *walk, const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        const Node *by = select->sort_clause[i];
        if (by->node_case == PG_QUERY__NODE__NODE_SORT_BY && is_random(by->sort_by->node))
            walk->habits.order_by_random = true;
    }
    if (select->limit_offset) {
        const Node *offset = select->limit_offset;
        walk->habits.has_offset = true;
        if (offset->node_case == PG_QUERY__NODE__NODE_A_CONST && offset->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL)
            walk->habits.offset = offset->a_const->ival->ival;
    }
}

static void visit(void *arg, const ProtobufCMessage *message)
{
    Walk *walk = arg;
    if (walk->depth > MAX_EXPR_DEPTH)
        return;
    if (message->descriptor == &pg_query__select_stmt__descriptor) {
        look_at_select(walk, (const PgQuery__SelectStmt *)message);
    } else if (message->descriptor == &pg_query__bool_expr__descriptor) {
        const PgQuery__BoolExpr *expr = (const PgQuery__BoolExpr *)message;
        if (expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR && expr->n_args > 0 && is_any_sublink(expr->args[0]))
            walk->habits.not_in_subquery = true;
    }
    walk->depth++;
    adv_pb_children(message, visit, walk);
    walk->depth--;
}

AdvHabits adv_sql_habits(const char *text)
{
    Walk walk = {0};
    PgQuery__ParseResult *tree;
    if (!adv_tree_parse(NULL, text, &tree, NULL)) {
        visit(&walk, &tree->base);
        adv_tree_free(tree);
    }
    return walk.habits;
}
