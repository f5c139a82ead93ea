/* SPDX-License-Identifier: ISC */
#include "pooler/config/line_set.h"

#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

void line_set_add(LineSet *set, const char *name, void *item)
{
    if ((set->n & (set->n - 1)) == 0) /* at powers of two: room for twice as many */
        set->entries =
            pw_xrealloc(set->entries, (set->n > 0 ? 2 * set->n : 1) * sizeof(*set->entries));
    set->entries[set->n] = (LineSetEntry){.name = name, .item = item, .order = set->n};
    set->n++;
}

static int compare(const void *a, const void *b)
{
    const LineSetEntry *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);
    if (by_name != 0)
        return by_name;
    return x->order < y->order ? -1 : x->order > y->order;
}

void line_set_seal(LineSet *set, LineSetDropped dropped, void *arg)
{
    LineSetEntry *sorted = pw_xcalloc(set->n, sizeof(*sorted));
    size_t n = 0;
    if (set->n > 0) {
        memcpy(sorted, set->entries, set->n * sizeof(*sorted));
        qsort(sorted, set->n, sizeof(*sorted), compare);
    }
    for (size_t i = 0; i < set->n; i++) {
        size_t last = i;
        while (last + 1 < set->n && strcmp(sorted[last + 1].name, sorted[i].name) == 0)
            last++;
        LineSetEntry winner = sorted[last];
        for (; i < last; i++) {
            set->entries[sorted[i].order].item = NULL;
            dropped(arg, sorted[i].item, winner.item);
        }
        sorted[n++] = winner;
    }
    size_t kept = 0;
    for (size_t i = 0; i < set->n; i++)
        if (set->entries[i].item != NULL)
            set->entries[kept++] = set->entries[i];
    set->by_name = sorted;
    set->n = n;
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const LineSetEntry *)entry)->name);
}

void *line_set_find(const LineSet *set, const char *name)
{
    if (set->n == 0)
        return NULL;
    const LineSetEntry *found =
        bsearch(name, set->by_name, set->n, sizeof(*set->by_name), compare_name);
    return found != NULL ? found->item : NULL;
}

void line_set_finish(LineSet *set)
{
    free(set->entries);
    free(set->by_name);
    *set = (LineSet){0};
}
