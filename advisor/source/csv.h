/* SPDX-License-Identifier: ISC */
/* csv.h - records of a CSV text, field by field, without copying what needs no change. */
#ifndef ADVISOR_SOURCE_CSV_H
#define ADVISOR_SOURCE_CSV_H

#include "advisor/source/entry.h"
#include "poolwise/buf.h"

typedef struct AdvCsv {
    const char *p, *end;
    /* When a line that begins a record stands inside a quoted field, a quote was lost before it (a crash, a full disk): the record ends there. NULL:
     * no line tells. */
    bool (*starts)(const char *line, size_t len);
} AdvCsv;

/* The next record: its number of fields, of which the first `max` are in fields[]; 0 at the end. A field with doubled quotes is put right in its
 * buffer; without a buffer (NULL) it stays as it is written. Slices are valid until the next call. */
size_t adv_csv_next(AdvCsv *csv, AdvSlice *fields, PwBuf *const *buffers, size_t max);

#endif
