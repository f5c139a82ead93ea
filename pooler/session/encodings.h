/* SPDX-License-Identifier: ISC */
/* encodings.h - PostgreSQL's names of client encodings.
 *
 * A client may ask for "'utf-8'" or "Unicode"; a server answers with UTF8, and drivers look at that word. The pooler answers before
 * it has a server for the client, so it knows the names too (chapter "Character Set Support"). Pure; any thread. */
#ifndef POOLER_SESSION_ENCODINGS_H
#define POOLER_SESSION_ENCODINGS_H

/* The name that a server reports for this one: case and everything but letters and digits are ignored, as it does. NULL: no
 * encoding has the name. The answer is static. */
const char *encoding_canonical(const char *name);

#endif
