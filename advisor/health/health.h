/* SPDX-License-Identifier: ISC */
/* health.h - what hurts besides missing and needless indexes: statistics, vacuum, foreign keys, bloat, physical order,
 * correlated conditions, sequences of near-identical statements.
 *
 * Each finder looks at the catalog and the workload and adds what it found, with its reason and its remedy in words and
 * statements. Finders read; they never change the catalog. One thread. */
#ifndef ADVISOR_HEALTH_HEALTH_H
#define ADVISOR_HEALTH_HEALTH_H

#include "advisor/catalog/db.h"
#include "advisor/candidate/script.h"

typedef enum AdvHealthKind {
    ADV_HEALTH_ANALYZE,
    ADV_HEALTH_VACUUM,
    ADV_HEALTH_FK_WITHOUT_INDEX,
    ADV_HEALTH_REINDEX,
    ADV_HEALTH_TABLE_BLOAT,
    ADV_HEALTH_CLUSTER,
    ADV_HEALTH_BRIN,
    ADV_HEALTH_STATISTICS,
    ADV_HEALTH_N_PLUS_ONE,
    ADV_HEALTH_COUNT
} AdvHealthKind;

typedef enum AdvConfidence { ADV_CONFIDENCE_LOW, ADV_CONFIDENCE_MEDIUM, ADV_CONFIDENCE_HIGH, ADV_CONFIDENCE_COUNT } AdvConfidence;

typedef struct AdvHealth {
    AdvHealthKind kind;
    const AdvTable *table;
    const char *index;   /* name of the index it is about, or of a new one; NULL: none */
    int n_columns;
    int *columns;
    const AdvQuery *query; /* the statement it is about; NULL: none */
    double bytes;        /* freed or needed; 0: neither */
    const char *reason;
    const char *wrong_if;
    const char *remedy;  /* in words, for what is no statement; NULL: the script says it all */
    AdvConfidence confidence;
    AdvScript script;
    AdvScript undo;
} AdvHealth;

typedef struct AdvHealthList {
    AdvArena *arena;
    AdvDb *db;           /* NULL: offline, nothing can be sampled */
    bool no_sample;      /* do not look at rows */
    const AdvCatalog *catalog;
    const AdvWorkload *workload;
    int n_advised;
    const AdvCandidate *const *advised;
    AdvNames *names;
    int n;
    AdvHealth *items;
} AdvHealthList;

/* All finders; the findings come in the order of their kinds. */
void adv_health_find(AdvHealthList *list);

const char *adv_health_kind_name(AdvHealthKind kind);  /* "analyze", ... */
const char *adv_health_kind_title(AdvHealthKind kind); /* "ANALYZE", "REINDEX", ... as a report's heading begins */

/* For finders. The new finding is zeroed but for its kind and table. */
AdvHealth *adv_health_add(AdvHealthList *list, AdvHealthKind kind, const AdvTable *table);
double adv_health_load(const AdvHealthList *list); /* weighted cost of the workload today */
void adv_health_statement(AdvHealthList *list, AdvScript *script, const char *statement);

/* The finders, a file each. */
void adv_health_upkeep(AdvHealthList *list);      /* ANALYZE and VACUUM */
void adv_health_foreign_keys(AdvHealthList *list);
void adv_health_bloat(AdvHealthList *list);       /* of indexes and tables */
void adv_health_order(AdvHealthList *list);       /* CLUSTER and BRIN */
void adv_health_correlated(AdvHealthList *list);  /* CREATE STATISTICS */
void adv_health_sequences(AdvHealthList *list);   /* N+1 */

#endif
