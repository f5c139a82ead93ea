/* SPDX-License-Identifier: ISC */
/* shape.h - what a client has to know to read a statement's rows, as one number.
 *
 * The digest of a RowDescription: number of columns, and of each its name, type, length and type modifier. Left out are the format
 * codes (the Describe of a statement has none yet) and the table that a column comes from: PostgreSQL's own test, "cached plan
 * must not change result type", looks at neither. Pure functions. */
#ifndef POOLER_SESSION_SHAPE_H
#define POOLER_SESSION_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#define SHAPE_UNKNOWN UINT64_C(0) /* nobody was told, or nobody can say */
#define SHAPE_NO_ROWS UINT64_C(1) /* NoData */

/* Payload of a RowDescription. SHAPE_UNKNOWN: it is malformed. */
uint64_t shape_of_rows(const uint8_t *payload, size_t n);

/* Payload of a ParameterDescription: how many types it lists, 4 bytes each behind the first two bytes; and their digest, never 0.
 * *ret_digest 0: it is malformed. */
unsigned shape_of_types(const uint8_t *payload, size_t n, uint64_t *ret_digest);

#endif
