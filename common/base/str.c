/* SPDX-License-Identifier: ISC */
#include "poolwise/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "poolwise/mem.h"

/* Longer names are not typed by hand; the bound keeps the distance table on the stack. */
#define NAME_MAX_BYTES 63

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

void pw_str_list_add(PwStrList *list, const char *text, size_t len)
{
    list->items = pw_xrealloc(list->items, (list->n + 1) * sizeof(*list->items));
    list->items[list->n++] = pw_xstrndup(text, len);
}

void pw_str_list_finish(PwStrList *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    free(list->text);
    *list = (PwStrList){0};
}

bool pw_str_list_has(const PwStrList *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

bool pw_str_list_has_ci(const PwStrList *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcasecmp(list->items[i], text) == 0)
            return true;
    return false;
}

void pw_str_list_split(PwStrList *list, const char *text)
{
    list->text = pw_xstrdup(text);
    for (const char *p = text; *p != '\0';) {
        const char *end = p + strcspn(p, ",");
        const char *next = *end == ',' ? end + 1 : end;
        while (p < end && is_blank(*p))
            p++;
        while (end > p && is_blank(end[-1]))
            end--;
        if (end > p)
            pw_str_list_add(list, p, (size_t)(end - p));
        p = next;
    }
}

size_t pw_str_bom(const char *text, size_t len)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    return len >= sizeof(mark) && memcmp(text, mark, sizeof(mark)) == 0 ? sizeof(mark) : 0;
}

void pw_str_copy(char *to, size_t size, const char *text)
{
    size_t n = strnlen(text, size);
    if (n == size)
        for (n = size - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(to, text, n);
    to[n] = '\0';
}

bool pw_str_equal(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp(a, b) == 0;
}

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the usual table are enough: the swap of neighbours looks two rows back. */
size_t pw_str_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES)
        return SIZE_MAX;
    size_t table[3][NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= m; j++)
        table[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = table[i % 3], *up = table[(i + 2) % 3], *up2 = table[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t same = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            row[j] = min2(min2(row[j - 1], up[j]) + 1, up[j - 1] + same);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = min2(row[j], up2[j - 2] + 1);
        }
    }
    return table[n % 3][m];
}

void pw_nearest_init(PwNearest *nearest, const char *wanted)
{
    *nearest = (PwNearest){.wanted = wanted, .distance = SIZE_MAX};
}

void pw_nearest_offer(PwNearest *nearest, const char *name)
{
    size_t distance = pw_str_distance(nearest->wanted, name);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = name;
    }
}

const char *pw_nearest_get(const PwNearest *nearest)
{
    /* A third of the name may be wrong; a name that shares less is more likely another word. */
    size_t allowed = strlen(nearest->wanted) / 3;
    if (allowed < 1)
        allowed = 1;
    return nearest->distance <= allowed ? nearest->best : NULL;
}
