/* SPDX-License-Identifier: ISC */
/* file.h - a text file as a whole, plain or compressed. */
#ifndef ADVISOR_SOURCE_FILE_H
#define ADVISOR_SOURCE_FILE_H

#include "advisor/arena.h"

/* The file's text, NUL-terminated, "-" is standard input; the caller frees. NULL with *ret_why (on the arena) when it cannot be read,
 * is larger than 256 MB or holds NUL bytes. */
char *adv_file_read(AdvArena *arena, const char *path, const char **ret_why);

#endif
