/* SPDX-License-Identifier: ISC */
/* gather.h - logs into one tally, read by as many threads as there are cores. Called by one thread. */
#ifndef ADVISOR_SOURCE_GATHER_H
#define ADVISOR_SOURCE_GATHER_H

#include "advisor/source/files.h"
#include "advisor/source/filter.h"
#include "advisor/source/tally.h"

typedef struct AdvGather AdvGather;

/* `filter` may be NULL and must live as long. `jobs`: threads; 0: one a core. `progress`: a bar on standard error when that is a terminal. */
AdvGather *adv_gather_create(const AdvFilter *filter, unsigned jobs, bool progress);
void adv_gather_destroy(AdvGather *gather);

/* All files, one after the other. SIGINT ends the reading, not the program: what was read counts. What the user should know of the files is in the notes of the tally.
 * PW_ERR_IO, or PW_ERR_SYNTAX for what is no log, with *ret_why (to be freed). */
PW_MUSTCHECK PwErr adv_gather_files(AdvGather *gather, const AdvFiles *files, char **ret_why);

/* Text in memory, for tests. PW_ERR_UNSUPPORTED when it is no log. */
PW_MUSTCHECK PwErr adv_gather_text(AdvGather *gather, const char *text, size_t len);

/* Everything so far; further reading adds to it. The gather's own. */
AdvTally *adv_gather_tally(AdvGather *gather);
bool adv_gather_interrupted(const AdvGather *gather);

#endif
