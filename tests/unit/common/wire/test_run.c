/* SPDX-License-Identifier: ISC */
/* Runs of equal messages: no byte behind the buffer is read (the buffers are exact, for AddressSanitizer), no message of another
 * type or length is stepped over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/buf.h"
#include "poolwise/wire.h"

static void add(PwBuf *b, char type, size_t payload, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        size_t mark = pw_msg_begin(b, (uint8_t)type);
        for (size_t k = 0; k < payload; k++)
            pw_buf_append_u8(b, (uint8_t)(i + k));
        pw_msg_end(b, mark);
    }
}

/* The buffer's first n bytes at the end of a block of their own. */
static size_t equals(const PwBuf *b, size_t n, size_t total)
{
    uint8_t *exact = malloc(n);
    memcpy(exact, pw_buf_head(b), n);
    size_t got = pw_run_of_equals(exact, n, total);
    free(exact);
    return got;
}

static void test_equals(void **state)
{
    (void)state;
    PwBuf b;
    pw_buf_init(&b);
    add(&b, 'D', 3, 10);
    assert_int_equal(equals(&b, 80, 8), 80);
    for (size_t n = 8; n < 80; n++) /* cut at any byte: whole ones only */
        assert_int_equal(equals(&b, n, 8), n / 8 * 8);
    add(&b, 'd', 3, 1);
    assert_int_equal(equals(&b, 88, 8), 80); /* another type */
    pw_buf_finish(&b);

    pw_buf_init(&b);
    add(&b, 'D', 0, 4); /* nothing but headers */
    assert_int_equal(equals(&b, 20, 5), 20);
    assert_int_equal(equals(&b, 19, 5), 15);
    add(&b, 'D', 256, 1);
    add(&b, 'D', 0, 1);
    assert_int_equal(equals(&b, pw_buf_unread(&b), 5), 20); /* another length */
    pw_buf_finish(&b);
}

/* A walk with runs ends where one without ends. */
static size_t walk(const uint8_t *p, size_t n, bool runs)
{
    PwRun run = {0};
    size_t at = 0;
    while (n - at >= PW_WIRE_HEADER) {
        size_t total = (size_t)pw_be32(p + at + 1) + 1;
        if (n - at < total)
            break;
        at += runs ? pw_run_step(&run, p + at, n - at, total) : total;
    }
    return at;
}

static void test_walk(void **state)
{
    (void)state;
    static const unsigned times[] = {1, PW_RUN_SAME - 1, PW_RUN_SAME, PW_RUN_SAME + 1, PW_RUN_SAME + 2, 3 * PW_RUN_SAME};
    PwBuf b;
    pw_buf_init(&b);
    for (size_t i = 0; i < PW_ARRAY_LEN(times); i++)
        for (size_t k = 0; k < PW_ARRAY_LEN(times); k++) {
            add(&b, 'D', i, times[i]);
            add(&b, 'D', 300 + k, times[k]);
            add(&b, 'd', 300 + k, times[k]);
        }
    const uint8_t *p = pw_buf_head(&b);
    size_t n = pw_buf_unread(&b);
    assert_int_equal(walk(p, n, true), n);
    for (size_t cut = n; cut > 0; cut -= cut < 7 ? cut : 7)
        assert_int_equal(walk(p, cut, true), walk(p, cut, false));
    pw_buf_finish(&b);
}

/* The run begins only behind enough equal ones, and takes all of them. */
static void test_step(void **state)
{
    (void)state;
    PwBuf b;
    pw_buf_init(&b);
    add(&b, 'D', 1, 3 * PW_RUN_SAME);
    PwRun run = {0};
    const uint8_t *p = pw_buf_head(&b);
    size_t n = pw_buf_unread(&b), at = 0;
    for (unsigned i = 0; i < PW_RUN_SAME; i++) {
        assert_int_equal(pw_run_step(&run, p + at, n - at, 6), 6);
        at += 6;
    }
    assert_int_equal(pw_run_step(&run, p + at, n - at, 6), n - at);
    pw_buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equals), cmocka_unit_test(test_walk), cmocka_unit_test(test_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
