/* SPDX-License-Identifier: ISC */
/* scan.h - what reading one table of a statement costs, by each index that exists. Part of the model. Pure. */
#ifndef ADVISOR_COST_SCAN_H
#define ADVISOR_COST_SCAN_H

#include "advisor/candidate/candidate.h"
#include "advisor/cost/size.h"

typedef struct AdvModelIndex {
    const AdvIndex *def;
    AdvSize size;
    double fraction;
    int place; /* in the set that is asked about; -1: a real index */
} AdvModelIndex;

typedef struct AdvScanWish {
    const AdvFacts *facts;
    int rel;
    const bool *bound;  /* [column - 1]: given by the outer side of a nested loop; NULL: none */
    int n_order;        /* wanted order; 0: any */
    const AdvSort *order;
    bool no_index_only; /* the row itself is needed */
} AdvScanWish;

typedef struct AdvScan {
    double cost;
    double rows;   /* that come out */
    bool ordered;  /* as wished */
    int n_used;
    int used[8];   /* places */
} AdvScan;

/* The cheapest way; with `ordered_only` the cheapest that delivers the order (cost INFINITY: none). */
AdvScan adv_best_scan(AdvArena *arena, const AdvSettings *settings, const AdvScanWish *wish,
                      const AdvModelIndex *indexes, int n, bool ordered_only);

/* Share of the rows that all conditions on the table leave. */
double adv_rel_selectivity(const AdvFacts *facts, int rel);

#endif
