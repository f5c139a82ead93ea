/* SPDX-License-Identifier: ISC */
#include "advisor/sql/declare.h"

#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/types.h"

#define ARRAY_WIDTH 60.0
#define ENUM_LABELS_MIN 2.0

AdvTable *adv_declared_table(const AdvCatalog *catalog, const PgQuery__RangeVar *name)
{
    return name ? adv_catalog_find(catalog, name->schemaname && *name->schemaname ? name->schemaname : NULL, name->relname) : NULL;
}

AdvTable *adv_declare_table(AdvDeclarations *d, const PgQuery__RangeVar *name, int n_columns)
{
    AdvTable *table = adv_catalog_add_table(d->catalog, name->schemaname && *name->schemaname ? name->schemaname : "public", name->relname, n_columns);
    table->path_rank = strcmp(table->schema, "public") == 0 ? 0 : -1;
    return table;
}

static void of_type(const AdvDeclarations *d, AdvColumn *c, const PgQuery__TypeName *type)
{
    const char *name = type ? adv_arena_strdup(d->catalog->arena, adv_type_name(type)) : "";
    c->type = c->base_type = name;
    for (int i = 0; i < d->n_types; i++)
        if (strcmp(d->types[i].name, name) == 0) {
            const char *own = c->name;
            *c = d->types[i];
            c->name = own;
            return;
        }
    adv_type_facts(c);
    if (type && type->n_array_bounds > 0) {
        c->type = adv_arena_printf(d->catalog->arena, "%s[]", name);
        c->base_type = adv_arena_printf(d->catalog->arena, "_%s", name);
        c->category = 'A';
        c->len = -1;
        c->align = 4;
        c->btree = true;
        c->dedup = false;
        c->avg_width = ARRAY_WIDTH;
    }
}

static AdvColumn *add_type(AdvDeclarations *d, PgQuery__Node *const *names, size_t n)
{
    ADV_ROOM(d->catalog->arena, d->types, d->n_types);
    AdvColumn *type = &d->types[d->n_types];
    *type = (AdvColumn){.name = adv_arena_strdup(d->catalog->arena, n ? adv_string_value(names[n - 1]) : "")};
    return type;
}

void adv_declare_domain(AdvDeclarations *d, const PgQuery__CreateDomainStmt *stmt)
{
    AdvColumn *type = add_type(d, stmt->domainname, stmt->n_domainname);
    of_type(d, type, stmt->type_name);
    d->n_types++; /* only now: a domain is not its own base */
}

void adv_declare_enum(AdvDeclarations *d, const PgQuery__CreateEnumStmt *stmt)
{
    AdvColumn *type = add_type(d, stmt->type_name, stmt->n_type_name);
    type->type = type->base_type = type->name;
    type->category = 'E';
    type->len = type->align = 4;
    type->avg_width = 4;
    type->btree = type->dedup = type->collation_c = type->declared = true;
    type->n_distinct = stmt->n_vals > ENUM_LABELS_MIN ? (double)stmt->n_vals : ENUM_LABELS_MIN;
    d->n_types++;
}

void adv_declare_extension(AdvDeclarations *d, const PgQuery__CreateExtensionStmt *stmt)
{
    if (!stmt->extname || strcmp(stmt->extname, "pg_trgm") != 0)
        return;
    d->catalog->trgm_schema = "public";
    for (size_t i = 0; i < stmt->n_options; i++)
        if (stmt->options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM && strcmp(stmt->options[i]->def_elem->defname, "schema") == 0 &&
            stmt->options[i]->def_elem->arg)
            d->catalog->trgm_schema = adv_arena_strdup(d->catalog->arena, adv_string_value(stmt->options[i]->def_elem->arg));
    d->catalog->trgm_on_path = strcmp(d->catalog->trgm_schema, "public") == 0;
}

