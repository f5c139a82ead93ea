/* SPDX-License-Identifier: ISC */
/* pour.h - from a tally to the workload that is advised on. */
#ifndef ADVISOR_SOURCE_POUR_H
#define ADVISOR_SOURCE_POUR_H

#include "advisor/source/filter.h"
#include "advisor/workload.h"

/* Shapes in the order of their weight, each with its samples; `filter` may be NULL. on_note is told what the tally notes,
 * what was left out and what else the log says. */
void adv_pour(AdvWorkload *workload, const AdvTally *tally, const AdvFilter *filter, void (*on_note)(void *arg, const char *note), void *arg);

#endif
