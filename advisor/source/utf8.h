/* SPDX-License-Identifier: ISC */
/* utf8.h - text of any encoding as UTF-8. Pure functions. */
#ifndef ADVISOR_SOURCE_UTF8_H
#define ADVISOR_SOURCE_UTF8_H

#include <stddef.h>

#include "poolwise/buf.h"

/* A log may be in any encoding. What is no UTF-8 is taken for Latin 1 or Windows-1252, which it most often is, so that servers and reports can read
 * the text. */
void adv_append_utf8(PwBuf *out, const char *text, size_t len);

#endif
