/* SPDX-License-Identifier: ISC */
/* The advisor's own planner: blocks, joins, orders. Costs are compared with each other, not with numbers. */
#include "fixture.h"

#include <math.h>

#include "advisor/cost/plan.h"

typedef struct Asked {
    double cost;
    bool used[4];
} Asked;

/* What the statement costs with up to four indexes on (table, columns), columns as a list that ends with 0. */
static Asked ask(Fixture *f, const char *text, int n, AdvTable *const *tables, const int (*columns)[4])
{
    AdvFacts *facts;
    const char *why;
    Asked asked = {0};
    assert_int_equal(adv_sql_analyse(f->catalog, f->arena, text, &facts, &why), PW_OK);
    AdvModelIndex *indexes = ADV_NEW_ARRAY(f->arena, AdvModelIndex, n + 1);
    for (int i = 0; i < n; i++) {
        AdvIndex *def = ADV_NEW(f->arena, AdvIndex);
        *def = (AdvIndex){.table = tables[i], .method = "btree", .valid = true, .keys = ADV_NEW_ARRAY(f->arena, AdvIndexKey, 4)};
        while (def->n_keys < 4 && columns[i][def->n_keys]) {
            def->keys[def->n_keys].column = columns[i][def->n_keys];
            def->n_keys++;
        }
        indexes[i] = (AdvModelIndex){.def = def, .size = adv_index_size(def, 1), .fraction = 1, .place = i};
    }
    AdvPlanAsk plan = {.arena = f->arena, .catalog = f->catalog, .facts = facts, .n_indexes = n, .indexes = indexes, .used = asked.used};
    asked.cost = adv_plan_statement(&plan);
    return asked;
}

static Asked plain(Fixture *f, const char *text)
{
    return ask(f, text, 0, NULL, NULL);
}

static void joins_by_look_up_in_either_direction(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    const char *text = "SELECT o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'x'";
    AdvTable *tables[] = {f.customers, f.orders};
    static const int columns[][4] = {{2}, {2}};
    Asked both = ask(&f, text, 2, tables, columns);
    assert_true(both.used[0] && both.used[1]);
    assert_true(both.cost < plain(&f, text).cost / 100);
    adv_arena_destroy(f.arena);
}

/* LATERAL: once for each row of the others, whose columns it is given. */
static void laterals_are_planned_for_each_row(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    const char *text = "SELECT c.id, l.total FROM customers c CROSS JOIN LATERAL (SELECT o.total FROM orders o WHERE o.customer_id = c.id"
                       " ORDER BY o.created_at DESC LIMIT 3) l WHERE c.name = 'x'";
    AdvTable *tables[] = {f.orders, f.customers};
    static const int columns[][4] = {{2}, {3}};
    double today = plain(&f, text).cost, of_one = plain(&f, "SELECT total FROM orders o WHERE o.customer_id = 5 ORDER BY o.created_at DESC LIMIT 3").cost;
    assert_true(today > 1.5 * of_one); /* two customers have the name */
    Asked both = ask(&f, text, 2, tables, columns);
    assert_true(both.used[0] && both.used[1] && both.cost < today / 20);
    /* A subquery that only the outside compares is no LATERAL. */
    const char *grouped = "SELECT 1 FROM customers c JOIN (SELECT customer_id, max(total) m FROM orders GROUP BY customer_id) g ON g.customer_id = c.id";
    assert_true(plain(&f, grouped).cost < 20 * plain(&f, "SELECT customer_id, max(total) FROM orders GROUP BY customer_id").cost);
    adv_arena_destroy(f.arena);
}

/* How many rows a DELETE removes is told by its join. */
static void rows_written_come_from_the_plan(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvPlanAsk plan = {.arena = f.arena, .catalog = f.catalog,
                       .facts = fixture_facts(&f, "DELETE FROM orders o USING customers c WHERE o.customer_id = c.id AND c.email = 'x'")};
    adv_plan_statement(&plan);
    assert_true(plan.rows >= 1 && plan.rows < 100);
    adv_arena_destroy(f.arena);
}

/* A subquery that groups is planned on its own; its tables cannot be looked up from outside. */
static void groups_are_a_wall(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvTable *tables[] = {f.orders};
    static const int columns[][4] = {{2}};
    Asked inside = ask(&f, "SELECT c.name, o.n FROM customers c JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) o"
                           " ON o.customer_id = c.id WHERE c.id = 7 AND o.n > 1", 1, tables, columns);
    Asked joined = ask(&f, "SELECT c.name, o.id FROM customers c JOIN (SELECT customer_id, id FROM orders) o ON o.customer_id = c.id WHERE c.id = 7",
                       1, tables, columns);
    assert_true(joined.used[0] && joined.cost < inside.cost / 2);
    adv_arena_destroy(f.arena);
}

