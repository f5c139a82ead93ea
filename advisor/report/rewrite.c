/* SPDX-License-Identifier: ISC */
#include "advisor/report/rewrite.h"

#include "advisor/candidate/generate.h"
#include "advisor/report/reason.h"
#include "advisor/sql/habits.h"
#include "advisor/text.h"
#include "poolwise/str.h"

#define OFFSET_DEEP 1000.0

static const char *column_of(const AdvReport *r, const AdvFacts *facts, int rel, int column)
{
    const AdvTable *t = facts->rels[rel].table;
    return adv_arena_printf(r->arena, "%s.%s", t->name, adv_column(t, column)->name);
}

static bool is_integer(const AdvColumn *c)
{
    return strcmp(c->base_type, "int2") == 0 || strcmp(c->base_type, "int4") == 0 || strcmp(c->base_type, "int8") == 0;
}

static bool is_fractional(const AdvColumn *c)
{
    return strcmp(c->base_type, "numeric") == 0 || strcmp(c->base_type, "float8") == 0 || strcmp(c->base_type, "float4") == 0;
}

/* An integer column compared with 5.0: the server compares numerics, and casts the column for it. */
static bool find_number_cast(const AdvReport *r, const AdvFacts *facts, AdvUnhelped *u)
{
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        const AdvTable *t = facts->rels[p->rel].table;
        const AdvValue *v = p->lo.kind == ADV_VALUE_LITERAL ? &p->lo : &p->hi;
        if (p->expr || !t || adv_table_is_small(t) || !is_integer(adv_column(t, p->column)) || v->kind != ADV_VALUE_LITERAL ||
            !v->number || !strpbrk(v->text, ".eE"))
            continue;
        const char *name = column_of(r, facts, p->rel, p->column);
        u->why = adv_arena_printf(r->arena, "%s is an integer and is compared with the numeric %s: the server casts the column for each row", name,
                                  v->text);
        u->rewrite = adv_arena_printf(r->arena, "write the value as an integer, or cast it: %s = (%s)::%s", name, v->text,
                                      adv_column(t, p->column)->type);
        return true;
    }
    for (int i = 0; i < facts->n_joins; i++) {
        const AdvJoin *j = &facts->joins[i];
        if (j->rel_a < 0 || j->rel_b < 0 || !facts->rels[j->rel_a].table || !facts->rels[j->rel_b].table)
            continue;
        const AdvColumn *a = adv_column(facts->rels[j->rel_a].table, j->column_a), *b = adv_column(facts->rels[j->rel_b].table, j->column_b);
        if (!(is_integer(a) && is_fractional(b)) && !(is_fractional(a) && is_integer(b)))
            continue;
        const char *x = column_of(r, facts, j->rel_a, j->column_a), *y = column_of(r, facts, j->rel_b, j->column_b);
        u->why = adv_arena_printf(r->arena, "%s (%s) and %s (%s) are joined: the integer is cast for each row, so that no index on it serves", x, a->type,
                                  y, b->type);
        u->rewrite = "give both columns the same type, or cast the side that is not looked up";
        return true;
    }
    return false;
}

static bool find_or_over_tables(const AdvReport *r, const AdvFacts *facts, AdvUnhelped *u)
{
    for (int i = 0; i < facts->n_preds; i++)
        for (int k = i + 1; k < facts->n_preds; k++) {
            const AdvPred *x = &facts->preds[i], *y = &facts->preds[k];
            if (!x->or_group || x->or_group != y->or_group || x->or_arm == y->or_arm || x->rel == y->rel ||
                facts->rels[x->rel].block != facts->rels[y->rel].block)
                continue;
            u->why = adv_arena_printf(r->arena, "an OR over two tables (%s or %s): neither condition can choose rows before the join",
                                      column_of(r, facts, x->rel, x->column), column_of(r, facts, y->rel, y->column));
            u->rewrite = "two SELECTs, one with each condition, put together with UNION: each can use its own index";
            return true;
        }
    return false;
}

/* A list that fits work_mem is hashed, and NOT IN is as good as anything. */
static bool is_hashed(const AdvReport *r, const AdvQuery *q)
{
    AdvRows rows;
    if (!r->health.db || !q->bound || q->generic ||
        adv_db_query(r->health.db, adv_arena_printf(r->arena, "EXPLAIN (FORMAT JSON) %s", q->bound), 0, NULL, &rows))
        return false;
    const char *plan = rows.n_rows ? adv_db_cell(&rows, 0, 0) : NULL;
    bool hashed = plan && strstr(plan, "hashed SubPlan");
    adv_db_free_rows(&rows);
    return hashed;
}

static bool find_habit(const AdvReport *r, const AdvQuery *q, AdvUnhelped *u)
{
    AdvHabits habits = adv_sql_habits(q->text);
    if (habits.not_in_subquery && !is_hashed(r, q)) {
        u->why = "NOT IN (SELECT ...) cannot become a join, because a NULL in the list makes it true for no row, and the list is too long to be hashed in work_mem";
        u->rewrite = "NOT EXISTS (SELECT 1 FROM ... WHERE its column = the outer column): the same where the column has no NULL";
        return true;
    }
    if (habits.order_by_random) {
        u->why = "ORDER BY random() gives every row a number and sorts them all";
        u->rewrite = "TABLESAMPLE SYSTEM_ROWS (extension tsm_system_rows), or rows from a random place on: WHERE id >= a random id ORDER BY id LIMIT n";
        return true;
    }
    if (habits.has_offset && habits.offset >= OFFSET_DEEP) {
        u->why = adv_arena_printf(r->arena, "OFFSET %.0f reads that many rows and throws them away", habits.offset);
        u->rewrite = "go on from the last row seen: WHERE (sort columns) > (its values) ORDER BY sort columns LIMIT n";
        return true;
    }
    return false;
}

