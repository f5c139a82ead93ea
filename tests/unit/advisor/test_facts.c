/* SPDX-License-Identifier: ISC */
/* Facts of many statements, compared with a short notation:
 * conditions "orders.status=", joins "a.x~b.y", then order, group, limit, written and read columns. */
#include "fixture.h"

#include "advisor/text.h"

static const char *const signs[] = {
    [ADV_PRED_EQ] = "=",        [ADV_PRED_IN] = " in",      [ADV_PRED_RANGE] = "<>range", [ADV_PRED_PREFIX] = " prefix",
    [ADV_PRED_IS_NULL] = " null", [ADV_PRED_NOT_NULL] = " notnull", [ADV_PRED_TRUE] = " true", [ADV_PRED_FALSE] = " false",
    [ADV_PRED_NE] = "!=",       [ADV_PRED_INFIX] = " infix", [ADV_PRED_OPAQUE] = " opaque", [ADV_PRED_CONTAINS] = " contains",
};

static void add_column(AdvText *t, const AdvFacts *facts, int rel, int column)
{
    if (rel < 0) {
        adv_text_add(t, "?");
        return;
    }
    adv_text_addf(t, "%s.%s", facts->rels[rel].table->name, adv_column(facts->rels[rel].table, column)->name);
}

static const char *notation(Fixture *f, const AdvFacts *facts)
{
    AdvText t;
    adv_text_init(&t, f->arena);
    for (int i = 0; i < facts->n_preds; i++) {
        const AdvPred *p = &facts->preds[i];
        adv_text_add(&t, t.len ? "; " : "");
        if (p->or_group)
            adv_text_addf(&t, "or%d.%d ", p->or_group, p->or_arm);
        if (p->expr)
            adv_text_add(&t, p->expr);
        else
            add_column(&t, facts, p->rel, p->column);
        adv_text_add(&t, signs[p->kind]);
        if (p->kind == ADV_PRED_EQ && p->lo.kind == ADV_VALUE_LITERAL)
            adv_text_add(&t, p->lo.text);
        if (p->kind == ADV_PRED_RANGE)
            adv_text_addf(&t, "[%s,%s]", p->has_lo ? (p->lo.text ? p->lo.text : "?") : "",
                          p->has_hi ? (p->hi.text ? p->hi.text : "?") : "");
    }
    for (int i = 0; i < facts->n_joins; i++) {
        adv_text_add(&t, t.len ? "; " : "");
        add_column(&t, facts, facts->joins[i].rel_a, facts->joins[i].column_a);
        adv_text_add(&t, "~");
        add_column(&t, facts, facts->joins[i].rel_b, facts->joins[i].column_b);
    }
    for (int b = 0; b < facts->n_blocks; b++) {
        for (int i = 0; i < facts->blocks[b].n_order; i++) {
            adv_text_add(&t, t.len ? "; order " : "order ");
            add_column(&t, facts, facts->blocks[b].order[i].rel, facts->blocks[b].order[i].column);
            adv_text_add(&t, facts->blocks[b].order[i].desc ? " desc" : "");
            adv_text_add(&t, facts->blocks[b].order[i].nulls_first != facts->blocks[b].order[i].desc ? " turned nulls" : "");
        }
        for (int i = 0; i < facts->blocks[b].n_group; i++) {
            adv_text_add(&t, t.len ? "; group " : "group ");
            add_column(&t, facts, facts->blocks[b].group[i].rel, facts->blocks[b].group[i].column);
        }
        if (facts->blocks[b].has_limit)
            adv_text_addf(&t, "; limit %g", facts->blocks[b].limit);
    }
    for (int c = 0; facts->written && facts->written_columns && c < facts->written->n_columns; c++)
        if (facts->written_columns[c])
            adv_text_addf(&t, "; sets %s", facts->written->columns[c].name);
    return adv_text_get(&t);
}

