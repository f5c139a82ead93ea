/* SPDX-License-Identifier: ISC */
/* size.c - how large a b-tree really becomes, by the rules of PostgreSQL's nbtsort.c.
 *
 * Tuples are added to a leaf until its free space falls below a tenth of the page; the last one then moves to the next leaf, and its key
 * stays as the high key. Equal keys share one tuple with a list of row addresses, which may be cut off the high key and therefore does not
 * count as used space. */
#include "advisor/cost/size.h"

#include <math.h>

#include "advisor/catalog/stats.h"

#define PAGE_USABLE (8192.0 - 24 - 16) /* without header and b-tree data */
#define LEAF_FREE 819.0                /* fill factor 90 */
#define LINE_POINTER 4.0
#define TUPLE_HEADER 8.0
#define TID 6.0
#define POSTING_MAX 808.0 /* bytes of one tuple with a posting list, when the index is built */
#define EXPR_DISTINCT 200.0 /* as the planner assumes */
#define STATISTICS_TARGET 100.0 /* default_statistics_target as it is shipped */
#define SAMPLED_ROWS 300.0      /* by ANALYZE for each of the target */
#define CLUSTERED 0.9           /* correlation from which equal values are neighbours */
#define PRODUCT_MAX 1e30    /* of 32 columns it would leave all bounds */

static double align(double n, int to)
{
    return ceil(n / to) * to;
}

/* Bytes of a value in an index, from its text; -1: not told by the text. */
static double value_width(const AdvColumn *c, const char *text)
{
    if (c->category == 'S' && strcmp(c->base_type, "char") != 0)
        return (double)strlen(text) + 1;
    if (strcmp(c->base_type, "numeric") != 0)
        return -1;
    /* Groups of four digits on either side of the point, two bytes each, without zeroes at the ends. */
    const char *digits = text + (*text == '-');
    size_t whole = strcspn(digits, "."), zeroes = strspn(digits, "0");
    size_t fraction = digits[whole] == '.' ? strlen(digits + whole + 1) : 0;
    while (fraction > 0 && digits[whole + fraction] == '0')
        fraction--;
    size_t groups = (whole > zeroes ? (whole - zeroes + 3) / 4 : 0) + (fraction + 3) / 4;
    return 3 + 2 * (double)groups;
}

/* A tuple's data while it is put together: bytes and how much they differ from row to row. */
typedef struct Data {
    double at;
    double variance;
} Data;

/* avg_width is cut to whole bytes and says nothing of the spread; the values in pg_stats do. */
static void add_varlena(Data *d, const AdvColumn *c, double share)
{
    double n = 0, sum = 0, squares = 0, width = fmax(c->avg_width, 2);
    for (int i = 0; i < c->n_hist + c->n_mcv; i++) {
        double w = value_width(c, i < c->n_hist ? c->hist[i] : c->mcv[i - c->n_hist]);
        if (w < 0)
            break;
        double weight = i < c->n_hist ? 1 : c->mcf[i - c->n_hist] * 100;
        n += weight;
        sum += w * weight;
        squares += w * w * weight;
    }
    double mean = n > 0 ? sum / n : width, variance = n > 0 ? fmax(squares / n - mean * mean, 0) : 0;
    if (n > 0 && fabs(mean - width) < 2)
        width = mean;
    /* A short varlena has a header of one byte and no alignment; avg_width counts that byte. */
    d->at = share * (width <= 127 ? d->at + width : align(d->at, 4) + width + 3) + (1 - share) * d->at;
    d->variance += share * variance;
}

static void add_column(Data *d, const AdvTable *table, int column, bool alone)
{
    const AdvColumn *c = adv_column(table, column);
    double share = alone ? 1 : 1 - c->null_frac; /* a NULL takes no room among others */
    if (c->len > 0)
        d->at = share * (align(d->at, c->align) + c->len) + (1 - share) * d->at;
    else
        add_varlena(d, c, share);
}

/* Average of the sizes, each rounded up to 8, when they are spread around the mean. */
static double aligned(double mean, double variance)
{
    static const double z[] = {-1.6, -1, -0.6, -0.2, 0.2, 0.6, 1, 1.6};
    double sum = 0;
    if (variance < 0.1)
        return align(mean - 1e-6, 8);
    for (size_t i = 0; i < PW_ARRAY_LEN(z); i++)
        sum += align(mean + z[i] * sqrt(variance), 8);
    return sum / (double)PW_ARRAY_LEN(z);
}

