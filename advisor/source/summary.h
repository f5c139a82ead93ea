/* SPDX-License-Identifier: ISC */
/* summary.h - a tally as a file (docs/advisor-workload.md): compact, versioned, and what is read back is equal to what was written. */
#ifndef ADVISOR_SOURCE_SUMMARY_H
#define ADVISOR_SOURCE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "advisor/source/tally.h"
#include "poolwise/buf.h"

#define ADV_SUMMARY_VERSION 1

/* Appends the lines of a summary. `redact`: the texts are those that the query log would have, without values. Equal tallies give equal bytes. */
void adv_summary_write(const AdvTally *tally, bool redact, PwBuf *out);

/* Of a summary that is read in parts: a file that was cut behind a line looks whole. */
typedef struct AdvSummaryLines {
    int64_t due;  /* lines that its head tells of, less those that came; over all parts it is 0 in the end */
    bool unknown; /* a head does not tell */
} AdvSummaryLines;

/* Adds the lines of a summary, or of a part of it, to the tally. `lines` may be NULL. NULL, or what is wrong with it, for a sentence that begins with the name of the file. */
const char *adv_summary_read(AdvTally *tally, const char *data, size_t len, AdvSummaryLines *lines);

#endif
