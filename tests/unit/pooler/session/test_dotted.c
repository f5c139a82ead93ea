/* SPDX-License-Identifier: ISC */
/* dotted: which names with a dot a text mentions, and that their number is bounded. */
#include "pooler/session/dotted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"

/* The names, in order, with a blank between them. */
static void expect(const char *bytes, size_t n, const char *want)
{
    char got[4000] = "";
    const Settings *names = dotted_names(NULL, bytes, n);
    Setting at;
    for (size_t pos = 0; settings_next(names, &pos, &at);)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", *got ? " " : "", at.name);
    assert_string_equal(got, want);
    settings_unref(names);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"SELECT 1", ""},
        {"SELECT f('app.tenant', 'x')", "app.tenant"},
        {"DO $$BEGIN PERFORM set_config('App.One','x',false); SET b.two = 3; END$$", "app.one b.two"},
        {"select 1.5, a.b.c, a . b, a..b, .c, d., 2x.y", "a.b.c x.y"},
        {"SELECT * FROM public.t WHERE t.x$1_ = 'e.\xc3\xa9'", "e.\xc3\xa9 public.t t.x$1_"},
        {"a.b a.B A.b", "a.b"},
        {"a.b", "a.b"},
        {"a.", ""},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++)
        expect(cases[i].text, strlen(cases[i].text), cases[i].want);
    expect("\0\0\0\5app.x\0\0\0\1y", 14, "app.x"); /* values of a Bind */
}

static void test_bounds(void **state)
{
    (void)state;
    char text[4000] = "", name[80];
    memset(name, 'n', sizeof(name));
    memcpy(name, "a.", 2);
    expect(name, 63, (name[63] = '\0', name));
    expect("a.nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn", 64, "");
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "app.n%02d ", i);
    const Settings *names = dotted_names(NULL, text, strlen(text));
    Setting at;
    unsigned n = 0;
    for (size_t pos = 0; settings_next(names, &pos, &at);)
        n++;
    assert_int_equal(n, DOTTED_MAX);
    settings_unref(names);
    assert_int_equal(settings_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
