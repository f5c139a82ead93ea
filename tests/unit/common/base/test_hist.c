/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/hist.h"

static void test_bounds_and_index_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PW_HIST_BUCKETS; i++) {
        PwUsec lower = pw_hist_lower(i), next = pw_hist_lower(i + 1);
        assert_true(next > lower);
        assert_int_equal(pw_hist_index(lower), i);
        assert_int_equal(pw_hist_index(next - 1), i);
        if (i >= 4)
            assert_true((next - lower) * 4 <= lower);
    }
    assert_true(pw_hist_lower(PW_HIST_BUCKETS) == INT64_C(1) << 32);
    assert_int_equal(pw_hist_index(-5), 0);
    assert_int_equal(pw_hist_index(INT64_MAX), PW_HIST_BUCKETS - 1);
    assert_int_equal(pw_hist_index(INT64_C(3600) * PW_USEC_PER_SEC), PW_HIST_BUCKETS - 2); /* an hour has a place */
}

static void test_percentiles(void **state)
{
    (void)state;
    static PwHist hist;
    memset(&hist, 0, sizeof(hist));
    assert_int_equal(pw_hist_percentile(&hist, 50), 0);
    for (PwUsec v = 1; v <= 10000; v++)
        pw_hist_add(&hist, v);
    assert_int_equal(hist.count, 10000);
    assert_int_equal(hist.sum, 10000 * 10001 / 2);
    static const double percents[] = {1, 10, 50, 90, 99, 99.9};
    for (unsigned i = 0; i < 6; i++) {
        double expect = percents[i] * 100, got = (double)pw_hist_percentile(&hist, percents[i]);
        assert_true(got >= expect * 0.875 && got <= expect * 1.125);
    }
    assert_true(pw_hist_percentile(&hist, 0) <= 1);
    assert_true(pw_hist_percentile(&hist, 1000) >= 10000);
    assert_true(pw_hist_percentile(&hist, 100) <= 12500);
    assert_true(pw_hist_percentile(&hist, -1) <= 1);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    static PwHist hist;
    memset(&hist, 0, sizeof(hist));
    for (int i = 0; i < 99; i++)
        pw_hist_add(&hist, 3);
    pw_hist_add(&hist, 1000000);
    assert_int_equal(pw_hist_percentile(&hist, 50), 3);
    assert_int_equal(pw_hist_percentile(&hist, 99), 3);
    assert_true(pw_hist_percentile(&hist, 99.5) > 800000);
}

static void test_merge_is_the_sum(void **state)
{
    (void)state;
    static PwHist a, b, both;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    memset(&both, 0, sizeof(both));
    uint32_t x = 12345;
    for (int i = 0; i < 5000; i++) {
        x = x * 1664525 + 1013904223;
        PwUsec v = (PwUsec)(x >> (x & 31));
        pw_hist_add(i % 3 == 0 ? &a : &b, v);
        pw_hist_add(&both, v);
    }
    pw_hist_merge(&a, &b);
    assert_memory_equal(&a, &both, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_and_index_agree),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_merge_is_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
