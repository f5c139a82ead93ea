/* SPDX-License-Identifier: ISC */
/* reason.h - findings in plain sentences: why, and what would make it wrong. Texts are on the report's arena. */
#ifndef ADVISOR_REPORT_REASON_H
#define ADVISOR_REPORT_REASON_H

#include "advisor/report/findings.h"

const char *adv_reason_create(const AdvReport *report, const AdvFinding *finding);
const char *adv_caveat_create(const AdvReport *report, const AdvFinding *finding);
const char *adv_reason_drop(const AdvReport *report, const AdvDrop *drop);
const char *adv_caveat_drop(const AdvReport *report, const AdvDrop *drop);
/* Why no index helps an expensive statement; NULL when nothing simple explains it. */
const char *adv_reason_unhelped(const AdvReport *report, const AdvQuery *query);
/* The statement that brings a dropped index back. */
const char *adv_undo_drop(AdvArena *arena, const AdvIndex *index);

#endif
