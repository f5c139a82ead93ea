/* SPDX-License-Identifier: ISC */
/* charts.h - the charts of the HTML report, as SVG inside the page: no script, no network, the colours of the page. */
#ifndef ADVISOR_REPORT_CHARTS_H
#define ADVISOR_REPORT_CHARTS_H

#include "advisor/report/findings.h"
#include "advisor/text.h"

/* Time by statement, cost before and after, size and write cost of the new indexes; each only when there is something to show. */
void adv_add_charts(AdvText *text, const AdvReport *report);

/* The cost of a statement with all advice, as far as some finding serves it. */
double adv_cost_after(const AdvReport *report, const AdvQuery *query);

/* Text as HTML. */
void adv_add_escaped(AdvText *text, const char *s);

#endif
