/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"
#include "poolwise/fingerprint.h"

static PwNormalised normalise(const char *sql, unsigned flags, char *out)
{
    size_t len = strlen(sql);
    char *copy = malloc(len > 0 ? len : 1); /* exactly its size, for AddressSanitizer */
    memcpy(copy, sql, len);
    PwNormalised result = pw_normalise(copy, len, flags, out, PW_QUERY_TEXT_MAX + 1);
    assert_true(result.fingerprint == pw_fingerprint(copy, len, flags));
    assert_true(result.fingerprint != 0);
    assert_int_equal(result.len, strlen(out));
    free(copy);
    return result;
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text;
        PwSqlKind kind;
    } rows[] = {
        {"", "", PW_SQL_OTHER},
        {" ; ;; ", "", PW_SQL_OTHER},
        {"SELECT  *\nFROM T WHERE a=1 AND b = 'x' -- c", "select * from t where a = $1 and b = $2", PW_SQL_SELECT},
        {"select 1;select 2;", "select $1; select $2", PW_SQL_SELECT},
        {"select \"A\".\"b\"  from \"A\"", "select \"A\".\"b\" from \"A\"", PW_SQL_SELECT},
        {"select $3, $1", "select $1, $2", PW_SQL_SELECT},
        {"select COUNT ( * )", "select count(*)", PW_SQL_SELECT},
        {"select a from t where x in(1)", "select a from t where x in ($1)", PW_SQL_SELECT},
        {"select a from t where x in (1, $2,'c' , -4)", "select a from t where x in ($1)", PW_SQL_SELECT},
        {"select a from t where (x,y) in ((1,2),(3,4))", "select a from t where (x, y) in (($1, $2))", PW_SQL_SELECT},
        {"select a from t where x in (1,f(2),3,4)", "select a from t where x in ($1, f($2), $3)", PW_SQL_SELECT},
        {"select a from t where x in (select b,b from u)", "select a from t where x in (select b, b from u)", PW_SQL_SELECT},
        {"select a from t where x in (b, c, c)", "select a from t where x in (b, c)", PW_SQL_SELECT},
        {"insert into t values (1, b), (2, c)", "insert into t values ($1, b), ($2, c)", PW_SQL_INSERT},
        {"select f(1,2), (3,4)", "select f($1, $2), ($3, $4)", PW_SQL_SELECT},
        {"select array[1,2], array[[1,2],[3,4]], a[1]", "select array[$1], array[[$2]], a[$3]", PW_SQL_SELECT},
        {"select * from t where x = any('{1,2}')", "select * from t where x = any ($1)", PW_SQL_SELECT},
        {"insert into t(a) values(1),(2),(3) returning a", "insert into t(a) values ($1) returning a", PW_SQL_INSERT},
        {"insert into t values(1,null),(2,true),(3,false) on conflict do nothing",
         "insert into t values ($1, $2) on conflict do nothing", PW_SQL_INSERT},
        {"insert into t values(1,default),(2,3)", "insert into t values ($1, default), ($2, $3)", PW_SQL_INSERT},
        {"select * from (values (1,'a'),(2,'b')) v", "select * from (values ($1, $2)) v", PW_SQL_SELECT},
        {"values (1), (2)", "values ($1)", PW_SQL_SELECT},
        {"select a - 5, -5, a -5, a - -5, (-5), f(-5), not -5 from t limit -1",
         "select a - $1, $2, a - $3, a - $4, ($5), f($6), not $7 from t limit $8", PW_SQL_SELECT},
        {"select case when a > -1 then -2 else -3 end - 4", "select case when a > $1 then $2 else $3 end - $4", PW_SQL_SELECT},
        {"select -a, +5, - 7", "select - a, + $1, $2", PW_SQL_SELECT},
        {"select a from t order by 1, 2 desc", "select a from t order by 1, 2 desc", PW_SQL_SELECT},
        {"select a from t group by 1 having b > 1 order by 1+1 limit 3",
         "select a from t group by 1 having b > $1 order by $2 + $3 limit $4", PW_SQL_SELECT},
        {"select a from t order by 1 union select 2, 3", "select a from t order by 1 union select $1, $2", PW_SQL_SELECT},
        {"select a from t order by 'x', 1.5", "select a from t order by $1, $2", PW_SQL_SELECT},
        {"select rank() over (order by 1), 5", "select rank() over (order by 1), $1", PW_SQL_SELECT},
        {"select a::varchar(20), b::numeric(10,2), c::timestamp(3)",
         "select a::varchar(20), b::numeric(10, 2), c::timestamp(3)", PW_SQL_SELECT},
        {"select varchar20(20)", "select varchar20($1)", PW_SQL_SELECT},
        {"select date '2024-01-31', interval '1' day, x.date", "select $1::date, $2::interval day, x.date", PW_SQL_SELECT},
        {"select timestamp with time zone 'x', now() at time zone 'UTC'",
         "select $1::timestamp with time zone, now() at time zone $2", PW_SQL_SELECT},
        {"select U&'d!0061' UESCAPE '!', 1", "select $1, $2", PW_SQL_SELECT},
        {"select 'a'\n'b', E'\\'', $$x$$, B'1', N'x'", "select $1, $2, $3, $4, $5", PW_SQL_SELECT},
        {"select a!=1, b<>2", "select a <> $1, b <> $2", PW_SQL_SELECT},
        {"select a->>'x', a@>'{}', a ? 'k', a ?| array['k','l']",
         "select a ->> $1, a @> $2, a ? $3, a ?| array[$4]", PW_SQL_SELECT},
        {"select a[1:2], a[:3]", "select a[$1:$2], a[:$3]", PW_SQL_SELECT},
        {"select u & \"x\", U&\"\\0061\"", "select u & \"x\", U&\"\\0061\"", PW_SQL_SELECT},
        {"with a as (select 1), b as (delete from t) insert into u select 2",
         "with a as (select $1), b as (delete from t) insert into u select $2", PW_SQL_INSERT},
        {"with recursive a as (select 1) select * from a", "with recursive a as (select $1) select * from a", PW_SQL_SELECT},
        {"(select 1) union (select 2)", "(select $1) union (select $2)", PW_SQL_SELECT},
        {"alter role r password 'geheim'", "alter role r password $1", PW_SQL_DDL},
        {"set work_mem = '64MB'", "set work_mem = $1", PW_SQL_SET},
        {"select 'open", "select $1", PW_SQL_SELECT},
        {"select \"open", "select \"open\"", PW_SQL_SELECT},
        {"select {fn x}", "select \\ fn x \\", PW_SQL_SELECT},
        {"BEGIN ISOLATION LEVEL SERIALIZABLE", "begin isolation level serializable", PW_SQL_TRANSACTION},
        {"copy t from stdin", "copy t from stdin", PW_SQL_COPY},
        {"explain (analyze) select 1", "explain(analyze) select $1", PW_SQL_EXPLAIN},
        {"vacuum t", "vacuum t", PW_SQL_MAINTENANCE},
        {"))) ]", ")))]", PW_SQL_OTHER},
        {"f(((", "f(((", PW_SQL_OTHER},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        char out[PW_QUERY_TEXT_MAX + 1];
        PwNormalised result = normalise(rows[i].sql, 0, out);
        if (strcmp(out, rows[i].text) != 0)
            fail_msg("%s\n  gives  %s\n  not    %s", rows[i].sql, out, rows[i].text);
        if (result.kind != rows[i].kind)
            fail_msg("%s is %s", rows[i].sql, pw_sql_kind_name(result.kind));
        assert_false(result.truncated);
    }
}

