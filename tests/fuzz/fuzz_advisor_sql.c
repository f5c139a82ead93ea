/* SPDX-License-Identifier: ISC */
/* The .sql source: any text is split, and each piece analysed, without a crash and within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/sql/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536 || memchr(data, 0, size))
        return 0;
    AdvArena *arena = adv_arena_create();
    AdvCatalog *catalog = adv_catalog_create(arena);
    AdvTable *table = adv_catalog_add_table(catalog, "public", "t", 3);
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        table->columns[i] = (AdvColumn){.name = names[i], .type = "text", .base_type = "text", .len = -1, .category = 'S'};
    char *text = adv_arena_strndup(arena, (const char *)data, size);
    AdvPiece *pieces;
    int n;
    adv_sql_split(arena, text, &pieces, &n);
    for (int i = 0; i < n; i++) {
        AdvFacts *facts;
        const char *why;
        if (pieces[i].start + pieces[i].len > size || pieces[i].len == 0)
            abort();
        const char *statement = adv_arena_strndup(arena, text + pieces[i].start, pieces[i].len);
        if (adv_sql_analyse(catalog, arena, statement, &facts, &why))
            continue;
        for (int p = 0; p < facts->n_preds; p++)
            if (facts->preds[p].rel < 0 || facts->preds[p].rel >= facts->n_rels || !facts->rels[facts->preds[p].rel].table)
                abort();
    }
    adv_arena_destroy(arena);
    return 0;
}
