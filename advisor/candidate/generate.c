/* SPDX-License-Identifier: ISC */
#include "advisor/candidate/generate.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/candidate/roles.h"
#include "advisor/catalog/stats.h"
#include "advisor/text.h"
#include "poolwise/str.h"

#define UNSELECTIVE 0.5
#define KEYS_MAX 5
#define INCLUDE_MAX 10
#define INCLUDE_WIDTH_MAX 160.0
#define WIDE_COLUMN 100.0
#define SMALL_PAGES 10
#define SMALL_ROWS 500
#define COARSE 0.05         /* one value in twenty or fewer */
#define PARTIAL_MAX 0.20    /* a partial index must leave out most of the table */
#define RARE 0.30           /* of the share that a value has on average */
#define VISIBLE_MIN 0.20    /* below this the planner sees no use in index-only scans */
#define COVER_ROWS 5000.0   /* an existing index already finds the rows: covering pays only for many of them */
#define COVER_FRACTION 0.02

typedef struct Gen {
    AdvPool *pool;
    const AdvWorkload *workload;
    const AdvQuery *query;
    const AdvRel *rel;
    AdvRoles roles;
    const char *predicate; /* of the partial indexes being made; NULL */
    int fixed;             /* the column that it fixes; 0: none */
    int present;           /* the column that it wants not to be NULL; 0: none */
    double fraction;
    int **ids;
    int *n_ids;
} Gen;

/* A key list being put together. */
typedef struct Keys {
    int n;
    const AdvRole *items[KEYS_MAX];
} Keys;

bool adv_table_is_small(const AdvTable *table)
{
    return table->pages < SMALL_PAGES || table->rows < SMALL_ROWS;
}

bool adv_column_is_coarse(const AdvTable *table, int column)
{
    return 1 / adv_column_distinct(table, column) >= COARSE;
}

bool adv_candidate_is_coarse(const AdvIndex *def)
{
    double selectivity = 1;
    bool expressions = false;
    for (int k = 0; k < def->n_keys; k++) {
        const AdvIndexKey *key = &def->keys[k];
        const AdvExprStats *known = key->expr ? adv_table_expr(def->table, key->expr) : NULL;
        double distinct = key->expr ? (known ? known->distinct : INFINITY) : adv_column_distinct(def->table, key->column);
        if (1 / distinct < COARSE)
            return false;
        selectivity /= distinct;
        expressions = expressions || key->expr;
    }
    return expressions && !def->predicate && strcmp(def->method, "btree") == 0 && (def->n_keys == 1 || selectivity >= COARSE);
}

static void keep_id(Gen *g, int id)
{
    for (int i = 0; i < *g->n_ids; i++)
        if ((*g->ids)[i] == id)
            return;
    ADV_ROOM(g->pool->arena, *g->ids, *g->n_ids);
    (*g->ids)[(*g->n_ids)++] = id;
}

static bool add_to(Keys *keys, const AdvRole *role)
{
    for (int i = 0; i < keys->n; i++)
        if (keys->items[i]->key.column == role->key.column && pw_str_equal(keys->items[i]->key.expr, role->key.expr))
            return true; /* already there */
    if (keys->n == KEYS_MAX)
        return false;
    keys->items[keys->n++] = role;
    return true;
}

/* A low-cardinality column must not lead alone, nor several of them that together still leave many rows. */
static bool too_coarse(const Gen *g, const Keys *keys)
{
    if (g->predicate)
        return false;
    double selectivity = 1;
    for (int i = 0; i < keys->n; i++) {
        const AdvRole *role = keys->items[i];
        if (role->key.expr || !adv_column_is_coarse(g->rel->table, role->key.column))
            return false;
        selectivity /= adv_column_distinct(g->rel->table, role->key.column);
    }
    return keys->n == 1 || selectivity >= COARSE;
}

/* Share of the table that the constant conditions on the keys leave; joins count as one row of many. */
static double matched(const Keys *keys, bool *ret_constant)
{
    double s = 1;
    *ret_constant = true;
    for (int i = 0; i < keys->n; i++) {
        const AdvRole *role = keys->items[i];
        if (role->kind == ADV_ROLE_JOIN || role->kind == ADV_ROLE_ORDER || role->kind == ADV_ROLE_GROUP)
            *ret_constant = false;
        else
            s *= role->selectivity;
    }
    return s;
}

