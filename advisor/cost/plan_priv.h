/* SPDX-License-Identifier: ISC */
/* plan_priv.h - shared by the files that plan a statement's blocks. */
#ifndef ADVISOR_COST_PLAN_PRIV_H
#define ADVISOR_COST_PLAN_PRIV_H

#include "advisor/cost/plan.h"

#define OUTSIDE (-2)       /* owner of a table: some block around this one */
#define LATERAL (-3)       /* or a subquery that is planned for each row of the others */

/* What a block brings. */
typedef struct Result {
    bool done;
    double rows;
    double width;
    AdvPath path;
} Result;

typedef struct Plan {
    AdvPlanAsk *ask;
    const AdvSettings *settings;
    Result *results;  /* by block, of those that do not depend on others */
    bool *open;       /* blocks being planned: a circle has no end */
    int *references;  /* by block: of a CTE */
    double all_pages;
    double seed;      /* rows of the arms before the one being planned: what a recursion begins with */
} Plan;

/* One block with all that is joined into it. */
typedef struct Unit {
    Plan *plan;
    int block;
    int *owner;       /* by rel: its item; OUTSIDE; LATERAL; -1: elsewhere */
    int n_items;
    AdvItem *items;
    int n_blocks;     /* that are part of it, itself included */
    int *blocks;
    int n_laterals;
    int *laterals;    /* blocks */
    int n_classes;
    int *class_of;    /* by end of a join (2 a join): -1 none */
} Unit;

/* Whether a block is the other, or inside of it. */
bool plan_within(const AdvFacts *facts, int block, int outer);
/* Whose column it is, of an end of a join: an item, OUTSIDE, LATERAL; -1: elsewhere. */
int plan_owner_of(const Unit *u, int rel);
void plan_end_of(const AdvJoin *join, int side, int *ret_rel, int *ret_column);
/* Columns that joins make equal get the same number. */
void plan_find_classes(Unit *u);
/* What each item has to do with the classes, and which of its columns are given. */
void plan_connect(Unit *u, bool given);

#endif
