/* SPDX-License-Identifier: ISC */
/* inner.h - indexes on what is inside of values, GIN and GiST: which conditions they serve, and what a scan costs. HypoPG knows neither, so this is
 * ours for both sources of costs. Pure functions. */
#ifndef ADVISOR_COST_INNER_H
#define ADVISOR_COST_INNER_H

#include "advisor/candidate/candidate.h"

bool adv_is_inner(const AdvIndex *index);

/* Whether the index finds the rows of one of the statement's conditions on the table; the condition. */
const AdvPred *adv_inner_serves(const AdvFacts *facts, int rel, const AdvIndex *index);

/* A bitmap scan that brings `rows` of the table. `pages`: of the index. */
double adv_inner_cost(const AdvSettings *settings, const AdvIndex *index, double pages, const AdvPred *pred, double rows);

#endif
