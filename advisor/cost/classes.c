/* SPDX-License-Identifier: ISC */
/* classes.c - which columns of a block's tables its joins make equal, and which have a value before their table is read. */
#include <math.h>

#include "advisor/catalog/stats.h"
#include "advisor/cost/plan_priv.h"

#define CLASSES_MAX 8

bool plan_within(const AdvFacts *facts, int block, int outer)
{
    for (int steps = 0; block >= 0 && steps < facts->n_blocks + 1; steps++) {
        if (block == outer)
            return true;
        block = facts->blocks[block].parent;
    }
    return false;
}

/* Whose column it is, of an end of a join. */
int plan_owner_of(const Unit *u, int rel)
{
    const AdvFacts *facts = u->plan->ask->facts;
    if (rel < 0)
        return OUTSIDE; /* an expression */
    if (u->owner[rel] != -1)
        return u->owner[rel];
    return plan_within(facts, facts->rels[rel].block, u->block) ? -1 : OUTSIDE;
}

static void unite(Unit *u, int from, int to)
{
    for (int e = 0; e < 2 * u->plan->ask->facts->n_joins; e++)
        if (u->class_of[e] == from)
            u->class_of[e] = to;
}

void plan_end_of(const AdvJoin *join, int side, int *ret_rel, int *ret_column)
{
    *ret_rel = side ? join->rel_b : join->rel_a;
    *ret_column = side ? join->column_b : join->column_a;
}

/* The item that an expression is taken from, in item.column = expression: most likely what has no columns of its own that are known. */
static int source_of(const Unit *u, int owner)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < u->n_items; i++)
            if (i != owner && (u->items[i].rel < 0 || pass > 0))
                return i;
    return OUTSIDE;
}

/* Columns that joins make equal get the same number. Joins with what is outside the block do not count: their columns are given. */
void plan_find_classes(Unit *u)
{
    const AdvFacts *facts = u->plan->ask->facts;
    int next = 0;
    u->class_of = ADV_NEW_ARRAY(u->plan->ask->arena, int, 2 * facts->n_joins + 1);
    for (int e = 0; e < 2 * facts->n_joins; e++)
        u->class_of[e] = -1;
    for (int j = 0; j < facts->n_joins; j++) {
        const AdvJoin *join = &facts->joins[j];
        int a = plan_owner_of(u, join->rel_a), b = join->rel_b < 0 ? source_of(u, a) : plan_owner_of(u, join->rel_b);
        if (a < 0 || b < 0 || a == b)
            continue;
        u->class_of[2 * j] = u->class_of[2 * j + 1] = next++;
        for (int e = 0; e < 2 * j; e++)
            for (int side = 0; side < 2; side++) {
                int rel, column, other, other_column;
                plan_end_of(join, side, &rel, &column);
                plan_end_of(&facts->joins[e / 2], e % 2, &other, &other_column);
                if (u->class_of[e] >= 0 && rel == other && column == other_column && u->class_of[e] != u->class_of[2 * j])
                    unite(u, u->class_of[2 * j], u->class_of[e]);
            }
    }
    /* Close the gaps. */
    int used = 0;
    for (int k = 0; k < next; k++) {
        bool any = false;
        for (int e = 0; e < 2 * facts->n_joins; e++)
            any = any || u->class_of[e] == k;
        if (any)
            unite(u, k, used++);
    }
    for (int e = 0; e < 2 * facts->n_joins; e++)
        if (u->class_of[e] >= CLASSES_MAX)
            u->class_of[e] = CLASSES_MAX - 1 >= used ? u->class_of[e] : -1;
    u->n_classes = used < CLASSES_MAX ? used : CLASSES_MAX;
}

/* Whether the other end of a join has a value before the item is read: one from outside, or of a LATERAL's row that the join was written for. */
static bool is_given(const Unit *u, const AdvJoin *join, int other, bool given)
{
    bool own = false;
    for (int i = 0; i < u->n_blocks; i++)
        own = own || join->block == u->blocks[i];
    return plan_owner_of(u, other) == LATERAL ? own : given && plan_owner_of(u, other) == OUTSIDE;
}

/* What each item has to do with the classes, and which of its columns are given. */
void plan_connect(Unit *u, bool given)
{
    const AdvFacts *facts = u->plan->ask->facts;
    AdvArena *arena = u->plan->ask->arena;
    for (int i = 0; i < u->n_items; i++) {
        AdvItem *item = &u->items[i];
        double *distinct = ADV_NEW_ARRAY(arena, double, u->n_classes + 1);
        bool *bound = item->rel >= 0 ? ADV_NEW_ARRAY(arena, bool, facts->rels[item->rel].table->n_columns + 1) : NULL;
        item->class_columns = ADV_NEW_ARRAY(arena, int, u->n_classes + 1);
        for (int k = 0; k < u->n_classes; k++)
            distinct[k] = 1;
        for (int e = 0; e < 2 * facts->n_joins; e++) {
            int rel, column, other, other_column, class = u->class_of[e];
            plan_end_of(&facts->joins[e / 2], e % 2, &rel, &column);
            plan_end_of(&facts->joins[e / 2], 1 - e % 2, &other, &other_column);
            if (rel < 0 && class >= 0 && source_of(u, plan_owner_of(u, other)) == i) {
                item->classes |= (AdvClasses)1 << class;
                distinct[class] = fmax(fmin(adv_column_distinct(facts->rels[other].table, other_column), item->rows), 1);
            }
            if (rel < 0 || plan_owner_of(u, rel) != i || facts->rels[rel].kind != ADV_REL_TABLE)
                continue;
            double values = adv_column_distinct(facts->rels[rel].table, column);
            if (class >= 0) {
                item->classes |= (AdvClasses)1 << class;
                item->class_columns[class] = rel == item->rel ? column : 0;
                distinct[class] = fmax(item->rel < 0 ? fmin(values, item->rows) : values, 1);
            } else if (rel == item->rel && !bound[column - 1] && is_given(u, &facts->joins[e / 2], other, given)) {
                bound[column - 1] = true;
                item->rows = fmax(item->rows / fmax(values, 1), 1);
            }
        }
        item->distinct = distinct;
        item->bound = bound;
    }
}
