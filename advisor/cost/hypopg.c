/* SPDX-License-Identifier: ISC */
#include "advisor/cost/hypopg.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/catalog/stats.h"
#include "advisor/cost/inner.h"
#include "advisor/cost/scan.h"
#include "advisor/text.h"

typedef struct Hypothetical {
    const AdvCandidate *candidate;
    uint32_t oid;
} Hypothetical;

struct AdvHypopg {
    AdvArena *arena;
    AdvArena *scratch; /* of one question */
    AdvDb *db;
    const AdvCatalog *catalog;
    const char *schema; /* quoted */
    const char *reset_sql;
    AdvCostBackend backend;
    int n;
    Hypothetical *created; /* in the order of creation, ascending candidate ids */
    int n_refused;
    const AdvCandidate **refused; /* the server cannot build such an index */
};

static PwErr run_quietly(AdvDb *db, const char *sql)
{
    AdvRows rows;
    PwErr err = adv_db_query(db, sql, 0, NULL, &rows);
    if (!err)
        adv_db_free_rows(&rows);
    return err;
}

/* What the server plans for parameters that it does not know. Prepared each time: a plan that it keeps would not notice hypothetical indexes. */
static PwErr explain_generic(AdvDb *db, AdvArena *arena, const AdvQuery *query, const char *explain, AdvRows *ret_rows)
{
    AdvText sql;
    int n = 0;
    for (int i = 0; i < query->facts->n_params; i++)
        n = query->facts->params[i].number > n ? query->facts->params[i].number : n;
    adv_text_init(&sql, arena);
    adv_text_addf(&sql, "%s EXECUTE poolwise_generic(", explain);
    for (int i = 0; i < n; i++)
        adv_text_add(&sql, i ? ", NULL" : "NULL");
    adv_text_add(&sql, ")");
    PwErr err = run_quietly(db, "SET plan_cache_mode = force_generic_plan");
    if (!err)
        err = run_quietly(db, adv_arena_printf(arena, "PREPARE poolwise_generic AS %s", query->text));
    if (err)
        return err;
    err = adv_db_query(db, adv_text_get(&sql), 0, NULL, ret_rows);
    if (run_quietly(db, "DEALLOCATE poolwise_generic") && !err) {
        adv_db_free_rows(ret_rows);
        return PW_ERR_IO;
    }
    return err;
}

static PwErr explain(AdvDb *db, AdvArena *arena, const AdvQuery *query, const char *how, AdvRows *ret_rows)
{
    if (query->generic)
        return explain_generic(db, arena, query, how, ret_rows);
    return adv_db_query(db, adv_arena_printf(arena, "%s %s", how, query->bound), 0, NULL, ret_rows);
}

static PwErr take_plan(AdvArena *arena, AdvRows *rows, AdvPlan *ret_plan)
{
    const char *json = rows->n_rows > 0 && rows->n_columns > 0 ? adv_db_cell(rows, 0, 0) : NULL;
    PwErr err = json ? adv_plan_parse(arena, json, ret_plan) : PW_ERR_SYNTAX;
    adv_db_free_rows(rows);
    return err;
}

PwErr adv_explain(AdvDb *db, AdvArena *arena, const char *sql, AdvPlan *ret_plan)
{
    AdvRows rows;
    PwErr err = adv_db_query(db, adv_arena_printf(arena, "EXPLAIN (FORMAT JSON) %s", sql), 0, NULL, &rows);
    return err ? err : take_plan(arena, &rows, ret_plan);
}

PwErr adv_explain_query(AdvDb *db, AdvArena *arena, const AdvQuery *query, AdvPlan *ret_plan)
{
    AdvRows rows;
    PwErr err = explain(db, arena, query, "EXPLAIN (FORMAT JSON)", &rows);
    return err ? err : take_plan(arena, &rows, ret_plan);
}

