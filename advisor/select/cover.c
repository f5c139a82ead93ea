/* SPDX-License-Identifier: ISC */
#include "advisor/select/cover.h"

#include <math.h>

#include "advisor/candidate/roles.h"
#include "advisor/cost/write_cost.h"

#define VISIBLE_ENOUGH 0.20 /* from here on the planner's own costs tell what INCLUDE columns bring */
#define WORTH 0.80          /* the main statement's cost must fall to this */
#define SLACK 0.001         /* of today's cost: a wider index is a little slower for the others */
#define BLIND_SLACK 0.02    /* before the first VACUUM only the larger index shows in the costs, not what it saves */
#define IDLE_GAIN 0.0001    /* of today's cost: below it an index does nothing that the others do not */
#define COLUMNS_MAX 3
#define WIDTH_MAX 64.0
#define GROWTH_MAX 5.0 /* an index that stored equal keys once grows most */

/* The statement that the index saves most for. */
static const AdvQuery *main_query(AdvOracle *oracle, const AdvWorkload *w, const AdvSelection *s, int id)
{
    const AdvQuery *best = NULL;
    double most = 0;
    int *queries, n = adv_oracle_statements_of(oracle, &id, 1, &queries);
    for (int i = 0; i < n; i++) {
        const AdvQuery *query = w->queries[queries[i]];
        const AdvAnswer *answer = adv_oracle_ask(oracle, queries[i], s->ids, s->n);
        double saved = query->weight * (query->cost_today - answer->cost);
        if (adv_id_set_has(&answer->used, id) && saved > most) {
            most = saved;
            best = query;
        }
    }
    return best;
}

static bool add_missing(AdvArena *arena, AdvIndex *def, const AdvFacts *facts)
{
    double width = 0;
    int added = 0;
    for (int r = 0; r < facts->n_rels; r++) {
        const AdvRel *rel = &facts->rels[r];
        if (rel->table != def->table)
            continue;
        if (rel->target)
            return false; /* the row itself is changed: the table is visited anyway */
        for (int c = 0; c < rel->table->n_columns; c++) {
            if (!rel->used[c] || adv_index_has_column(def, c + 1))
                continue;
            width += rel->table->columns[c].avg_width;
            if (++added > COLUMNS_MAX || width > WIDTH_MAX)
                return false;
            def->include = adv_arena_grow(arena, def->include, (size_t)def->n_include * sizeof(int),
                                          ((size_t)def->n_include + 1) * sizeof(int));
            def->include[def->n_include++] = c + 1;
        }
    }
    return added > 0;
}

static bool plain_keys(const AdvIndex *def)
{
    if (strcmp(def->method, "btree") != 0)
        return false;
    for (int k = 0; k < def->n_keys; k++)
        if (!def->keys[k].column)
            return false;
    return true;
}

static int the_only_table(const AdvFacts *facts)
{
    int found = -1;
    for (int r = 0; r < facts->n_rels; r++) {
        if (facts->rels[r].kind != ADV_REL_TABLE)
            continue;
        if (found >= 0)
            return -1;
        found = r;
    }
    return found;
}

static bool is_eq_column(const AdvRoles *roles, int column)
{
    for (int i = 0; i < roles->n_eq; i++)
        if (roles->eq[i].key.column == column && !roles->eq[i].key.expr && roles->eq[i].kind == ADV_ROLE_EQ)
            return true;
    return false;
}

static void drop_include(AdvIndex *def, int column)
{
    int kept = 0;
    for (int i = 0; i < def->n_include; i++)
        if (def->include[i] != column)
            def->include[kept++] = def->include[i];
    def->n_include = kept;
}

static bool append(AdvIndex *def, const AdvRole *role)
{
    for (int i = 0; i < def->n_keys; i++)
        if (def->keys[i].column == role->key.column)
            return false;
    if (role->key.expr || role->key.opclass || !adv_column(def->table, role->key.column)->btree)
        return false;
    def->keys[def->n_keys++] = role->key;
    drop_include(def, role->key.column);
    return true;
}

/* What follows the keys is in order: each is equal to one value. The server does not take NULL for one, nor those of a list. */
static bool keeps_order(const AdvIndex *def, const AdvFacts *facts, int rel)
{
    for (int k = 0; k < def->n_keys; k++) {
        bool single = false;
        for (int i = 0; i < facts->n_preds; i++) {
            const AdvPred *p = &facts->preds[i];
            bool one = p->kind == ADV_PRED_EQ || p->kind == ADV_PRED_TRUE || p->kind == ADV_PRED_FALSE;
            single = single || (one && p->rel == rel && !p->or_group && !p->expr && p->column == def->keys[k].column);
        }
        if (!single)
            return false;
    }
    return true;
}

