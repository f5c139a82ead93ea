/* SPDX-License-Identifier: ISC */
#include "advisor/report/reason.h"

#include <math.h>

#include "advisor/candidate/generate.h"
#include "advisor/catalog/stats.h"
#include "advisor/report/worth.h"
#include "advisor/text.h"

static const char *key_name(const AdvReport *r, const AdvIndex *index, int k)
{
    const AdvIndexKey *key = &index->keys[k];
    return key->column ? adv_quote_ident(r->arena, adv_column(index->table, key->column)->name) : key->expr;
}

/* What a statement does with a key of the index. */
typedef struct KeyUse {
    const char *role;
    bool point;   /* equal to one value: what follows is in order */
    bool scattered; /* equal to NULL: what follows is found, but not in order to the server */
    bool bounds;  /* a condition on it */
    bool ordered; /* ORDER BY, GROUP BY, min or max names it */
} KeyUse;

static void add_condition(KeyUse *use, const AdvPred *p)
{
    switch (p->kind) {
    case ADV_PRED_EQ:
    case ADV_PRED_TRUE:
    case ADV_PRED_FALSE:
        use->point = !p->or_group;
        use->role = "finds the rows by equality on";
        break;
    case ADV_PRED_IS_NULL:
        use->point = !p->or_group;
        use->scattered = true;
        use->role = "finds the rows by equality on";
        break;
    case ADV_PRED_IN:
        use->role = "finds the rows by equality on";
        break;
    case ADV_PRED_RANGE:
        use->role = "reads only the wanted range of";
        break;
    case ADV_PRED_PREFIX:
        use->role = "finds the LIKE prefix in";
        break;
    case ADV_PRED_CONTAINS:
        use->role = p->gist ? "finds what overlaps or lies in the wanted part of" : "finds the rows by what is inside of";
        break;
    case ADV_PRED_INFIX:
        use->role = "finds the pattern anywhere in";
        break;
    case ADV_PRED_NOT_NULL:
    case ADV_PRED_NE:
    case ADV_PRED_OPAQUE:
    case ADV_PRED_COUNT:
        return;
    }
    use->bounds = true;
}

static bool is_sorted_by(const AdvSort *sorts, int n, int rel, const AdvIndexKey *key)
{
    for (int i = 0; i < n; i++)
        if (sorts[i].rel == rel && (key->expr ? sorts[i].expr && strcmp(sorts[i].expr, key->expr) == 0 : sorts[i].column == key->column && !sorts[i].expr))
            return true;
    return false;
}

static void add_order(KeyUse *use, const AdvFacts *facts, int rel, const AdvIndexKey *key)
{
    for (int b = 0; b < facts->n_blocks && !use->ordered; b++) {
        const AdvBlock *block = &facts->blocks[b];
        const char *role = is_sorted_by(block->order, block->n_order, rel, key)     ? "delivers the order of"
                           : is_sorted_by(block->group, block->n_group, rel, key)   ? "delivers the groups of"
                           : is_sorted_by(block->minmax, block->n_minmax, rel, key) ? "ends at the least or greatest"
                                                                                    : NULL;
        use->ordered = role != NULL;
        if (!use->role)
            use->role = role;
    }
}

/* The strongest role counts: equality, then other conditions, then joins, then orders. */
static KeyUse key_use(const AdvFacts *facts, const AdvIndex *index, int k)
{
    const AdvIndexKey *key = &index->keys[k];
    KeyUse use = {0};
    for (int r = 0; r < facts->n_rels; r++) {
        if (facts->rels[r].table != index->table)
            continue;
        for (int i = 0; i < facts->n_preds && !use.point; i++) {
            const AdvPred *p = &facts->preds[i];
            bool same = key->expr ? p->expr && strcmp(p->expr, key->expr) == 0 : !p->expr && p->column == key->column;
            if (p->rel == r && same)
                add_condition(&use, p);
        }
        for (int i = 0; i < facts->n_joins && !use.role && !key->expr; i++)
            if ((facts->joins[i].rel_a == r && facts->joins[i].column_a == key->column) ||
                (facts->joins[i].rel_b == r && facts->joins[i].column_b == key->column)) {
                use.role = "looks up the joined rows by";
                use.point = true;
            }
        add_order(&use, facts, r, key);
    }
    return use;
}

