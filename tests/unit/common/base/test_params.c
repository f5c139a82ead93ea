/* SPDX-License-Identifier: ISC */
#include "poolwise/params.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Sample {
    bool flag;
    int number, colour, unset;
    PwUsec wait;
    int64_t budget;
    char *text, *path, *secret;
    PwStrList list;
} Sample;

static const PwParamWord colours[] = {{"red", 3}, {"dark-blue", 5}, {NULL, 0}};
static const PwParamRow rows[] = {
    {"flag", PW_PARAM_BOOL, 0, 1, "1", 0, offsetof(Sample, flag), NULL, ""},
    {"number", PW_PARAM_INT, 0, 1000, "7", 0, offsetof(Sample, number), NULL, ""},
    {"colour", PW_PARAM_ENUM, 0, 0, "red", 0, offsetof(Sample, colour), colours, ""},
    {"unset", PW_PARAM_INT, 0, INT_MAX, NULL, PW_PARAM_NEGATIVE_UNSET, offsetof(Sample, unset),
     NULL, ""},
    {"wait", PW_PARAM_TIME, 1000, PW_PARAM_NO_MAX, "0.5", 0, offsetof(Sample, wait), NULL, ""},
    {"budget", PW_PARAM_SIZE, 0, PW_PARAM_NO_MAX, "1GB", 0, offsetof(Sample, budget), NULL, ""},
    {"text", PW_PARAM_STR, 0, 10, NULL, 0, offsetof(Sample, text), NULL, ""},
    {"path", PW_PARAM_PATH, 1, 20, "/tmp", 0, offsetof(Sample, path), NULL, ""},
    {"secret", PW_PARAM_STR, 0, 8, "abc", PW_PARAM_SECRET, offsetof(Sample, secret), NULL, ""},
    {"list", PW_PARAM_LIST, 0, 0, "a,b", 0, offsetof(Sample, list), NULL, ""},
};
static const PwParamTable table = {rows, sizeof(rows) / sizeof(rows[0])};

static void check_print(const Sample *sample, const char *name, const char *want)
{
    char *text = pw_param_print(pw_param_find(&table, name), sample);
    if (want == NULL)
        assert_null(text);
    else
        assert_string_equal(text, want);
    free(text);
}

static PwErr set(Sample *sample, const char *name, const char *value, char *why)
{
    return pw_param_set(pw_param_find(&table, name), sample, value, why);
}

static void defaults_and_printing(void **state)
{
    (void)state;
    Sample sample = {0};
    pw_params_init(&table, &sample);
    assert_true(sample.flag);
    assert_int_equal(sample.number, 7);
    assert_int_equal(sample.colour, 3);
    assert_int_equal(sample.unset, -1);
    assert_int_equal(sample.wait, 500000);
    assert_int_equal(sample.budget, INT64_C(1) << 30);
    assert_null(sample.text);
    assert_int_equal(sample.list.n, 2);
    check_print(&sample, "flag", "1");
    check_print(&sample, "colour", "red");
    check_print(&sample, "unset", NULL);
    check_print(&sample, "wait", "0.5");
    check_print(&sample, "budget", "1073741824");
    check_print(&sample, "text", NULL);
    check_print(&sample, "path", "/tmp");
    check_print(&sample, "secret", NULL);
    check_print(&sample, "list", "a,b");
    pw_params_finish(&table, &sample);
    assert_null(sample.path);
}

static void copies_are_deep_and_equal(void **state)
{
    (void)state;
    Sample a = {0}, b = {0};
    char why[PW_PARAM_WHY];
    pw_params_init(&table, &a);
    assert_int_equal(set(&a, "text", "hello", why), PW_OK);
    pw_params_copy(&table, &b, &a);
    for (size_t i = 0; i < table.n; i++)
        assert_true(pw_param_equal(&rows[i], &a, &b));
    assert_ptr_not_equal(a.text, b.text);
    static const char *const other[][2] = {
        {"flag", "0"},     {"number", "8"},  {"colour", "dark-blue"}, {"unset", "3"},
        {"wait", "1"},     {"budget", "5"},  {"text", "bye"},         {"path", "/x"},
        {"secret", "xyz"}, {"list", "a,b,c"}};
    assert_int_equal(sizeof(other) / sizeof(other[0]), table.n);
    for (size_t i = 0; i < table.n; i++) {
        assert_int_equal(set(&b, other[i][0], other[i][1], why), PW_OK);
        assert_false(pw_param_equal(pw_param_find(&table, other[i][0]), &a, &b));
    }
    pw_params_finish(&table, &a);
    assert_string_equal(b.text, "bye");
    pw_params_finish(&table, &b);
}

