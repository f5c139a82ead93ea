/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pooler/session/params.h"

static char extra_name[] = "search_path", again[] = "timezone", long_name[] = "IntervalStyle";
static char *extra_items[] = {extra_name, again, long_name};

static int start(void **state)
{
    (void)state;
    PwStrList extra = {.items = extra_items, .n = 3};
    params_names_init(&extra);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return 0;
}

static unsigned at(const char *name)
{
    int i = params_index(name);
    assert_true(i >= 0);
    return (unsigned)i;
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(params_count(), 7); /* "timezone" is TimeZone again */
    assert_string_equal(params_name(at("CLIENT_ENCODING")), "client_encoding");
    assert_string_equal(params_name(at("timezone")), "TimeZone");
    assert_string_equal(params_setting(at("timezone")), "timezone");
    assert_int_equal(params_index("nosuch"), -1);
    assert_int_equal(params_index(""), -1);
    assert_int_equal(at("application_name"), PARAM_APPLICATION_NAME);
    assert_int_equal(at("standard_conforming_strings"), PARAM_STANDARD_CONFORMING_STRINGS);
}

static void test_all_names(void **state)
{
    static char star[] = "*", mine[] = "work_mem";
    static char *with_star[] = {mine, star};
    (void)state;
    assert_false(params_take_all());
    params_names_init(&(PwStrList){.items = with_star, .n = 2});
    assert_true(params_take_all());
    assert_int_equal(params_index("*"), -1);
    assert_true(params_index("work_mem") > PARAM_APPLICATION_NAME);
    assert_true(params_index("intervalstyle") > PARAM_APPLICATION_NAME);
    assert_true(params_index("default_transaction_read_only") > PARAM_APPLICATION_NAME);
    start(state);
    assert_false(params_take_all());
}

/* More names than there is room for: those that do not fit are not tracked, and nothing is written past the end. */
static void test_too_many_names(void **state)
{
    (void)state;
    char text[40][8];
    char *items[40];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(text[i], sizeof(text[i]), "extra%u", i);
        items[i] = text[i];
    }
    PwStrList extra = {.items = items, .n = 40};
    params_names_init(&extra);
    assert_int_equal(params_count(), PARAMS_MAX);
    assert_int_equal(params_index("extra39"), -1);
    params_names_init(NULL);
    assert_int_equal(params_count(), 5);
    start(NULL);
}

static void test_set_and_digest(void **state)
{
    (void)state;
    ParamSet a, b;
    params_init(&a);
    params_init(&b);
    assert_null(params_get(&a, 0));
    params_set(&a, 0, "UTF8");
    params_set(&a, 1, "ISO");
    params_set(&b, 1, "German");
    assert_true(a.digest != b.digest);
    params_set(&b, 1, "ISO");
    params_set(&b, 0, "UTF8");
    assert_true(a.digest == b.digest); /* the way there does not matter */
    params_set(&b, 0, "ISO");
    params_set(&b, 1, "UTF8");
    assert_true(a.digest != b.digest); /* the place does */
    params_set(&b, 0, params_get(&b, 1)); /* its own memory */
    assert_string_equal(params_get(&b, 0), "UTF8");
    params_set(&b, 1, NULL);
    params_set(&b, 0, NULL);
    assert_true(b.digest == 0);
    params_set(&b, 0, "");
    assert_true(b.digest != 0); /* empty is not unknown */
    params_finish(&a);
    params_finish(&b);
    assert_null(params_get(&a, 0));
    assert_true(a.digest == 0);
}

static void test_copy_and_fill(void **state)
{
    (void)state;
    ParamSet a, b;
    params_init(&a);
    params_init(&b);
    params_set(&a, 0, "UTF8");
    params_set(&b, 0, "LATIN1");
    params_set(&b, 2, "UTC");
    params_fill_unset(&a, &b);
    assert_string_equal(params_get(&a, 0), "UTF8");
    assert_string_equal(params_get(&a, 2), "UTC");
    params_copy(&a, &b);
    assert_string_equal(params_get(&a, 0), "LATIN1");
    assert_true(a.digest == b.digest);
    params_finish(&a);
    params_finish(&b);
}

