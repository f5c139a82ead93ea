/* SPDX-License-Identifier: ISC */
/* rewrite.h - why no index helps a statement, and how it could be written so that one does. Texts are on the report's arena. */
#ifndef ADVISOR_REPORT_REWRITE_H
#define ADVISOR_REPORT_REWRITE_H

#include "advisor/report/findings.h"

/* why: NULL when nothing simple explains it; rewrite: NULL when no better form is known. */
AdvUnhelped adv_unhelped_find(const AdvReport *report, const AdvQuery *query);

#endif
