/* SPDX-License-Identifier: ISC */
/* scope.c - which table a name means: FROM items, aliases, CTEs, views, and columns through all of them. */
#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/tree.h"

int adv_add_rel(Analyser *a, AdvRelKind kind, AdvTable *table, const char *alias, int block)
{
    AdvFacts *facts = a->facts;
    ADV_ROOM(a->arena, facts->rels, facts->n_rels);
    AdvRel *rel = &facts->rels[facts->n_rels];
    memset(rel, 0, sizeof(*rel));
    rel->kind = kind;
    rel->table = table;
    rel->alias = adv_arena_strdup(a->arena, alias ? alias : "");
    rel->block = block;
    rel->inner = -1;
    rel->sifted = 1;
    if (table) {
        rel->used = ADV_NEW_ARRAY(a->arena, bool, table->n_columns ? table->n_columns : 1);
        rel->reads = ADV_NEW_ARRAY(a->arena, int, table->n_columns ? table->n_columns : 1);
        table->referenced = true;
    }
    return facts->n_rels++;
}

static void scope_add(Analyser *a, Scope *scope, const char *name, int rel)
{
    ADV_ROOM(a->arena, scope->items, scope->n_items);
    scope->items[scope->n_items].name = adv_arena_strdup(a->arena, name ? name : "");
    scope->items[scope->n_items].rel = rel;
    scope->n_items++;
}

const AdvRel *adv_item_named(const Analyser *a, const Scope *scope, const char *name)
{
    for (; scope; scope = scope->parent)
        for (int i = 0; i < scope->n_items; i++)
            if (strcmp(scope->items[i].name, name) == 0)
                return &a->facts->rels[scope->items[i].rel];
    return NULL;
}

/* The column behind an output of a subquery; one of a set operation was read by its arms. */
static void mark_output(Analyser *a, const AdvOutput *output, bool all)
{
    AdvRel *r = output->rel >= 0 ? &a->facts->rels[output->rel] : NULL;
    if (!r || r->kind != ADV_REL_TABLE || a->unseen)
        return;
    r->used[output->column - 1] = true;
    r->reads[output->column - 1]++;
    r->whole_row = r->whole_row || (all && output->star);
}

void adv_mark_all(Analyser *a, int rel)
{
    AdvRel *r = &a->facts->rels[rel];
    for (int i = 0; i < r->n_outputs; i++)
        mark_output(a, &r->outputs[i], true);
    if (r->kind == ADV_REL_TABLE && !a->unseen) {
        r->whole_row = true;
        for (int i = 0; i < r->table->n_columns; i++)
            r->used[i] = true;
        for (int i = 0; i < r->table->n_columns; i++)
            r->reads[i] += 2;
    }
}

/* Follows an output of a subquery to the table it comes from. */
static bool find_in_rel(Analyser *a, int rel, const char *name, int *ret_rel, int *ret_column, bool *ret_known)
{
    AdvRel *r = &a->facts->rels[rel];
    *ret_known = false;
    if (r->kind == ADV_REL_TABLE) {
        int column = adv_table_column(r->table, name);
        if (!column)
            return false;
        mark_output(a, &(AdvOutput){.rel = rel, .column = column}, false);
        *ret_rel = rel;
        *ret_column = column;
        *ret_known = true;
        return true;
    }
    for (int i = 0; i < r->n_outputs; i++) {
        if (!r->outputs[i].name || strcmp(r->outputs[i].name, name) != 0)
            continue;
        *ret_known = true;
        if (r->outputs[i].rel < 0)
            return false;
        mark_output(a, &r->outputs[i], false);
        *ret_rel = r->outputs[i].rel;
        *ret_column = r->outputs[i].column;
        return true;
    }
    return false;
}

