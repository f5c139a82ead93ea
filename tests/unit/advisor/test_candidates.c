/* SPDX-License-Identifier: ISC */
#include "fixture.h"

#include "advisor/candidate/generate.h"

typedef struct Made {
    AdvPool *pool;
    int n;
    int *ids;
} Made;

static Made generate(Fixture *f, const char *sql)
{
    AdvWorkload *w = adv_workload_create(f->arena);
    AdvQuery *q = adv_workload_add(w, sql, "test", 1, 1);
    adv_workload_analyse(w, f->catalog);
    Made made = {.pool = adv_pool_create(f->arena, f->catalog)};
    adv_generate(made.pool, w, q, &made.ids, &made.n);
    return made;
}

static bool has(Fixture *f, const Made *made, const char *columns)
{
    for (int i = 0; i < made->n; i++)
        if (strcmp(adv_index_columns_text(f->arena, &made->pool->items[made->ids[i]]->def), columns) == 0)
            return true;
    return false;
}

static void test_composite_and_covering(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    Made m = generate(&f, "SELECT product_name, price FROM products WHERE category = 'a' AND brand = 'b' AND price BETWEEN 1 AND 2 ORDER BY price DESC");
    assert_true(has(&f, &m, "(category, brand, price) INCLUDE (product_name)"));
    assert_true(has(&f, &m, "(brand, category, price) INCLUDE (product_name)"));
    assert_true(has(&f, &m, "(brand, category)"));
    for (int i = 0; i < m.n; i++)
        assert_false(m.pool->items[m.ids[i]]->def.keys[0].desc); /* indexes are read backwards as well */
    m = generate(&f, "SELECT product_name FROM products WHERE price BETWEEN 1 AND 2 AND category = 'a' AND brand = 'b'");
    assert_true(has(&f, &m, "(brand, category, price)"));
    assert_false(has(&f, &m, "(price, brand, category)")); /* what follows a range narrows nothing down */
    fixture_close(&f);
}

static void test_order_directions(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    Made m = generate(&f, "SELECT id FROM orders WHERE customer_id = 5 ORDER BY created_at DESC, total LIMIT 3");
    assert_true(has(&f, &m, "(customer_id, created_at, total DESC)"));
    m = generate(&f, "SELECT id FROM orders WHERE customer_id = 5 ORDER BY created_at DESC NULLS LAST LIMIT 3");
    assert_true(has(&f, &m, "(customer_id, created_at NULLS FIRST)"));
    fixture_close(&f);
}

static void test_coarse_columns_never_lead_alone(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    assert_int_equal(generate(&f, "SELECT id FROM orders WHERE status = 'active'").n, 0);
    assert_int_equal(generate(&f, "SELECT status, count(*) FROM orders GROUP BY status").n, 0);
    Made m = generate(&f, "SELECT * FROM orders WHERE status = 'active' ORDER BY created_at LIMIT 5");
    assert_true(has(&f, &m, "(status, created_at)"));
    assert_false(has(&f, &m, "(status)"));
    static const char *values[] = {"done", "pending"};
    static double shares[] = {0.99, 0.01};
    AdvColumn *status = &f.orders->columns[2];
    status->n_mcv = 2;
    status->mcv = values;
    status->mcf = shares;
    m = generate(&f, "SELECT * FROM orders WHERE status = 'pending'");
    assert_true(has(&f, &m, "(status) WHERE status = 'pending'"));
    assert_int_equal(generate(&f, "SELECT * FROM orders WHERE status = 'done'").n, 0);
    assert_int_equal(generate(&f, "SELECT * FROM orders WHERE status = $1").n, 0);
    fixture_close(&f);
}

static void test_existing_indexes_serve(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    fixture_index(&f, f.products, "present", 3, (int[]){3, 4, 5});
    assert_int_equal(generate(&f, "SELECT * FROM products WHERE category = 'a' AND brand = 'b'").n, 0);
    assert_int_equal(generate(&f, "SELECT product_name FROM products WHERE brand = 'b' AND category = 'a'").n, 0);
    assert_int_equal(generate(&f, "SELECT * FROM products WHERE brand = 'b' AND category = 'a' AND price > 5").n, 0);
    Made m = generate(&f, "SELECT * FROM products WHERE brand = 'b'");
    assert_true(has(&f, &m, "(brand)"));
    /* An invalid one serves nothing. */
    f.products->indexes[0]->valid = false;
    assert_true(generate(&f, "SELECT * FROM products WHERE category = 'a' AND brand = 'b'").n > 0);
    fixture_close(&f);
}

