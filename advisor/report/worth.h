/* SPDX-License-Identifier: ISC */
/* worth.h - how much a finding can be trusted, and what it costs: upkeep, building time, the visibility map. */
#ifndef ADVISOR_REPORT_WORTH_H
#define ADVISOR_REPORT_WORTH_H

#include "advisor/report/findings.h"

/* The index holds all that the statement reads of its table, so that an index-only scan can serve it. */
bool adv_holds_all_read(AdvArena *arena, const AdvIndex *index, const AdvFacts *facts);

/* Needs the finding's evidence. */
void adv_worth_create(const AdvReport *report, const AdvPool *pool, AdvFinding *finding);
void adv_worth_drop(const AdvReport *report, AdvFinding *finding);

#endif
