/* SPDX-License-Identifier: ISC */
/* analyse.c - from a statement's parse tree to its facts: blocks, outputs, orders, what is written. */
#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/parse.h"
#include "advisor/sql/tree.h"

#include <stdlib.h>

static int add_block(Analyser *a, int parent)
{
    AdvFacts *facts = a->facts;
    ADV_ROOM(a->arena, facts->blocks, facts->n_blocks);
    memset(&facts->blocks[facts->n_blocks], 0, sizeof(AdvBlock));
    facts->blocks[facts->n_blocks].parent = parent;
    facts->blocks[facts->n_blocks].kind = parent < 0 ? ADV_BLOCK_TOP : ADV_BLOCK_VALUE;
    return facts->n_blocks++;
}

static void with_clause(Analyser *a, const PgQuery__WithClause *with, Scope *outer)
{
    for (size_t i = 0; with && i < with->n_ctes; i++) {
        if (!with->ctes[i] || with->ctes[i]->node_case != PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR)
            continue;
        const PgQuery__CommonTableExpr *expr = with->ctes[i]->common_table_expr;
        Cte *cte = ADV_NEW(a->arena, Cte);
        cte->name = adv_arena_strdup(a->arena, expr->ctename);
        cte->rel = -1;
        cte->block = -1;
        if (with->recursive) {
            /* Visible inside itself, as something without known columns. */
            cte->next = a->ctes;
            a->ctes = cte;
            a->facts->recursive = true;
        }
        AdvOutput *outputs = NULL;
        int n = 0, block = -1;
        adv_analyse_query_node(a, expr->ctequery, outer, &outputs, &n, &block);
        if (block >= 0)
            a->facts->blocks[block].kind = ADV_BLOCK_CTE;
        /* A condition on the outside does not reach into a recursion. */
        for (int k = 0; k < n && with->recursive && block >= 0 && a->facts->blocks[block].set_operation; k++)
            outputs[k].rel = -1;
        for (size_t k = 0; k < expr->n_aliascolnames && (int)k < n; k++)
            outputs[k].name = adv_arena_strdup(a->arena, adv_string_value(expr->aliascolnames[k]));
        int rel = adv_add_rel(a, ADV_REL_SUBQUERY, NULL, cte->name, 0);
        a->facts->rels[rel].outputs = outputs;
        a->facts->rels[rel].n_outputs = n;
        cte->block = block;
        cte->rel = rel;
        if (!with->recursive) {
            cte->next = a->ctes;
            a->ctes = cte;
        }
    }
}

static void add_output(Analyser *a, AdvOutput **outputs, int *n, AdvOutput output)
{
    ADV_ROOM(a->arena, *outputs, *n);
    (*outputs)[(*n)++] = output;
}

/* `later`: what is only passed on counts as read when the outside asks for it. */
static void target_list(Analyser *a, Scope *scope, bool later, Node *const *targets, size_t n, AdvOutput **outputs, int *n_outputs)
{
    for (size_t i = 0; i < n; i++) {
        if (!targets[i] || targets[i]->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
            continue;
        const PgQuery__ResTarget *target = targets[i]->res_target;
        AdvOutput output = {.rel = -1};
        if (target->name && *target->name)
            output.name = adv_arena_strdup(a->arena, target->name);
        if (target->val && target->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
            const PgQuery__ColumnRef *ref = target->val->column_ref;
            const Node *last = ref->n_fields ? ref->fields[ref->n_fields - 1] : NULL;
            bool star = last && last->node_case == PG_QUERY__NODE__NODE_A_STAR;
            a->unseen = later;
            if (star)
                adv_star(a, scope, ref, outputs, n_outputs);
            else if (!adv_resolve(a, scope, ref, &output.rel, &output.column))
                output.rel = -1;
            a->unseen = false;
            if (star)
                continue;
            if (!output.name && last)
                output.name = adv_arena_strdup(a->arena, adv_string_value(last));
        } else {
            adv_walk_expr(a, scope, target->val);
            if (!output.name && target->val && target->val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
                target->val->func_call->n_funcname > 0)
                output.name = adv_arena_strdup(
                    a->arena, adv_string_value(target->val->func_call->funcname[target->val->func_call->n_funcname - 1]));
        }
        add_output(a, outputs, n_outputs, output);
    }
}

/* Position, output name or expression, as ORDER BY and GROUP BY accept them. */
static AdvSort sort_key(Analyser *a, Scope *scope, const Node *node, const AdvOutput *outputs, int n_outputs,
                        bool output_first)
{
    AdvSort sort = {.rel = -1};
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        int position = node->a_const->ival->ival;
        if (position >= 1 && position <= n_outputs) {
            sort.rel = outputs[position - 1].rel;
            sort.column = outputs[position - 1].column;
        }
        return sort;
    }
    bool bare = node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node->column_ref->n_fields == 1;
    const char *name = bare ? adv_string_value(node->column_ref->fields[0]) : NULL;
    KeyRef key;
    for (int pass = 0; pass < 2; pass++) {
        if ((pass == 0) == output_first) {
            for (int i = 0; bare && i < n_outputs; i++)
                if (outputs[i].name && strcmp(outputs[i].name, name) == 0) {
                    sort.rel = outputs[i].rel;
                    sort.column = outputs[i].column;
                    return sort;
                }
        } else if (adv_as_key(a, scope, node, &key)) {
            sort.rel = key.rel;
            sort.column = key.column;
            sort.expr = key.expr;
            return sort;
        }
    }
    adv_walk_expr(a, scope, node);
    return sort;
}

