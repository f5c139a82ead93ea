/* SPDX-License-Identifier: ISC */
/* bloat.c - indexes and tables that take much more space than their rows need, told by sizes and statistics alone. */
#include "advisor/cost/size.h"
#include "advisor/health/health.h"
#include "advisor/text.h"

#include <math.h>

/* A b-tree filled in random order settles at two thirds of its pages' space, and the size model may be off by half: below this
 * factor nothing is certain. */
#define INDEX_FACTOR 2.2
#define INDEX_WASTE (1024.0 * 1024)
#define TABLE_FACTOR 2.0
#define TABLE_WASTE (2.0 * 1024 * 1024)
#define ROW_HEADER 28.0 /* 23 aligned to 24, and its line pointer */
#define PAGE_ROOM (8192.0 - 24)

static bool widths_known(const AdvIndex *index)
{
    for (int i = 0; i < index->n_keys; i++)
        if (!index->keys[i].column || !adv_column(index->table, index->keys[i].column)->has_stats)
            return false;
    for (int i = 0; i < index->n_include; i++)
        if (!adv_column(index->table, index->include[i])->has_stats)
            return false;
    return true;
}

static void check_index(AdvHealthList *list, const AdvIndex *index)
{
    const AdvTable *t = index->table;
    if (!index->valid || strcmp(index->method, "btree") != 0 || t->kind == 'p' || !t->counted || !widths_known(index))
        return;
    double fraction = 1;
    if (index->predicate)
        fraction = index->rows >= 0 && t->rows > 0 ? fmin(index->rows / t->rows, 1) : 1;
    double needed = adv_index_size(index, fraction).bytes, wasted = index->bytes - needed;
    if (index->bytes < INDEX_FACTOR * needed || wasted < INDEX_WASTE)
        return;
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_REINDEX, t);
    h->index = index->name;
    h->bytes = wasted;
    h->reason = adv_arena_printf(list->arena, "The index %s takes %s; its entries need about %s.", index->name,
                                 adv_format_bytes(list->arena, index->bytes), adv_format_bytes(list->arena, needed));
    h->wrong_if = "the statistics of its columns are old, or the table is about to fill up again";
    adv_health_statement(list, &h->script,
                         adv_arena_printf(list->arena, "REINDEX INDEX CONCURRENTLY %s;", adv_index_sql_name(list->catalog, index)));
}

static double row_width(const AdvTable *t)
{
    double width = 0;
    for (int i = 0; i < t->n_columns; i++) {
        const AdvColumn *c = &t->columns[i];
        if (c->dropped)
            continue;
        if (!c->has_stats)
            return -1;
        width += (1 - c->null_frac) * c->avg_width;
        if (c->align > 1 && c->len > 0)
            width = ceil(width / c->align) * c->align;
    }
    return ceil(width / 8) * 8;
}

static void check_table(AdvHealthList *list, const AdvTable *t)
{
    if ((t->kind != 'r' && t->kind != 'm') || !t->counted || t->persistence == 't')
        return;
    double width = row_width(t);
    if (width < 0)
        return;
    double per_page = fmax(floor(PAGE_ROOM * t->fill_factor / 100 / (width + ROW_HEADER)), 1);
    double needed = ceil(t->rows / per_page) * ADV_BLOCK_SIZE, size = t->pages * ADV_BLOCK_SIZE;
    if (size < TABLE_FACTOR * needed || size - needed < TABLE_WASTE)
        return;
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_TABLE_BLOAT, t);
    h->bytes = size - needed;
    const char *name = adv_table_sql_name(list->catalog, t);
    h->reason = adv_arena_printf(list->arena, "%s takes %s; its %.0f rows need about %s. Scans of the whole table read the rest as well.", name,
                                 adv_format_bytes(list->arena, size), t->rows, adv_format_bytes(list->arena, needed));
    h->wrong_if = "the space is filled again soon, or the statistics are old";
    h->remedy = adv_arena_printf(list->arena, "pg_repack, or VACUUM FULL %s in a maintenance window: it locks the table as long as it copies it. "
                                 "If dead rows cause it, lower autovacuum_vacuum_scale_factor of the table first", name);
}

void adv_health_bloat(AdvHealthList *list)
{
    for (int t = 0; t < list->catalog->n_tables; t++) {
        const AdvTable *table = list->catalog->tables[t];
        check_table(list, table);
        for (int i = 0; i < table->n_indexes; i++)
            check_index(list, table->indexes[i]);
    }
}