static PwErr run(AdvHypopg *h, const char *sql, AdvRows *ret_rows)
{
    return adv_db_query(h->db, sql, 0, NULL, ret_rows);
}

static PwErr reset(AdvHypopg *h)
{
    PwErr err = run_quietly(h->db, h->reset_sql);
    h->n = 0;
    return err;
}

static bool is_refused(const AdvHypopg *h, const AdvCandidate *candidate)
{
    if (adv_is_inner(&candidate->def))
        return true;
    for (int i = 0; i < h->n_refused; i++)
        if (h->refused[i] == candidate)
            return true;
    return false;
}

/* Creates candidates[0..n) in order with one statement. */
static PwErr create_batch(AdvHypopg *h, AdvCandidate *const *candidates, int n)
{
    AdvText sql;
    adv_text_init(&sql, h->scratch);
    for (int i = 0; i < n; i++) {
        adv_text_addf(&sql, "%s(SELECT indexrelid FROM %s.hypopg_create_index(", i ? ", " : "SELECT ", h->schema);
        adv_text_add_literal(&sql, candidates[i]->create);
        adv_text_add(&sql, "))");
    }
    AdvRows rows;
    PwErr err = run(h, adv_text_get(&sql), &rows);
    if (err)
        return err;
    for (int i = 0; i < n; i++) {
        const char *oid = adv_db_cell(&rows, 0, i);
        ADV_ROOM(h->arena, h->created, h->n);
        h->created[h->n++] =
            (Hypothetical){.candidate = candidates[i], .oid = oid ? (uint32_t)strtoul(oid, NULL, 10) : 0};
    }
    adv_db_free_rows(&rows);
    return PW_OK;
}

static PwErr create(AdvHypopg *h, AdvCandidate *const *candidates, int n)
{
    if (n == 0)
        return PW_OK;
    if (!create_batch(h, candidates, n))
        return PW_OK;
    if (adv_db_lost(h->db))
        return PW_ERR_IO;
    /* One of them is impossible (a type without ordering, say): find it, and leave it out from now on. What the
     * failed statement created before the error is still there, so start over. */
    int n_before = h->n;
    AdvCandidate **all = ADV_NEW_ARRAY(h->scratch, AdvCandidate *, n_before + n + 1);
    for (int i = 0; i < n_before; i++) {
        union { const AdvCandidate *in; AdvCandidate *out; } u = {.in = h->created[i].candidate};
        all[i] = u.out;
    }
    memcpy(all + n_before, candidates, (size_t)n * sizeof(*all));
    PwErr err = reset(h);
    for (int i = 0; !err && i < n_before + n; i++) {
        if (!create_batch(h, &all[i], 1))
            continue;
        if (adv_db_lost(h->db))
            return PW_ERR_IO;
        ADV_ROOM(h->arena, h->refused, h->n_refused);
        h->refused[h->n_refused++] = all[i];
    }
    return err;
}

static PwErr drop(AdvHypopg *h, const bool *keep)
{
    AdvText sql;
    adv_text_init(&sql, h->scratch);
    int kept = 0, dropped = 0;
    for (int i = 0; i < h->n; i++) {
        if (keep[i])
            h->created[kept++] = h->created[i];
        else
            adv_text_addf(&sql, "%s%s.hypopg_drop_index(%u)", dropped++ ? ", " : "SELECT ", h->schema,
                          h->created[i].oid);
    }
    h->n = kept;
    if (!dropped)
        return PW_OK;
    return run_quietly(h->db, adv_text_get(&sql));
}

/* Makes exactly `set` (ascending ids) exist, always created in ascending order: among plans of nearly equal
 * cost the planner prefers by order, and the same set must always get the same answer. */