static void order_by(Analyser *a, Scope *scope, int block, Node *const *items, size_t n, const AdvOutput *outputs,
                     int n_outputs)
{
    for (size_t i = 0; i < n; i++) {
        if (!items[i] || items[i]->node_case != PG_QUERY__NODE__NODE_SORT_BY || !items[i]->sort_by->node)
            continue;
        const PgQuery__SortBy *by = items[i]->sort_by;
        AdvSort sort = sort_key(a, scope, by->node, outputs, n_outputs, true);
        sort.desc = by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        sort.nulls_first = by->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                           (sort.desc && by->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
        AdvBlock *b = &a->facts->blocks[block];
        ADV_ROOM(a->arena, b->order, b->n_order);
        b->order[b->n_order++] = sort;
    }
}

static void group_item(Analyser *a, Scope *scope, int block, const Node *node, const AdvOutput *outputs,
                       int n_outputs)
{
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) {
        adv_walk_expr(a, scope, node);
        return;
    }
    AdvSort sort = sort_key(a, scope, node, outputs, n_outputs, false);
    AdvBlock *b = &a->facts->blocks[block];
    ADV_ROOM(a->arena, b->group, b->n_group);
    b->group[b->n_group++] = sort;
}

static void group_and_distinct(Analyser *a, Scope *scope, int block, const PgQuery__SelectStmt *select,
                               const AdvOutput *outputs, int n_outputs)
{
    for (size_t i = 0; i < select->n_group_clause; i++)
        if (select->group_clause[i])
            group_item(a, scope, block, select->group_clause[i], outputs, n_outputs);
    if (select->n_distinct_clause == 0 || select->n_group_clause > 0)
        return;
    const Node *first = select->distinct_clause[0];
    if (first && first->node_case != PG_QUERY__NODE__NODE__NOT_SET) {
        for (size_t i = 0; i < select->n_distinct_clause; i++)
            if (select->distinct_clause[i])
                group_item(a, scope, block, select->distinct_clause[i], outputs, n_outputs);
        return;
    }
    AdvBlock *b = &a->facts->blocks[block];
    for (int i = 0; i < n_outputs; i++) {
        ADV_ROOM(a->arena, b->group, b->n_group);
        b->group[b->n_group++] = (AdvSort){.rel = outputs[i].rel, .column = outputs[i].column};
    }
}

