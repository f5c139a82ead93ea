/* SPDX-License-Identifier: ISC */
/* scan.c - the formulas of PostgreSQL's costsize.c for one table, simplified where pg_stats has no more to say. */
#include "advisor/cost/scan.h"

#include <math.h>

#include "advisor/candidate/roles.h"
#include "advisor/catalog/stats.h"
#include "advisor/cost/inner.h"

typedef struct Match {
    double boundary;  /* share of the index that is walked */
    double in_index;  /* share of the rows whose table row is visited */
    double searches;  /* IN lists: descents into the tree */
    int n_bound;      /* keys bound by a condition */
    int n_matched;    /* conditions that the index checks */
    unsigned orders;
    const AdvPred *by_predicate; /* the condition that a partial index stands for */
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

bool adv_predicate_holds(AdvArena *arena, const AdvFacts *facts, int rel, const AdvIndex *index, const AdvPred **ret_pred)
{
    *ret_pred = NULL;
    if (!index->predicate)
        return true;
    int present = adv_not_null_column(arena, index->table, index->predicate);
    if (present)
        return adv_needs_value(facts, rel, present);
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *pred = &facts->preds[i];
        if (pred->rel != rel || pred->or_group)
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

/* Whether the keys from `first` on bring the rows in this order, read from either end. */
static bool order_follows(const AdvScanWish *wish, const AdvOrder *order, const AdvIndex *index, int first)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        int k = first, o = 0;
        while (o < order->n && k < index->n_keys) {
            const AdvSort *sort = &order->sorts[o];
            const AdvIndexKey *key = &index->keys[k];
            bool same = sort->rel == wish->rel && !sort->expr == !key->expr &&
                        (key->expr ? strcmp(key->expr, sort->expr) == 0 : key->column == sort->column) &&
                        (key->desc != sort->desc) == reversed && (key->nulls_first != sort->nulls_first) == reversed;
            if (!same)
                break;
            k++;
            o++;
        }
        if (o == order->n)
            return true;
    }
    return false;
}

/* Keys that are bound to one value do not disturb the order of the others. */
static unsigned orders_of(const AdvScanWish *wish, const AdvIndex *index, int points)
{
    unsigned orders = 0;
    for (int o = 0; o < wish->n_orders; o++)
        for (int first = 0; first <= points && wish->orders[o].n > 0; first++)
            if (order_follows(wish, &wish->orders[o], index, first))
                orders |= 1u << o;
    return orders;
}

/* `ret_null`: bound to NULL, which the server does not take for an equality that leaves the order of what follows. */
static double key_selectivity(const AdvScanWish *wish, const AdvIndex *index, int k, Match *m, bool *ret_point, bool *ret_bounded, bool *ret_null)
{
    const AdvIndexKey *key = &index->keys[k];
    *ret_point = *ret_bounded = *ret_null = false;
    if (wish->bound && key->column && wish->bound[key->column - 1]) {
        *ret_point = *ret_bounded = true;
        return 1 / adv_column_distinct(index->table, key->column);
    }
    for (int i = 0; i < wish->facts->n_preds; i++) {
        const AdvPred *pred = &wish->facts->preds[i];
        if (pred->or_group || pred == m->by_predicate || !matches_key(pred, key, wish->rel))
            continue;
        bool serves = is_point(pred->kind) || pred->kind == ADV_PRED_IN || pred->kind == ADV_PRED_RANGE ||
                      (pred->kind == ADV_PRED_PREFIX && prefix_fits(index, key, pred));
        if (!serves)
            continue;
        *ret_point = is_point(pred->kind);
        *ret_null = pred->kind == ADV_PRED_IS_NULL;
        *ret_bounded = true;
        m->n_matched++;
        if (pred->kind == ADV_PRED_IN)
            m->searches *= fmax(pred->n_values, 1);
        bool first;
        return pred->kind == ADV_PRED_RANGE ? adv_range_selectivity(wish->facts, pred, &first) : adv_pred_selectivity(index->table, pred);
    }
    return 1;
}

