/* SPDX-License-Identifier: ISC */
#include "advisor/cost/instead.h"

#include <math.h>

#include "advisor/catalog/stats.h"
#include "advisor/cost/inner.h"
#include "advisor/cost/scan.h"

typedef struct Instead {
    AdvArena *arena;
    const AdvSettings *settings;
    const AdvFacts *facts;
} Instead;

/* The statement's name for what the plan reads; partitions are read by the names that the server makes of it. `part`: what is read of the table. */
static bool is_scan_of(const AdvRel *rel, const AdvTable *table, const AdvTableScan *scan, const AdvTable *part)
{
    size_t n = rel->alias ? strlen(rel->alias) : 0;
    if (rel->kind != ADV_REL_TABLE || rel->table != table)
        return false;
    if (!n || strcmp(rel->alias, scan->alias) == 0)
        return true;
    return part != table && strncmp(scan->alias, rel->alias, n) == 0 && scan->alias[n] == '_';
}

/* The table itself, or the partition of it that has this name. */
static const AdvTable *part_named(const AdvTable *table, const char *name)
{
    if (strcmp(table->name, name) == 0)
        return table;
    for (int i = 0; table->kind == 'p' && i < table->n_children; i++) {
        const AdvTable *part = part_named(table->children[i], name);
        if (part)
            return part;
    }
    return NULL;
}

/* The share of a partition in a table and in an index on it. */
typedef struct Part {
    AdvTable table;
    AdvIndex def;
    double share;
} Part;

static void take_part(const AdvCandidate *candidate, const AdvTable *part, Part *ret)
{
    const AdvTable *table = candidate->def.table;
    *ret = (Part){.table = *table, .def = candidate->def, .share = table->pages > 0 ? fmin(part->pages / table->pages, 1) : 1};
    ret->table.kind = part->kind;
    ret->table.rows = part->rows;
    ret->table.pages = part->pages;
    ret->table.all_visible = part->all_visible;
    ret->def.table = &ret->table;
}

static double inner_cost(const Instead *n, int rel, const AdvTableScan *scan, const AdvCandidate *candidate, const AdvTable *part)
{
    const AdvTable *table = candidate->def.table;
    const AdvPred *pred = adv_inner_serves(n->facts, rel, &candidate->def);
    Part p;
    if (!pred)
        return INFINITY;
    take_part(candidate, part, &p);
    /* The other conditions on the table sift what the index brings. */
    double others = fmax(adv_rel_selectivity(n->facts, rel) / fmax(adv_pred_selectivity(table, pred), 1e-9), 1e-6);
    double rows = fmin(scan->rows / fmin(others, 1), p.table.rows);
    return adv_inner_cost(n->settings, &p.def, candidate->bytes / 8192 * p.share, pred, rows);
}

/* By a b-tree: as the model does it, with what a sample told of the expression. */
static double expression_cost(const Instead *n, int rel, const AdvCandidate *candidate, const AdvTable *part)
{
    Part p;
    AdvAccess *ways;
    double best = INFINITY, startup, total;
    take_part(candidate, part, &p);
    AdvModelIndex index = {.def = &p.def, .size = adv_index_size(&p.def, candidate->fraction), .fraction = candidate->fraction};
    AdvScanWish wish = {.facts = n->facts, .rel = rel, .all_pages = p.table.pages};
    int n_ways = adv_scan_ways(n->arena, n->settings, &wish, &index, 1, &ways);
    for (int i = 0; i < n_ways; i++) {
        if (ways[i].n_used == 0)
            continue;
        adv_access_cost(n->settings, &ways[i], 1, &startup, &total);
        best = fmin(best, total);
    }
    return best;
}

static bool is_expression(const AdvIndex *def)
{
    for (int k = 0; k < def->n_keys; k++)
        if (def->keys[k].expr)
            return strcmp(def->method, "btree") == 0;
    return false;
}

/* What the scan costs by this index; INFINITY: the index is of no use for it, or the server has judged it. */
static double cost_by(const Instead *n, const AdvTableScan *scan, const AdvCandidate *candidate)
{
    const AdvTable *table = candidate->def.table, *part = part_named(table, scan->table);
    bool inner = adv_is_inner(&candidate->def);
    double best = INFINITY;
    if (!part || (!inner && !is_expression(&candidate->def)))
        return INFINITY;
    for (int r = 0; r < n->facts->n_rels; r++)
        if (is_scan_of(&n->facts->rels[r], table, scan, part))
            best = fmin(best, inner ? inner_cost(n, r, scan, candidate, part) : expression_cost(n, r, candidate, part));
    return best;
}

static bool scan_uses(const AdvTableScan *scan, const char *index)
{
    for (int i = 0; i < scan->n_indexes; i++)
        if (strcmp(scan->indexes[i], index) == 0)
            return true;
    return false;
}

/* The indexes of which every scan is done otherwise. */
static void unuse(const AdvPlan *plan, const int *places, const bool *replaced, bool *used)
{
    for (int i = 0; i < plan->n_indexes; i++) {
        bool needed = places[i] < 0, gone = false;
        /* A partial index and its stand-in are one. */
        for (int k = 0; k < plan->n_indexes; k++)
            for (int s = 0; s < plan->n_scans; s++)
                if (places[k] == places[i] && scan_uses(&plan->scans[s], plan->indexes[k])) {
                    needed = needed || !replaced[s];
                    gone = true;
                }
        if (gone && !needed)
            used[places[i]] = false;
    }
}

double adv_cost_instead(AdvArena *arena, const AdvSettings *settings, const AdvFacts *facts, const AdvPlan *plan, const int *places,
                        AdvCandidate *const *set, int n, bool *used)
{
    const Instead instead = {.arena = arena, .settings = settings, .facts = facts};
    bool *replaced = ADV_NEW_ARRAY(arena, bool, plan->n_scans + 1), *chosen_ones = ADV_NEW_ARRAY(arena, bool, n + 1);
    double cost = plan->cost;
    for (int s = 0; s < plan->n_scans; s++) {
        const AdvTableScan *scan = &plan->scans[s];
        double best = scan->cost;
        int chosen = -1;
        for (int i = 0; i < n && !scan->again; i++) {
            double mine = cost_by(&instead, scan, set[i]);
            if (mine < best) {
                best = mine;
                chosen = i;
            }
        }
        /* Below a LIMIT the plan does not pay for the whole scan. */
        double with = fmax(cost - (scan->cost - best), best);
        if (chosen < 0 || with >= cost)
            continue;
        replaced[s] = chosen_ones[chosen] = true;
        cost = with;
    }
    unuse(plan, places, replaced, used);
    for (int i = 0; i < n; i++)
        used[i] = used[i] || chosen_ones[i];
    return cost;
}
