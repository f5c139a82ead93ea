/* SPDX-License-Identifier: ISC */
#include "advisor/cost/plan_priv.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/catalog/stats.h"

#define LIMIT_UNKNOWN 20.0 /* rows of LIMIT $1 */
#define GROUP_BYTES 56.0   /* of one group in a hash table, besides its columns */
#define MEMBERS_MAX 60     /* tables of one block; a statement with more is not understood */
#define HAVING_SHARE (1.0 / 3)
#define EXPR_DISTINCT 200.0
#define ROUNDS 10.0        /* of a recursion, each with as many rows as the first part brings: the server's guess */

static Result plan_block(Plan *p, int block, bool given);

/* Whether the server joins the block's tables with those around it. */
static bool is_pulled_up(const Plan *p, int block)
{
    const AdvBlock *b = &p->ask->facts->blocks[block];
    if (b->kind == ADV_BLOCK_CTE && p->references[block] != 1)
        return false;
    return !b->aggregate && !b->window && b->n_group == 0 && !b->has_limit && !b->set_operation;
}

static double item_width(const AdvRel *rel)
{
    double width = 0;
    for (int c = 0; c < rel->table->n_columns; c++)
        if (rel->used[c])
            width += fmax(rel->table->columns[c].avg_width, 1);
    return width;
}

static AdvItem *add_item(Unit *u, AdvJoinKind kind, int rel, double rows, double width)
{
    ADV_ROOM(u->plan->ask->arena, u->items, u->n_items);
    AdvItem *item = &u->items[u->n_items++];
    *item = (AdvItem){.kind = kind, .rel = rel, .rows = fmax(rows, 1), .width = width};
    return item;
}

/* A block that is planned on its own and joined as a whole. */
static void add_unit(Unit *u, int block, AdvJoinKind kind)
{
    Plan *p = u->plan;
    const AdvFacts *facts = p->ask->facts;
    Result inner = plan_block(p, block, false);
    AdvItem *item = add_item(u, kind, -1, inner.rows, inner.width);
    AdvPath *whole = ADV_NEW(p->ask->arena, AdvPath);
    *whole = inner.path;
    if (facts->blocks[block].kind == ADV_BLOCK_CTE && p->references[block] != 1) /* computed once, at its own place */
        *whole = (AdvPath){.total = inner.rows * p->settings->cpu_tuple_cost, .order = -1};
    item->whole = whole;
    for (int r = 0; r < facts->n_rels; r++)
        if (plan_within(facts, facts->rels[r].block, block) && u->owner[r] == -1)
            u->owner[r] = u->n_items - 1;
}

/* Whether something in the block is compared there with what is outside of it. */
static bool looks_outside(const AdvFacts *facts, int block)
{
    for (int j = 0; j < facts->n_joins; j++) {
        const AdvJoin *join = &facts->joins[j];
        if (join->rel_a >= 0 && join->rel_b >= 0 && plan_within(facts, join->block, block) &&
            plan_within(facts, facts->rels[join->rel_a].block, block) != plan_within(facts, facts->rels[join->rel_b].block, block))
            return true;
    }
    return false;
}

/* FROM ..., LATERAL (SELECT ...): planned with the others' columns given. */
static void add_lateral(Unit *u, int block)
{
    const AdvFacts *facts = u->plan->ask->facts;
    ADV_ROOM(u->plan->ask->arena, u->laterals, u->n_laterals);
    u->laterals[u->n_laterals++] = block;
    for (int r = 0; r < facts->n_rels; r++)
        if (plan_within(facts, facts->rels[r].block, block) && u->owner[r] == -1)
            u->owner[r] = LATERAL;
}

/* The CTE's name inside of itself. */
static bool is_recursion(const AdvRel *rel)
{
    return rel->kind == ADV_REL_SUBQUERY && rel->inner < 0;
}

static bool goes_round(const AdvFacts *facts, int block)
{
    for (int r = 0; r < facts->n_rels; r++)
        if (facts->rels[r].block == block && is_recursion(&facts->rels[r]))
            return true;
    return false;
}

