/* SPDX-License-Identifier: ISC */
#include "advisor/cost/size.h"

#include <math.h>

#include "advisor/catalog/stats.h"

/* A page of 8192 bytes: 24 of header, 16 of b-tree data at the end. CREATE INDEX leaves a tenth free. */
#define PAGE_USABLE (8192.0 - 24 - 16)
#define LEAF_FILL (PAGE_USABLE - 8192.0 * 0.10)
#define LINE_POINTER 4.0
#define TUPLE_HEADER 8.0
#define TID 6.0
#define POSTING_MAX 808.0 /* bytes of one tuple with a posting list, when the index is built */

static double align(double n, int to)
{
    return ceil(n / to) * to;
}

static double add_column(double at, const AdvTable *table, int column)
{
    const AdvColumn *c = adv_column(table, column);
    if (c->len > 0)
        return align(at, c->align) + c->len;
    /* A short varlena has a header of one byte and no alignment; avg_width counts that byte. */
    double width = fmax(c->avg_width, 2);
    return width <= 127 ? at + width : align(at, 4) + width + 3;
}

static double expr_width(const AdvIndex *index, const AdvIndexKey *key)
{
    /* lower(x) is as wide as x; of other expressions nothing is known. */
    (void)index;
    return strchr(key->expr, '(') ? 17 : 9;
}

AdvSize adv_index_size(const AdvIndex *index, double fraction)
{
    const AdvTable *table = index->table;
    double rows = fmax(table->rows * fraction, 1);
    double data = 0, key_data = 0, distinct = 1, not_null = 1;
    bool dedup = index->n_include == 0;
    bool nullable = false;
    for (int i = 0; i < index->n_keys; i++) {
        const AdvIndexKey *key = &index->keys[i];
        if (!key->column) {
            data += expr_width(index, key);
            distinct *= 200;
            continue;
        }
        const AdvColumn *c = adv_column(table, key->column);
        data = add_column(data, table, key->column);
        dedup = dedup && c->dedup;
        nullable = nullable || c->null_frac > 0;
        not_null = fmin(not_null, 1 - c->null_frac);
        distinct *= adv_column_distinct(table, key->column) + (c->null_frac > 0);
    }
    key_data = data;
    for (int i = 0; i < index->n_include; i++) {
        data = add_column(data, table, index->include[i]);
        nullable = nullable || adv_column(table, index->include[i])->null_frac > 0;
    }
    /* Only tuples that hold a NULL carry a bitmap: 8 more bytes for up to 32 columns. The null's own bytes go. */
    double header = TUPLE_HEADER + (nullable ? 8 * (1 - not_null) : 0);
    if (index->n_keys == 1 && nullable)
        data *= not_null;
    double tuple = align(header + data, 8);
    distinct = fmin(distinct, rows);

    double leaf_bytes;
    double group = rows / distinct;
    if (dedup && group > 1.2) {
        /* Equal keys share one tuple with a list of row addresses, cut into pieces of POSTING_MAX. */
        double per_tuple = fmax(floor((POSTING_MAX - tuple) / TID), 1);
        double tuples = ceil(group / per_tuple) * distinct;
        leaf_bytes = tuples * (tuple + LINE_POINTER + 1) + rows * TID;
        leaf_bytes = fmin(leaf_bytes, rows * (tuple + LINE_POINTER));
    } else {
        leaf_bytes = rows * (tuple + LINE_POINTER);
    }
    AdvSize size = {0};
    size.leaf_pages = fmax(ceil(leaf_bytes / (LEAF_FILL - tuple / 2)), 1);
    /* Inner pages hold keys without INCLUDE columns, cut to what separates (about as wide), filled to 70 %. */
    double fanout = fmax(PAGE_USABLE * 0.70 / (align(TUPLE_HEADER + key_data, 8) + LINE_POINTER), 2);
    double level = size.leaf_pages;
    size.pages = size.leaf_pages + 1; /* the meta page */
    while (level > 1) {
        level = ceil(level / fanout);
        size.pages += level;
        size.height++;
    }
    size.bytes = size.pages * 8192;
    return size;
}
