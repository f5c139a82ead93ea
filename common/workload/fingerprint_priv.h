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

#endif
