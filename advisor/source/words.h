/* SPDX-License-Identifier: ISC */
/* words.h - the words of PostgreSQL's log in the languages it speaks (lc_messages). Pure functions; any thread. */
#ifndef ADVISOR_SOURCE_WORDS_H
#define ADVISOR_SOURCE_WORDS_H

#include "advisor/source/entry.h"

/* The first severity or label ("LOG:  ", "DETAIL:  ", "FEHLER:  ") of a line and where what it says begins. */
AdvPart adv_find_part(const char *line, size_t len, size_t *ret_label, size_t *ret_at);

/* A severity that stands alone in its field, as in csvlog and jsonlog. */
AdvPart adv_severity(AdvSlice word);

typedef enum AdvTold {
    ADV_TOLD_NOTHING,
    ADV_TOLD_STATEMENT, /* an execution, its text follows */
    ADV_TOLD_DURATION,  /* only how long the last thing took */
    ADV_TOLD_PLAN,      /* auto_explain */
    ADV_TOLD_TEMP_FILE,
    ADV_TOLD_LOCK_WAIT
} AdvTold;

typedef struct AdvTelling {
    AdvTold what;
    bool timed;
    unsigned long long us;    /* of a duration */
    unsigned long long bytes; /* of a temporary file */
    AdvSlice text;            /* of the statement or plan */
} AdvTelling;

/* What a message of severity LOG tells. */
AdvTelling adv_tell(AdvSlice message);

/* The values in "parameters: $1 = ..."; p is NULL when it holds none. */
AdvSlice adv_parameters(AdvSlice detail);

#endif
