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

/* The answer without a budget ends the curve, in the place of points that are no cheaper to build or dearer than it. */
void adv_curve_end(AdvCurve *curve, const AdvSelection *selection);

/* The point after which more space brings less than its share: farthest above the straight line from nothing to everything. -1: no point. */
int adv_curve_knee(const AdvCurve *curve, double cost_before);

#endif
