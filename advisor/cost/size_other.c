/* SPDX-License-Identifier: ISC */
/* size_other.c - sizes of indexes that are no b-trees: hash, BRIN, GIN. */
#include <math.h>

#include "advisor/catalog/stats.h"
#include "advisor/cost/sample.h"
#include "advisor/cost/size.h"

#define EXPR_BOX 40.0 /* bytes of what an expression makes of coordinates: a box, a cube */
#define PAGE 8192.0
#define PAGES_PER_RANGE 128.0
#define HASH_ITEM 20.0 /* header, code and line pointer */
#define ELEMENTS_ALL 300.0 /* ANALYZE lists up to 1,000 */
#define ELEMENTS_FULL 900.0 /* of a tsvector ANALYZE lists up to 1,000 words */
#define WORD_BYTES 14.0 /* of a tsvector: entry, letters, places */
#define VOCABULARY_POWER 0.8 /* more text brings new words, names and numbers, ever fewer */
#define HASH_FILL (PAGE * 0.75)

/* Buckets come in powers of two, from 1024 on in quarters of one; all are made at once. */
static double hash_pages(const AdvIndex *index, double rows)
{
    double per_bucket = floor(HASH_FILL / HASH_ITEM);
    double wanted = fmax(ceil(rows / per_bucket), 2), buckets = 2;
    while (buckets < wanted)
        buckets *= 2;
    if (buckets >= 1024)
        for (int quarter = 1; quarter < 4; quarter++)
            if (buckets / 2 * (1 + quarter / 4.0) >= wanted) {
                buckets = buckets / 2 * (1 + quarter / 4.0);
                break;
            }
    /* A value with more rows than a page holds needs pages behind its bucket. */
    const AdvColumn *c = index->keys[0].column ? adv_column(index->table, index->keys[0].column) : NULL;
    double on_page = floor((PAGE - 40) / HASH_ITEM), overflow = 0;
    for (int i = 0; c && i < c->n_mcv; i++)
        overflow += floor(c->mcf[i] * rows / on_page);
    double distinct = c ? adv_column_distinct(index->table, index->keys[0].column) : rows;
    double group = rows / fmax(fmin(distinct, rows), 1);
    if (distinct < buckets && group > on_page)
        overflow = fmax(overflow, distinct * floor(group / on_page));
    else if (rows / buckets > 0.85 * on_page)
        overflow += buckets * 0.2; /* chance fills some buckets more than others */
    return buckets + overflow + 2;
}

static double brin_pages(const AdvIndex *index)
{
    double tuple = 16;
    for (int i = 0; i < index->n_keys; i++)
        tuple += 2 * (index->keys[i].column ? fmax(adv_column(index->table, index->keys[i].column)->avg_width, 4) : 8);
    double ranges = ceil(fmax(index->table->pages, 1) / PAGES_PER_RANGE);
    return 2 + ceil(ranges / 1360) - 1 + ceil(ranges * (ceil(tuple / 8) * 8 + 4) / (PAGE - 40));
}

/* Keys that one row brings into a GIN index, and how many different ones there are. */
static double gin_keys(const AdvIndex *index, double rows, double *ret_distinct)
{
    const AdvColumn *c = index->keys[0].column ? adv_column(index->table, index->keys[0].column) : NULL;
    const char *opclass = index->keys[0].opclass ? index->keys[0].opclass : "";
    double width = c ? c->avg_width : 32;
    if (strcmp(opclass, "gin_trgm_ops") == 0) {
        *ret_distinct = fmin(rows * width, 12000);
        return width + 2;
    }
    if (c && c->n_elements > 0) {
        *ret_distinct = fmax(c->elements_distinct, 1);
        return c->n_elements;
    }
    bool words = c && strcmp(c->base_type, "tsvector") == 0;
    double all = fmax(width / WORD_BYTES, 1);
    /* A short list of common words is the list of all, when the values are no wider than that. */
    if (c && c->elements_common > 0 && c->elements_distinct < ELEMENTS_ALL && (!words || all < 2 * c->elements_common)) {
        *ret_distinct = fmax(c->elements_distinct, 1);
        return fmax(c->elements_common, 1);
    }
    if (words) {
        /* With the list not full, what is not on it is in next to no other row: names, numbers. */
        bool rare_only = c->elements_common > 0 && c->elements_distinct < ELEMENTS_FULL;
        double rest = rare_only ? adv_column_distinct(index->table, index->keys[0].column) : pow(rows * all, VOCABULARY_POWER);
        *ret_distinct = fmax(c->elements_distinct, rest);
        return all;
    }
    const AdvExprStats *e = c ? NULL : adv_table_expr(index->table, index->keys[0].expr);
    width = e ? e->avg_width : width;
    bool path = strcmp(opclass, "jsonb_path_ops") == 0;
    double keys = fmax(width / (path ? 20 : 12), 1), rare = 1 - (c ? c->null_frac : 0);
    if (e) {
        *ret_distinct = fmax(fmin(e->distinct * keys, rows * keys), 1);
        return keys * (1 - e->null_frac);
    }
    /* Documents that many rows have alike bring no new keys. */
    for (int i = 0; c && i < c->n_mcv; i++)
        rare -= c->mcf[i];
    *ret_distinct = fmax(rows * fmax(rare, 0) + (c ? c->n_mcv * keys : 0), 1);
    return keys * (1 - (c ? c->null_frac : 0));
}