static void limit(Analyser *a, Scope *scope, int block, const PgQuery__SelectStmt *select)
{
    if (select->limit_offset) {
        AdvParam context = {.rel = -1, .is_offset = true};
        adv_note_param(a, select->limit_offset, &context);
        adv_walk_expr(a, scope, select->limit_offset);
    }
    if (!select->limit_count)
        return;
    AdvValue value = adv_as_value(a, select->limit_count, NULL);
    if (value.kind == ADV_VALUE_NULL)
        return;
    AdvParam context = {.rel = -1, .is_limit = true};
    adv_note_param(a, select->limit_count, &context);
    adv_walk_expr(a, scope, select->limit_count);
    AdvBlock *b = &a->facts->blocks[block];
    b->has_limit = true;
    if (value.kind == ADV_VALUE_LITERAL && value.text)
        b->limit = strtod(value.text, NULL);
    else if (value.kind == ADV_VALUE_PARAM)
        b->limit_param = value.param;
}

/* SELECT min(x), max(x): one step at each end of an index. */
static void min_max(Analyser *a, Scope *scope, int block, const PgQuery__SelectStmt *select)
{
    static const char *const aggregates[] = {"avg", "bool_and", "bool_or", "count", "max", "min", "sum"};
    bool only = select->n_group_clause == 0 && select->n_target_list > 0;
    bool aggregate = false;
    for (size_t i = 0; i < select->n_target_list; i++) {
        const Node *val = select->target_list[i] && select->target_list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET
                              ? select->target_list[i]->res_target->val
                              : NULL;
        const PgQuery__FuncCall *call =
            val && val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? val->func_call : NULL;
        const char *name = call && call->n_funcname > 0 ? adv_string_value(call->funcname[call->n_funcname - 1]) : "";
        if (call && call->over)
            a->facts->blocks[block].window = true;
        for (size_t k = 0; k < PW_ARRAY_LEN(aggregates); k++)
            aggregate = aggregate || (strcmp(name, aggregates[k]) == 0 && !call->over);
        KeyRef key;
        if (only && (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) && call->n_args == 1 && !call->over &&
            adv_as_key(a, scope, call->args[0], &key)) {
            AdvBlock *b = &a->facts->blocks[block];
            ADV_ROOM(a->arena, b->minmax, b->n_minmax);
            b->minmax[b->n_minmax++] = (AdvSort){.rel = key.rel, .column = key.column, .expr = key.expr};
        } else {
            only = false;
        }
    }
    AdvBlock *b = &a->facts->blocks[block];
    b->minmax_only = only && b->n_minmax > 0;
    b->aggregate = aggregate || select->n_group_clause > 0;
}

static void values_lists(Analyser *a, Scope *scope, const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; i < select->n_values_lists; i++)
        adv_walk_expr(a, scope, select->values_lists[i]);
}

/* Its columns are there for the outside only: nothing sorts, groups, compares or counts them. */
static bool has_plain_outputs(const PgQuery__SelectStmt *select)
{
    return select->op == PG_QUERY__SET_OPERATION__SETOP_NONE && select->n_distinct_clause == 0 && select->n_group_clause == 0 &&
           select->n_sort_clause == 0 && !select->limit_count && !select->limit_offset;
}

/* One side of UNION, INTERSECT or EXCEPT. */
static void arm(Analyser *a, const PgQuery__SelectStmt *select, Scope *outer, int block, AdvOutput **ret_outputs, int *ret_n)
{
    int inner = -1;
    adv_analyse_select(a, select, outer, ret_outputs, ret_n, &inner);
    if (inner >= 0) {
        a->facts->blocks[inner].kind = ADV_BLOCK_ARM;
        a->facts->blocks[inner].parent = block;
    }
}

