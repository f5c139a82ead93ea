/* SPDX-License-Identifier: ISC */
/* fingerprint_priv.h - the canonical bytes between fingerprint.c, which makes them, and normalise.c, which prints them.
 *
 * Canonical bytes: words folded, placeholders as a lone '$', everything else as written; a blank only where two
 * tokens would otherwise read as one (word-like after word-like, operator after operator, "..." after an operator).
 * A byte that starts no token is '\'. */
#ifndef POOLWISE_WORKLOAD_FINGERPRINT_PRIV_H
#define POOLWISE_WORKLOAD_FINGERPRINT_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/fingerprint.h"

/* Takes the first PW_QUERY_TEXT_MAX canonical bytes at most; `cut` when more follow. */
typedef void (*CanonSink)(void *arg, const char *bytes, size_t n, bool cut);

uint64_t pw_canonicalise(const char *sql, size_t len, unsigned flags, CanonSink sink, void *arg);

/* Do the last words of out[0..n), the last of which starts at word_start, name a type that may stand before its
 * constant (date '...', timestamp with time zone '...')? Then *ret_start is where the name starts. */
bool pw_typed_start(const char *out, size_t n, size_t word_start, size_t *ret_start);

#endif
