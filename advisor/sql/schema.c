/* SPDX-License-Identifier: ISC */
#include "advisor/sql/schema.h"

#include <math.h>

#include "advisor/catalog/partitions.h"
#include "advisor/cost/size.h"
#include "advisor/sql/migration.h"

/* Nothing is known of sizes. A table that is large enough for an index to matter, with columns of middling variety, shows which
 * indexes the statements want. */
#define ROWS 100000.0
#define DISTINCT_SHARE -0.02
#define DISTINCT_REFERRING -0.1
#define DISTINCT_FLAG 2.0
#define NULL_SHARE 0.5 /* nobody knows whether NULL is the rule or the exception */
#define PARTIAL_SHARE 0.2 /* of the rows: what somebody made a partial index for */
#define PAGE_ROOM 8168.0
#define ROW_HEADER 28.0

static void declare(AdvTable *t, int column, double distinct)
{
    t->columns[column - 1].n_distinct = distinct;
    t->columns[column - 1].declared = true;
}

static void assume(AdvTable *t, double rows)
{
    double width = 0;
    for (int i = 0; i < t->n_columns; i++) {
        AdvColumn *c = &t->columns[i];
        if (!c->declared)
            c->n_distinct = c->category == 'B' ? DISTINCT_FLAG : c->category == 'D' ? -0.5 : DISTINCT_SHARE;
        c->null_frac = c->not_null ? 0 : NULL_SHARE;
        width += c->avg_width;
    }
    for (int i = 0; i < t->n_fks; i++)
        for (int c = 0; c < t->fks[i]->n_columns; c++)
            declare(t, t->fks[i]->columns[c], DISTINCT_REFERRING);
    for (int i = 0; i < t->n_indexes; i++)
        if (t->indexes[i]->unique && t->indexes[i]->n_keys == 1 && t->indexes[i]->keys[0].column)
            declare(t, t->indexes[i]->keys[0].column, -1);
    t->rows = t->live = rows;
    t->pages = ceil(rows / fmax(floor(PAGE_ROOM / (width + ROW_HEADER)), 1));
    t->all_visible = t->pages;
}

static int leaves_of(const AdvTable *t)
{
    int n = t->kind == 'p' && t->n_children > 0 ? 0 : 1;
    for (int i = 0; t->kind == 'p' && i < t->n_children; i++)
        n += leaves_of(t->children[i]);
    return n;
}

/* Partitions share the rows of their table. */
static double rows_of(const AdvTable *t)
{
    const AdvTable *root = t;
    while (root->is_partition && root->parent)
        root = root->parent;
    return t->kind == 'v' ? 0 : ceil(ROWS * leaves_of(t) / leaves_of(root));
}

PwErr adv_schema_read(AdvCatalog *catalog, const char *text, const char **ret_note, const char **ret_why)
{
    AdvMigration migration = {0};
    *ret_note = NULL;
    adv_migration_read(&migration, catalog, text);
    if (catalog->n_tables == 0) {
        *ret_why = migration.n_unparsed ? adv_arena_printf(catalog->arena, "it makes no table, and line %d does not parse: %s", migration.first_unparsed, migration.why)
                                        : "it makes no table\nhint: give the output of pg_dump --schema-only";
        return PW_ERR_NOT_FOUND;
    }
    uint32_t oid = 0; /* what is there already, for migrations that come on top */
    for (int i = 0; i < catalog->n_tables; i++) {
        AdvTable *t = catalog->tables[i];
        t->oid = ++oid;
        assume(t, rows_of(t));
        for (int k = 0; k < t->n_indexes; k++) {
            AdvIndex *index = t->indexes[k];
            double share = index->predicate ? PARTIAL_SHARE : 1;
            AdvSize size = adv_index_size(index, share);
            index->oid = (uint32_t)catalog->n_tables + ++oid;
            index->rows = share * t->rows;
            index->bytes = size.bytes;
            index->pages = size.pages;
        }
    }
    adv_sum_up_partitions(catalog);
    if (migration.n_unparsed)
        *ret_note = adv_arena_printf(catalog->arena, "%d statements of the schema do not parse, the first in line %d: %s", migration.n_unparsed,
                                     migration.first_unparsed, migration.why);
    catalog->offline = catalog->assumed = true;
    catalog->server_version = "unknown";
    catalog->database = "(schema only)";
    catalog->server_version_num = 150000;
    return PW_OK;
}