/* Equality keys only, so far: then included equality columns become keys, and one range or the order follows. */
static bool complete(AdvArena *arena, AdvIndex *def, const AdvFacts *facts)
{
    int rel = the_only_table(facts);
    AdvRoles roles;
    if (rel < 0 || !plain_keys(def) || def->predicate)
        return false;
    adv_roles_find(&roles, arena, facts, rel);
    for (int k = 0; k < def->n_keys; k++)
        if (!is_eq_column(&roles, def->keys[k].column))
            return false;
    def->keys = adv_arena_grow(arena, def->keys, (size_t)def->n_keys * sizeof(*def->keys),
                               ((size_t)def->n_keys + (size_t)roles.n_eq + (size_t)roles.n_order + 1) * sizeof(*def->keys));
    bool changed = false, ordered = keeps_order(def, facts, rel);
    for (int i = 0; i < roles.n_eq; i++) {
        bool included = false;
        for (int k = 0; k < def->n_include; k++)
            included = included || def->include[k] == roles.eq[i].key.column;
        changed = (included && append(def, &roles.eq[i])) || changed;
    }
    const AdvBlock *block = &facts->blocks[facts->rels[rel].block];
    if (ordered && roles.n_order > 0 && roles.n_order <= 2 && block->has_limit && !block->aggregate) {
        for (int i = 0; i < roles.n_order; i++)
            changed = append(def, &roles.order[i]) || changed;
    } else if (ordered && roles.n_minmax == 1 && block->minmax_only) {
        changed = append(def, &roles.minmax[0]) || changed;
    } else if (roles.n_range > 0) {
        changed = append(def, &roles.range[0]) || changed;
    }
    return changed;
}

static bool wants_cover(const AdvIndex *def, const AdvQuery *query)
{
    const AdvTable *t = def->table;
    if (query->facts->locks_rows || t->pages <= 0 || !plain_keys(def) || the_only_table(query->facts) < 0 ||
        query->facts->rels[the_only_table(query->facts)].whole_row)
        return false;
    /* A table whose rows change all the time never becomes all-visible. */
    return t->updated + t->deleted < 0.2 * t->rows;
}

static void replace(AdvSelection *s, int old, int new, double more_bytes)
{
    int n = 0;
    for (int i = 0; i < s->n; i++)
        if (s->ids[i] != old)
            s->ids[n++] = s->ids[i];
    while (n > 0 && s->ids[n - 1] > new) {
        s->ids[n] = s->ids[n - 1];
        n--;
    }
    s->ids[n] = new;
    s->bytes += more_bytes;
}

/* Of these statements together. */
static double cost_of(AdvOracle *oracle, const AdvWorkload *w, const int *queries, int n_queries, const AdvSelection *s)
{
    double sum = 0;
    adv_oracle_ask_all(oracle, queries, n_queries, s->ids, s->n);
    for (int i = 0; i < n_queries; i++)
        sum += w->queries[queries[i]]->weight * adv_oracle_ask(oracle, queries[i], s->ids, s->n)->cost;
    return sum;
}

typedef struct Cover {
    AdvArena *arena;
    AdvOracle *oracle;
    AdvPool *pool;
    const AdvWorkload *w;
    const AdvSearchLimits *limits;
    AdvSelection *s;
} Cover;

/* Puts `def` in the place of index `old` if it fits and nothing becomes dearer; `worth`: the cost of the main statement must fall to
 * this share. Returns the id that is now in the selection. */
