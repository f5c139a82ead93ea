/* SPDX-License-Identifier: ISC */
#include "advisor/cost/join.h"

#include <math.h>

#define JOIN_EXACT_MAX 9
#define STARTS_MAX 8        /* tables tried first when there are more */
#define CROSS_MAX 1000.0    /* pairs of small tables without a condition, for an index that takes both */
#define ROW_HEADER 24.0     /* of a row in memory */
#define HASH_MEM_FACTOR 2.0 /* hash_mem_multiplier since PostgreSQL 15 */

/* What a set of items is joined to. */
typedef struct Joined {
    bool exists;
    double rows;
    double width;
    AdvClasses classes;
    double *distinct; /* by class: the fewest of its members */
    double *sources;  /* by class: rows of its largest member, before any join */
    AdvPath paths[JOIN_ORDERS_MAX + 2]; /* [order + 1]; the last: the cheapest for the rows that are wanted */
} Joined;

/* The ways into one table, for each set of columns that are given. */
typedef struct Ways {
    AdvClasses given;
    int n;
    AdvAccess *ways;
    double rows;
} Ways;

typedef struct Planner {
    const AdvJoinAsk *ask;
    int *n_ways;  /* by item */
    Ways **ways;
    Joined *wholes; /* each item alone */
} Planner;

static double bytes_of(double rows, double width)
{
    return rows * (ROW_HEADER + width);
}

double adv_sort_cost(const AdvSettings *c, double rows, double width, double limit)
{
    rows = fmax(rows, 2);
    double depth = limit < rows / 2 ? log2(fmax(2 * limit, 2)) : log2(rows), bytes = bytes_of(fmin(rows, limit), width);
    double cost = 2 * c->cpu_operator_cost * rows * depth + c->cpu_operator_cost * fmin(rows, limit);
    /* Beyond work_mem the rows go to disk and back. */
    if (bytes > c->work_mem)
        cost += 2 * ceil(bytes / ADV_BLOCK_SIZE) * (0.75 * c->seq_page_cost + 0.25 * c->random_page_cost);
    return cost;
}

static bool is_set(const AdvPath *path)
{
    return path->total < INFINITY;
}

/* What the wanted part of the rows costs. */
static double wanted_cost(const Planner *p, const AdvPath *path, double rows)
{
    double share = fmin(p->ask->wanted / fmax(rows, 1), 1);
    return path->startup + share * (path->total - path->startup);
}

static const AdvPath *copy(const Planner *p, const AdvPath *path)
{
    AdvPath *kept = ADV_NEW(p->ask->arena, AdvPath);
    *kept = *path;
    return kept;
}

/* Puts the path where it is the cheapest so far. `outer` and `inner` may be on the stack if `lasting` is not set. */
static void keep(const Planner *p, Joined *to, const AdvPath *path, bool lasting)
{
    AdvPath *slot = &to->paths[path->order + 1], *fast = &to->paths[p->ask->n_orders + 1];
    bool wins = path->total < slot->total, cheapest = path->total < to->paths[0].total;
    bool fastest = p->ask->wanted < INFINITY && wanted_cost(p, path, to->rows) < wanted_cost(p, fast, to->rows);
    if (!wins && !cheapest && !fastest)
        return;
    AdvPath kept = *path;
    if (!lasting) {
        kept.outer = path->outer ? copy(p, path->outer) : NULL;
        kept.inner = path->inner ? copy(p, path->inner) : NULL;
    }
    if (wins)
        *slot = kept;
    if (cheapest)
        to->paths[0] = kept;
    if (fastest)
        *fast = kept;
}

static const Ways *ways_of(Planner *p, int item, AdvClasses given)
{
    const AdvJoinAsk *ask = p->ask;
    const AdvItem *it = &ask->items[item];
    given &= it->classes;
    for (int i = 0; i < p->n_ways[item]; i++)
        if (p->ways[item][i].given == given)
            return &p->ways[item][i];
    const AdvRel *rel = &ask->facts->rels[it->rel];
    bool *bound = ADV_NEW_ARRAY(ask->arena, bool, rel->table->n_columns + 1), any = false;
    double rows = it->rows;
    for (int i = 0; i < rel->table->n_columns; i++) {
        bound[i] = it->bound && it->bound[i];
        any = any || bound[i];
    }
    for (int k = 0; k < ask->n_classes; k++) {
        int column = given & (AdvClasses)1 << k ? it->class_columns[k] : 0;
        if (column == 0 || bound[column - 1])
            continue;
        bound[column - 1] = any = true;
        rows /= fmax(it->distinct[k], 1);
    }
    const AdvModelIndex *first;
    int n = ask->indexes_of(ask->self, rel->table, &first);
    AdvScanWish wish = {.facts = ask->facts, .rel = it->rel, .bound = any ? bound : NULL, .n_orders = ask->n_orders, .orders = ask->orders[item],
                        .no_index_only = rel->target || ask->facts->locks_rows, .all_pages = ask->all_pages};
    ADV_ROOM(ask->arena, p->ways[item], p->n_ways[item]);
    Ways *ways = &p->ways[item][p->n_ways[item]++];
    *ways = (Ways){.given = given, .rows = rows};
    ways->n = adv_scan_ways(ask->arena, ask->settings, &wish, first, n, &ways->ways);
    return ways;
}

