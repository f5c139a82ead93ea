/* SPDX-License-Identifier: ISC */
/* redundant.h - existing indexes that can go: duplicates, prefixes of others, unused and invalid ones.
 *
 * Never what a constraint, a foreign key, replication or an extension needs, a unique index only as the duplicate of another that
 * enforces the same, and never both of two that replace each other. Pure functions. */
#ifndef ADVISOR_SELECT_REDUNDANT_H
#define ADVISOR_SELECT_REDUNDANT_H

#include "advisor/candidate/candidate.h"

typedef enum AdvDropKind {
    ADV_DROP_DUPLICATE, /* another index is the same */
    ADV_DROP_PREFIX,    /* another index begins with its columns */
    ADV_DROP_REPLACED,  /* an advised index does its work too */
    ADV_DROP_UNUSED,
    ADV_DROP_INVALID,
    ADV_DROP_COUNT
} AdvDropKind;

typedef struct AdvDrop {
    AdvDropKind kind;
    const AdvIndex *index;
    const AdvIndex *by;           /* the one that does its work; NULL */
    const AdvCandidate *by_new;   /* REPLACED */
} AdvDrop;

typedef struct AdvDropList {
    int n;
    AdvDrop *drops;
} AdvDropList;

const char *adv_drop_kind_name(AdvDropKind kind); /* "drop_duplicate", ... */

/* An index that must stay whatever the statistics say. */
bool adv_index_is_protected(const AdvIndex *index);

/* Its first keys are the columns of the foreign key, in any order, over all rows. */
bool adv_index_begins_with_fk(const AdvIndex *index, const AdvForeignKey *fk);

/* Why the first of two equal indexes is the one to keep: "serves a constraint", "is unique", "is older". */
const char *adv_index_stays_because(const AdvIndex *stays, const AdvIndex *goes);

void adv_find_drops(AdvArena *arena, const AdvCatalog *catalog, const AdvWorkload *workload,
                    const AdvCandidate *const *advised, int n_advised, AdvDropList *ret_list);

#endif