/* `skip`: a column that the index's condition fixes; 0: none. */
static bool add_include(const Gen *g, const Keys *keys, int skip, AdvIndex *def)
{
    const AdvTable *table = g->rel->table;
    double width = 0;
    /* SELECT *: the index would be a second copy of it, and out of date with the next column. A row that is locked or changed is visited anyway. */
    if (g->rel->whole_row || g->rel->target || g->query->facts->locks_rows)
        return false;
    for (int i = 0; i < keys->n; i++)
        if (keys->items[i]->key.expr)
            return false; /* an index-only scan needs the column itself */
    for (int c = 0; c < table->n_columns; c++) {
        if (!g->rel->used[c] || c + 1 == skip || adv_index_has_column(def, c + 1))
            continue;
        const AdvColumn *column = &table->columns[c];
        if (column->avg_width > WIDE_COLUMN || def->n_include == INCLUDE_MAX)
            return false;
        width += column->avg_width;
        ADV_ROOM(g->pool->arena, def->include, def->n_include);
        def->include[def->n_include++] = c + 1;
    }
    return def->n_include > 0 && width <= INCLUDE_WIDTH_MAX;
}

/* An existing index that begins with the same equality columns, in whatever order, and goes on with the same keys. */
static bool served_as_set(const Gen *g, const Keys *keys)
{
    const AdvTable *table = g->rel->table;
    int m = 0;
    while (m < keys->n && keys->items[m]->kind == ADV_ROLE_EQ && !keys->items[m]->key.expr)
        m++;
    for (int i = 0; i < table->n_indexes; i++) {
        const AdvIndex *x = table->indexes[i];
        if (!x->valid || x->predicate || strcmp(x->method, "btree") != 0 || x->n_keys < keys->n)
            continue;
        int k = 0;
        for (; k < keys->n; k++) {
            bool found = false;
            for (int j = k < m ? 0 : k; j < (k < m ? m : k + 1); j++)
                found = found || (x->keys[k].column && x->keys[k].column == keys->items[j]->key.column &&
                                  !keys->items[j]->key.expr && !keys->items[j]->key.opclass);
            if (!found)
                break;
        }
        if (k == keys->n)
            return true;
    }
    return false;
}

/* Some index finds the few rows of the constant conditions already: an index more is not worth its upkeep. Only an order
 * with a LIMIT could still gain, and the arms of an OR, which leave fewer of those rows. */
static bool well_served(const Gen *g)
{
    const AdvRoles *r = &g->roles;
    if (r->n_eq == 0 || r->n_eq > KEYS_MAX || r->n_join > 0 || r->n_order + r->n_minmax + r->n_or_arms > 0)
        return false;
    Keys keys = {0};
    double rows = g->rel->table->rows;
    for (int i = 0; i < r->n_eq; i++) {
        add_to(&keys, &r->eq[i]);
        rows *= r->eq[i].selectivity;
    }
    if (rows >= fmax(COVER_ROWS, COVER_FRACTION * g->rel->table->rows))
        return false;
    for (int i = 0; i < r->n_range; i++) {
        Keys more = keys;
        if (add_to(&more, &r->range[i]) && served_as_set(g, &more))
            return true;
    }
    return r->n_range == 0 && served_as_set(g, &keys);
}

static bool has_key(const AdvIndex *def, int column)
{
    for (int i = 0; i < def->n_keys; i++)
        if (def->keys[i].column == column)
            return true;
    return false;
}