bool adv_resolve(Analyser *a, const Scope *scope, const PgQuery__ColumnRef *ref, int *ret_rel, int *ret_column)
{
    if (ref->n_fields == 0 || !ref->fields[ref->n_fields - 1] ||
        ref->fields[ref->n_fields - 1]->node_case != PG_QUERY__NODE__NODE_STRING)
        return false;
    const char *name = adv_string_value(ref->fields[ref->n_fields - 1]);
    const char *qualifier = ref->n_fields >= 2 ? adv_string_value(ref->fields[ref->n_fields - 2]) : NULL;
    for (; scope; scope = scope->parent) {
        bool known = false;
        for (int i = 0; i < scope->n_items; i++) {
            const ScopeItem *item = &scope->items[i];
            if (qualifier && strcmp(item->name, qualifier) != 0)
                continue;
            if (find_in_rel(a, item->rel, name, ret_rel, ret_column, &known))
                return true;
            if (known || qualifier)
                return false;
        }
        if (!qualifier) {
            /* A bare alias is the whole row: count(o), row_to_json(o). */
            for (int i = 0; i < scope->n_items; i++)
                if (strcmp(scope->items[i].name, name) == 0) {
                    adv_mark_all(a, scope->items[i].rel);
                    return false;
                }
        }
    }
    return false;
}

static void add_output(Analyser *a, AdvOutput **outputs, int *n, AdvOutput output)
{
    if (*n >= MAX_OUTPUTS)
        return;
    ADV_ROOM(a->arena, *outputs, *n);
    (*outputs)[(*n)++] = output;
}

static void add_columns(Analyser *a, AdvOutput **outputs, int *n, int rel, const AdvTable *table)
{
    for (int c = 0; c < table->n_columns; c++)
        if (!table->columns[c].dropped)
            add_output(a, outputs, n, (AdvOutput){.name = table->columns[c].name, .rel = rel, .column = c + 1, .star = true});
}

void adv_star(Analyser *a, const Scope *scope, const PgQuery__ColumnRef *ref, AdvOutput **outputs, int *n_outputs)
{
    const char *qualifier = ref && ref->n_fields >= 2 ? adv_string_value(ref->fields[ref->n_fields - 2]) : NULL;
    for (int i = 0; i < scope->n_items; i++) {
        if (qualifier && strcmp(scope->items[i].name, qualifier) != 0)
            continue;
        int rel = scope->items[i].rel;
        adv_mark_all(a, rel);
        if (!outputs)
            continue;
        const AdvRel *r = &a->facts->rels[rel];
        if (r->kind == ADV_REL_TABLE)
            add_columns(a, outputs, n_outputs, rel, r->table);
        for (int k = 0; k < r->n_outputs; k++)
            add_output(a, outputs, n_outputs, r->outputs[k]);
    }
}

/* `inner`: the subquery's own block, -1 when there is none. */
static int subquery_rel(Analyser *a, const char *alias, int block, AdvOutput *outputs, int n, int inner)
{
    int rel = adv_add_rel(a, ADV_REL_SUBQUERY, NULL, alias, block);
    a->facts->rels[rel].inner = inner;
    a->facts->rels[rel].outputs = outputs;
    a->facts->rels[rel].n_outputs = n;
    return rel;
}

/* Column aliases: FROM (...) AS s(a, b). */
static void rename_outputs(Analyser *a, AdvOutput *outputs, int n, const PgQuery__Alias *alias)
{
    for (size_t i = 0; alias && i < alias->n_colnames && (int)i < n; i++)
        outputs[i].name = adv_arena_strdup(a->arena, adv_string_value(alias->colnames[i]));
}

static void in_from(Analyser *a, const Scope *scope, int inner)
{
    if (inner < 0)
        return;
    a->facts->blocks[inner].kind = ADV_BLOCK_FROM;
    a->facts->blocks[inner].parent = scope->block;
}

