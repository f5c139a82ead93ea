/* SPDX-License-Identifier: ISC */
/* pour.h - from a tally to the workload that is advised on. */
#ifndef ADVISOR_SOURCE_POUR_H
#define ADVISOR_SOURCE_POUR_H

#include "advisor/source/filter.h"
#include "advisor/workload.h"

/* Shapes in the order of their weight, each with its samples; `filter` may be NULL. on_note is told what adv_tell_notes tells,
 * what was left out and what else the log says. */
void adv_pour(AdvWorkload *workload, const AdvTally *tally, const AdvFilter *filter, void (*on_note)(void *arg, const char *note), void *arg);

/* What is to be told of the logs that a tally is made of, one call of on_note a sentence. */
void adv_tell_notes(const AdvTally *tally, void (*on_note)(void *arg, const char *note), void *arg);

#endif