static void exists_is_a_join(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvTable *tables[] = {f.orders};
    static const int columns[][4] = {{2}};
    static const char *const texts[] = {
        "SELECT name FROM customers c WHERE c.id < 10 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
        "SELECT name FROM customers c WHERE c.email = 'x' AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
        "SELECT name FROM customers c WHERE c.email = 'x' AND c.id IN (SELECT customer_id FROM orders)",
        "SELECT name, (SELECT max(total) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.email = 'x'",
        "WITH o AS (SELECT customer_id AS who, total FROM orders) SELECT c.name, o.total FROM customers c, o WHERE o.who = c.id AND c.email = 'x'",
        "SELECT name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.email = 'x'",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        Asked with = ask(&f, texts[i], 1, tables, columns);
        assert_true(with.used[0]);
        assert_true(with.cost < plain(&f, texts[i]).cost / 3);
    }
    adv_arena_destroy(f.arena);
}

/* An order that an index brings is worth something under a LIMIT, and nothing where all rows are read anyway. */
static void orders(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvTable *tables[] = {f.orders};
    static const int columns[][4] = {{4}};
    Asked first = ask(&f, "SELECT * FROM orders ORDER BY created_at DESC LIMIT 10", 1, tables, columns);
    Asked all = ask(&f, "SELECT * FROM orders ORDER BY total, created_at", 1, tables, columns);
    assert_true(first.used[0] && first.cost < 10);
    assert_false(all.used[0]);
    /* Look-ups keep the order, a hash join does not. */
    AdvTable *both_tables[] = {f.orders, f.customers};
    static const int both_columns[][4] = {{4}, {1}};
    static const char joined[] = "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.created_at LIMIT 10";
    assert_false(ask(&f, joined, 1, tables, columns).used[0]);
    Asked both = ask(&f, joined, 2, both_tables, both_columns);
    assert_true(both.used[0] && both.used[1]);
    adv_arena_destroy(f.arena);
}

/* Behind a column that is NULL the server does not see the order of the next one; behind a value it does. */
static void orders_behind_a_null(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvTable *tables[] = {f.orders};
    static const int columns[][4] = {{2, 4}};
    f.orders->columns[1].null_frac = 0.4;
    Asked value = ask(&f, "SELECT * FROM orders WHERE customer_id = 5 ORDER BY created_at LIMIT 1", 1, tables, columns);
    Asked null = ask(&f, "SELECT * FROM orders WHERE customer_id IS NULL ORDER BY created_at LIMIT 1", 1, tables, columns);
    assert_true(value.used[0] && value.cost < 10);
    assert_true(null.cost > 100 * value.cost);
    adv_arena_destroy(f.arena);
}

/* Each round of a recursion looks up what the one before has brought. */
static void recursion_is_a_join(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvTable *tables[] = {f.orders, f.orders};
    static const int columns[][4] = {{2}, {1}};
    static const char text[] = "WITH RECURSIVE r AS (SELECT id FROM orders WHERE id = 3 UNION ALL SELECT o.id FROM orders o JOIN r ON o.customer_id = r.id) SELECT * FROM r";
    Asked both = ask(&f, text, 2, tables, columns);
    assert_true(both.used[0] && both.used[1]);
    assert_true(both.cost < plain(&f, text).cost / 5);
    adv_arena_destroy(f.arena);
}

/* Set operations, recursion, views of nothing, statements without tables: a finite cost, whatever it is. */
static void odd_statements(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    static const char *const texts[] = {
        "SELECT 1", "SELECT * FROM generate_series(1, 3) x", "SELECT id FROM orders UNION SELECT id FROM customers ORDER BY 1 LIMIT 3",
        "WITH RECURSIVE r AS (SELECT id FROM orders UNION ALL SELECT o.id FROM orders o, r WHERE o.customer_id = r.id) SELECT * FROM r",
        "SELECT * FROM (SELECT id FROM orders UNION ALL SELECT id FROM customers) x JOIN customers c ON c.id = x.id",
        "WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING customer_id) SELECT * FROM customers WHERE id IN (SELECT customer_id FROM d)",
        "WITH a AS (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) SELECT * FROM a x, a y WHERE x.n = y.n - 1",
        "SELECT * FROM customers a, customers b, customers c, customers d, customers e, customers f, customers g, customers h, customers i, customers j,"
        " customers k WHERE a.id = b.id AND b.id = c.id AND c.id = d.id AND d.id = e.id AND e.id = f.id AND f.id = g.id AND g.id = h.id AND h.id = i.id"
        " AND i.id = j.id AND j.id = k.id",
        "SELECT * FROM customers a FULL JOIN customers b ON a.id = b.id", "SELECT * FROM customers a, customers b, orders c",
        "UPDATE orders SET total = 1 FROM customers WHERE customers.id = orders.customer_id AND customers.email = 'x'",
        "SELECT * FROM customers c WHERE NOT (c.id = 3 OR EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id OR o.id = c.id))",
        "SELECT * FROM products p LEFT JOIN (customers c JOIN orders o ON o.customer_id = c.id) ON o.total > p.price",
        "SELECT * FROM products p CROSS JOIN (customers c FULL JOIN orders o ON o.customer_id = c.id)",
        "SELECT * FROM products p LEFT JOIN LATERAL (SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id LIMIT 1) x ON true",
        "SELECT * FROM customers c WHERE c.id > 5 AND EXISTS (SELECT 1 FROM orders o JOIN products p ON p.id = o.id WHERE o.total > 1)",
        "SELECT * FROM customers c WHERE c.id > 5 AND NOT EXISTS (SELECT 1 FROM orders o JOIN products p ON p.id = o.id WHERE o.total > 1)",
        "SELECT (SELECT (SELECT max(o.id) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE c.id = p.id) FROM products p",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        double cost = plain(&f, texts[i]).cost;
        assert_true(cost >= 0 && cost < 1e15);
    }
    adv_arena_destroy(f.arena);
}