static PwErr synchronise(AdvHypopg *h, AdvCandidate *const *set, int n)
{
    bool *keep = ADV_NEW_ARRAY(h->scratch, bool, h->n + 1);
    AdvCandidate **missing = ADV_NEW_ARRAY(h->scratch, AdvCandidate *, n + 1);
    int n_missing = 0, last_kept = -1;
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < h->n && h->created[k].candidate != set[i])
            k++;
        if (k < h->n) {
            keep[k] = true;
            last_kept = set[i]->id;
        } else if (!is_refused(h, set[i])) {
            missing[n_missing++] = set[i];
        }
    }
    PwErr err;
    if (n_missing && missing[0]->id < last_kept) {
        n_missing = 0;
        for (int i = 0; i < n; i++)
            if (!is_refused(h, set[i]))
                missing[n_missing++] = set[i];
        err = reset(h);
    } else {
        err = drop(h, keep);
    }
    return err ? err : create(h, missing, n_missing);
}

/* HypoPG names its indexes "<oid>btree_table_columns". */
static uint32_t hypothetical_oid(const char *name)
{
    return name[0] == '<' ? (uint32_t)strtoul(name + 1, NULL, 10) : 0;
}

static void find_used(const AdvHypopg *h, const AdvPlan *plan, AdvCandidate *const *set, int n, bool *used)
{
    for (int i = 0; i < plan->n_indexes; i++) {
        uint32_t oid = hypothetical_oid(plan->indexes[i]);
        for (int k = 0; oid && k < h->n; k++) {
            if (h->created[k].oid != oid)
                continue;
            for (int s = 0; s < n; s++)
                if (set[s] == h->created[k].candidate)
                    used[s] = true;
        }
    }
}

/* The statement's name for what the plan reads; partitions are read by the names that the server makes of it. `part`: what is read of the table. */
static bool is_scan_of(const AdvRel *rel, const AdvTable *table, const AdvTableScan *scan, const AdvTable *part)
{
    size_t n = rel->alias ? strlen(rel->alias) : 0;
    if (rel->kind != ADV_REL_TABLE || rel->table != table)
        return false;
    if (!n || strcmp(rel->alias, scan->alias) == 0)
        return true;
    return part != table && strncmp(scan->alias, rel->alias, n) == 0 && scan->alias[n] == '_';
}

/* The table itself, or the partition of it that has this name. */
static const AdvTable *part_named(const AdvTable *table, const char *name)
{
    if (strcmp(table->name, name) == 0)
        return table;
    for (int i = 0; table->kind == 'p' && i < table->n_children; i++) {
        const AdvTable *part = part_named(table->children[i], name);
        if (part)
            return part;
    }
    return NULL;
}

/* What the scan costs by this index; INFINITY: the index is of no use for it. */
static double inner_scan_cost(const AdvHypopg *h, const AdvFacts *facts, const AdvTableScan *scan, const AdvCandidate *candidate)
{
    const AdvTable *table = candidate->def.table, *part = part_named(table, scan->table);
    double best = INFINITY;
    for (int r = 0; part && r < facts->n_rels; r++) {
        const AdvPred *pred = is_scan_of(&facts->rels[r], table, scan, part) ? adv_inner_serves(facts, r, &candidate->def) : NULL;
        if (!pred)
            continue;
        /* A partition has its share of the index. */
        AdvTable sized = *table;
        AdvIndex def = candidate->def;
        sized.rows = part->rows;
        sized.pages = part->pages;
        def.table = &sized;
        double pages = candidate->bytes / 8192 * (table->pages > 0 ? fmin(part->pages / table->pages, 1) : 1);
        /* The other conditions on the table sift what the index brings. */
        double others = fmax(adv_rel_selectivity(facts, r) / fmax(adv_pred_selectivity(table, pred), 1e-9), 1e-6);
        double rows = fmin(scan->rows / fmin(others, 1), sized.rows);
        best = fmin(best, adv_inner_cost(&h->catalog->settings, &def, pages, pred, rows));
    }
    return best;
}

