/* SPDX-License-Identifier: ISC */
/* Who waits behind others is fetched into the cache in time: told the second of the queue, then the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake.h"

static FakeClient c[5];
static const PoolWaiter *warmed[8], *more[8];
static int n_warmed, n_more;

static void on_warm(PoolWaiter *w)
{
    warmed[n_warmed++] = w;
}

static void on_warm_more(PoolWaiter *w)
{
    more[n_more++] = w;
}

static void the_next_ones_are_warmed(void **state)
{
    (void)state;
    fake_reset();
    Pool *pool = pool_create(&fake_ops, 1, NULL, NULL);
    pw_atomic_store(&pool->size.max, 1);
    PoolWaiterOps ops = {0};
    for (int i = 0; i < 5; i++) {
        fake_client(&c[i], &pool->shards[0]);
        ops = *c[i].w.ops;
        ops.warm = on_warm;
        ops.warm_more = on_warm_more;
        if (i != 3)
            c[i].w.ops = &ops; /* the fourth has no hints */
        fake_acquire(&c[i]);
    }
    assert_int_equal(n_warmed + n_more, 0); /* nobody was served yet */
    pool_server_up(&fake_connecting(&pool->shards[0])->ps);
    assert_ptr_equal(warmed[0], &c[2].w); /* the first was served: the third is the second now */
    assert_ptr_equal(more[0], &c[1].w);
    for (int i = 0; i < 5; i++)
        fake_release(&c[i]);
    assert_int_equal(n_warmed, 2);
    assert_ptr_equal(warmed[1], &c[4].w);
    assert_int_equal(n_more, 3);
    assert_ptr_equal(more[1], &c[2].w);
    assert_ptr_equal(more[2], &c[4].w);
    pool_shard_retire(&pool->shards[0]);
    fake_run_all();
    assert_true(pool_drained(pool));
    pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_ones_are_warmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