/* Statistics as a damaged or very old catalog may have them: costs and sizes stay numbers, and an index never makes a plan dearer. */
static void odd_statistics(void **state)
{
    (void)state;
    static const double rows[] = {-1, 0, 1, 1e3, 1e15}, pages[] = {-1, 0, 1, 1e3, 1e12}, distinct[] = {-3, -1, 0, 1, 1e18}, nulls[] = {0, 0.5, 1, 2},
                        widths[] = {0, 4, 1e6};
    static const char *const texts[] = {
        "SELECT total FROM orders WHERE customer_id = 5 AND status = 'a' ORDER BY created_at LIMIT 3",
        "SELECT max(created_at) FROM orders WHERE customer_id IN (1, 2, 3)",
        "SELECT c.name, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.created_at >= '2025-01-01' GROUP BY c.name",
        "SELECT * FROM orders WHERE customer_id = 1 OR total > 7",
        "SELECT name FROM customers c WHERE c.email LIKE 'x%' AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)",
        "UPDATE orders SET total = 1 WHERE customer_id IS NULL",
    };
    static const char *const common[] = {"1", "a"};
    static const int columns[][4] = {{2, 4}, {2}, {4, 2, 1}};
    for (int i = 0; i < 5 * 5 * 5 * 4 * 3; i += 7) { /* some of all combinations */
        Fixture f;
        fixture_open(&f);
        double frequencies[] = {0.7, 0.6};
        AdvTable *all[] = {f.customers, f.orders};
        for (int t = 0; t < 2; t++) {
            all[t]->rows = rows[i % 5];
            all[t]->pages = pages[i / 5 % 5];
            all[t]->all_visible = t ? 1e9 : -1;
            for (int c = 0; c < all[t]->n_columns; c++) {
                AdvColumn *column = &all[t]->columns[c];
                column->n_distinct = distinct[i / 25 % 5];
                column->null_frac = nulls[i / 125 % 4];
                column->avg_width = widths[i / 500 % 3];
                column->correlation = c % 2 ? 1 : -1;
                column->has_stats = c % 3 != 2;
                column->n_mcv = c % 2 ? 2 : 0;
                column->mcv = ADV_NEW_ARRAY(f.arena, const char *, 2);
                column->mcv[0] = common[0];
                column->mcv[1] = common[1];
                column->mcf = frequencies;
            }
        }
        AdvTable *tables[] = {f.orders, f.customers, f.orders};
        for (size_t q = 0; q < sizeof(texts) / sizeof(texts[0]); q++) {
            double today = plain(&f, texts[q]).cost, with = ask(&f, texts[q], 3, tables, columns).cost;
            if (!(today >= 0 && today < INFINITY && with >= 0 && with <= today * (1 + 1e-9)))
                fail_msg("case %d, %s: %g without, %g with indexes", i, texts[q], today, with);
        }
        for (int k = 0; k < 2; k++) {
            AdvIndexKey keys[] = {{.column = 2}, {.column = 4}, {.column = 3}};
            AdvIndex def = {.table = f.orders, .method = "btree", .valid = true, .n_keys = 1 + 2 * k, .keys = keys};
            AdvSize whole = adv_index_size(&def, 1), part = adv_index_size(&def, 0);
            assert_true(whole.bytes >= 16384 && whole.bytes < INFINITY && part.bytes >= 16384 && part.bytes <= whole.bytes * 1.01);
        }
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_by_look_up_in_either_direction),
        cmocka_unit_test(groups_are_a_wall), cmocka_unit_test(laterals_are_planned_for_each_row), cmocka_unit_test(rows_written_come_from_the_plan),
        cmocka_unit_test(exists_is_a_join),
        cmocka_unit_test(orders), cmocka_unit_test(orders_behind_a_null), cmocka_unit_test(recursion_is_a_join),
        cmocka_unit_test(odd_statements),
        cmocka_unit_test(odd_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
