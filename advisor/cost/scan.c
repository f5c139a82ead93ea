/* SPDX-License-Identifier: ISC */
/* scan.c - the formulas of PostgreSQL's costsize.c for one table, simplified where pg_stats has no more to say. */
#include "advisor/cost/scan.h"

#include <math.h>

#include "advisor/candidate/roles.h"
#include "advisor/catalog/stats.h"
#include "advisor/cost/gin.h"

typedef struct Match {
    double boundary;  /* share of the index that is walked */
    double in_index;  /* share of the rows whose table row is visited */
    int n_bound;      /* keys bound by a condition */
    bool ordered;
    bool usable;
} Match;

static bool is_point(AdvPredKind kind)
{
    return kind == ADV_PRED_EQ || kind == ADV_PRED_IS_NULL || kind == ADV_PRED_TRUE || kind == ADV_PRED_FALSE;
}

static bool matches_key(const AdvPred *pred, const AdvIndexKey *key, int rel)
{
    if (pred->rel != rel)
        return false;
    if (key->expr)
        return pred->expr && strcmp(pred->expr, key->expr) == 0;
    return !pred->expr && pred->column == key->column;
}

static bool implied(AdvArena *arena, const AdvScanWish *wish, const AdvIndex *index, const AdvPred **ret_pred)
{
    *ret_pred = NULL;
    if (!index->predicate)
        return true;
    for (int i = 0; i < wish->facts->n_preds; i++) {
        const AdvPred *pred = &wish->facts->preds[i];
        if (pred->rel != wish->rel || pred->or_group)
            continue;
        const char *sql = adv_pred_sql(arena, index->table, pred);
        if (sql && strcmp(sql, index->predicate) == 0) {
            *ret_pred = pred;
            return true;
        }
    }
    return false;
}

/* LIKE 'x%' needs byte order. */
static bool prefix_fits(const AdvIndex *index, const AdvIndexKey *key, const AdvPred *pred)
{
    if (pred->kind != ADV_PRED_PREFIX)
        return true;
    return key->opclass ? strstr(key->opclass, "pattern_ops") != NULL
                        : key->column > 0 && adv_column(index->table, key->column)->collation_c;
}

static bool order_follows(const AdvScanWish *wish, const AdvIndex *index, int first)
{
    if (wish->n_order == 0)
        return true;
    for (int reversed = 0; reversed < 2; reversed++) {
        int k = first, o = 0;
        while (o < wish->n_order && k < index->n_keys) {
            const AdvSort *sort = &wish->order[o];
            const AdvIndexKey *key = &index->keys[k];
            bool same = sort->rel == wish->rel && !sort->expr == !key->expr &&
                        (key->expr ? strcmp(key->expr, sort->expr) == 0 : key->column == sort->column) &&
                        (key->desc != sort->desc) == reversed && (key->nulls_first != sort->nulls_first) == reversed;
            if (!same)
                break;
            k++;
            o++;
        }
        if (o == wish->n_order)
            return true;
    }
    return false;
}

static Match match(AdvArena *arena, const AdvScanWish *wish, const AdvIndex *index)
{
    Match m = {.boundary = 1, .in_index = 1};
    const AdvPred *by_predicate;
    if (!index->valid || strcmp(index->method, "btree") != 0 || !implied(arena, wish, index, &by_predicate))
        return m;
    m.usable = true;
    bool open = true; /* the keys so far are all bound to one value */
    int points = 0;
    for (int k = 0; k < index->n_keys; k++) {
        const AdvIndexKey *key = &index->keys[k];
        double s = 1;
        bool point = false, bounded = false;
        if (wish->bound && key->column && wish->bound[key->column - 1]) {
            s = 1 / adv_column_distinct(index->table, key->column);
            point = bounded = true;
        }
        for (int i = 0; i < wish->facts->n_preds && !point; i++) {
            const AdvPred *pred = &wish->facts->preds[i];
            if (pred->or_group || pred == by_predicate || !matches_key(pred, key, wish->rel))
                continue;
            bool serves = is_point(pred->kind) || pred->kind == ADV_PRED_IN || pred->kind == ADV_PRED_RANGE ||
                          (pred->kind == ADV_PRED_PREFIX && prefix_fits(index, key, pred));
            if (!serves)
                continue;
            point = is_point(pred->kind);
            bounded = true;
            bool first;
            s = pred->kind == ADV_PRED_RANGE ? adv_range_selectivity(wish->facts, pred, &first)
                                             : adv_pred_selectivity(index->table, pred);
            break;
        }
        if (bounded) {
            m.in_index *= s;
            if (open) {
                m.boundary *= s;
                m.n_bound++;
            }
            if (open && point)
                points++;
        }
        if (!point)
            open = false;
    }
    m.ordered = order_follows(wish, index, points);
    return m;
}

