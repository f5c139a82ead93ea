/* SPDX-License-Identifier: ISC */
/* size.h - how large an index really becomes when it is built, by PostgreSQL's rules: tuple alignment, page layout,
 * fill factor 90 and one posting list for equal keys (PostgreSQL 13 and later). Pure functions. */
#ifndef ADVISOR_COST_SIZE_H
#define ADVISOR_COST_SIZE_H

#include "advisor/catalog/catalog.h"

typedef struct AdvSize {
    double bytes;
    double pages;
    double leaf_pages;
    int height; /* levels above the leaves */
} AdvSize;

/* Any method. `fraction`: the share of the rows that the index holds. */
AdvSize adv_index_size(const AdvIndex *index, double fraction);

AdvSize adv_btree_size(const AdvIndex *index, double fraction);

#endif