static bool same(const char *a, const char *b)
{
    return pw_fingerprint(a, strlen(a), 0) == pw_fingerprint(b, strlen(b), 0);
}

static void test_groups(void **state)
{
    (void)state;
    static const char *const equal[][2] = {
        {"select 1", "SELECT /* x */ 'two' ;"},
        {"select a from t where b = -5", "select a from t where b = 5"},
        {"select a from t where b in (1)", "select a from t where b in (1,2,3,4,5,6,7,8,9,10,11)"},
        {"insert into t values (1,2)", "insert into t values (1,2),(3,null)"},
        {"select date '2024-01-01'", "select '2024-01-02'::date"},
        {"select $1", "select 'x'"},
        {"select a.b", "select a . b"},
        {"select a != b", "select a <> b"},
        {"select ARRAY[1]", "select array [1, 2]"},
        {"select 1 -- x", "select 1"},
        {"select 'a' 'b'", "select 'c' 'd'"},
    };
    static const char *const different[][2] = {
        {"select a", "select b"},
        {"select a", "select \"a\""},
        {"select a, b", "select b, a"},
        {"select ab", "select a b"},
        {"select a from t order by 1", "select a from t order by 2"},
        {"select f(1)", "select f(1, 2)"},
        {"select a - 1", "select a, -1"},
        {"select true", "select false"},
        {"select a is null", "select a is not null"},
        {"select 1; select 2", "select 1, 2"},
        {"select \"a b\"", "select \"a  b\""},
        {"select x::varchar(1)", "select x::varchar(2)"},
        {"select a @- 1", "select a @ -1"},
        {"", "select"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(equal); i++)
        if (!same(equal[i][0], equal[i][1]))
            fail_msg("apart: %s | %s", equal[i][0], equal[i][1]);
    for (size_t i = 0; i < PW_ARRAY_LEN(different); i++)
        if (same(different[i][0], different[i][1]))
            fail_msg("together: %s | %s", different[i][0], different[i][1]);
}

/* Fingerprints stand in files that later versions read: a change here is a new version of the format. */
static void test_fingerprints_stay(void **state)
{
    (void)state;
    char out[PW_QUERY_TEXT_MAX + 1];
    assert_true(normalise("select * from t where a = 1 and b in (2, 3)", 0, out).fingerprint == UINT64_C(0xd13db8f12508a3dc));
    assert_true(normalise("", 0, out).fingerprint == UINT64_C(0x2d06800538d394c2));
}

static void test_backslashes_follow_the_client(void **state)
{
    (void)state;
    char on[PW_QUERY_TEXT_MAX + 1], off[PW_QUERY_TEXT_MAX + 1];
    static const char sql[] = "select 'a\\', b from t -- '";
    normalise(sql, 0, on);
    normalise(sql, PW_LEX_BACKSLASH, off);
    assert_string_equal(on, "select $1, b from t");
    assert_string_equal(off, "select $1");
}

static char *repeat(const char *start, const char *part, size_t times, const char *end)
{
    char *text = malloc(strlen(start) + strlen(part) * times + strlen(end) + 1), *p = text;
    p = stpcpy(p, start);
    for (size_t i = 0; i < times; i++)
        p = stpcpy(p, part);
    stpcpy(p, end);
    return text;
}

static void test_long_lists_are_one_element(void **state)
{
    (void)state;
    char out[PW_QUERY_TEXT_MAX + 1];
    char *in = repeat("select * from t where id in (0", ",1234567", 100000, ")");
    char *values = repeat("insert into t values (1, 'x')", ", (2, 'yyyyyyyyyyyyyy')", 50000, "");
    normalise(in, 0, out);
    assert_string_equal(out, "select * from t where id in ($1)");
    normalise(values, 0, out);
    assert_string_equal(out, "insert into t values ($1, $2)");
    free(in);
    free(values);
}

static void test_long_texts_are_cut_between_tokens(void **state)
{
    (void)state;
    char out[PW_QUERY_TEXT_MAX + 1], again[PW_QUERY_TEXT_MAX + 1];
    char *a = repeat("select ", "column_name, ", 5000, "a");
    char *b = repeat("select ", "column_name, ", 5000, "b");
    PwNormalised first = normalise(a, 0, out), second = normalise(b, 0, again);
    assert_true(first.truncated && second.truncated);
    assert_string_equal(out, again);
    assert_true(first.fingerprint != second.fingerprint); /* the whole text counts */
    assert_true(first.len > PW_QUERY_TEXT_MAX - 600);
    const char *last = strrchr(out, ' ') + 1;
    assert_true(strcmp(last, "column_name,") == 0 || strcmp(last, "column_name") == 0);
    assert_int_equal(first.kind, PW_SQL_SELECT);
    free(a);
    free(b);

    char *word = repeat("select ", "x", 100000, " from t");
    PwNormalised long_word = normalise(word, 0, out);
    assert_true(long_word.truncated);
    assert_string_equal(out, "select");
    free(word);
}

/* Short texts are copied and read 16 bytes at a time to their end, long ones are not: blanks behind a text must
 * change nothing, whatever its bytes and wherever its words end. */
static void test_length_of_the_text_does_not_matter(void **state)
{
    (void)state;
    static char sql[4096];
    for (unsigned i = 0; i < 256 + 64; i++) {
        char text[128];
        size_t n;
        if (i < 256) {
            n = (size_t)snprintf(text, sizeof(text), "select A_b%cZ9$c from X_y", i != 0 ? (int)i : ' ');
            text[10] = (char)i;
        } else { /* words of every length, at every distance from the end */
            n = (size_t)snprintf(text, sizeof(text), "select %.*s from T%.*s", (int)(i - 255),
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$abcdefghijklmnopqrstuvwxyz", (int)(i % 17), "aAaAaAaAaAaAaAaAaA");
        }
        char *exact = malloc(n);
        memcpy(exact, text, n);
        uint64_t fingerprint = pw_fingerprint(exact, n, 0);
        free(exact);
        if (i == '"' || i == '\'' || i == '-' || i == '/')
            continue; /* what follows would be inside, or a comment */
        memset(sql, ' ', sizeof(sql));
        memcpy(sql, text, n);
        for (size_t len = 1000; len < 1100; len++)
            assert_true(pw_fingerprint(sql, len, 0) == fingerprint);
        assert_true(pw_fingerprint(sql, sizeof(sql), 0) == fingerprint);
    }
}

/* The fast way through a word and the lexer must fold alike. */
static void test_words_are_folded_as_the_lexer_does(void **state)
{
    (void)state;
    char out[PW_QUERY_TEXT_MAX + 1];
    for (unsigned i = 1; i < 256; i++) {
        char text[] = "select xXx, 1";
        text[8] = (char)i;
        PwLexer lexer = pw_lexer(text + 7, strlen(text + 7), 0);
        PwToken token;
        pw_lex_next(&lexer, &token);
        normalise(text, 0, out);
        if (token.len == 3) {
            char word[4] = {'x', (char)(i >= 'A' && i <= 'Z' ? i + 32 : i), 'x', '\0'};
            assert_memory_equal(out + 7, word, 3);
            assert_string_equal(out + 10, ", $1");
        } else if (i != '\'') { /* that one makes it a bit string */
            assert_int_equal(out[7], 'x');
            assert_non_null(strchr(" ,.:()[];", out[8]));
        }
    }
}

static void test_small_buffers(void **state)
{
    (void)state;
    static const char sql[] = "select aaa, 'x' from t";
    char whole[PW_QUERY_TEXT_MAX + 1];
    normalise(sql, 0, whole); /* select aaa, $1 from t */
    for (size_t cap = 1; cap <= strlen(whole) + 1; cap++) {
        char *out = malloc(cap);
        PwNormalised result = pw_normalise(sql, strlen(sql), 0, out, cap);
        assert_int_equal(strlen(out), result.len);
        assert_memory_equal(out, whole, result.len);
        assert_int_equal(result.truncated, cap < strlen(whole) + 1);
        if (result.truncated) /* never inside a token */
            assert_true(result.len == 0 || strchr(" ,", whole[result.len]) != NULL);
        free(out);
    }
}

static void test_deep_brackets(void **state)
{
    (void)state;
    char out[PW_QUERY_TEXT_MAX + 1];
    char *open = repeat("select ", "(", 500, "1, 2");
    char *sql = repeat(open, ")", 500, ", x in (1, 2)");
    normalise(sql, 0, out);
    assert_non_null(strstr(out, "x in ($3)")); /* bookkeeping is right again after it */
    free(open);
    free(sql);
}

static void test_kind_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PW_SQL_KIND_COUNT; i++)
        assert_int_equal(pw_sql_kind_from_name(pw_sql_kind_name((PwSqlKind)i)), i);
    assert_int_equal(pw_sql_kind_from_name("no such"), PW_SQL_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_fingerprints_stay),
        cmocka_unit_test(test_backslashes_follow_the_client),
        cmocka_unit_test(test_long_lists_are_one_element),
        cmocka_unit_test(test_long_texts_are_cut_between_tokens),
        cmocka_unit_test(test_length_of_the_text_does_not_matter),
        cmocka_unit_test(test_words_are_folded_as_the_lexer_does),
        cmocka_unit_test(test_small_buffers),
        cmocka_unit_test(test_deep_brackets),
        cmocka_unit_test(test_kind_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
