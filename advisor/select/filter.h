/* SPDX-License-Identifier: ISC */
/* filter.h - the first cut: of all candidates of a statement keep those that its plans really choose.
 *
 * All at once, then without the winners, and so on; then only narrow ones, so that a small budget finds cheap
 * alternatives. With a limit on plans each statement gets its share. Called by one thread; statements are looked at in all lanes of the oracle. */
#ifndef ADVISOR_SELECT_FILTER_H
#define ADVISOR_SELECT_FILTER_H

#include "advisor/cost/oracle.h"
#include "poolwise/time.h"

typedef struct AdvShortlist {
    int n;
    int *ids;         /* ascending */
    int n_joint;
    AdvIdSet *joint;  /* sets of two and more that one plan used together */
    double *best;     /* by statement: the lowest cost seen */
    int n_known;      /* candidates that existed then */
    bool **evidence;  /* [statement][candidate]: some plan of the statement has used it */
} AdvShortlist;

/* Whether the candidate may change the statement's plan, as far as the filter's plans tell; later candidates always may. */
bool adv_shortlist_has_evidence(const AdvShortlist *list, int q, int candidate);

/* `deadline`: statements that are not looked at by then have no evidence. */
void adv_filter(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, PwUsec deadline, AdvShortlist *ret_list);

#endif