static void from_view(Analyser *a, Scope *scope, AdvTable *view, const char *alias)
{
    AdvOutput *outputs = NULL;
    int n = 0, inner = -1;
    PgQuery__ParseResult *tree = NULL;
    if (!adv_tree_parse(NULL, view->view_text, &tree, NULL) && tree->n_stmts == 1) {
        bool in_view = a->in_view;
        Cte *ctes = a->ctes;
        a->in_view = true;
        a->ctes = NULL; /* the view does not see the statement's CTEs */
        a->outputs_later = true;
        adv_analyse_query_node(a, tree->stmts[0]->stmt, NULL, &outputs, &n, &inner);
        in_from(a, scope, inner);
        a->in_view = in_view;
        a->ctes = ctes;
    }
    adv_tree_free(tree);
    /* The view's own column names may differ from its query's. */
    for (int i = 0; i < n && i < view->n_columns; i++)
        outputs[i].name = view->columns[i].name;
    view->referenced = true;
    scope_add(a, scope, alias, subquery_rel(a, alias, scope->block, outputs, n, inner));
}

void adv_from_table(Analyser *a, Scope *scope, const PgQuery__RangeVar *var, bool target)
{
    const char *alias = var->alias && var->alias->aliasname ? var->alias->aliasname : var->relname;
    bool qualified = var->schemaname && *var->schemaname;
    if (!qualified && !target) {
        for (const Cte *cte = a->ctes; cte; cte = cte->next) {
            if (strcmp(cte->name, var->relname) != 0)
                continue;
            AdvOutput *outputs = NULL;
            int n = 0;
            if (cte->rel >= 0) {
                n = a->facts->rels[cte->rel].n_outputs;
                outputs = adv_arena_grow(a->arena, a->facts->rels[cte->rel].outputs, (size_t)n * sizeof(*outputs),
                                         ((size_t)n + 1) * sizeof(*outputs));
            }
            rename_outputs(a, outputs, n, var->alias);
            scope_add(a, scope, alias, subquery_rel(a, alias, scope->block, outputs, n, cte->block));
            return;
        }
    }
    AdvTable *table = adv_catalog_meant(a->catalog, qualified ? var->schemaname : NULL, var->relname);
    if (!table) {
        /* The server's own catalogs are planned like the rest, but nobody puts indexes on them. */
        bool own = qualified ? strcmp(var->schemaname, "pg_catalog") == 0 ||
                                   strcmp(var->schemaname, "information_schema") == 0
                             : strncmp(var->relname, "pg_", 3) == 0;
        if (!own) {
            a->facts->n_unknown_tables++;
            if (!a->facts->unknown_table)
                a->facts->unknown_table = adv_arena_strdup(a->arena, var->relname);
        }
        scope_add(a, scope, alias, adv_add_rel(a, ADV_REL_OTHER, NULL, alias, scope->block));
        return;
    }
    if (table->kind == 'v' && table->view_text && a->depth < MAX_DEPTH && a->facts->n_rels < MAX_RELS) {
        from_view(a, scope, table, alias);
        return;
    }
    if (var->alias && var->alias->n_colnames > 0) {
        /* FROM t AS x(a, b): seen through a subquery that renames. */
        int base = adv_add_rel(a, ADV_REL_TABLE, table, alias, scope->block);
        AdvOutput *outputs = NULL;
        int n = 0;
        add_columns(a, &outputs, &n, base, table);
        rename_outputs(a, outputs, n, var->alias);
        adv_mark_all(a, base);
        scope_add(a, scope, alias, subquery_rel(a, alias, scope->block, outputs, n, -1));
        return;
    }
    int rel = adv_add_rel(a, ADV_REL_TABLE, table, alias, scope->block);
    a->facts->rels[rel].target = target;
    scope_add(a, scope, alias, rel);
}

static void add_join(Analyser *a, int rel_a, int column_a, int rel_b, int column_b)
{
    ADV_ROOM(a->arena, a->facts->joins, a->facts->n_joins);
    a->facts->joins[a->facts->n_joins++] =
        (AdvJoin){.rel_a = rel_a, .column_a = column_a, .rel_b = rel_b, .column_b = column_b, .outer = a->outer_on, .block = a->block};
}

static bool find_item(Analyser *a, const Scope *scope, int from, int to, const char *name, int *rel, int *column)
{
    bool known;
    for (int i = from; i < to; i++)
        if (find_in_rel(a, scope->items[i].rel, name, rel, column, &known))
            return true;
    return false;
}

