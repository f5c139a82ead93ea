/* SPDX-License-Identifier: ISC */
/* A redacted snapshot: places instead of values, in the values' order. */
#include "fixture.h"

#include "advisor/catalog/snapshot.h"
#include "advisor/catalog/stats.h"

static void test_values_have_one_order(void **state)
{
    static const AdvColumn number = {.category = 'N'}, text = {.category = 'S'};
    static const struct {
        const AdvColumn *column;
        const char *less, *more;
    } rows[] = {{&number, "9", "10"}, {&number, "-2", "1e-3"}, {&number, "1e308", "NaN"}, {&number, "-1", "NaN"}, {&text, "10", "9"}, {&text, "NaN", "a"}};
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        assert_int_equal(adv_compare_values(rows[i].column, rows[i].less, rows[i].more), -1);
        assert_int_equal(adv_compare_values(rows[i].column, rows[i].more, rows[i].less), 1);
        assert_int_equal(adv_compare_values(rows[i].column, rows[i].more, rows[i].more), 0);
    }
}

static void test_redacted_values_are_places(void **state)
{
    static const char *mcv[] = {"7", "NaN"}, *hist[] = {"-1", "5", "7.5", "1000"};
    static double mcf[] = {0.1, 0.1};
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvColumn *c = &f.orders->columns[0];
    c->mcv = mcv;
    c->mcf = mcf;
    c->n_mcv = 2;
    c->hist = hist;
    c->n_hist = 4;
    for (int i = 0; i < f.catalog->n_tables; i++)
        f.catalog->tables[i]->oid = (uint32_t)i + 1;
    AdvCatalog *read = adv_catalog_create(f.arena);
    const char *why = NULL;
    assert_int_equal(adv_snapshot_read(read, adv_snapshot_write(f.catalog, true), &why), PW_OK);
    const AdvColumn *r = &adv_catalog_find(read, NULL, "orders")->columns[0];
    static const char *const places[] = {"2", "5", "0", "1", "3", "4"};
    for (int i = 0; i < 6; i++)
        assert_string_equal(i < 2 ? r->mcv[i] : r->hist[i - 2], places[i]);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_have_one_order),
        cmocka_unit_test(test_redacted_values_are_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
