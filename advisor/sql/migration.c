/* SPDX-License-Identifier: ISC */
#include "advisor/sql/migration.h"

#include "advisor/sql/analyse_priv.h"
#include "advisor/sql/declare.h"
#include "advisor/sql/parse.h"
#include "advisor/sql/tree.h"

typedef struct Reader {
    AdvMigration *migration;
    AdvCatalog *catalog;
    AdvArena *arena;
    AdvDeclarations declared;
    int line;
    uint32_t next_oid;
} Reader;

static AdvTable *find_table(const Reader *r, const PgQuery__RangeVar *var)
{
    return adv_declared_table(r->catalog, var);
}

static bool is_new(const AdvTable *table)
{
    return table->oid >= ADV_MIGRATION_OIDS;
}

static AdvChange *add(Reader *r, AdvChangeKind kind, const char *name)
{
    AdvMigration *m = r->migration;
    ADV_ROOM(r->arena, m->changes, m->n);
    AdvChange *change = &m->changes[m->n++];
    *change = (AdvChange){.kind = kind, .line = r->line, .name = adv_arena_strdup(r->arena, name ? name : "")};
    return change;
}

static AdvIndex *find_index(const AdvCatalog *catalog, const char *schema, const char *name)
{
    for (int t = 0; t < catalog->n_tables; t++) {
        const AdvTable *table = catalog->tables[t];
        if (schema ? strcmp(table->schema, schema) != 0 : table->path_rank < 0)
            continue;
        for (int i = 0; i < table->n_indexes; i++)
            if (strcmp(table->indexes[i]->name, name) == 0)
                return table->indexes[i];
    }
    return NULL;
}

static AdvIndex *new_index(Reader *r, AdvTable *table, const char *name, int n_keys)
{
    AdvIndex *index = ADV_NEW(r->arena, AdvIndex);
    index->oid = r->next_oid++;
    index->schema = table->schema;
    index->name = adv_arena_strdup(r->arena, name);
    index->method = "btree";
    index->valid = true;
    index->scans = index->last_scan_age = index->rows = -1;
    index->keys = ADV_NEW_ARRAY(r->arena, AdvIndexKey, n_keys + 1);
    return index;
}

/* What cannot be put into words cannot be compared: its place makes it like no other. */
static const char *unlike_any(Reader *r)
{
    return adv_arena_printf(r->arena, "(expression %u)", r->next_oid++);
}

