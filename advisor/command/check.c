/* SPDX-License-Identifier: ISC */
/* check.c - advisor check: the gate for CI. Statements that lack an index, and what a migration does wrong to indexes and foreign keys. */
#include "advisor/app_priv.h"
#include "advisor/candidate/generate.h"
#include "advisor/command/command.h"
#include "advisor/command/problems.h"
#include "advisor/source/file.h"
#include "advisor/sql/migration.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Check {
    App *app;
    AdvProblems problems;
    AdvMigration *migrations; /* one for each file */
} Check;

static void problem(Check *c, const char *rule, const char *where, int line, const char *message, const char *hint)
{
    adv_problem_add(&c->problems, rule, where, line, message, hint);
}

/* "orders.sql:12" -> file and line. */
static const char *split_origin(AdvArena *arena, const char *origin, int *ret_line)
{
    const char *colon = strrchr(origin, ':');
    *ret_line = colon ? (int)strtol(colon + 1, NULL, 10) : 0;
    if (!colon || *ret_line <= 0) {
        *ret_line = 0;
        return origin;
    }
    return adv_arena_strndup(arena, origin, (size_t)(colon - origin));
}

/* An index that the statements lack and a script brings is no complaint: one begins with the keys of the other. */
static bool brought_by_migration(const AdvIndex *def)
{
    for (int i = 0; i < def->table->n_indexes; i++) {
        const AdvIndex *index = def->table->indexes[i];
        int n = index->n_keys < def->n_keys ? index->n_keys : def->n_keys, same = 0;
        while (same < n && index->keys[same].column && index->keys[same].column == def->keys[same].column)
            same++;
        if (index->oid >= ADV_MIGRATION_OIDS && !index->predicate && same == n)
            return true;
    }
    return false;
}

static void check_statements(Check *c)
{
    const AdvReport *r = &c->app->report;
    AdvArena *arena = c->app->arena;
    for (int i = 0; i < r->n_findings; i++) {
        const AdvFinding *f = &r->findings[i];
        int line = 0;
        if (f->create && brought_by_migration(&f->create->def))
            continue;
        if (f->create) {
            const char *where = f->n_evidence ? split_origin(arena, f->evidence[0].query->origin, &line) : "";
            const char *costs = f->n_evidence ? adv_arena_printf(arena, ": its cost falls from %.0f to %.0f", f->evidence[0].before, f->evidence[0].after) : "";
            problem(c, "missing-index", where, line,
                    adv_arena_printf(arena, "the statement lacks an index on %s %s%s", f->table, adv_index_columns_text(arena, &f->create->def), costs),
                    f->ddl);
        } else if (f->drop->kind == ADV_DROP_DUPLICATE || f->drop->kind == ADV_DROP_PREFIX) {
            problem(c, "redundant-index-exists", "", 0, adv_arena_printf(arena, "the index %s on %s: %s", f->name, f->table, f->reason), f->ddl);
        }
    }
    for (int i = 0; i < r->n_unhelped; i++) {
        int line;
        const char *where = split_origin(arena, r->unhelped[i].query->origin, &line);
        problem(c, "no-index-helps", where, line, r->unhelped[i].why, r->unhelped[i].rewrite);
    }
    for (int i = 0; i < r->n_skipped; i++) {
        int line;
        const char *where = split_origin(arena, r->skipped[i]->origin, &line);
        problem(c, "not-checked", where, line, r->skipped[i]->why_not, NULL);
    }
    for (int i = 0; i < r->health.n; i++)
        if (r->health.items[i].kind == ADV_HEALTH_FK_WITHOUT_INDEX)
            problem(c, "foreign-key-unindexed-exists", "", 0, r->health.items[i].reason, adv_script_text(arena, &r->health.items[i].script));
}

static bool used_by_statements(const Check *c, const AdvIndex *index, const AdvQuery **ret_query)
{
    const AdvWorkload *w = c->app->workload;
    for (int q = 0; q < w->n_queries; q++)
        for (int i = 0; i < w->queries[q]->n_indexes_today; i++)
            if (strcmp(w->queries[q]->indexes_today[i], index->name) == 0) {
                *ret_query = w->queries[q];
                return true;
            }
    return false;
}

/* Another index of the table, of those that are there when the script is through, does all its work. */
static const AdvIndex *served_by(const AdvIndex *index)
{
    for (int i = 0; i < index->table->n_indexes; i++) {
        const AdvIndex *other = index->table->indexes[i];
        if (other != index && other->valid && (adv_index_same(other, index) || adv_index_serves(other, index)))
            return other;
    }
    return NULL;
}

static bool fk_has_index(const AdvForeignKey *fk)
{
    for (int i = 0; i < fk->child->n_indexes; i++)
        if (fk->child->indexes[i]->valid && adv_index_begins_with_fk(fk->child->indexes[i], fk))
            return true;
    return false;
}

