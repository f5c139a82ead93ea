/* SPDX-License-Identifier: ISC */
/* instead.h - what a plan of the server would cost with indexes that HypoPG cannot show it: own formulas in the place of its scans. Pure.
 *
 * GIN and GiST it does not know at all. Indexes on expressions it uses only for the first table of a (sub)query, and then the planner takes every value of
 * the expression for one of two hundred, since there are no statistics before the index exists; a sample of the table knows better. */
#ifndef ADVISOR_COST_INSTEAD_H
#define ADVISOR_COST_INSTEAD_H

#include "advisor/candidate/candidate.h"
#include "advisor/cost/explain.h"

/* The cost of `plan` (made with `set` existing as far as possible) after each scan that one of the set would do sooner is replaced. `places`: which of the
 * set each of plan->indexes is, -1 none. `used`: those that the plan used; comes back with those that are used then. */
double adv_cost_instead(AdvArena *arena, const AdvSettings *settings, const AdvFacts *facts, const AdvPlan *plan, const int *places,
                        AdvCandidate *const *set, int n, bool *used);

#endif
