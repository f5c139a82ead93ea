/* SPDX-License-Identifier: ISC */
/* gin.h - what a scan through a GIN index costs. HypoPG does not know GIN, so this is ours for both sources of costs. Pure functions. */
#ifndef ADVISOR_COST_GIN_H
#define ADVISOR_COST_GIN_H

#include "advisor/candidate/candidate.h"

/* Whether the index finds the rows of one of the statement's conditions on the table; the condition. */
const AdvPred *adv_gin_serves(const AdvFacts *facts, int rel, const AdvIndex *index);

/* A bitmap scan that brings `rows` of the table. `pages`: of the index. */
double adv_gin_cost(const AdvSettings *settings, const AdvIndex *index, double pages, const AdvPred *pred, double rows);

#endif
