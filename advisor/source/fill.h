/* SPDX-License-Identifier: ISC */
/* fill.h - the values of a statement's parameters, as PostgreSQL logs them, put into its text. Pure functions. */
#ifndef ADVISOR_SOURCE_FILL_H
#define ADVISOR_SOURCE_FILL_H

#include <stdbool.h>

#include "poolwise/buf.h"

/* Appends `text` with every $n replaced by its value in "$1 = 'a', $2 = NULL". False when a value is missing or cut: *out then holds more than before. */
bool adv_fill(PwBuf *out, const char *text, size_t len, const char *params, size_t params_len);

/* Does a $n stand in the text, outside of constants and comments? */
bool adv_has_parameter(const char *text, size_t len);

#endif
