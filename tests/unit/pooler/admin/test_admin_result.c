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

static void write_all(const AdminResult *r, size_t limit, PwBuf *out)
{
    admin_columns_write(r->columns, r->n_columns, r->strict, NULL, out);
    admin_rows_write(r, limit, NULL, out);
    pw_msg_command_complete(out, "SHOW");
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
    admin_result_init(&r, columns, 4, false);
    row(&r, NULL, "one", 1, -1, 0);
    row(&r, NULL, NULL, INT64_MAX, INT64_MAX, UINT64_MAX);
    row(&r, NULL, "", INT64_MIN, INT64_MIN, 7);
    write_all(&r, 0, &out);
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
    admin_result_init(&r, columns, 4, false);
    admin_result_sort(&r);
    write_all(&r, 0, &out);
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
    admin_result_init(&r, columns, 4, false);
    for (int i = 0; i < 100; i++) { /* enough for the rows to be moved a few times */
        snprintf(key, sizeof(key), "%03d", 99 - i);
        row(&r, key, key, i, i, (uint64_t)i);
    }
    admin_result_sort(&r);
    write_all(&r, 40, &out);
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
    admin_result_init(&r, columns, 4, false);
    row(&r, "b", "b1", 1, 1, 1);
    row(&r, "a", "a1", 1, 1, 1);
    row(&r, "b", "b2", 1, 1, 1);
    row(&r, NULL, "none", 1, 1, 1);
    row(&r, "a", "a2", 1, 1, 1);
    admin_result_sort(&r);
    write_all(&r, 0, &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    description(&c);
    static const char *const want[] = {"none", "a1", "a2", "b1", "b2"};
    for (size_t i = 0; i < 5; i++)
        data_row(&c, want[i], "1", "1", "1");
    end(&c);
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

static void binary(PwCursor *c, const char *bytes, uint32_t n)
{
    assert_int_equal(pw_cursor_be32(c), n);
    assert_memory_equal(pw_cursor_bytes(c, n), bytes, n);
}

/* PostgreSQL's binary forms: big-endian numbers; numeric as digits of base 10000 with their weight. */
static void test_binary(void **state)
{
    (void)state;
    static const AdminColumn kinds[] = {{"t", ADMIN_TEXT, ""}, {"i", ADMIN_INT4, ""}, {"l", ADMIN_INT8, ""},
                                        {"n", ADMIN_NUMERIC, ""}, {"b", ADMIN_BYTEA, ""}};
    static const struct {
        uint64_t number;
        const char *bytes;
        uint32_t n;
    } numerics[] = {
        {0, "\0\0\0\0\0\0\0\0", 8},
        {7, "\0\1\0\0\0\0\0\0\0\7", 10},
        {10000, "\0\1\0\1\0\0\0\0\0\1", 10},
        {12345678, "\0\2\0\1\0\0\0\0\x04\xd2\x16\x2e", 12},
        {UINT64_MAX, "\0\5\0\4\0\0\0\0" "\x07\x34\x1a\x58\x02\xe1\x03\xbb\x06\x4f", 18},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(numerics); i++) {
        AdminResult r;
        PwBuf out;
        uint16_t one = 1;
        AdminFormats all = {1, &one};
        pw_buf_init(&out);
        admin_result_init(&r, kinds, 5, false);
        admin_row_begin(&r, NULL);
        admin_row_text(&r, "x");
        admin_row_int(&r, -2);
        admin_row_int(&r, -3);
        admin_row_count(&r, numerics[i].number);
        admin_row_text(&r, "\\x00ff7a");
        admin_row_end(&r);
        admin_rows_write(&r, 0, &all, &out);
        PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
        PwCursor m = message(&c, PW_B_DATA_ROW);
        assert_int_equal(pw_cursor_be16(&m), 5);
        binary(&m, "x", 1);
        binary(&m, "\xff\xff\xff\xfe", 4);
        binary(&m, "\xff\xff\xff\xff\xff\xff\xff\xfd", 8);
        binary(&m, numerics[i].bytes, numerics[i].n);
        binary(&m, "\x00\xff\x7a", 3);
        assert_int_equal(pw_cursor_left(&m), 0);
        admin_result_finish(&r);
        pw_buf_finish(&out);
    }
}

static void test_formats_by_column(void **state)
{
    (void)state;
    AdminResult r;
    PwBuf out;
    uint16_t codes[] = {0, 1, 0, 0};
    AdminFormats formats = {4, codes};
    pw_buf_init(&out);
    admin_result_init(&r, columns, 4, false);
    row(&r, NULL, NULL, 5, 6, 7);
    admin_columns_write(columns, 4, false, &formats, &out);
    admin_rows_write(&r, 0, &formats, &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    PwCursor m = message(&c, PW_B_ROW_DESC);
    assert_int_equal(pw_cursor_be16(&m), 4);
    for (size_t i = 0; i < 4; i++) {
        (void)pw_cursor_cstr(&m);
        (void)pw_cursor_bytes(&m, 16);
        assert_int_equal(pw_cursor_be16(&m), codes[i]);
    }
    m = message(&c, PW_B_DATA_ROW);
    assert_int_equal(pw_cursor_be16(&m), 4);
    value(&m, NULL);
    binary(&m, "\0\0\0\5", 4);
    value(&m, "6");
    value(&m, "7");
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

/* As PgBouncer: neither the name nor the value of an extra column, and formats count those that are there. */
static void test_strict(void **state)
{
    (void)state;
    static const AdminColumn some[] = {
        {"a", ADMIN_TEXT, "first"}, {"b", ADMIN_INT4 | ADMIN_EXTRA, "ours"}, {"c", ADMIN_INT4, "last"}, {"d", ADMIN_TEXT | ADMIN_EXTRA, "ours"},
    };
    uint16_t codes[] = {0, 1};
    AdminFormats formats = {2, codes};
    AdminResult r;
    PwBuf out;
    pw_buf_init(&out);
    assert_int_equal(admin_columns_shown(some, 4, false), 4);
    assert_int_equal(admin_columns_shown(some, 4, true), 2);
    admin_result_init(&r, some, 4, true);
    admin_row_begin(&r, NULL);
    admin_row_text(&r, "x");
    admin_row_int(&r, 1);
    admin_row_int(&r, 2);
    admin_row_text(&r, "y");
    admin_row_end(&r);
    admin_columns_write(some, 4, true, &formats, &out);
    admin_rows_write(&r, 0, &formats, &out);
    admin_rows_write(&r, 0, NULL, &out);
    PwCursor c = pw_cursor(pw_buf_head(&out), pw_buf_unread(&out));
    PwCursor m = message(&c, PW_B_ROW_DESC);
    assert_int_equal(pw_cursor_be16(&m), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(pw_cursor_cstr(&m), i ? "c" : "a");
        (void)pw_cursor_bytes(&m, 16);
        assert_int_equal(pw_cursor_be16(&m), codes[i]);
    }
    assert_int_equal(pw_cursor_left(&m), 0);
    m = message(&c, PW_B_DATA_ROW);
    assert_int_equal(pw_cursor_be16(&m), 2);
    value(&m, "x");
    binary(&m, "\0\0\0\2", 4);
    assert_int_equal(pw_cursor_left(&m), 0);
    m = message(&c, PW_B_DATA_ROW);
    assert_int_equal(pw_cursor_be16(&m), 2);
    value(&m, "x");
    value(&m, "2");
    assert_int_equal(pw_cursor_left(&m), 0);
    admin_result_finish(&r);
    pw_buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_no_rows), cmocka_unit_test(test_sorted_and_cut),
        cmocka_unit_test(test_equal_keys_keep_their_order), cmocka_unit_test(test_binary),
        cmocka_unit_test(test_formats_by_column), cmocka_unit_test(test_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