static void check_diff(const char *name, const char *has, const char *wants, const char *sql)
{
    ParamSet server, client;
    PwBuf out;
    params_init(&server);
    params_init(&client);
    pw_buf_init(&out);
    params_set(&server, at(name), has);
    params_set(&client, at(name), wants);
    assert_int_equal(params_diff(&server, &client, false, &out), sql != NULL);
    pw_buf_append_u8(&out, 0);
    assert_string_equal((const char *)pw_buf_head(&out), sql ? sql : "");
    pw_buf_finish(&out);
    params_finish(&server);
    params_finish(&client);
}

/* The text is SQL that another user's value must never break out of, with standard_conforming_strings on and off. */
static void test_diff(void **state)
{
    (void)state;
    check_diff("TimeZone", "UTC", "UTC", NULL);
    check_diff("TimeZone", NULL, "UTC", NULL); /* the server does not know it */
    check_diff("TimeZone", "UTC", NULL, NULL); /* the client does not care */
    check_diff("TimeZone", "UTC", "Europe/Berlin", "SET TimeZone='Europe/Berlin';");
    check_diff("application_name", "a", "", "SET application_name='';");
    check_diff("application_name", "", "it's", "SET application_name='it''s';");
    check_diff("application_name", "", "\\", "SET application_name=$pw$\\$pw$;");
    check_diff("application_name", "", "a\\'b''", "SET application_name=$pw$a\\'b''$pw$;");
    check_diff("application_name", "", "\\$pw$pw1", "SET application_name=$pw2$\\$pw$pw1$pw2$;");
    check_diff("application_name", "", "x'; DROP TABLE t; --", "SET application_name='x''; DROP TABLE t; --';");
    check_diff("search_path", "public", "\"$user\", public", "SET search_path=\"$user\", public;");
    check_diff("search_path", "public", "", "SET search_path='';");
}

static void test_diff_of_several(void **state)
{
    (void)state;
    ParamSet server, client;
    PwBuf out;
    params_init(&server);
    params_init(&client);
    pw_buf_init(&out);
    for (unsigned i = 0; i < params_count(); i++)
        params_set(&server, i, "a");
    params_copy(&client, &server);
    params_set(&client, at("TimeZone"), "b");
    params_set(&client, at("application_name"), "c");
    assert_true(params_diff(&server, &client, false, &out));
    pw_buf_append_u8(&out, 0);
    assert_string_equal((const char *)pw_buf_head(&out), "SET TimeZone='b';SET application_name='c';");
    pw_buf_finish(&out);
    params_finish(&server);
    params_finish(&client);
}

static void test_backslashes(void **state)
{
    (void)state;
    ParamSet set, copy;
    params_init(&set);
    params_init(&copy);
    params_set(&set, at("standard_conforming_strings"), "on");
    assert_false(set.backslashes);
    params_set(&set, at("standard_conforming_strings"), "off");
    params_set(&set, at("application_name"), "on");
    assert_true(set.backslashes);
    params_copy(&copy, &set);
    assert_true(copy.backslashes);
    params_set(&set, at("standard_conforming_strings"), NULL);
    assert_false(set.backslashes);
    params_finish(&copy);
    assert_false(copy.backslashes);
    params_finish(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_all_names),
        cmocka_unit_test(test_too_many_names), cmocka_unit_test(test_set_and_digest),
        cmocka_unit_test(test_copy_and_fill), cmocka_unit_test(test_diff),           cmocka_unit_test(test_diff_of_several),
        cmocka_unit_test(test_backslashes),
    };
    return cmocka_run_group_tests(tests, start, end);
}