void adv_analyse_select(Analyser *a, const PgQuery__SelectStmt *select, Scope *outer, AdvOutput **ret_outputs,
                        int *ret_n, int *ret_block)
{
    if (!select || a->depth >= MAX_DEPTH)
        return;
    a->depth++;
    Cte *ctes = a->ctes;
    int or_group = a->or_group, or_arm = a->or_arm, around = a->block;
    bool outer_on = a->outer_on, unread = a->outputs_unread, later = a->outputs_later && has_plain_outputs(select);
    a->outputs_unread = a->outputs_later = false;
    a->or_group = 0;
    a->outer_on = false;
    int block = add_block(a, outer ? outer->block : -1);
    Scope scope = {.parent = outer, .block = block};
    AdvOutput *outputs = NULL;
    int n_outputs = 0;
    with_clause(a, select->with_clause, outer);
    a->block = block;
    if (select->op == PG_QUERY__SET_OPERATION__SETOP_UNION || select->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ||
        select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT) {
        a->facts->blocks[block].set_operation = true;
        AdvOutput *right = NULL;
        int n_right = 0;
        arm(a, select->larg, outer, block, &outputs, &n_outputs);
        arm(a, select->rarg, outer, block, &right, &n_right);
        adv_join_arms(a, outputs, n_outputs, right, n_right);
        order_by(a, &scope, block, select->sort_clause, select->n_sort_clause, outputs, n_outputs);
    } else {
        for (size_t i = 0; i < select->n_from_clause; i++)
            adv_from_item(a, &scope, select->from_clause[i]);
        values_lists(a, &scope, select);
        if (!unread || select->n_group_clause > 0)
            target_list(a, &scope, later, select->target_list, select->n_target_list, &outputs, &n_outputs);
        adv_analyse_qual(a, &scope, select->where_clause, false);
        group_and_distinct(a, &scope, block, select, outputs, n_outputs);
        adv_walk_expr(a, &scope, select->having_clause);
        a->facts->blocks[block].having = select->having_clause != NULL;
        order_by(a, &scope, block, select->sort_clause, select->n_sort_clause, outputs, n_outputs);
        for (size_t i = 0; i < select->n_window_clause; i++)
            adv_walk_expr(a, &scope, select->window_clause[i]);
        min_max(a, &scope, block, select);
        if (select->n_locking_clause > 0)
            a->facts->locks_rows = true;
    }
    limit(a, &scope, block, select);
    /* A condition on the outside does not reach below a LIMIT. */
    if (a->facts->blocks[block].has_limit)
        for (int i = 0; i < n_outputs; i++)
            outputs[i].rel = -1;
    a->ctes = ctes;
    a->or_group = or_group;
    a->or_arm = or_arm;
    a->outer_on = outer_on;
    a->block = around;
    a->depth--;
    if (ret_outputs) {
        *ret_outputs = outputs;
        *ret_n = n_outputs;
    }
    if (ret_block)
        *ret_block = block;
}

static void mark_written(Analyser *a, AdvTable *table, const char *name)
{
    int column = adv_table_column(table, name);
    if (column && !a->facts->written_columns)
        a->facts->written_columns = ADV_NEW_ARRAY(a->arena, bool, table->n_columns);
    if (column)
        a->facts->written_columns[column - 1] = true;
}

/* SET col = value, with the parameter told which column it is stored in. */
static void set_list(Analyser *a, Scope *scope, AdvTable *table, Node *const *targets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!targets[i] || targets[i]->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
            continue;
        const PgQuery__ResTarget *target = targets[i]->res_target;
        if (table && target->name)
            mark_written(a, table, target->name);
        const Node *val = target->val;
        AdvParam context = {.rel = -1, .table = table};
        context.column = table && target->name ? adv_table_column(table, target->name) : 0;
        if (context.column == 0)
            context.table = NULL;
        if (val && val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
            const Node *source = val->multi_assign_ref->source;
            if (val->multi_assign_ref->colno == 1)
                adv_walk_expr(a, scope, source);
            continue;
        }
        adv_note_param(a, val, &context);
        adv_walk_expr(a, scope, val);
    }
}