/* Posting lists hold distances between rows, in as few bytes as they need: two for neighbours, more for rare keys. */
static double gin_pages(const AdvIndex *index, double rows)
{
    double distinct, keys = gin_keys(index, rows, &distinct);
    double postings = rows * keys, each = postings / distinct;
    double gap = fmax(rows / fmax(each, 1), 1) / 50 * 2048;
    double bytes = fmin(fmax(ceil(log2(fmax(gap, 2)) / 7), 1), 6);
    /* Most keys are in many rows; those in one take an entry each, on pages that were split in halves. */
    double entry = 24 + (index->keys[0].opclass ? 8 : 24);
    return 2 + ceil((fmax(postings - distinct, 0) * bytes * 1.5 + distinct * entry * 1.4) / (PAGE - 100));
}

/* Bytes of a key as GiST keeps it: of a point the box around it. */
static double gist_key(const AdvIndex *index, const AdvIndexKey *key)
{
    const AdvColumn *c = key->column ? adv_column(index->table, key->column) : NULL;
    if (!c || strcmp(c->base_type, "point") == 0)
        return EXPR_BOX;
    return ceil(fmax(c->avg_width, 8) / 8) * 8;
}

/* Every value with the box around it on inner pages; pages that were split are two thirds full, with ranges, which overlap, little more than half. */
static double gist_pages(const AdvIndex *index, double rows)
{
    double tuple = 8 + 4, fill = 0.67;
    for (int i = 0; i < index->n_keys; i++) {
        tuple += gist_key(index, &index->keys[i]);
        if (index->keys[i].column && adv_column(index->table, index->keys[i].column)->category == 'R')
            fill = 0.55;
    }
    double leaves = ceil(rows * tuple / ((PAGE - 40) * fill));
    return leaves + ceil(leaves * tuple / ((PAGE - 40) * fill)) + 1;
}

static AdvSize one_size(const AdvIndex *index, double fraction)
{
    double rows = fmax(index->table->rows * fraction, 1), pages;
    if (strcmp(index->method, "hash") == 0)
        pages = hash_pages(index, rows);
    else if (strcmp(index->method, "brin") == 0)
        pages = brin_pages(index);
    else if (strcmp(index->method, "gin") == 0)
        pages = gin_pages(index, rows);
    else if (strcmp(index->method, "gist") == 0)
        pages = gist_pages(index, rows);
    else
        return adv_btree_size(index, fraction);
    return (AdvSize){.bytes = pages * PAGE, .pages = pages, .leaf_pages = pages};
}

/* Each partition has an index of its own, with keys that other partitions have too. Its values are taken to be spread as in the whole. */
static void add_parts(const AdvIndex *index, const AdvTable *table, double fraction, AdvSize *size)
{
    for (int i = 0; i < table->n_children; i++) {
        const AdvTable *part = table->children[i];
        if (part->kind == 'p') {
            add_parts(index, part, fraction, size);
            continue;
        }
        AdvTable alike = *index->table;
        AdvIndex def = *index;
        def.table = &alike;
        alike.rows = part->rows;
        alike.pages = part->pages;
        AdvSize more = one_size(&def, fraction);
        size->bytes += more.bytes;
        size->pages += more.pages;
        size->leaf_pages += more.leaf_pages;
        size->height = more.height > size->height ? more.height : size->height;
    }
}

AdvSize adv_index_size(const AdvIndex *index, double fraction)
{
    AdvSize size = {0};
    if (index->table->kind == 'p')
        add_parts(index, index->table, fraction, &size);
    return size.pages > 0 ? size : one_size(index, fraction);
}