double adv_rel_selectivity(const AdvFacts *facts, int rel)
{
    double s = 1;
    const AdvTable *table = facts->rels[rel].table;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *pred = &facts->preds[i];
        if (pred->rel != rel || pred->or_group)
            continue;
        bool first = true;
        double one = pred->kind == ADV_PRED_RANGE ? adv_range_selectivity(facts, pred, &first)
                                                  : adv_pred_selectivity(table, pred);
        s *= first ? one : 1;
    }
    return fmax(s, 1e-9);
}

/* Mackert and Lohman: distinct pages visited by n fetches into a table of t pages that stays cached. */
static double pages_fetched(double t, double n)
{
    return t <= 1 ? 1 : fmin(ceil(2 * t * n / (2 * t + n)), t);
}

static int n_quals(const AdvScanWish *wish)
{
    int n = 0;
    for (int i = 0; i < wish->facts->n_preds; i++)
        n += wish->facts->preds[i].rel == wish->rel;
    return n;
}

static double index_part(const AdvSettings *c, const AdvModelIndex *index, double boundary, double tuples)
{
    double pages = fmax(1, ceil(index->size.leaf_pages * boundary));
    return pages * c->random_page_cost + tuples * (c->cpu_index_tuple_cost + c->cpu_operator_cost) +
           50 * c->cpu_operator_cost * (index->size.height + 1);
}

static bool covers(const AdvScanWish *wish, const AdvIndex *index)
{
    const AdvRel *rel = &wish->facts->rels[wish->rel];
    for (int i = 0; i < rel->table->n_columns; i++)
        if (rel->used[i] && !adv_index_has_column(index, i + 1))
            return false;
    return true;
}

static AdvScan gin_scan(const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    AdvScan scan = {.cost = INFINITY};
    const AdvPred *pred = adv_gin_serves(wish->facts, wish->rel, index->def);
    if (!pred || wish->bound)
        return scan;
    scan.cost = adv_gin_cost(c, index->def, index->size.pages, pred, index->def->table->rows * adv_pred_selectivity(index->def->table, pred));
    if (index->place >= 0)
        scan.used[scan.n_used++] = index->place;
    return scan;
}

/* Only whole ranges of pages are skipped; what is in them is read and checked. */
static AdvScan brin_scan(const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    AdvScan scan = {.cost = INFINITY};
    const AdvTable *t = index->def->table;
    double share = 1, pages = fmax(t->pages, 1);
    for (int i = 0; i < wish->facts->n_preds && !wish->bound; i++) {
        const AdvPred *pred = &wish->facts->preds[i];
        bool first = true;
        if (pred->rel != wish->rel || pred->or_group || !matches_key(pred, &index->def->keys[0], wish->rel))
            continue;
        if (pred->kind == ADV_PRED_RANGE)
            share = fmin(share, adv_range_selectivity(wish->facts, pred, &first));
        else if (pred->kind == ADV_PRED_EQ)
            share = fmin(share, adv_pred_selectivity(t, pred));
    }
    double order = index->def->keys[0].column ? fabs(adv_column(t, index->def->keys[0].column)->correlation) : 0;
    if (share >= 1 || order < 0.1)
        return scan;
    double ranges = ceil(pages / 128), visited = fmin((ceil(share * ranges) + 1) * 128 / order, pages);
    scan.cost = index->size.pages * c->random_page_cost + ranges * c->cpu_operator_cost * 128 * 0.1 + visited * c->seq_page_cost +
                visited / pages * t->rows * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    if (index->place >= 0)
        scan.used[scan.n_used++] = index->place;
    return scan;
}

/* Finds the pages of one value, nothing else. */
static AdvScan hash_scan(const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    AdvScan scan = {.cost = INFINITY};
    const AdvTable *t = index->def->table;
    for (int i = 0; i < wish->facts->n_preds; i++) {
        const AdvPred *pred = &wish->facts->preds[i];
        if (pred->or_group || pred->kind != ADV_PRED_EQ || !matches_key(pred, &index->def->keys[0], wish->rel))
            continue;
        double rows = fmax(t->rows * adv_pred_selectivity(t, pred), 1);
        scan.cost = c->random_page_cost + rows * (c->cpu_index_tuple_cost + c->cpu_tuple_cost) +
                    pages_fetched(fmax(t->pages, 1), rows) * c->random_page_cost;
    }
    if (scan.cost < INFINITY && index->place >= 0)
        scan.used[scan.n_used++] = index->place;
    return scan;
}