/* What follows a range is found by reading the range; and an order is one only behind single values or what it begins with. */
static const char *role_in_place(const KeyUse *use, bool after_points, bool in_order)
{
    if (!use->role)
        return "also holds";
    if (!after_points && (use->bounds || use->point))
        return "sifts them inside the index by";
    if (!in_order && !use->bounds && !use->point)
        return "also holds";
    return use->role;
}

static bool is_read_whole(const AdvQuery *query, const AdvTable *table)
{
    for (int i = 0; i < query->n_seq_scans_today; i++)
        if (strcmp(query->seq_scans_today[i], table->name) == 0)
            return true;
    return false;
}

const char *adv_reason_create(const AdvReport *r, const AdvFinding *f)
{
    const AdvIndex *index = &f->create->def;
    AdvText text;
    adv_text_init(&text, r->arena);
    if (f->n_evidence == 0)
        return "It lowers the cost of the statements together with the other indexes.";
    const AdvQuery *top = f->evidence[0].query;
    if (top->foreign_key_check)
        adv_text_addf(&text, "Each row removed from the referenced table makes the server look for its rows in %s, ",
                      f->table);
    else if (is_read_whole(top, index->table))
        adv_text_addf(&text, "Today the server reads all %.0f rows of %s; this index ", index->table->rows, f->table);
    else
        adv_text_addf(&text, "Compared with today's plan this index ");
    if (top->foreign_key_check)
        adv_text_add(&text, "and this index ");
    const char *last = NULL;
    bool after_points = true, in_order = true;
    for (int k = 0; k < index->n_keys; k++) {
        KeyUse use = key_use(top->facts, index, k);
        const char *role = role_in_place(&use, after_points, in_order);
        after_points = after_points && use.point;
        in_order = in_order && ((use.point && !use.scattered) || use.ordered);
        if (last && strcmp(role, last) == 0)
            adv_text_addf(&text, " and %s", key_name(r, index, k));
        else
            adv_text_addf(&text, "%s%s %s", last ? ", " : "", role, key_name(r, index, k));
        last = role;
    }
    if (index->n_include && adv_holds_all_read(r->arena, index, top->facts))
        adv_text_add(&text, ", and includes the other columns read, so that the table itself need not be visited");
    else if (index->n_include)
        adv_text_add(&text, ", and includes columns that others of its statements read");
    if (index->predicate)
        adv_text_addf(&text, "; it holds only the %.1f %% of the rows where %s", 100 * f->create->fraction,
                      index->predicate);
    adv_text_add(&text, ".");
    return adv_text_get(&text);
}

