/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/replica.h"

#include <math.h>
#include <stdlib.h>

static AdvIndex *find_index(const AdvCatalog *catalog, const char *schema, const char *table, const char *name)
{
    const AdvTable *t = adv_catalog_find(catalog, schema, table);
    for (int i = 0; t && i < t->n_indexes; i++)
        if (strcmp(t->indexes[i]->name, name) == 0)
            return t->indexes[i];
    return NULL;
}

static int count_indexes(const AdvCatalog *catalog)
{
    int n = 0;
    for (int i = 0; i < catalog->n_tables; i++)
        n += catalog->tables[i]->n_indexes;
    return n;
}

PwErr adv_load_replica_usage(AdvDb *db, AdvCatalog *catalog, const char **ret_why)
{
    AdvRows rows;
    static const char sql[] =
        "SELECT s.schemaname, s.relname, s.indexrelname, s.idx_scan,"
        " (SELECT extract(epoch FROM pg_catalog.now() - d.stats_reset) / 86400 FROM pg_catalog.pg_stat_database d"
        "  WHERE d.datname = pg_catalog.current_database()),"
        " extract(epoch FROM pg_catalog.now() - pg_catalog.pg_postmaster_start_time()) / 86400,"
        " extract(epoch FROM pg_catalog.now() - (pg_catalog.to_jsonb(s) ->> 'last_idx_scan')::timestamptz) / 86400"
        " FROM pg_catalog.pg_stat_user_indexes s";
    if (adv_db_query(db, sql, 0, NULL, &rows)) {
        *ret_why = adv_arena_printf(catalog->arena, "cannot read the usage of a replica: %s", adv_db_error(db)->message);
        return PW_ERR_IO;
    }
    int matched = 0;
    for (int i = 0; i < rows.n_rows; i++) {
        AdvIndex *index = find_index(catalog, adv_db_cell(&rows, i, 0), adv_db_cell(&rows, i, 1), adv_db_cell(&rows, i, 2));
        const char *scans = adv_db_cell(&rows, i, 3), *last = adv_db_cell(&rows, i, 6);
        if (!index)
            continue;
        matched++;
        if (scans && index->scans >= 0)
            index->scans += strtod(scans, NULL);
        double age = last ? strtod(last, NULL) : -1;
        if (age >= 0 && (index->last_scan_age < 0 || age < index->last_scan_age))
            index->last_scan_age = age;
    }
    if (rows.n_rows > 0) {
        const char *reset = adv_db_cell(&rows, 0, 4), *start = adv_db_cell(&rows, 0, 5);
        double age = reset ? strtod(reset, NULL) : start ? strtod(start, NULL) : -1;
        if (age >= 0 && (catalog->stats_age_days < 0 || age < catalog->stats_age_days)) {
            catalog->stats_age_days = age;
            catalog->stats_age_is_least = reset == NULL;
        }
    }
    adv_db_free_rows(&rows);
    int all = count_indexes(catalog);
    if (2 * matched < all) {
        *ret_why = adv_arena_printf(catalog->arena,
                                    "a server given with --replica-dsn has only %d of the %d indexes\nhint: give the same "
                                    "database on another server",
                                    matched, all);
        return PW_ERR_NOT_FOUND;
    }
    catalog->n_replicas++;
    return PW_OK;
}
