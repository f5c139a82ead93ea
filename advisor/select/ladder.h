/* SPDX-License-Identifier: ISC */
/* ladder.h - the answers to all budgets up to one.
 *
 * The contract: for budgets a < b, in runs of their own, the answer to b is never dearer than that to a, neither in plans nor with the upkeep of the
 * indexes, and no answer is larger than its budget. Exactly, not but for some tolerance.
 *
 * How it is kept: all runs walk along one list of sets, the same in each of them, and a run with a larger budget walks further. The list has the answers of the
 * rungs (fixed budgets) and behind each rung its top-ups: sets larger than the rung and not larger than the next one, by ascending size. The
 * answer is the last set on the way that was better than the one before it in both respects. So whatever chooses, orders or ends the list may depend
 * on what was asked on the way to it, but never on the budget itself, which only says where to stop. */
#ifndef ADVISOR_SELECT_LADDER_H
#define ADVISOR_SELECT_LADDER_H

#include "advisor/select/search_priv.h"

/* The best set for `budget`. The points of *ret_curve are answers to smaller budgets. */
State search_ladder(Search *s, double budget, AdvCurve *ret_curve);

/* The smallest set of more than `above` and at most `until` bytes that seems to cost `worth` less than `answer`: that one or `rung` (NULL: the same)
 * with one move more, `answer` with one index less and one move more, or, with many statements, `answer` with several moves. By known plans only, so its costs are estimates. False: there is none. */
bool search_top_up(Search *s, const State *answer, const State *rung, double above, double until, double worth, State *ret_next);

#endif