/* INSERT INTO t (x) SELECT $1: the column tells the type. */
static void stored_outputs(Analyser *a, const PgQuery__InsertStmt *stmt, AdvTable *table, const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; table && i < select->n_target_list; i++) {
        const Node *target = select->target_list[i];
        AdvParam context = {.rel = -1, .table = table};
        if (i < stmt->n_cols && stmt->cols[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
            context.column = adv_table_column(table, stmt->cols[i]->res_target->name);
        else if (stmt->n_cols == 0 && (int)i < table->n_columns)
            context.column = (int)i + 1;
        if (context.column > 0 && target && target->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
            adv_note_param(a, target->res_target->val, &context);
    }
}

static void insert(Analyser *a, const PgQuery__InsertStmt *stmt, Scope *outer, bool top)
{
    int block = add_block(a, outer ? outer->block : -1);
    Scope scope = {.parent = outer, .block = block};
    with_clause(a, stmt->with_clause, outer);
    AdvTable *table = adv_catalog_meant(
        a->catalog, stmt->relation->schemaname && *stmt->relation->schemaname ? stmt->relation->schemaname : NULL,
        stmt->relation->relname);
    if (table)
        table->referenced = true;
    else
        a->facts->n_unknown_tables++;
    if (!table && !a->facts->unknown_table)
        a->facts->unknown_table = adv_arena_strdup(a->arena, stmt->relation->relname);
    if (top)
        a->facts->written = table;
    const PgQuery__SelectStmt *select =
        stmt->select_stmt && stmt->select_stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
            ? stmt->select_stmt->select_stmt
            : NULL;
    if (select && select->n_values_lists > 0) {
        if (top)
            a->facts->insert_rows = (double)select->n_values_lists;
        for (size_t i = 0; i < select->n_values_lists; i++) {
            const Node *row = select->values_lists[i];
            for (size_t k = 0; row && row->node_case == PG_QUERY__NODE__NODE_LIST && k < row->list->n_items; k++) {
                AdvParam context = {.rel = -1, .table = table};
                if (table && stmt->n_cols > 0 && k < stmt->n_cols &&
                    stmt->cols[k]->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
                    context.column = adv_table_column(table, stmt->cols[k]->res_target->name);
                else if (table && stmt->n_cols == 0 && (int)k < table->n_columns)
                    context.column = (int)k + 1;
                if (context.column == 0)
                    context.table = NULL;
                adv_note_param(a, row->list->items[k], &context);
                adv_walk_expr(a, &scope, row->list->items[k]);
            }
        }
    } else if (select) {
        adv_analyse_select(a, select, outer, NULL, NULL, NULL);
        stored_outputs(a, stmt, table, select);
    } else if (top) {
        a->facts->insert_rows = 1; /* DEFAULT VALUES */
    }
    if (stmt->on_conflict_clause)
        set_list(a, &scope, table, stmt->on_conflict_clause->target_list, stmt->on_conflict_clause->n_target_list);
}

static void update(Analyser *a, const PgQuery__UpdateStmt *stmt, Scope *outer, bool top, AdvOutput **outputs, int *n)
{
    Scope scope = {.parent = outer, .block = add_block(a, outer ? outer->block : -1)};
    with_clause(a, stmt->with_clause, outer);
    a->block = scope.block;
    adv_from_table(a, &scope, stmt->relation, true);
    AdvTable *table = a->facts->rels[scope.items[0].rel].table;
    if (top)
        a->facts->written = table;
    for (size_t i = 0; i < stmt->n_from_clause; i++)
        adv_from_item(a, &scope, stmt->from_clause[i]);
    set_list(a, &scope, table, stmt->target_list, stmt->n_target_list);
    adv_analyse_qual(a, &scope, stmt->where_clause, false);
    target_list(a, &scope, false, stmt->returning_list, stmt->n_returning_list, outputs, n);
}

static void delete_from(Analyser *a, const PgQuery__DeleteStmt *stmt, Scope *outer, bool top, AdvOutput **outputs,
                        int *n)
{
    Scope scope = {.parent = outer, .block = add_block(a, outer ? outer->block : -1)};
    with_clause(a, stmt->with_clause, outer);
    a->block = scope.block;
    adv_from_table(a, &scope, stmt->relation, true);
    if (top)
        a->facts->written = a->facts->rels[scope.items[0].rel].table;
    for (size_t i = 0; i < stmt->n_using_clause; i++)
        adv_from_item(a, &scope, stmt->using_clause[i]);
    adv_analyse_qual(a, &scope, stmt->where_clause, false);
    target_list(a, &scope, false, stmt->returning_list, stmt->n_returning_list, outputs, n);
}

/* To the planner a join of target and source, whose rows are then written. Costs like an UPDATE. */
static void merge(Analyser *a, const PgQuery__MergeStmt *stmt, Scope *outer, bool top)
{
    Scope scope = {.parent = outer, .block = add_block(a, outer ? outer->block : -1)};
    with_clause(a, stmt->with_clause, outer);
    a->block = scope.block;
    adv_from_table(a, &scope, stmt->relation, true);
    AdvTable *table = a->facts->rels[scope.items[0].rel].table;
    if (top)
        a->facts->written = table;
    adv_from_item(a, &scope, stmt->source_relation);
    adv_analyse_qual(a, &scope, stmt->join_condition, false);
    for (size_t i = 0; i < stmt->n_merge_when_clauses; i++) {
        if (!stmt->merge_when_clauses[i] || stmt->merge_when_clauses[i]->node_case != PG_QUERY__NODE__NODE_MERGE_WHEN_CLAUSE)
            continue;
        const PgQuery__MergeWhenClause *when = stmt->merge_when_clauses[i]->merge_when_clause;
        adv_walk_expr(a, &scope, when->condition);
        if (when->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE)
            set_list(a, &scope, table, when->target_list, when->n_target_list);
        for (size_t k = 0; k < when->n_values; k++) {
            AdvParam context = {.rel = -1, .table = table};
            const Node *target = k < when->n_target_list ? when->target_list[k] : NULL;
            if (table && target && target->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
                context.column = adv_table_column(table, target->res_target->name);
            if (context.column == 0)
                context.table = NULL;
            adv_note_param(a, when->values[k], &context);
            adv_walk_expr(a, &scope, when->values[k]);
        }
    }
}

void adv_analyse_query_node(Analyser *a, const Node *node, Scope *outer, AdvOutput **ret_outputs, int *ret_n,
                            int *ret_block)
{
    AdvOutput *outputs = NULL;
    int n = 0;
    if (!node || a->depth >= MAX_DEPTH)
        return;
    bool top = a->depth == 0 && !outer;
    if (node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
        adv_analyse_select(a, node->select_stmt, outer, ret_outputs, ret_n, ret_block);
        return;
    }
    Cte *ctes = a->ctes;
    int around = a->block;
    a->depth++;
    if (node->node_case == PG_QUERY__NODE__NODE_INSERT_STMT)
        insert(a, node->insert_stmt, outer, top);
    else if (node->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT)
        update(a, node->update_stmt, outer, top, &outputs, &n);
    else if (node->node_case == PG_QUERY__NODE__NODE_DELETE_STMT)
        delete_from(a, node->delete_stmt, outer, top, &outputs, &n);
    else if (node->node_case == PG_QUERY__NODE__NODE_MERGE_STMT)
        merge(a, node->merge_stmt, outer, top);
    a->depth--;
    a->block = around;
    a->ctes = ctes;
    if (ret_outputs) {
        *ret_outputs = outputs;
        *ret_n = n;
    }
}

static AdvStmtKind statement_kind(const Node *node)
{
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return node->select_stmt->into_clause ? ADV_STMT_OTHER : ADV_STMT_SELECT;
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return ADV_STMT_INSERT;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
        return ADV_STMT_UPDATE;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return ADV_STMT_DELETE;
    default:
        return ADV_STMT_OTHER;
    }
}

PwErr adv_sql_analyse(AdvCatalog *catalog, AdvArena *arena, const char *text, AdvFacts **ret_facts,
                      const char **ret_why)
{
    PgQuery__ParseResult *tree;
    PwErr err = adv_tree_parse(arena, text, &tree, ret_why);
    if (err)
        return err;
    if (tree->n_stmts != 1 || !tree->stmts[0]->stmt) {
        *ret_why = tree->n_stmts ? "more than one statement" : "no statement";
        adv_tree_free(tree);
        return PW_ERR_SYNTAX;
    }
    Analyser a = {.arena = arena, .catalog = catalog, .facts = ADV_NEW(arena, AdvFacts), .text_len = strlen(text)};
    a.facts->kind = statement_kind(tree->stmts[0]->stmt);
    if (a.facts->kind != ADV_STMT_OTHER)
        adv_analyse_query_node(&a, tree->stmts[0]->stmt, NULL, NULL, NULL, NULL);
    adv_spread_arms(&a);
    adv_tree_free(tree);
    adv_sql_add_other_params(&a, text);
    free(a.param_at);
    *ret_facts = a.facts;
    return PW_OK;
}