/* All of an item, and in each order that an index gives. */
static void scan_whole(Planner *p, int item, Joined *to)
{
    const AdvJoinAsk *ask = p->ask;
    const AdvItem *it = &ask->items[item];
    for (int o = 0; o < ask->n_orders + 2; o++)
        to->paths[o] = (AdvPath){.startup = INFINITY, .total = INFINITY, .order = o - 1};
    to->exists = true;
    to->rows = it->rows;
    to->width = it->width;
    to->classes = it->classes;
    to->distinct = ADV_NEW_ARRAY(ask->arena, double, ask->n_classes + 1);
    to->sources = ADV_NEW_ARRAY(ask->arena, double, ask->n_classes + 1);
    for (int k = 0; k < ask->n_classes; k++) {
        to->distinct[k] = it->distinct[k];
        to->sources[k] = it->rows;
    }
    if (it->rel < 0) {
        AdvPath path = {.startup = it->whole->startup, .total = it->whole->total, .order = -1, .extra = it->whole};
        keep(p, to, &path, true);
        return;
    }
    const Ways *ways = ways_of(p, item, 0);
    for (int i = 0; i < ways->n; i++) {
        AdvPath path = {.order = -1, .access = &ways->ways[i]};
        adv_access_cost(ask->settings, &ways->ways[i], 1, &path.startup, &path.total);
        keep(p, to, &path, true);
        for (int o = 0; o < ask->n_orders; o++) {
            path.order = o;
            if (ways->ways[i].orders & 1u << o)
                keep(p, to, &path, true);
        }
    }
    /* Columns may be given from outside and no index serve them: then all is read. */
    if (!is_set(&to->paths[0])) {
        const AdvTable *t = ask->facts->rels[it->rel].table;
        AdvPath path = {.total = fmax(t->pages, 0) * ask->settings->seq_page_cost + fmax(t->rows, 0) * ask->settings->cpu_tuple_cost, .order = -1};
        keep(p, to, &path, true);
    }
}

/* Share of the pairs that fit. */
static double selectivity(const AdvJoinAsk *ask, const Joined *from, const AdvItem *it)
{
    double s = 1;
    for (int k = 0; k < ask->n_classes; k++)
        if (from->classes & it->classes & (AdvClasses)1 << k)
            s /= fmax(fmax(from->distinct[k], it->distinct[k]), 1);
    return s;
}

static void set_result(const AdvJoinAsk *ask, const Joined *from, const AdvItem *it, double pairs, Joined *to)
{
    double partners = pairs / fmax(from->rows, 1);
    to->classes = from->classes | it->classes;
    to->distinct = ADV_NEW_ARRAY(ask->arena, double, ask->n_classes + 1);
    for (int k = 0; k < ask->n_classes; k++)
        to->distinct[k] = !(from->classes & (AdvClasses)1 << k) ? it->distinct[k]
                          : it->classes & (AdvClasses)1 << k    ? fmin(from->distinct[k], it->distinct[k])
                                                                : from->distinct[k];
    to->sources = ADV_NEW_ARRAY(ask->arena, double, ask->n_classes + 1);
    for (int k = 0; k < ask->n_classes; k++)
        to->sources[k] = !(from->classes & (AdvClasses)1 << k) ? it->rows
                         : it->classes & (AdvClasses)1 << k    ? fmax(from->sources[k], it->rows)
                                                               : from->sources[k];
    to->width = from->width;
    switch (it->kind) {
    case ADV_JOIN_INNER:
        to->rows = pairs;
        to->width += it->width;
        break;
    case ADV_JOIN_LEFT:
        to->rows = fmax(pairs, from->rows);
        to->width += it->width;
        break;
    case ADV_JOIN_SEMI:
        to->rows = from->rows * fmin(partners, 1);
        break;
    case ADV_JOIN_ANTI:
        to->rows = from->rows * fmax(1 - partners, 0.05);
        break;
    }
    to->rows = fmax(to->rows, 1);
}

