/* SPDX-License-Identifier: ISC */
#include "advisor/cost/model.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/cost/plan.h"

typedef struct Model {
    const AdvCatalog *catalog;
    AdvCostBackend backend;
} Model;

static void add_indexes(AdvPlanAsk *ask, const AdvTable *table, AdvCandidate *const *set, int n)
{
    for (int i = 0; i < ask->n_indexes; i++)
        if (ask->indexes[i].def->table == table)
            return;
    for (int i = 0; i < table->n_indexes; i++) {
        const AdvIndex *def = table->indexes[i];
        ADV_ROOM(ask->arena, ask->indexes, ask->n_indexes);
        AdvModelIndex *m = &ask->indexes[ask->n_indexes++];
        double fraction = def->predicate && def->rows >= 0 && table->rows > 0 ? fmin(def->rows / table->rows, 1) : 1;
        *m = (AdvModelIndex){.def = def, .size = adv_index_size(def, fraction), .fraction = fraction, .place = -1};
        if (def->pages > 0)
            m->size.leaf_pages = m->size.pages = def->pages;
    }
    for (int i = 0; i < n; i++) {
        if (set[i]->def.table != table)
            continue;
        ADV_ROOM(ask->arena, ask->indexes, ask->n_indexes);
        ask->indexes[ask->n_indexes++] =
            (AdvModelIndex){.def = &set[i]->def, .size = adv_index_size(&set[i]->def, set[i]->fraction),
                            .fraction = set[i]->fraction, .place = i};
    }
}

static double model_cost(const Model *model, AdvArena *scratch, const AdvQuery *query, AdvCandidate *const *set, int n,
                         bool *used, double *ret_rows)
{
    const AdvFacts *facts = query->bound_facts ? query->bound_facts : query->facts;
    AdvPlanAsk ask = {.arena = scratch, .catalog = model->catalog, .facts = facts, .used = used};
    for (int r = 0; r < facts->n_rels; r++)
        if (facts->rels[r].kind == ADV_REL_TABLE)
            add_indexes(&ask, facts->rels[r].table, set, n);
    double cost = adv_plan_statement(&ask);
    *ret_rows = ask.rows;
    return cost;
}

static PwErr cost(void *self, const AdvQuery *query, AdvCandidate *const *set, int n, double *ret_cost, bool *used)
{
    const Model *model = self;
    AdvArena *scratch = adv_arena_create();
    bool *none = ADV_NEW_ARRAY(scratch, bool, 1);
    double rows, with = model_cost(model, scratch, query, set, n, used, &rows);
    double today = n ? model_cost(model, scratch, query, set, 0, none, &rows) : with;
    adv_arena_destroy(scratch);
    if (!isfinite(with) || !isfinite(today)) { /* settings or statistics beyond all measure: then nothing is known to help */
        memset(used, 0, (size_t)n * sizeof(bool));
        *ret_cost = query->cost_today;
        return PW_OK;
    }
    /* The server's own cost is the measure; the model only says how it changes. What the server counts beyond the model stays as it is: no
     * index changes it. Never for the worse: an index that does not help is not chosen. */
    double beyond = fmax(query->cost_today - today, 0);
    double scale = today > 0 ? fmin(query->cost_today / today, 1) : 1;
    if (with >= today * (1 - 1e-9)) {
        memset(used, 0, (size_t)n * sizeof(bool));
        with = today;
    }
    *ret_cost = beyond + with * scale;
    return PW_OK;
}

double adv_model_cost_today(const AdvCatalog *catalog, const AdvQuery *query, double *ret_rows)
{
    Model model = {.catalog = catalog};
    AdvArena *scratch = adv_arena_create();
    double today = model_cost(&model, scratch, query, NULL, 0, ADV_NEW_ARRAY(scratch, bool, 1), ret_rows);
    adv_arena_destroy(scratch);
    return isfinite(today) ? today : 0;
}

const AdvCostBackend *adv_model_create(AdvArena *arena, const AdvCatalog *catalog)
{
    Model *model = ADV_NEW(arena, Model);
    model->catalog = catalog;
    model->backend = (AdvCostBackend){.self = model, .name = "model", .cost = cost};
    return &model->backend;
}
