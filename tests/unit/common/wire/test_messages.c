/* SPDX-License-Identifier: ISC */
/* The table of messages against a second list, written down from PostgreSQL's documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/wire.h"

static const char frontend[] = "BCDEFHPQSXcdfp";
static const char backend[] = "RK23CWdcGHDIEVvnNAtS1sZT";

static void test_types(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        const PwMsgInfo *f = pw_msg_frontend((uint8_t)type);
        const PwMsgInfo *b = pw_msg_backend((uint8_t)type);
        assert_non_null(f);
        assert_non_null(b);
        assert_int_equal(f->name != NULL, type && strchr(frontend, (int)type));
        assert_int_equal(b->name != NULL, type && strchr(backend, (int)type));
        if (f->name) {
            assert_true(f->min_length >= 4);
            assert_true(f->flags & PW_MSG_FRONTEND);
        }
        if (b->name) {
            assert_true(b->min_length >= 4);
            assert_true(b->flags & PW_MSG_BACKEND);
        }
    }
}

static void test_extended(void **state)
{
    (void)state;
    for (const char *p = frontend; *p; p++)
        assert_int_equal((pw_msg_frontend((uint8_t)*p)->flags & PW_MSG_EXTENDED) != 0, strchr("BCDEHPS", *p) != NULL);
}

/* What the pooler reads is held whole: a cut one would be read past its end. */
static void test_whole(void **state)
{
    (void)state;
    for (const char *p = backend; *p; p++)
        assert_int_equal((pw_msg_backend((uint8_t)*p)->flags & PW_MSG_WHOLE) != 0, strchr("RKCESZtv", *p) != NULL);
}

/* The shortest message of each kind that PostgreSQL would send or take: nothing valid is refused. */
static void test_minimum(void **state)
{
    (void)state;
    static const struct {
        char type;
        uint32_t payload;
    } shortest_f[] = {{'B', 8}, {'C', 2}, {'D', 2}, {'E', 5}, {'F', 10}, {'H', 0}, {'P', 4},
                      {'Q', 1}, {'S', 0}, {'X', 0}, {'c', 0}, {'d', 0},  {'f', 1}, {'p', 0}},
      shortest_b[] = {{'R', 4}, {'K', 8}, {'2', 0}, {'3', 0}, {'C', 1}, {'d', 0}, {'c', 0}, {'G', 3},
                      {'H', 3}, {'W', 3}, {'D', 2}, {'I', 0}, {'E', 1}, {'V', 4}, {'n', 0}, {'N', 1},
                      {'A', 6}, {'t', 2}, {'S', 2}, {'1', 0}, {'s', 0}, {'Z', 1}, {'T', 2}, {'v', 8}};
    assert_int_equal(PW_ARRAY_LEN(shortest_f), strlen(frontend));
    assert_int_equal(PW_ARRAY_LEN(shortest_b), strlen(backend));
    for (size_t i = 0; i < PW_ARRAY_LEN(shortest_f); i++)
        assert_int_equal(pw_msg_frontend((uint8_t)shortest_f[i].type)->min_length, 4 + shortest_f[i].payload);
    for (size_t i = 0; i < PW_ARRAY_LEN(shortest_b); i++)
        assert_int_equal(pw_msg_backend((uint8_t)shortest_b[i].type)->min_length, 4 + shortest_b[i].payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_extended),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_minimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
