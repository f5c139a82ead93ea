/* SPDX-License-Identifier: ISC */
/* explain.c - advisor explain: what one statement needs of each table, what serves it today, and the plan with and without advice. */
#include "advisor/app_priv.h"
#include "advisor/candidate/roles.h"
#include "advisor/command/command.h"
#include "advisor/json_build.h"
#include "advisor/report/rewrite.h"
#include "advisor/source/source.h"
#include "advisor/text.h"

#include <math.h>
#include <stdio.h>

#define EXPLAIN_VERSION 1

/* What is said of one statement; texts on the arena. */
typedef struct Explained {
    App *app;
    const AdvQuery *query;
    int n_creates;
    const AdvCandidate **creates;
    double cost_after;
    const char *plan_today;
    const char *plan_after;
    AdvUnhelped unhelped;
} Explained;

static const char *key_text(AdvArena *arena, const AdvTable *table, const AdvIndexKey *key)
{
    const char *name = key->expr ? key->expr : adv_quote_ident(arena, adv_column(table, key->column)->name);
    return key->desc ? adv_arena_printf(arena, "%s DESC", name) : name;
}

typedef void (*NeedFn)(void *arg, const char *need, const char *columns);

static void say(AdvArena *arena, const AdvTable *table, const AdvRole *roles, int n, const char *need, bool shares, NeedFn fn, void *arg)
{
    AdvText text;
    adv_text_init(&text, arena);
    for (int i = 0; i < n; i++) {
        adv_text_addf(&text, "%s%s", i ? ", " : "", key_text(arena, table, &roles[i].key));
        if (shares && roles[i].selectivity > 0)
            adv_text_addf(&text, " (%.3g %% of the rows)", 100 * roles[i].selectivity);
    }
    if (n > 0)
        fn(arg, need, adv_text_get(&text));
}

/* What the statement wants of its rel-th table, one call of fn for each kind. */
static void each_need(AdvArena *arena, const AdvFacts *facts, int rel, NeedFn fn, void *arg)
{
    const AdvRel *r = &facts->rels[rel];
    AdvRoles roles;
    memset(&roles, 0, sizeof(roles));
    adv_roles_find(&roles, arena, facts, rel);
    say(arena, r->table, roles.eq, roles.n_eq, "equality", true, fn, arg);
    say(arena, r->table, roles.range, roles.n_range, "range", true, fn, arg);
    say(arena, r->table, roles.join, roles.n_join, "join", false, fn, arg);
    say(arena, r->table, roles.or_arms, roles.n_or_arms, "either of", true, fn, arg);
    say(arena, r->table, roles.order, roles.n_order, "order", false, fn, arg);
    say(arena, r->table, roles.group, roles.n_group, "group", false, fn, arg);
    say(arena, r->table, roles.minmax, roles.n_minmax, "min/max", false, fn, arg);
    AdvText read;
    adv_text_init(&read, arena);
    for (int c = 0; c < r->table->n_columns; c++)
        if (r->used && r->used[c] && !r->table->columns[c].dropped)
            adv_text_addf(&read, "%s%s", read.len ? ", " : "", adv_quote_ident(arena, r->table->columns[c].name));
    if (read.len)
        fn(arg, "reads", r->whole_row ? "the whole row" : adv_text_get(&read));
}

static bool leads_with_need(AdvArena *arena, const AdvFacts *facts, int rel, const AdvIndex *index)
{
    AdvRoles roles;
    memset(&roles, 0, sizeof(roles));
    adv_roles_find(&roles, arena, facts, rel);
    const struct { const AdvRole *list; int n; } kinds[] = {{roles.eq, roles.n_eq}, {roles.range, roles.n_range}, {roles.join, roles.n_join},
                                                           {roles.order, roles.n_order}, {roles.group, roles.n_group}, {roles.or_arms, roles.n_or_arms}};
    for (size_t k = 0; k < PW_ARRAY_LEN(kinds); k++)
        for (int i = 0; i < kinds[k].n; i++) {
            const AdvIndexKey *key = &kinds[k].list[i].key;
            bool same = key->expr ? index->keys[0].expr && strcmp(key->expr, index->keys[0].expr) == 0
                                  : !index->keys[0].expr && index->keys[0].column == key->column;
            if (same && index->valid)
                return true;
        }
    return false;
}

static bool in_plan(const AdvQuery *q, const AdvIndex *index)
{
    for (int i = 0; i < q->n_indexes_today; i++)
        if (strcmp(q->indexes_today[i], index->name) == 0)
            return true;
    return false;
}

static void print_need(void *arg, const char *need, const char *columns)
{
    AdvText *text = arg;
    adv_text_addf(text, "    %-10s%s\n", need, columns);
}

