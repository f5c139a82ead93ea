/* SPDX-License-Identifier: ISC */
/* script.h - an index as the list of statements that make it, or take it away, without blocking anyone for long.
 *
 * Each statement must be sent alone and outside of a transaction: CONCURRENTLY demands it. Texts are on the report's arena. */
#ifndef ADVISOR_CANDIDATE_SCRIPT_H
#define ADVISOR_CANDIDATE_SCRIPT_H

#include "advisor/candidate/candidate.h"

typedef struct AdvScript {
    int n;
    const char **statements; /* each with its semicolon */
    int n_indexes;
    const char **indexes;    /* names, as SQL, of the indexes that the statements create; the first is the advised one */
    int n_skipped;
    const AdvTable **skipped; /* foreign tables among the partitions: they cannot have it */
} AdvScript;

/* Names of indexes that do not exist yet but are given away. */
typedef struct AdvNames {
    int n;
    char **items;
} AdvNames;

/* The index `name` on the table of `def`. On a partitioned table: an invalid shell on the parent (ON ONLY), the index
 * of each partition CONCURRENTLY, and ATTACH, which makes the parent's valid with the last one. Of an expression: ANALYZE at the end. */
void adv_script_create(AdvScript *script, const AdvCatalog *catalog, const AdvIndex *def, const char *name,
                       AdvNames *taken);

/* Drops `index` (its table, schema and name count). */
void adv_script_drop(AdvScript *script, const AdvCatalog *catalog, const AdvIndex *index);

void adv_script_add(AdvScript *script, AdvArena *arena, const char *statement);

/* The index's name as it must be written: with its schema when its table needs one, or when search_path finds something else by that name. */
const char *adv_index_sql_name(const AdvCatalog *catalog, const AdvIndex *index);

/* All statements, one a line. */
const char *adv_script_text(AdvArena *arena, const AdvScript *script);

/* Seconds that building takes about, by rows, widths and the pages read twice. Disks and load differ: a rough guide. */
double adv_build_seconds(const AdvIndex *def, double fraction, double bytes);

#endif
