/* SPDX-License-Identifier: ISC */
/* Statements that are deep, or that would multiply: refused or bounded, never a crash. */
#include "fixture.h"

#include "advisor/sql/migration.h"
#include "advisor/sql/tree.h"

static const char *repeated(Fixture *f, const char *start, const char *again, int n, const char *middle, const char *end_again)
{
    size_t a = strlen(again), e = strlen(end_again);
    char *before = adv_arena_alloc(f->arena, a * (size_t)n + 1), *behind = adv_arena_alloc(f->arena, e * (size_t)n + 1);
    for (int i = 0; i < n; i++) {
        memcpy(before + a * (size_t)i, again, a);
        memcpy(behind + e * (size_t)i, end_again, e);
    }
    return adv_arena_printf(f->arena, "%s%s%s%s", start, before, middle, behind);
}

static void test_deep_ones_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *start, *again, *middle, *end_again;
    } rows[] = {
        {"SELECT 1 FROM orders WHERE id = 1", "+1", "", ""},
        {"SELECT 1 FROM orders WHERE id = 1", " + f(1, 2)", "", ""},
        {"SELECT 1 FROM orders WHERE id = 1", " OPERATOR(pg_catalog.+) 1", "", ""},
        {"SELECT 1 FROM orders WHERE id = 1", "::int", "", ""},
        {"SELECT 1 FROM orders WHERE ", "NOT ", "id = 1", ""},
        {"SELECT 1 FROM orders WHERE status", " IS NULL", "", ""},
        {"SELECT 1 FROM orders WHERE created_at", " AT TIME ZONE 'UTC'", " = now()", ""},
        {"SELECT 1 FROM orders WHERE status", " COLLATE \"C\"", "", ""},
        {"SELECT id, status FROM orders", " UNION SELECT id, status FROM orders", "", ""},
        {"SELECT 1 FROM orders", " JOIN customers ON true AND true", "", ""},
        {"SELECT 1 FROM orders WHERE ", "(NOT ", "id = 1", ") IS NULL IS NULL"},
        {"SELECT ", "ARRAY[", "1", "]"},
        {"SELECT ", "CASE WHEN true AND true THEN 1 ELSE ", "1", " END"},
    };
    Fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        const char *why = NULL, *text = repeated(&f, rows[i].start, rows[i].again, 20000, rows[i].middle, rows[i].end_again);
        AdvFacts *facts;
        AdvMigration migration = {0};
        uint64_t group;
        assert_int_equal(adv_sql_analyse(f.catalog, f.arena, text, &facts, &why), PW_ERR_SYNTAX);
        assert_string_equal(why, "the statement nests too deeply");
        assert_int_equal(adv_sql_fingerprint(text, &group), PW_ERR_SYNTAX);
        adv_migration_read(&migration, f.catalog, adv_arena_printf(f.arena, "CREATE VIEW deep AS %s", text));
        assert_int_equal(migration.n_unparsed, 1);
        /* What is under the limit goes through all of it. */
        text = repeated(&f, rows[i].start, rows[i].again, 300, rows[i].middle, rows[i].end_again);
        assert_int_equal(adv_sql_analyse(f.catalog, f.arena, text, &facts, &why), PW_OK);
    }
    fixture_close(&f);
}

static void test_long_ones_are_not_deep(void **state)
{
    (void)state;
    static const struct {
        const char *start, *again, *middle;
    } rows[] = {
        {"SELECT 1 FROM orders WHERE id IN (1", ", -(1 + 1)", ")"},
        {"SELECT 1 FROM orders WHERE id = 0", " OR (id = 1 AND status = 'a')", ""},
        {"SELECT 1 FROM orders WHERE id = 0", " AND id <> f(1, 2 + 3)", ""},
        {"SELECT 1 FROM orders WHERE status = '", "((((+", "'"},
        {"INSERT INTO orders (id, status) VALUES (1, 'a')", ", (1 + 1, CASE WHEN true THEN 'a' END)", ""},
    };
    Fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        const char *text = repeated(&f, rows[i].start, rows[i].again, 5000, rows[i].middle, "");
        assert_true(adv_tree_is_shallow(text));
        AdvFacts *facts;
        const char *why = NULL;
        assert_int_equal(adv_sql_analyse(f.catalog, f.arena, text, &facts, &why), PW_OK);
    }
    assert_true(adv_tree_is_shallow("SELECT ))) ] END END 1"));
    fixture_close(&f);
}

/* Each view twice in the next one, the last one in itself: 2 to the power of the depth. */
static void test_views_do_not_multiply_for_ever(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvMigration migration = {0};
    adv_migration_read(&migration, f.catalog, "CREATE VIEW v AS SELECT * FROM v a, v b");
    const AdvFacts *facts = fixture_facts(&f, "SELECT * FROM v WHERE id = 1");
    assert_in_range(facts->n_rels, 1, 5000);
    fixture_close(&f);
}

static void test_stars_do_not_multiply_for_ever(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    const char *text = "WITH c0 AS (SELECT * FROM orders)";
    for (int i = 1; i <= 9; i++)
        text = adv_arena_printf(f.arena, "%s, c%d AS (SELECT * FROM c%d a, c%d b, c%d c, c%d d, c%d e, c%d f)", text, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    const AdvFacts *facts = fixture_facts(&f, adv_arena_printf(f.arena, "%s SELECT * FROM c9", text));
    for (int r = 0; r < facts->n_rels; r++)
        assert_in_range(facts->rels[r].n_outputs, 0, 1664);
    fixture_close(&f);
}

static void test_a_natural_join_takes_each_name_once(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    /* id joins all three, once for each join; nothing else has the same name. */
    const AdvFacts *facts = fixture_facts(&f, "SELECT customers.name FROM customers NATURAL JOIN orders NATURAL JOIN products");
    assert_int_equal(facts->n_joins, 2);
    assert_false(facts->rels[0].used[1]);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep_ones_are_refused),
        cmocka_unit_test(test_long_ones_are_not_deep),
        cmocka_unit_test(test_views_do_not_multiply_for_ever),
        cmocka_unit_test(test_stars_do_not_multiply_for_ever),
        cmocka_unit_test(test_a_natural_join_takes_each_name_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
