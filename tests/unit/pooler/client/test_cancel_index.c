/* SPDX-License-Identifier: ISC */
#include "pooler/client/cancel_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define CLIENTS 1000

static Client *make(unsigned i)
{
    Client *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    assert_int_equal(cancel_key_make(&c->cancel_key, 3, 0, i % 2), PW_OK);
    memcpy(c->cancel_key.bytes + 1, &i, 2); /* no two are equal */
    return c;
}

static void test_find(void **state)
{
    (void)state;
    static Client *clients[CLIENTS];
    ClientIndex index = {0};
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = make(i);
        assert_null(cancel_index_find(&index, &clients[i]->cancel_key));
        cancel_index_add(&index, clients[i]);
    }
    assert_int_equal(index.n, CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        CancelKey key = clients[i]->cancel_key;
        key.hops ^= 1;
        assert_ptr_equal(cancel_index_find(&index, &key), clients[i]);
    }
    for (unsigned i = 0; i < CLIENTS; i += 2)
        cancel_index_remove(&index, clients[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_ptr_equal(cancel_index_find(&index, &clients[i]->cancel_key), i % 2 ? clients[i] : NULL);
    for (unsigned i = 1; i < CLIENTS; i += 2)
        cancel_index_remove(&index, clients[i]);
    assert_int_equal(index.n, 0);
    assert_null(index.slots); /* nothing is kept for nobody */
    for (unsigned i = 0; i < CLIENTS; i++)
        free(clients[i]);
}

static void test_same_slot(void **state)
{
    (void)state;
    ClientIndex index = {0};
    Client *a = make(0), *b = make(2), *c = make(4);
    memcpy(b->cancel_key.bytes + 3, a->cancel_key.bytes + 3, 4);
    memcpy(c->cancel_key.bytes + 3, a->cancel_key.bytes + 3, 4);
    cancel_index_add(&index, a);
    cancel_index_add(&index, b);
    cancel_index_add(&index, c);
    cancel_index_remove(&index, b);
    assert_ptr_equal(cancel_index_find(&index, &a->cancel_key), a);
    assert_null(cancel_index_find(&index, &b->cancel_key));
    assert_ptr_equal(cancel_index_find(&index, &c->cancel_key), c);
    cancel_index_remove(&index, c);
    cancel_index_remove(&index, a);
    free(a);
    free(b);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_same_slot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
