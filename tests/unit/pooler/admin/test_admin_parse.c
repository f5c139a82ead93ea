/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "pooler/admin/admin_parse.h"

static void want(const char *text, const char *word, const char *arg, const char *extra)
{
    AdminRequest r;
    memset(&r, 'x', sizeof(r));
    assert_int_equal(admin_parse(text, &r), PW_OK);
    assert_false(r.is_set);
    assert_string_equal(r.word, word);
    assert_string_equal(r.arg, arg);
    assert_string_equal(r.extra, extra);
    assert_string_equal(r.value, "");
}

static void want_set(const char *text, const char *key, const char *value)
{
    AdminRequest r;
    assert_int_equal(admin_parse(text, &r), PW_OK);
    assert_true(r.is_set);
    assert_string_equal(r.arg, key);
    assert_string_equal(r.value, value);
}

static void want_error(const char *text, PwErr err)
{
    AdminRequest r, before;
    memset(&r, 'x', sizeof(r));
    memset(&before, 'x', sizeof(before));
    assert_int_equal(admin_parse(text, &r), err);
    assert_memory_equal(&r, &before, sizeof(r)); /* results are written on success only */
}

static void test_words(void **state)
{
    (void)state;
    want("SHOW POOLS", "SHOW", "POOLS", "");
    want("show pools;", "show", "pools", "");
    want("  Show\t\r\n pools \n ; \t", "Show", "pools", "");
    want("RELOAD", "RELOAD", "", "");
    want("RELOAD;", "RELOAD", "", "");
    want("SHOW QUERIES 20", "SHOW", "QUERIES", "20");
    want("kill_client 17", "kill_client", "17", "");
}

static void test_nothing_and_comments(void **state)
{
    (void)state;
    want("", "", "", "");
    want(" ; ", "", "", "");
    want("-- ping", "", "", "");
    want("-- a\n-- b\nSHOW -- c\n POOLS; -- d", "SHOW", "POOLS", "");
    want_error("- ping", PW_ERR_SYNTAX);
    want_error("SHOW POOLS -", PW_ERR_SYNTAX);
}

static void test_quotes(void **state)
{
    (void)state;
    want("SHOW \"pools\"", "SHOW", "pools", "");
    want("PAUSE \"my db\";", "PAUSE", "my db", "");
    want("PAUSE \"a\"\"b\"", "PAUSE", "a\"b", "");
    want("PAUSE \"my-db;'x'\"", "PAUSE", "my-db;'x'", "");
    want("\"show\" pools", "show", "pools", "");
}

static void test_set(void **state)
{
    (void)state;
    want_set("SET verbose=1", "verbose", "1");
    want_set("set Verbose = 1 ;", "Verbose", "1");
    want_set("set verbose to 2", "verbose", "2");
    want_set("set verbose TO'2'", "verbose", "2");
    want_set("SET server_reset_query = 'DISCARD TEMP'", "server_reset_query", "DISCARD TEMP");
    want_set("SET a = 'it''s; fine'", "a", "it's; fine");
    want_set("SET a = ''", "a", "");
    want_set("SET a = \"b c\"", "a", "b c");
    want_set("SET \"a\"='x'", "a", "x");
}

static void test_not_of_this_form(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "SHOW POOLS; SHOW POOLS", "SHOW a b c d", "SHOW pools extra more;", "SHOW 'pools'", ";;",
        "PAUSE my-db", "PAUSE \"open", "PAUSE \"\"", "SET", "SET a", "SET a =", "SET a 1", "SET a = 1 2", "SET a = 'open", "SET a tox 1",
        "SET = 1", "SET ato 1", "SET a = 'x' y", "SHOW pools;;", "SHOWpools\"x\" y\"", "SELECT 1+1", "\xc3\xa4 b",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        want_error(wrong[i], PW_ERR_SYNTAX);
}

static void test_lengths(void **state)
{
    (void)state;
    char text[800], word[400];
    memset(word, 'w', sizeof(word));
    word[63] = '\0';
    snprintf(text, sizeof(text), "PAUSE %s", word);
    want(text, "PAUSE", word, "");
    snprintf(text, sizeof(text), "PAUSE \"%s\"", word);
    want(text, "PAUSE", word, "");
    word[63] = 'w';
    word[64] = '\0';
    snprintf(text, sizeof(text), "PAUSE %s", word);
    want_error(text, PW_ERR_TOO_LARGE);
    snprintf(text, sizeof(text), "PAUSE \"%s\"", word);
    want_error(text, PW_ERR_TOO_LARGE);
    want("abcdefghijklmno", "abcdefghijklmno", "", "");
    want_error("abcdefghijklmnop", PW_ERR_TOO_LARGE);
    word[64] = 'w';
    word[255] = '\0';
    snprintf(text, sizeof(text), "SET a = '%s'", word);
    want_set(text, "a", word);
    word[255] = 'w';
    word[256] = '\0';
    snprintf(text, sizeof(text), "SET a = '%s'", word);
    want_error(text, PW_ERR_TOO_LARGE);
    snprintf(text, sizeof(text), "SET a = %s", word);
    want_error(text, PW_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),   cmocka_unit_test(test_nothing_and_comments), cmocka_unit_test(test_quotes), cmocka_unit_test(test_set),
        cmocka_unit_test(test_not_of_this_form), cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