static void add_members(Unit *u, int block, AdvJoinKind kind)
{
    Plan *p = u->plan;
    const AdvFacts *facts = p->ask->facts;
    ADV_ROOM(p->ask->arena, u->blocks, u->n_blocks);
    u->blocks[u->n_blocks++] = block;
    for (int r = 0; r < facts->n_rels && u->n_items < MEMBERS_MAX; r++) {
        const AdvRel *rel = &facts->rels[r];
        AdvJoinKind own = kind != ADV_JOIN_INNER || !rel->nullable ? kind : rel->anti ? ADV_JOIN_ANTI : ADV_JOIN_LEFT;
        if (rel->block != block)
            continue;
        if (rel->kind == ADV_REL_TABLE) {
            u->owner[r] = u->n_items;
            add_item(u, own, r, rel->table->rows * adv_rel_selectivity(facts, r), item_width(rel));
        } else if (rel->kind == ADV_REL_SUBQUERY && rel->inner >= 0 && !p->open[rel->inner]) {
            if (is_pulled_up(p, rel->inner))
                add_members(u, rel->inner, own);
            else if (looks_outside(facts, rel->inner))
                add_lateral(u, rel->inner);
            else
                add_unit(u, rel->inner, own);
        } else if (is_recursion(rel)) {
            AdvPath *rows = ADV_NEW(p->ask->arena, AdvPath);
            *rows = (AdvPath){.total = ROUNDS * p->seed * p->settings->cpu_tuple_cost, .order = -1};
            add_item(u, own, -1, ROUNDS * p->seed, 8)->whole = rows;
        }
    }
    for (int b = 0; b < facts->n_blocks && u->n_items < MEMBERS_MAX; b++) {
        const AdvBlock *inner = &facts->blocks[b];
        if (inner->parent != block || (inner->kind != ADV_BLOCK_SEMI && inner->kind != ADV_BLOCK_ANTI))
            continue;
        AdvJoinKind own = inner->kind == ADV_BLOCK_SEMI ? ADV_JOIN_SEMI : ADV_JOIN_ANTI;
        if (is_pulled_up(p, b))
            add_members(u, b, own);
        else
            add_unit(u, b, own);
    }
}

static bool one_table(const AdvSort *sorts, int n, int *ret_rel)
{
    for (int i = 0; i < n; i++)
        if (sorts[i].rel < 0 || sorts[i].rel != sorts[0].rel)
            return false;
    *ret_rel = n > 0 ? sorts[0].rel : -1;
    return n > 0 && n <= 8;
}

/* Which orders are of use: those of the classes, then the block's ORDER BY (or min and max), then its groups. */
static const AdvOrder **find_orders(const Unit *u)
{
    const AdvFacts *facts = u->plan->ask->facts;
    AdvArena *arena = u->plan->ask->arena;
    const AdvBlock *block = &facts->blocks[u->block];
    const AdvOrder **orders = ADV_NEW_ARRAY(arena, const AdvOrder *, u->n_items + 1);
    const AdvSort *sorts = block->minmax_only && block->n_minmax == 1 ? block->minmax : block->order;
    int n = block->minmax_only && block->n_minmax == 1 ? 1 : block->n_order, rel;
    for (int i = 0; i < u->n_items; i++) {
        AdvOrder *own = ADV_NEW_ARRAY(arena, AdvOrder, u->n_classes + 2);
        orders[i] = own;
        for (int k = 0; k < u->n_classes && u->items[i].rel >= 0; k++) {
            if (u->items[i].class_columns[k] == 0)
                continue;
            AdvSort *sort = ADV_NEW(arena, AdvSort);
            *sort = (AdvSort){.rel = u->items[i].rel, .column = u->items[i].class_columns[k]};
            own[k] = (AdvOrder){1, sort};
        }
        if (one_table(sorts, n, &rel) && rel == u->items[i].rel)
            own[u->n_classes] = (AdvOrder){n, sorts};
        if (one_table(block->group, block->n_group, &rel) && rel == u->items[i].rel)
            own[u->n_classes + 1] = (AdvOrder){block->n_group, block->group};
    }
    return orders;
}

/* The items that ORDER BY takes its columns from, when only its first rows are wanted; with groups: when it sorts by some of their columns. */
static int items_sorted_by(const Unit *u)
{
    const AdvBlock *block = &u->plan->ask->facts->blocks[u->block];
    int items = 0;
    if (!block->has_limit || block->minmax_only || (block->aggregate && block->n_group == 0) || u->n_items > 30)
        return 0;
    for (int i = 0; i < block->n_order; i++) {
        const AdvSort *key = &block->order[i];
        bool grouped = block->n_group == 0;
        for (int g = 0; g < block->n_group; g++)
            grouped = grouped || (block->group[g].rel == key->rel && block->group[g].column == key->column && !block->group[g].expr == !key->expr);
        if (key->rel < 0 || u->owner[key->rel] < 0 || !grouped)
            return 0;
        items |= 1 << u->owner[key->rel];
    }
    return items;
}

