/* SPDX-License-Identifier: ISC */
#include "advisor/cost/model.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/catalog/stats.h"
#include "advisor/cost/scan.h"

#define GROUP_BYTES 80.0 /* of one group in a hash table */
#define STARTS_MAX 8 /* tables tried as the first of a join order */

typedef struct Model {
    const AdvCatalog *catalog;
    AdvCostBackend backend;
} Model;

/* One question. */
typedef struct Ask {
    AdvArena *arena; /* scratch */
    const AdvSettings *c;
    const AdvFacts *facts;
    int n_indexes;
    AdvModelIndex *indexes; /* of all tables of the statement */
    bool *used;             /* by place */
} Ask;

typedef struct Path {
    double cost;
    double rows;
    bool *used;
} Path;

static void add_indexes(Ask *ask, const AdvTable *table, AdvCandidate *const *set, int n)
{
    for (int i = 0; i < ask->n_indexes; i++)
        if (ask->indexes[i].def->table == table)
            return;
    for (int i = 0; i < table->n_indexes; i++) {
        const AdvIndex *def = table->indexes[i];
        ADV_ROOM(ask->arena, ask->indexes, ask->n_indexes);
        AdvModelIndex *m = &ask->indexes[ask->n_indexes++];
        *m = (AdvModelIndex){.def = def, .size = adv_index_size(def, 1), .fraction = 1, .place = -1};
        if (def->pages > 0)
            m->size.leaf_pages = def->pages;
    }
    for (int i = 0; i < n; i++) {
        if (set[i]->def.table != table)
            continue;
        ADV_ROOM(ask->arena, ask->indexes, ask->n_indexes);
        ask->indexes[ask->n_indexes++] =
            (AdvModelIndex){.def = &set[i]->def, .size = adv_index_size(&set[i]->def, set[i]->fraction),
                            .fraction = set[i]->fraction, .place = i};
    }
}

static int indexes_of(const Ask *ask, const AdvTable *table, const AdvModelIndex **ret_first)
{
    int n = 0;
    *ret_first = ask->indexes;
    for (int i = 0; i < ask->n_indexes; i++) {
        if (ask->indexes[i].def->table != table)
            continue;
        if (n == 0)
            *ret_first = &ask->indexes[i];
        n++; /* those of one table are neighbours */
    }
    return n;
}

static AdvScan scan_rel(const Ask *ask, int rel, const bool *bound, int n_order, const AdvSort *order, bool ordered_only)
{
    const AdvRel *r = &ask->facts->rels[rel];
    const AdvModelIndex *first;
    int n = indexes_of(ask, r->table, &first);
    AdvScanWish wish = {.facts = ask->facts, .rel = rel, .bound = bound, .n_order = n_order, .order = order,
                        .no_index_only = r->target || ask->facts->locks_rows};
    return adv_best_scan(ask->arena, ask->c, &wish, first, n, ordered_only);
}

static void mark(bool *used, const AdvScan *scan)
{
    for (int i = 0; i < scan->n_used; i++)
        used[scan->used[i]] = true;
}

static double sort_cost(const Ask *ask, double rows)
{
    double cost = 2 * ask->c->cpu_operator_cost * rows * log2(fmax(rows, 2));
    /* Beyond work_mem the rows go to disk and back. */
    double bytes = rows * 100;
    if (bytes > ask->c->work_mem)
        cost += 2 * bytes / ADV_BLOCK_SIZE * ask->c->seq_page_cost;
    return cost;
}

/* More groups than fit into work_mem: the server sorts, or writes hash tables to disk, unless an index brings the groups in order. Only
 * for a block that reads one table. */
static double group_cost(Ask *ask, int rel, const AdvBlock *block, const AdvScan *any)
{
    const AdvTable *table = ask->facts->rels[rel].table;
    double groups = 1;
    for (int i = 0; i < block->n_group; i++) {
        if (block->group[i].rel != rel)
            return 0;
        groups *= block->group[i].expr ? 200 : adv_column_distinct(table, block->group[i].column);
    }
    groups = fmin(groups, any->rows);
    if (block->n_group == 0 || block->n_group > 4 || groups * GROUP_BYTES < ask->c->work_mem)
        return 0;
    double sorted = sort_cost(ask, any->rows);
    AdvScan ordered = scan_rel(ask, rel, NULL, block->n_group, block->group, true);
    if (ordered.cost - any->cost >= sorted)
        return sorted;
    mark(ask->used, &ordered);
    return fmax(ordered.cost - any->cost, 0);
}

/* The blocks of a statement with several tables. */
static double groups_of_blocks(Ask *ask)
{
    const AdvFacts *facts = ask->facts;
    double cost = 0;
    for (int b = 0; b < facts->n_blocks; b++) {
        int rel = -1, n = 0;
        for (int r = 0; r < facts->n_rels; r++)
            if (facts->rels[r].block == b && facts->rels[r].kind == ADV_REL_TABLE) {
                rel = r;
                n++;
            }
        if (n != 1 || facts->blocks[b].n_group == 0)
            continue;
        AdvScan any = scan_rel(ask, rel, NULL, 0, NULL, false);
        cost += group_cost(ask, rel, &facts->blocks[b], &any);
    }
    return cost;
}