static const struct {
    const char *sql;
    const char *expected;
} cases[] = {
    {"SELECT 1", ""},
    {"SELECT * FROM orders WHERE status = 'x'", "orders.status=x"},
    {"SELECT * FROM orders WHERE 'x' = status", "orders.status=x"},
    {"SELECT * FROM public.orders o WHERE o.id = -5", "orders.id=-5"},
    {"SELECT * FROM orders WHERE id = $1", "orders.id="},
    {"SELECT * FROM orders WHERE 5 < total", "orders.total<>range[5,]"},
    {"SELECT * FROM orders WHERE NOT total < 5", "orders.total<>range[5,]"},
    {"SELECT * FROM orders WHERE total >= 1 AND total < 9", "orders.total<>range[1,]; orders.total<>range[,9]"},
    {"SELECT * FROM orders WHERE total BETWEEN 1 AND 9", "orders.total<>range[1,9]"},
    {"SELECT * FROM orders WHERE created_at > now() - interval '1 day'", "orders.created_at<>range[?,]"},
    {"SELECT * FROM orders WHERE created_at > date '2025-01-01'", "orders.created_at<>range[2025-01-01,]"},
    {"SELECT * FROM orders WHERE id IN (1, 2)", "orders.id in"},
    {"SELECT * FROM orders WHERE id IN (7)", "orders.id=7"},
    {"SELECT * FROM orders WHERE id IN ($1)", "orders.id in"},
    {"SELECT * FROM orders WHERE id NOT IN (1, 2)", "orders.id!="},
    {"SELECT * FROM orders WHERE id = ANY ($1)", "orders.id in"},
    {"SELECT * FROM orders WHERE id = ANY (ARRAY[1, 2])", "orders.id in"},
    {"SELECT * FROM orders WHERE id <> ALL ($1)", ""},
    {"SELECT * FROM orders WHERE status IS NULL AND total IS NOT NULL", "orders.status null; orders.total notnull"},
    {"SELECT * FROM orders WHERE NOT (status IS NULL)", "orders.status notnull"},
    {"SELECT * FROM customers WHERE name LIKE 'Ab%'", "customers.name prefix"},
    {"SELECT * FROM customers WHERE name LIKE '%b'", "customers.name infix"},
    {"SELECT * FROM customers WHERE name ILIKE 'a%'", "customers.name infix"},
    {"SELECT * FROM customers WHERE name NOT LIKE 'a%'", "customers.name!="},
    {"SELECT * FROM customers WHERE lower(email) = 'a'", "lower(email)=a"},
    {"SELECT * FROM customers WHERE pg_catalog.lower(email) = 'a'", "lower(email)=a"},
    {"SELECT * FROM customers WHERE app.lower(email) = 'a'", "customers.email opaque"}, /* may be anything */
    {"SELECT * FROM customers WHERE email::text = 'a'", "customers.email=a"},
    {"SELECT * FROM customers WHERE UPPER(email::text) = UPPER('a')", "upper(email)=A"},
    {"SELECT * FROM customers WHERE upper(name) LIKE upper('%ab1%')", "upper(name) infix"},
    {"SELECT * FROM customers WHERE upper(name) LIKE upper('ab1%')", "upper(name) prefix"},
    {"SELECT * FROM customers WHERE lower(name) = lower('Ärger')", "lower(name)="},
    {"SELECT * FROM customers WHERE lower(name) = lower($1)", "lower(name)="},
    {"SELECT * FROM customers WHERE lower(coalesce(name, '')) = 'a'", "lower(COALESCE(name, ''))=a"},
    {"SELECT * FROM customers WHERE coalesce(name, email) = 'a'", "COALESCE(name, email)=a"},
    {"SELECT * FROM customers WHERE coalesce(name, $1) = 'a'", "customers.name opaque"},
    {"SELECT * FROM customers WHERE name::varchar(3) = 'a'", "customers.name opaque"},
    {"SELECT * FROM orders WHERE date(created_at) = '2025-01-01'", "(created_at::date)=2025-01-01"},
    {"SELECT * FROM orders WHERE date(created_at AT TIME ZONE 'UTC') = '2025-01-01'", "orders.created_at opaque"},
    {"SELECT * FROM orders WHERE date_trunc('day', id) = $1", "orders.id opaque"},
    {"SELECT * FROM customers WHERE upper(name || email) = 'A'", "upper((name || email))=A"},
    {"SELECT * FROM customers WHERE name || id = 'a1'", "customers.name opaque"},
    {"SELECT * FROM customers c JOIN products p ON c.name || p.name = 'a'", "customers.name opaque"},
    {"SELECT * FROM customers WHERE substring(name from 1 for 2) = 'a'", "substring(name, 1, 2)=a"},
    {"SELECT * FROM orders WHERE total + 1 = 5", "orders.total opaque"},
    {"SELECT * FROM orders WHERE date_trunc('day', created_at) = $1", "date_trunc('day', created_at)="},
    {"SELECT * FROM orders WHERE created_at::date = '2025-01-01'", "(created_at::date)=2025-01-01"},
    {"SELECT * FROM orders WHERE id = 1 OR total = 2", "or1.0 orders.id=1; or1.1 orders.total=2"},
    {"SELECT * FROM orders WHERE NOT (id = 1 AND total = 2)", "or1.0 orders.id!=; or1.1 orders.total!="},
    {"SELECT * FROM orders WHERE (id, total) = (1, 2)", "orders.id=1; orders.total=2"},
    {"SELECT * FROM orders WHERE (created_at, id) < ($1, $2)", "orders.created_at<>range[,?]"},
    {"SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id", "orders.customer_id~customers.id"},
    {"SELECT * FROM customers c, orders o WHERE c.id = o.customer_id AND o.total > 5",
     "orders.total<>range[5,]; customers.id~orders.customer_id"},
    {"SELECT * FROM orders JOIN products USING (id)", "orders.id~products.id"},
    {"SELECT * FROM orders a LEFT JOIN orders b ON a.id = b.customer_id", "orders.id~orders.customer_id"},
    {"SELECT * FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 9)",
     "orders.total<>range[9,]; customers.id~orders.customer_id"},
    {"SELECT * FROM customers c WHERE EXISTS (SELECT * FROM orders o WHERE o.customer_id = c.id AND o.status = 'x')",
     "orders.status=x; orders.customer_id~customers.id"},
    {"SELECT * FROM orders WHERE total = (SELECT max(total) FROM orders)", "orders.total="},
    {"WITH o AS (SELECT customer_id AS cid, total FROM orders) SELECT * FROM o WHERE cid = 5", "orders.customer_id=5"},
    {"SELECT * FROM (SELECT id AS x FROM orders) s WHERE s.x = 5", "orders.id=5"},
    {"SELECT * FROM (SELECT id AS x FROM orders LIMIT 3) s WHERE s.x = 5", "; limit 3"},
    {"SELECT id FROM orders UNION ALL SELECT id FROM products WHERE price = 1", "products.price=1"},
    {"SELECT * FROM orders ORDER BY created_at DESC LIMIT 10", "order orders.created_at desc; limit 10"},
    {"SELECT * FROM orders ORDER BY total NULLS FIRST", "order orders.total turned nulls"},
    {"SELECT id, total AS t FROM orders ORDER BY t, 1 DESC", "order orders.total; order orders.id desc"},
    {"SELECT status, count(*) FROM orders GROUP BY 1", "group orders.status"},
    {"SELECT DISTINCT status FROM orders", "group orders.status"},
    {"SELECT count(*) FROM orders GROUP BY customer_id HAVING count(*) > 5", "group orders.customer_id"},
    {"UPDATE orders SET status = $1, total = total + 1 WHERE id = $2", "orders.id=; sets status; sets total"},
    {"UPDATE orders o SET total = 0 FROM customers c WHERE c.id = o.customer_id AND c.email = 'e'",
     "customers.email=e; customers.id~orders.customer_id; sets total"},
    {"DELETE FROM orders WHERE customer_id = 5", "orders.customer_id=5"},
    {"DELETE FROM orders USING customers c WHERE c.id = customer_id", "customers.id~orders.customer_id"},
    {"INSERT INTO orders (id, total) VALUES (1, 2)", ""},
    {"INSERT INTO orders SELECT * FROM orders WHERE id = 3", "orders.id=3"},
    {"SELECT * FROM nowhere WHERE x = 5", ""},
    {"WITH RECURSIVE r AS (SELECT id FROM orders WHERE id = 1 UNION SELECT o.id FROM orders o JOIN r ON r.id = o.customer_id)"
     " SELECT * FROM r", "orders.id=1; orders.customer_id~?"},
};