static int exchange(Cover *c, int old, const AdvIndex *def, const AdvQuery *query, double worth, double slack)
{
    const AdvCandidate *narrow = c->pool->items[old];
    int id = adv_pool_add(c->pool, def);
    AdvCandidate *wide = c->pool->items[id];
    wide->fraction = narrow->fraction;
    adv_price(c->pool->catalog, c->w, c->w->unit, wide);
    double more = wide->bytes - narrow->bytes;
    AdvIdSet now = {c->s->n, c->s->ids};
    double write = c->s->write_cost + wide->write_cost - narrow->write_cost;
    if (id == old || adv_id_set_has(&now, id) || wide->bytes > GROWTH_MAX * narrow->bytes ||
        (c->limits->budget > 0 && c->s->bytes + more > c->limits->budget) ||
        (c->limits->max_write > 0 && write > c->limits->max_write * c->s->cost_before))
        return old;
    if (c->limits->budget > 0)
        slack = 0; /* a larger budget must not be answered with a dearer set */
    AdvSelection tried = *c->s;
    tried.ids = ADV_NEW_ARRAY(c->arena, int, c->s->n + 1);
    memcpy(tried.ids, c->s->ids, (size_t)c->s->n * sizeof(int));
    replace(&tried, old, id, more);
    int *queries, n_queries = adv_oracle_statements_of(c->oracle, (const int[]){old, id}, 2, &queries);
    double before = cost_of(c->oracle, c->w, queries, n_queries, c->s);
    double after = cost_of(c->oracle, c->w, queries, n_queries, &tried);
    double main_before = 0, main_after = 0;
    for (int i = 0; i < n_queries; i++)
        if (c->w->queries[queries[i]] == query) {
            main_before = adv_oracle_ask(c->oracle, queries[i], c->s->ids, c->s->n)->cost;
            main_after = adv_oracle_ask(c->oracle, queries[i], tried.ids, tried.n)->cost;
        }
    if ((worth < 1 && main_after > worth * main_before) ||
        after + wide->write_cost - narrow->write_cost > before + slack * c->s->cost_before)
        return old;
    tried.write_cost = write;
    *c->s = tried;
    return id;
}

static AdvIndex copy_def(AdvArena *arena, const AdvIndex *from)
{
    AdvIndex def = *from;
    def.include = adv_arena_grow(arena, from->include, (size_t)from->n_include * sizeof(int),
                                 ((size_t)from->n_include + 1) * sizeof(int));
    return def;
}

/* Whether some statement, or all together, would miss it. */
static bool is_missed(const Cover *c, int id, const int *others, int n)
{
    double gain = 0, least = c->limits->min_gain >= 0 ? fmin(c->limits->min_gain, IDLE_GAIN) : IDLE_GAIN;
    bool halved = false;
    int *queries, n_queries = adv_oracle_statements_of(c->oracle, &id, 1, &queries);
    adv_oracle_ask_all(c->oracle, queries, n_queries, others, n);
    for (int i = 0; i < n_queries; i++) {
        int q = queries[i];
        double with = adv_oracle_ask(c->oracle, q, c->s->ids, c->s->n)->cost, without = adv_oracle_ask(c->oracle, q, others, n)->cost;
        gain += c->w->queries[q]->weight * (without - with);
        halved = halved || with <= 0.5 * without;
    }
    return halved || gain - c->pool->items[id]->write_cost > least * c->s->cost_before;
}

/* What others have grown to do is no longer needed. */
static void drop_idle(Cover *c)
{
    int *others = ADV_NEW_ARRAY(c->arena, int, c->s->n + 1);
    for (int i = c->s->n - 1; i >= 0; i--) {
        int n = 0, id = c->s->ids[i];
        for (int k = 0; k < c->s->n; k++)
            if (k != i)
                others[n++] = c->s->ids[k];
        if (is_missed(c, id, others, n))
            continue;
        c->s->bytes -= c->pool->items[id]->bytes;
        c->s->write_cost -= c->pool->items[id]->write_cost;
        c->s->n = n;
        memcpy(c->s->ids, others, (size_t)n * sizeof(int));
    }
}

void adv_cover(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *w,
               const AdvSearchLimits *limits, AdvSelection *s)
{
    Cover c = {arena, oracle, pool, w, limits, s};
    int n = s->n;
    int *ids = ADV_NEW_ARRAY(arena, int, n + 1);
    for (int i = 0; i < n; i++)
        ids[i] = s->ids[i];
    for (int i = 0; i < n; i++) {
        const AdvQuery *query = main_query(oracle, w, s, ids[i]);
        if (!query)
            continue;
        AdvIndex def = copy_def(arena, &pool->items[ids[i]]->def);
        if (complete(arena, &def, query->facts))
            ids[i] = exchange(&c, ids[i], &def, query, 1, SLACK);
        def = copy_def(arena, &pool->items[ids[i]]->def);
        if (!wants_cover(&def, query) || !add_missing(arena, &def, query->facts))
            continue;
        double visible = def.table->all_visible / def.table->pages;
        bool blind = visible < VISIBLE_ENOUGH;
        exchange(&c, ids[i], &def, query, blind ? 1 : WORTH, blind ? BLIND_SLACK : SLACK);
    }
    if (limits->budget <= 0) /* within a budget each rung is pruned on its way */
        drop_idle(&c);
    s->cost_after = 0;
    adv_oracle_ask_all(oracle, NULL, 0, s->ids, s->n);
    for (int q = 0; q < w->n_queries; q++)
        if (w->queries[q]->weight > 0)
            s->cost_after += w->queries[q]->weight * adv_oracle_ask(oracle, q, s->ids, s->n)->cost;
}