static void test_joins_and_small_tables(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    Made m = generate(&f, "SELECT o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'x'");
    assert_true(has(&f, &m, "(customer_id)"));
    assert_true(has(&f, &m, "(customer_id) INCLUDE (total)"));
    assert_true(has(&f, &m, "(email)"));
    f.customers->rows = 100;
    f.customers->pages = 1;
    m = generate(&f, "SELECT o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'x'");
    assert_false(has(&f, &m, "(email)"));
    fixture_close(&f);
}

static void test_special_keys(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    Made m = generate(&f, "SELECT id FROM customers WHERE lower(email) = 'x'");
    assert_true(has(&f, &m, "(lower(email))"));
    f.customers->columns[2].collation_c = false;
    m = generate(&f, "SELECT id FROM customers WHERE name LIKE 'abc%'");
    assert_true(has(&f, &m, "(name text_pattern_ops)"));
    assert_int_equal(generate(&f, "SELECT id FROM customers WHERE name LIKE '%abc'").n, 0);
    m = generate(&f, "SELECT id FROM customers WHERE email = 'a' OR name = 'b'");
    assert_true(has(&f, &m, "(email)") && has(&f, &m, "(name)"));
    m = generate(&f, "SELECT max(created_at) FROM orders WHERE customer_id = 4");
    assert_true(has(&f, &m, "(customer_id, created_at)"));
    fixture_close(&f);
}

/* doc ->> 'a' and doc ->> 'b' are two keys, although of one column. */
static void test_expressions_of_one_column(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    Made m = generate(&f, "SELECT id FROM customers WHERE lower(name) = 'x' AND md5(name) = 'y' AND name > 'a'");
    assert_true(has(&f, &m, "(lower(name), md5(name))"));
    assert_true(has(&f, &m, "(lower(name), name)"));
    fixture_close(&f);
}

/* Where few rows have a value the index need not hold the others, if the statement cannot want them. */
static void test_only_what_is_not_null(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    f.customers->columns[2].null_frac = 0.97;
    f.customers->columns[2].n_distinct = 500;
    Made m = generate(&f, "SELECT id FROM customers WHERE name = 'x'");
    assert_true(has(&f, &m, "(name) WHERE name IS NOT NULL"));
    m = generate(&f, "SELECT id FROM customers WHERE name IS NOT NULL AND email > 'x'");
    assert_true(has(&f, &m, "(email) WHERE name IS NOT NULL"));
    m = generate(&f, "SELECT c.id FROM orders o JOIN customers c ON c.name = o.status");
    assert_true(has(&f, &m, "(name) WHERE name IS NOT NULL"));
    m = generate(&f, "SELECT c.id FROM orders o LEFT JOIN customers c ON c.name = o.status");
    assert_false(has(&f, &m, "(name) WHERE name IS NOT NULL"));
    m = generate(&f, "SELECT id FROM customers WHERE name = 'x' OR email = 'y'");
    assert_false(has(&f, &m, "(name) WHERE name IS NOT NULL"));
    m = generate(&f, "SELECT id FROM customers WHERE name IS DISTINCT FROM 'x' AND email = 'y'");
    assert_false(has(&f, &m, "(email) WHERE name IS NOT NULL"));
    f.customers->columns[2].null_frac = 0.5;
    m = generate(&f, "SELECT id FROM customers WHERE name = 'x'");
    assert_false(has(&f, &m, "(name) WHERE name IS NOT NULL"));
    f.customers->columns[2].null_frac = 0.97;
    fixture_index(&f, f.customers, "whole", 1, (int[]){3});
    m = generate(&f, "SELECT * FROM customers WHERE name = 'x'");
    assert_int_equal(m.n, 0); /* the whole index finds the values as fast */
    fixture_close(&f);
}

/* What most rows fulfil is no key of an index that holds few of them. */
static void test_no_idle_key_in_a_partial_index(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    static const char *values[] = {"done", "pending"};
    static double shares[] = {0.99, 0.01};
    AdvColumn *status = &f.orders->columns[2];
    status->n_mcv = 2;
    status->mcv = values;
    status->mcf = shares;
    f.orders->columns[4].null_frac = 0.95;
    Made m = generate(&f, "SELECT * FROM orders WHERE status = 'pending' AND total IS NULL");
    assert_true(has(&f, &m, "(status) WHERE status = 'pending'"));
    assert_false(has(&f, &m, "(total) WHERE status = 'pending'"));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_composite_and_covering), cmocka_unit_test(test_order_directions),
        cmocka_unit_test(test_coarse_columns_never_lead_alone), cmocka_unit_test(test_existing_indexes_serve),
        cmocka_unit_test(test_joins_and_small_tables), cmocka_unit_test(test_special_keys),
        cmocka_unit_test(test_expressions_of_one_column), cmocka_unit_test(test_only_what_is_not_null),
        cmocka_unit_test(test_no_idle_key_in_a_partial_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