/* A lone table: its order may come from an index, and a LIMIT then stops early. */
static double single_table(Ask *ask, int rel)
{
    const AdvFacts *facts = ask->facts;
    const AdvBlock *block = &facts->blocks[facts->rels[rel].block];
    AdvScan any = scan_rel(ask, rel, NULL, 0, NULL, false);
    if (block->n_minmax > 0) {
        AdvScan ends = scan_rel(ask, rel, NULL, 1, block->minmax, true);
        double cost = block->n_minmax * (ends.cost / fmax(ends.rows, 1) + 4 * ask->c->random_page_cost);
        if (block->minmax_only && ends.cost < INFINITY && block->n_minmax == 1 && cost < any.cost) {
            mark(ask->used, &ends);
            return cost;
        }
    }
    double limit = block->has_limit ? (block->limit > 0 ? block->limit : 20) : INFINITY;
    bool plain_order = block->n_order > 0 && !block->aggregate && block->n_group == 0;
    double sorted = any.cost + (plain_order ? sort_cost(ask, any.rows) : 0);
    if (!plain_order && limit < any.rows && !block->aggregate && block->n_order == 0)
        sorted *= fmax(limit / any.rows, 0.001);
    if (plain_order) {
        AdvScan ordered = scan_rel(ask, rel, NULL, block->n_order, block->order, true);
        double cost = ordered.cost * fmin(limit / fmax(ordered.rows, 1), 1) + ask->c->random_page_cost;
        if (ordered.cost < INFINITY && cost < sorted) {
            mark(ask->used, &ordered);
            return cost;
        }
    } else if (block->n_group > 0 && block->n_group <= 4) {
        sorted += any.rows * ask->c->cpu_operator_cost * (1 + block->n_group) + group_cost(ask, rel, block, &any);
    }
    mark(ask->used, &any);
    return sorted;
}

static bool joins_to(const AdvFacts *facts, int rel, const bool *done, bool *bound)
{
    bool any = false;
    for (int i = 0; i < facts->n_joins; i++) {
        const AdvJoin *j = &facts->joins[i];
        if (j->rel_a == rel && j->rel_b >= 0 && done[j->rel_b]) {
            bound[j->column_a - 1] = true;
            any = true;
        } else if (j->rel_b == rel && j->rel_a >= 0 && done[j->rel_a]) {
            bound[j->column_b - 1] = true;
            any = true;
        } else if (j->rel_a == rel && j->rel_b < 0) {
            bound[j->column_a - 1] = true;
        }
    }
    return any;
}

static double join_selectivity(const AdvFacts *facts, int rel, const bool *done)
{
    double s = 1;
    for (int i = 0; i < facts->n_joins; i++) {
        const AdvJoin *j = &facts->joins[i];
        bool a = j->rel_a == rel && j->rel_b >= 0 && done[j->rel_b];
        bool b = j->rel_b == rel && j->rel_a >= 0 && done[j->rel_a];
        if (!a && !b)
            continue;
        double da = facts->rels[j->rel_a].table ? adv_column_distinct(facts->rels[j->rel_a].table, j->column_a) : 1;
        double db = facts->rels[j->rel_b].table ? adv_column_distinct(facts->rels[j->rel_b].table, j->column_b) : 1;
        s /= fmax(fmax(da, db), 1);
    }
    return s;
}

/* Adds one table to a join: hashed, or looked up for each row so far. */
static Path join_one(const Ask *ask, const Path *so_far, int rel, const bool *done, AdvScan *ret_scan)
{
    const AdvTable *table = ask->facts->rels[rel].table;
    bool *bound = ADV_NEW_ARRAY(ask->arena, bool, table->n_columns + 1);
    bool connected = joins_to(ask->facts, rel, done, bound);
    Path path = {.cost = INFINITY};
    AdvScan whole = scan_rel(ask, rel, NULL, 0, NULL, false);
    double hash = so_far->cost + whole.cost + (whole.rows + so_far->rows) * 1.5 * ask->c->cpu_operator_cost +
                  whole.rows * ask->c->cpu_tuple_cost;
    /* A hash table beyond work_mem is written out in batches, and so is the other side. */
    if (whole.rows * 60 > ask->c->work_mem)
        hash += 2 * (whole.rows + so_far->rows) * 60 / ADV_BLOCK_SIZE * ask->c->seq_page_cost;
    path.cost = hash;
    *ret_scan = whole;
    if (connected) {
        AdvScan look_up = scan_rel(ask, rel, bound, 0, NULL, false);
        /* Repeated look-ups find the upper pages of the index cached. */
        double cached = fmin(fmax(so_far->rows * 3 / fmax(table->pages, 1), 0), 0.6);
        double loop = so_far->cost + so_far->rows * look_up.cost * (1 - cached);
        if (look_up.cost < INFINITY && loop < path.cost) {
            path.cost = loop;
            *ret_scan = look_up;
        }
    }
    path.rows = fmax(so_far->rows * whole.rows * join_selectivity(ask->facts, rel, done), 1);
    if (!connected)
        path.rows = fmin(path.rows, fmax(so_far->rows, whole.rows)); /* mostly a subquery's own block */
    return path;
}