static Match match(AdvArena *arena, const AdvScanWish *wish, const AdvIndex *index)
{
    Match m = {.boundary = 1, .in_index = 1, .searches = 1};
    if (!index->valid || strcmp(index->method, "btree") != 0 || !adv_predicate_holds(arena, wish->facts, wish->rel, index, &m.by_predicate))
        return m;
    m.usable = true;
    bool open = true;    /* the keys so far are all bound to one value */
    bool ordered = true; /* none of them to NULL */
    int points = 0;
    for (int k = 0; k < index->n_keys; k++) {
        bool point, bounded, null;
        double s = key_selectivity(wish, index, k, &m, &point, &bounded, &null);
        ordered = ordered && !null;
        if (bounded) {
            m.in_index *= s;
            if (open) {
                m.boundary *= s;
                m.n_bound++;
            }
            if (open && ordered && point)
                points++;
        }
        if (!point)
            open = false;
    }
    if (index->unique && points == index->n_keys)
        m.boundary = m.in_index = fmin(m.boundary, 1 / fmax(index->table->rows, 1));
    m.orders = orders_of(wish, index, points);
    return m;
}

static double one_selectivity(const AdvFacts *facts, const AdvPred *pred)
{
    bool first = true;
    double one = pred->kind == ADV_PRED_RANGE ? adv_range_selectivity(facts, pred, &first) : adv_pred_selectivity(facts->rels[pred->rel].table, pred);
    return first ? one : 1;
}

/* a = 1 OR b = 2, as far as every arm says something of the table. */
static double or_selectivity(const AdvFacts *facts, int rel, int group)
{
    int arms = 0;
    double none = 1;
    for (int i = 0; i < facts->n_preds; i++)
        if (facts->preds[i].or_group == group && facts->preds[i].or_arm + 1 > arms)
            arms = facts->preds[i].or_arm + 1;
    for (int arm = 0; arm < arms; arm++) {
        double s = 1;
        for (int i = 0; i < facts->n_preds; i++)
            if (facts->preds[i].rel == rel && facts->preds[i].or_group == group && facts->preds[i].or_arm == arm)
                s *= one_selectivity(facts, &facts->preds[i]);
        none *= 1 - s;
    }
    return 1 - none;
}

static int n_or_groups(const AdvFacts *facts)
{
    int groups = 0;
    for (int i = 0; i < facts->n_preds; i++)
        if (facts->preds[i].or_group > groups)
            groups = facts->preds[i].or_group;
    return groups;
}

double adv_rel_selectivity(const AdvFacts *facts, int rel)
{
    double s = facts->rels[rel].sifted;
    int groups = n_or_groups(facts);
    for (int i = 0; i < facts->n_preds; i++)
        if (facts->preds[i].rel == rel && !facts->preds[i].or_group)
            s *= one_selectivity(facts, &facts->preds[i]);
    for (int g = 1; g <= groups; g++)
        s *= or_selectivity(facts, rel, g);
    return fmin(fmax(s, 1e-9), 1);
}

