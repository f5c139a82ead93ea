/* SPDX-License-Identifier: ISC */
#include "fixture.h"

#include "advisor/cost/bind.h"

static AdvBinding bind(Fixture *f, const char *sql)
{
    AdvQuery *q = ADV_NEW(f->arena, AdvQuery);
    q->text = sql;
    q->rows_per_call = -1;
    q->facts = fixture_facts(f, sql);
    AdvBinding b;
    adv_binding_init(&b, f->arena, f->catalog, q);
    return b;
}

static void statistics(Fixture *f)
{
    static const char *bounds[] = {"1", "250", "500", "750", "1000"};
    static const char *days[] = {"2025-01-01", "2025-04-01", "2025-07-01", "2025-10-01", "2025-12-31"};
    f->orders->columns[1].hist = bounds;
    f->orders->columns[1].n_hist = 5;
    f->orders->columns[3].hist = days;
    f->orders->columns[3].n_hist = 5;
}

static void test_values_from_statistics(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    statistics(&f);
    assert_string_equal(bind(&f, "SELECT * FROM orders WHERE customer_id = $1 LIMIT $2").text,
                        "SELECT * FROM orders WHERE customer_id = 500 LIMIT 20");
    assert_string_equal(bind(&f, "SELECT 1 FROM orders WHERE created_at >= timestamp $1 AND created_at < timestamp $2").text,
                        "SELECT 1 FROM orders WHERE created_at >= timestamp '2025-12-31' AND created_at < timestamp '2025-12-31'");
    assert_string_equal(bind(&f, "SELECT 1 FROM orders WHERE created_at > $1 - interval $2").text,
                        "SELECT 1 FROM orders WHERE created_at > '2025-12-31'::timestamp - interval '1 day'");
    assert_string_equal(bind(&f, "SELECT box $1 && '((0,0),(1,1))' FROM orders").text, "SELECT box '((0,0),(1,1))' && '((0,0),(1,1))' FROM orders");
    assert_string_equal(bind(&f, "SELECT 'no $1' FROM orders").text, "SELECT 'no $1' FROM orders");
    fixture_close(&f);
}

static void test_repairs_follow_the_error(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvBinding b = bind(&f, "SELECT $1 + total, $2 FROM orders");
    assert_string_equal(b.text, "SELECT '1' + total, '1' FROM orders");
    assert_true(adv_binding_repair(&b, "22007", "invalid input syntax for type date: \"1\"", 21));
    assert_string_equal(b.text, "SELECT '1' + total, '2000-01-01' FROM orders");
    assert_true(adv_binding_repair(&b, "42725", "operator is not unique: unknown + unknown", 12));
    assert_string_equal(b.text, "SELECT 1 + total, '2000-01-01' FROM orders");
    assert_true(adv_binding_repair(&b, "42725", "operator is not unique: unknown + unknown", 12));
    assert_null(strstr(b.text, "NULL"));
    int tries = 0;
    while (adv_binding_repair(&b, "42883", "operator does not exist", 12))
        assert_true(++tries < 50); /* comes to an end */
    fixture_close(&f);
}

/* What GROUP BY repeats must stay the same expression, and date $1 takes nothing but a string. */
static void test_twins_and_typed_literals(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvBinding b = bind(&f, "SELECT round(total, $1), count(*) FROM orders GROUP BY round(total, $2)");
    assert_true(adv_binding_repair(&b, "42883", "function round(numeric, unknown) does not exist", 8));
    assert_string_equal(b.text, "SELECT round(total, 1), count(*) FROM orders GROUP BY round(total, 1)");
    b = bind(&f, "SELECT date_trunc($1, created_at), extract($2 FROM created_at) FROM orders");
    assert_string_equal(b.text, "SELECT date_trunc('month', created_at), extract('year' FROM created_at) FROM orders");
    b = bind(&f, "SELECT interval $1 FROM orders");
    for (int tries = 0; adv_binding_repair(&b, "42883", "operator does not exist", 8); tries++) {
        assert_non_null(strstr(b.text, "interval '"));
        assert_true(tries < 20);
    }
    fixture_close(&f);
}

/* TABLESAMPLE is no condition, but the server wants a value there too. */
static void test_parameters_outside_conditions(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    assert_string_equal(bind(&f, "SELECT 1 FROM orders TABLESAMPLE system ($1) WHERE id = $2").text,
                        "SELECT 1 FROM orders TABLESAMPLE system ('1') WHERE id = 1");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values_from_statistics),
                                       cmocka_unit_test(test_repairs_follow_the_error),
                                       cmocka_unit_test(test_twins_and_typed_literals),
                                       cmocka_unit_test(test_parameters_outside_conditions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