static double join_from(Ask *ask, int start, const int *rels, int n, bool *used)
{
    bool *done = ADV_NEW_ARRAY(ask->arena, bool, ask->facts->n_rels + 1);
    AdvScan first = scan_rel(ask, start, NULL, 0, NULL, false);
    mark(used, &first);
    Path path = {.cost = first.cost, .rows = first.rows};
    done[start] = true;
    for (int step = 1; step < n; step++) {
        Path best = {.cost = INFINITY};
        AdvScan best_scan = {0};
        int chosen = -1;
        bool chosen_connected = false;
        for (int i = 0; i < n; i++) {
            if (done[rels[i]])
                continue;
            bool *bound = ADV_NEW_ARRAY(ask->arena, bool, ask->facts->rels[rels[i]].table->n_columns + 1);
            bool connected = joins_to(ask->facts, rels[i], done, bound);
            AdvScan scan;
            Path next = join_one(ask, &path, rels[i], done, &scan);
            /* Tables with a join condition first; among them the cheapest, with an eye on the rows it yields. */
            double score = next.cost + next.rows * ask->c->cpu_tuple_cost;
            double best_score = best.cost + best.rows * ask->c->cpu_tuple_cost;
            if (chosen < 0 || (connected && !chosen_connected) || (connected == chosen_connected && score < best_score)) {
                best = next;
                best_scan = scan;
                chosen = rels[i];
                chosen_connected = connected;
            }
        }
        mark(used, &best_scan);
        done[chosen] = true;
        path = best;
    }
    return path.cost + path.rows * ask->c->cpu_tuple_cost;
}

static double statement_cost(Ask *ask, int n_set)
{
    const AdvFacts *facts = ask->facts;
    int *rels = ADV_NEW_ARRAY(ask->arena, int, facts->n_rels + 1);
    int n = 0;
    for (int r = 0; r < facts->n_rels; r++)
        if (facts->rels[r].kind == ADV_REL_TABLE)
            rels[n++] = r;
    if (n == 0)
        return 1;
    if (n == 1)
        return single_table(ask, rels[0]);
    double best = INFINITY;
    for (int i = 0; i < n && i < STARTS_MAX; i++) {
        bool *used = ADV_NEW_ARRAY(ask->arena, bool, n_set + 1);
        double cost = join_from(ask, rels[i], rels, n, used);
        if (cost < best) {
            best = cost;
            memcpy(ask->used, used, (size_t)n_set * sizeof(bool));
        }
    }
    return best + groups_of_blocks(ask);
}

static double model_cost(const Model *model, AdvArena *scratch, const AdvQuery *query, AdvCandidate *const *set, int n,
                         bool *used)
{
    const AdvFacts *facts = query->bound_facts ? query->bound_facts : query->facts;
    Ask ask = {.arena = scratch, .c = &model->catalog->settings, .facts = facts, .used = used};
    for (int r = 0; r < facts->n_rels; r++)
        if (facts->rels[r].kind == ADV_REL_TABLE)
            add_indexes(&ask, facts->rels[r].table, set, n);
    return statement_cost(&ask, n);
}

static PwErr cost(void *self, const AdvQuery *query, AdvCandidate *const *set, int n, double *ret_cost, bool *used)
{
    const Model *model = self;
    AdvArena *scratch = adv_arena_create();
    bool *none = ADV_NEW_ARRAY(scratch, bool, 1);
    double with = model_cost(model, scratch, query, set, n, used);
    double today = n ? model_cost(model, scratch, query, set, 0, none) : with;
    adv_arena_destroy(scratch);
    /* The server's own cost is the measure; the model only says how it changes. Never for the worse: an index that
     * does not help is not chosen. */
    double ratio = today > 0 ? fmin(with / today, 1) : 1;
    if (ratio > 1 - 1e-9)
        memset(used, 0, (size_t)n * sizeof(bool));
    *ret_cost = query->cost_today * ratio;
    return PW_OK;
}

double adv_model_cost_today(const AdvCatalog *catalog, const AdvQuery *query)
{
    Model model = {.catalog = catalog};
    AdvArena *scratch = adv_arena_create();
    double today = model_cost(&model, scratch, query, NULL, 0, ADV_NEW_ARRAY(scratch, bool, 1));
    adv_arena_destroy(scratch);
    return today;
}

const AdvCostBackend *adv_model_create(AdvArena *arena, const AdvCatalog *catalog)
{
    Model *model = ADV_NEW(arena, Model);
    model->catalog = catalog;
    model->backend = (AdvCostBackend){.self = model, .name = "model", .cost = cost};
    return &model->backend;
}
