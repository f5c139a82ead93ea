/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "pooler/admin/admin_priv.h"

/* NULL: no idea. */
static void expect(const char *sql, const char *wanted)
{
    char hint[200];
    if (!admin_hint(sql, hint, sizeof(hint)))
        hint[0] = '\0';
    if (strcmp(hint, wanted ? wanted : "") != 0)
        fail_msg("%s: \"%s\", not \"%s\"", sql, hint, wanted ? wanted : "");
}

static void test_show(void **state)
{
    (void)state;
    expect("show pool", "did you mean SHOW POOLS?");
    expect("SHOW STTS;", "did you mean SHOW STATS?");
    expect("select client", "did you mean SHOW CLIENTS?");
    expect("SHOW POOLS WHERE database = 'x'", "the command is SHOW POOLS, with nothing behind it");
    expect("select version()", "the command is SHOW VERSION, with nothing behind it");
    expect("SHOW QUERIES ten", "the command is SHOW QUERIES [n]");
    expect("show default_pool_size", "SHOW CONFIG shows all options with their values");
    expect("SHOW", NULL);
    expect("show something_else", NULL);
}

static void test_commands(void **state)
{
    (void)state;
    expect("pausee", "did you mean PAUSE?");
    expect("KILL CLIENT 3", "the command is KILL [<db>]");
    expect("RELOAD now", "the command is RELOAD");
    expect("SHOW POOLS; SHOW STATS", "one command at a time");
    expect("SHOW pool;", "did you mean SHOW POOLS?");
    expect("SHOW \"a;b\"", NULL);
    expect("SET default_pool_size 5", "SET key = value; a value with other characters than letters, digits and _ stands in quotes: SET stats_users = 'a,b'");
}

static void test_sql(void **state)
{
    (void)state;
    static const char *const texts[] = {"SELECT 1", "INSERT INTO x VALUES (1)", "?", "", "'", "SELECT n.nspname as \"Schema\" FROM pg_class"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect(texts[i], "this is the console of the pooler, not a database: it runs no SQL");
}

/* Whatever comes, it fits. */
static void test_long(void **state)
{
    (void)state;
    char sql[5000], hint[20];
    memset(sql, 'x', sizeof(sql));
    sql[sizeof(sql) - 1] = '\0';
    assert_true(admin_hint(sql, hint, sizeof(hint)));
    assert_int_equal(strlen(hint), sizeof(hint) - 1);
    memcpy(sql, "SHOW ", 5);
    assert_false(admin_hint(sql, hint, sizeof(hint)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show), cmocka_unit_test(test_commands), cmocka_unit_test(test_sql), cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