static double group_count(const Unit *u, double rows)
{
    const AdvFacts *facts = u->plan->ask->facts;
    const AdvBlock *block = &facts->blocks[u->block];
    double groups = 1;
    for (int i = 0; i < block->n_group; i++) {
        const AdvSort *key = &block->group[i];
        bool table = key->rel >= 0 && facts->rels[key->rel].kind == ADV_REL_TABLE;
        groups *= table && !key->expr ? fmin(adv_column_distinct(facts->rels[key->rel].table, key->column), fmax(rows, 1)) : EXPR_DISTINCT;
        groups = fmin(groups, fmax(rows, 1));
    }
    return groups;
}

/* A class is the order of a lone group column too. */
static bool groups_in_order(const Unit *u, int order)
{
    const AdvFacts *facts = u->plan->ask->facts;
    const AdvBlock *block = &facts->blocks[u->block];
    if (order == u->n_classes + 1 || (order == u->n_classes && items_sorted_by(u)))
        return true;
    for (int e = 0; e < 2 * facts->n_joins && block->n_group == 1 && order >= 0 && order < u->n_classes; e++) {
        int rel, column;
        plan_end_of(&facts->joins[e / 2], e % 2, &rel, &column);
        if (u->class_of[e] == order && rel == block->group[0].rel && column == block->group[0].column)
            return true;
    }
    return false;
}

/* Groups of one path: in order as they come, in a hash table, or after sorting. */
static void add_groups(const Unit *u, const AdvJoined *joined, double groups, AdvPath *path)
{
    const AdvSettings *c = u->plan->settings;
    const AdvBlock *block = &u->plan->ask->facts->blocks[u->block];
    double compare = c->cpu_operator_cost * block->n_group * joined->rows, out = c->cpu_tuple_cost * groups;
    double bytes = groups * (GROUP_BYTES + joined->width);
    double memory = c->work_mem * (u->plan->ask->catalog->server_version_num >= 150000 ? 2 : 1);
    if (groups_in_order(u, path->order)) {
        path->total += compare + out;
        path->order = block->n_order > 0 ? path->order : -1;
        return;
    }
    double hashed = path->total + compare;
    if (bytes > memory) /* written out and read again */
        hashed += 2 * ceil(joined->rows * (24 + joined->width) / ADV_BLOCK_SIZE) * c->random_page_cost * 0.75;
    double sorted = path->total + adv_sort_cost(c, joined->rows, joined->width, INFINITY) + compare;
    path->startup = fmin(hashed, sorted);
    path->total = path->startup + out;
    path->order = -1;
}

static double limit_of(const AdvBlock *block)
{
    return !block->has_limit ? INFINITY : block->limit > 0 ? block->limit : LIMIT_UNKNOWN;
}

/* min(x) of an index: one step from its end. */
static bool finds_end(const Unit *u, const AdvJoined *joined, AdvPath *path)
{
    const AdvBlock *block = &u->plan->ask->facts->blocks[u->block];
    if (!block->minmax_only || block->n_minmax != 1 || path->order != u->n_classes || u->n_items != 1)
        return false;
    path->total = path->startup + (path->total - path->startup) / fmax(joined->rows, 1);
    path->startup = path->total;
    return true;
}

/* What is done with the joined rows. */
static Result finish(const Unit *u, const AdvJoined *joined, const AdvPath *from)
{
    const AdvSettings *c = u->plan->settings;
    const AdvBlock *block = &u->plan->ask->facts->blocks[u->block];
    Result r = {.done = true, .rows = joined->rows, .width = joined->width, .path = *from};
    r.path.outer = from;
    r.path.access = NULL;
    r.path.inner = r.path.extra = NULL;
    if (finds_end(u, joined, &r.path)) {
        r.rows = 1;
    } else if (block->n_group > 0) {
        r.rows = group_count(u, joined->rows);
        add_groups(u, joined, r.rows, &r.path);
    } else if (block->aggregate) {
        r.path.total += c->cpu_operator_cost * joined->rows;
        r.path.startup = r.path.total;
        r.path.order = -1;
        r.rows = 1;
    }
    if (block->having)
        r.rows = fmax(r.rows * HAVING_SHARE, 1);
    double limit = limit_of(block);
    bool ordered = block->n_order == 0 || (r.path.order == u->n_classes && !block->minmax_only);
    if (!ordered && r.rows > 1) {
        r.path.startup = r.path.total + adv_sort_cost(c, r.rows, r.width, limit);
        r.path.total = r.path.startup + c->cpu_operator_cost * fmin(r.rows, limit);
    }
    if (limit < r.rows) {
        r.path.total = r.path.startup + (r.path.total - r.path.startup) * limit / r.rows;
        r.rows = limit;
    }
    r.path.order = -1;
    return r;
}

