/* SPDX-License-Identifier: ISC */
/* replica.h - the usage counters of further servers: each counts only its own scans, so an index is unused only when all say so. */
#ifndef ADVISOR_CATALOG_REPLICA_H
#define ADVISOR_CATALOG_REPLICA_H

#include "advisor/catalog/catalog.h"
#include "advisor/catalog/db.h"

/* Adds the scans that the server behind `db` counted to the indexes of the same names. PW_ERR_NOT_FOUND when it does not look like a
 * copy of this database: fewer than half of the indexes are there. */
PW_MUSTCHECK PwErr adv_load_replica_usage(AdvDb *db, AdvCatalog *catalog, const char **ret_why);

#endif
