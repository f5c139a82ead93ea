/* SPDX-License-Identifier: ISC */
/* correlated.c - columns that are compared together and depend on each other: the planner multiplies their selectivities and expects far
 * too few rows until CREATE STATISTICS tells it better.
 *
 * How far two columns depend on each other is in no statistics of single columns, so a sample of at most SAMPLE_PAGES pages is counted
 * on the server; no value leaves it. */
#include <math.h>
#include <stdlib.h>

#include "advisor/candidate/generate.h"
#include "advisor/health/health.h"
#include "advisor/text.h"

#define SAMPLE_PAGES 400.0
#define SAMPLE_ROWS_MIN 1000.0
#define PAIRS_MAX 12    /* that the server is asked to count */
#define SHARE_MIN 0.01  /* of the workload's cost */
#define FACTOR_MIN 5.0  /* the planner expects so many times too few rows */

typedef struct Pair {
    const AdvTable *table;
    int a, b; /* columns, a < b */
    const AdvQuery *query;
    double load;
} Pair;

typedef struct Pairs {
    AdvArena *arena;
    int n;
    Pair *items;
} Pairs;

static bool has_extended(const AdvTable *t, int a, int b)
{
    for (int i = 0; i < t->n_extended; i++) {
        bool has_a = false, has_b = false;
        for (int k = 0; k < t->extended[i].n; k++) {
            has_a = has_a || t->extended[i].columns[k] == a;
            has_b = has_b || t->extended[i].columns[k] == b;
        }
        if (has_a && has_b)
            return true;
    }
    return false;
}

static bool is_unique_key(const AdvTable *t, int column)
{
    return adv_column(t, column)->n_distinct <= -0.9;
}

static void add_pair(Pairs *pairs, const AdvQuery *q, const AdvTable *t, int a, int b)
{
    if (a > b) {
        int swap = a;
        a = b;
        b = swap;
    }
    double load = q->weight * q->cost_today;
    for (int i = 0; i < pairs->n; i++)
        if (pairs->items[i].table == t && pairs->items[i].a == a && pairs->items[i].b == b) {
            pairs->items[i].load += load;
            return;
        }
    ADV_ROOM(pairs->arena, pairs->items, pairs->n);
    pairs->items[pairs->n++] = (Pair){.table = t, .a = a, .b = b, .query = q, .load = load};
}

/* Those that cost most first. */
static int by_load(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    if (x->load != y->load)
        return x->load > y->load ? -1 : 1;
    if (x->table != y->table)
        return x->table->oid < y->table->oid ? -1 : 1;
    return x->a != y->a ? x->a - y->a : x->b - y->b;
}

static bool is_equality(const AdvPred *p)
{
    return !p->expr && !p->or_group && (p->kind == ADV_PRED_EQ || p->kind == ADV_PRED_IN);
}

static void pairs_of(Pairs *pairs, const AdvQuery *q)
{
    const AdvFacts *facts = q->facts;
    for (int i = 0; i < facts->n_preds; i++)
        for (int k = i + 1; k < facts->n_preds; k++) {
            const AdvPred *x = &facts->preds[i], *y = &facts->preds[k];
            const AdvTable *t = facts->rels[x->rel].table;
            if (x->rel != y->rel || x->column == y->column || !is_equality(x) || !is_equality(y) || !t || adv_table_is_small(t) ||
                (t->kind != 'r' && t->kind != 'p' && t->kind != 'm') || is_unique_key(t, x->column) || is_unique_key(t, y->column) ||
                has_extended(t, x->column, y->column))
                continue;
            add_pair(pairs, q, t, x->column, y->column);
        }
}

