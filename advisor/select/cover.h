/* SPDX-License-Identifier: ISC */
/* cover.h - finishing touches on the chosen indexes, which costs alone do not decide well.
 *
 * An index of equality columns gets the range or sort column of its main statement, even where statistics see few rows
 * for each value today: one busy customer, and the sort or the filter is what hurts. And a few narrow columns are
 * included when that makes index-only scans: in a table that was never vacuumed the planner cannot see their worth
 * yet, since no page is known to be all-visible. What nothing needs any more afterwards goes. Nothing here makes the workload notably dearer. */
#ifndef ADVISOR_SELECT_COVER_H
#define ADVISOR_SELECT_COVER_H

#include "advisor/select/search.h"

void adv_cover(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload,
               const AdvSearchLimits *limits, AdvSelection *selection);

#endif