static void test_notation(void **state)
{
    (void)state;
    Fixture f;
    int wrong = 0;
    fixture_open(&f);
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        const char *got = notation(&f, fixture_facts(&f, cases[i].sql));
        if (strcmp(got, cases[i].expected) != 0) {
            print_error("%s\n  expected %s\n  got      %s\n", cases[i].sql, cases[i].expected, got);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    fixture_close(&f);
}

static int reads(const AdvFacts *facts, int rel)
{
    int n = 0;
    for (int c = 0; c < facts->rels[rel].table->n_columns; c++)
        n += facts->rels[rel].used[c];
    return n;
}

static void test_columns_read(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    assert_int_equal(reads(fixture_facts(&f, "SELECT count(*) FROM orders"), 0), 0);
    assert_int_equal(reads(fixture_facts(&f, "SELECT * FROM orders"), 0), 5);
    assert_int_equal(reads(fixture_facts(&f, "SELECT o FROM orders o"), 0), 5);
    assert_int_equal(reads(fixture_facts(&f, "SELECT id + total FROM orders WHERE status = 'x'"), 0), 3);
    assert_int_equal(reads(fixture_facts(&f, "SELECT CASE WHEN id > 5 THEN coalesce(status, 'a') END FROM orders"), 0), 2);
    const AdvFacts *facts = fixture_facts(&f, "SELECT 1 FROM customers c WHERE EXISTS (SELECT * FROM orders o WHERE o.customer_id = c.id)");
    assert_int_equal(reads(facts, 0), 1);
    assert_int_equal(reads(facts, 1), 1);
    fixture_close(&f);
}

static void test_parameters_know_their_column(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    const AdvFacts *facts = fixture_facts(&f, "SELECT * FROM orders WHERE created_at BETWEEN $1 AND $2 AND status IN ($3, $4) LIMIT $5 OFFSET $6");
    assert_int_equal(facts->n_params, 6);
    for (int i = 0; i < facts->n_params; i++) {
        const AdvParam *p = &facts->params[i];
        if (p->number <= 2)
            assert_true(p->column == 4 && p->pred == ADV_PRED_RANGE && p->upper == (p->number == 2));
        else if (p->number <= 4)
            assert_true(p->column == 3 && p->pred == ADV_PRED_IN);
        else
            assert_true(p->is_limit == (p->number == 5) && p->is_offset == (p->number == 6));
    }
    facts = fixture_facts(&f, "INSERT INTO customers (email, name) VALUES ($1, $2)");
    assert_int_equal(facts->n_params, 2);
    assert_ptr_equal(facts->params[1].table, f.customers);
    assert_int_equal(facts->params[1].column, 3);
    fixture_close(&f);
}

/* IS NULL of what an outer join may not have brought is no condition on the table. */
static void test_rows_without_a_partner(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int nulls;
        bool anti;
    } rows[] = {
        {"SELECT 1 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id IS NULL", 0, true},
        {"SELECT 1 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL", 0, false},
        {"SELECT 1 FROM customers c LEFT JOIN (SELECT * FROM orders WHERE total > 5) o ON o.customer_id = c.id WHERE o.status IS NULL", 0, false},
        {"SELECT 1 FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE o.total IS NULL OR c.id = 5", 0, false},
        {"SELECT 1 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.status IS NULL", 1, false},
        {"SELECT 1 FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.name IS NULL", 1, false},
        {"SELECT 1 FROM customers c LEFT JOIN (SELECT * FROM orders WHERE status IS NULL) o ON o.customer_id = c.id", 1, false},
    };
    Fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        const AdvFacts *facts = fixture_facts(&f, rows[i].text);
        int nulls = 0;
        bool anti = false;
        for (int p = 0; p < facts->n_preds; p++)
            nulls += facts->preds[p].kind == ADV_PRED_IS_NULL;
        for (int r = 0; r < facts->n_rels; r++)
            anti = anti || facts->rels[r].anti;
        if (nulls != rows[i].nulls || anti != rows[i].anti)
            fail_msg("%s: %d, %d", rows[i].text, nulls, anti);
    }
    fixture_close(&f);
}

