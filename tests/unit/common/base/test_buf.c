/* SPDX-License-Identifier: ISC */
#include "poolwise/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void appends_in_network_order(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    assert_null(buf.data);
    pw_buf_append_u8(&buf, 0x01);
    pw_buf_append_be16(&buf, 0x0203);
    pw_buf_append_be32(&buf, 0x04050607);
    pw_buf_append_str(&buf, "ab");
    pw_buf_append_cstr(&buf, "cd");
    static const uint8_t want[] = {1, 2, 3, 4, 5, 6, 7, 'a', 'b', 'c', 'd', 0};
    assert_int_equal(pw_buf_unread(&buf), sizeof(want));
    assert_memory_equal(pw_buf_head(&buf), want, sizeof(want));
    pw_buf_finish(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
}

static void consuming_all_starts_over(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    pw_buf_append_str(&buf, "hello");
    pw_buf_consume(&buf, 2);
    assert_int_equal(buf.off, 2);
    assert_memory_equal(pw_buf_head(&buf), "llo", 3);
    pw_buf_release_if_empty(&buf);
    assert_non_null(buf.data); /* three bytes are unread */
    pw_buf_consume(&buf, 3);
    assert_int_equal(buf.off, 0);
    assert_int_equal(buf.len, 0);
    pw_buf_release_if_empty(&buf);
    assert_null(buf.data);
}

/* The bytes survive growth and the move to the front, whatever was consumed before. */
static void keeps_the_stream(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    uint8_t in = 0, out = 0;
    unsigned seed = 7;
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1103515245u + 12345u;
        unsigned n = (seed >> 16) % 97;
        for (unsigned i = 0; i < n; i++)
            pw_buf_append_u8(&buf, in++);
        unsigned take = (seed >> 8) % 97;
        if (take > pw_buf_unread(&buf))
            take = (unsigned)pw_buf_unread(&buf);
        for (unsigned i = 0; i < take; i++)
            assert_int_equal(pw_buf_head(&buf)[i], (uint8_t)(out + i));
        out = (uint8_t)(out + take);
        pw_buf_consume(&buf, take);
    }
    pw_buf_finish(&buf);
}

/* A long queue that is read in small bites must not be moved or grown for each bite: between two
 * relocations at least as many bytes are appended as are moved. */
static void growth_is_amortised(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    static uint8_t block[1000];
    for (int i = 0; i < 100; i++)
        pw_buf_append(&buf, block, sizeof(block));
    size_t moved = 0, appended = 0, grown = 0;
    for (int i = 0; i < 10000; i++) {
        pw_buf_consume(&buf, 100);
        size_t off = buf.off;
        const uint8_t *data = buf.data;
        size_t unread = pw_buf_unread(&buf);
        pw_buf_append(&buf, block, 100);
        if (buf.off != off)
            moved += unread;
        if (buf.data != data)
            grown++;
        appended += 100;
    }
    assert_true(moved <= appended + 200000);
    assert_true(grown <= 2);
    assert_true(buf.cap <= 512 * 1024); /* 100,000 bytes are unread */
    pw_buf_finish(&buf);
}

static void reserve_leaves_room_without_changing_bytes(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    pw_buf_append_str(&buf, "xyz");
    pw_buf_reserve(&buf, 100000);
    assert_true(buf.cap - buf.len >= 100000);
    assert_int_equal(pw_buf_unread(&buf), 3);
    assert_memory_equal(pw_buf_head(&buf), "xyz", 3);
    memset(buf.data + buf.len, 1, 100000);
    pw_buf_finish(&buf);
}

static void prints_text_of_any_length(void **state)
{
    (void)state;
    PwBuf buf;
    pw_buf_init(&buf);
    pw_buf_printf(&buf, "%s", "");
    assert_int_equal(pw_buf_unread(&buf), 0);
    size_t total = 0;
    for (int width = 1; width < 600; width += 7) {
        pw_buf_printf(&buf, "%*d", width, 5);
        total += (size_t)width;
        assert_int_equal(pw_buf_unread(&buf), total);
        assert_int_equal(buf.data[buf.len - 1], '5');
    }
    pw_buf_finish(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_in_network_order),
        cmocka_unit_test(consuming_all_starts_over),
        cmocka_unit_test(keeps_the_stream),
        cmocka_unit_test(growth_is_amortised),
        cmocka_unit_test(reserve_leaves_room_without_changing_bytes),
        cmocka_unit_test(prints_text_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
