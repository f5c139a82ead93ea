/* SPDX-License-Identifier: ISC */
#include "advisor/cost/bind.h"
#include "advisor/cost/hypopg.h"
#include "advisor/cost/model.h"
#include "advisor/sql/parse.h"

#define REPAIRS_MAX 80

static bool nothing_to_plan(const AdvFacts *facts)
{
    return facts->kind == ADV_STMT_INSERT && facts->insert_rows > 0;
}

static void set_bound_facts(AdvCatalog *catalog, AdvWorkload *w, AdvQuery *q)
{
    const char *why;
    if (q->facts->n_params == 0 || adv_sql_analyse(catalog, w->arena, q->bound, &q->bound_facts, &why) ||
        q->bound_facts->n_rels != q->facts->n_rels)
        q->bound_facts = q->facts;
}

static void hurry(AdvDb *db)
{
    AdvRows rows;
    if (!adv_db_query(db, "SET lock_timeout = '50ms'", 0, NULL, &rows))
        adv_db_free_rows(&rows);
}

static void plan_one(AdvDb *db, AdvCatalog *catalog, AdvWorkload *w, AdvQuery *q)
{
    AdvBinding binding;
    adv_binding_init(&binding, w->arena, catalog, q);
    AdvPlan plan;
    for (int attempt = 0; attempt < REPAIRS_MAX; attempt++) {
        if (!adv_explain(db, w->arena, binding.text, &plan)) {
            q->bound = binding.text;
            q->cost_today = plan.cost;
            q->indexes_today = plan.indexes;
            q->n_indexes_today = plan.n_indexes;
            q->seq_scans_today = plan.seq_scans;
            q->n_seq_scans_today = plan.n_seq_scans;
            set_bound_facts(catalog, w, q);
            return;
        }
        const AdvDbError *error = adv_db_error(db);
        /* Somebody holds the table exclusively. The others that need it are not waited for as long. */
        if (strcmp(error->sqlstate, "55P03") == 0)
            hurry(db);
        /* Positions count from the start of the EXPLAIN. */
        int position = error->position - (int)strlen("EXPLAIN (FORMAT JSON) ");
        if (adv_db_lost(db) || strcmp(error->sqlstate, "57014") == 0 || strncmp(error->sqlstate, "42501", 5) == 0 ||
            !adv_binding_repair(&binding, error->sqlstate, error->message, position > 0 ? position : 0))
            break;
    }
    q->why_not = adv_arena_printf(w->arena, "the server does not plan it: %s", adv_db_error(db)->message);
}

void adv_plan_today(AdvDb *db, AdvCatalog *catalog, AdvWorkload *w)
{
    for (int i = 0; i < w->n_queries; i++) {
        AdvQuery *q = w->queries[i];
        if (q->facts && !q->why_not && !nothing_to_plan(q->facts))
            plan_one(db, catalog, w, q);
    }
}

void adv_plan_offline(AdvCatalog *catalog, AdvWorkload *w)
{
    for (int i = 0; i < w->n_queries; i++) {
        AdvQuery *q = w->queries[i];
        if (!q->facts || q->why_not || nothing_to_plan(q->facts))
            continue;
        AdvBinding binding;
        adv_binding_init(&binding, w->arena, catalog, q);
        q->bound = binding.text;
        set_bound_facts(catalog, w, q);
        q->cost_today = adv_model_cost_today(catalog, q);
    }
}
