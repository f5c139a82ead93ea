/* SPDX-License-Identifier: ISC */
#include "advisor/workload.h"

#include "advisor/sql/parse.h"
#include "advisor/text.h"

#include <stdlib.h>

#define SAMPLES_PER_GROUP 4

AdvWorkload *adv_workload_create(AdvArena *arena)
{
    AdvWorkload *workload = ADV_NEW(arena, AdvWorkload);
    workload->arena = arena;
    return workload;
}

AdvQuery *adv_workload_append(AdvWorkload *w, const char *text, const char *origin, uint64_t group)
{
    AdvQuery *q = ADV_NEW(w->arena, AdvQuery);
    q->text = adv_arena_strdup(w->arena, text);
    q->origin = adv_arena_strdup(w->arena, origin);
    q->group = group;
    q->rows_per_call = -1;
    q->rows_today = -1;
    ADV_ROOM(w->arena, w->queries, w->n_queries);
    w->queries[w->n_queries++] = q;
    return q;
}

/* Which texts of a shape are kept: those with the smallest keys. */
static uint64_t text_key(const char *text)
{
    uint64_t key = UINT64_C(1469598103934665603); /* FNV-1a */
    for (; *text; text++)
        key = (key ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return key ^ key >> 32;
}

AdvQuery *adv_workload_add(AdvWorkload *w, const char *text, const char *origin, uint64_t group, double calls)
{
    int samples = 0;
    AdvQuery *last = NULL; /* the sample with the largest key */
    for (int i = 0; i < w->n_queries; i++) {
        AdvQuery *q = w->queries[i];
        if (q->group != group)
            continue;
        if (strcmp(q->text, text) == 0) {
            q->calls += calls;
            return q;
        }
        samples++;
        if (!last || text_key(q->text) > text_key(last->text))
            last = q;
    }
    if (samples >= SAMPLES_PER_GROUP) {
        bool better = text_key(text) < text_key(last->text);
        last->other_calls += better ? last->calls : calls;
        if (better) {
            last->text = adv_arena_strdup(w->arena, text);
            last->origin = adv_arena_strdup(w->arena, origin);
            last->calls = calls;
        }
        return last;
    }
    AdvQuery *q = adv_workload_append(w, text, origin, group);
    q->calls = calls;
    return q;
}

static void share_other_calls(AdvWorkload *w)
{
    for (int i = 0; i < w->n_queries; i++) {
        if (w->queries[i]->other_calls <= 0)
            continue;
        double others = 0;
        int samples = 0;
        for (int k = 0; k < w->n_queries; k++)
            if (w->queries[k]->group == w->queries[i]->group) {
                others += w->queries[k]->other_calls;
                samples++;
            }
        for (int k = 0; k < w->n_queries; k++)
            if (w->queries[k]->group == w->queries[i]->group) {
                w->queries[k]->calls += others / samples;
                w->queries[k]->other_calls = 0;
            }
    }
}

static int by_text(const void *a, const void *b)
{
    const AdvQuery *x = *(AdvQuery *const *)a, *y = *(AdvQuery *const *)b;
    int c = strcmp(x->text, y->text);
    return c ? c : strcmp(x->origin, y->origin);
}

void adv_workload_analyse(AdvWorkload *w, AdvCatalog *catalog)
{
    adv_sql_settle_indexes(catalog);
    int kept = 0;
    share_other_calls(w);
    if (w->n_queries > 1)
        qsort(w->queries, (size_t)w->n_queries, sizeof(AdvQuery *), by_text);
    for (int i = 0; i < w->n_queries; i++) {
        AdvQuery *q = w->queries[i];
        const char *why = NULL;
        if (adv_sql_analyse(catalog, w->arena, q->text, &q->facts, &why)) {
            q->facts = NULL;
            q->why_not = adv_arena_printf(w->arena, "it does not parse: %s", why);
            w->unparsed++;
            w->unparsed_calls += q->calls;
            w->unparsed_ms += q->total_ms;
            if (!w->first_unparsed)
                w->first_unparsed = adv_arena_printf(w->arena, "%s: %s", q->origin, why);
            w->queries[kept++] = q; /* left out of the costs, but not out of the report */
            continue;
        }
        if (q->facts->kind == ADV_STMT_OTHER) {
            w->utility++;
            continue;
        }
        /* What tools ask the catalog is nothing to advise on. */
        if (q->facts->n_unknown_tables && strncmp(q->facts->unknown_table, "pg_", 3) == 0 && strncmp(q->facts->unknown_table, "pg_temp", 7) != 0) {
            w->utility++;
            continue;
        }
        if (q->facts->n_unknown_tables)
            q->why_not = adv_arena_printf(w->arena, "the database has no table \"%s\": a temporary one, or of another schema or database", q->facts->unknown_table);
        w->queries[kept++] = q;
    }
    w->n_queries = kept;
}

/* Rows that one call of a DELETE or UPDATE touches: measured if the log tells, else as many as the server expects, one before it is asked. */
static double rows_touched(const AdvQuery *q)
{
    return q->rows_per_call >= 0 ? q->rows_per_call : q->rows_today > 1 ? q->rows_today : 1;
}

static bool touches_key(const AdvFacts *facts, const AdvForeignKey *fk)
{
    if (facts->kind == ADV_STMT_DELETE)
        return true;
    for (int i = 0; facts->written_columns && i < fk->n_columns; i++)
        if (facts->written_columns[fk->parent_columns[i] - 1])
            return true;
    return false;
}

static void add_check(AdvWorkload *w, AdvCatalog *catalog, const AdvForeignKey *fk, const AdvQuery *cause, const char *what)
{
    AdvText sql;
    adv_text_init(&sql, w->arena);
    adv_text_addf(&sql, "SELECT 1 FROM %s x WHERE ", adv_table_sql_name(catalog, fk->child));
    for (int i = 0; i < fk->n_columns; i++) {
        adv_text_add(&sql, i ? " AND x." : "x.");
        adv_text_add_ident(&sql, adv_column(fk->child, fk->columns[i])->name);
        adv_text_addf(&sql, " = $%d", i + 1);
    }
    adv_text_add(&sql, " FOR KEY SHARE OF x");
    const char *origin = adv_arena_printf(w->arena, "check of foreign key %s by %s", fk->name, what);
    uint64_t group = 0x9e3779b97f4a7c15u ^ ((uint64_t)fk->child->oid << 20) ^ (uint64_t)(uintptr_t)fk;
    const char *why;
    AdvQuery *q = adv_workload_add(w, adv_text_get(&sql), origin, group, cause->calls * rows_touched(cause));
    q->foreign_key_check = true;
    q->cause = cause;
    if (!q->facts && adv_sql_analyse(catalog, w->arena, q->text, &q->facts, &why))
        q->why_not = why;
}

void adv_workload_add_fk_checks(AdvWorkload *w, AdvCatalog *catalog)
{
    int n = w->n_queries;
    for (int i = 0; i < n; i++) {
        const AdvQuery *q = w->queries[i];
        if (!q->facts || q->why_not || !q->facts->written ||
            (q->facts->kind != ADV_STMT_DELETE && q->facts->kind != ADV_STMT_UPDATE))
            continue;
        const AdvTable *parent = q->facts->written;
        for (int k = 0; k < parent->n_referrers; k++)
            if (touches_key(q->facts, parent->referrers[k]) && rows_touched(q) > 0)
                add_check(w, catalog, parent->referrers[k], q,
                          q->facts->kind == ADV_STMT_DELETE
                              ? adv_arena_printf(w->arena, "DELETE FROM %s", parent->name)
                              : adv_arena_printf(w->arena, "UPDATE %s", parent->name));
    }
}

void adv_workload_count_fk_checks(AdvWorkload *w)
{
    for (int i = 0; i < w->n_queries; i++)
        if (w->queries[i]->cause)
            w->queries[i]->calls = w->queries[i]->cause->calls * rows_touched(w->queries[i]->cause);
}
