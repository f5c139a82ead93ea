/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "pooler/admin/stats_period.h"

/* Rates are per second of the span, times per item; a count that went back (cannot happen) is 0, not huge. */
static void test_averages(void **state)
{
    (void)state;
    StatsTable table = {.older_at = 10 * PW_USEC_PER_SEC, .now = 14 * PW_USEC_PER_SEC};
    PoolStats older = {.server_assignment_count = 100, .xact_count = 50, .query_count = 60, .bytes_received = 1000, .xact_time = 7,
                       .query_time = 5, .wait_time = 1000, .bind_count = 9, .wait_failed_count = 2};
    PoolStats now = {.server_assignment_count = 140, .wait_failed_count = 12, .xact_count = 90, .query_count = 160, .bytes_received = 5002, .bytes_sent = 40,
                     .xact_time = 4007, .query_time = 2005, .wait_time = 9000, .client_parse_count = 4, .server_parse_count = 8,
                     .bind_count = 1, .client_login_count = 3};
    PoolStats a;
    memset(&a, 0xff, sizeof(a)); /* each field is written */
    stats_average(&table, &now, &older, &a);
    assert_int_equal(a.server_assignment_count, 10);
    assert_int_equal(a.xact_count, 10);
    assert_int_equal(a.query_count, 25);
    assert_int_equal(a.bytes_received, 1000);
    assert_int_equal(a.bytes_sent, 10);
    assert_int_equal(a.xact_time, 100);
    assert_int_equal(a.query_time, 20);
    assert_int_equal(a.wait_failed_count, 2);
    assert_int_equal(a.wait_time, 160); /* of those that got a server, and of those that did not: */
    assert_int_equal(a.client_parse_count, 1);
    assert_int_equal(a.server_parse_count, 2);
    assert_int_equal(a.bind_count, 0);
    assert_int_equal(a.client_login_count, 0);
}

static void test_nothing_happened(void **state)
{
    (void)state;
    StatsTable table = {.older_at = 5, .now = 5};
    PoolStats same = {.xact_count = 5, .xact_time = 100, .query_time = 3}, a, nothing;
    memset(&nothing, 0, sizeof(nothing));
    stats_average(&table, &same, &same, &a);
    assert_memory_equal(&a, &nothing, sizeof(a));
}

static void test_a_young_process_divides_by_a_second(void **state)
{
    (void)state;
    StatsTable table = {.older_at = 0, .now = PW_USEC_PER_SEC / 10};
    PoolStats now = {.query_count = 30}, older, a;
    memset(&older, 0, sizeof(older));
    stats_average(&table, &now, &older, &a);
    assert_int_equal(a.query_count, 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_nothing_happened),
        cmocka_unit_test(test_a_young_process_divides_by_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
