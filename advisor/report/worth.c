/* SPDX-License-Identifier: ISC */
#include "advisor/report/worth.h"

#include <assert.h>
#include <math.h>

#include "advisor/candidate/roles.h"
#include "advisor/catalog/stats.h"
#include "advisor/cost/inner.h"
#include "advisor/cost/model.h"
#include "advisor/text.h"
#include "poolwise/str.h"

#define YOUNG_DAYS 7.0  /* statistics below say little of what is unused */
#define MATURE_DAYS 35.0 /* a month end lies within */

static const char *const confidence_names[] = {
    [ADV_CONFIDENCE_LOW] = "low", [ADV_CONFIDENCE_MEDIUM] = "medium", [ADV_CONFIDENCE_HIGH] = "high"};
static_assert(PW_ARRAY_LEN(confidence_names) == ADV_CONFIDENCE_COUNT, "one name per degree");

const char *adv_confidence_name(AdvConfidence confidence)
{
    return confidence_names[confidence];
}

static void set_confidence(const AdvReport *r, AdvFinding *f)
{
    bool planner = strcmp(r->cost_source, "hypopg") == 0, drawn = false, generic = false, statistics = f->create->def.table->counted;
    for (int i = 0; i < f->n_evidence; i++) {
        drawn = drawn || f->evidence[i].query->facts->n_params > 0;
        generic = generic || f->evidence[i].query->generic;
    }
    for (int i = 0; i < f->create->def.n_keys; i++) {
        int column = f->create->def.keys[i].column;
        statistics = statistics && (!column || adv_column(f->create->def.table, column)->has_stats);
    }
    bool inner = planner && adv_is_inner(&f->create->def), sampled = false;
    for (int i = 0; i < f->create->def.n_keys && planner; i++)
        sampled = sampled || (f->create->def.keys[i].expr && adv_table_expr(f->create->def.table, f->create->def.keys[i].expr));
    f->confidence = !statistics || (!planner && drawn) ? ADV_CONFIDENCE_LOW
                    : planner && !drawn && !inner      ? ADV_CONFIDENCE_HIGH
                                                       : ADV_CONFIDENCE_MEDIUM;
    f->confidence_why = adv_arena_printf(
        r->arena, "costed by %s, %s%s",
        inner     ? "a formula of the advisor's own in the plan of the server, which cannot have hypothetical GIN and GiST indexes"
        : sampled ? "the server's planner with a hypothetical index, and a sample of what its expression yields"
        : planner ? "the server's planner with a hypothetical index"
                  : "the advisor's own model",
        generic ? "for parameters whose values are not known"
        : drawn ? "with parameter values drawn from the statistics"
                : "with the values of the statements",
        statistics ? "" : "; the table or a key column has no statistics");
}

/* The column that the condition of a partial index fixes: its value need not be read. 0: none. */
static int fixed_column(AdvArena *arena, const AdvIndex *index, const AdvFacts *facts, int rel)
{
    for (int i = 0; index->predicate && i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        const char *sql = p->rel == rel && !p->or_group ? adv_pred_sql(arena, index->table, p) : NULL;
        if (sql && p->kind != ADV_PRED_NOT_NULL && strcmp(sql, index->predicate) == 0)
            return p->column;
    }
    return 0;
}

bool adv_holds_all_read(AdvArena *arena, const AdvIndex *index, const AdvFacts *facts)
{
    bool seen = false;
    if (facts->locks_rows)
        return false;
    for (int r = 0; r < facts->n_rels; r++) {
        const AdvRel *rel = &facts->rels[r];
        if (rel->kind != ADV_REL_TABLE || rel->table != index->table)
            continue;
        if (rel->target || rel->whole_row)
            return false;
        int fixed = fixed_column(arena, index, facts, r);
        for (int c = 0; c < rel->table->n_columns; c++)
            if (rel->used && rel->used[c] && c + 1 != fixed && !adv_index_has_column(index, c + 1))
                return false;
        seen = true;
    }
    return seen;
}