static bool scan_uses(const AdvTableScan *scan, const char *index)
{
    for (int i = 0; i < scan->n_indexes; i++)
        if (strcmp(scan->indexes[i], index) == 0)
            return true;
    return false;
}

/* The indexes of which every scan is done otherwise. */
static void unuse(const AdvHypopg *h, const AdvPlan *plan, const bool *replaced, AdvCandidate *const *set, int n, bool *used)
{
    for (int i = 0; i < plan->n_indexes; i++) {
        bool needed = false, gone = false;
        for (int s = 0; s < plan->n_scans; s++)
            if (scan_uses(&plan->scans[s], plan->indexes[i])) {
                needed = needed || !replaced[s];
                gone = true;
            }
        if (needed || !gone)
            continue;
        AdvPlan lone = {.n_indexes = 1, .indexes = &plan->indexes[i]};
        bool *its = ADV_NEW_ARRAY(h->scratch, bool, n + 1);
        find_used(h, &lone, set, n, its);
        for (int k = 0; k < n; k++)
            used[k] = used[k] && !its[k];
    }
}

/* HypoPG has neither GIN nor GiST. Where such an index would find the rows of one of the conditions on a table sooner than the plan's scan, our own
 * formula takes the place of that scan. */
static double use_inner(const AdvHypopg *h, const AdvQuery *query, const AdvPlan *plan, AdvCandidate *const *set, int n, bool *used)
{
    const AdvFacts *facts = query->bound_facts ? query->bound_facts : query->facts;
    bool *replaced = ADV_NEW_ARRAY(h->scratch, bool, plan->n_scans + 1), *chosen_ones = ADV_NEW_ARRAY(h->scratch, bool, n + 1);
    double cost = plan->cost;
    for (int s = 0; s < plan->n_scans; s++) {
        const AdvTableScan *scan = &plan->scans[s];
        double best = scan->cost;
        int chosen = -1;
        for (int i = 0; i < n && !scan->again; i++) {
            double mine = adv_is_inner(&set[i]->def) ? inner_scan_cost(h, facts, scan, set[i]) : INFINITY;
            if (mine < best) {
                best = mine;
                chosen = i;
            }
        }
        /* Below a LIMIT the plan does not pay for the whole scan. */
        double with = fmax(cost - (scan->cost - best), best);
        if (chosen < 0 || with >= cost)
            continue;
        replaced[s] = chosen_ones[chosen] = true;
        cost = with;
    }
    unuse(h, plan, replaced, set, n, used);
    for (int i = 0; i < n; i++)
        used[i] = used[i] || chosen_ones[i];
    return cost;
}

static PwErr hypopg_cost(void *self, const AdvQuery *query, AdvCandidate *const *set, int n, double *ret_cost,
                         bool *used)
{
    AdvHypopg *h = self;
    if (!query->bound)
        return PW_ERR_UNSUPPORTED;
    /* Statements and plans of one question are forgotten with it: there may be tens of thousands. */
    AdvArena *scratch = adv_arena_create();
    h->scratch = scratch;
    AdvPlan plan = {0};
    PwErr err = synchronise(h, set, n);
    if (!err)
        err = adv_explain_query(h->db, scratch, query, &plan);
    if (!err)
        find_used(h, &plan, set, n, used);
    if (!err)
        *ret_cost = use_inner(h, query, &plan, set, n, used);
    h->scratch = NULL;
    adv_arena_destroy(scratch);
    return err;
}

const char *adv_plan_text(AdvDb *db, AdvArena *arena, const AdvQuery *query)
{
    AdvRows rows;
    if (!query->bound || explain(db, arena, query, "EXPLAIN", &rows))
        return NULL;
    AdvText text;
    adv_text_init(&text, arena);
    for (int i = 0; i < rows.n_rows; i++)
        adv_text_addf(&text, "%s\n", adv_db_cell(&rows, i, 0));
    adv_db_free_rows(&rows);
    return adv_text_get(&text);
}

