/* SPDX-License-Identifier: ISC */
/* progress.h - a line on the terminal that tells how far a long read is, at which rate, and how long it will still take. One thread. */
#ifndef ADVISOR_SOURCE_PROGRESS_H
#define ADVISOR_SOURCE_PROGRESS_H

#include <stdint.h>

typedef struct AdvProgress {
    int64_t start, last; /* monotonic microseconds */
    int shown;           /* columns to be wiped */
} AdvProgress;

void adv_progress_start(AdvProgress *progress);
/* At most a few times a second something is written; nothing in the first half second. `all`: 0 when it is not known. */
void adv_progress_show(AdvProgress *progress, uint64_t done, uint64_t all);
void adv_progress_end(AdvProgress *progress); /* wipes the line */

#endif
