/* SPDX-License-Identifier: ISC */
/* order.c - the physical order of rows: ranges over scattered rows (CLUSTER), and b-trees where a BRIN index would do. */
#include <math.h>

#include "advisor/catalog/stats.h"
#include "advisor/health/health.h"
#include "advisor/select/redundant.h"
#include "advisor/text.h"

#define CLUSTER_PAGES 1000.0
#define CLUSTER_CORRELATION 0.5
#define CLUSTER_SHARE 0.05     /* of the workload's cost */
#define RANGE_LEAST 0.002
#define RANGE_MOST 0.3
#define BRIN_PAGES 4096.0
#define BRIN_CORRELATION 0.95
#define BRIN_BTREE_BYTES (4.0 * 1024 * 1024)

static const AdvIndex *plain_index_on(const AdvTable *t, int column)
{
    for (int i = 0; i < t->n_indexes; i++) {
        const AdvIndex *index = t->indexes[i];
        if (index->valid && strcmp(index->method, "btree") == 0 && !index->predicate && index->keys[0].column == column)
            return index;
    }
    return NULL;
}

/* What statements do with one column of a table. */
typedef struct Use {
    double range_load; /* weighted cost of statements with a range of middling size on it */
    const AdvQuery *heaviest;
    double heaviest_load;
    bool ranges;
    bool otherwise;    /* equality, join, order, group: needs a b-tree */
} Use;

static void add_predicates(Use *use, const AdvQuery *q, const AdvTable *t, int column)
{
    const AdvFacts *facts = q->bound_facts ? q->bound_facts : q->facts;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        if (facts->rels[p->rel].table != t || p->column != column)
            continue;
        if (p->kind != ADV_PRED_RANGE) {
            use->otherwise = use->otherwise || p->kind == ADV_PRED_EQ || p->kind == ADV_PRED_IN || p->kind == ADV_PRED_PREFIX;
            continue;
        }
        bool first;
        double share = adv_range_selectivity(facts, p, &first), load = q->weight * q->cost_today;
        use->ranges = true;
        if (!first || share < RANGE_LEAST || share > RANGE_MOST)
            continue;
        use->range_load += load;
        if (load > use->heaviest_load) {
            use->heaviest_load = load;
            use->heaviest = q;
        }
    }
}

static bool in_sorts(const AdvFacts *facts, const AdvSort *sorts, int n, const AdvTable *t, int column)
{
    for (int i = 0; i < n; i++)
        if (sorts[i].rel >= 0 && facts->rels[sorts[i].rel].table == t && sorts[i].column == column)
            return true;
    return false;
}

static bool needs_order(const AdvFacts *facts, const AdvTable *t, int column)
{
    for (int j = 0; j < facts->n_joins; j++) {
        const AdvJoin *join = &facts->joins[j];
        if ((join->rel_a >= 0 && facts->rels[join->rel_a].table == t && join->column_a == column) ||
            (join->rel_b >= 0 && facts->rels[join->rel_b].table == t && join->column_b == column))
            return true;
    }
    for (int b = 0; b < facts->n_blocks; b++) {
        const AdvBlock *block = &facts->blocks[b];
        if (in_sorts(facts, block->order, block->n_order, t, column) || in_sorts(facts, block->group, block->n_group, t, column) ||
            in_sorts(facts, block->minmax, block->n_minmax, t, column))
            return true;
    }
    return false;
}

static Use find_use(const AdvHealthList *list, const AdvTable *t, int column)
{
    Use use = {0};
    for (int i = 0; i < list->workload->n_queries; i++) {
        const AdvQuery *q = list->workload->queries[i];
        if (!q->facts || q->weight <= 0)
            continue;
        add_predicates(&use, q, t, column);
        use.otherwise = use.otherwise || needs_order(q->facts, t, column);
    }
    return use;
}

