/* SPDX-License-Identifier: ISC */
/* size.h - how large a b-tree really becomes, by the rules of PostgreSQL's nbtree: tuple alignment, page layout,
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

/* `fraction`: the share of the rows that the index holds. */
AdvSize adv_index_size(const AdvIndex *index, double fraction);

#endif
