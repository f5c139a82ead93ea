/* SPDX-License-Identifier: ISC */
/* curve.h - what each size of all indexes together would bring, and in which order to build. One thread. */
#ifndef ADVISOR_SELECT_CURVE_H
#define ADVISOR_SELECT_CURVE_H

#include "advisor/select/search.h"

typedef struct AdvBuildStep {
    int id;       /* of the candidate to build now */
    double bytes; /* of all built so far */
    double cost;  /* of the workload then */
} AdvBuildStep;

/* The selected indexes, the one that saves most for its size first; each step's cost is the planner's. `ret_steps` has selection->n of them. */
void adv_build_order(AdvArena *arena, AdvOracle *oracle, const AdvPool *pool, const AdvWorkload *workload, const AdvSelection *selection,
                     AdvBuildStep **ret_steps);

/* The first steps of the order are answers for small budgets as well: each point takes the best that fits. */
void adv_curve_merge(AdvCurve *curve, const AdvBuildStep *steps, int n);

/* The point after which more space brings less than its share: farthest above the straight line from nothing to everything. -1: no point. */
int adv_curve_knee(const AdvCurve *curve, double cost_before);

#endif
