/* SPDX-License-Identifier: ISC */
/* plan.h - what a statement costs with the indexes that are given: its blocks one by one, the joins of each, then groups, order and LIMIT.
 * Part of the model. Pure.
 *
 * As the server does it, a subquery that neither groups nor limits is joined with the block around it; others are planned on their own. */
#ifndef ADVISOR_COST_PLAN_H
#define ADVISOR_COST_PLAN_H

#include "advisor/cost/join.h"

typedef struct AdvPlanAsk {
    AdvArena *arena; /* of this question: what it needs is forgotten with it */
    const AdvCatalog *catalog;
    const AdvFacts *facts;
    int n_indexes;
    AdvModelIndex *indexes; /* those of one table are neighbours */
    bool *used;             /* by place: set when the plan uses it */
    double rows;            /* comes back: that the statement returns, or writes */
} AdvPlanAsk;

double adv_plan_statement(AdvPlanAsk *ask);

#endif
