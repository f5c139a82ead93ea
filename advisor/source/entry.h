/* SPDX-License-Identifier: ISC */
/* entry.h - one message of PostgreSQL's log, whatever form the log has. Slices point into the log or into a buffer of the reader. */
#ifndef ADVISOR_SOURCE_ENTRY_H
#define ADVISOR_SOURCE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct AdvSlice {
    const char *p; /* NULL: not there */
    size_t n;
} AdvSlice;

/* What a line of a stderr log begins, by the word in front of its colon. */
typedef enum AdvPart {
    ADV_PART_LOG,
    ADV_PART_ERROR,   /* ERROR, FATAL, PANIC */
    ADV_PART_MESSAGE, /* WARNING and the like */
    ADV_PART_DETAIL,
    ADV_PART_STATEMENT,
    ADV_PART_OTHER, /* HINT, CONTEXT, ... */
    ADV_PART_NONE
} AdvPart;

typedef struct AdvEntry {
    AdvPart severity; /* one of the first three */
    AdvSlice message, detail, statement;
    AdvSlice prefix; /* of a stderr log: what log_line_prefix wrote, taken apart only when somebody asks */
    AdvSlice time, pid, user, database, application;
} AdvEntry;

static inline bool adv_slice_begins(AdvSlice s, const char *text, size_t n)
{
    return s.n >= n && memcmp(s.p, text, n) == 0;
}

static inline AdvSlice adv_slice_from(AdvSlice s, size_t at)
{
    return (AdvSlice){s.p + at, s.n - at};
}

static inline bool adv_slice_is(AdvSlice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

#endif
