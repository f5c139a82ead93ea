/* SPDX-License-Identifier: ISC */
/* load.h - reads the catalog of a database in a fixed number of queries, whatever the number of tables. */
#ifndef ADVISOR_CATALOG_LOAD_H
#define ADVISOR_CATALOG_LOAD_H

#include "advisor/catalog/catalog.h"
#include "advisor/catalog/db.h"

/* Tables, columns, indexes, keys, settings, usage counters. On an error *ret_why tells what failed. */
PW_MUSTCHECK PwErr adv_load_schema(AdvDb *db, AdvCatalog *catalog, const char **ret_why);

/* pg_stats of the tables marked as referenced; the statements must have been analysed before. */
PW_MUSTCHECK PwErr adv_load_statistics(AdvDb *db, AdvCatalog *catalog, const char **ret_why);

#endif
