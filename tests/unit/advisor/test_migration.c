/* SPDX-License-Identifier: ISC */
/* DDL against a catalog, and ways of writing that keep indexes out. */
#include "fixture.h"

#include "advisor/sql/habits.h"
#include "advisor/sql/migration.h"

static void test_indexes_and_keys(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    f.customers->path_rank = f.orders->path_rank = f.products->path_rank = 0;
    AdvMigration m = {0};
    adv_migration_read(&m, f.catalog,
                       "CREATE INDEX CONCURRENTLY a ON orders (customer_id, created_at DESC) INCLUDE (total);\n"
                       "CREATE TABLE n (id int PRIMARY KEY, o int REFERENCES customers (id));\n"
                       "DROP INDEX a, nowhere;\n"
                       "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES n;\n"
                       "CREATE INDEX ON gone (x); SELEC");
    assert_int_equal(m.n, 6);
    assert_true(m.changes[0].kind == ADV_CHANGE_CREATE_INDEX && m.changes[0].concurrently && m.changes[0].existed && m.changes[0].line == 1);
    const AdvIndex *a = m.changes[0].index;
    assert_true(a->n_keys == 2 && a->keys[0].column == 2 && a->keys[1].desc && a->keys[1].nulls_first && a->n_include == 1 && a->include[0] == 5);
    assert_true(m.changes[1].kind == ADV_CHANGE_ADD_FOREIGN_KEY && m.changes[1].line == 2 && !m.changes[1].existed && m.changes[1].fk);
    assert_true(m.changes[2].kind == ADV_CHANGE_DROP_INDEX && m.changes[2].index == a && m.changes[2].line == 3);
    assert_true(m.changes[3].kind == ADV_CHANGE_DROP_INDEX && !m.changes[3].index);
    /* The key that is pointed at is the new table's primary key. */
    assert_true(m.changes[4].fk && m.changes[4].fk->parent_columns[0] == 1 && m.changes[4].fk->child == f.orders);
    assert_true(m.changes[5].kind == ADV_CHANGE_CREATE_INDEX && !m.changes[5].index);
    assert_int_equal(m.n_unparsed, 1);
    assert_int_equal(f.orders->n_indexes, 0);
    fixture_close(&f);
}

static void test_habits(void **state)
{
    (void)state;
    assert_true(adv_sql_habits("SELECT 1 FROM a WHERE x NOT IN (SELECT y FROM b)").not_in_subquery);
    assert_true(adv_sql_habits("WITH q AS (SELECT 1 FROM a WHERE NOT x IN (SELECT y FROM b)) SELECT * FROM q").not_in_subquery);
    assert_false(adv_sql_habits("SELECT 1 FROM a WHERE x IN (SELECT y FROM b) AND z NOT IN (1, 2)").not_in_subquery);
    assert_true(adv_sql_habits("SELECT 1 FROM a ORDER BY random() LIMIT 1").order_by_random);
    assert_false(adv_sql_habits("SELECT random() FROM a ORDER BY x").order_by_random);
    AdvHabits deep = adv_sql_habits("SELECT 1 FROM a ORDER BY x LIMIT 10 OFFSET 5000");
    assert_true(deep.has_offset && deep.offset > 4999 && deep.offset < 5001);
    assert_true(adv_sql_habits("SELECT 1 FROM a OFFSET $1").has_offset);
    assert_false(adv_sql_habits("SELEC").has_offset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_indexes_and_keys), cmocka_unit_test(test_habits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