/* What stands in the way, as the facts word it, and the form that takes it away: @t stands for table.column, @c for the column. */
typedef struct Form {
    const char *why;
    const char *rewrite;
} Form;

static const Form forms[] = {
    {"the function date() ", "a range of the column itself: @t >= day AND @t < day + 1"},
    {"the function date_trunc() ", "a range of the column itself: @t >= first moment AND @t < first moment of the next"},
    {"the function to_char() ", "a range of the column itself: @t >= first moment AND @t < first moment of the next"},
    {"the function extract() ", "a range of the column itself: @t >= first moment AND @t < first moment of the next"},
    {"the function date_part() ", "a range of the column itself: @t >= first moment AND @t < first moment of the next"},
    {"the function age() ", "a range of the column itself: @t < now() - interval"},
    {"the function coalesce() ", "(@t = value OR @t IS NULL) when the replaced NULL is wanted too, else @t = value"},
    {"the function abs() ", "two ranges: @t >= value OR @t <= -value"},
    {"the function jsonb_path_exists() ", "@t @? 'path' with CREATE INDEX ... USING gin (@c jsonb_path_ops)"},
    {"the function jsonb_path_match() ", "@t @@ 'path' with CREATE INDEX ... USING gin (@c jsonb_path_ops)"},
    {"the function jsonb_exists() ", "@t ? 'key' with CREATE INDEX ... USING gin (@c)"},
    {"the function starts_with() ", "@t LIKE 'prefix%'"},
    {"the function regexp_like() ", "@t ~ 'pattern' with an index of trigrams: CREATE EXTENSION pg_trgm; CREATE INDEX ... USING gin (@c gin_trgm_ops)"},
    {"the function ", "compare @t itself with a value computed once, or index the expression if the function is immutable"},
    {"the cast of the column to date", "a range of the column itself: @t >= day AND @t < day + 1"},
    {"the cast of the column ", "cast the value instead of the column: @t = 'value'"},
    {"arithmetic on the column", "move the arithmetic to the other side: @t > value - 1 instead of @t + 1 > value"},
    {"the pattern of LIKE begins with a wildcard", "an index of trigrams: CREATE EXTENSION pg_trgm; CREATE INDEX ... USING gin (@c gin_trgm_ops)"},
    {"the pattern of LIKE is not a known prefix", "an index of trigrams if it begins with a wildcard: CREATE EXTENSION pg_trgm; CREATE INDEX ... USING gin (@c gin_trgm_ops)"},
    {"IS NOT DISTINCT FROM", "@t = value, or (@t = value OR @t IS NULL) where the value may be NULL"},
    {"ILIKE ", "lower(@t) LIKE lower(pattern) with an index on lower(@c), or trigrams: CREATE EXTENSION pg_trgm; CREATE INDEX ... USING gin (@c gin_trgm_ops)"},
    {"SIMILAR TO ", "an index of trigrams: CREATE EXTENSION pg_trgm; CREATE INDEX ... USING gin (@c gin_trgm_ops)"},
    {"a search inside an array column", "@t @> ARRAY[value] with CREATE INDEX ... USING gin (@c)"},
    {"the operator ", "an index of a class that has the operator (gin, gist), if there is one for the type of @t"},
};

static const char *fill(AdvArena *arena, const char *form, const char *table_column, const char *column)
{
    AdvText text;
    adv_text_init(&text, arena);
    for (const char *p = form; *p; p++) {
        if (*p == '@' && (p[1] == 't' || p[1] == 'c'))
            adv_text_add(&text, *++p == 't' ? table_column : column);
        else
            adv_text_add_n(&text, p, 1);
    }
    return adv_text_get(&text);
}

static const char *form_for(const AdvReport *r, const AdvFacts *facts, const AdvPred *p)
{
    for (size_t i = 0; p->why && i < PW_ARRAY_LEN(forms); i++) {
        if (strncmp(p->why, forms[i].why, strlen(forms[i].why)) != 0)
            continue;
        return fill(r->arena, forms[i].rewrite, column_of(r, facts, p->rel, p->column),
                    adv_column(facts->rels[p->rel].table, p->column)->name);
    }
    return NULL;
}

AdvUnhelped adv_unhelped_find(const AdvReport *r, const AdvQuery *q)
{
    AdvUnhelped u = {.query = q};
    const AdvFacts *facts = q->facts;
    if (find_number_cast(r, q->bound_facts ? q->bound_facts : facts, &u) || find_or_over_tables(r, facts, &u) || find_habit(r, q, &u))
        return u;
    u.why = adv_reason_unhelped(r, q);
    for (int i = 0; u.why && i < facts->n_preds && !u.rewrite; i++) {
        const AdvPred *p = &facts->preds[i];
        if ((p->kind == ADV_PRED_OPAQUE || p->kind == ADV_PRED_INFIX) && !adv_table_is_small(facts->rels[p->rel].table))
            u.rewrite = form_for(r, facts, p);
    }
    return u;
}
