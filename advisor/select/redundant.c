/* SPDX-License-Identifier: ISC */
#include "advisor/select/redundant.h"

#include <assert.h>

#include "poolwise/str.h"

/* Smaller ones are not worth a finding: an empty b-tree has one page, a tiny one two. */
#define UNUSED_MIN_BYTES (3 * 8192.0)

static const char *const kind_names[] = {
    [ADV_DROP_DUPLICATE] = "drop_duplicate", [ADV_DROP_PREFIX] = "drop_prefix",   [ADV_DROP_REPLACED] = "drop_replaced",
    [ADV_DROP_UNUSED] = "drop_unused",       [ADV_DROP_INVALID] = "drop_invalid",
};
static_assert(PW_ARRAY_LEN(kind_names) == ADV_DROP_COUNT, "one name per kind");

const char *adv_drop_kind_name(AdvDropKind kind)
{
    return kind_names[kind];
}

/* Something other than a search depends on it: a constraint, a foreign key's target, replication, CLUSTER, the index of a partitioned
 * table, an extension. */
static bool is_bound(const AdvIndex *index)
{
    return index->primary || index->exclusion || index->constraint || index->replica_identity || index->clustered ||
           index->table->is_partition || index->table->kind == 'p' || index->table->of_extension;
}

const char *adv_index_stays_because(const AdvIndex *stays, const AdvIndex *goes)
{
    if (is_bound(stays) && !is_bound(goes))
        return stays->primary ? "is the primary key" : stays->replica_identity ? "is the replica identity"
                                                     : stays->constraint ? "serves a constraint" : "is needed otherwise";
    if (stays->unique && !goes->unique)
        return "is unique";
    return "is older";
}

bool adv_index_is_protected(const AdvIndex *index)
{
    return index->unique || is_bound(index);
}

bool adv_index_begins_with_fk(const AdvIndex *index, const AdvForeignKey *fk)
{
    if (index->n_keys < fk->n_columns || index->predicate)
        return false;
    for (int i = 0; i < fk->n_columns; i++) {
        bool found = false;
        for (int k = 0; k < fk->n_columns; k++)
            found = found || index->keys[k].column == fk->columns[i];
        if (!found)
            return false;
    }
    return true;
}

/* The only thing that makes deletes on a parent table fast. */
static bool supports_foreign_key(const AdvIndex *index)
{
    for (int i = 0; i < index->table->n_fks; i++)
        if (adv_index_begins_with_fk(index, index->table->fks[i]))
            return true;
    return false;
}

static bool is_named(const char *const *names, int n, const AdvIndex *index)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], index->name) == 0)
            return true;
    return false;
}

/* One arm of an OR may use it as soon as the other arms have indexes too. */
static bool may_serve_an_arm(const AdvFacts *facts, const AdvIndex *index)
{
    for (int i = 0; facts && i < facts->n_preds; i++) {
        const AdvPred *pred = &facts->preds[i];
        if (pred->or_group && facts->rels[pred->rel].table == index->table && pred->column == index->keys[0].column)
            return true;
    }
    return false;
}

static bool used_by_workload(const AdvWorkload *w, const AdvIndex *index)
{
    for (int q = 0; q < w->n_queries; q++) {
        const AdvQuery *query = w->queries[q];
        if (is_named(query->indexes_today, query->n_indexes_today, index) || is_named(query->indexes_after, query->n_indexes_after, index) ||
            (!w->planned_after && may_serve_an_arm(query->facts, index)))
            return true;
    }
    return false;
}

/* Its own scans, or those of an index that goes in its favour. */
static bool is_scanned(const AdvDropList *list, const AdvWorkload *w, const AdvIndex *index)
{
    if (index->scans != 0 || used_by_workload(w, index))
        return true;
    for (int i = 0; i < list->n; i++)
        if (list->drops[i].by == index && is_scanned(list, w, list->drops[i].index))
            return true;
    return false;
}

