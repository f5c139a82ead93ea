/* SPDX-License-Identifier: ISC */
#include "poolwise/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void set_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static void formats_the_two_shapes(void **state)
{
    (void)state;
    char text[40];
    set_zone("UTC");
    PwUsec t = INT64_C(1795464897588123); /* 2026-11-23 20:14:57.588123 */
    assert_string_equal(pw_time_format_log(t, text, sizeof(text)), "2026-11-23 20:14:57.588 UTC");
    assert_string_equal(pw_time_format_sec(t, text, sizeof(text)), "2026-11-23 20:14:57 UTC");
    set_zone("XYZ-5:30");
    assert_string_equal(pw_time_format_sec(t, text, sizeof(text)), "2026-11-24 01:44:57 XYZ");
}

static void stays_within_forty_bytes(void **state)
{
    (void)state;
    char text[64];
    memset(text, '#', sizeof(text));
    set_zone("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ0");
    (void)pw_time_format_log(INT64_C(1795464897588123), text, sizeof(text));
    assert_true(strlen(text) < 40);
    (void)pw_time_format_log(INT64_MAX, text, sizeof(text));
    assert_true(strlen(text) < 40);
    char small[8];
    (void)pw_time_format_log(0, small, sizeof(small));
    assert_int_equal(strlen(small), 7);
}

static void times_before_1970_are_right(void **state)
{
    (void)state;
    char text[40];
    set_zone("UTC");
    assert_string_equal(pw_time_format_log(-1, text, sizeof(text)), "1969-12-31 23:59:59.999 UTC");
}

static void clocks_run(void **state)
{
    (void)state;
    PwUsec a = pw_time_mono(), b = pw_time_mono();
    assert_true(a > 0 && b >= a);
    assert_true(llabs((long long)(pw_time_wall() / PW_USEC_PER_SEC - (PwUsec)time(NULL))) <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_the_two_shapes),
        cmocka_unit_test(stays_within_forty_bytes),
        cmocka_unit_test(times_before_1970_are_right),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