/* How many look-ups share the cache: as the server does it, the rows of the smallest table that they take their values from. */
static double look_ups(const AdvJoinAsk *ask, const Joined *from, const AdvItem *it)
{
    double fewest = INFINITY;
    for (int k = 0; k < ask->n_classes; k++)
        if (from->classes & it->classes & (AdvClasses)1 << k)
            fewest = fmin(fewest, from->sources[k]);
    return fewest < INFINITY ? fmax(fewest, 1) : 1;
}

/* For each row so far the item's rows are looked up. */
static void try_loop(Planner *p, const Joined *from, const AdvPath *outer, int item, double out_rows, Joined *to)
{
    const AdvJoinAsk *ask = p->ask;
    const AdvItem *it = &ask->items[item];
    const AdvSettings *c = ask->settings;
    AdvPath inner = {.startup = INFINITY, .total = INFINITY, .order = -1};
    double loops = fmax(from->rows, 1), inner_rows = it->rows, again;
    if (it->rel >= 0 && from->classes & it->classes) {
        const Ways *ways = ways_of(p, item, from->classes);
        inner_rows = ways->rows;
        for (int i = 0; i < ways->n; i++) {
            double startup, total;
            adv_access_cost(c, &ways->ways[i], look_ups(ask, from, it), &startup, &total);
            if (total < inner.total)
                inner = (AdvPath){.startup = startup, .total = total, .order = -1, .access = &ways->ways[i]};
        }
        again = inner.total;
    } else if (it->rows < 1000 || !(from->classes & it->classes)) {
        /* Kept in memory, and read again for each row. */
        inner = p->wholes[item].paths[0];
        again = c->cpu_operator_cost * it->rows;
    } else {
        return;
    }
    if (!is_set(&inner))
        return;
    /* The first partner is enough. */
    if (it->kind == ADV_JOIN_SEMI || it->kind == ADV_JOIN_ANTI) {
        double part = 2 / (fmax(inner_rows, 1) + 1);
        again *= part;
        inner_rows *= part;
    }
    double run = (outer->total - outer->startup) + inner.total - inner.startup + (loops - 1) * again;
    run += loops * fmax(inner_rows, 1) * c->cpu_tuple_cost + (it->kind == ADV_JOIN_INNER ? 0 : out_rows * c->cpu_tuple_cost);
    AdvPath path = {.startup = outer->startup + inner.startup, .order = outer->order, .outer = outer, .inner = &inner};
    path.total = path.startup + run;
    keep(p, to, &path, false);
}

static double hash_memory(const AdvJoinAsk *ask)
{
    return ask->settings->work_mem * (ask->server_version_num >= 150000 ? HASH_MEM_FACTOR : 1);
}

/* `build` goes into memory, `probe` passes by. */
static void try_hash(Planner *p, const AdvPath *probe, double probe_rows, double probe_width, const AdvPath *build, double build_rows, double build_width,
                     double build_distinct, double out_rows, Joined *to)
{
    const AdvSettings *c = p->ask->settings;
    AdvPath path = {.order = -1, .outer = probe, .inner = build};
    path.startup = probe->startup + build->total + (c->cpu_operator_cost + c->cpu_tuple_cost) * build_rows;
    double bucket = fmax(build_rows / fmax(build_distinct, 1), 1);
    double run = probe->total - probe->startup + c->cpu_operator_cost * probe_rows + 0.5 * c->cpu_operator_cost * probe_rows * bucket +
                 c->cpu_tuple_cost * out_rows;
    /* What does not fit into memory is written out, and so is the other side. */
    if (bytes_of(build_rows, build_width) > hash_memory(p->ask)) {
        double build_pages = ceil(bytes_of(build_rows, build_width) / ADV_BLOCK_SIZE), probe_pages = ceil(bytes_of(probe_rows, probe_width) / ADV_BLOCK_SIZE);
        path.startup += c->seq_page_cost * build_pages;
        run += c->seq_page_cost * (build_pages + 2 * probe_pages);
    }
    path.total = path.startup + run;
    keep(p, to, &path, true);
}

