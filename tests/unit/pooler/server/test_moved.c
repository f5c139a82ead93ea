/* SPDX-License-Identifier: ISC */
#include "pooler/server/moved.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

static NetAddr ip(const char *text, uint16_t port)
{
    NetAddr addr;
    assert_int_equal(net_addr_parse_ip(text, port, &addr), PW_OK);
    return addr;
}

static void told_once(void **state)
{
    (void)state;
    NetAddr here = ip("10.0.0.1", 5432), lost = ip("10.0.0.1", 0);
    uint64_t epoch = moved_epoch(), other_name = epoch, other_addr = epoch;
    NetAddr there = ip("10.0.0.2", 5432);
    assert_false(moved_since(&epoch, "db.test", &here));
    moved_note(NULL, "db.test", &lost);
    assert_true(moved_since(&epoch, "DB.Test", &here));
    assert_false(moved_since(&epoch, "db.test", &here));
    assert_false(moved_since(&other_name, "db2.test", &here));
    assert_false(moved_since(&other_addr, "db.test", &there));
    uint64_t late = moved_epoch();
    assert_false(moved_since(&late, "db.test", &here));
}

/* Who did not look for very long cannot know. */
static void forgotten_losses_count(void **state)
{
    (void)state;
    NetAddr here = ip("10.0.0.1", 5432), lost = ip("10.0.0.9", 0);
    uint64_t epoch = moved_epoch(), later = epoch + 1;
    for (int i = 0; i < 257; i++)
        moved_note(NULL, "x.test", &lost);
    assert_false(moved_since(&later, "db.test", &here));
    assert_true(moved_since(&epoch, "db.test", &here));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_once),
        cmocka_unit_test(forgotten_losses_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
