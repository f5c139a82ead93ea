/* SPDX-License-Identifier: ISC */
/* sequences.c - the N+1 pattern: rows are fetched one by one where one statement could fetch them all.
 *
 * Seen in two ways: a script holds many statements of one shape in a row, with another value each; or the calls of a look-up by key are
 * about the rows that all calls of another statement return, of a table that a foreign key ties to it. */
#include <math.h>

#include "advisor/health/health.h"
#include "advisor/text.h"

#define RUN_MIN 10
#define CALLS_MIN 200.0
#define RATIO_OFF 0.15

/* The only equality with a value, on a plain column of the only table: a look-up; NULL: none. */
static const AdvPred *look_up(const AdvFacts *facts)
{
    const AdvPred *found = NULL;
    if (!facts || facts->kind != ADV_STMT_SELECT || facts->n_rels != 1 || !facts->rels[0].table)
        return NULL;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        if (p->kind != ADV_PRED_EQ || p->expr || p->or_group)
            continue;
        if (found)
            return NULL;
        found = p;
    }
    return found;
}

static void report(AdvHealthList *list, const AdvQuery *q, const AdvPred *p, const char *reason, const char *wrong_if)
{
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_N_PLUS_ONE, q->facts->rels[p->rel].table);
    h->query = q;
    h->n_columns = 1;
    h->columns = ADV_NEW_ARRAY(list->arena, int, 1);
    h->columns[0] = p->column;
    h->reason = reason;
    h->wrong_if = wrong_if;
    const char *column = adv_quote_ident(list->arena, adv_column(h->table, p->column)->name);
    h->remedy = adv_arena_printf(list->arena, "fetch them together: WHERE %s = ANY ($1) with an array of all values, or a JOIN with the statement that "
                                 "returns them", column);
}

static bool tied(const AdvTable *child_side, int column, const AdvFacts *other)
{
    for (int r = 0; r < other->n_rels; r++) {
        const AdvTable *t = other->rels[r].table;
        for (int i = 0; t && i < t->n_fks; i++) /* the other statement's rows refer to the rows looked up */
            if (t->fks[i]->parent == child_side && t->fks[i]->n_columns == 1 && t->fks[i]->parent_columns[0] == column)
                return true;
        for (int i = 0; t && i < child_side->n_fks; i++) /* or the rows looked up refer to it */
            if (child_side->fks[i]->parent == t && child_side->fks[i]->n_columns == 1 && child_side->fks[i]->columns[0] == column)
                return true;
    }
    return false;
}

static const AdvQuery *find_parent(const AdvHealthList *list, const AdvQuery *q, const AdvPred *p)
{
    for (int i = 0; i < list->workload->n_queries; i++) {
        const AdvQuery *other = list->workload->queries[i];
        if (other == q || !other->facts || other->facts->kind != ADV_STMT_SELECT || other->foreign_key_check || other->rows_per_call < 2)
            continue;
        double expected = other->calls * other->rows_per_call;
        if (fabs(q->calls / expected - 1) <= RATIO_OFF && tied(q->facts->rels[p->rel].table, p->column, other->facts))
            return other;
    }
    return NULL;
}

/* Several texts of one shape stand for one sequence: only the first is reported. */
static bool is_known(const AdvHealthList *list, const AdvQuery *q)
{
    for (int i = 0; i < list->n; i++)
        if (list->items[i].kind == ADV_HEALTH_N_PLUS_ONE && list->items[i].query->group == q->group)
            return true;
    return false;
}

static int longest_run(const AdvHealthList *list, const AdvQuery *q)
{
    int run = 0;
    for (int i = 0; i < list->workload->n_queries; i++)
        if (list->workload->queries[i]->group == q->group && list->workload->queries[i]->longest_run > run)
            run = list->workload->queries[i]->longest_run;
    return run;
}

void adv_health_sequences(AdvHealthList *list)
{
    for (int i = 0; i < list->workload->n_queries; i++) {
        const AdvQuery *q = list->workload->queries[i];
        const AdvPred *p = q->foreign_key_check ? NULL : look_up(q->facts);
        if (!p || is_known(list, q))
            continue;
        int run = longest_run(list, q);
        if (run >= RUN_MIN) {
            report(list, q, p,
                   adv_arena_printf(list->arena, "%d statements of this shape follow each other, each with another value: a round trip for each row.",
                                    run),
                   "the script is a list of samples, not what a program sends in this order");
            continue;
        }
        const AdvQuery *parent = q->calls >= CALLS_MIN ? find_parent(list, q, p) : NULL;
        if (parent)
            report(list, q, p,
                   adv_arena_printf(list->arena, "It runs %.0f times, about once for each of the %.1f rows that every one of %.0f calls of this returns: %.200s",
                                    q->calls, parent->rows_per_call, parent->calls, parent->text),
                   "the numbers are alike by chance");
    }
}
