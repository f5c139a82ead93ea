/* SPDX-License-Identifier: ISC */
/* arms.c - columns that come out of UNION, INTERSECT or EXCEPT: a condition on them holds in every arm, and the server moves it there.
 *
 * While a statement is read such a column belongs to a stand-in, a rel of its own that names the table of the first arm. At the end what was said of
 * the stand-in is said of the columns that it stands for. */
#include "advisor/sql/analyse_priv.h"

static void add_arm(Analyser *a, AdvRel *stand_in, int column, int rel, int rel_column)
{
    ADV_ROOM(a->arena, stand_in->arms, stand_in->n_arms);
    stand_in->arms[stand_in->n_arms++] = (AdvArm){.column = column, .rel = rel, .rel_column = rel_column};
}

/* The columns behind an output; those of a stand-in are that one's. */
static void add_origin(Analyser *a, int stand_in, int column, const AdvOutput *output)
{
    AdvFacts *facts = a->facts;
    if (output->rel < 0)
        return;
    const AdvRel *from = &facts->rels[output->rel];
    if (from->kind == ADV_REL_TABLE) {
        add_arm(a, &facts->rels[stand_in], column, output->rel, output->column);
        return;
    }
    for (int i = 0; i < from->n_arms; i++)
        if (from->arms[i].column == output->column)
            add_arm(a, &facts->rels[stand_in], column, from->arms[i].rel, from->arms[i].rel_column);
}

void adv_join_arms(Analyser *a, AdvOutput *left, int n_left, const AdvOutput *right, int n_right)
{
    for (int i = 0; i < n_left; i++) {
        const AdvOutput none = {.rel = -1}, first = left[i], *second = i < n_right ? &right[i] : &none;
        const AdvOutput *named = first.rel >= 0 ? &first : second;
        left[i].rel = -1;
        if (named->rel < 0)
            continue;
        /* One for each output: the same column may be there twice, with another one beside it in the other arm. */
        int stand_in = adv_add_rel(a, ADV_REL_ARMS, a->facts->rels[named->rel].table, NULL, -1);
        left[i].rel = stand_in;
        left[i].column = named->column;
        add_origin(a, stand_in, named->column, &first);
        add_origin(a, stand_in, named->column, second);
    }
}

static const char *column_name(const AdvFacts *facts, int rel, int column)
{
    return adv_column(facts->rels[rel].table, column)->name;
}

static void spread_pred(Analyser *a, int at)
{
    AdvFacts *facts = a->facts;
    const AdvPred pred = facts->preds[at];
    const AdvRel *stand_in = &facts->rels[pred.rel];
    bool placed = false;
    for (int i = 0; i < stand_in->n_arms; i++) {
        const AdvArm *arm = &stand_in->arms[i];
        /* The text of an expression names the column of the first arm. */
        if (pred.expr && strcmp(column_name(facts, arm->rel, arm->rel_column), column_name(facts, pred.rel, pred.column)) != 0)
            continue;
        AdvPred copy = pred;
        copy.rel = arm->rel;
        copy.column = arm->rel_column;
        if (!placed) {
            facts->preds[at] = copy;
        } else {
            ADV_ROOM(a->arena, facts->preds, facts->n_preds);
            facts->preds[facts->n_preds++] = copy;
        }
        placed = true;
    }
    if (!placed) { /* nothing an index could serve */
        facts->preds[at].kind = ADV_PRED_NE;
        facts->preds[at].rel = stand_in->arms[0].rel;
        facts->preds[at].column = stand_in->arms[0].rel_column;
    }
}

static bool is_stand_in(const AdvFacts *facts, int rel)
{
    return rel >= 0 && facts->rels[rel].kind == ADV_REL_ARMS;
}

static void spread_join(Analyser *a, int at)
{
    AdvFacts *facts = a->facts;
    const AdvJoin join = facts->joins[at];
    bool first = is_stand_in(facts, join.rel_a);
    const AdvRel *stand_in = &facts->rels[first ? join.rel_a : join.rel_b];
    int column = first ? join.column_a : join.column_b;
    for (int i = 0, placed = 0; i < stand_in->n_arms; i++) {
        const AdvArm *arm = &stand_in->arms[i];
        if (arm->column != column)
            continue;
        AdvJoin copy = join;
        *(first ? &copy.rel_a : &copy.rel_b) = arm->rel;
        *(first ? &copy.column_a : &copy.column_b) = arm->rel_column;
        if (placed++) {
            ADV_ROOM(a->arena, facts->joins, facts->n_joins);
            facts->joins[facts->n_joins++] = copy;
        } else {
            facts->joins[at] = copy;
        }
    }
}

static void forget_sorts(const AdvFacts *facts, AdvSort *sorts, int n)
{
    for (int i = 0; i < n; i++)
        if (is_stand_in(facts, sorts[i].rel))
            sorts[i] = (AdvSort){.rel = -1, .desc = sorts[i].desc, .nulls_first = sorts[i].nulls_first};
}

void adv_spread_arms(Analyser *a)
{
    AdvFacts *facts = a->facts;
    for (int i = 0; i < facts->n_preds; i++)
        if (is_stand_in(facts, facts->preds[i].rel))
            spread_pred(a, i);
    for (int i = 0; i < facts->n_joins; i++)
        while (is_stand_in(facts, facts->joins[i].rel_a) || is_stand_in(facts, facts->joins[i].rel_b))
            spread_join(a, i);
    for (int b = 0; b < facts->n_blocks; b++) {
        AdvBlock *block = &facts->blocks[b];
        forget_sorts(facts, block->order, block->n_order);
        forget_sorts(facts, block->group, block->n_group);
        forget_sorts(facts, block->minmax, block->n_minmax);
        if (block->n_minmax > 0 && block->minmax[0].rel < 0)
            block->n_minmax = 0;
    }
    for (int i = 0; i < facts->n_params; i++) {
        AdvParam *param = &facts->params[i];
        if (!is_stand_in(facts, param->rel))
            continue;
        const AdvArm *arm = &facts->rels[param->rel].arms[0];
        param->rel = arm->rel;
        param->column = arm->rel_column;
    }
    for (int r = 0; r < facts->n_rels; r++)
        if (is_stand_in(facts, r))
            facts->rels[r] = (AdvRel){.kind = ADV_REL_OTHER, .alias = "", .block = -1, .inner = -1, .sifted = 1};
}
