/* SPDX-License-Identifier: ISC */
#include "pooler/config/line_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char dropped[200];

static void on_dropped(void *arg, void *loser, const void *winner)
{
    (void)arg;
    size_t n = strlen(dropped);
    (void)snprintf(dropped + n, sizeof(dropped) - n, "%s<%s ", (const char *)loser,
                   (const char *)winner);
}

static void the_last_of_a_name_wins(void **state)
{
    (void)state;
    LineSet set = {0};
    char items[6][3] = {"b1", "a1", "b2", "c1", "b3", "a2"};
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = {"b", "a", "b", "c", "b", "a"};
        line_set_add(&set, names[i], items[i]);
    }
    dropped[0] = '\0';
    line_set_seal(&set, on_dropped, NULL);
    assert_string_equal(dropped, "a1<a2 b1<b3 b2<b3 ");
    assert_int_equal(set.n, 3);
    assert_string_equal(set.entries[0].item, "c1"); /* file order of those that stay */
    assert_string_equal(set.entries[1].item, "b3");
    assert_string_equal(set.entries[2].item, "a2");
    assert_string_equal(line_set_find(&set, "b"), "b3");
    assert_null(line_set_find(&set, "d"));
    assert_null(line_set_find(&set, ""));
    line_set_finish(&set);
}

static void an_empty_set_finds_nothing(void **state)
{
    (void)state;
    LineSet set = {0};
    assert_null(line_set_find(&set, "a"));
    line_set_seal(&set, on_dropped, NULL);
    assert_null(line_set_find(&set, "a"));
    line_set_finish(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_of_a_name_wins),
        cmocka_unit_test(an_empty_set_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