static AdvScan index_scan(AdvArena *arena, const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    const AdvTable *table = index->def->table;
    AdvScan scan = {.cost = INFINITY};
    if (strcmp(index->def->method, "gin") == 0)
        return gin_scan(c, wish, index);
    if (strcmp(index->def->method, "brin") == 0)
        return brin_scan(c, wish, index);
    if (strcmp(index->def->method, "hash") == 0)
        return hash_scan(c, wish, index);
    Match m = match(arena, wish, index->def);
    bool only = m.usable && !wish->no_index_only && covers(wish, index->def);
    if (!m.usable || (m.n_bound == 0 && !only && !(wish->n_order > 0 && m.ordered) && !index->def->predicate))
        return scan;
    double pages = fmax(table->pages, 1), rows = fmax(table->rows, 1);
    double tuples = fmax(rows * index->fraction * m.boundary, 1);
    double fetched = fmax(rows * index->fraction * m.in_index, 1);
    double visible = only ? fmin(table->all_visible / pages, 1) : 0;
    double base = index_part(c, index, m.boundary, tuples);
    double cpu = fetched * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    double visited = pages_fetched(pages, fetched) * (1 - visible);
    double worst = visited * c->random_page_cost;
    double share = fmin(index->fraction * m.in_index, 1);
    double best = (ceil(share * pages) * c->seq_page_cost + c->random_page_cost) * (1 - visible);
    double correlation = index->def->keys[0].column ? adv_column(table, index->def->keys[0].column)->correlation : 0;
    if (index->def->n_keys > 1)
        correlation *= 0.75;
    double plain = base + cpu + worst + correlation * correlation * (best - worst);
    scan.cost = plain;
    scan.ordered = wish->n_order > 0 && m.ordered;
    /* A bitmap visits each page once, in order, but loses the order of the rows. */
    double heap = pages_fetched(pages, fetched);
    double per_page = c->random_page_cost - (c->random_page_cost - c->seq_page_cost) * sqrt(fmin(heap / pages, 1));
    double bitmap = base + fetched * 0.1 * c->cpu_operator_cost + cpu + heap * per_page;
    if (bitmap < plain && !scan.ordered)
        scan.cost = bitmap;
    if (index->place >= 0)
        scan.used[scan.n_used++] = index->place;
    return scan;
}

/* a = 1 OR b = 2: each arm by an index of its own, the bitmaps united. */
static AdvScan or_scan(AdvArena *arena, const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *indexes,
                       int n, int group)
{
    const AdvFacts *facts = wish->facts;
    const AdvTable *table = facts->rels[wish->rel].table;
    AdvScan scan = {.cost = INFINITY};
    int arms = 0;
    for (int i = 0; i < facts->n_preds; i++)
        if (facts->preds[i].or_group == group && facts->preds[i].or_arm + 1 > arms)
            arms = facts->preds[i].or_arm + 1;
    double total = 0, share = 0;
    for (int arm = 0; arm < arms; arm++) {
        double best = INFINITY, best_share = 1;
        int place = -1;
        for (int i = 0; i < facts->n_preds; i++) {
            const AdvPred *pred = &facts->preds[i];
            if (pred->or_group != group || pred->or_arm != arm || pred->rel != wish->rel)
                continue;
            double s = adv_pred_selectivity(table, pred);
            for (int k = 0; k < n; k++) {
                const AdvPred *unused;
                if (!matches_key(pred, &indexes[k].def->keys[0], wish->rel) || !implied(arena, wish, indexes[k].def, &unused) ||
                    !indexes[k].def->valid || strcmp(indexes[k].def->method, "btree") != 0 ||
                    !(is_point(pred->kind) || pred->kind == ADV_PRED_IN || pred->kind == ADV_PRED_RANGE ||
                      (pred->kind == ADV_PRED_PREFIX && prefix_fits(indexes[k].def, &indexes[k].def->keys[0], pred))))
                    continue;
                double cost = index_part(c, &indexes[k], s, s * table->rows);
                if (cost < best) {
                    best = cost;
                    best_share = s;
                    place = indexes[k].place;
                }
            }
        }
        if (best == INFINITY || scan.n_used == (int)PW_ARRAY_LEN(scan.used))
            return (AdvScan){.cost = INFINITY};
        total += best;
        share += best_share;
        if (place >= 0)
            scan.used[scan.n_used++] = place;
    }
    double pages = fmax(table->pages, 1), fetched = fmin(share, 1) * table->rows;
    double visited = pages_fetched(pages, fetched);
    double per_page = c->random_page_cost - (c->random_page_cost - c->seq_page_cost) * sqrt(fmin(visited / pages, 1));
    scan.cost = total + visited * per_page + fetched * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    return scan;
}

AdvScan adv_best_scan(AdvArena *arena, const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *indexes,
                      int n, bool ordered_only)
{
    const AdvTable *table = wish->facts->rels[wish->rel].table;
    AdvScan best = {.cost = INFINITY};
    if (!ordered_only && !wish->bound)
        best.cost = table->pages * c->seq_page_cost +
                    table->rows * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    int groups = 0;
    for (int i = 0; i < wish->facts->n_preds; i++)
        if (wish->facts->preds[i].or_group > groups)
            groups = wish->facts->preds[i].or_group;
    for (int i = 0; i < n; i++) {
        AdvScan scan = index_scan(arena, c, wish, &indexes[i]);
        if (scan.cost < best.cost && (!ordered_only || scan.ordered))
            best = scan;
    }
    for (int g = 1; g <= groups && !ordered_only && !wish->bound; g++) {
        AdvScan scan = or_scan(arena, c, wish, indexes, n, g);
        if (scan.cost < best.cost)
            best = scan;
    }
    best.rows = fmax(table->rows * adv_rel_selectivity(wish->facts, wish->rel), 1);
    return best;
}