/* Both sides in the order of a class that they share, from an index or sorted. */
static void try_merge(Planner *p, const Joined *from, const Joined *item, int class, double out_rows, Joined *to)
{
    const AdvSettings *c = p->ask->settings;
    AdvPath sides[2];
    const Joined *joined[2] = {from, item};
    for (int i = 0; i < 2; i++) {
        const AdvPath *any = &joined[i]->paths[0], *ordered = &joined[i]->paths[class + 1];
        double sorted = any->total + adv_sort_cost(c, joined[i]->rows, joined[i]->width, INFINITY);
        if (ordered->total <= sorted)
            sides[i] = *ordered;
        else
            sides[i] = (AdvPath){.startup = sorted, .total = sorted + c->cpu_operator_cost * joined[i]->rows, .outer = any};
    }
    AdvPath path = {.startup = sides[0].startup + sides[1].startup, .order = class, .outer = &sides[0], .inner = &sides[1]};
    path.total = sides[0].total + sides[1].total + c->cpu_operator_cost * (from->rows + item->rows) + c->cpu_tuple_cost * out_rows;
    keep(p, to, &path, false);
}

/* All that is sorted by is there: sorted now, the rows stay in order through look-ups, and a LIMIT need not see them all. */
static void add_sorted(const Planner *p, Joined *set, int items)
{
    const AdvJoinAsk *ask = p->ask;
    if (!ask->sort_items || (items & ask->sort_items) != ask->sort_items)
        return;
    AdvPath path = {.order = ask->n_classes, .outer = &set->paths[0]};
    path.startup = set->paths[0].total + adv_sort_cost(ask->settings, set->rows, set->width, INFINITY);
    path.total = path.startup + ask->settings->cpu_operator_cost * set->rows;
    keep(p, set, &path, false);
}

/* Items on the inside of an outer join, or of a subquery that must hold, come after what they are joined to. */
static bool may_follow(const Joined *from, const AdvItem *it)
{
    return it->kind == ADV_JOIN_INNER || from->classes & it->classes || it->classes == 0;
}

/* Adds one item to what is joined. */
static void extend(Planner *p, const Joined *from, int item, Joined *to)
{
    const AdvJoinAsk *ask = p->ask;
    const AdvItem *it = &ask->items[item];
    AdvClasses shared = from->classes & it->classes;
    double pairs = from->rows * it->rows * selectivity(ask, from, it);
    if (!to->exists) {
        for (int o = 0; o < ask->n_orders + 2; o++)
            to->paths[o] = (AdvPath){.startup = INFINITY, .total = INFINITY, .order = o - 1};
        to->exists = true;
        set_result(ask, from, it, pairs, to);
    }
    const Joined *whole = &p->wholes[item];
    for (int o = 0; o < ask->n_orders + 2; o++)
        if (is_set(&from->paths[o]))
            try_loop(p, from, &from->paths[o], item, to->rows, to);
    double item_distinct = 1, from_distinct = 1;
    for (int k = 0; k < ask->n_classes; k++)
        if (shared & (AdvClasses)1 << k) {
            item_distinct *= fmin(it->distinct[k], it->rows);
            from_distinct *= fmin(from->distinct[k], from->rows);
        }
    if (!shared)
        return;
    double paired = it->kind == ADV_JOIN_SEMI || it->kind == ADV_JOIN_ANTI ? to->rows : fmax(pairs, 1);
    try_hash(p, &from->paths[0], from->rows, from->width, &whole->paths[0], it->rows, it->width, item_distinct, paired, to);
    if (it->kind == ADV_JOIN_INNER || it->kind == ADV_JOIN_LEFT)
        try_hash(p, &whole->paths[0], it->rows, it->width, &from->paths[0], from->rows, from->width, from_distinct, paired, to);
    for (int k = 0; k < ask->n_classes; k++)
        if (shared & (AdvClasses)1 << k)
            try_merge(p, from, whole, k, paired, to);
}

/* An item that may come first. IN (SELECT ...) can: its values, each once, then lead to the rows. */
static bool start(Planner *p, int item, Joined *to)
{
    const AdvItem *it = &p->ask->items[item];
    if (it->kind == ADV_JOIN_ANTI || it->kind == ADV_JOIN_LEFT)
        return false;
    *to = p->wholes[item];
    if (it->kind == ADV_JOIN_SEMI) {
        double values = 1;
        for (int k = 0; k < p->ask->n_classes; k++)
            if (it->classes & (AdvClasses)1 << k)
                values *= it->distinct[k];
        double grouped = to->paths[0].total + p->ask->settings->cpu_operator_cost * to->rows + p->ask->settings->cpu_tuple_cost * fmin(values, to->rows);
        to->rows = fmin(values, to->rows);
        for (int o = 1; o < p->ask->n_orders + 2; o++)
            to->paths[o] = (AdvPath){.startup = INFINITY, .total = INFINITY, .order = o - 1};
        AdvPath path = {.startup = grouped, .total = grouped, .order = -1, .outer = &p->wholes[item].paths[0]};
        to->paths[0] = path;
    }
    return true;
}