static int indexes_of(const void *self, const AdvTable *table, const AdvModelIndex **ret_first)
{
    const AdvPlanAsk *ask = self;
    int n = 0;
    *ret_first = ask->indexes;
    for (int i = 0; i < ask->n_indexes; i++)
        if (ask->indexes[i].def->table == table && n++ == 0)
            *ret_first = &ask->indexes[i];
    return n;
}

static AdvPath both(Plan *p, const AdvPath *path, const Result *more, double times)
{
    AdvPath sum = {.order = path->order, .outer = NULL};
    AdvPath *a = ADV_NEW(p->ask->arena, AdvPath), *b = ADV_NEW(p->ask->arena, AdvPath);
    *a = *path;
    *b = more->path;
    sum.outer = a;
    sum.inner = b;
    sum.startup = path->startup;
    sum.total = path->total + more->path.total * times;
    return sum;
}

/* Whether something inside the block is compared with what is outside of it. */
static bool is_correlated(const AdvFacts *facts, int block)
{
    for (int j = 0; j < facts->n_joins; j++) {
        const AdvJoin *join = &facts->joins[j];
        bool a = join->rel_a >= 0 && plan_within(facts, facts->rels[join->rel_a].block, block);
        bool b = join->rel_b >= 0 && plan_within(facts, facts->rels[join->rel_b].block, block);
        if (a != b && join->rel_b >= 0 && join->rel_a >= 0)
            return true;
    }
    return false;
}

/* Each row of what is joined meets the rows that a LATERAL has for it, in the order that it comes in. */
static void add_laterals(const Unit *u, AdvJoined *joined)
{
    for (int l = 0; l < u->n_laterals; l++) {
        Result each = plan_block(u->plan, u->laterals[l], true);
        for (int i = 0; i < joined->n; i++)
            joined->paths[i] = both(u->plan, &joined->paths[i], &each, fmax(joined->rows, 1));
        joined->rows *= fmax(each.rows, 1);
        joined->width += each.width;
    }
}

/* Subqueries in expressions: once, or for each row; what only tests may also be hashed once. */
static void add_expressions(Unit *u, double rows, Result *r)
{
    Plan *p = u->plan;
    const AdvFacts *facts = p->ask->facts;
    for (int i = 0; i < u->n_blocks; i++)
        for (int b = 0; b < facts->n_blocks; b++) {
            const AdvBlock *block = &facts->blocks[b];
            if (block->parent != u->blocks[i] || (block->kind != ADV_BLOCK_VALUE && block->kind != ADV_BLOCK_TEST) || p->open[b])
                continue;
            bool correlated = is_correlated(facts, b);
            double times = correlated ? fmax(rows, 1) : 1;
            Result each = plan_block(p, b, true), once = block->kind == ADV_BLOCK_TEST && correlated ? plan_block(p, b, false) : each;
            if (once.path.total < each.path.total * times)
                r->path = both(p, &r->path, &once, 1);
            else
                r->path = both(p, &r->path, &each, times);
        }
}

/* UNION and the like: both sides, one after the other. */
static Result plan_arms(Plan *p, int block, bool given)
{
    const AdvFacts *facts = p->ask->facts;
    Result sum = {.done = true, .path = {.order = -1}};
    double seed = p->seed;
    for (int b = 0; b < facts->n_blocks; b++) {
        if (facts->blocks[b].parent != block || facts->blocks[b].kind != ADV_BLOCK_ARM || p->open[b])
            continue;
        p->seed = fmax(sum.rows, 1);
        Result one = plan_block(p, b, given);
        sum.path = both(p, &sum.path, &one, goes_round(facts, b) ? ROUNDS : 1);
        sum.rows += one.rows;
        sum.width = fmax(sum.width, one.width);
    }
    p->seed = seed;
    if (facts->blocks[block].n_order > 0)
        sum.path.total += adv_sort_cost(p->settings, sum.rows, sum.width, limit_of(&facts->blocks[block]));
    return sum;
}

