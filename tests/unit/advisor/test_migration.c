/* SPDX-License-Identifier: ISC */
/* DDL against a catalog, and ways of writing that keep indexes out. */
#include "fixture.h"

#include "advisor/sql/habits.h"
#include "advisor/sql/migration.h"
#include "advisor/sql/schema.h"

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

/* What pg_dump writes, as far as indexes ask for it. */
static void test_declarations(void **state)
{
    (void)state;
    Fixture f = {.arena = adv_arena_create()};
    f.catalog = adv_catalog_create(f.arena);
    const char *note, *why;
    assert_int_equal(adv_schema_read(f.catalog,
                                     "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA tools;"
                                     "CREATE TYPE s.state AS ENUM ('a', 'b', 'c'); CREATE DOMAIN s.short AS varchar(9);"
                                     "CREATE TABLE s.d (id int NOT NULL, st s.state, sh s.short, tags text[], doc jsonb);"
                                     "CREATE TABLE p (k int, at date) PARTITION BY RANGE (at); CREATE TABLE p_1 (k int, at date);"
                                     "CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');"
                                     "ALTER TABLE ONLY p ATTACH PARTITION p_1 FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');"
                                     "ALTER TABLE p_1 ATTACH PARTITION p DEFAULT;"
                                     "CREATE TABLE heir (more int) INHERITS (s.d);"
                                     "CREATE VIEW s.v AS SELECT d.id, d.st FROM s.d WHERE d.st = 'a'::s.state;"
                                     "CREATE MATERIALIZED VIEW m AS SELECT x.sh, count(*) AS n FROM s.d x GROUP BY x.sh WITH NO DATA;"
                                     "CREATE INDEX e ON s.d USING btree (((doc ->> 'k'::text))) WHERE (st = 'a'::s.state);",
                                     &note, &why), PW_OK);
    assert_null(note);
    assert_string_equal(f.catalog->trgm_schema, "tools");
    const AdvTable *d = adv_catalog_find(f.catalog, "s", "d"), *p = adv_catalog_find(f.catalog, NULL, "p"), *m = adv_catalog_find(f.catalog, NULL, "m");
    assert_true(d && p && m && adv_catalog_meant(f.catalog, NULL, "d") == d && !adv_catalog_find(f.catalog, NULL, "d"));
    assert_true(d->columns[1].category == 'E' && d->columns[1].n_distinct == 3);
    assert_string_equal(d->columns[2].base_type, "varchar");
    assert_int_equal(d->columns[3].category, 'A');
    assert_string_equal(d->indexes[0]->keys[0].expr, "(doc ->> 'k')");
    assert_string_equal(d->indexes[0]->predicate, "st = 'a'");
    assert_true(p->n_children == 2 && p->children[0]->n_columns == 2 && p->children[1]->is_partition && !p->parent);
    assert_true(p->children[0]->rows == p->rows / 2);
    assert_true(d->n_children == 1 && d->children[0]->n_columns == 6 && !d->children[0]->is_partition);
    assert_true(m->kind == 'm' && m->n_columns == 2 && adv_table_column(m, "n") == 2);
    assert_string_equal(m->columns[0].base_type, "varchar");
    const AdvFacts *facts = fixture_facts(&f, "SELECT id FROM s.v WHERE id = 5");
    assert_true(facts->n_preds == 2 && facts->rels[facts->preds[0].rel].table == d);
    adv_arena_destroy(f.arena);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_indexes_and_keys), cmocka_unit_test(test_declarations), cmocka_unit_test(test_habits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
