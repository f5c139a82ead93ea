/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "pooler/admin/admin_result.h"
#include "poolwise/wire.h"

static const AdminColumn columns[] = {
    {"name", ADMIN_TEXT, "a text"}, {"small", ADMIN_INT4, "a number"}, {"big", ADMIN_INT8, "a larger one"}, {"any", ADMIN_NUMERIC, "the largest"},
};

static void row(AdminResult *r, const char *key, const char *name, int64_t small, int64_t big, uint64_t any)
{
    admin_row_begin(r, key);
    admin_row_text(r, name);
    admin_row_int(r, small);
    admin_row_int(r, big);
    admin_row_count(r, any);
    admin_row_end(r);
}

/* The next message: checks type and length, leaves the cursor on its payload's end. */
static PwCursor message(PwCursor *c, char type)
{
    assert_int_equal(pw_cursor_u8(c), type);
    uint32_t n = pw_cursor_be32(c) - 4;
    const uint8_t *p = pw_cursor_bytes(c, n);
    assert_non_null(p);
    return pw_cursor(p, n);
}

static void value(PwCursor *c, const char *text)
{
    uint32_t n = pw_cursor_be32(c);
    if (!text) {
        assert_int_equal(n, UINT32_MAX);
        return;
    }
    assert_int_equal(n, strlen(text));
    assert_memory_equal(pw_cursor_bytes(c, n), text, n);
}

static void data_row(PwCursor *c, const char *name, const char *small, const char *big, const char *any)
{
    PwCursor m = message(c, PW_B_DATA_ROW);
    assert_int_equal(pw_cursor_be16(&m), 4);
    value(&m, name);
    value(&m, small);
    value(&m, big);
    value(&m, any);
    assert_false(m.bad);
    assert_int_equal(pw_cursor_left(&m), 0);
}

static void description(PwCursor *c)
{
    static const struct {
        unsigned oid, length;
    } want[] = {{25, 0xffff}, {23, 4}, {20, 8}, {1700, 0xffff}};
    PwCursor m = message(c, PW_B_ROW_DESC);
    assert_int_equal(pw_cursor_be16(&m), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(pw_cursor_cstr(&m), columns[i].name);
        assert_int_equal(pw_cursor_be32(&m), 0);
        assert_int_equal(pw_cursor_be16(&m), 0);
        assert_int_equal(pw_cursor_be32(&m), want[i].oid);
        assert_int_equal(pw_cursor_be16(&m), want[i].length);
        assert_int_equal(pw_cursor_be32(&m), UINT32_MAX);
        assert_int_equal(pw_cursor_be16(&m), 0);
    }
    assert_int_equal(pw_cursor_left(&m), 0);
}

static void end(PwCursor *c)
{
    PwCursor m = message(c, PW_B_COMMAND_COMPLETE);
    assert_string_equal(pw_cursor_cstr(&m), "SHOW");
    assert_int_equal(pw_cursor_left(c), 0);
    assert_false(c->bad);
}

static void test_rows(void **state)
{
    (void)state;
    AdminResult r;
    PwBuf out;
    pw_buf_init(&out);
    admin_result_init(&r, columns, 4);
    row(&r, NULL, "one", 1, -1, 0);
    row(&r, NULL, NULL, INT64_MAX, INT64_MAX, UINT64_MAX);
    row(&r, NULL, "", INT64_MIN, INT64_MIN, 7);
    admin_result_write(&r, 0, "SHOW", &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    description(&c);
    data_row(&c, "one", "1", "-1", "0");
    data_row(&c, NULL, "2147483647", "9223372036854775807", "18446744073709551615");
    data_row(&c, "", "-2147483648", "-9223372036854775808", "7");
    end(&c);
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

static void test_no_rows(void **state)
{
    (void)state;
    AdminResult r;
    PwBuf out;
    pw_buf_init(&out);
    admin_result_init(&r, columns, 4);
    admin_result_sort(&r);
    admin_result_write(&r, 0, "SHOW", &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    description(&c);
    end(&c);
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

static void test_sorted_and_cut(void **state)
{
    (void)state;
    AdminResult r;
    PwBuf out;
    char key[16], text[16];
    pw_buf_init(&out);
    admin_result_init(&r, columns, 4);
    for (int i = 0; i < 100; i++) { /* enough for the rows to be moved a few times */
        snprintf(key, sizeof(key), "%03d", 99 - i);
        row(&r, key, key, i, i, (uint64_t)i);
    }
    admin_result_sort(&r);
    admin_result_write(&r, 40, "SHOW", &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    description(&c);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "%03d", i);
        snprintf(text, sizeof(text), "%d", 99 - i);
        data_row(&c, key, text, text, text);
    }
    end(&c);
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

static void test_equal_keys_keep_their_order(void **state)
{
    (void)state;
    AdminResult r;
    PwBuf out;
    pw_buf_init(&out);
    admin_result_init(&r, columns, 4);
    row(&r, "b", "b1", 1, 1, 1);
    row(&r, "a", "a1", 1, 1, 1);
    row(&r, "b", "b2", 1, 1, 1);
    row(&r, NULL, "none", 1, 1, 1);
    row(&r, "a", "a2", 1, 1, 1);
    admin_result_sort(&r);
    admin_result_write(&r, 0, "SHOW", &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    description(&c);
    static const char *const want[] = {"none", "a1", "a2", "b1", "b2"};
    for (size_t i = 0; i < 5; i++)
        data_row(&c, want[i], "1", "1", "1");
    end(&c);
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_no_rows), cmocka_unit_test(test_sorted_and_cut),
        cmocka_unit_test(test_equal_keys_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
