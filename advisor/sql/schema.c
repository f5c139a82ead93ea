/* SPDX-License-Identifier: ISC */
#include "advisor/sql/schema.h"

#include <math.h>

#include "advisor/cost/size.h"
#include "advisor/sql/migration.h"

/* Nothing is known of sizes. A table that is large enough for an index to matter, with columns of middling variety, shows which
 * indexes the statements want. */
#define ROWS 100000.0
#define DISTINCT_SHARE -0.02
#define DISTINCT_REFERRING -0.1
#define DISTINCT_FLAG 2.0
#define PAGE_ROOM 8168.0
#define ROW_HEADER 28.0

static void assume_columns(AdvTable *t)
{
    double width = 0;
    for (int i = 0; i < t->n_columns; i++) {
        AdvColumn *c = &t->columns[i];
        c->n_distinct = c->category == 'B' ? DISTINCT_FLAG : c->category == 'D' ? -0.5 : DISTINCT_SHARE;
        width += c->avg_width;
    }
    for (int i = 0; i < t->n_fks; i++)
        for (int c = 0; c < t->fks[i]->n_columns; c++)
            t->columns[t->fks[i]->columns[c] - 1].n_distinct = DISTINCT_REFERRING;
    for (int i = 0; i < t->n_indexes; i++)
        if (t->indexes[i]->unique && t->indexes[i]->n_keys == 1 && t->indexes[i]->keys[0].column)
            t->columns[t->indexes[i]->keys[0].column - 1].n_distinct = -1;
    t->rows = t->live = ROWS;
    t->pages = ceil(ROWS / fmax(floor(PAGE_ROOM / (width + ROW_HEADER)), 1));
    t->all_visible = t->pages;
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
        assume_columns(t);
        for (int k = 0; k < t->n_indexes; k++) {
            AdvSize size = adv_index_size(t->indexes[k], 1);
            t->indexes[k]->oid = (uint32_t)catalog->n_tables + ++oid;
            t->indexes[k]->bytes = size.bytes;
            t->indexes[k]->pages = size.pages;
        }
    }
    if (migration.n_unparsed)
        *ret_note = adv_arena_printf(catalog->arena, "%d statements of the schema do not parse, the first in line %d: %s", migration.n_unparsed,
                                     migration.first_unparsed, migration.why);
    catalog->offline = true;
    catalog->server_version = "unknown";
    catalog->database = "(schema only)";
    catalog->server_version_num = 150000;
    return PW_OK;
}