static void bad_values_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        PwErr err;
        const char *why;
    } bad[] = {
        {"flag", "yes", PW_ERR_SYNTAX, "must be 0 or 1, not \"yes\""},
        {"flag", "2", PW_ERR_SYNTAX, "must be 0 or 1"},
        {"flag", "", PW_ERR_SYNTAX, "must be 0 or 1"},
        {"number", "1001", PW_ERR_RANGE, "must be between 0 and 1000"},
        {"number", "-1", PW_ERR_RANGE, "must be between"},
        {"number", "12x", PW_ERR_SYNTAX, "must be a whole number"},
        {"number", "1.5", PW_ERR_SYNTAX, "must be a whole number"},
        {"number", "099", PW_ERR_SYNTAX, "octal"},
        {"number", "99999999999999999999", PW_ERR_RANGE, "too large"},
        {"colour", "green", PW_ERR_SYNTAX, "must be one of red, dark-blue, not \"green\""},
        {"wait", "-1", PW_ERR_SYNTAX, "must be seconds"},
        {"wait", "0", PW_ERR_RANGE, "must be at least 0.001"},
        {"wait", "5 weeks", PW_ERR_SYNTAX, "ms, s, min, h or d"},
        {"wait", "99999999999999", PW_ERR_RANGE, "too large"},
        {"wait", "1e3", PW_ERR_SYNTAX, ""},
        {"wait", ".", PW_ERR_SYNTAX, ""},
        {"budget", "1PB", PW_ERR_SYNTAX, "kB, MB, GB"},
        {"text", "12345678901", PW_ERR_RANGE, "longer than 10 bytes"},
        {"path", "", PW_ERR_RANGE, "must not be empty"},
        {"secret", "geheimnis", PW_ERR_RANGE, "longer than 8"},
    };
    Sample sample = {0}, before = {0};
    pw_params_init(&table, &sample);
    pw_params_init(&table, &before);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char why[PW_PARAM_WHY] = "";
        assert_int_equal(set(&sample, bad[i].name, bad[i].value, why), bad[i].err);
        if (strstr(why, bad[i].why) == NULL)
            fail_msg("%s = %s: \"%s\"", bad[i].name, bad[i].value, why);
        assert_null(strstr(why, "geheimnis"));
        assert_true(pw_param_equal(pw_param_find(&table, bad[i].name), &sample, &before));
    }
    pw_params_finish(&table, &sample);
    pw_params_finish(&table, &before);
}

static void numbers_as_c_writes_them(void **state)
{
    (void)state;
    int64_t v = 0;
    assert_int_equal(pw_parse_int("0777", &v), PW_OK);
    assert_int_equal(v, 511);
    assert_int_equal(pw_parse_int("0x1F", &v), PW_OK);
    assert_int_equal(v, 31);
    assert_int_equal(pw_parse_int("-5", &v), PW_OK);
    assert_int_equal(v, -5);
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        PwUsec usec;
        const char *printed;
    } good[] = {
        {"0", 0, "0"},
        {"120", 120000000, "120"},
        {"0.1", 100000, "0.1"},
        {".25", 250000, "0.25"},
        {"3.", 3000000, "3"},
        {"1.2345678", 1234567, "1.234567"},
        {"0.000001", 1, "0.000001"},
        {"250ms", 250000, "0.25"},
        {"1.5 ms", 1500, "0.0015"},
        {"15 s", 15000000, "15"},
        {"2min", 120000000, "120"},
        {"1.5h", INT64_C(5400000000), "5400"},
        {"1d", INT64_C(86400000000), "86400"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        PwUsec usec = -1;
        assert_int_equal(pw_parse_time(good[i].text, &usec), PW_OK);
        assert_int_equal(usec, good[i].usec);
        char *printed = pw_print_time(usec);
        assert_string_equal(printed, good[i].printed);
        free(printed);
    }
    int64_t bytes = 0;
    assert_int_equal(pw_parse_size("1.5kB", &bytes), PW_OK);
    assert_int_equal(bytes, 1536);
    assert_int_equal(pw_parse_size("9999999TB", &bytes), PW_ERR_RANGE);
}

static void nearest_name(void **state)
{
    (void)state;
    assert_string_equal(pw_param_nearest(&table, "color"), "colour");
    assert_null(pw_param_nearest(&table, "something"));
    assert_null(pw_param_find(&table, "COLOUR"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_and_printing),
        cmocka_unit_test(copies_are_deep_and_equal),
        cmocka_unit_test(bad_values_change_nothing),
        cmocka_unit_test(numbers_as_c_writes_them),
        cmocka_unit_test(times),
        cmocka_unit_test(nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
