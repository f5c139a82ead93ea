/* SPDX-License-Identifier: ISC */
/* summary.h - a tally as a file (docs/advisor-workload.md): compact, versioned, and what is read back is equal to what was written. */
#ifndef ADVISOR_SOURCE_SUMMARY_H
#define ADVISOR_SOURCE_SUMMARY_H

#include "advisor/source/tally.h"
#include "poolwise/buf.h"

#define ADV_SUMMARY_VERSION 1

/* Appends the lines of a summary. `redact`: the texts are those that the query log would have, without values. Equal tallies give equal bytes. */
void adv_summary_write(const AdvTally *tally, bool redact, PwBuf *out);

/* Adds the lines of a summary to the tally. NULL, or what is wrong with it, for a sentence that begins with the name of the file. */
const char *adv_summary_read(AdvTally *tally, const char *data, size_t len);

#endif