static Result plan_unit(Plan *p, int block, bool given)
{
    AdvPlanAsk *ask = p->ask;
    Unit u = {.plan = p, .block = block};
    u.owner = ADV_NEW_ARRAY(ask->arena, int, ask->facts->n_rels + 1);
    for (int r = 0; r < ask->facts->n_rels; r++)
        u.owner[r] = -1;
    add_members(&u, block, ADV_JOIN_INNER);
    /* A subquery that is all there is cannot follow anything. */
    bool any = false;
    for (int i = 0; i < u.n_items; i++)
        any = any || u.items[i].kind == ADV_JOIN_INNER || u.items[i].kind == ADV_JOIN_SEMI;
    for (int i = 0; i < u.n_items && !any; i++)
        u.items[i].kind = ADV_JOIN_INNER;
    plan_find_classes(&u);
    plan_connect(&u, given);
    const AdvBlock *b = &ask->facts->blocks[block];
    AdvJoined joined = {.rows = 1, .n = 1, .paths = {{.total = p->settings->cpu_tuple_cost, .order = -1}}};
    if (u.n_items > 0) {
        AdvJoinAsk join = {.arena = ask->arena, .settings = p->settings, .server_version_num = ask->catalog->server_version_num, .facts = ask->facts,
                           .n_items = u.n_items, .items = u.items, .n_classes = u.n_classes, .n_orders = u.n_classes + 2, .orders = find_orders(&u),
                           .all_pages = p->all_pages, .sort_items = items_sorted_by(&u), .indexes_of = indexes_of, .self = ask};
        join.wanted = b->n_group > 0 || b->aggregate ? INFINITY : limit_of(b);
        adv_join_all(&join, &joined);
    }
    add_laterals(&u, &joined);
    Result best = {.path = {.total = INFINITY}};
    for (int i = 0; i < joined.n; i++) {
        AdvPath *from = ADV_NEW(ask->arena, AdvPath);
        *from = joined.paths[i];
        Result r = finish(&u, &joined, from);
        if (r.path.total < best.path.total)
            best = r;
    }
    add_expressions(&u, joined.rows, &best);
    return best;
}

static Result plan_block(Plan *p, int block, bool given)
{
    if (!given && p->results[block].done)
        return p->results[block];
    p->open[block] = true;
    Result r = p->ask->facts->blocks[block].set_operation ? plan_arms(p, block, given) : plan_unit(p, block, given);
    p->open[block] = false;
    if (!given)
        p->results[block] = r;
    return r;
}

static void mark(AdvPlanAsk *ask, const AdvPath *path)
{
    for (; path; path = path->outer) {
        for (int i = 0; path->access && i < path->access->n_used; i++)
            ask->used[path->access->used[i]] = true;
        if (path->inner)
            mark(ask, path->inner);
        if (path->extra)
            mark(ask, path->extra);
    }
}

/* Whether its rows are those that an UPDATE or DELETE writes. */
static bool is_target(const AdvFacts *facts, int block)
{
    bool target = false;
    for (int r = 0; r < facts->n_rels; r++)
        target = target || (facts->rels[r].target && facts->rels[r].block == block);
    return target;
}

double adv_plan_statement(AdvPlanAsk *ask)
{
    const AdvFacts *facts = ask->facts;
    Plan p = {.ask = ask, .settings = &ask->catalog->settings};
    p.results = ADV_NEW_ARRAY(ask->arena, Result, facts->n_blocks + 1);
    p.open = ADV_NEW_ARRAY(ask->arena, bool, facts->n_blocks + 1);
    p.references = ADV_NEW_ARRAY(ask->arena, int, facts->n_blocks + 1);
    for (int r = 0; r < facts->n_rels; r++) {
        if (facts->rels[r].inner >= 0)
            p.references[facts->rels[r].inner]++;
        if (facts->rels[r].kind == ADV_REL_TABLE)
            p.all_pages += fmax(facts->rels[r].table->pages, 0);
    }
    double cost = 0;
    for (int b = 0; b < facts->n_blocks; b++) {
        bool once = facts->blocks[b].kind == ADV_BLOCK_TOP || (facts->blocks[b].kind == ADV_BLOCK_CTE && p.references[b] != 1);
        if (!once)
            continue;
        Result r = plan_block(&p, b, false);
        cost += r.path.total;
        if (facts->blocks[b].kind == ADV_BLOCK_TOP && (ask->rows == 0 || is_target(facts, b)))
            ask->rows = r.rows;
        mark(ask, &r.path);
    }
    return cost;
}