/* Rows, distinct a, distinct b, distinct pairs of the sample. */
static bool sample(AdvHealthList *list, const Pair *pair, double *counts)
{
    double pages = pair->table->pages;
    for (int i = 0; pages <= 0 && i < pair->table->n_children; i++)
        pages += pair->table->children[i]->pages;
    double percent = pages > SAMPLE_PAGES ? 100 * SAMPLE_PAGES / pages : 100;
    AdvText sql;
    adv_text_init(&sql, list->arena);
    adv_text_add(&sql, "SELECT count(*), count(DISTINCT a), count(DISTINCT b), count(DISTINCT (a, b)) FROM (SELECT ");
    adv_text_add_ident(&sql, adv_column(pair->table, pair->a)->name);
    adv_text_add(&sql, " AS a, ");
    adv_text_add_ident(&sql, adv_column(pair->table, pair->b)->name);
    adv_text_addf(&sql, " AS b FROM %s TABLESAMPLE SYSTEM (%.6f) REPEATABLE (1)) s WHERE a IS NOT NULL AND b IS NOT NULL",
                  adv_table_sql_name(list->catalog, pair->table), percent);
    AdvRows rows;
    if (adv_db_query(list->db, adv_text_get(&sql), 0, NULL, &rows))
        return false; /* not readable, or no such operator: then nothing can be said */
    for (int i = 0; i < 4; i++)
        counts[i] = strtod(adv_db_cell(&rows, 0, i), NULL);
    adv_db_free_rows(&rows);
    return counts[0] >= SAMPLE_ROWS_MIN;
}

static void check_pair(AdvHealthList *list, const Pair *pair)
{
    double n[4];
    if (!sample(list, pair, n))
        return;
    /* Independent columns fill most of a x b combinations, as far as the sample has rows for them. */
    double combinations = n[1] * n[2], possible = combinations * (1 - exp(-n[0] / combinations));
    double factor = n[3] > 0 ? possible / n[3] : 0;
    if (factor < FACTOR_MIN)
        return;
    const AdvTable *t = pair->table;
    const char *name = adv_table_sql_name(list->catalog, t);
    const char *a = adv_quote_ident(list->arena, adv_column(t, pair->a)->name), *b = adv_quote_ident(list->arena, adv_column(t, pair->b)->name);
    AdvHealth *h = adv_health_add(list, ADV_HEALTH_STATISTICS, t);
    h->query = pair->query;
    h->n_columns = 2;
    h->columns = ADV_NEW_ARRAY(list->arena, int, 2);
    h->columns[0] = pair->a;
    h->columns[1] = pair->b;
    h->reason = adv_arena_printf(list->arena, "%s and %s depend on each other: a sample of %.0f rows has %.0f combinations, %.0f were to be expected of "
                                 "independent columns. For conditions on both the planner expects about %.0f times too few rows.", a, b, n[0], n[3], possible,
                                 factor);
    h->wrong_if = "no plan changes: it matters where a join or a LIMIT follows from the number of rows";
    h->confidence = ADV_CONFIDENCE_MEDIUM;
    const char *plain = adv_arena_printf(list->arena, "%.20s_%.16s_%.16s_stat", t->name, adv_column(t, pair->a)->name, adv_column(t, pair->b)->name);
    const char *stat = adv_quote_ident(list->arena, plain);
    if (strcmp(name, adv_quote_ident(list->arena, t->name)) != 0)
        stat = adv_arena_printf(list->arena, "%s.%s", adv_quote_ident(list->arena, t->schema), stat);
    /* Where one column decides the other, dependencies say all; the planner would prefer a list of common pairs, which is never complete. */
    const char *kinds = n[3] <= 1.05 * fmax(n[1], n[2]) ? "ndistinct, dependencies" : "ndistinct, mcv";
    adv_health_statement(list, &h->script, adv_arena_printf(list->arena, "CREATE STATISTICS IF NOT EXISTS %s (%s) ON %s, %s FROM %s;", stat, kinds,
                                                            a, b, name));
    adv_health_statement(list, &h->script, adv_arena_printf(list->arena, "ANALYZE %s;", name));
    adv_health_statement(list, &h->undo, adv_arena_printf(list->arena, "DROP STATISTICS IF EXISTS %s;", stat));
}

void adv_health_correlated(AdvHealthList *list)
{
    if (!list->db || list->no_sample)
        return;
    Pairs pairs = {.arena = list->arena};
    double load = adv_health_load(list);
    for (int i = 0; i < list->workload->n_queries; i++) {
        const AdvQuery *q = list->workload->queries[i];
        if (q->facts && q->weight > 0 && q->weight * q->cost_today >= SHARE_MIN * load)
            pairs_of(&pairs, q);
    }
    if (pairs.n > 1)
        qsort(pairs.items, (size_t)pairs.n, sizeof(*pairs.items), by_load);
    for (int i = 0; i < pairs.n && i < PAIRS_MAX; i++)
        check_pair(list, &pairs.items[i]);
}
