/* SPDX-License-Identifier: ISC */
#include "advisor/cost/hypopg.h"

#include <stdlib.h>

#include "advisor/cost/inner.h"
#include "advisor/cost/instead.h"
#include "advisor/cost/scan.h"
#include "advisor/text.h"

/* HypoPG never uses a partial index of a table that is not the first one of its (sub)query, nor one of a partition: its WHERE then names the columns
 * of another table (seen with 1.3.1; the same in 1.4.3). Where that may be so the statement also gets a stand-in: a whole index that begins with the
 * column which the WHERE fixes. It finds the same rows at nearly the same cost. */
#define CONSTANT_DOUBT 0.02 /* of the saving: the planner has not judged it, and it serves one constant; where room and upkeep do not matter, a whole index goes before */

#define PARAMS_MAX 65535 /* of the protocol. The grammar takes any number for one, and somebody may have sent it */

typedef struct Wish {
    const AdvCandidate *candidate;
    bool stand_in;
} Wish;

typedef struct Hypothetical {
    Wish wish;
    int fixed; /* of a stand-in: the column that stands in front; 0: none */
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
    Wish *refused; /* the server cannot build such an index */
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
    if (n > PARAMS_MAX)
        return PW_ERR_TOO_LARGE;
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

static bool same_wish(Wish a, Wish b)
{
    return a.candidate == b.candidate && a.stand_in == b.stand_in;
}

static bool is_refused(const AdvHypopg *h, Wish wish)
{
    for (int i = 0; i < h->n_refused; i++)
        if (same_wish(h->refused[i], wish))
            return true;
    return false;
}

static const char *stand_in_text(const AdvHypopg *h, const AdvIndex *partial, int fixed)
{
    AdvIndex whole = *partial;
    whole.predicate = NULL;
    whole.keys = ADV_NEW_ARRAY(h->scratch, AdvIndexKey, partial->n_keys + 1);
    whole.n_keys = 0;
    if (fixed)
        whole.keys[whole.n_keys++].column = fixed;
    for (int i = 0; i < partial->n_keys; i++)
        if (!fixed || partial->keys[i].column != fixed)
            whole.keys[whole.n_keys++] = partial->keys[i];
    AdvCatalog mine = *h->catalog; /* other sessions ask at the same time: the text is made on memory of our own */
    mine.arena = h->scratch;
    return adv_index_create_text(&mine, &whole, NULL, false);
}

/* The column that the WHERE fixes, where the statement has it as a condition of its own; 0: it only wants it not to be NULL. */
static int fixed_column(const AdvHypopg *h, const AdvIndex *def, const AdvFacts *facts)
{
    const AdvPred *pred = NULL;
    for (int r = 0; r < facts->n_rels && !pred; r++)
        if (facts->rels[r].kind == ADV_REL_TABLE && facts->rels[r].table == def->table)
            adv_predicate_holds(h->scratch, facts, r, def, &pred);
    return pred ? pred->column : 0;
}

static bool needs_stand_in(const AdvHypopg *h, const AdvFacts *facts, const AdvIndex *def)
{
    const AdvPred *pred;
    bool alone = facts->n_rels < 2 && def->table->kind != 'p';
    for (int r = 0; def->predicate && !alone && r < facts->n_rels; r++)
        if (facts->rels[r].kind == ADV_REL_TABLE && facts->rels[r].table == def->table && adv_predicate_holds(h->scratch, facts, r, def, &pred))
            return true;
    return false;
}

static const AdvFacts *facts_of(const AdvQuery *query)
{
    return query->bound_facts ? query->bound_facts : query->facts;
}

/* What is to exist for the statement, in the order of creation. */
static int wishes_for(const AdvHypopg *h, const AdvQuery *query, AdvCandidate *const *set, int n, Wish **ret_wishes)
{
    Wish *wishes = ADV_NEW_ARRAY(h->scratch, Wish, 2 * n + 1);
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (adv_is_inner(&set[i]->def))
            continue;
        wishes[count++] = (Wish){.candidate = set[i]};
        if (needs_stand_in(h, facts_of(query), &set[i]->def))
            wishes[count++] = (Wish){.candidate = set[i], .stand_in = true};
    }
    *ret_wishes = wishes;
    return count;
}

/* Creates wishes[0..n) in order with one statement. */
static PwErr create_batch(AdvHypopg *h, const AdvQuery *query, const Wish *wishes, int n)
{
    AdvText sql;
    int *fixed = ADV_NEW_ARRAY(h->scratch, int, n + 1);
    adv_text_init(&sql, h->scratch);
    for (int i = 0; i < n; i++) {
        const AdvIndex *def = &wishes[i].candidate->def;
        fixed[i] = wishes[i].stand_in ? fixed_column(h, def, facts_of(query)) : 0;
        adv_text_addf(&sql, "%s(SELECT indexrelid FROM %s.hypopg_create_index(", i ? ", " : "SELECT ", h->schema);
        adv_text_add_literal(&sql, wishes[i].stand_in ? stand_in_text(h, def, fixed[i]) : wishes[i].candidate->create);
        adv_text_add(&sql, "))");
    }
    AdvRows rows;
    PwErr err = run(h, adv_text_get(&sql), &rows);
    if (err)
        return err;
    for (int i = 0; i < n; i++) {
        const char *oid = adv_db_cell(&rows, 0, i);
        ADV_ROOM(h->arena, h->created, h->n);
        h->created[h->n++] = (Hypothetical){.wish = wishes[i], .fixed = fixed[i], .oid = oid ? (uint32_t)strtoul(oid, NULL, 10) : 0};
    }
    adv_db_free_rows(&rows);
    return PW_OK;
}

