/* SPDX-License-Identifier: ISC */
/* foreign_keys.c - foreign keys whose table has no index on the referencing columns, where that hurts. */
#include "advisor/candidate/generate.h"
#include "advisor/cost/size.h"
#include "advisor/health/health.h"
#include "advisor/select/redundant.h"

#define BIG_PAGES 1280.0 /* 10 MB: one look at the whole table is felt */

static bool has_index(const AdvHealthList *list, const AdvForeignKey *fk)
{
    for (int i = 0; i < fk->child->n_indexes; i++)
        if (fk->child->indexes[i]->valid && adv_index_begins_with_fk(fk->child->indexes[i], fk))
            return true;
    for (int i = 0; i < list->n_advised; i++)
        if (list->advised[i]->def.table == fk->child && adv_index_begins_with_fk(&list->advised[i]->def, fk))
            return true;
    return false;
}

/* Another finding of this list already asks for the same columns. */
static bool is_found(const AdvHealthList *list, const AdvForeignKey *fk)
{
    for (int i = 0; i < list->n; i++) {
        const AdvHealth *h = &list->items[i];
        bool same = h->kind == ADV_HEALTH_FK_WITHOUT_INDEX && h->table == fk->child && h->n_columns == fk->n_columns;
        for (int c = 0; same && c < fk->n_columns; c++)
            same = h->columns[c] == fk->columns[c];
        if (same)
            return true;
    }
    return false;
}

static bool workload_removes(const AdvHealthList *list, const AdvTable *parent)
{
    for (int i = 0; i < list->workload->n_queries; i++) {
        const AdvFacts *facts = list->workload->queries[i]->facts;
        if (facts && facts->written == parent && facts->kind == ADV_STMT_DELETE)
            return true;
    }
    return false;
}

static bool is_side(const AdvFacts *facts, int rel, int column, const AdvTable *table, const int *columns, int n)
{
    for (int i = 0; rel >= 0 && i < n; i++)
        if (facts->rels[rel].table == table && columns[i] == column)
            return true;
    return false;
}

static bool workload_joins(const AdvHealthList *list, const AdvForeignKey *fk)
{
    for (int i = 0; i < list->workload->n_queries; i++) {
        const AdvFacts *f = list->workload->queries[i]->facts;
        for (int j = 0; f && j < f->n_joins; j++)
            if (is_side(f, f->joins[j].rel_a, f->joins[j].column_a, fk->child, fk->columns, fk->n_columns) ||
                is_side(f, f->joins[j].rel_b, f->joins[j].column_b, fk->child, fk->columns, fk->n_columns))
                return true;
    }
    return false;
}

static void report(AdvHealthList *list, const AdvForeignKey *fk, bool removes, bool joins)
{
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_FK_WITHOUT_INDEX, fk->child);
    h->n_columns = fk->n_columns;
    h->columns = fk->columns;
    AdvIndex def = {.table = fk->child, .method = "btree", .n_keys = fk->n_columns, .valid = true};
    def.keys = ADV_NEW_ARRAY(list->arena, AdvIndexKey, fk->n_columns);
    for (int i = 0; i < fk->n_columns; i++)
        def.keys[i].column = fk->columns[i];
    h->index = adv_index_new_name(list->catalog, &def, list->names->items, list->names->n);
    h->bytes = adv_index_size(&def, 1).bytes;
    h->confidence = removes ? ADV_CONFIDENCE_HIGH : joins ? ADV_CONFIDENCE_MEDIUM : ADV_CONFIDENCE_LOW;
    const char *child = adv_table_sql_name(list->catalog, fk->child), *parent = adv_table_sql_name(list->catalog, fk->parent);
    const char *seen = removes && fk->parent->deleted > 0
                           ? adv_arena_printf(list->arena, "%.0f rows were deleted there since the statistics began", fk->parent->deleted)
                       : removes ? "this workload deletes there"
                       : joins   ? "this workload joins the two"
                                 : "no such delete was seen yet, but the table is large";
    const char *all = list->catalog->assumed ? "all" : adv_arena_printf(list->arena, "all %.0f", fk->child->rows);
    h->reason = adv_arena_printf(list->arena, "Each DELETE (or change of the key) in %s makes the server read %s rows of %s for the "
                                 "foreign key %s: %s.", parent, all, child, fk->name, seen);
    h->wrong_if = removes ? "the deletes happen once, or together with all rows that refer to them"
                          : "rows of the referenced table are never deleted";
    adv_script_create(&h->script, list->catalog, &def, h->index, list->names);
    const AdvIndex named = {.table = fk->child, .name = h->index};
    adv_script_drop(&h->undo, list->catalog, &named);
}

void adv_health_foreign_keys(AdvHealthList *list)
{
    for (int t = 0; t < list->catalog->n_tables; t++) {
        const AdvTable *table = list->catalog->tables[t];
        for (int i = 0; i < table->n_fks; i++) {
            const AdvForeignKey *fk = table->fks[i];
            if (table->is_partition || (table->kind == 'r' && adv_table_is_small(table)) || has_index(list, fk) || is_found(list, fk))
                continue;
            bool removes = fk->parent->deleted > 0 || workload_removes(list, fk->parent), joins = workload_joins(list, fk);
            if (removes || joins || table->pages >= BIG_PAGES)
                report(list, fk, removes, joins);
        }
    }
}
