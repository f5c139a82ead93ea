/* SPDX-License-Identifier: ISC */
/* str.h - small helpers on text: lists of strings and the nearest known name. Any thread. */
#ifndef POOLWISE_STR_H
#define POOLWISE_STR_H

#include <stdbool.h>
#include <stddef.h>

typedef struct PwStrList {
    char **items; /* NULL when empty */
    size_t n;
    char *text; /* as it was written, when it came from pw_str_list_split; else NULL */
} PwStrList;

void pw_str_list_add(PwStrList *list, const char *text, size_t len); /* copies */
void pw_str_list_finish(PwStrList *list);                            /* frees; then as zeroed */
bool pw_str_list_has(const PwStrList *list, const char *text);       /* exact match */
bool pw_str_list_has_ci(const PwStrList *list, const char *text);    /* ASCII case ignored */

/* Splits at commas, blanks around the parts cut, empty parts dropped. The list must be
 * empty before; it keeps a copy of the text. */
void pw_str_list_split(PwStrList *list, const char *text);

/* Length of the byte order mark that some editors write at the beginning of a file: 3 or 0. */
size_t pw_str_bom(const char *text, size_t len);

/* As much of a text as fits into `size` bytes with its NUL, and no part of a UTF-8 character at the end. */
void pw_str_copy(char *to, size_t size, const char *text);

static inline bool pw_str_is_empty(const char *text) /* or NULL */
{
    return text == NULL || text[0] == '\0';
}

/* NULL equals only NULL. */
bool pw_str_equal(const char *a, const char *b);

/* Edits (insert, delete, replace, swap neighbours) that turn a into b, ASCII case ignored. Names of
 * more than 63 bytes count as infinitely far (SIZE_MAX). */
size_t pw_str_distance(const char *a, const char *b);

/* Feeds candidates one after the other; remembers the nearest to `wanted`. */
typedef struct PwNearest {
    const char *wanted;
    const char *best; /* borrowed from the caller; NULL: none */
    size_t distance;
} PwNearest;

void pw_nearest_init(PwNearest *nearest, const char *wanted);
void pw_nearest_offer(PwNearest *nearest, const char *name);

/* The nearest name if it is near enough to be a likely typing mistake, else NULL. */
const char *pw_nearest_get(const PwNearest *nearest);

#endif
