/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pooler/session/own_errors.h"

static void check(const char *text, bool like_postgres, const char *want_state, const char *want_text)
{
    const char *state, *got;
    char buf[OWN_ERROR_TEXT];
    own_error(text, like_postgres, &state, &got, buf);
    assert_string_equal(state, want_state);
    assert_string_equal(got, want_text);
}

static void test_pgbouncer_has_one_sqlstate(void **state)
{
    (void)state;
    size_t n;
    const OwnErrorRow *rows = own_error_rows(&n);
    for (size_t i = 0; i < n; i++)
        check(rows[i].text, false, "08P01", rows[i].text);
    check("whatever", false, "08P01", "whatever");
}

static void test_like_postgres(void **state)
{
    (void)state;
    check("query_wait_timeout", true, "53300", "query_wait_timeout");
    check("no such database: shop", true, "3D000", "database \"shop\" does not exist");
    check("database \"p\" is disabled", true, "55000", "database \"p\" is disabled");
    check("client_login_timeout (server down)", true, "57014", "client_login_timeout (server down)");
    check("bad packet header: '00'", true, "08P01", "bad packet header: '00'");
    check("", true, "08P01", "");
}

static void test_hints(void **state)
{
    (void)state;
    assert_non_null(own_error_hint("unsupported startup parameter: extra_float_digits"));
    assert_non_null(own_error_hint("unsupported startup parameter in options: work_mem"));
    assert_null(own_error_hint("unsupported"));
    assert_null(own_error_hint("query_wait_timeout"));
}

static void test_rows_are_well_formed(void **state)
{
    (void)state;
    size_t n;
    const OwnErrorRow *rows = own_error_rows(&n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(strlen(rows[i].sqlstate), 5);
        const char *star = strchr(rows[i].text, '*');
        assert_true(!star || star[1] == '\0');
        if (rows[i].like)
            assert_true(star && strchr(rows[i].like, '*'));
        /* no row hides behind an earlier one */
        const char *sqlstate, *text;
        char buf[OWN_ERROR_TEXT];
        own_error(rows[i].text, true, &sqlstate, &text, buf);
        assert_string_equal(sqlstate, rows[i].sqlstate);
    }
}

static void test_long_names_are_cut(void **state)
{
    (void)state;
    char text[2000];
    const char *sqlstate, *got;
    char buf[OWN_ERROR_TEXT];
    memset(text, 'x', sizeof(text));
    memcpy(text, "no such database: ", 18);
    text[sizeof(text) - 1] = '\0';
    own_error(text, true, &sqlstate, &got, buf);
    assert_true(strlen(got) < OWN_ERROR_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pgbouncer_has_one_sqlstate),
        cmocka_unit_test(test_hints), cmocka_unit_test(test_like_postgres),
        cmocka_unit_test(test_rows_are_well_formed),
        cmocka_unit_test(test_long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