const char *adv_caveat_create(const AdvReport *r, const AdvFinding *f)
{
    const AdvIndex *index = &f->create->def;
    AdvText text;
    adv_text_init(&text, r->arena);
    if (strcmp(index->method, "gin") == 0)
        adv_text_add(&text, "its cost comes from the advisor's own model, since HypoPG knows no GIN; words or keys that most rows have gain nothing; ");
    if (strcmp(index->method, "gist") == 0)
        adv_text_add(&text, "its cost comes from the advisor's own model, since HypoPG knows no GiST; values that overlap most others gain nothing; ");
    if (strcmp(index->method, "brin") == 0)
        adv_text_addf(&text, "rows that are inserted out of the order of %s make it useless; ", key_name(r, index, 0));
    if (strcmp(index->method, "hash") == 0)
        adv_text_add(&text, "it serves equality only, no order and no range; ");
    if (index->predicate)
        adv_text_addf(&text, "statements that do not contain the condition %s cannot use it; ", index->predicate);
    if (index->n_include) {
        double visible = index->table->pages > 0 ? index->table->all_visible / index->table->pages : 1;
        if (visible < 0.5)
            adv_text_addf(&text,
                          "the INCLUDE columns pay only after a VACUUM (now %.0f %% of the pages are marked all-visible); ",
                          100 * visible);
        else
            adv_text_add(&text, "many updates without VACUUM take away the gain of the INCLUDE columns; ");
    }
    if (f->hot_lost > 0)
        adv_text_addf(&text, "%.0f updated rows of this workload stop being heap-only updates; ", f->hot_lost);
    bool values_unknown = false;
    for (int i = 0; i < f->n_evidence; i++)
        values_unknown = values_unknown || f->evidence[i].query->facts->n_params > 0;
    if (values_unknown)
        adv_text_add(&text, "the values of the parameters were drawn from the statistics: very common values gain less; ");
    for (int i = 0; i < f->n_evidence; i++)
        if (f->evidence[i].query->foreign_key_check) {
            adv_text_add(&text, "rows of the referenced table may rarely be removed in other times; ");
            break;
        }
    if (text.len == 0)
        adv_text_add(&text, "the workload given is not typical of this database; ");
    /* The list ends without its last separator. */
    return adv_arena_strndup(r->arena, adv_text_get(&text), text.len - 2);
}

/* " 3 days ago" */
static const char *usage_age(const AdvReport *r)
{
    if (r->catalog->stats_age_days < 0)
        return "";
    return adv_arena_printf(r->arena, " %s%s ago", r->catalog->stats_age_is_least ? "at least " : "",
                            adv_duration(r->arena, r->catalog->stats_age_days));
}

const char *adv_reason_drop(const AdvReport *r, const AdvDrop *drop)
{
    const AdvIndex *index = drop->index;
    const char *columns = adv_index_columns_text(r->arena, index);
    switch (drop->kind) {
    case ADV_DROP_DUPLICATE:
        return adv_arena_printf(r->arena, "It is the same index as %s: %s. %s stays because it %s.", drop->by->name,
                                columns, drop->by->name, adv_index_stays_because(drop->by, index));
    case ADV_DROP_PREFIX:
        return adv_arena_printf(r->arena, "Every search in its columns %s is served by %s, which begins with them: %s.",
                                columns, drop->by->name, adv_index_columns_text(r->arena, drop->by));
    case ADV_DROP_REPLACED:
        return adv_arena_printf(r->arena, "The new index %s begins with its columns %s and does its work as well.",
                                adv_index_columns_text(r->arena, &drop->by_new->def), columns);
    case ADV_DROP_UNUSED:
        return adv_arena_printf(r->arena, "No scan has used it since the statistics began%s%s%s, and no statement of this "
                                "workload needs it.", usage_age(r),
                                r->catalog->n_replicas ? adv_arena_printf(r->arena, ", here and on %d other server%s",
                                                                          r->catalog->n_replicas,
                                                                          r->catalog->n_replicas == 1 ? "" : "s")
                                                       : "", r->catalog->is_standby ? " (this is a standby)" : "");
    case ADV_DROP_INVALID:
        return "It is invalid, the remains of a CREATE INDEX CONCURRENTLY that failed: never read, but written to.";
    case ADV_DROP_COUNT:
        break;
    }
    return "";
}

static bool has_expression(const AdvIndex *index)
{
    for (int i = 0; i < index->n_keys; i++)
        if (index->keys[i].expr)
            return true;
    return false;
}

