/* SPDX-License-Identifier: ISC */
/* index_sizes.c - usage: index_sizes CONNINFO. For each index of the database: name, real bytes, the advisor's bytes. For tests of the size model. */
#include <stdio.h>
#include <stdlib.h>

#include "advisor/catalog/load.h"
#include "advisor/cost/sample.h"
#include "advisor/cost/size.h"

/* Share of the rows that a partial index holds, as the server estimates it. */
static double fraction_of(AdvDb *db, AdvCatalog *catalog, const AdvIndex *index)
{
    AdvRows rows;
    const char *sql = adv_arena_printf(catalog->arena, "SELECT reltuples FROM pg_catalog.pg_class WHERE oid = %u", index->oid);
    if (!index->predicate || adv_db_query(db, sql, 0, NULL, &rows))
        return 1;
    double fraction = strtod(adv_db_cell(&rows, 0, 0), NULL) / index->table->rows;
    adv_db_free_rows(&rows);
    return fraction;
}

int main(int argc, char **argv)
{
    AdvArena *arena = adv_arena_create();
    AdvCatalog *catalog = adv_catalog_create(arena);
    AdvDb *db;
    const char *why;
    if (argc != 2 || adv_db_connect(arena, argv[1], &db, &why) || adv_load_schema(db, catalog, &why))
        return 1;
    AdvPool *pool = adv_pool_create(arena, catalog);
    for (int t = 0; t < catalog->n_tables; t++) {
        catalog->tables[t]->referenced = true;
        for (int i = 0; i < catalog->tables[t]->n_indexes; i++)
            adv_pool_add(pool, catalog->tables[t]->indexes[i]);
    }
    if (adv_load_statistics(db, catalog, &why))
        return 1;
    adv_bound_distinct(catalog);
    adv_sample_tables(db, catalog, pool);
    for (int t = 0; t < catalog->n_tables; t++)
        for (int i = 0; i < catalog->tables[t]->n_indexes; i++) {
            const AdvIndex *index = catalog->tables[t]->indexes[i];
            printf("%s\t%.0f\t%.0f\n", index->name, index->bytes, adv_index_size(index, fraction_of(db, catalog, index)).bytes);
        }
    adv_db_close(db);
    adv_arena_destroy(arena);
    return 0;
}
