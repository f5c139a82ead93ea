/* SPDX-License-Identifier: ISC */
/* base64.h - strict base64 (RFC 4648, section 4): padding demanded, no white space, unused bits zero.
 * Pure functions, any thread. */
#ifndef POOLER_AUTH_BASE64_H
#define POOLER_AUTH_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "poolwise/buf.h"
#include "poolwise/err.h"

/* Decodes n characters into at most max bytes. PW_ERR_SYNTAX, or PW_ERR_TOO_LARGE when they do not fit. */
PW_MUSTCHECK PwErr base64_decode(const char *text, size_t n, uint8_t *ret_bytes, size_t max, size_t *ret_n);

/* Appends the encoding of n bytes. */
void base64_append(PwBuf *buf, const uint8_t *bytes, size_t n);

#endif
