/* SPDX-License-Identifier: ISC */
/* migration.h - what the DDL of a script does to indexes and foreign keys, resolved against the catalog.
 *
 * Tables, indexes and keys that the script makes are added to the catalog, so that later statements see them. What is not about
 * tables and indexes is passed over. One thread. */
#ifndef ADVISOR_SQL_MIGRATION_H
#define ADVISOR_SQL_MIGRATION_H

#include "advisor/catalog/catalog.h"

#define ADV_MIGRATION_OIDS 0xF0000000u /* and above: made by a script; the server's own are far below */

typedef enum AdvChangeKind { ADV_CHANGE_CREATE_INDEX, ADV_CHANGE_DROP_INDEX, ADV_CHANGE_ADD_FOREIGN_KEY } AdvChangeKind;

typedef struct AdvChange {
    AdvChangeKind kind;
    int line;              /* 1-based, of the statement */
    bool concurrently;
    bool existed;          /* CREATE: the table was there before the script; the index itself when it is there already */
    AdvIndex *index;       /* CREATE and DROP; NULL: not in the catalog */
    AdvForeignKey *fk;
    const char *name;      /* as written */
} AdvChange;

typedef struct AdvMigration {
    int n;
    AdvChange *changes;
    int file_number;       /* set by the caller: each script of a run has its own */
    int n_statements;
    int n_unparsed;
    int first_unparsed;    /* line */
    const char *why;       /* of it */
} AdvMigration;

void adv_migration_read(AdvMigration *migration, AdvCatalog *catalog, const char *text);

#endif
