/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pooler/session/cancel_key.h"

static void test_worker_is_in_the_key(void **state)
{
    (void)state;
    for (unsigned worker = 0; worker < 64; worker++) {
        CancelKey key;
        assert_int_equal(cancel_key_make(&key, worker, 0, false), PW_OK);
        assert_int_equal(cancel_key_worker(&key), worker);
        assert_int_equal(key.len, CANCEL_KEY_SHORT);
        assert_true(key.bytes[0] < 0x80); /* a positive process id */
    }
}

/* PgBouncer's bytes: the peer's id in 1 and 2, low byte first; two set bits at the end of byte 7. */
static void test_peer_as_pgbouncer_writes_it(void **state)
{
    (void)state;
    CancelKey key;
    uint8_t wire[CANCEL_KEY_LONG] = {0};
    assert_int_equal(cancel_key_make(&key, 5, 0x1234, false), PW_OK);
    cancel_key_write(&key, key.hops, wire);
    assert_int_equal(wire[1], 0x34);
    assert_int_equal(wire[2], 0x12);
    assert_int_equal(wire[7] & 3, 3);
    assert_int_equal(cancel_key_peer(&key), 0x1234);
    assert_int_equal(cancel_key_worker(&key), 5);
}

static void test_hops_do_not_change_the_key(void **state)
{
    (void)state;
    CancelKey key, again;
    uint8_t wire[CANCEL_KEY_LONG];
    assert_int_equal(cancel_key_make(&key, 1, 7, false), PW_OK);
    for (unsigned hops = 0; hops <= CANCEL_KEY_HOPS; hops++) {
        cancel_key_write(&key, hops, wire);
        assert_int_equal(cancel_key_read(&again, wire, key.len), PW_OK);
        assert_int_equal(again.hops, hops);
        assert_memory_equal(again.bytes, key.bytes, sizeof(key.bytes));
    }
}

static void test_long_keys(void **state)
{
    (void)state;
    CancelKey key, other, again;
    uint8_t wire[CANCEL_KEY_LONG];
    assert_int_equal(cancel_key_make(&key, 3, 0, true), PW_OK);
    assert_int_equal(key.len, CANCEL_KEY_LONG);
    cancel_key_write(&key, 0, wire);
    assert_int_equal(cancel_key_read(&again, wire, sizeof(wire)), PW_OK);
    assert_memory_equal(again.bytes, key.bytes, sizeof(key.bytes));
    /* the beginning of a long key is not that key */
    assert_int_equal(cancel_key_read(&other, wire, CANCEL_KEY_SHORT), PW_OK);
    assert_memory_not_equal(other.bytes, key.bytes, sizeof(key.bytes));
}

/* Random bytes come from a stock: no part of it is given out twice. */
static void test_no_two_are_alike(void **state)
{
    (void)state;
    static CancelKey keys[600];
    for (size_t i = 0; i < PW_ARRAY_LEN(keys); i++) {
        assert_int_equal(cancel_key_make(&keys[i], 1, 0, i % 3 == 0), PW_OK);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i].bytes, keys[j].bytes, CANCEL_KEY_SHORT);
    }
}

static void test_other_lengths_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    CancelKey key;
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        PwErr want = n == CANCEL_KEY_SHORT || n == CANCEL_KEY_LONG ? PW_OK : PW_ERR_PROTOCOL;
        assert_int_equal(cancel_key_read(&key, bytes, n), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_is_in_the_key),  cmocka_unit_test(test_peer_as_pgbouncer_writes_it),
        cmocka_unit_test(test_hops_do_not_change_the_key), cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_other_lengths_are_refused), cmocka_unit_test(test_no_two_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
