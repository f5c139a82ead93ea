/* SPDX-License-Identifier: ISC */
#include "advisor/cost/sample.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/catalog/stats.h"
#include "advisor/text.h"

#define SAMPLE_PAGES 150.0
#define SAMPLE_ROWS 6000
#define SAMPLE_ROWS_MIN 300
#define CLUSTERED 0.9 /* correlation from which equal values are neighbours */
#define EXPRS_MAX 12  /* of one table */

typedef struct Wanted {
    bool *columns; /* [column - 1] */
    int n_exprs;
    const char *exprs[EXPRS_MAX];
} Wanted;

static void want_expr(Wanted *w, const char *expr)
{
    for (int i = 0; i < w->n_exprs; i++)
        if (strcmp(w->exprs[i], expr) == 0)
            return;
    if (w->n_exprs < EXPRS_MAX)
        w->exprs[w->n_exprs++] = expr;
}

/* B-trees, and GIN on a part of a document, whose keys nothing else counts. Making a tsvector of each row would take long. */
static bool asks_for_sample(const AdvIndex *def)
{
    return strcmp(def->method, "btree") == 0 || (strcmp(def->method, "gin") == 0 && def->keys[0].expr && def->keys[0].expr[0] == '(');
}

static bool find_wanted(AdvArena *arena, const AdvPool *pool, const AdvTable *table, Wanted *w)
{
    bool any = false;
    *w = (Wanted){.columns = ADV_NEW_ARRAY(arena, bool, table->n_columns + 1)};
    for (int i = 0; i < pool->n; i++) {
        const AdvIndex *def = &pool->items[i]->def;
        if (def->table != table || !asks_for_sample(def))
            continue;
        for (int k = 0; k < def->n_keys; k++) {
            const AdvIndexKey *key = &def->keys[k];
            if (!key->column)
                want_expr(w, key->expr);
            else if (def->n_keys > 1 || fabs(adv_column(table, key->column)->correlation) > CLUSTERED)
                w->columns[key->column - 1] = true;
            else
                continue;
            any = true;
        }
    }
    return any;
}

