/* SPDX-License-Identifier: ISC */
/* Sizes against pg_relation_size() of indexes really built by PostgreSQL 15.20. */
#include "fixture.h"

#include "advisor/cost/size.h"

static double kb(Fixture *f, AdvTable *t, int n, const int *keys, int n_include, int include)
{
    AdvIndex *i = fixture_index(f, t, "x", n, keys);
    i->n_include = n_include;
    i->include = &include;
    return adv_index_size(i, 1).bytes / 1024;
}

static void near(double got, double real)
{
    if (got < real / 1.15 || got > real * 1.15)
        fail_msg("%.0f kB is not within 15 %% of %.0f kB", got, real);
}

static void test_real_sizes(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    near(kb(&f, f.orders, 1, (int[]){1}, 0, 0), 4408);          /* 200,000 different int4 */
    near(kb(&f, f.orders, 1, (int[]){2}, 0, 0), 1824);          /* int4, 20,000 values: posting lists */
    near(kb(&f, f.orders, 1, (int[]){3}, 0, 0), 1368);          /* text of two values */
    near(kb(&f, f.orders, 2, (int[]){2, 4}, 0, 0), 6184);       /* int4 and timestamp, all different */
    near(kb(&f, f.products, 1, (int[]){1}, 0, 0), 2208);        /* 100,000 different int4 */
    fixture_close(&f);
}

/* ANALYZE sees 89,835 values where 200,000 rows have drawn 110,590 of 150,000 at random: its estimate is made for values with equally many rows. */
static void test_drawn_values(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvColumn *c = &f.orders->columns[1];
    c->n_distinct = -0.449175;
    double drawn = kb(&f, f.orders, 1, (int[]){2}, 0, 0);
    assert_true(drawn > 3672 * 0.98 && drawn < 3672 * 1.02);
    /* All rows were in the sample: the number is right. */
    c->n_hist = 701;
    double counted = kb(&f, f.orders, 1, (int[]){2}, 0, 0);
    assert_true(counted < drawn * 0.95);
    fixture_close(&f);
}

/* Each partition has an index of its own: the same keys again, and a first page. */
static void test_partitions(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    double whole = kb(&f, f.orders, 1, (int[]){2}, 0, 0);
    AdvTable *parts[4];
    for (int i = 0; i < 4; i++) {
        parts[i] = fixture_table(&f, (const char *[]){"p1", "p2", "p3", "p4"}[i], f.orders->rows / 4, 5);
        parts[i]->kind = 'r';
    }
    f.orders->kind = 'p';
    f.orders->children = parts;
    f.orders->n_children = 4;
    double parted = kb(&f, f.orders, 1, (int[]){2}, 0, 0);
    assert_true(parted > 1.3 * whole && parted < 4 * whole);
    fixture_close(&f);
}

/* Pairs of values that are a foreign key are no more than its parent has rows. */
static void test_pairs_of_a_foreign_key(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    f.orders->columns[0].n_distinct = 50000;
    double free = kb(&f, f.orders, 2, (int[]){1, 2}, 0, 0);
    AdvTable *pairs = fixture_table(&f, "pairs", 20000, 2);
    AdvForeignKey fk = {.name = "fk", .child = f.orders, .parent = pairs, .n_columns = 2, .columns = (int[]){2, 1}};
    f.orders->fks = (AdvForeignKey *[]){&fk};
    f.orders->n_fks = 1;
    double bound = kb(&f, f.orders, 2, (int[]){1, 2}, 0, 0);
    assert_true(bound < 0.6 * free && bound > 0.2 * free);
    fixture_close(&f);
}

static void test_rules(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    /* INCLUDE ends the sharing of equal keys; numeric never shares; half of the rows need half of the space. */
    assert_true(kb(&f, f.orders, 1, (int[]){2}, 1, 1) > 2 * kb(&f, f.orders, 1, (int[]){2}, 0, 0));
    assert_true(kb(&f, f.orders, 1, (int[]){5}, 0, 0) > 2 * kb(&f, f.orders, 1, (int[]){2}, 0, 0));
    AdvIndex *i = fixture_index(&f, f.orders, "p", 1, (int[]){1});
    double ratio = adv_index_size(i, 0.5).bytes / adv_index_size(i, 1).bytes;
    assert_true(ratio > 0.48 && ratio < 0.53);
    /* Texts that are wider than their common words have others too. */
    AdvColumn *words = &f.products->columns[1];
    words->base_type = "tsvector";
    words->elements_common = 3;
    words->elements_distinct = 12;
    i->table = f.products;
    i->method = "gin";
    i->keys[0].column = 2;
    words->avg_width = 45;
    double few = adv_index_size(i, 1).bytes;
    words->avg_width = 400;
    assert_true(few < 1e6 && adv_index_size(i, 1).bytes > 10 * few);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_sizes), cmocka_unit_test(test_drawn_values), cmocka_unit_test(test_partitions), cmocka_unit_test(test_pairs_of_a_foreign_key), cmocka_unit_test(test_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