/* The model's cost of the statement under all that is advised, were `visible` pages of the table all-visible. */
static double cost_if_visible(const AdvReport *r, const AdvPool *pool, const AdvQuery *q, AdvTable *table, double visible)
{
    const AdvSelection *s = r->selection;
    const AdvCostBackend *model = adv_model_create(r->arena, r->catalog);
    AdvCandidate **set = ADV_NEW_ARRAY(r->arena, AdvCandidate *, s->n + 1);
    bool *used = ADV_NEW_ARRAY(r->arena, bool, s->n + 1);
    for (int i = 0; i < s->n; i++)
        set[i] = pool->items[s->ids[i]];
    double now = table->all_visible, cost = q->cost_today;
    table->all_visible = visible;
    if (model->cost(model->self, q, set, s->n, &cost, used))
        cost = q->cost_today;
    table->all_visible = now;
    return cost;
}

static void set_index_only(const AdvReport *r, const AdvPool *pool, AdvFinding *f)
{
    AdvTable *table = f->create->def.table;
    double before = 0, now = 0, later = 0;
    for (int i = 0; i < f->n_evidence; i++) {
        const AdvEvidence *e = &f->evidence[i];
        bool covers = adv_holds_all_read(r->arena, &f->create->def, e->query->facts);
        f->index_only.applies = f->index_only.applies || covers;
        before += e->query->weight * e->before;
        now += e->query->weight * e->after;
        double ratio = 1;
        if (covers && table->all_visible < table->pages) {
            double today = cost_if_visible(r, pool, e->query, table, table->all_visible);
            if (today > 0)
                ratio = fmin(cost_if_visible(r, pool, e->query, table, table->pages) / today, 1);
        }
        later += e->query->weight * e->after * ratio;
    }
    f->index_only.all_visible = table->pages > 0 ? fmin(table->all_visible / table->pages, 1) : 0;
    f->index_only.saving_today = before > 0 ? 1 - now / before : 0;
    f->index_only.saving_after_vacuum = before > 0 ? 1 - later / before : 0;
}

void adv_worth_create(const AdvReport *r, const AdvPool *pool, AdvFinding *f)
{
    f->write_cost = r->selection->cost_before > 0 ? f->create->write_cost / r->selection->cost_before : 0;
    f->build_seconds = adv_build_seconds(&f->create->def, f->create->fraction, f->create->bytes);
    set_index_only(r, pool, f);
    set_confidence(r, f);
}

void adv_worth_drop(const AdvReport *r, AdvFinding *f)
{
    const AdvDrop *drop = f->drop;
    double age = r->catalog->stats_age_days;
    const char *least = r->catalog->stats_age_is_least ? "at least " : "";
    f->confidence = ADV_CONFIDENCE_HIGH;
    switch (drop->kind) {
    case ADV_DROP_DUPLICATE:
    case ADV_DROP_INVALID:
        f->confidence_why = "told by the definitions alone";
        break;
    case ADV_DROP_PREFIX:
        if (drop->by->bytes > 3 * drop->index->bytes)
            f->confidence = ADV_CONFIDENCE_MEDIUM;
        f->confidence_why = "told by the definitions; scans of a larger index read more pages";
        break;
    case ADV_DROP_REPLACED:
        f->confidence = ADV_CONFIDENCE_MEDIUM;
        f->confidence_why = "told by the definitions of the old and the new index";
        break;
    case ADV_DROP_UNUSED:
        f->confidence = age >= MATURE_DAYS && (r->catalog->n_replicas || !r->catalog->is_standby) ? ADV_CONFIDENCE_HIGH
                        : age >= YOUNG_DAYS                           ? ADV_CONFIDENCE_MEDIUM
                                                                      : ADV_CONFIDENCE_LOW;
        f->confidence_why = age < 0 ? "the age of the usage statistics is not known"
                                    : adv_arena_printf(r->arena, "the usage statistics are %s%s old", least, adv_duration(r->arena, age));
        break;
    case ADV_DROP_COUNT:
        break;
    }
}
