/* SPDX-License-Identifier: ISC */
/* json_scan.h - the members of a JSON object one after the other, without building it.
 *
 * A log of JSON lines has a dozen members in each line of which four matter: finding their ends is enough for the others. What looks wrong is
 * for a real parser (jansson) to judge. Pure functions. */
#ifndef ADVISOR_SOURCE_JSON_SCAN_H
#define ADVISOR_SOURCE_JSON_SCAN_H

#include "advisor/source/entry.h"
#include "poolwise/buf.h"

typedef struct AdvJsonScan {
    const char *p, *end;
    bool bad; /* no object, or one that is cut: what came before may be used or not, as one likes */
} AdvJsonScan;

typedef struct AdvJsonMember {
    AdvSlice key;   /* as written, without its quotes */
    AdvSlice value; /* of a string: as written, without its quotes; of others with their brackets */
    char type;      /* the first byte: '"', '{', '[', 't', 'f', 'n', a digit or '-' */
} AdvJsonMember;

/* `text` begins with an object, after blanks. */
AdvJsonScan adv_json_scan(const char *text, size_t len);
bool adv_json_next(AdvJsonScan *scan, AdvJsonMember *ret);

/* The value of a string as it is (UTF-8), in `buf` when something had to be changed. False when an escape is wrong. */
bool adv_json_text(const AdvJsonMember *member, PwBuf *buf, AdvSlice *ret);

/* A whole number of 0 or more that fits. */
bool adv_json_number(const AdvJsonMember *member, unsigned long long *ret);

#endif