static void add_table(AdvText *text, const Explained *e, int rel)
{
    const AdvFacts *facts = e->query->facts;
    const AdvTable *t = facts->rels[rel].table;
    adv_text_addf(text, "%s: %.0f rows, %s\n", adv_table_sql_name(e->app->catalog, t), t->rows,
                  adv_format_bytes(text->arena, fmax(t->pages, t->size_pages) * ADV_BLOCK_SIZE));
    each_need(text->arena, facts, rel, print_need, text);
    for (int i = 0; i < t->n_indexes; i++)
        if (in_plan(e->query, t->indexes[i]) || leads_with_need(text->arena, facts, rel, t->indexes[i]))
            adv_text_addf(text, "    %-10s%s %s%s\n", "index", t->indexes[i]->name, adv_index_columns_text(text->arena, t->indexes[i]),
                          in_plan(e->query, t->indexes[i]) ? ", used today" : "");
}

static void add_plan(AdvText *text, const char *title, double cost, const char *plan)
{
    adv_text_addf(text, "%s (cost %.1f)\n", title, cost);
    for (const char *p = plan; p && *p;) {
        size_t n = strcspn(p, "\n");
        adv_text_addf(text, "    %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
    adv_text_add(text, "\n");
}

/* What the model would do, and how to see the server's own plan. */
static const char *modelled_plan(const Explained *e)
{
    const AdvReport *r = &e->app->report;
    const char *plan = "";
    for (int i = 0; i < r->n_findings; i++)
        if (r->findings[i].create && r->findings[i].n_evidence > 0)
            plan = r->findings[i].evidence[0].plan_after;
    return adv_arena_printf(e->app->arena, "%s\n(by the advisor's own model; the server's plan is shown %s)", plan,
                            e->app->catalog->offline          ? "with --dsn instead of a file, where the extension hypopg is there"
                            : !e->app->catalog->has_hypopg    ? "when the extension is there: CREATE EXTENSION hypopg"
                            : e->app->options->no_hypopg      ? "without --no-hypopg"
                                                              : "when HypoPG knows this kind of index");
}

static const char *as_text(const Explained *e)
{
    AdvText text;
    adv_text_init(&text, e->app->arena);
    const AdvReport *r = &e->app->report;
    const AdvFacts *facts = e->query->facts;
    adv_text_addf(&text, "%s\n\n", adv_one_line(text.arena, e->query->text, 400));
    for (int i = 0; i < facts->n_rels; i++)
        if (facts->rels[i].kind == ADV_REL_TABLE && facts->rels[i].table)
            add_table(&text, e, i);
    adv_text_add(&text, "\n");
    if (e->query->bound && strcmp(e->query->bound, e->query->text) != 0)
        adv_text_addf(&text, "planned as: %s\n\n", adv_one_line(text.arena, e->query->bound, 400));
    add_plan(&text, "Today", e->query->cost_today, e->plan_today);
    if (e->n_creates) {
        add_plan(&text, "With the advice", e->cost_after, e->plan_after ? e->plan_after : modelled_plan(e));
        for (int i = 0; i < r->n_findings; i++)
            if (r->findings[i].create)
                adv_text_addf(&text, "%s\n    %s\n", r->findings[i].ddl, r->findings[i].reason);
    } else {
        adv_text_add(&text, "No new index makes it notably cheaper.\n");
    }
    if (e->unhelped.why)
        adv_text_addf(&text, "%s\n", e->unhelped.why);
    if (e->unhelped.rewrite)
        adv_text_addf(&text, "better: %s\n", e->unhelped.rewrite);
    for (int i = 0; i < r->health.n; i++)
        if (r->health.items[i].table->referenced)
            adv_text_addf(&text, "%s %s: %s\n", adv_health_kind_title(r->health.items[i].kind), r->health.items[i].table->name,
                          r->health.items[i].reason);
    for (int i = 0; i < r->n_notes; i++)
        adv_text_addf(&text, "note: %s\n", r->notes[i]);
    return adv_text_get(&text);
}

static void json_need(void *arg, const char *need, const char *columns)
{
    json_object_set_new(arg, need, adv_json_text_or_null(columns));
}

static json_t *table_json(const Explained *e, int rel)
{
    const AdvFacts *facts = e->query->facts;
    const AdvTable *t = facts->rels[rel].table;
    json_t *o = json_object(), *needs = json_object(), *indexes = json_array();
    json_object_set_new(o, "schema", adv_json_text_or_null(t->schema));
    json_object_set_new(o, "table", adv_json_text_or_null(t->name));
    json_object_set_new(o, "rows", json_real(t->rows));
    each_need(e->app->arena, facts, rel, json_need, needs);
    json_object_set_new(o, "needs", needs);
    for (int i = 0; i < t->n_indexes; i++) {
        if (!in_plan(e->query, t->indexes[i]) && !leads_with_need(e->app->arena, facts, rel, t->indexes[i]))
            continue;
        json_t *index = json_object();
        json_object_set_new(index, "index", adv_json_text_or_null(t->indexes[i]->name));
        json_object_set_new(index, "columns", adv_json_text_or_null(adv_index_columns_text(e->app->arena, t->indexes[i])));
        json_object_set_new(index, "used_today", json_boolean(in_plan(e->query, t->indexes[i])));
        json_array_append_new(indexes, index);
    }
    json_object_set_new(o, "indexes", indexes);
    return o;
}

static const char *as_json(const Explained *e)
{
    const AdvReport *r = &e->app->report;
    const AdvFacts *facts = e->query->facts;
    json_t *root = json_object(), *tables = json_array(), *creates = json_array();
    for (int i = 0; i < facts->n_rels; i++)
        if (facts->rels[i].kind == ADV_REL_TABLE && facts->rels[i].table)
            json_array_append_new(tables, table_json(e, i));
    for (int i = 0; i < r->n_findings; i++)
        if (r->findings[i].create)
            json_array_append_new(creates, adv_json_text_or_null(r->findings[i].ddl));
    json_object_set_new(root, "version", json_integer(EXPLAIN_VERSION));
    json_object_set_new(root, "query", adv_json_text_or_null(e->query->text));
    json_object_set_new(root, "planned_as", adv_json_text_or_null(e->query->bound));
    json_object_set_new(root, "tables", tables);
    json_object_set_new(root, "cost_today", json_real(e->query->cost_today));
    json_object_set_new(root, "cost_with_advice", json_real(e->cost_after));
    json_object_set_new(root, "plan_today", adv_json_text_or_null(e->plan_today));
    json_object_set_new(root, "plan_with_advice", adv_json_text_or_null(e->plan_after));
    json_object_set_new(root, "create", creates);
    json_object_set_new(root, "why_not", adv_json_text_or_null(e->unhelped.why));
    json_object_set_new(root, "rewrite", adv_json_text_or_null(e->unhelped.rewrite));
    return adv_json_print(e->app->arena, root, 2);
}

/* The advice weighs foreign key checks too; the statement itself is the first that is none. */
static const AdvQuery *the_query(const AdvWorkload *w)
{
    for (int i = 0; i < w->n_queries; i++)
        if (!w->queries[i]->foreign_key_check)
            return w->queries[i];
    return NULL;
}

static int explain(App *app)
{
    Explained e = {.app = app, .query = the_query(app->workload)};
    if (!e.query)
        return adv_app_fail(ADV_EXIT_INPUT, "that is no SELECT, INSERT, UPDATE or DELETE");
    if (e.query->why_not)
        return adv_app_fail(ADV_EXIT_INPUT, e.query->why_not);
    AdvReport *r = &app->report;
    e.creates = ADV_NEW_ARRAY(app->arena, const AdvCandidate *, r->n_findings + 1);
    e.cost_after = e.query->cost_today;
    for (int i = 0; i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        if (f->create)
            e.creates[e.n_creates++] = f->create;
        for (int k = 0; k < f->n_evidence; k++)
            if (f->evidence[k].query == e.query)
                e.cost_after = f->evidence[k].after;
    }
    if (app->db)
        e.plan_today = app->hypopg ? adv_hypopg_plan_text(app->hypopg, app->arena, e.query, NULL, 0) : adv_plan_text(app->db, app->arena, e.query);
    if (e.n_creates && app->hypopg)
        e.plan_after = adv_hypopg_plan_text(app->hypopg, app->arena, e.query, e.creates, e.n_creates);
    if (e.cost_after > 0.9 * e.query->cost_today)
        e.unhelped = adv_unhelped_find(r, e.query);
    if (fputs(app->options->format == ADV_FORMAT_JSON ? as_json(&e) : as_text(&e), stdout) == EOF || fflush(stdout) == EOF)
        return adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the answer");
    return ADV_EXIT_OK;
}

int adv_command_explain(const AdvOptions *options, const char *statement)
{
    App app;
    adv_app_open(&app, options);
    adv_source_sql_text(app.workload, "statement", statement);
    int code = ADV_EXIT_OK;
    if (app.workload->n_queries != 1)
        code = adv_app_fail(ADV_EXIT_INPUT, app.workload->n_queries ? "give one statement" : "that is no statement");
    if (!code)
        code = adv_app_work(&app);
    if (!code)
        code = explain(&app);
    adv_app_close(&app);
    return code;
}