static const char *sample_sql(AdvCatalog *catalog, const AdvTable *table, const Wanted *w)
{
    AdvText sql;
    adv_text_init(&sql, catalog->arena);
    adv_text_add(&sql, "SELECT 0");
    for (int c = 0; c < table->n_columns; c++)
        if (w->columns[c])
            adv_text_addf(&sql, ", pg_catalog.hashtextextended(%s::text, 0)", adv_quote_ident(catalog->arena, table->columns[c].name));
    for (int i = 0; i < w->n_exprs; i++)
        adv_text_addf(&sql, ", pg_catalog.hashtextextended((%s)::text, 0), pg_catalog.pg_column_size(%s), pg_catalog.pg_typeof(%s)::pg_catalog.oid",
                      w->exprs[i], w->exprs[i], w->exprs[i]);
    double percent = table->pages > SAMPLE_PAGES ? 100 * SAMPLE_PAGES / table->pages : 100;
    adv_text_addf(&sql, " FROM %s TABLESAMPLE SYSTEM (%.6f) REPEATABLE (1) LIMIT %d", adv_table_sql_name(catalog, table), percent, SAMPLE_ROWS);
    return adv_text_get(&sql);
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Different values among n, and how many of them are there once. Sorts. */
static double count_distinct(uint64_t *hashes, int n, double *ret_once)
{
    double distinct = 0;
    *ret_once = 0;
    qsort(hashes, (size_t)n, sizeof(*hashes), compare_hashes);
    for (int i = 0; i < n;) {
        int k = i;
        while (k < n && hashes[k] == hashes[i])
            k++;
        distinct++;
        *ret_once += k == i + 1;
        i = k;
    }
    return distinct;
}

/* Of all pairs of rows, those with equal values. Sorted. */
static double equal_pairs(const uint64_t *hashes, int n)
{
    double pairs = 0;
    for (int i = 0; i < n;) {
        int k = i;
        while (k < n && hashes[k] == hashes[i])
            k++;
        pairs += (double)(k - i) * (k - i - 1);
        i = k;
    }
    return n > 1 ? pairs / ((double)n * (n - 1)) : 0;
}

/* As ANALYZE does it (Haas and Stokes): from n rows of `rows` with d different values, f of them seen once. */
static double extrapolate(double n, double d, double f, double rows)
{
    if (n >= rows || f == 0)
        return d;
    return fmin(n * d / (n - f + f * n / rows), rows);
}

static void take_expr(AdvDb *db, AdvTable *table, AdvArena *arena, const char *expr, const AdvRows *rows, int at)
{
    uint64_t *hashes = ADV_NEW_ARRAY(arena, uint64_t, rows->n_rows);
    int n = 0;
    double width = 0, squares = 0;
    const char *type = "0";
    for (int r = 0; r < rows->n_rows; r++) {
        const char *hash = adv_db_cell(rows, r, at), *size = adv_db_cell(rows, r, at + 1), *oid = adv_db_cell(rows, r, at + 2);
        type = oid ? oid : type;
        if (!hash)
            continue;
        hashes[n++] = (uint64_t)strtoll(hash, NULL, 10);
        double bytes = size ? strtod(size, NULL) : 0;
        width += bytes;
        squares += bytes * bytes;
    }
    AdvExprStats stats = {.expr = adv_arena_strdup(arena, expr), .len = -1, .align = 1, .dedup = true};
    stats.null_frac = 1 - (double)n / rows->n_rows;
    stats.avg_width = n ? fmax(width / n - 3, 1) : 8; /* pg_column_size counts four bytes of header, an index stores one */
    stats.variance = n ? fmax(squares / n - width / n * (width / n), 0) : 0;
    double once, distinct = count_distinct(hashes, n, &once);
    stats.distinct = fmax(extrapolate(n, distinct, once, table->rows * (1 - stats.null_frac)), 1) + (stats.null_frac > 0);
    stats.share = fmax(equal_pairs(hashes, n), 1 / stats.distinct) * (1 - stats.null_frac);
    AdvRows types;
    const char *params[] = {type};
    if (!adv_db_query(db, "SELECT typlen, CASE typalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END,"
                          " typname NOT IN ('numeric', 'float4', 'float8', 'jsonb', 'bpchar') FROM pg_catalog.pg_type WHERE oid = $1",
                      1, params, &types)) {
        if (types.n_rows == 1) {
            stats.len = atoi(adv_db_cell(&types, 0, 0));
            stats.align = atoi(adv_db_cell(&types, 0, 1));
            stats.dedup = adv_db_cell(&types, 0, 2)[0] == 't';
        }
        adv_db_free_rows(&types);
    }
    ADV_ROOM(arena, table->exprs, table->n_exprs);
    table->exprs[table->n_exprs++] = stats;
}

/* Where equal values are neighbours a sample of whole pages has all rows of most values that it has at all; ANALYZE's random rows do
 * not, and its estimate comes out too low. */
static void correct_clustered(AdvTable *table, int column, AdvArena *arena)
{
    AdvColumn *c = &table->columns[column - 1];
    const AdvSample *s = table->sample;
    if (fabs(c->correlation) < CLUSTERED || c->n_distinct <= 0)
        return;
    uint64_t *copy = ADV_NEW_ARRAY(arena, uint64_t, s->n_rows);
    memcpy(copy, s->hashes[column - 1], (size_t)s->n_rows * sizeof(*copy));
    double once, ratio = count_distinct(copy, s->n_rows, &once) / s->n_rows;
    if (ratio > 0.04 && ratio * table->rows > c->n_distinct)
        c->n_distinct = ratio * table->rows;
}

static void take(AdvDb *db, AdvCatalog *catalog, AdvTable *table, const Wanted *w, const AdvRows *rows)
{
    AdvArena *arena = catalog->arena;
    AdvSample *s = ADV_NEW(arena, AdvSample);
    s->n_rows = rows->n_rows;
    s->n_columns = table->n_columns;
    s->hashes = ADV_NEW_ARRAY(arena, const uint64_t *, table->n_columns + 1);
    table->sample = s;
    int at = 1;
    for (int c = 0; c < table->n_columns; c++) {
        if (!w->columns[c])
            continue;
        uint64_t *hashes = ADV_NEW_ARRAY(arena, uint64_t, rows->n_rows);
        for (int r = 0; r < rows->n_rows; r++) {
            const char *hash = adv_db_cell(rows, r, at);
            hashes[r] = hash ? (uint64_t)strtoll(hash, NULL, 10) : 1;
        }
        s->hashes[c] = hashes;
        correct_clustered(table, c + 1, arena);
        at++;
    }
    for (int i = 0; i < w->n_exprs; i++)
        take_expr(db, table, arena, w->exprs[i], rows, at + 3 * i);
}

void adv_sample_tables(AdvDb *db, AdvCatalog *catalog, const AdvPool *pool)
{
    for (int t = 0; t < catalog->n_tables; t++) {
        AdvTable *table = catalog->tables[t];
        Wanted w;
        AdvRows rows;
        if (!table->referenced || (table->kind != 'r' && table->kind != 'm') || !find_wanted(catalog->arena, pool, table, &w))
            continue;
        if (adv_db_query(db, sample_sql(catalog, table, &w), 0, NULL, &rows))
            continue; /* not readable, or an expression that fails on some row */
        if (rows.n_rows >= SAMPLE_ROWS_MIN)
            take(db, catalog, table, &w, &rows);
        adv_db_free_rows(&rows);
    }
}

void adv_bound_distinct(AdvCatalog *catalog)
{
    for (int t = 0; t < catalog->n_tables; t++)
        for (int f = 0; f < catalog->tables[t]->n_fks; f++) {
            const AdvForeignKey *fk = catalog->tables[t]->fks[f];
            if (fk->n_columns != 1 || fk->parent->rows < 1 || fk->parent->kind != 'r')
                continue;
            AdvColumn *c = &fk->child->columns[fk->columns[0] - 1];
            if (adv_column_distinct(fk->child, fk->columns[0]) > fk->parent->rows)
                c->n_distinct = fk->parent->rows;
        }
}

const AdvExprStats *adv_table_expr(const AdvTable *table, const char *expr)
{
    for (int i = 0; i < table->n_exprs; i++)
        if (strcmp(table->exprs[i].expr, expr) == 0)
            return &table->exprs[i];
    return NULL;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    a ^= b + UINT64_C(0x9e3779b97f4a7c15) + (a << 6) + (a >> 2);
    return a * UINT64_C(0xff51afd7ed558ccd);
}

static bool is_among(const int *columns, int n, int column)
{
    for (int i = 0; i < n; i++)
        if (columns[i] == column)
            return true;
    return false;
}

/* A foreign key of several columns has no combinations that its parent does not have. */
static double referenced(const AdvTable *table, const int *columns, int n)
{
    double rows = INFINITY;
    for (int f = 0; f < table->n_fks; f++) {
        const AdvForeignKey *fk = table->fks[f];
        bool all = fk->child == table && fk->n_columns == n && fk->parent->rows >= 1;
        for (int i = 0; all && i < fk->n_columns; i++)
            all = is_among(columns, n, fk->columns[i]);
        if (all)
            rows = fmin(rows, fk->parent->rows);
    }
    return rows;
}

double adv_table_distinct(const AdvTable *table, const int *columns, int n, double product)
{
    const AdvSample *s = table->sample;
    product = n < 2 ? product : fmin(product, referenced(table, columns, n));
    if (!s || n < 2)
        return product;
    uint64_t *joint = calloc((size_t)s->n_rows, sizeof(*joint)), *single = calloc((size_t)s->n_rows, sizeof(*single));
    double possible = 1, least = 1, once, result = product;
    bool clustered = false, known = joint && single;
    for (int i = 0; i < n && known; i++) {
        const uint64_t *hashes = s->hashes[columns[i] - 1];
        known = hashes != NULL;
        if (!known)
            break;
        memcpy(single, hashes, (size_t)s->n_rows * sizeof(*single));
        possible *= count_distinct(single, s->n_rows, &once);
        for (int r = 0; r < s->n_rows; r++)
            joint[r] = mix(joint[r], hashes[r]);
        least = fmax(least, adv_column_distinct(table, columns[i]));
        clustered = clustered || fabs(adv_column(table, columns[i])->correlation) > CLUSTERED;
    }
    if (known) {
        double rows = s->n_rows, distinct = count_distinct(joint, s->n_rows, &once);
        /* Independent columns fill most of the combinations, as far as the sample has rows for them. */
        if (distinct < 0.9 * possible * (1 - exp(-rows / possible))) {
            result = extrapolate(rows, distinct, once, table->rows);
            if (clustered)
                result = fmax(result, distinct / rows * table->rows);
            result = fmin(fmax(result, least), product);
        }
    }
    free(joint);
    free(single);
    return result;
}