static const AdvCandidate *created_as(const AdvHypopg *h, uint32_t oid)
{
    for (int i = 0; i < h->n; i++)
        if (oid && h->created[i].oid == oid)
            return h->created[i].candidate;
    return NULL;
}

static const char *with_own_names(const AdvHypopg *h, AdvArena *arena, const char *plan)
{
    AdvText text;
    adv_text_init(&text, arena);
    while (*plan) {
        const AdvCandidate *candidate = created_as(h, hypothetical_oid(plan));
        if (candidate) {
            adv_text_addf(&text, "[new index %s]", adv_index_columns_text(arena, &candidate->def));
            plan += strcspn(plan, " \n");
        } else {
            adv_text_add_n(&text, plan++, 1);
        }
    }
    return adv_text_get(&text);
}

static int by_id(const void *a, const void *b)
{
    const AdvCandidate *x = *(const AdvCandidate *const *)a, *y = *(const AdvCandidate *const *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static AdvCandidate **in_order(AdvArena *arena, const AdvCandidate *const *set, int n)
{
    AdvCandidate **sorted = ADV_NEW_ARRAY(arena, AdvCandidate *, n + 1);
    for (int i = 0; i < n; i++) {
        union { const AdvCandidate *in; AdvCandidate *out; } u = {.in = set[i]};
        sorted[i] = u.out;
    }
    qsort(sorted, (size_t)n, sizeof(*sorted), by_id);
    return sorted;
}

/* The server has just these indexes now, as far as hypopg can make them. */
static PwErr have_only(AdvHypopg *h, AdvArena *arena, const AdvCandidate *const *set, int n)
{
    h->scratch = arena;
    PwErr err = synchronise(h, in_order(arena, set, n), n);
    h->scratch = NULL;
    return err;
}

const char *adv_hypopg_plan_text(AdvHypopg *h, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n)
{
    const char *plan = have_only(h, arena, set, n) ? NULL : adv_plan_text(h->db, arena, query);
    return plan ? with_own_names(h, arena, plan) : NULL;
}

PwErr adv_hypopg_indexes(AdvHypopg *h, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n, const char ***ret_names,
                         int *ret_n)
{
    AdvPlan plan = {0};
    if (!query->bound)
        return PW_ERR_UNSUPPORTED;
    PwErr err = have_only(h, arena, set, n);
    if (!err)
        err = adv_explain_query(h->db, arena, query, &plan);
    if (err)
        return err;
    *ret_names = plan.indexes;
    *ret_n = plan.n_indexes;
    return PW_OK;
}

PwErr adv_hypopg_create(AdvArena *arena, AdvDb *db, AdvCatalog *catalog, AdvHypopg **ret_hypopg, const char **ret_why)
{
    if (!catalog->has_hypopg) {
        *ret_why = "the extension hypopg is not installed in this database";
        return PW_ERR_NOT_FOUND;
    }
    AdvHypopg *h = ADV_NEW(arena, AdvHypopg);
    h->arena = arena;
    h->db = db;
    h->catalog = catalog;
    h->schema = adv_quote_ident(arena, catalog->hypopg_schema);
    h->reset_sql = adv_arena_printf(arena, "SELECT %s.hypopg_reset()", h->schema);
    h->backend = (AdvCostBackend){.self = h, .name = "hypopg", .cost = hypopg_cost};
    if (reset(h)) {
        *ret_why = adv_arena_printf(arena, "hypopg cannot be used: %s", adv_db_error(db)->message);
        return PW_ERR_UNSUPPORTED;
    }
    *ret_hypopg = h;
    return PW_OK;
}

const AdvCostBackend *adv_hypopg_backend(AdvHypopg *h)
{
    return &h->backend;
}

void adv_hypopg_finish(AdvHypopg *h)
{
    if (h && !adv_db_lost(h->db) && reset(h))
        h->n = 0; /* the session ends anyway, and its hypothetical indexes with it */
}
