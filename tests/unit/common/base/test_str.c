/* SPDX-License-Identifier: ISC */
#include "poolwise/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void splits_lists(void **state)
{
    (void)state;
    PwStrList list = {0};
    pw_str_list_split(&list, " a ,b,, c d ,");
    assert_int_equal(list.n, 3);
    assert_string_equal(list.items[0], "a");
    assert_string_equal(list.items[1], "b");
    assert_string_equal(list.items[2], "c d");
    assert_string_equal(list.text, " a ,b,, c d ,");
    assert_true(pw_str_list_has(&list, "b"));
    assert_false(pw_str_list_has(&list, "B"));
    assert_true(pw_str_list_has_ci(&list, "B"));
    pw_str_list_finish(&list);
    assert_int_equal(list.n, 0);
    assert_null(list.items);
}

static void copies_whole_characters(void **state)
{
    (void)state;
    char to[6];
    pw_str_copy(to, sizeof(to), "abcde");
    assert_string_equal(to, "abcde");
    pw_str_copy(to, sizeof(to), "abcdef");
    assert_string_equal(to, "abcde");
    pw_str_copy(to, sizeof(to), "abc\xc3\xa4");
    assert_string_equal(to, "abc\xc3\xa4");
    pw_str_copy(to, sizeof(to), "abcd\xc3\xa4");
    assert_string_equal(to, "abcd");
    pw_str_copy(to, sizeof(to), "ab\xe2\x82\xac-");
    assert_string_equal(to, "ab\xe2\x82\xac");
    pw_str_copy(to, sizeof(to), "\x80\x80\x80\x80\x80\x80\x80");
    assert_string_equal(to, "");
    pw_str_copy(to, 1, "a");
    assert_string_equal(to, "");
}

static void null_equals_only_null(void **state)
{
    (void)state;
    assert_true(pw_str_equal(NULL, NULL));
    assert_false(pw_str_equal(NULL, ""));
    assert_false(pw_str_equal("", NULL));
    assert_true(pw_str_equal("x", "x"));
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(pw_str_distance("abc", "abc"), 0);
    assert_int_equal(pw_str_distance("abc", "ABC"), 0);
    assert_int_equal(pw_str_distance("", "abc"), 3);
    assert_int_equal(pw_str_distance("abc", ""), 3);
    assert_int_equal(pw_str_distance("kitten", "sitting"), 3);
    assert_int_equal(pw_str_distance("pool_mdoe", "pool_mode"), 1); /* neighbours swapped */
    char name[64 + 1];
    memset(name, 'x', 64);
    name[64] = '\0';
    assert_true(pw_str_distance(name, "x") == SIZE_MAX);
    name[63] = '\0';
    assert_int_equal(pw_str_distance(name, "x"), 62);
}

static const char *nearest_of(const char *wanted)
{
    static const char *const names[] = {"max_client_conn", "max_db_connections", "user", "verbose"};
    PwNearest nearest;
    pw_nearest_init(&nearest, wanted);
    for (size_t i = 0; i < 4; i++)
        pw_nearest_offer(&nearest, names[i]);
    return pw_nearest_get(&nearest);
}

static void nearest_only_when_near(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("max_clients_conn"), "max_client_conn");
    assert_string_equal(nearest_of("usr"), "user");
    assert_null(nearest_of("colour"));
    assert_null(nearest_of("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_lists),
        cmocka_unit_test(null_equals_only_null),
        cmocka_unit_test(copies_whole_characters),
        cmocka_unit_test(distances),
        cmocka_unit_test(nearest_only_when_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
