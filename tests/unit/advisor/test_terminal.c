/* SPDX-License-Identifier: ISC */
/* The text report on a terminal: broken at its width but for commands, coloured by what a line is, and harmless. */
#include "fixture.h"

#include "advisor/report/redact.h"
#include "advisor/report/terminal.h"

static void test_width(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    assert_string_equal(adv_for_terminal(arena, "    why       one two three four five six seven eight\n", 40, false),
                        "    why       one two three four five\n              six seven eight\n");
    assert_string_equal(adv_for_terminal(arena, "    do        CREATE INDEX CONCURRENTLY a_very_long_name ON some_table (column);\n", 40, false),
                        "    do        CREATE INDEX CONCURRENTLY a_very_long_name ON some_table (column);\n");
    assert_string_equal(adv_for_terminal(arena, "note: \xc3\xa4\xc3\xb6\xc3\xbc \xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc \xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc 12345678901234567 x\n", 40, false),
                        "note: \xc3\xa4\xc3\xb6\xc3\xbc \xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc \xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\n  12345678901234567 x\n");
    /* A word that never fits stands alone; nothing is lost. */
    assert_string_equal(adv_for_terminal(arena, "a 123456789012345678901234567890123456789012345\n\n", 1, false), "a\n  123456789012345678901234567890123456789012345\n\n");
    adv_arena_destroy(arena);
}

static void test_colours(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    assert_string_equal(adv_for_terminal(arena, "1. CREATE an index on t\n", 80, true), "\033[1;32m1. CREATE an index on t\033[0m\n");
    assert_string_equal(adv_for_terminal(arena, "12. DROP index x on t\n", 80, true), "\033[1;33m12. DROP index x on t\033[0m\n");
    assert_string_equal(adv_for_terminal(arena, "    why       x\n", 80, true), "\033[2m    why       \033[0mx\n");
    assert_string_equal(adv_for_terminal(arena, "nothing special", 80, true), "nothing special\n");
    adv_arena_destroy(arena);
}

/* A statement out of a log must not command the terminal of whoever reads the report. */
static void test_control_characters(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    assert_string_equal(adv_for_terminal(arena, "    why       \033]0;x\a \x7f \xc2\x9b 31m \xc3\xa9\n", 80, true), "\033[2m    why       \033[0m?]0;x? ? ? 31m \xc3\xa9\n");
    adv_arena_destroy(arena);
}

static void test_hidden_constants(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    assert_string_equal(adv_hide_constants(arena, "(state = 'it''s'::text) AND a > 5 AND \"b 5\" IS NULL AND t5 AND E'x\\'y' < $tag$z$tag$"),
                        "(state = $1::text) AND a > $2 AND \"b 5\" IS NULL AND t5 AND $3 < $4");
    adv_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_width), cmocka_unit_test(test_colours), cmocka_unit_test(test_control_characters),
                                       cmocka_unit_test(test_hidden_constants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