static void read_key(Reader *r, AdvIndex *index, const AdvTable *table, const PgQuery__IndexElem *elem)
{
    AdvIndexKey *key = &index->keys[index->n_keys++];
    key->column = elem->name && *elem->name ? adv_table_column(table, elem->name) : 0;
    const char *expr = elem->expr ? adv_expression_plain(r->arena, adv_expression_text(r->arena, elem->expr)) : NULL;
    if (!key->column)
        key->expr = expr ? expr : unlike_any(r);
    key->desc = elem->ordering == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    key->nulls_first = elem->nulls_ordering == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                       (key->desc && elem->nulls_ordering != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    if (elem->n_opclass)
        key->opclass = adv_arena_strdup(r->arena, adv_string_value(elem->opclass[elem->n_opclass - 1]));
    if (elem->n_collation)
        key->collation = adv_arena_strdup(r->arena, adv_string_value(elem->collation[elem->n_collation - 1]));
}

static void create_index(Reader *r, const PgQuery__IndexStmt *stmt)
{
    AdvTable *table = find_table(r, stmt->relation);
    AdvChange *change = add(r, ADV_CHANGE_CREATE_INDEX, stmt->idxname);
    change->concurrently = stmt->concurrent;
    if (!table)
        return;
    AdvIndex *there = stmt->idxname && *stmt->idxname ? find_index(r->catalog, table->schema, stmt->idxname) : NULL;
    change->existed = !is_new(table);
    change->index = there;
    if (there)
        return;
    AdvIndex *index = new_index(r, table, change->name, (int)stmt->n_index_params);
    if (stmt->access_method && *stmt->access_method)
        index->method = adv_arena_strdup(r->arena, stmt->access_method);
    index->unique = stmt->unique;
    for (size_t i = 0; i < stmt->n_index_params; i++)
        if (stmt->index_params[i]->node_case == PG_QUERY__NODE__NODE_INDEX_ELEM)
            read_key(r, index, table, stmt->index_params[i]->index_elem);
    for (size_t i = 0; i < stmt->n_index_including_params; i++) {
        const Node *node = stmt->index_including_params[i];
        int column = node->node_case == PG_QUERY__NODE__NODE_INDEX_ELEM && node->index_elem->name
                         ? adv_table_column(table, node->index_elem->name) : 0;
        if (!column)
            continue;
        ADV_ROOM(r->arena, index->include, index->n_include);
        index->include[index->n_include++] = column;
    }
    const char *where = stmt->where_clause ? adv_predicate_plain(r->arena, adv_expression_text(r->arena, stmt->where_clause)) : NULL;
    if (stmt->where_clause)
        index->predicate = where ? where : unlike_any(r);
    change->index = index;
    if (index->n_keys > 0)
        adv_table_add_index(r->catalog, table, index);
}

/* PRIMARY KEY and UNIQUE bring their index along. */
static void add_unique(Reader *r, AdvTable *table, const char *const *names, int n, bool primary)
{
    AdvIndex *index = new_index(r, table, adv_arena_printf(r->arena, "%s_%s", table->name, primary ? "pkey" : "key"), n);
    for (int i = 0; i < n; i++)
        if ((index->keys[index->n_keys].column = adv_table_column(table, names[i])) > 0)
            index->n_keys++;
    index->unique = index->constraint = true;
    index->primary = primary;
    if (index->n_keys > 0)
        adv_table_add_index(r->catalog, table, index);
}

static const AdvIndex *primary_of(const AdvTable *table)
{
    for (int i = 0; i < table->n_indexes; i++)
        if (table->indexes[i]->primary)
            return table->indexes[i];
    return NULL;
}

static void add_foreign_key(Reader *r, AdvTable *child, const PgQuery__Constraint *c, const char *const *names, int n)
{
    AdvTable *parent = find_table(r, c->pktable);
    AdvChange *change = add(r, ADV_CHANGE_ADD_FOREIGN_KEY, c->conname);
    change->existed = !is_new(child);
    if (!parent || n == 0)
        return;
    AdvForeignKey *fk = ADV_NEW(r->arena, AdvForeignKey);
    const AdvIndex *key = primary_of(parent);
    fk->name = *change->name ? change->name : adv_arena_printf(r->arena, "%s_%s_fkey", child->name, names[0]);
    fk->child = child;
    fk->parent = parent;
    fk->columns = ADV_NEW_ARRAY(r->arena, int, n);
    fk->parent_columns = ADV_NEW_ARRAY(r->arena, int, n);
    for (int i = 0; i < n; i++) {
        fk->columns[i] = adv_table_column(child, names[i]);
        fk->parent_columns[i] = (size_t)i < c->n_pk_attrs ? adv_table_column(parent, adv_string_value(c->pk_attrs[i]))
                                : key && i < key->n_keys  ? key->keys[i].column
                                                          : 0;
        if (!fk->columns[i] || !fk->parent_columns[i])
            return;
    }
    fk->n_columns = n;
    change->fk = fk;
    ADV_ROOM(r->arena, child->fks, child->n_fks);
    child->fks[child->n_fks++] = fk;
    ADV_ROOM(r->arena, parent->referrers, parent->n_referrers);
    parent->referrers[parent->n_referrers++] = fk;
}

/* `column`: the column it stands at; NULL: the constraint lists its own. */
static void read_constraint(Reader *r, AdvTable *table, const PgQuery__Constraint *c, const char *column)
{
    bool fk = c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN, primary = c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
    if (!fk && !primary && c->contype != PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE)
        return;
    size_t listed = fk ? c->n_fk_attrs : c->n_keys;
    const char **names = ADV_NEW_ARRAY(r->arena, const char *, listed + 1);
    int n = 0;
    for (size_t i = 0; i < listed; i++)
        names[n++] = adv_arena_strdup(r->arena, adv_string_value(fk ? c->fk_attrs[i] : c->keys[i]));
    if (n == 0 && column)
        names[n++] = column;
    if (fk)
        add_foreign_key(r, table, c, names, n);
    else
        add_unique(r, table, names, n, primary);
}

static void read_column_constraints(Reader *r, AdvTable *table, const PgQuery__ColumnDef *def)
{
    const char *name = adv_arena_strdup(r->arena, def->colname);
    for (size_t i = 0; i < def->n_constraints; i++)
        if (def->constraints[i]->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            read_constraint(r, table, def->constraints[i]->constraint, name);
}

static void create_table(Reader *r, const PgQuery__CreateStmt *stmt)
{
    if (!stmt->relation || find_table(r, stmt->relation))
        return;
    int n = 0;
    for (size_t i = 0; i < stmt->n_table_elts; i++)
        n += stmt->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF;
    AdvTable *table = adv_declare_table(&r->declared, stmt->relation, n);
    table->oid = r->next_oid++;
    if (stmt->partspec)
        table->kind = 'p';
    n = 0;
    for (size_t i = 0; i < stmt->n_table_elts; i++)
        if (stmt->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            adv_declare_column(&r->declared, &table->columns[n++], stmt->table_elts[i]->column_def);
    for (size_t i = 0; i < stmt->n_inh_relations; i++) {
        AdvTable *parent = stmt->inh_relations[i]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR ? find_table(r, stmt->inh_relations[i]->range_var) : NULL;
        if (parent && is_new(parent) && parent != table && !table->parent)
            adv_declare_child(&r->declared, parent, table, stmt->partbound != NULL);
    }
    for (size_t i = 0; i < stmt->n_table_elts; i++) {
        if (stmt->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            read_column_constraints(r, table, stmt->table_elts[i]->column_def);
        else if (stmt->table_elts[i]->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            read_constraint(r, table, stmt->table_elts[i]->constraint, NULL);
    }
}

/* ALTER TABLE ... ATTACH PARTITION: pg_dump makes partitions as tables first. A circle would be walked for ever. What a server has is not touched: it
 * plans without the new one. */
static void attach(Reader *r, AdvTable *table, const PgQuery__PartitionCmd *cmd)
{
    AdvTable *child = find_table(r, cmd->name);
    for (const AdvTable *t = table; t && child; t = t->parent)
        if (t == child)
            return;
    if (child && !child->parent && table->kind == 'p' && is_new(table))
        adv_declare_child(&r->declared, table, child, true);
}

static void add_column(Reader *r, AdvTable *table, const PgQuery__ColumnDef *def)
{
    if (adv_table_column(table, def->colname) == 0) {
        table->columns = adv_arena_grow(r->arena, table->columns, (size_t)table->n_columns * sizeof(AdvColumn),
                                        ((size_t)table->n_columns + 1) * sizeof(AdvColumn));
        adv_declare_column(&r->declared, &table->columns[table->n_columns++], def);
    }
    read_column_constraints(r, table, def);
}

static void alter_table(Reader *r, const PgQuery__AlterTableStmt *stmt)
{
    AdvTable *table = find_table(r, stmt->relation);
    for (size_t i = 0; table && i < stmt->n_cmds; i++) {
        if (stmt->cmds[i]->node_case != PG_QUERY__NODE__NODE_ALTER_TABLE_CMD)
            continue;
        const PgQuery__AlterTableCmd *cmd = stmt->cmds[i]->alter_table_cmd;
        if (cmd->def && cmd->def->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            read_constraint(r, table, cmd->def->constraint, NULL);
        else if (cmd->def && cmd->def->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
                 cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn)
            add_column(r, table, cmd->def->column_def);
        else if (cmd->def && cmd->def->node_case == PG_QUERY__NODE__NODE_PARTITION_CMD && cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AttachPartition)
            attach(r, table, cmd->def->partition_cmd);
    }
}

static void forget_index(AdvIndex *index)
{
    AdvTable *table = index->table;
    int kept = 0;
    for (int i = 0; i < table->n_indexes; i++)
        if (table->indexes[i] != index)
            table->indexes[kept++] = table->indexes[i];
    table->n_indexes = kept;
}

static void drop_index(Reader *r, const PgQuery__DropStmt *stmt)
{
    if (stmt->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_INDEX)
        return;
    for (size_t i = 0; i < stmt->n_objects; i++) {
        if (stmt->objects[i]->node_case != PG_QUERY__NODE__NODE_LIST)
            continue;
        const PgQuery__List *parts = stmt->objects[i]->list;
        if (parts->n_items == 0)
            continue;
        const char *name = adv_string_value(parts->items[parts->n_items - 1]);
        const char *schema = parts->n_items > 1 ? adv_string_value(parts->items[parts->n_items - 2]) : NULL;
        AdvChange *change = add(r, ADV_CHANGE_DROP_INDEX, name);
        change->concurrently = stmt->concurrent;
        change->index = find_index(r->catalog, schema, name);
        if (change->index)
            forget_index(change->index);
    }
}

static void create_view(Reader *r, const PgQuery__RangeVar *name, const Node *query, size_t n_names, Node *const *names, bool materialised)
{
    AdvTable *view = adv_declare_view(&r->declared, name, query, n_names, names, materialised);
    if (view && view->oid == 0)
        view->oid = r->next_oid++;
}

static void create_table_as(Reader *r, const PgQuery__CreateTableAsStmt *stmt)
{
    if (stmt->into)
        create_view(r, stmt->into->rel, stmt->query, stmt->into->n_col_names, stmt->into->col_names, true);
}

static void read_statement(Reader *r, const Node *node)
{
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        create_index(r, node->index_stmt);
        break;
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        create_table(r, node->create_stmt);
        break;
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        alter_table(r, node->alter_table_stmt);
        break;
    case PG_QUERY__NODE__NODE_DROP_STMT:
        drop_index(r, node->drop_stmt);
        break;
    case PG_QUERY__NODE__NODE_VIEW_STMT:
        create_view(r, node->view_stmt->view, node->view_stmt->query, node->view_stmt->n_aliases, node->view_stmt->aliases, false);
        break;
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        create_table_as(r, node->create_table_as_stmt);
        break;
    case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT:
        adv_declare_domain(&r->declared, node->create_domain_stmt);
        break;
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT:
        adv_declare_enum(&r->declared, node->create_enum_stmt);
        break;
    case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT:
        adv_declare_extension(&r->declared, node->create_extension_stmt);
        break;
    default:
        break;
    }
}

static void read_piece(Reader *r, const char *text)
{
    PgQuery__ParseResult *tree;
    const char *why;
    r->migration->n_statements++;
    if (adv_tree_parse(r->arena, text, &tree, &why)) {
        if (r->migration->n_unparsed++ == 0) {
            r->migration->first_unparsed = r->line;
            r->migration->why = why;
        }
        return;
    }
    for (size_t i = 0; i < tree->n_stmts; i++)
        if (tree->stmts[i]->stmt)
            read_statement(r, tree->stmts[i]->stmt);
    adv_tree_free(tree);
}

void adv_migration_read(AdvMigration *migration, AdvCatalog *catalog, const char *text)
{
    Reader r = {.migration = migration, .catalog = catalog, .arena = catalog->arena, .declared = {.catalog = catalog},
                .next_oid = ADV_MIGRATION_OIDS + ((uint32_t)migration->file_number << 18)};
    AdvPiece *pieces;
    int n;
    adv_sql_split(r.arena, text, &pieces, &n);
    for (int i = 0; i < n; i++) {
        r.line = pieces[i].line;
        read_piece(&r, adv_arena_strndup(r.arena, text + pieces[i].start, pieces[i].len));
    }
}