/* As the server words what an index has, when its types are in a schema of their own. */
static void test_casts_of_what_is_there(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    assert_string_equal(adv_predicate_plain(arena, "(status = 'review'::content.doc_status)"), "status = 'review'");
    assert_string_equal(adv_predicate_plain(arena, "((state)::\"Odd One\".\"T\" = 'x'::text)"), "state = 'x'");
    assert_string_equal(adv_predicate_plain(arena, "(tags = '{a}'::text[])"), "tags = '{a}'");
    assert_string_equal(adv_expression_plain(arena, "((doc ->> 'k'::text))::content.kind"), "((doc ->> 'k')::kind)");
    assert_string_equal(adv_predicate_plain(arena, "(a = 'x'::)"), "a = 'x'::");
    adv_arena_destroy(arena);
}

static void test_refuses_what_does_not_parse(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvFacts *facts;
    const char *why = NULL;
    assert_int_equal(adv_sql_analyse(f.catalog, f.arena, "SELEC 1", &facts, &why), PW_ERR_SYNTAX);
    assert_non_null(strstr(why, "SELEC"));
    assert_int_equal(adv_sql_analyse(f.catalog, f.arena, "SELECT 1; SELECT 2", &facts, &why), PW_ERR_SYNTAX);
    assert_int_equal(adv_sql_analyse(f.catalog, f.arena, "", &facts, &why), PW_ERR_SYNTAX);
    assert_int_equal(fixture_facts(&f, "CREATE TABLE x (a int)")->kind, ADV_STMT_OTHER);
    assert_string_equal(fixture_facts(&f, "SELECT * FROM nowhere")->unknown_table, "nowhere");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notation),
        cmocka_unit_test(test_columns_read),
        cmocka_unit_test(test_parameters_know_their_column),
        cmocka_unit_test(test_rows_without_a_partner),
        cmocka_unit_test(test_casts_of_what_is_there),
        cmocka_unit_test(test_refuses_what_does_not_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