/* Mackert and Lohman: distinct pages visited by n fetches into a table of t pages, of which `cached` stay in the cache. */
static double pages_fetched(double t, double n, double cached)
{
    if (t <= 1)
        return 1;
    if (t <= cached)
        return ceil(fmin(2 * t * n / (2 * t + n), t));
    double limit = 2 * t * cached / (2 * t - cached);
    return ceil(n <= limit ? 2 * t * n / (2 * t + n) : cached + (n - limit) * (t - cached) / t);
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

static void use(AdvAccess *access, const AdvModelIndex *index)
{
    if (index->place >= 0)
        access->used[access->n_used++] = index->place;
}

/* A column that the index's predicate fixes need not be in it. */
static bool covers(const AdvScanWish *wish, const AdvIndex *index, const AdvPred *by_predicate)
{
    const AdvRel *rel = &wish->facts->rels[wish->rel];
    for (int i = 0; i < rel->table->n_columns; i++)
        if (rel->used[i] && !adv_index_has_column(index, i + 1) && !(by_predicate && by_predicate->column == i + 1 && !rel->whole_row))
            return false;
    return true;
}

static AdvAccess inner_scan(const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    AdvAccess scan = {.run = INFINITY};
    const AdvPred *pred = adv_inner_serves(wish->facts, wish->rel, index->def);
    if (!pred || wish->bound)
        return scan;
    scan.run = adv_inner_cost(c, index->def, index->size.pages, pred, index->def->table->rows * adv_pred_selectivity(index->def->table, pred));
    use(&scan, index);
    return scan;
}

/* Only whole ranges of pages are skipped; what is in them is read and checked. */
static AdvAccess brin_scan(const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    AdvAccess scan = {.run = INFINITY};
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
    /* The server takes the rows of the ranges for scattered over the table, as those of any bitmap. */
    double ranges = ceil(pages / 128), tuples = fmin(ceil(share * ranges) / order / ranges, 1) * t->rows;
    double visited = fmin(ceil(2 * pages * tuples / (2 * pages + tuples)), pages);
    double per_page = c->random_page_cost - (c->random_page_cost - c->seq_page_cost) * sqrt(visited / pages);
    scan.run = index->size.pages * c->random_page_cost + ranges * c->cpu_operator_cost * 128 * 0.1 + visited * per_page +
               tuples * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    use(&scan, index);
    return scan;
}

/* Finds the pages of one value, nothing else. */
static AdvAccess hash_scan(const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index)
{
    AdvAccess scan = {.run = INFINITY};
    const AdvTable *t = index->def->table;
    const AdvIndexKey *key = &index->def->keys[0];
    double share = wish->bound && key->column && wish->bound[key->column - 1] ? 1 / adv_column_distinct(t, key->column) : 2;
    for (int i = 0; i < wish->facts->n_preds; i++) {
        const AdvPred *pred = &wish->facts->preds[i];
        if (!pred->or_group && pred->kind == ADV_PRED_EQ && matches_key(pred, key, wish->rel))
            share = adv_pred_selectivity(t, pred);
    }
    if (share > 1)
        return scan;
    double rows = fmax(t->rows * share, 1);
    scan.run = c->random_page_cost + rows * (c->cpu_index_tuple_cost + c->cpu_tuple_cost) +
               pages_fetched(fmax(t->pages, 1), rows, INFINITY) * c->random_page_cost;
    use(&scan, index);
    return scan;
}

/* The share of the rows that the index holds, beyond what the conditions on its keys leave: none of them leaves a NULL. */
static double fraction_of(AdvArena *arena, const AdvScanWish *wish, const AdvModelIndex *index)
{
    int present = index->def->predicate ? adv_not_null_column(arena, index->def->table, index->def->predicate) : 0;
    for (int i = 0; present && i < wish->facts->n_preds; i++) {
        const AdvPred *pred = &wish->facts->preds[i];
        if (pred->kind == ADV_PRED_NOT_NULL || pred->or_group || pred->rel != wish->rel || pred->column != present || pred->expr)
            continue;
        for (int k = 0; k < index->def->n_keys; k++)
            if (index->def->keys[k].column == present)
                return 1;
    }
    return index->fraction;
}

/* By a b-tree: each row in its turn (`ret[0]`), or first the list of pages and then those in order (`ret[1]`). Returns how many ways. */
static int btree_scan(AdvArena *arena, const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *index, AdvAccess *ret)
{
    const AdvTable *table = index->def->table;
    Match m = match(arena, wish, index->def);
    double fraction = m.usable ? fraction_of(arena, wish, index) : 1;
    bool only = m.usable && !wish->no_index_only && covers(wish, index->def, m.by_predicate);
    if (!m.usable || (m.n_bound == 0 && !only && !m.orders && !index->def->predicate))
        return 0;
    double pages = fmax(table->pages, 1), rows = fmax(table->rows, 1);
    double tuples = fmax(rint(rows * fraction * m.boundary), 1), fetched = fmax(rint(rows * fraction * m.in_index), 1);
    double descent = m.searches * (ceil(log2(fmax(rows * fraction, 2))) + 50 * (index->size.height + 1)) * c->cpu_operator_cost;
    double correlation = index->def->keys[0].column ? adv_column(table, index->def->keys[0].column)->correlation : 0;
    if (index->def->n_keys > 1)
        correlation *= 0.75;
    AdvAccess plain = {.startup = descent, .index_pages = ceil(index->size.leaf_pages * m.boundary), .index_all = index->size.pages, .tuples = fetched,
                       .pages = pages, .share = fmin(fraction * m.in_index, 1), .all_pages = fmax(wish->all_pages, pages),
                       .visible = only ? fmin(table->all_visible / pages, 1) : 0, .correlation = correlation * correlation, .orders = m.orders};
    double walk = tuples * (c->cpu_index_tuple_cost + fmax(m.n_matched, 1) * c->cpu_operator_cost);
    plain.run = walk + fetched * (c->cpu_tuple_cost + fmax(n_quals(wish) - m.n_matched, 0) * c->cpu_operator_cost);
    use(&plain, index);
    ret[0] = plain;
    if (m.n_bound == 0)
        return 1;
    AdvAccess bitmap = plain;
    bitmap.bitmap = true;
    bitmap.orders = 0;
    bitmap.lead = m.n_bound == 1 ? index->def->keys[0].column : 0;
    bitmap.startup += walk + 0.1 * c->cpu_operator_cost * fetched;
    bitmap.run = fetched * (c->cpu_tuple_cost + fmax(n_quals(wish), 1) * c->cpu_operator_cost);
    ret[1] = bitmap;
    return 2;
}

void adv_access_cost(const AdvSettings *c, const AdvAccess *a, double loops, double *ret_startup, double *ret_total)
{
    double startup = a->startup, run = a->run;
    loops = fmax(loops, 1);
    if (a->pages > 0) {
        /* Repeated scans find pages of the earlier ones in the cache. */
        double cached = c->effective_cache_size * a->pages / (a->all_pages + a->index_all);
        double index_cached = c->effective_cache_size * fmax(a->index_all, 1) / (a->all_pages + a->index_all);
        double walked = fmax(a->index_pages, 1);
        double index_io = loops > 1 ? pages_fetched(a->index_all, walked * loops, fmax(index_cached, 1)) / loops : walked;
        double most = pages_fetched(a->pages, a->tuples * loops, fmax(cached, 1)) / loops;
        index_io *= c->random_page_cost;
        if (a->bitmap) {
            double heap = fmin(most, a->pages);
            double per_page = heap >= 2 ? c->random_page_cost - (c->random_page_cost - c->seq_page_cost) * sqrt(fmin(heap / a->pages, 1)) : c->random_page_cost;
            startup += index_io;
            run += heap * per_page;
        } else {
            double worst = most * (1 - a->visible) * c->random_page_cost;
            double least = ceil(a->share * a->pages);
            if (loops > 1)
                least = pages_fetched(a->pages, least * loops, fmax(cached, 1)) / loops;
            double best = loops > 1 ? least * c->random_page_cost : c->random_page_cost + fmax(least - 1, 0) * c->seq_page_cost;
            best *= 1 - a->visible;
            run += index_io + worst + a->correlation * (fmin(best, worst) - worst);
        }
    }
    *ret_startup = startup;
    *ret_total = startup + run;
}

/* a = 1 OR b = 2: each arm by an index of its own, the bitmaps united. */
static AdvAccess or_scan(AdvArena *arena, const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *indexes,
                       int n, int group)
{
    const AdvFacts *facts = wish->facts;
    const AdvTable *table = facts->rels[wish->rel].table;
    AdvAccess scan = {.run = INFINITY};
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
                if (!matches_key(pred, &indexes[k].def->keys[0], wish->rel) || !adv_predicate_holds(arena, wish->facts, wish->rel, indexes[k].def, &unused) ||
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
            return (AdvAccess){.run = INFINITY};
        total += best;
        share += best_share;
        if (place >= 0)
            scan.used[scan.n_used++] = place;
    }
    double pages = fmax(table->pages, 1), fetched = fmin(share, 1) * table->rows;
    double visited = pages_fetched(pages, fetched, INFINITY);
    double per_page = c->random_page_cost - (c->random_page_cost - c->seq_page_cost) * sqrt(fmin(visited / pages, 1));
    scan.run = total + visited * per_page + fetched * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    return scan;
}

/* Two bitmaps of conditions on different columns, of which only the common rows are visited. */
static bool bitmap_and(const AdvSettings *c, const AdvAccess *a, const AdvAccess *b, AdvAccess *ret)
{
    if (a->lead == b->lead || a->lead == 0 || b->lead == 0 || a->share * b->share * a->pages < 1e-9)
        return false;
    *ret = *a;
    ret->startup += b->startup + fmax(b->index_pages, 1) * c->random_page_cost + 0.1 * c->cpu_operator_cost * b->tuples;
    ret->share = a->share * b->share;
    ret->run *= b->share;
    ret->tuples = fmax(a->tuples * b->share, 1);
    for (int i = 0; i < b->n_used && ret->n_used < (int)PW_ARRAY_LEN(ret->used); i++)
        ret->used[ret->n_used++] = b->used[i];
    return true;
}

int adv_scan_ways(AdvArena *arena, const AdvSettings *c, const AdvScanWish *wish, const AdvModelIndex *indexes, int n, AdvAccess **ret_ways)
{
    const AdvTable *table = wish->facts->rels[wish->rel].table;
    int groups = n_or_groups(wish->facts), found = 0;
    AdvAccess *ways = ADV_NEW_ARRAY(arena, AdvAccess, 2 * n + groups + 2);
    AdvAccess *best[2] = {NULL, NULL};
    if (!wish->bound)
        ways[found++].run = fmax(table->pages, 0) * c->seq_page_cost + fmax(table->rows, 0) * (c->cpu_tuple_cost + n_quals(wish) * c->cpu_operator_cost);
    for (int i = 0; i < n; i++) {
        const char *method = indexes[i].def->method;
        if (strcmp(method, "btree") == 0)
            found += btree_scan(arena, c, wish, &indexes[i], &ways[found]);
        else if (indexes[i].def->valid && adv_is_inner(indexes[i].def))
            ways[found++] = inner_scan(c, wish, &indexes[i]);
        else if (indexes[i].def->valid && strcmp(method, "brin") == 0)
            ways[found++] = brin_scan(c, wish, &indexes[i]);
        else if (indexes[i].def->valid && strcmp(method, "hash") == 0)
            ways[found++] = hash_scan(c, wish, &indexes[i]);
    }
    /* The two that leave fewest rows, of different columns. */
    for (int i = 0; i < found; i++) {
        if (!ways[i].bitmap || ways[i].lead == 0 || (best[0] && ways[i].lead == best[0]->lead && ways[i].share >= best[0]->share))
            continue;
        if (!best[0] || ways[i].share < best[0]->share) {
            best[1] = best[0] && best[0]->lead != ways[i].lead ? best[0] : best[1];
            best[0] = &ways[i];
        } else if (!best[1] || ways[i].share < best[1]->share) {
            best[1] = &ways[i];
        }
    }
    if (best[1] && bitmap_and(c, best[0], best[1], &ways[found]))
        found++;
    for (int g = 1; g <= groups && !wish->bound; g++)
        ways[found++] = or_scan(arena, c, wish, indexes, n, g);
    int kept = 0;
    for (int i = 0; i < found; i++)
        if (ways[i].run < INFINITY)
            ways[kept++] = ways[i];
    *ret_ways = ways;
    return kept;
}
