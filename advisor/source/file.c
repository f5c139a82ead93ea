/* SPDX-License-Identifier: ISC */
#include "advisor/source/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX ((size_t)256 * 1024 * 1024)

char *adv_file_read(AdvArena *arena, const char *path, const char **ret_why)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!file) {
        *ret_why = adv_arena_printf(arena, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    size_t len = 0, cap = 65536;
    char *text = malloc(cap);
    while (text) {
        size_t n = fread(text + len, 1, cap - len - 1, file);
        len += n;
        if (n == 0)
            break;
        if (len + 1 < cap)
            continue;
        if (cap > FILE_MAX) {
            *ret_why = adv_arena_printf(arena, "%s is larger than %zu MB", path, FILE_MAX >> 20);
            free(text);
            text = NULL;
            goto out;
        }
        char *larger = realloc(text, cap *= 2);
        if (!larger)
            free(text);
        text = larger;
    }
    if (!text) {
        *ret_why = adv_arena_printf(arena, "not enough memory to read %s", path);
    } else if (ferror(file)) {
        *ret_why = adv_arena_printf(arena, "cannot read %s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    } else if (memchr(text, '\0', len)) {
        *ret_why = adv_arena_printf(arena, "%s holds binary data, not text", path);
        free(text);
        text = NULL;
    } else {
        text[len] = '\0';
    }
out:
    if (file != stdin)
        fclose(file);
    return text;
}