/* Whether an item can join without pairing every row with every row. */
static bool is_connected(const AdvJoinAsk *ask, const Joined *from, const bool *done)
{
    for (int i = 0; i < ask->n_items; i++)
        if (!done[i] && ask->items[i].classes & from->classes)
            return true;
    return false;
}

static void join_exactly(Planner *p, Joined *ret)
{
    const AdvJoinAsk *ask = p->ask;
    int n = ask->n_items, all = (int)((1u << n) - 1);
    Joined *sets = ADV_NEW_ARRAY(ask->arena, Joined, 1 << n);
    for (int i = 0; i < n; i++)
        start(p, i, &sets[1 << i]);
    for (int set = 1; set < all; set++) {
        if (!sets[set].exists)
            continue;
        bool done[JOIN_EXACT_MAX];
        for (int i = 0; i < n; i++)
            done[i] = set >> i & 1;
        bool connected = is_connected(ask, &sets[set], done);
        add_sorted(p, &sets[set], set);
        for (int i = 0; i < n; i++)
            if (!done[i] && may_follow(&sets[set], &ask->items[i]) &&
                (!connected || ask->items[i].classes & sets[set].classes || sets[set].rows * ask->items[i].rows <= CROSS_MAX))
                extend(p, &sets[set], i, &sets[set | 1 << i]);
    }
    *ret = sets[all];
}

/* The item that is cheapest to add, with an eye on the rows that it yields; -1: none may follow. `any`: whatever may follow. */
static int next_item(Planner *p, const Joined *now, const bool *done, bool any, Joined **ret_next)
{
    const AdvJoinAsk *ask = p->ask;
    bool connected = is_connected(ask, now, done);
    int chosen = -1;
    *ret_next = NULL;
    for (int i = 0; i < ask->n_items; i++) {
        if (done[i] || (!any && (!may_follow(now, &ask->items[i]) || (connected && !(ask->items[i].classes & now->classes)))))
            continue;
        Joined *next = ADV_NEW(ask->arena, Joined), *best = *ret_next;
        extend(p, now, i, next);
        if (!best || next->paths[0].total + next->rows * ask->settings->cpu_tuple_cost < best->paths[0].total + best->rows * ask->settings->cpu_tuple_cost) {
            *ret_next = next;
            chosen = i;
        }
    }
    return chosen;
}

/* From one start always the next best table. NULL: nothing starts with this one. */
static const Joined *join_from(Planner *p, int first)
{
    const AdvJoinAsk *ask = p->ask;
    bool *done = ADV_NEW_ARRAY(ask->arena, bool, ask->n_items);
    Joined *now = ADV_NEW(ask->arena, Joined), *next;
    if (!start(p, first, now))
        return NULL;
    done[first] = true;
    for (int step = 1; step < ask->n_items; step++) {
        int chosen = next_item(p, now, done, false, &next);
        if (chosen < 0) /* an outer join without a condition that we understand: nothing tells what it follows */
            chosen = next_item(p, now, done, true, &next);
        done[chosen] = true;
        now = next;
    }
    return now;
}

static void join_greedily(Planner *p, Joined *ret)
{
    int tried = 0;
    for (int i = 0; i < p->ask->n_items && tried < STARTS_MAX; i++) {
        const Joined *joined = join_from(p, i);
        tried += joined != NULL;
        if (joined && (!ret->exists || joined->paths[0].total < ret->paths[0].total))
            *ret = *joined;
    }
}

void adv_join_all(const AdvJoinAsk *ask, AdvJoined *ret_joined)
{
    Planner p = {.ask = ask};
    p.n_ways = ADV_NEW_ARRAY(ask->arena, int, ask->n_items + 1);
    p.ways = ADV_NEW_ARRAY(ask->arena, Ways *, ask->n_items + 1);
    p.wholes = ADV_NEW_ARRAY(ask->arena, Joined, ask->n_items + 1);
    for (int i = 0; i < ask->n_items; i++)
        scan_whole(&p, i, &p.wholes[i]);
    Joined joined = {0};
    if (ask->n_items <= JOIN_EXACT_MAX)
        join_exactly(&p, &joined);
    if (!joined.exists)
        join_greedily(&p, &joined);
    *ret_joined = (AdvJoined){.rows = fmax(joined.rows, 1), .width = joined.width};
    for (int o = 0; o < ask->n_orders + 2 && joined.exists; o++)
        if (is_set(&joined.paths[o]))
            ret_joined->paths[ret_joined->n++] = joined.paths[o];
}
