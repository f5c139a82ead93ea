/* SPDX-License-Identifier: ISC */
/* json_out.h - text as JSON strings, of any bytes: the output is always valid JSON in valid UTF-8. */
#ifndef POOLWISE_WORKLOAD_JSON_OUT_H
#define POOLWISE_WORKLOAD_JSON_OUT_H

#include <stddef.h>

#include "poolwise/buf.h"

/* Appends bytes as a quoted JSON string. Control characters are escaped; each byte that is part of no valid UTF-8
 * sequence (also: surrogates, overlong forms, above U+10FFFF) becomes U+FFFD. */
void pw_json_append_string(PwBuf *buf, const char *bytes, size_t n);

#endif