/* The column that an expression key is made of: the longest name that occurs in it. */
static int expr_column(const AdvTable *table, const char *expr)
{
    int found = 0;
    size_t longest = 0;
    for (int c = 1; c <= table->n_columns; c++) {
        const char *name = adv_column(table, c)->name;
        if (strlen(name) > longest && strstr(expr, name)) {
            found = c;
            longest = strlen(name);
        }
    }
    return found;
}

/* Values of a text function are at most as long and as many as the column's. */
static bool keeps_values(const char *expr)
{
    static const char *const names[] = {"lower(", "upper(", "btrim(", "ltrim(", "rtrim(", "reverse(", "replace("};
    for (size_t i = 0; i < PW_ARRAY_LEN(names); i++)
        if (strncmp(expr, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* pg_stats knows nothing of expressions: lower(x) is as x, a day or month is one of some hundreds, and what a JSON key holds
 * may be different in every row (the larger guess: a budget must hold). */
static double add_expr(Data *d, const AdvTable *table, const AdvIndexKey *key)
{
    const AdvExprStats *known = adv_table_expr(table, key->expr);
    int column = expr_column(table, key->expr);
    if (known) {
        d->at = known->len > 0 ? align(d->at, known->align) + known->len : d->at + known->avg_width;
        d->variance += known->len > 0 ? 0 : known->variance;
        return known->distinct;
    }
    if (column && keeps_values(key->expr)) {
        add_column(d, table, column, true);
        return adv_column_distinct(table, column);
    }
    if (strncmp(key->expr, "md5(", 4) == 0) {
        d->at += 33;
        return column ? adv_column_distinct(table, column) : table->rows;
    }
    if (strstr(key->expr, "->>")) {
        d->at += 8;
        return fmax(table->rows, 1);
    }
    if (strstr(key->expr, "::date"))
        d->at = align(d->at, 4) + 4;
    else if (strncmp(key->expr, "date_trunc(", 11) == 0)
        d->at = align(d->at, 8) + 8;
    else
        d->at += strchr(key->expr, '(') ? 17 : 9;
    return EXPR_DISTINCT;
}

/* What the leaves hold. */
typedef struct Leaves {
    double tuple; /* bytes of a tuple with one address */
    double tuples;
    double bytes; /* of all tuples with their line pointers */
    double lists; /* of them: what a high key does not keep */
} Leaves;

/* `n` groups of `group` rows with equal keys. */
static void add_groups(Leaves *l, double n, double group)
{
    double most = fmax(floor((POSTING_MAX - l->tuple) / TID), 1);
    double full = floor(group / most), rest = group - full * most;
    double list = align(l->tuple + most * TID, 8);
    l->tuples += n * full;
    l->bytes += n * full * (list + LINE_POINTER);
    l->lists += n * full * (list - l->tuple);
    if (rest < 0.5)
        return;
    double size = rest < 1.5 ? l->tuple : align(l->tuple + rest * TID, 8);
    l->tuples += n;
    l->bytes += n * (size + LINE_POINTER);
    l->lists += n * (size - l->tuple);
}

/* Groups of `mean` rows on average: as many rows fall on each key as chance has it, at least one. */
static void add_random_groups(Leaves *l, double n, double mean)
{
    if (mean > 40) {
        add_groups(l, n, mean);
        return;
    }
    /* The mean of a Poisson distribution without its zero is lambda / (1 - e^-lambda). */
    double lambda = mean;
    for (int i = 0; i < 30; i++)
        lambda = mean * (1 - exp(-lambda));
    if (lambda < 0.01) {
        add_groups(l, n, 1);
        return;
    }
    double p = exp(-lambda), all = 1 - p;
    for (int k = 1; k < 100; k++) {
        p *= lambda / k;
        add_groups(l, n * p / all, k);
    }
}

/* What ANALYZE's estimate (Haas and Stokes) makes of a sample of a column whose values are drawn at random from `domain`. */
static double analyzed(double domain, double rows, double sample)
{
    double each = sample / domain, distinct = domain * (1 - exp(-each)), once = sample * exp(-each);
    return sample * distinct / (sample - once + once * sample / rows);
}

/* ANALYZE finds too few of the values that a foreign key or a name typically has, a few rows each as chance has it: its estimate is right
 * for values with equally many rows. Which domain would have led to the estimate? */
static double drawn_distinct(const AdvTable *table, int column)
{
    const AdvColumn *c = adv_column(table, column);
    double found = adv_column_distinct(table, column), rows = table->rows * (1 - c->null_frac);
    double target = fmax(fmax(c->n_mcv, c->n_hist - 1), STATISTICS_TARGET), sample = SAMPLED_ROWS * target * (1 - c->null_frac);
    if (!c->has_stats || c->declared || rows < 1.05 * sample || found < 2 * target || found > 0.9 * rows || fabs(c->correlation) > CLUSTERED)
        return found;
    double low = found, high = 1000 * rows, most = INFINITY;
    for (int f = 0; f < table->n_fks; f++)
        if (table->fks[f]->child == table && table->fks[f]->n_columns == 1 && table->fks[f]->columns[0] == column && table->fks[f]->parent->rows >= 1)
            most = fmax(table->fks[f]->parent->rows, found);
    for (int i = 0; i < 60; i++) {
        double middle = sqrt(low * high);
        if (analyzed(middle, rows, sample) < found)
            low = middle;
        else
            high = middle;
    }
    return fmax(found, fmin(low, most) * (1 - exp(-rows / fmin(low, most))));
}

/* Common values of a lone column have a group each; the others share what is left. */
static void add_column_groups(Leaves *l, const AdvTable *table, int column, double rows, double distinct)
{
    const AdvColumn *c = adv_column(table, column);
    double common = 0;
    for (int i = 0; i < c->n_mcv; i++) {
        add_groups(l, 1, fmax(c->mcf[i] * rows, 1));
        common += c->mcf[i];
    }
    double rest = rows * (1 - common - c->null_frac), others = distinct - c->n_mcv;
    if (rest > 0.001 * rows && others >= 1)
        add_random_groups(l, fmin(others, rest), fmax(rest / others, 1));
}

static double leaf_pages(const Leaves *l)
{
    double item = l->bytes / fmax(l->tuples, 1), list = l->lists / fmax(l->tuples, 1);
    /* The leaf is full when the next tuple does not fit, or when less than the reserve is free. */
    double room = PAGE_USABLE - LINE_POINTER;
    double stop = fmax(item + 4, LEAF_FREE - list);
    double fit = list > 0 ? (room - stop) / item + 0.5 : floor((room - stop) / item) + 1;
    return fmax(ceil(l->tuples / fmax(fit - 1, 1)), 1);
}

/* Columns that depend on each other have fewer combinations than their numbers say; 1: they do not, as far as known. */
static double dependence(const AdvIndex *index, double product)
{
    int columns[ADV_SAMPLE_KEYS_MAX], n = 0;
    for (int i = 0; i < index->n_keys && n < ADV_SAMPLE_KEYS_MAX; i++)
        if (index->keys[i].column)
            columns[n++] = index->keys[i].column;
    if (n < index->n_keys || n < 2)
        return 1;
    return adv_table_distinct(index->table, columns, n, product) / product;
}

/* Keys that are about equally frequent: `keys` of them share `share` of the rows. */
typedef struct Class {
    double share;
    double keys;
} Class;

#define CLASSES_MAX 48

/* The column's values by frequency: the most common ones alone, the next ones together, the rest. */
static int column_classes(const AdvTable *table, const AdvIndexKey *key, double distinct, Class *classes)
{
    if (!key->column) {
        classes[0] = (Class){1, distinct};
        return 1;
    }
    const AdvColumn *c = adv_column(table, key->column);
    double left = 1, keys = distinct;
    int n = 0;
    for (int i = 0; i < c->n_mcv && i < 3; i++) {
        classes[n++] = (Class){c->mcf[i], 1};
        left -= c->mcf[i];
        keys--;
    }
    double common = 0;
    for (int i = 3; i < c->n_mcv; i++)
        common += c->mcf[i];
    if (c->n_mcv > 3) {
        classes[n++] = (Class){common, c->n_mcv - 3};
        left -= common;
        keys -= c->n_mcv - 3;
    }
    if (left > 0.001 && keys >= 1)
        classes[n++] = (Class){left, keys};
    return n;
}

/* Several columns: their classes multiplied; chance decides which combinations there are. */
static void add_combinations(Leaves *l, const AdvIndex *index, double rows, const double *distinct, double factor)
{
    Class all[CLASSES_MAX] = {{1, factor}}, next[CLASSES_MAX];
    int n = 1;
    for (int k = 0; k < index->n_keys; k++) {
        Class mine[5];
        int m = column_classes(index->table, &index->keys[k], distinct[k], mine), made = 0;
        if (n * m > CLASSES_MAX) {
            m = 1;
            mine[0] = (Class){1, distinct[k]};
        }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < m; j++)
                next[made++] = (Class){all[i].share * mine[j].share, all[i].keys * mine[j].keys};
        n = made;
        memcpy(all, next, (size_t)n * sizeof(*all));
    }
    for (int i = 0; i < n; i++) {
        double share = all[i].share * rows, keys = fmax(all[i].keys, 1);
        /* Dependent columns were counted: those combinations all exist. */
        double there = factor < 0.999 ? fmin(keys, share) : keys * (1 - exp(-share / keys));
        if (share >= 0.5)
            add_random_groups(l, fmax(there, 1e-3), fmax(share / fmax(there, 1e-3), 1));
    }
}

/* The b-tree's tuple and what its keys are made of. */
typedef struct Shape {
    double tuple, key_tuple; /* with and without the INCLUDE columns */
    bool dedup;
    bool unique; /* nearly: there is nothing to share */
    double distinct[32];
    double product;
} Shape;

static Shape shape_of(const AdvIndex *index)
{
    const AdvTable *table = index->table;
    Data data = {0};
    Shape s = {.dedup = index->n_include == 0, .product = 1};
    double not_null = 1;
    bool alone = index->n_keys + index->n_include == 1;
    for (int i = 0; i < index->n_keys && i < 32; i++) {
        const AdvIndexKey *key = &index->keys[i];
        if (!key->column) {
            const AdvExprStats *known = adv_table_expr(table, key->expr);
            s.distinct[i] = add_expr(&data, table, key);
            s.dedup = s.dedup && (!known || known->dedup);
        } else {
            const AdvColumn *c = adv_column(table, key->column);
            add_column(&data, table, key->column, alone);
            s.dedup = s.dedup && c->dedup;
            not_null *= 1 - c->null_frac;
            s.distinct[i] = alone ? drawn_distinct(table, key->column) : adv_column_distinct(table, key->column) + (c->null_frac > 0);
        }
        s.product = fmin(s.product * s.distinct[i], PRODUCT_MAX);
        s.unique = s.unique || s.distinct[i] >= 0.9 * table->rows;
    }
    s.key_tuple = align(TUPLE_HEADER + data.at, 8);
    for (int i = 0; i < index->n_include; i++) {
        add_column(&data, table, index->include[i], false);
        not_null *= 1 - adv_column(table, index->include[i])->null_frac;
    }
    /* Only tuples that hold a NULL carry a bitmap: 8 more bytes for up to 32 columns. */
    s.tuple = aligned(TUPLE_HEADER + data.at, data.variance) + (alone ? 0 : 8 * (1 - not_null));
    return s;
}

AdvSize adv_btree_size(const AdvIndex *index, double fraction)
{
    double rows = fmax(index->table->rows * fraction, 1);
    Shape shape = shape_of(index);
    Leaves leaves = {.tuple = shape.tuple};
    bool alone = index->n_keys == 1 && index->n_include == 0 && index->keys[0].column;
    double nulls = alone ? rows * adv_column(index->table, index->keys[0].column)->null_frac : 0;
    if (shape.dedup && alone) {
        /* The rows of a partial index are spread over the values like all the others: a key stays when one of its rows does. */
        double distinct = shape.distinct[0];
        if (fraction < 1)
            distinct *= 1 - pow(1 - fraction, fmax(index->table->rows / distinct, 1));
        add_column_groups(&leaves, index->table, index->keys[0].column, rows, fmin(distinct, rows));
        if (nulls >= 1)
            add_groups(&leaves, 1, nulls);
    } else if (shape.dedup && index->n_keys == 1) {
        double distinct = fmin(shape.product, rows);
        add_random_groups(&leaves, distinct, fmax(rows / distinct, 1));
    } else if (shape.dedup && !shape.unique) {
        add_combinations(&leaves, index, rows, shape.distinct, dependence(index, shape.product));
    } else {
        leaves.tuples = rows;
        leaves.bytes = (rows - nulls) * (leaves.tuple + LINE_POINTER) + nulls * (16 + LINE_POINTER);
    }
    AdvSize size = {.leaf_pages = leaf_pages(&leaves)};
    /* Inner pages hold keys without INCLUDE columns, cut to what separates (about as wide), filled to 70 %. */
    double fanout = fmax(PAGE_USABLE * 0.70 / (shape.key_tuple + LINE_POINTER), 2);
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
