/* SPDX-License-Identifier: ISC */
/* server_input: what is a whole message, what is the beginning of one, and what is none. */
#include "pooler/server/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"

static void test_messages(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *types; /* of the messages taken */
        size_t left;
        bool bad;
    } cases[] = {
        {"", 0, "", 0, false},
        {"Z\0\0\0\5I", 6, "Z", 0, false},
        {"Z\0\0\0\5", 5, "", 5, false},
        {"Z\0\0\0", 4, "", 4, false},
        {"?\0\0\0", 4, "", 4, false}, /* not before its header is there */
        {"?\0\0\0\5I", 6, "", 6, true},
        {"Z\0\0\0\4", 5, "", 5, true}, /* too short for its kind */
        {"N\0\0\0\3", 5, "", 5, true},
        {"1\0\0\0\4Z\0\0\0\5IZ\0\0\0\5", 16, "1Z", 5, false},
        {"1\0\0\0\4?\0\0\0\5I", 11, "1", 6, true},
        {"D\xff\xff\xff\xff\0\0", 7, "", 7, true},
        {"D\x7f\xff\xff\xff\0\0", 7, "", 7, true},
    };
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        ServerInput in = {.p = (const uint8_t *)cases[i].bytes, .n = cases[i].n};
        const uint8_t *begin = in.p;
        ServerMessage m;
        size_t taken = 0;
        char types[8] = "";
        while (server_next_message(&in, &m)) {
            types[taken++] = (char)m.type;
            assert_ptr_equal(m.payload, begin + PW_WIRE_HEADER);
            assert_int_equal(m.n, in.p - begin - PW_WIRE_HEADER);
            begin = in.p;
        }
        assert_string_equal(types, cases[i].types);
        assert_ptr_equal(in.p, begin);
        assert_int_equal(in.n, cases[i].left);
        assert_int_equal(in.bad, cases[i].bad);
    }
}

/* The largest is one that server_hold can keep for the next read. */
static void test_the_largest(void **state)
{
    static uint8_t bytes[SERVER_HOLD_MAX + 2];
    (void)state;
    for (uint32_t len = SERVER_HOLD_MAX; len <= SERVER_HOLD_MAX + 1; len++) {
        ServerInput in = {.p = bytes, .n = len + 1};
        ServerMessage m;
        bytes[0] = PW_B_DATA_ROW;
        for (int i = 0; i < 4; i++)
            bytes[1 + i] = (uint8_t)(len >> (24 - 8 * i));
        assert_int_equal(server_next_message(&in, &m), len == SERVER_HOLD_MAX);
        assert_int_equal(in.bad, len > SERVER_HOLD_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages), cmocka_unit_test(test_the_largest)};
    return cmocka_run_group_tests_name("server_input", tests, NULL, NULL);
}
