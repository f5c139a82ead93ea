/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pooler/session/replication.h"

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        Replication kind; /* COUNT: refused */
    } cases[] = {
        {"database", REPLICATION_LOGICAL}, {"true", REPLICATION_PHYSICAL}, {"TRUE", REPLICATION_PHYSICAL},
        {"t", REPLICATION_PHYSICAL},       {"yes", REPLICATION_PHYSICAL},  {"ye", REPLICATION_PHYSICAL},
        {"on", REPLICATION_PHYSICAL},      {"1", REPLICATION_PHYSICAL},    {"false", REPLICATION_NONE},
        {"no", REPLICATION_NONE},          {"off", REPLICATION_NONE},      {"of", REPLICATION_NONE},
        {"0", REPLICATION_NONE},           {"o", REPLICATION_COUNT},       {"", REPLICATION_COUNT},
        {"2", REPLICATION_COUNT},          {"Database", REPLICATION_COUNT}, {"trueish", REPLICATION_COUNT},
        {"10", REPLICATION_COUNT},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        Replication kind = REPLICATION_COUNT;
        PwErr err = replication_parse(cases[i].value, &kind);
        assert_int_equal(err, cases[i].kind == REPLICATION_COUNT ? PW_ERR_SYNTAX : PW_OK);
        assert_int_equal(kind, cases[i].kind);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(replication_name(REPLICATION_NONE), "none");
    assert_string_equal(replication_name(REPLICATION_LOGICAL), "logical");
    assert_string_equal(replication_name(REPLICATION_PHYSICAL), "physical");
    assert_string_equal(replication_log(REPLICATION_LOGICAL), "database");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
