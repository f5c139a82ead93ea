/* SPDX-License-Identifier: ISC */
#include "advisor/cost/bind.h"
#include "advisor/cost/hypopg.h"
#include "advisor/cost/model.h"
#include "advisor/lanes.h"
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

static void take_plan(AdvQuery *q, const char *text, const AdvPlan *plan)
{
    q->bound = text;
    q->cost_today = plan->cost;
    q->rows_today = plan->rows;
    q->indexes_today = plan->indexes;
    q->n_indexes_today = plan->n_indexes;
    q->seq_scans_today = plan->seq_scans;
    q->n_seq_scans_today = plan->n_seq_scans;
}

/* No value is right (a type with a check of its own): then for unknown ones. */
static bool plan_generic(AdvDb *db, AdvArena *arena, AdvQuery *q)
{
    AdvPlan plan;
    q->generic = q->facts->n_params > 0 && !adv_db_lost(db);
    if (q->generic && adv_explain_query(db, arena, q, &plan))
        q->generic = false;
    if (q->generic)
        take_plan(q, q->text, &plan);
    return q->generic;
}

static void plan_one(AdvDb *db, AdvArena *arena, const AdvCatalog *catalog, AdvQuery *q)
{
    AdvBinding binding;
    adv_binding_init(&binding, arena, catalog, q);
    AdvPlan plan;
    bool refused = false;
    for (int attempt = 0; attempt < REPAIRS_MAX; attempt++) {
        if (!adv_explain(db, arena, binding.text, &plan)) {
            take_plan(q, binding.text, &plan);
            return;
        }
        const AdvDbError *error = adv_db_error(db);
        /* Somebody holds the table exclusively. The others that need it are not waited for as long. */
        if (strcmp(error->sqlstate, "55P03") == 0)
            hurry(db);
        /* Positions count from the start of the EXPLAIN. */
        int position = error->position - (int)strlen("EXPLAIN (FORMAT JSON) ");
        refused = strcmp(error->sqlstate, "57014") == 0 || strcmp(error->sqlstate, "42501") == 0 || strcmp(error->sqlstate, "55P03") == 0;
        if (adv_db_lost(db) || (refused && strcmp(error->sqlstate, "55P03") != 0) ||
            !adv_binding_repair(&binding, error->sqlstate, error->message, position > 0 ? position : 0))
            break;
    }
    const char *why_not = adv_arena_printf(arena, "the server does not plan it: %s", adv_db_error(db)->message);
    if (refused || !plan_generic(db, arena, q))
        q->why_not = why_not;
}

typedef struct Today {
    AdvDb *const *sessions;
    AdvArena *arenas[ADV_LANES_MAX];
    const AdvCatalog *catalog;
    AdvQuery **queries;
} Today;

static void plan_item(void *arg, int lane, int item)
{
    const Today *t = arg;
    plan_one(t->sessions[lane], t->arenas[lane], t->catalog, t->queries[item]);
}

void adv_plan_today(AdvDb *const *sessions, int n_sessions, AdvCatalog *catalog, AdvWorkload *w)
{
    Today t = {.sessions = sessions, .catalog = catalog, .queries = ADV_NEW_ARRAY(w->arena, AdvQuery *, w->n_queries + 1)};
    int n = 0;
    for (int i = 0; i < w->n_queries; i++)
        if (w->queries[i]->facts && !w->queries[i]->why_not && !nothing_to_plan(w->queries[i]->facts))
            t.queries[n++] = w->queries[i];
    for (int i = 0; i < n_sessions && i < ADV_LANES_MAX; i++)
        t.arenas[i] = i ? adv_arena_create_under(w->arena) : w->arena;
    adv_lanes_run(n_sessions, n, plan_item, &t);
    for (int i = 0; i < n; i++)
        if (t.queries[i]->bound)
            set_bound_facts(catalog, w, t.queries[i]);
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
        q->cost_today = adv_model_cost_today(catalog, q, &q->rows_today);
    }
}
