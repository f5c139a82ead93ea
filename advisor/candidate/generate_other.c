/* SPDX-License-Identifier: ISC */
/* generate_other.c - candidates that are no b-trees: GIN and GiST for what is inside of values, BRIN for large tables in order, hash for long keys. */
#include "advisor/candidate/generate.h"

#include <math.h>

#include "advisor/catalog/stats.h"
#include "poolwise/str.h"

#define BRIN_CORRELATION 0.95
#define BRIN_PAGES 4096     /* 32 MB: below a b-tree is small enough */
#define BRIN_SHARE 0.0005   /* fewer rows than that: single rows are wanted, and a range of pages is much for one */
#define HASH_WIDTH 48.0     /* bytes from which a b-tree's copy of the key weighs */
#define TRIGRAM_WIDTH 4.0   /* shorter values have hardly a trigram */

typedef struct Other {
    AdvPool *pool;
    const AdvQuery *query;
    const AdvRel *rel;
    int **ids;
    int *n_ids;
} Other;

static void emit(Other *o, const char *method, const AdvIndexKey *key)
{
    AdvIndexKey copy = *key;
    if (copy.expr)
        copy.column = 0;
    AdvIndex def = {.table = o->rel->table, .method = method, .n_keys = 1, .keys = &copy};
    if (adv_index_served_by_existing(&def))
        return;
    int id = adv_pool_add(o->pool, &def);
    for (int i = 0; i < *o->n_ids; i++)
        if ((*o->ids)[i] == id)
            return;
    ADV_ROOM(o->pool->arena, *o->ids, *o->n_ids);
    (*o->ids)[(*o->n_ids)++] = id;
}

/* jsonb_path_ops is smaller and knows @> and the path operators only. */
static bool is_path_operator(const char *op)
{
    return op && (strcmp(op, "@>") == 0 || strcmp(op, "@@") == 0 || strcmp(op, "@?") == 0);
}

static void emit_inner(Other *o, const AdvPred *pred)
{
    const AdvColumn *c = adv_column(o->rel->table, pred->column);
    AdvIndexKey key = {.column = pred->column, .expr = pred->expr};
    if (pred->gist) {
        emit(o, "gist", &key);
        return;
    }
    bool jsonb = strcmp(c->base_type, "jsonb") == 0;
    if (jsonb && is_path_operator(pred->op)) {
        key.opclass = "jsonb_path_ops";
        emit(o, "gin", &key);
        return;
    }
    /* The index of a statement that asks for keys serves those that ask for contents. */
    emit(o, "gin", &key);
}

static void emit_trigram(Other *o, const AdvPred *pred)
{
    const AdvCatalog *catalog = o->pool->catalog;
    const AdvColumn *c = adv_column(o->rel->table, pred->column);
    if (!pred->trigram || !catalog->trgm_schema || (!pred->expr && (c->category != 'S' || c->avg_width < TRIGRAM_WIDTH)))
        return;
    emit(o, "gin", &(AdvIndexKey){.column = pred->column, .expr = pred->expr, .opclass = "gin_trgm_ops"});
}

/* It finds what a BRIN would find, and just that. */
static bool has_btree(const AdvTable *t, int column)
{
    for (int i = 0; i < t->n_indexes; i++)
        if (t->indexes[i]->valid && !t->indexes[i]->predicate && strcmp(t->indexes[i]->method, "btree") == 0 && t->indexes[i]->keys[0].column == column)
            return true;
    return false;
}

static void emit_brin(Other *o, const AdvPred *pred)
{
    const AdvTable *t = o->rel->table;
    const AdvColumn *c = adv_column(t, pred->column);
    bool first;
    if (pred->expr || pred->kind != ADV_PRED_RANGE || t->pages < BRIN_PAGES || fabs(c->correlation) < BRIN_CORRELATION || !c->btree ||
        c->category == 'B' || c->category == 'S' || has_btree(t, pred->column) || adv_range_selectivity(o->query->facts, pred, &first) < BRIN_SHARE)
        return;
    emit(o, "brin", &(AdvIndexKey){.column = pred->column});
}

static void emit_hash(Other *o, const AdvPred *pred)
{
    const AdvColumn *c = adv_column(o->rel->table, pred->column);
    if (pred->expr || pred->kind != ADV_PRED_EQ || c->category != 'S' || c->avg_width < HASH_WIDTH ||
        adv_column_is_coarse(o->rel->table, pred->column))
        return;
    emit(o, "hash", &(AdvIndexKey){.column = pred->column});
}

void adv_generate_other(AdvPool *pool, const AdvQuery *query, int rel, int **ids, int *n_ids)
{
    const AdvFacts *facts = query->facts;
    Other o = {.pool = pool, .query = query, .rel = &facts->rels[rel], .ids = ids, .n_ids = n_ids};
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *pred = &facts->preds[i];
        if (pred->rel != rel)
            continue;
        if (pred->kind == ADV_PRED_CONTAINS) {
            emit_inner(&o, pred);
        } else if (pred->kind == ADV_PRED_INFIX) {
            emit_trigram(&o, pred);
        } else if (!pred->or_group && o.rel->table->kind != 'p') {
            emit_brin(&o, pred);
            emit_hash(&o, pred);
        }
    }
}