static void emit(Gen *g, const Keys *keys)
{
    AdvIndexKey list[KEYS_MAX];
    AdvIndex def = {.table = g->rel->table, .method = "btree", .keys = list, .predicate = g->predicate};
    if (keys->n == 0 || too_coarse(g, keys))
        return;
    for (int i = 0; i < keys->n; i++) {
        list[i] = keys->items[i]->key;
        if (list[i].column && !adv_column(g->rel->table, list[i].column)->btree && !list[i].expr)
            return;
    }
    for (int i = 0; i < keys->n; i++)
        if (list[i].expr)
            list[i].column = 0;
    def.n_keys = keys->n;
    bool existing = adv_index_served_by_existing(&def) || (!g->predicate && served_as_set(g, keys));
    if (g->present && has_key(&def, g->present)) {
        /* NULLs lie at one end of a whole index: it finds the others as fast. */
        AdvIndex whole = def;
        whole.predicate = NULL;
        existing = existing || adv_index_served_by_existing(&whole);
    }
    if (!existing) {
        int id = adv_pool_add(g->pool, &def);
        g->pool->items[id]->fraction = g->fraction;
        keep_id(g, id);
    }
    if (g->rel->table->pages > 0 && g->rel->table->all_visible / g->rel->table->pages < VISIBLE_MIN)
        return;
    if (existing) {
        bool constant;
        double rows = matched(keys, &constant) * g->rel->table->rows;
        if (constant && rows < fmax(COVER_ROWS, COVER_FRACTION * g->rel->table->rows))
            return;
    }
    /* The column of the condition is needed only where its value is asked for too. */
    bool asked = g->fixed && g->rel->reads[g->fixed - 1] > 1;
    for (int skip = g->fixed, last = 0; !last; skip = 0) {
        AdvIndex covering = def;
        last = skip == 0 || !asked;
        if (!add_include(g, keys, skip, &covering) || adv_index_served_by_existing(&covering))
            continue;
        int id = adv_pool_add(g->pool, &covering);
        g->pool->items[id]->fraction = g->fraction;
        keep_id(g, id);
    }
}

static void emit_with_order(Gen *g, const Keys *keys)
{
    const AdvRoles *r = &g->roles;
    if (r->n_order > 0) {
        Keys more = *keys;
        bool fits = true;
        for (int i = 0; i < r->n_order && fits; i++)
            fits = add_to(&more, &r->order[i]);
        if (fits)
            emit(g, &more);
    }
    for (int i = 0; i < r->n_minmax; i++) {
        Keys more = *keys;
        if (add_to(&more, &r->minmax[i]))
            emit(g, &more);
    }
    if (r->n_group > 0) {
        Keys more = *keys;
        bool fits = true;
        for (int i = 0; i < r->n_group && fits; i++)
            fits = add_to(&more, &r->group[i]);
        if (fits)
            emit(g, &more);
    }
}

/* The key list, and with each thing that may follow equality columns. */
/* `joins`: join columns too. */
static void emit_with_tails(Gen *g, const Keys *keys, bool joins)
{
    const AdvRoles *r = &g->roles;
    emit(g, keys);
    for (int i = 0; i < r->n_range; i++) {
        Keys more = *keys;
        if (add_to(&more, &r->range[i]))
            emit(g, &more);
    }
    for (int i = 0; i < r->n_join && joins; i++) {
        Keys more = *keys;
        if (add_to(&more, &r->join[i]))
            emit(g, &more);
    }
    emit_with_order(g, keys);
}

/* What most rows fulfil (deleted_at IS NULL) leads no index that has something better. */
static bool is_unselective(const AdvRole *role)
{
    return role->selectivity > UNSELECTIVE;
}

static void permute(Gen *g, const AdvRole **roles, int n, int at, bool tails)
{
    if (at == n) {
        Keys keys = {0};
        for (int i = 0; i < n; i++)
            if ((i > 0 && is_unselective(roles[i - 1]) && !is_unselective(roles[i])) || !add_to(&keys, roles[i]))
                return;
        if (tails)
            emit_with_tails(g, &keys, !is_unselective(roles[0]));
        else
            emit(g, &keys);
        return;
    }
    for (int i = at; i < n; i++) {
        const AdvRole *t = roles[at];
        roles[at] = roles[i];
        roles[i] = t;
        permute(g, roles, n, at + 1, tails);
        roles[i] = roles[at];
        roles[at] = t;
    }
}

