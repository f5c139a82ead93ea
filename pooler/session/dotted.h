/* SPDX-License-Identifier: ISC */
/* dotted.h - names with a dot that a text mentions: what settings of the application's own it, or a function that it calls, may set.
 *
 * PostgreSQL lists no such setting ("app.tenant") anywhere, but tells the value of one that it is asked for by name. So every
 * name.name in a text counts, in literals, bodies of functions and values of parameters too. Most are no settings (schema.table):
 * asking for those costs little. Pure. */
#ifndef POOLER_SESSION_DOTTED_H
#define POOLER_SESSION_DOTTED_H

#include <stddef.h>

#include "pooler/session/settings.h"

/* Names kept of one transaction; what more of them there are is not asked for. */
#define DOTTED_MAX 32

/* Adds the names in n bytes at `bytes` to `names` (in lower case, with empty values). The caller's reference to
 * `names` becomes one to the result. */
const Settings *dotted_names(const Settings *names, const char *bytes, size_t n);

#endif
