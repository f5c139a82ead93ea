/* SPDX-License-Identifier: ISC */
/* Building: each message byte by byte, and appended behind others whatever the state of the buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/wire.h"

#define EXPECT(buf, text)                                                                                              \
    do {                                                                                                               \
        assert_int_equal(pw_buf_unread(buf), sizeof(text) - 1);                                                        \
        assert_memory_equal(pw_buf_head(buf), text, sizeof(text) - 1);                                                 \
        pw_buf_consume(buf, pw_buf_unread(buf));                                                                       \
    } while (0)

static void test_bytes(void **state)
{
    (void)state;
    PwBuf b;
    pw_buf_init(&b);
    pw_msg_ready(&b, 'T');
    EXPECT(&b, "Z\0\0\0\5T");
    pw_msg_param_status(&b, "TimeZone", "UTC");
    EXPECT(&b, "S\0\0\0\x11TimeZone\0UTC\0");
    pw_msg_query(&b, "");
    EXPECT(&b, "Q\0\0\0\5\0");
    pw_msg_query(&b, "SELECT 1");
    EXPECT(&b, "Q\0\0\0\x0dSELECT 1\0");
    pw_msg_auth_ok(&b);
    EXPECT(&b, "R\0\0\0\x08\0\0\0\0");
    pw_msg_key_data(&b, (const uint8_t *)"12345678", 8);
    EXPECT(&b, "K\0\0\0\x0c" "12345678");
    pw_msg_cancel(&b, (const uint8_t *)"12345678", 8);
    EXPECT(&b, "\0\0\0\x10\x04\xd2\x16\x2e" "12345678");
    pw_msg_command_complete(&b, "SELECT 1");
    EXPECT(&b, "C\0\0\0\x0dSELECT 1\0");
    PwErrorText e = {.severity = "FATAL", .sqlstate = "08P01", .message = "no"};
    pw_msg_error(&b, &e);
    EXPECT(&b, "E\0\0\0\x1eSFATAL\0VFATAL\0C08P01\0Mno\0\0");
    e.detail = "d";
    e.hint = "h";
    pw_msg_notice(&b, &e);
    EXPECT(&b, "N\0\0\0\x24SFATAL\0VFATAL\0C08P01\0Mno\0Dd\0Hh\0\0");
    size_t mark = pw_msg_begin(&b, 0);
    pw_buf_append_be32(&b, PW_PROTO_3_0);
    pw_msg_end(&b, mark);
    EXPECT(&b, "\0\0\0\x08\0\3\0\0");
    pw_buf_finish(&b);
}

/* The mark survives that the buffer grows and that its unread bytes move to the front meanwhile. */
static void test_growing(void **state)
{
    (void)state;
    for (size_t before = 0; before < 300; before += 7) {
        for (size_t consumed = 0; consumed <= before; consumed += 13) {
            PwBuf b;
            pw_buf_init(&b);
            for (size_t i = 0; i < before; i++)
                pw_buf_append_u8(&b, (uint8_t)i);
            pw_buf_consume(&b, consumed);
            size_t unread = pw_buf_unread(&b);
            static const char part[] = "0123456789abcdef";
            size_t mark = pw_msg_begin(&b, 'x');
            for (unsigned i = 0; i < 50; i++)
                pw_buf_append_str(&b, part);
            pw_msg_end(&b, mark);
            const uint8_t *p = pw_buf_head(&b) + unread;
            assert_int_equal(pw_buf_unread(&b), unread + 5 + 50 * 16);
            assert_int_equal(p[0], 'x');
            assert_int_equal(pw_be32(p + 1), 4 + 50 * 16);
            for (unsigned i = 0; i < 50; i++)
                assert_memory_equal(p + 5 + (size_t)i * 16, part, 16);
            for (size_t i = consumed; i < before; i++)
                assert_int_equal(pw_buf_head(&b)[i - consumed], (uint8_t)i);
            pw_buf_finish(&b);
        }
    }
}

/* What was built is read back the same. */
static void test_round_trip(void **state)
{
    (void)state;
    PwBuf b;
    pw_buf_init(&b);
    PwErrorText e = {.severity = "ERROR", .sqlstate = "57014", .message = "m", .detail = NULL, .hint = ""};
    pw_msg_error(&b, &e);
    const uint8_t *payload = pw_buf_head(&b) + PW_WIRE_HEADER;
    size_t n = pw_buf_unread(&b) - PW_WIRE_HEADER;
    assert_int_equal(pw_be32(pw_buf_head(&b) + 1), n + 4);
    assert_string_equal(pw_error_field(payload, n, 'S'), "ERROR");
    assert_string_equal(pw_error_field(payload, n, 'V'), "ERROR");
    assert_string_equal(pw_error_field(payload, n, 'C'), "57014");
    assert_string_equal(pw_error_field(payload, n, 'M'), "m");
    assert_null(pw_error_field(payload, n, 'D'));
    assert_string_equal(pw_error_field(payload, n, 'H'), "");
    assert_int_equal(payload[n - 1], 0);
    pw_buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
