/* SPDX-License-Identifier: ISC */
/* unicode_tables.h - the Unicode data that SASLprep needs; unicode_tables.c is made by unicode_tables.py.
 *
 * All arrays are sorted by their first code point(s), for binary search. Hangul syllables are left out:
 * arithmetic does them. */
#ifndef POOLER_AUTH_UNICODE_TABLES_H
#define POOLER_AUTH_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

typedef struct UnicodeRange {
    uint32_t first, last;
} UnicodeRange;

/* A code point and its full compatibility decomposition: n code points from unicode_pool[at]. */
typedef struct UnicodeDecomposition {
    uint32_t code;
    uint16_t at, n;
} UnicodeDecomposition;

typedef struct UnicodeComposition {
    uint32_t first, second, composed;
} UnicodeComposition;

/* Code points with a canonical combining class other than 0. */
typedef struct UnicodeClass {
    uint32_t first, last;
    uint8_t ccc;
} UnicodeClass;

extern const uint32_t unicode_pool[];
extern const UnicodeDecomposition unicode_decompositions[];
extern const size_t unicode_n_decompositions;
extern const UnicodeComposition unicode_compositions[];
extern const size_t unicode_n_compositions;
extern const UnicodeClass unicode_classes[];
extern const size_t unicode_n_classes;

/* RFC 3454 */
extern const UnicodeRange unicode_spaces[]; /* C.1.2 */
extern const size_t unicode_n_spaces;
extern const UnicodeRange unicode_dropped[]; /* B.1 */
extern const size_t unicode_n_dropped;
extern const UnicodeRange unicode_forbidden[]; /* C.1.2, C.2 to C.9, and unassigned: A.1 */
extern const size_t unicode_n_forbidden;
extern const UnicodeRange unicode_right_to_left[]; /* D.1 */
extern const size_t unicode_n_right_to_left;
extern const UnicodeRange unicode_left_to_right[]; /* D.2 */
extern const size_t unicode_n_left_to_right;

#endif