static void check_cluster(AdvHealthList *list, const AdvTable *t, int column, const Use *use)
{
    const AdvColumn *c = adv_column(t, column);
    const AdvIndex *index = plain_index_on(t, column);
    double load = adv_health_load(list);
    if (!index || !use->heaviest || t->pages < CLUSTER_PAGES || fabs(c->correlation) > CLUSTER_CORRELATION || load <= 0 ||
        use->range_load < CLUSTER_SHARE * load)
        return;
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_CLUSTER, t);
    const char *name = adv_table_sql_name(list->catalog, t);
    h->index = index->name;
    h->query = use->heaviest;
    h->n_columns = 1;
    h->columns = ADV_NEW_ARRAY(list->arena, int, 1);
    h->columns[0] = column;
    h->reason = adv_arena_printf(list->arena, "Statements with %.0f %% of the workload's cost read a range of %s.%s, whose rows lie scattered over "
                                 "the table (correlation %.2f): in its order a range would be a few neighbouring pages.",
                                 100 * use->range_load / load, t->name, c->name, c->correlation);
    h->wrong_if = "other ranges of the same table profit from today's order, or rows are updated all over: the order is not kept up";
    h->remedy = adv_arena_printf(list->arena, "CLUSTER %s USING %s, then ANALYZE, in a maintenance window: it locks the table as long as it copies it; "
                                 "pg_repack does it without", name, adv_quote_ident(list->arena, index->name));
}

static bool is_single_use(const AdvIndex *index)
{
    return index->n_keys == 1 && !index->n_include && !adv_index_is_protected(index);
}

static void check_brin(AdvHealthList *list, const AdvTable *t, int column, const Use *use)
{
    const AdvColumn *c = adv_column(t, column);
    const AdvIndex *index = plain_index_on(t, column);
    if (!index || !is_single_use(index) || use->otherwise || !use->ranges || t->pages < BRIN_PAGES ||
        fabs(c->correlation) < BRIN_CORRELATION || index->bytes < BRIN_BTREE_BYTES || t->kind == 'p')
        return;
    AdvIndex def = {.table = index->table, .method = "brin", .n_keys = 1, .keys = ADV_NEW_ARRAY(list->arena, AdvIndexKey, 1)};
    def.keys[0].column = column;
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_BRIN, t);
    h->index = adv_index_new_name(list->catalog, &def, list->names->items, list->names->n);
    h->query = use->heaviest;
    h->n_columns = 1;
    h->columns = ADV_NEW_ARRAY(list->arena, int, 1);
    h->columns[0] = column;
    h->bytes = index->bytes;
    h->reason = adv_arena_printf(list->arena, "The b-tree %s (%s) serves only ranges of %s, and the rows lie in that order (correlation %.2f): a BRIN index "
                                 "of some pages finds them nearly as fast and costs INSERTs next to nothing.", index->name,
                                 adv_format_bytes(list->arena, index->bytes), c->name, c->correlation);
    h->wrong_if = "single values are looked up too, the column is updated, or rows come in another order";
    h->confidence = ADV_CONFIDENCE_LOW;
    adv_script_create(&h->script, list->catalog, &def, h->index, list->names);
    h->remedy = adv_arena_printf(list->arena, "try the statements with both, then DROP INDEX CONCURRENTLY %s", adv_index_sql_name(list->catalog, index));
    const AdvIndex named = {.table = index->table, .name = h->index};
    adv_script_drop(&h->undo, list->catalog, &named);
}

void adv_health_order(AdvHealthList *list)
{
    for (int i = 0; i < list->catalog->n_tables; i++) {
        const AdvTable *t = list->catalog->tables[i];
        if (!t->referenced || (t->kind != 'r' && t->kind != 'm') || t->pages < CLUSTER_PAGES)
            continue;
        for (int c = 1; c <= t->n_columns; c++) {
            if (!adv_column(t, c)->has_stats)
                continue;
            Use use = find_use(list, t, c);
            check_cluster(list, t, c, &use);
            check_brin(list, t, c, &use);
        }
    }
}
