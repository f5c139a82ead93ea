/* SPDX-License-Identifier: ISC */
/* cover.h - INCLUDE columns where the planner cannot see their worth yet.
 *
 * In a table that was never vacuumed no page is known to be all-visible, and a plan with an index-only scan costs no
 * less than one without. The first VACUUM changes that, so a few narrow columns are included for the statement that
 * profits most. */
#ifndef ADVISOR_SELECT_COVER_H
#define ADVISOR_SELECT_COVER_H

#include "advisor/select/search.h"

void adv_cover(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload,
               const AdvSearchLimits *limits, AdvSelection *selection);

#endif
