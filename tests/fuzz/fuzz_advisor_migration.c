/* SPDX-License-Identifier: ISC */
/* Migrations and schemas: any text leaves a catalog whose indexes and keys name columns that exist. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/sql/migration.h"
#include "advisor/sql/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_table(const AdvTable *t)
{
    for (int i = 0; i < t->n_indexes; i++)
        for (int k = 0; k < t->indexes[i]->n_keys; k++)
            if (t->indexes[i]->keys[k].column > t->n_columns || (!t->indexes[i]->keys[k].column && !t->indexes[i]->keys[k].expr))
                abort();
    for (int i = 0; i < t->n_fks; i++)
        for (int c = 0; c < t->fks[i]->n_columns; c++)
            if (t->fks[i]->columns[c] < 1 || t->fks[i]->columns[c] > t->n_columns)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536 || memchr(data, 0, size))
        return 0;
    AdvArena *arena = adv_arena_create();
    AdvCatalog *catalog = adv_catalog_create(arena);
    AdvTable *table = adv_catalog_add_table(catalog, "public", "t", 2);
    table->columns[0] = (AdvColumn){.name = "a", .type = "int4", .base_type = "int4", .len = 4, .align = 4, .category = 'N'};
    table->columns[1] = (AdvColumn){.name = "b", .type = "text", .base_type = "text", .len = -1, .align = 4, .category = 'S'};
    AdvMigration migration = {0};
    adv_migration_read(&migration, catalog, adv_arena_strndup(arena, (const char *)data, size));
    for (int i = 0; i < catalog->n_tables; i++)
        check_table(catalog->tables[i]);
    for (int i = 0; i < migration.n; i++)
        if (!migration.changes[i].name || migration.changes[i].line < 1)
            abort();
    AdvCatalog *schema = adv_catalog_create(arena);
    const char *note, *why = NULL;
    if (!adv_schema_read(schema, adv_arena_strndup(arena, (const char *)data, size), &note, &why))
        for (int i = 0; i < schema->n_tables; i++)
            check_table(schema->tables[i]);
    else if (!why)
        abort();
    adv_arena_destroy(arena);
    return 0;
}
