/* SPDX-License-Identifier: ISC */
/* Logs of PostgreSQL in all forms: any text is read to its end without a crash, and counts stay sane. */
#include <stdint.h>
#include <stdlib.h>

#include "advisor/source/collect.h"
#include "advisor/source/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    AdvArena *arena = adv_arena_create();
    AdvWorkload *w = adv_workload_create(arena);
    const char *note;
    if (!adv_source_log_text(w, (const char *)data, size, &note))
        for (int i = 0; i < w->n_queries; i++)
            if (!w->queries[i]->text || !(w->queries[i]->calls >= 0))
                abort();
    /* The values of a DETAIL line, with a text that has some of them. */
    const char *text = adv_arena_strndup(arena, (const char *)data, size);
    const char *filled = adv_fill_parameters(arena, "SELECT $1, $2", text);
    if (filled && strlen(filled) > size + 32)
        abort();
    adv_arena_destroy(arena);
    return 0;
}
