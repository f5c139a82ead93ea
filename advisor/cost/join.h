/* SPDX-License-Identifier: ISC */
/* join.h - the cheapest way to join the tables of one block: which first, and each by hash, merge or look-ups through an index. Part of
 * the model. Pure.
 *
 * All sets of up to JOIN_EXACT_MAX tables are looked at, as the server does it; with more, the next best table is added to each start. */
#ifndef ADVISOR_COST_JOIN_H
#define ADVISOR_COST_JOIN_H

#include "advisor/cost/scan.h"

#define JOIN_ORDERS_MAX 10

typedef enum AdvJoinKind { ADV_JOIN_INNER, ADV_JOIN_LEFT, ADV_JOIN_SEMI, ADV_JOIN_ANTI } AdvJoinKind;

/* A set of columns that the joins make equal: a.x = b.y AND b.y = c.z is one. By number, a bit each. */
typedef uint64_t AdvClasses;

/* How rows come into being; a tree, so that it can be told which indexes a plan uses. */
typedef struct AdvPath {
    double startup, total;
    int order; /* which of the orders the rows come in; -1: none */
    const struct AdvPath *outer, *inner;
    const AdvAccess *access;  /* of a table */
    const struct AdvPath *extra; /* of a block inside */
} AdvPath;

typedef struct AdvItem {
    AdvJoinKind kind;
    int rel;              /* a table; -1: a block that was planned on its own */
    const AdvPath *whole; /* of such a block */
    AdvClasses classes;
    const double *distinct; /* by class */
    double rows;          /* that its own conditions leave */
    double width;
    const bool *bound;    /* table: columns that come from outside the block */
    int *class_columns;   /* table: by class, 0: none */
} AdvItem;

typedef struct AdvJoinAsk {
    AdvArena *arena;
    const AdvSettings *settings;
    int server_version_num;
    const AdvFacts *facts;
    int n_items;
    AdvItem *items;
    int n_classes;
    int n_orders;         /* orders[] of each item as in AdvScanWish: the first n_classes of them are the classes */
    const AdvOrder *const *orders; /* [item] */
    int sort_items;       /* bits of the items that the block's ORDER BY (orders[n_classes]) needs; 0: no use in sorting early */
    double all_pages;
    double wanted;        /* rows that are wanted of the result; INFINITY: all */
    /* The indexes of a table, neighbours in one list. */
    int (*indexes_of)(const void *self, const AdvTable *table, const AdvModelIndex **ret_first);
    const void *self;
} AdvJoinAsk;

typedef struct AdvJoined {
    double rows;
    double width;
    int n;               /* paths: the cheapest, and the cheapest for each order */
    AdvPath paths[JOIN_ORDERS_MAX + 2];
} AdvJoined;

void adv_join_all(const AdvJoinAsk *ask, AdvJoined *ret_joined);

/* The cost of sorting. `limit`: only the first rows are wanted; INFINITY: all. */
double adv_sort_cost(const AdvSettings *settings, double rows, double width, double limit);

#endif