static void check_create(Check *c, const char *where, const AdvChange *change)
{
    AdvArena *arena = c->app->arena;
    const AdvIndex *index = change->index;
    if (!index) {
        problem(c, "not-checked", where, change->line, adv_arena_printf(arena, "the table of index %s is not in the database", change->name), NULL);
        return;
    }
    const AdvIndex *other = index->predicate || index->unique ? NULL : served_by(index);
    if (other)
        problem(c, "redundant-index", where, change->line,
                adv_arena_printf(arena, "the index %s %s is not needed: %s %s does its work", *change->name ? change->name : "(no name)",
                                 adv_index_columns_text(arena, index), *other->name ? other->name : "another of this script",
                                 adv_index_columns_text(arena, other)),
                "leave it out");
    if (change->existed && !change->concurrently && index->table->kind != 'p' && !adv_table_is_small(index->table))
        problem(c, "blocking-create", where, change->line,
                adv_arena_printf(arena, "CREATE INDEX without CONCURRENTLY stops all writes to %s (%.0f rows) until it is built", index->table->name,
                                 index->table->rows),
                "CREATE INDEX CONCURRENTLY, outside of a transaction");
}

static void check_drop(Check *c, const char *where, const AdvChange *change)
{
    AdvArena *arena = c->app->arena;
    const AdvIndex *index = change->index;
    const AdvQuery *query;
    if (!index)
        return; /* IF EXISTS, or made by a file that was not given */
    const AdvIndex *other = served_by(index);
    if (other && !index->unique)
        return;
    if (index->constraint || index->primary || index->replica_identity || index->unique)
        problem(c, "drops-needed-index", where, change->line,
                adv_arena_printf(arena, "the index %s enforces or identifies something: %s", index->name, index->definition ? index->definition : ""), NULL);
    else if (used_by_statements(c, index, &query))
        problem(c, "drops-used-index", where, change->line,
                adv_arena_printf(arena, "the index %s is used by %s: %s", index->name, query->origin, adv_one_line(arena, query->text, 120)),
                "keep it, or create what replaces it first");
    else if (index->scans > 0)
        problem(c, "drops-scanned-index", where, change->line,
                adv_arena_printf(arena, "the index %s was scanned %.0f times since the statistics began", index->name, index->scans),
                "find the statements that use it before it goes");
    for (int i = 0; i < index->table->n_fks; i++)
        if (adv_index_begins_with_fk(index, index->table->fks[i]) && !fk_has_index(index->table->fks[i]))
            problem(c, "foreign-key-unindexed", where, change->line,
                    adv_arena_printf(arena, "without the index %s the foreign key %s has none", index->name, index->table->fks[i]->name), NULL);
}

static void check_foreign_key(Check *c, const char *where, const AdvChange *change)
{
    AdvArena *arena = c->app->arena;
    if (!change->fk) {
        problem(c, "not-checked", where, change->line, "a foreign key to or from a table or column that is not in the database", NULL);
        return;
    }
    if (fk_has_index(change->fk))
        return;
    AdvIndex def = {.table = change->fk->child, .method = "btree", .n_keys = change->fk->n_columns};
    def.keys = ADV_NEW_ARRAY(arena, AdvIndexKey, def.n_keys);
    for (int i = 0; i < def.n_keys; i++)
        def.keys[i].column = change->fk->columns[i];
    problem(c, "foreign-key-unindexed", where, change->line,
            adv_arena_printf(arena, "the foreign key %s on %s %s has no index: each DELETE in %s reads the whole table", change->fk->name,
                             change->fk->child->name, adv_index_columns_text(arena, &def), change->fk->parent->name),
            adv_arena_printf(arena, "%s;", adv_index_create_text(c->app->catalog, &def, NULL, change->existed)));
}

static void check_migration(Check *c, const char *where, const AdvMigration *m)
{
    if (m->n_unparsed)
        problem(c, "not-checked", where, m->first_unparsed, adv_arena_printf(c->app->arena, "%d statements do not parse, the first: %s", m->n_unparsed, m->why),
                NULL);
    for (int i = 0; i < m->n; i++) {
        const AdvChange *change = &m->changes[i];
        switch (change->kind) {
        case ADV_CHANGE_CREATE_INDEX:
            check_create(c, where, change);
            break;
        case ADV_CHANGE_DROP_INDEX:
            check_drop(c, where, change);
            break;
        case ADV_CHANGE_ADD_FOREIGN_KEY:
            check_foreign_key(c, where, change);
            break;
        }
    }
}

/* The report is made before the scripts are read: its costs are those of the database as it is. */
static int read_migrations(Check *c)
{
    const PwStrList *files = &c->app->options->migrations;
    c->migrations = ADV_NEW_ARRAY(c->app->arena, AdvMigration, files->n + 1);
    for (size_t i = 0; i < files->n; i++) {
        const char *why;
        char *text = adv_file_read(c->app->arena, files->items[i], &why);
        if (!text)
            return adv_app_fail(ADV_EXIT_INPUT, why);
        c->migrations[i].file_number = (int)i;
        adv_migration_read(&c->migrations[i], c->app->catalog, text);
        free(text);
    }
    return ADV_EXIT_OK;
}

static int check(Check *c)
{
    int code = read_migrations(c);
    if (code)
        return code;
    check_statements(c);
    for (size_t i = 0; i < c->app->options->migrations.n; i++)
        check_migration(c, c->app->options->migrations.items[i], &c->migrations[i]);
    const char *text = adv_problems_print(&c->problems, c->app->options->format);
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF)
        return adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the answer");
    return adv_problems_worst(&c->problems) >= c->app->options->fail_on ? ADV_EXIT_PROBLEMS : ADV_EXIT_OK;
}

int adv_command_check(const AdvOptions *options)
{
    App app;
    adv_app_open(&app, options);
    Check c = {.app = &app, .problems = {.arena = app.arena}};
    int code = adv_app_work(&app);
    if (!code)
        code = check(&c);
    adv_app_close(&app);
    return code;
}