void adv_declare_column(AdvDeclarations *d, AdvColumn *column, const PgQuery__ColumnDef *def)
{
    *column = (AdvColumn){.name = adv_arena_strdup(d->catalog->arena, def->colname)};
    of_type(d, column, def->type_name);
    column->not_null = def->is_not_null;
    for (size_t i = 0; i < def->n_constraints; i++)
        if (def->constraints[i]->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            column->not_null = column->not_null || def->constraints[i]->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL ||
                               def->constraints[i]->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
}

void adv_declare_child(AdvDeclarations *d, AdvTable *parent, AdvTable *child, bool is_partition)
{
    AdvArena *arena = d->catalog->arena;
    child->parent = parent;
    child->is_partition = is_partition;
    ADV_ROOM(arena, parent->children, parent->n_children);
    parent->children[parent->n_children++] = child;
    int n = 0;
    AdvColumn *columns = ADV_NEW_ARRAY(arena, AdvColumn, parent->n_columns + child->n_columns + 1);
    for (int i = 0; i < parent->n_columns; i++)
        if (adv_table_column(child, parent->columns[i].name) == 0)
            columns[n++] = parent->columns[i];
    if (n == 0)
        return;
    memcpy(columns + n, child->columns, (size_t)child->n_columns * sizeof(*columns));
    child->columns = columns; /* no index of it is known yet */
    child->n_columns += n;
}

/* Of FROM's items, the table with such a column. */
static const AdvColumn *column_in(const AdvCatalog *catalog, const Node *from, const char *alias, const char *name)
{
    if (from && from->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        const AdvColumn *left = column_in(catalog, from->join_expr->larg, alias, name);
        return left ? left : column_in(catalog, from->join_expr->rarg, alias, name);
    }
    if (!from || from->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)
        return NULL;
    const PgQuery__RangeVar *var = from->range_var;
    const AdvTable *table = adv_declared_table(catalog, var);
    int column = table ? adv_table_column(table, name) : 0;
    bool meant = !alias || strcmp(alias, var->alias && var->alias->aliasname ? var->alias->aliasname : var->relname) == 0;
    return meant && column ? adv_column(table, column) : NULL;
}

static void like_output(const AdvDeclarations *d, AdvColumn *c, const PgQuery__SelectStmt *select, const PgQuery__ResTarget *target)
{
    const Node *val = target->val;
    const PgQuery__ColumnRef *ref = val && val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? val->column_ref : NULL;
    const char *last = ref && ref->n_fields ? adv_string_value(ref->fields[ref->n_fields - 1]) : NULL;
    const char *alias = ref && ref->n_fields > 1 ? adv_string_value(ref->fields[ref->n_fields - 2]) : NULL;
    const AdvColumn *from = NULL;
    for (size_t i = 0; last && i < select->n_from_clause && !from; i++)
        from = column_in(d->catalog, select->from_clause[i], alias, last);
    const char *name = target->name && *target->name ? target->name : last ? last : "";
    if (from) {
        *c = *from;
    } else if (val && val->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        of_type(d, c, val->type_cast->type_name);
    } else {
        c->type = c->base_type = val && val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? "int8" : "text"; /* most are counts and sums */
        adv_type_facts(c);
    }
    c->not_null = false;
    c->name = adv_arena_strdup(d->catalog->arena, name);
}

static char *deparsed(AdvArena *arena, PgQuery__SelectStmt *select)
{
    PgQuery__Node node = PG_QUERY__NODE__INIT;
    PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT, *stmts[] = {&raw};
    PgQuery__ParseResult tree = PG_QUERY__PARSE_RESULT__INIT;
    node.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    node.select_stmt = select;
    raw.stmt = &node;
    tree.version = PG_VERSION_NUM;
    tree.n_stmts = 1;
    tree.stmts = stmts;
    size_t len = pg_query__parse_result__get_packed_size(&tree);
    char *packed = adv_arena_alloc(arena, len + 1);
    pg_query__parse_result__pack(&tree, (uint8_t *)packed);
    PgQueryDeparseResult text = pg_query_deparse_protobuf((PgQueryProtobuf){.len = len, .data = packed});
    char *copy = text.error ? NULL : adv_arena_strdup(arena, text.query);
    pg_query_free_deparse_result(text);
    return copy;
}

AdvTable *adv_declare_view(AdvDeclarations *d, const PgQuery__RangeVar *name, const Node *query, size_t n_names, Node *const *names, bool materialised)
{
    AdvTable *view = adv_declared_table(d->catalog, name);
    if (!name || !query || query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || (view && view->kind != 'v'))
        return NULL;
    PgQuery__SelectStmt *select = query->select_stmt;
    size_t n = materialised ? select->n_target_list : n_names;
    if (!view)
        view = adv_declare_table(d, name, (int)n);
    view->kind = materialised ? 'm' : 'v';
    for (size_t i = 0; materialised && i < n; i++)
        if (select->target_list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
            like_output(d, &view->columns[i], select, select->target_list[i]->res_target);
    for (size_t i = 0; i < n_names && (int)i < view->n_columns; i++)
        view->columns[i].name = adv_arena_strdup(d->catalog->arena, adv_string_value(names[i]));
    if (!materialised)
        view->view_text = deparsed(d->catalog->arena, select);
    return view;
}

const char *adv_expression_text(AdvArena *arena, Node *expression)
{
    PgQuery__ResTarget target = PG_QUERY__RES_TARGET__INIT;
    PgQuery__Node node = PG_QUERY__NODE__INIT, *targets[] = {&node};
    PgQuery__SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
    target.val = expression;
    node.node_case = PG_QUERY__NODE__NODE_RES_TARGET;
    node.res_target = &target;
    select.n_target_list = 1;
    select.target_list = targets;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    const char *text = deparsed(arena, &select);
    return text && strncmp(text, "SELECT ", 7) == 0 ? text + 7 : NULL;
}
