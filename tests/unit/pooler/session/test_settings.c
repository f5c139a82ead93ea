/* SPDX-License-Identifier: ISC */
/* settings: how a set is exchanged for one that has a setting more, less or another value. What SQL makes one server's settings those of
 * another is in test_state.c. */
#include "pooler/session/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"

/* "name=value", those of SET with a colon instead, a blank between them. */
static void expect(const Settings *s, const char *want)
{
    char got[200] = "";
    Setting at;
    for (size_t pos = 0; settings_next(s, &pos, &at);)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%c%s", *got ? " " : "", at.name, at.flat ? '=' : ':', at.value);
    assert_string_equal(got, want);
}

static void test_names(void **state)
{
    static const char *const names[][2] = {{"Work_Mem", "work_mem"}, {"SORT_MEM", "work_mem"}, {"vacuum_mem", "maintenance_work_mem"}, {"App.\xc3\x84", "app.\xc3\x84"}};
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(names); i++) {
        char *name = settings_name(names[i][0]);
        assert_string_equal(name, names[i][1]);
        free(name);
    }
}

static void test_put(void **state)
{
    static const struct {
        const char *name, *value;
        bool flat, same; /* the very same set afterwards */
        const char *want;
    } steps[] = {
        {"m", NULL, true, true, ""},
        {"m", "1", true, false, "m=1"},
        {"m", "1", true, true, "m=1"},
        {"m", "1", false, false, "m:1"},
        {"a", "", true, false, "a= m:1"},
        {"z", "3", true, false, "a= m:1 z=3"},
        {"m", "2", true, false, "a= m=2 z=3"},
        {"n", NULL, true, true, "a= m=2 z=3"},
        {"a", NULL, false, false, "m=2 z=3"},
        {"z", NULL, true, false, "m=2"},
        {"m", NULL, true, false, ""},
    };
    const Settings *s = NULL;
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(steps); i++) {
        const Settings *before = settings_ref(s);
        assert_true(settings_put(&s, steps[i].name, steps[i].value, steps[i].flat));
        assert_int_equal(s == before, steps[i].same);
        expect(s, steps[i].want);
        expect(before, i ? steps[i - 1].want : ""); /* whoever shares it sees no change */
        settings_unref(before);
    }
    assert_null(s);
    assert_int_equal(settings_bytes(), 0);
}

/* Name and value may be those that it gives up. */
static void test_put_from_itself(void **state)
{
    const Settings *s = NULL;
    Setting at;
    (void)state;
    assert_true(settings_put(&s, "a", "long enough not to lie in the new one by chance", false));
    assert_true(settings_put(&s, "b", "2", true));
    size_t pos = 0;
    assert_true(settings_next(s, &pos, &at));
    assert_true(settings_put(&s, at.name, at.value, true));
    expect(s, "a=long enough not to lie in the new one by chance b=2");
    settings_unref(s);
    assert_int_equal(settings_bytes(), 0);
}

static void test_settings_are_bounded(void **state)
{
    char value[SETTINGS_MAX_BYTES / 4];
    const char *names[] = {"a", "b", "c", "d", "e"};
    const Settings *s = NULL;
    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (size_t i = 0; i < PW_ARRAY_LEN(names); i++) {
        const Settings *before = s;
        bool fits = settings_put(&s, names[i], value, false);
        assert_int_equal(fits, i < 3);
        assert_int_equal(s == before, !fits);
    }
    assert_non_null(settings_get(s, "c"));
    assert_null(settings_get(s, "d"));
    settings_unref(s);
    assert_int_equal(settings_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_put_from_itself),
        cmocka_unit_test(test_settings_are_bounded),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
