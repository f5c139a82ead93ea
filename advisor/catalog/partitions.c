/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/partitions.h"

#include <math.h>

static bool has_statistics(const AdvTable *t)
{
    for (int c = 0; c < t->n_columns; c++)
        if (t->columns[c].has_stats)
            return true;
    return false;
}

const AdvTable *adv_largest_partition(const AdvTable *table)
{
    const AdvTable *largest = NULL;
    for (int i = 0; i < table->n_children; i++) {
        const AdvTable *leaf = table->children[i]->kind == 'p' ? adv_largest_partition(table->children[i]) : table->children[i];
        if (leaf && (!largest || leaf->rows > largest->rows))
            largest = leaf;
    }
    return largest;
}

/* Its own counters are zero, or as old as the last ANALYZE of all of it. */
static void sum_up(AdvTable *t)
{
    double rows = 0, pages = 0, visible = 0;
    t->inserted = t->updated = t->hot_updated = t->deleted = t->live = 0;
    for (int i = 0; i < t->n_children; i++) {
        AdvTable *child = t->children[i];
        if (child->kind == 'p')
            sum_up(child);
        rows += fmax(child->rows, 0);
        pages += fmax(child->pages, 0);
        visible += fmax(child->all_visible, 0);
        t->inserted += child->inserted;
        t->updated += child->updated;
        t->hot_updated += child->hot_updated;
        t->deleted += child->deleted;
        t->live += child->live;
    }
    t->pages = pages;
    t->all_visible = fmin(visible, pages);
    if (rows > 0 || t->rows < 0)
        t->rows = rows;
}

/* Columns may stand in another place in a partition. Values that a partition has are taken for those of all: as many or more there are. */
static void borrow(AdvTable *t, const AdvTable *from)
{
    for (int c = 0; c < t->n_columns; c++) {
        AdvColumn *mine = &t->columns[c];
        int place = mine->dropped ? 0 : adv_table_column(from, mine->name);
        if (place == 0 || !from->columns[place - 1].has_stats)
            continue;
        const AdvColumn *theirs = &from->columns[place - 1];
        mine->has_stats = t->borrowed_stats = true;
        mine->null_frac = theirs->null_frac;
        mine->avg_width = theirs->avg_width;
        mine->n_distinct = theirs->n_distinct;
        mine->correlation = theirs->correlation;
        mine->n_mcv = theirs->n_mcv;
        mine->mcv = theirs->mcv;
        mine->mcf = theirs->mcf;
        mine->n_hist = theirs->n_hist;
        mine->hist = theirs->hist;
        mine->n_elements = theirs->n_elements;
        mine->elements_distinct = theirs->elements_distinct;
        mine->elements_common = theirs->elements_common;
    }
}

void adv_sum_up_partitions(AdvCatalog *catalog)
{
    for (int i = 0; i < catalog->n_tables; i++) {
        AdvTable *t = catalog->tables[i];
        if (t->kind != 'p')
            continue;
        sum_up(t);
        const AdvTable *largest = has_statistics(t) ? NULL : adv_largest_partition(t);
        if (largest)
            borrow(t, largest);
    }
}