static void emit_equalities(Gen *g)
{
    const AdvRoles *r = &g->roles;
    const AdvRole *list[KEYS_MAX];
    int top = r->n_eq < 3 ? r->n_eq : 3;
    for (int i = 0; i < top; i++)
        list[i] = &r->eq[i]; /* the most selective first */
    if (top > 0)
        permute(g, list, top, 0, true);
    if (r->n_eq > 3) {
        Keys keys = {0};
        for (int i = 0; i < r->n_eq && i < KEYS_MAX - 1; i++)
            add_to(&keys, &r->eq[i]);
        emit_with_tails(g, &keys, true);
    }
    for (int i = 0; i < r->n_eq && top > 1; i++) {
        Keys keys = {0};
        add_to(&keys, &r->eq[i]);
        emit_with_tails(g, &keys, !is_unselective(&r->eq[i]));
    }
    for (int i = 0; i < top && top == 3; i++) {
        const AdvRole *pair[2] = {&r->eq[i], &r->eq[(i + 1) % 3]};
        permute(g, pair, 2, 0, false);
    }
}

static void emit_joins(Gen *g)
{
    const AdvRoles *r = &g->roles;
    for (int i = 0; i < r->n_join; i++) {
        Keys keys = {0};
        add_to(&keys, &r->join[i]);
        emit_with_tails(g, &keys, true);
        for (int k = 0; k < r->n_eq && k < 3; k++) {
            /* join column, then a condition on the same table; and the other way round */
            Keys more = keys, turned = {0};
            add_to(&more, &r->eq[k]);
            add_to(&turned, &r->eq[k]);
            emit(g, &more);
            if (is_unselective(&r->eq[k]))
                continue;
            add_to(&turned, &r->join[i]);
            emit_with_order(g, &turned);
            for (int x = 0; x < r->n_range; x++) {
                Keys tail = turned;
                if (add_to(&tail, &r->range[x]))
                    emit(g, &tail);
            }
        }
        if (r->n_eq > 1) {
            Keys all = keys;
            for (int k = 0; k < r->n_eq && k < 3; k++)
                add_to(&all, &r->eq[k]);
            emit(g, &all);
        }
    }
}

static void emit_ranges(Gen *g)
{
    const AdvRoles *r = &g->roles;
    for (int i = 0; i < r->n_range; i++) {
        Keys keys = {0};
        add_to(&keys, &r->range[i]);
        emit(g, &keys);
        for (int k = 0; k < r->n_join; k++) {
            Keys more = keys;
            if (add_to(&more, &r->join[k]))
                emit(g, &more);
        }
        for (int k = 0; k < r->n_range; k++) {
            Keys more = keys;
            if (k != i && add_to(&more, &r->range[k]))
                emit(g, &more);
        }
    }
}

static void emit_single(Gen *g, const AdvRole *roles, int n)
{
    for (int i = 0; i < n; i++) {
        Keys keys = {0};
        add_to(&keys, &roles[i]);
        emit(g, &keys);
    }
}

static void emit_orders(Gen *g)
{
    Keys none = {0};
    emit_with_order(g, &none);
    if (g->roles.n_group > 1)
        emit_single(g, g->roles.group, g->roles.n_group);
    if (g->roles.n_order > 1)
        emit_single(g, g->roles.order, 1);
}

static bool same_constant_everywhere(const Gen *g, const AdvPred *pred)
{
    int place = (int)(pred - g->query->facts->preds);
    for (int i = 0; i < g->workload->n_queries; i++) {
        const AdvQuery *other = g->workload->queries[i];
        if (other == g->query || other->group != g->query->group || !other->facts)
            continue;
        if (place >= other->facts->n_preds)
            return false;
        const AdvPred *p = &other->facts->preds[place];
        if (p->kind != pred->kind || p->column != pred->column || !pw_str_equal(p->expr, pred->expr) || p->lo.kind != pred->lo.kind ||
            (pred->lo.text && p->lo.text && strcmp(p->lo.text, pred->lo.text) != 0))
            return false;
    }
    return true;
}

