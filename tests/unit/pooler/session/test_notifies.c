/* SPDX-License-Identifier: ISC */
/* notifies: which notifications a text plainly sends. */
#include "pooler/session/notifies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"

static char got[400];

static void each(void *arg, const char *channel, const char *payload)
{
    (void)arg;
    size_t n = strlen(got);
    snprintf(got + n, sizeof(got) - n, "%s%s=%s", n ? " " : "", channel, payload);
}

static void expect(const char *sql, const char *bind, size_t bind_len, const char *want)
{
    EffectsBind b = {(const uint8_t *)bind, bind_len};
    got[0] = 0;
    notifies_each(sql, strlen(sql), 0, bind ? &b : NULL, each, NULL);
    assert_string_equal(got, want);
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *want;
    } rows[] = {
        {"", ""},
        {"NOTIFY News", "news="},
        {"notify \"News\", 'it''s'", "News=it's"},
        {"NOTIFY a; SELECT 1; NOTIFY b, $$x$$;", "a= b=x"},
        {"SELECT pg_notify('A', 'x')", "A=x"},
        {"SELECT pg_catalog.pg_notify('a'::text, E'x\\n') FROM t", "a=x\n"},
        {"SELECT pg_notify('a', 'x' || y)", ""},
        {"SELECT pg_notify('a')", ""},
        {"SELECT pg_notify($1, $2)", ""},
        {"SELECT f(), pg_notify('a', 'x')", ""},
        {"NOTIFY", ""},
        {"NOTIFY a,", ""},
        {"NOTIFY a, 'x", ""},
        {"SELECT 'NOTIFY a'", ""},
        {"SELECT pg_catalog", ""},
        {"SELECT pg_notify(", ""},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++)
        expect(rows[i].sql, NULL, 0, rows[i].want);
}

static void test_bound(void **state)
{
    (void)state;
    static const char bind[] = "\0\0\0\0\0\2\0\0\0\1a\0\0\0\3xyz\0";
    expect("SELECT pg_notify($1, $2)", bind, sizeof(bind) - 1, "a=xyz");
    expect("SELECT pg_notify($2::text, 'p')", bind, sizeof(bind) - 1, "xyz=p");
    expect("SELECT pg_notify($1, $3)", bind, sizeof(bind) - 1, "");
    for (size_t n = 0; n < sizeof(bind) - 2; n++)
        expect("SELECT pg_notify($1, $2)", bind, n, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
