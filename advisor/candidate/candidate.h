/* SPDX-License-Identifier: ISC */
/* candidate.h - an index that does not exist, and what makes two indexes alike.
 *
 * A candidate is described like an existing index (AdvIndex), so that the same rules compare both. */
#ifndef ADVISOR_CANDIDATE_CANDIDATE_H
#define ADVISOR_CANDIDATE_CANDIDATE_H

#include "advisor/workload.h"

typedef struct AdvCandidate {
    int id;
    AdvIndex def;       /* def.name: the name advised */
    const char *create; /* CREATE INDEX ON ... without a name, as HypoPG takes it */
    double fraction;    /* of the rows that it holds: 1, less for partial ones */
    double bytes;       /* our own estimate of its real size */
    double write_cost;  /* of the whole workload, in the unit of the query weights */
} AdvCandidate;

typedef struct AdvPool {
    AdvArena *arena;
    AdvCatalog *catalog;
    int n;
    AdvCandidate **items; /* items[i]->id == i */
} AdvPool;

AdvPool *adv_pool_create(AdvArena *arena, AdvCatalog *catalog);

/* Adds the described index unless the pool has the same one; returns its id. `def` is copied. */
int adv_pool_add(AdvPool *pool, const AdvIndex *def);

/* Same keys in the same or all-reversed order, same INCLUDE set, predicate and method. */
bool adv_index_same(const AdvIndex *a, const AdvIndex *b);

/* `wide` does all that `narrow` does: its keys begin with narrow's, it holds narrow's INCLUDE columns, and it
 * holds at least the same rows, but not so many more that narrow's condition finds them sooner. True for equal ones. */
bool adv_index_serves(const AdvIndex *wide, const AdvIndex *narrow);

/* Some valid existing b-tree of its table serves it. */
const AdvIndex *adv_index_served_by_existing(const AdvIndex *def);

bool adv_index_has_column(const AdvIndex *index, int column); /* key or INCLUDE */
/* "(category, brand, price DESC) INCLUDE (product_name) WHERE ..." */
const char *adv_index_columns_text(AdvArena *arena, const AdvIndex *index);
/* "CREATE INDEX name ON table (...)"; name NULL: left out. */
const char *adv_index_create_text(const AdvCatalog *catalog, const AdvIndex *index, const char *name,
                                  bool concurrently);
/* A name for it that no relation of the schema has: table_columns_idx, at most 63 bytes. */
const char *adv_index_new_name(const AdvCatalog *catalog, const AdvIndex *index, char *const *taken, int n_taken);

#endif