static void join_using(Analyser *a, const Scope *scope, int left, int right, const char *name)
{
    int rel_a, column_a, rel_b, column_b;
    if (find_item(a, scope, left, right, name, &rel_a, &column_a) &&
        find_item(a, scope, right, scope->n_items, name, &rel_b, &column_b))
        add_join(a, rel_a, column_a, rel_b, column_b);
}

static bool has_item(Analyser *a, const Scope *scope, int from, int to, const char *name)
{
    int rel, column;
    a->unseen = true;
    bool has = find_item(a, scope, from, to, name, &rel, &column);
    a->unseen = false;
    return has;
}

/* A name that more tables on the left have is theirs by a join before this one: it joins once. */
static void join_natural(Analyser *a, const Scope *scope, int left, int right)
{
    for (int i = left; i < right; i++) {
        const AdvRel *r = &a->facts->rels[scope->items[i].rel];
        const AdvTable *table = r->kind == ADV_REL_TABLE ? r->table : NULL;
        for (int c = 0; table && c < table->n_columns; c++)
            if (!table->columns[c].dropped && !has_item(a, scope, left, i, table->columns[c].name) &&
                has_item(a, scope, right, scope->n_items, table->columns[c].name))
                join_using(a, scope, left, right, table->columns[c].name);
    }
}

static void mark_nullable(Analyser *a, const Scope *scope, int from, int to)
{
    for (int i = from; i < to; i++)
        a->facts->rels[scope->items[i].rel].nullable = true;
}

static void from_join(Analyser *a, Scope *scope, const PgQuery__JoinExpr *join)
{
    int left = scope->n_items;
    adv_from_item(a, scope, join->larg);
    int right = scope->n_items;
    adv_from_item(a, scope, join->rarg);
    bool outer = join->jointype != PG_QUERY__JOIN_TYPE__JOIN_INNER;
    bool was_outer = a->outer_on;
    a->outer_on = outer;
    if (join->is_natural)
        join_natural(a, scope, left, right);
    for (size_t i = 0; i < join->n_using_clause; i++)
        join_using(a, scope, left, right, adv_string_value(join->using_clause[i]));
    if (join->quals)
        adv_analyse_qual(a, scope, join->quals, false);
    a->outer_on = was_outer;
    if (join->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT || join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL)
        mark_nullable(a, scope, right, scope->n_items);
    if (join->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT || join->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL)
        mark_nullable(a, scope, left, right);
}

void adv_from_item(Analyser *a, Scope *scope, const Node *node)
{
    if (!node || a->expr_depth > MAX_EXPR_DEPTH)
        return;
    a->expr_depth++;
    if (node->node_case == PG_QUERY__NODE__NODE_RANGE_VAR) {
        adv_from_table(a, scope, node->range_var, false);
    } else if (node->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        from_join(a, scope, node->join_expr);
    } else if (node->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) {
        const PgQuery__RangeSubselect *sub = node->range_subselect;
        AdvOutput *outputs = NULL;
        int n = 0, inner = -1;
        a->outputs_later = true;
        adv_analyse_query_node(a, sub->subquery, scope, &outputs, &n, &inner);
        in_from(a, scope, inner);
        rename_outputs(a, outputs, n, sub->alias);
        const char *alias = sub->alias ? sub->alias->aliasname : "";
        scope_add(a, scope, alias, subquery_rel(a, alias, scope->block, outputs, n, inner));
    } else {
        /* Functions, TABLESAMPLE and the like: no columns that an index could serve, but expressions inside. */
        const PgQuery__Alias *alias =
            node->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION ? node->range_function->alias : NULL;
        if (node->node_case == PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE)
            adv_from_item(a, scope, node->range_table_sample->relation);
        else
            adv_walk_expr(a, scope, node);
        const char *name = alias ? alias->aliasname : "";
        int rel = adv_add_rel(a, ADV_REL_OTHER, NULL, name, scope->block);
        a->facts->rels[rel].function = node->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION;
        scope_add(a, scope, name, rel);
    }
    a->expr_depth--;
}