const char *adv_caveat_drop(const AdvReport *r, const AdvDrop *drop)
{
    switch (drop->kind) {
    case ADV_DROP_DUPLICATE:
    case ADV_DROP_INVALID:
        return "a statement or a tool names this index (pg_hint_plan, CLUSTER, an ON CONFLICT ON CONSTRAINT)";
    case ADV_DROP_PREFIX:
        if (drop->by->bytes > 3 * drop->index->bytes && drop->index->bytes > 0)
            return adv_arena_printf(r->arena, "many long range scans run on it: %s is %.1f times as large",
                                    drop->by->name, drop->by->bytes / drop->index->bytes);
        return "a statement or a tool names this index";
    case ADV_DROP_REPLACED:
        return "the new index was not built first";
    case ADV_DROP_UNUSED:
        return adv_arena_printf(
            r->arena, "it is used on %s, or by work that runs rarely (month end, restore checks)%s",
            r->catalog->n_replicas ? "a server that was not asked" : "another server (--replica-dsn counts those in)",
            has_expression(drop->index) ? "; the planner also loses the statistics of its expression" : "");
    case ADV_DROP_COUNT:
        break;
    }
    return "";
}

const char *adv_undo_drop(AdvArena *arena, const AdvIndex *index)
{
    static const char *const heads[] = {"CREATE INDEX ", "CREATE UNIQUE INDEX "};
    for (size_t i = 0; index->definition && i < PW_ARRAY_LEN(heads); i++)
        if (strncmp(index->definition, heads[i], strlen(heads[i])) == 0)
            return adv_arena_printf(arena, "%sCONCURRENTLY %s;", heads[i], index->definition + strlen(heads[i]));
    return index->definition ? adv_arena_printf(arena, "%s;", index->definition) : "";
}

const char *adv_reason_unhelped(const AdvReport *r, const AdvQuery *query)
{
    const AdvFacts *facts = query->facts;
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        if (p->kind != ADV_PRED_OPAQUE && p->kind != ADV_PRED_INFIX)
            continue;
        const AdvTable *table = facts->rels[p->rel].table;
        if (adv_table_is_small(table) || !p->why)
            continue;
        return adv_arena_printf(r->arena, "%s.%s: %s keeps b-tree indexes from being used", table->name,
                                adv_column(table, p->column)->name, p->why);
    }
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        const AdvTable *table = facts->rels[p->rel].table;
        bool first = true;
        double share = p->kind == ADV_PRED_RANGE ? adv_range_selectivity(facts, p, &first) : adv_pred_selectivity(table, p);
        /* Of an expression, or of values that the text does not tell, the share is a guess. */
        bool guessed = p->expr || (p->kind == ADV_PRED_RANGE && ((p->has_lo && p->lo.kind != ADV_VALUE_LITERAL) || (p->has_hi && p->hi.kind != ADV_VALUE_LITERAL)));
        if (adv_table_is_small(table) || share < 0.2 || p->or_group || guessed)
            continue;
        if (p->kind == ADV_PRED_EQ || p->kind == ADV_PRED_TRUE || p->kind == ADV_PRED_FALSE || p->kind == ADV_PRED_RANGE)
            return adv_arena_printf(r->arena,
                                    "the condition on %s.%s leaves about %.0f %% of the rows: reading the whole table is "
                                    "cheaper than an index",
                                    table->name, adv_column(table, p->column)->name, 100 * share);
        if (p->kind == ADV_PRED_NE)
            return adv_arena_printf(r->arena, "the inequality on %s.%s leaves most of the rows", table->name,
                                    adv_column(table, p->column)->name);
    }
    /* The first rows by an index that is there: nothing to complain of. */
    if (facts->n_blocks > 0 && facts->blocks[0].has_limit && query->n_seq_scans_today == 0)
        return NULL;
    bool condition = facts->n_joins > 0;
    for (int i = 0; i < facts->n_preds; i++)
        condition = condition || facts->preds[i].kind != ADV_PRED_NOT_NULL;
    bool large = false; /* the server's own catalogs are no tables here */
    for (int i = 0; i < facts->n_rels; i++)
        large = large || (facts->rels[i].kind == ADV_REL_TABLE && !adv_table_is_small(facts->rels[i].table));
    if (!condition && large)
        return "it has no condition: all rows are read";
    return NULL;
}
