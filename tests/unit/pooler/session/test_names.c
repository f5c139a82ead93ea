/* SPDX-License-Identifier: ISC */
/* names: put, replace, remove, the order of age, and that their memory is counted. */
#include "pooler/session/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    SqlNames names = {NULL};
    assert_null(sql_names_find(&names, "a"));
    sql_names_remove(&names, "a");
    sql_names_put(&names, "a", "PREPARE a AS SELECT 1", 1, 2);
    sql_names_put(&names, "b", NULL, 3, 0);
    assert_true(sql_names_bytes() > 0);
    assert_string_equal(sql_names_find(&names, "a")->text, "PREPARE a AS SELECT 1");
    assert_int_equal(sql_names_find(&names, "a")->class, 2);
    assert_null(sql_names_find(&names, "A"));
    assert_string_equal(names.table->name, "a"); /* the oldest */
    sql_names_put(&names, "a", "PREPARE a AS SELECT 2", 4, 0);
    assert_int_equal(sql_names_count(&names), 2);
    assert_int_equal(sql_names_find(&names, "a")->digest, 4);
    assert_string_equal(names.table->name, "b");
    sql_names_remove(&names, "b");
    sql_names_finish(&names);
    assert_int_equal(sql_names_count(&names), 0);
    assert_int_equal(sql_names_bytes(), 0);
    sql_names_put(&names, "c", NULL, 1, 0); /* may be used again */
    sql_names_finish(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