static bool is_dropped(const AdvDropList *list, const AdvIndex *index)
{
    for (int i = 0; i < list->n; i++)
        if (list->drops[i].index == index)
            return true;
    return false;
}

static void add(AdvArena *arena, AdvDropList *list, AdvDrop drop)
{
    ADV_ROOM(arena, list->drops, list->n);
    list->drops[list->n++] = drop;
}

static int rank(const AdvIndex *index)
{
    return 2 * is_bound(index) + (index->unique && !index->deferrable);
}

/* Which of two equal ones stays: what a constraint needs, then what is unique, then the older. Their scans say nothing: the planner
 * took either. */
static bool stays_before(const AdvIndex *a, const AdvIndex *b)
{
    if (rank(a) != rank(b))
        return rank(a) > rank(b);
    return a->oid < b->oid;
}

/* A unique index may go only when another one forbids exactly the same rows at the same moment. */
static bool enforces_as_well(const AdvIndex *other, const AdvIndex *index)
{
    return !index->unique || (other->unique && !other->deferrable && other->nulls_not_distinct == index->nulls_not_distinct);
}

/* Other access methods only have duplicates: nothing is known of their prefixes. */
static bool same_other_method(const AdvIndex *a, const AdvIndex *b)
{
    if (strcmp(a->method, "btree") == 0 || !adv_index_same(a, b))
        return false;
    for (int i = 0; i < a->n_keys; i++)
        if (!pw_str_equal(a->keys[i].opclass, b->keys[i].opclass))
            return false;
    return true;
}

static void check_pair(AdvArena *arena, AdvDropList *list, const AdvIndex *x, const AdvIndex *y)
{
    if (x == y || !x->valid || !y->valid || is_bound(x) || is_dropped(list, x) || is_dropped(list, y))
        return;
    bool same = adv_index_same(x, y) || same_other_method(x, y);
    if (same && stays_before(y, x) && enforces_as_well(y, x))
        add(arena, list, (AdvDrop){.kind = ADV_DROP_DUPLICATE, .index = x, .by = y});
    else if (!same && !x->unique && (strcmp(x->method, "btree") == 0 || y->n_keys == 1) && adv_index_serves(y, x))
        add(arena, list, (AdvDrop){.kind = ADV_DROP_PREFIX, .index = x, .by = y});
}

void adv_find_drops(AdvArena *arena, const AdvCatalog *catalog, const AdvWorkload *workload,
                    const AdvCandidate *const *advised, int n_advised, AdvDropList *ret_list)
{
    AdvDropList list = {0};
    for (int t = 0; t < catalog->n_tables; t++) {
        const AdvTable *table = catalog->tables[t];
        for (int i = 0; i < table->n_indexes; i++) {
            const AdvIndex *index = table->indexes[i];
            if (!index->valid && !index->building && !is_bound(index))
                add(arena, &list, (AdvDrop){.kind = ADV_DROP_INVALID, .index = index});
        }
        for (int i = 0; i < table->n_indexes; i++)
            for (int k = 0; k < table->n_indexes; k++)
                check_pair(arena, &list, table->indexes[i], table->indexes[k]);
        for (int i = 0; i < table->n_indexes; i++) {
            const AdvIndex *index = table->indexes[i];
            if (!index->valid || adv_index_is_protected(index) || is_dropped(&list, index))
                continue;
            for (int a = 0; a < n_advised && !is_dropped(&list, index); a++)
                if (adv_index_serves(&advised[a]->def, index))
                    add(arena, &list, (AdvDrop){.kind = ADV_DROP_REPLACED, .index = index, .by_new = advised[a]});
            if (!is_dropped(&list, index) && index->bytes >= UNUSED_MIN_BYTES && !supports_foreign_key(index) &&
                !is_scanned(&list, workload, index))
                add(arena, &list, (AdvDrop){.kind = ADV_DROP_UNUSED, .index = index});
        }
    }
    *ret_list = list;
}
