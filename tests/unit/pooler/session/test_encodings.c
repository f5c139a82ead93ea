/* SPDX-License-Identifier: ISC */
#include "pooler/session/encodings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_spellings(void **state)
{
    (void)state;
    assert_string_equal(encoding_canonical("UTF8"), "UTF8");
    assert_string_equal(encoding_canonical("'utf-8'"), "UTF8"); /* asyncpg */
    assert_string_equal(encoding_canonical("Unicode"), "UTF8");
    assert_string_equal(encoding_canonical("ISO-8859-15"), "LATIN9");
    assert_string_equal(encoding_canonical("windows_1252"), "WIN1252");
    assert_string_equal(encoding_canonical("sql ascii"), "SQL_ASCII");
    assert_string_equal(encoding_canonical("abc"), "WIN1258");       /* first row */
    assert_string_equal(encoding_canonical("windows950"), "BIG5");   /* last row */
}

static void test_unknown(void **state)
{
    (void)state;
    assert_null(encoding_canonical(""));
    assert_null(encoding_canonical("'"));
    assert_null(encoding_canonical("utf9"));
    assert_null(encoding_canonical("utf88888888888888888888888888888888888888888"));
    assert_null(encoding_canonical("\xc3\xbctf8\xff" "8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
