/* SPDX-License-Identifier: ISC */
/* tally.h - what ran, counted by the shape of its statement: the one thing that every source fills, in any order and in any number of parts.
 *
 * A log holds the same few shapes millions of times: an execution costs a hash, a fingerprint and a look into a table. Counts are whole numbers and
 * of each shape the texts with the smallest hashes are kept as samples, so that neither the order of the executions nor the way they were
 * split into parts shows: parts that are merged are equal to the whole. The calls of each sample are exact for the same reason: a text that is
 * among the smallest in the end was so whenever it came. Only when a tally is full (ADV_TALLY_SHAPES) the least of its shapes are forgotten, and
 * counted as such. A tally belongs to one thread. */
#ifndef ADVISOR_SOURCE_TALLY_H
#define ADVISOR_SOURCE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "advisor/source/notes.h"
#include "poolwise/fingerprint.h"

#define ADV_TALLY_SAMPLES 4
#define ADV_TALLY_SHAPES 20000

typedef enum AdvOrigin { ADV_ORIGIN_LOG, ADV_ORIGIN_STATEMENTS, ADV_ORIGIN_POOLER, ADV_ORIGIN_COUNT } AdvOrigin;

const char *adv_origin_name(AdvOrigin origin); /* "postgres log", ... */

typedef struct AdvTallyText {
    uint64_t key; /* the order in which they are kept; ADV_TEXT_OPEN: values are missing, everything else is better */
    uint64_t calls;
    AdvOrigin origin;
    uint32_t len;
    char *text; /* NUL-terminated */
} AdvTallyText;

#define ADV_TEXT_OPEN (UINT64_C(1) << 63)

typedef struct AdvShape {
    uint64_t fingerprint;
    PwSqlKind kind;
    unsigned n_samples;
    AdvTallyText samples[ADV_TALLY_SAMPLES]; /* by key */
    uint64_t calls, us;
    uint64_t rows, rows_calls; /* of the calls whose rows are known */
    uint64_t temp_files, temp_bytes, lock_waits;
} AdvShape;

typedef struct AdvTallyCounts {
    uint64_t messages;   /* of logs, whatever they say */
    uint64_t statements; /* executions */
    uint64_t kinds[PW_SQL_KIND_COUNT]; /* of the executions */
    uint64_t us;
    uint64_t timed;      /* executions whose time is known */
    uint64_t unlogged;   /* without their text */
    uint64_t forgotten, forgotten_calls, forgotten_us; /* shapes that found no place */
    uint64_t errors;     /* ERROR, FATAL, PANIC */
    uint64_t temp_files, temp_bytes, lock_waits;
    uint64_t bad;        /* lines or records that cannot be read */
    uint64_t twins;      /* files that hold the log of another one in another form */
    char first[24], last[24]; /* time as the log has it, "2026-01-02 03:04:05.678"; "": not known */
} AdvTallyCounts;

typedef struct AdvTally AdvTally;

AdvTally *adv_tally_create(void);
void adv_tally_destroy(AdvTally *tally);
AdvTallyCounts *adv_tally_counts(AdvTally *tally);
const AdvTallyCounts *adv_tally_counts_const(const AdvTally *tally);
AdvNotes *adv_tally_notes(AdvTally *tally);
const AdvNotes *adv_tally_notes_const(const AdvTally *tally);
void adv_tally_add_counts(AdvTally *tally, const AdvTallyCounts *more);

typedef struct AdvExecution {
    const char *text; /* need not end in NUL; not kept */
    size_t len;
    const char *params; /* values as PostgreSQL logs them ("$1 = '7', $2 = NULL"), which take the places of $n; NULL: none */
    size_t params_len;
    AdvOrigin origin;
    bool open; /* the text is known to lack its values */
    uint64_t calls;
    uint64_t us; /* of all calls; 0: not known */
    int64_t rows; /* of all calls; -1: not known */
    uint64_t fingerprint; /* 0: of the text */
} AdvExecution;

/* Executions whose text is not known. */
void adv_tally_add_unlogged(AdvTally *tally, uint64_t calls);

/* What a time that is told of later belongs to. */
typedef struct AdvTallied {
    uint64_t fingerprint;
    PwSqlKind kind;
} AdvTallied;

AdvTallied adv_tally_add(AdvTally *tally, const AdvExecution *execution);

/* The time of an execution that this or another tally counted without. */
void adv_tally_add_time(AdvTally *tally, AdvTallied what, uint64_t us);

/* The shape of a text, made when it is new; counts are the caller's. Never NULL. */
AdvShape *adv_tally_shape(AdvTally *tally, const char *text, size_t len);

/* Adds `from` to `into`; `from` is as before. */
void adv_tally_merge(AdvTally *into, const AdvTally *from);

/* For readers of a summary: a shape as it was written, added to the one that is there. The texts are copied. */
void adv_tally_add_shape(AdvTally *tally, const AdvShape *shape);

/* All shapes, the longest total time first, then calls, then fingerprint. The array is the caller's to free, the shapes stay the tally's. */
AdvShape **adv_tally_sorted(const AdvTally *tally, size_t *ret_n);

#endif