static PwErr create(AdvHypopg *h, const AdvQuery *query, const Wish *wishes, int n)
{
    if (n == 0)
        return PW_OK;
    if (!create_batch(h, query, wishes, n))
        return PW_OK;
    if (adv_db_lost(h->db))
        return PW_ERR_IO;
    /* One of them is impossible (a type without ordering, say): find it, and leave it out from now on. What the
     * failed statement created before the error is still there, so start over. */
    int n_before = h->n;
    Wish *all = ADV_NEW_ARRAY(h->scratch, Wish, n_before + n + 1);
    for (int i = 0; i < n_before; i++)
        all[i] = h->created[i].wish;
    memcpy(all + n_before, wishes, (size_t)n * sizeof(*all));
    PwErr err = reset(h);
    for (int i = 0; !err && i < n_before + n; i++) {
        if (!create_batch(h, query, &all[i], 1))
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
static PwErr synchronise(AdvHypopg *h, const AdvQuery *query, AdvCandidate *const *set, int n)
{
    Wish *wishes;
    int n_wishes = wishes_for(h, query, set, n, &wishes), n_missing = 0, last_kept = -1;
    bool *keep = ADV_NEW_ARRAY(h->scratch, bool, h->n + 1);
    Wish *missing = ADV_NEW_ARRAY(h->scratch, Wish, n_wishes + 1);
    int first_missing = -1;
    for (int i = 0; i < n_wishes; i++) {
        int k = 0;
        while (k < h->n && !same_wish(h->created[k].wish, wishes[i]))
            k++;
        if (k < h->n) {
            keep[k] = true;
            last_kept = i;
        } else if (!is_refused(h, wishes[i])) {
            first_missing = n_missing ? first_missing : i;
            missing[n_missing++] = wishes[i];
        }
    }
    PwErr err;
    if (n_missing && first_missing < last_kept) {
        n_missing = 0;
        for (int i = 0; i < n_wishes; i++)
            if (!is_refused(h, wishes[i]))
                missing[n_missing++] = wishes[i];
        err = reset(h);
    } else {
        err = drop(h, keep);
    }
    return err ? err : create(h, query, missing, n_missing);
}

/* HypoPG names its indexes "<oid>btree_table_columns". */
static uint32_t hypothetical_oid(const char *name)
{
    return name[0] == '<' ? (uint32_t)strtoul(name + 1, NULL, 10) : 0;
}

/* Which of `set` each index of the plan is; -1: none of them. `ret_constant`: a stand-in for a constant is among them. */
static const int *find_used(const AdvHypopg *h, const AdvPlan *plan, AdvCandidate *const *set, int n, bool *used, bool *ret_constant)
{
    int *places = ADV_NEW_ARRAY(h->scratch, int, plan->n_indexes + 1);
    for (int i = 0; i < plan->n_indexes; i++) {
        uint32_t oid = hypothetical_oid(plan->indexes[i]);
        places[i] = -1;
        for (int k = 0; oid && k < h->n; k++)
            for (int s = 0; h->created[k].oid == oid && s < n; s++)
                if (set[s] == h->created[k].wish.candidate) {
                    places[i] = s;
                    *ret_constant = *ret_constant || h->created[k].fixed;
                }
        if (places[i] >= 0)
            used[places[i]] = true;
    }
    return places;
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
    PwErr err = synchronise(h, query, set, n);
    if (!err)
        err = adv_explain_query(h->db, scratch, query, &plan);
    if (!err) {
        bool constant = false;
        const int *places = find_used(h, &plan, set, n, used, &constant);
        *ret_cost = adv_cost_instead(scratch, &h->catalog->settings, facts_of(query), &plan, places, set, n, used);
        if (constant && query->cost_today > *ret_cost)
            *ret_cost += CONSTANT_DOUBT * (query->cost_today - *ret_cost);
    }
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
            return h->created[i].wish.candidate;
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

/* The server has just these indexes now, as the statement needs them and as far as hypopg can make them. */
static PwErr have_only(AdvHypopg *h, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n)
{
    h->scratch = arena;
    PwErr err = synchronise(h, query, in_order(arena, set, n), n);
    h->scratch = NULL;
    return err;
}

const char *adv_hypopg_plan_text(AdvHypopg *h, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n)
{
    const char *plan = have_only(h, arena, query, set, n) ? NULL : adv_plan_text(h->db, arena, query);
    return plan ? with_own_names(h, arena, plan) : NULL;
}

PwErr adv_hypopg_indexes(AdvHypopg *h, AdvArena *arena, const AdvQuery *query, const AdvCandidate *const *set, int n, const char ***ret_names,
                         int *ret_n)
{
    AdvPlan plan = {0};
    if (!query->bound)
        return PW_ERR_UNSUPPORTED;
    PwErr err = have_only(h, arena, query, set, n);
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
