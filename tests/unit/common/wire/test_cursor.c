/* SPDX-License-Identifier: ISC */
/* Reading: the cursor, error fields, tags, start-up parameters. Inputs lie in blocks of exactly their size, so that
 * AddressSanitizer sees a byte read too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/wire.h"

static uint8_t *exact(const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    return copy;
}

static void test_numbers(void **state)
{
    (void)state;
    uint8_t *b = exact("\x01\x02\x03\xff\xfe\xfd\xfc", 7);
    PwCursor c = pw_cursor(b, 7);
    assert_int_equal(pw_cursor_u8(&c), 1);
    assert_int_equal(pw_cursor_be16(&c), 0x0203);
    assert_int_equal(pw_cursor_left(&c), 4);
    assert_true(pw_cursor_be32(&c) == UINT32_C(0xfffefdfc));
    assert_false(c.bad);
    assert_int_equal(pw_cursor_left(&c), 0);
    assert_int_equal(pw_cursor_u8(&c), 0);
    assert_true(c.bad);
    free(b);
}

/* The first read past the end spoils the cursor: what would still fit is not read either. */
static void test_sticky(void **state)
{
    (void)state;
    for (unsigned reader = 0; reader < 5; reader++) {
        volatile size_t n = 3; /* an optimizer that knows it warns of reads that never happen */
        uint8_t *b = exact("\x07\x08\x09", n);
        PwCursor c = pw_cursor(b, n);
        switch (reader) {
        case 0:
            assert_int_equal(pw_cursor_be32(&c), 0);
            break;
        case 1:
            assert_null(pw_cursor_bytes(&c, 4));
            break;
        case 2:
            assert_string_equal(pw_cursor_cstr(&c), "");
            break;
        case 3:
            assert_null(pw_cursor_bytes(&c, SIZE_MAX));
            break;
        default:
            assert_non_null(pw_cursor_bytes(&c, 2));
            assert_int_equal(pw_cursor_be16(&c), 0);
            break;
        }
        assert_true(c.bad);
        assert_int_equal(pw_cursor_u8(&c), 0);
        assert_int_equal(pw_cursor_be16(&c), 0);
        assert_null(pw_cursor_bytes(&c, 0));
        assert_string_equal(pw_cursor_cstr(&c), "");
        free(b);
    }
}

static void test_strings(void **state)
{
    (void)state;
    uint8_t *b = exact("ab\0\0cd", 6);
    PwCursor c = pw_cursor(b, 6);
    assert_string_equal(pw_cursor_cstr(&c), "ab");
    assert_string_equal(pw_cursor_cstr(&c), "");
    assert_false(c.bad);
    assert_string_equal(pw_cursor_cstr(&c), ""); /* "cd" without its end */
    assert_true(c.bad);
    free(b);
    c = pw_cursor(NULL, 0);
    assert_string_equal(pw_cursor_cstr(&c), "");
    assert_true(c.bad);
}

static void test_error_field(void **state)
{
    (void)state;
    static const char payload[] = "SERROR\0VERROR\0C22012\0Mdivision by zero\0"; /* and the terminator */
    uint8_t *b = exact(payload, sizeof(payload));
    assert_string_equal(pw_error_field(b, sizeof(payload), 'S'), "ERROR");
    assert_string_equal(pw_error_field(b, sizeof(payload), 'C'), "22012");
    assert_string_equal(pw_error_field(b, sizeof(payload), 'M'), "division by zero");
    assert_null(pw_error_field(b, sizeof(payload), 'D'));
    assert_null(pw_error_field(b, sizeof(payload), 'E')); /* a letter inside a value is no field */
    assert_null(pw_error_field(b, sizeof(payload), '\0'));
    free(b);
    for (size_t n = 0; n < sizeof(payload) - 2; n++) { /* cut: what is whole is found, the rest is not */
        b = exact(payload, n);
        const char *code = pw_error_field(b, n, 'C');
        assert_int_equal(code != NULL, n >= 21);
        assert_null(pw_error_field(b, n, 'M'));
        free(b);
    }
}

static void test_tag_rows(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        uint64_t rows;
    } cases[] = {{"SELECT 5", 5},     {"INSERT 0 3", 3}, {"COPY 18446744073709551615", UINT64_MAX},
                 {"UPDATE 0", 0},     {"BEGIN", 0},      {"", 0},
                 {"SELECT ", 0},      {"5", 0},          {"SELECT5", 0},
                 {"CREATE TABLE", 0}, {" 7", 7},         {"MERGE 12", 12}};
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        size_t n = strlen(cases[i].tag);
        uint8_t *b = exact(cases[i].tag, n);
        assert_true(pw_tag_rows((const char *)b, n) == cases[i].rows);
        free(b);
    }
}

typedef struct Seen {
    char text[200];
    unsigned calls, stop_at;
} Seen;

static PwErr on_param(void *arg, const char *key, const char *value)
{
    Seen *s = arg;
    strcat(strcat(strcat(strcat(s->text, key), "="), value), ";");
    return ++s->calls == s->stop_at ? PW_ERR_UNSUPPORTED : PW_OK;
}

static PwErr params(Seen *s, const void *bytes, size_t n)
{
    uint8_t *b = exact(bytes, n);
    PwErr err = pw_startup_params(b, n, on_param, s);
    free(b);
    return err;
}

static void test_startup_params(void **state)
{
    (void)state;
    static const char good[] = "user\0u\0database\0\0application_name\0a b\0"; /* and the terminator */
    Seen s = {0};
    assert_int_equal(params(&s, good, sizeof(good)), PW_OK);
    assert_string_equal(s.text, "user=u;database=;application_name=a b;");
    for (size_t n = 0; n < sizeof(good); n++) { /* every cut is refused */
        s = (Seen){0};
        assert_int_equal(params(&s, good, n), PW_ERR_PROTOCOL);
    }
    s = (Seen){0};
    assert_int_equal(params(&s, "\0", 1), PW_OK);
    assert_int_equal(s.calls, 0);
    assert_int_equal(params(&s, "user\0u\0\0x", 9), PW_ERR_PROTOCOL); /* bytes behind the terminator */
    s = (Seen){.stop_at = 2};
    assert_int_equal(params(&s, good, sizeof(good)), PW_ERR_UNSUPPORTED);
    assert_int_equal(s.calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_sticky),    cmocka_unit_test(test_strings),
        cmocka_unit_test(test_error_field), cmocka_unit_test(test_tag_rows), cmocka_unit_test(test_startup_params),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