static const char *partial_predicate(const Gen *g, const AdvPred *pred)
{
    const AdvTable *table = g->rel->table;
    if (pred->or_group || adv_pred_selectivity(table, pred) > PARTIAL_MAX)
        return NULL;
    /* A constant of a column with many values serves only this one; the rare value of a coarse column is worth it. */
    if (pred->kind == ADV_PRED_EQ &&
        (!adv_column_is_coarse(table, pred->column) ||
         adv_pred_selectivity(table, pred) > RARE / adv_column_distinct(table, pred->column) ||
         !same_constant_everywhere(g, pred)))
        return NULL;
    return adv_pred_sql(g->pool->arena, table, pred);
}

/* All that the roles ask for, as indexes with the condition; of `column` alone when they ask for nothing. */
static void emit_under(Gen *g, const char *predicate, double fraction, int column)
{
    AdvRoles *r = &g->roles;
    g->predicate = predicate;
    g->fraction = fraction;
    /* The condition leaves few rows: what most of them fulfil is no key. */
    while (r->n_eq > 0 && is_unselective(&r->eq[r->n_eq - 1]))
        r->n_eq--;
    if (r->n_eq + r->n_range + r->n_order + r->n_join + r->n_group + r->n_minmax == 0) {
        AdvRole self = {.kind = ADV_ROLE_EQ, .key = {.column = column}, .selectivity = 1};
        Keys keys = {0};
        add_to(&keys, &self);
        emit(g, &keys);
    } else {
        emit_equalities(g);
        emit_joins(g);
        emit_ranges(g);
        emit_orders(g);
    }
    g->predicate = NULL;
    g->fraction = 1;
    g->fixed = g->present = 0;
}

/* WHERE status = 'pending' on a column where that is rare: an index that holds only those rows. */
static void emit_partial(Gen *g)
{
    const AdvFacts *facts = g->query->facts;
    AdvRoles whole = g->roles;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *pred = &facts->preds[i];
        const char *predicate = &facts->rels[pred->rel] == g->rel && pred->kind != ADV_PRED_NOT_NULL ? partial_predicate(g, pred) : NULL;
        if (!predicate)
            continue;
        g->fixed = pred->column;
        adv_roles_without(&g->roles, &whole, pred->column);
        emit_under(g, predicate, adv_pred_selectivity(g->rel->table, pred), pred->column);
        g->roles = whole;
    }
}

/* WHERE error_code IS NOT NULL on a column that few rows have a value in, when the statement wants only those. */
static void emit_present(Gen *g)
{
    const AdvTable *table = g->rel->table;
    const AdvFacts *facts = g->query->facts;
    AdvRoles whole = g->roles;
    for (int c = 1; c <= table->n_columns; c++) {
        AdvPred pred = {.column = c, .kind = ADV_PRED_NOT_NULL};
        double fraction = adv_pred_selectivity(table, &pred);
        if (!adv_column(table, c)->has_stats || fraction > PARTIAL_MAX || !adv_needs_value(facts, (int)(g->rel - facts->rels), c))
            continue;
        g->present = c;
        emit_under(g, adv_pred_sql(g->pool->arena, table, &pred), fraction, c);
        g->roles = whole;
    }
}

void adv_generate(AdvPool *pool, const AdvWorkload *workload, const AdvQuery *query, int **ids, int *n_ids)
{
    const AdvFacts *facts = query->facts;
    for (int r = 0; r < facts->n_rels; r++) {
        const AdvRel *rel = &facts->rels[r];
        if (rel->kind != ADV_REL_TABLE || (rel->table->kind != 'r' && rel->table->kind != 'm' && rel->table->kind != 'p') ||
            ((rel->table->kind != 'p' || rel->table->pages > 0) && adv_table_is_small(rel->table)))
            continue;
        Gen g = {.pool = pool, .workload = workload, .query = query, .rel = rel, .fraction = 1, .ids = ids, .n_ids = n_ids};
        adv_roles_find(&g.roles, pool->arena, facts, r);
        adv_generate_other(pool, query, r, ids, n_ids);
        if (well_served(&g))
            continue;
        emit_equalities(&g);
        emit_joins(&g);
        emit_ranges(&g);
        emit_orders(&g);
        emit_single(&g, g.roles.or_arms, g.roles.n_or_arms);
        emit_partial(&g);
        emit_present(&g);
    }
}
