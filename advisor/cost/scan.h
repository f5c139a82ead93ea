/* SPDX-License-Identifier: ISC */
/* scan.h - the ways to read one table of a statement, by each index that exists, and what they cost. Part of the model. Pure. */
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

/* An order of rows that something above the scan could use. */
typedef struct AdvOrder {
    int n; /* 0: none */
    const AdvSort *sorts;
} AdvOrder;

typedef struct AdvScanWish {
    const AdvFacts *facts;
    int rel;
    const bool *bound;      /* [column - 1]: equal to a value that the scan is given each time; NULL: none */
    int n_orders;           /* at most 32 */
    const AdvOrder *orders;
    bool no_index_only;     /* the row itself is needed */
    double all_pages;       /* of all the tables of the statement: they share the cache */
} AdvScanWish;

/* One way to read the table. */
typedef struct AdvAccess {
    double startup;         /* before the first row */
    double run;             /* the rest, without the pages below */
    double index_pages;     /* of the index, walked each time */
    double index_all;       /* it has so many */
    double tuples;          /* fetched from the table each time */
    double pages;           /* of the table */
    double share;           /* of the table's rows */
    double visible;         /* share of the pages that an index-only scan leaves out */
    double correlation;     /* squared: 1 when the index runs in the order of the table */
    double all_pages;
    bool bitmap;
    int lead;               /* of a bitmap: the only column that bounds it; 0: several */
    unsigned orders;        /* bit n: the rows come in orders[n] of the wish */
    int n_used;
    int used[8];            /* places */
} AdvAccess;

/* All ways, the whole table first unless something is bound. Returns how many. */
int adv_scan_ways(AdvArena *arena, const AdvSettings *settings, const AdvScanWish *wish, const AdvModelIndex *indexes, int n,
                  AdvAccess **ret_ways);

/* What one of `loops` scans costs on average. */
void adv_access_cost(const AdvSettings *settings, const AdvAccess *access, double loops, double *ret_startup, double *ret_total);

/* The conditions on `rel` have the WHERE of the index among them (true when it has none); *ret_pred: the one that says it, NULL when it only follows. */
bool adv_predicate_holds(AdvArena *arena, const AdvFacts *facts, int rel, const AdvIndex *index, const AdvPred **ret_pred);

/* Share of the rows that all conditions on the table leave. */
double adv_rel_selectivity(const AdvFacts *facts, int rel);

#endif
