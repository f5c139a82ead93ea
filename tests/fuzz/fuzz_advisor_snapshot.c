/* SPDX-License-Identifier: ISC */
/* The snapshot reader: any text is refused or gives a catalog that can be walked, analysed against and written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "advisor/catalog/snapshot.h"
#include "advisor/sql/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536 || memchr(data, 0, size))
        return 0;
    AdvArena *arena = adv_arena_create();
    AdvCatalog *catalog = adv_catalog_create(arena);
    const char *why = NULL;
    if (adv_snapshot_read(catalog, adv_arena_strndup(arena, (const char *)data, size), &why)) {
        if (!why)
            abort();
    } else {
        AdvFacts *facts;
        if (adv_sql_analyse(catalog, arena, "SELECT a FROM t JOIN u USING (b) WHERE a = 1", &facts, &why))
            abort();
        const char *again = adv_snapshot_write(catalog, false);
        if (adv_snapshot_read(adv_catalog_create(arena), again, &why) || !*adv_snapshot_write(catalog, true))
            abort();
    }
    adv_arena_destroy(arena);
    return 0;
}
