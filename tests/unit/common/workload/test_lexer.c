/* SPDX-License-Identifier: ISC */
/* Each row: a text and its tokens as "type:text" joined by blanks ("!" after the type: not closed). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"
#include "poolwise/lexer.h"

typedef struct Row {
    const char *sql;
    const char *tokens;
} Row;

static const char *const short_names[] = {"", "w", "q", "s", "n", "p", "o", "c", "t", "b"};

/* From a copy of exactly its size: AddressSanitizer sees a byte read past the end. */
static void lex_all(const char *sql, size_t len, unsigned flags, char *out, size_t cap)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, sql, len);
    PwLexer lexer = pw_lexer(copy, len, flags);
    PwToken token;
    size_t n = 0;
    out[0] = '\0';
    const char *before = copy;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        assert_true(token.text >= before && token.len > 0);
        before = token.text + token.len;
        assert_ptr_equal(before, lexer.p);
        n += (size_t)snprintf(out + n, cap - n, "%s%s%s:%.*s", n > 0 ? " " : "", short_names[token.type], token.open ? "!" : "",
                              (int)token.len, token.text);
        assert_true(n < cap);
    }
    if (token.open)
        snprintf(out + n, cap - n, "%s(open)", n > 0 ? " " : "");
    assert_int_equal(token.len, 0);
    assert_int_equal(pw_lex_next(&lexer, &token), PW_TOK_END); /* and ever after */
    free(copy);
}

static void check_rows(const Row *rows, size_t n, unsigned flags)
{
    for (size_t i = 0; i < n; i++) {
        char out[2048];
        lex_all(rows[i].sql, strlen(rows[i].sql), flags, out, sizeof(out));
        if (strcmp(out, rows[i].tokens) != 0)
            fail_msg("%s\n  gives  %s\n  not    %s", rows[i].sql, out, rows[i].tokens);
    }
}

static void test_words(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"", ""},
        {" \t\r\n\f\v", ""},
        {"SELECT a", "w:SELECT w:a"},
        {"_a$1 $x", "w:_a$1 b:$ w:x"},
        {"b e n x u", "w:b w:e w:n w:x w:u"},
        {"u&b e'", "w:u o:& w:b s!:e'"},
        {"\xc3\xa4" "b", "w:\xc3\xa4" "b"},
        {"\xff", "w:\xff"},
        {"a.b.\"c\"", "w:a t:. w:b t:. q:\"c\""},
        {"\"a\"\"b\" \"\"", "q:\"a\"\"b\" q:\"\""},
        {"\"a\"\"", "q!:\"a\"\""},
        {"U&\"d\\0061\" u&\"x\"", "q:U&\"d\\0061\" q:u&\"x\""},
        {"U & \"x\"", "w:U o:& q:\"x\""},
        {"a$b$c$", "w:a$b$c$"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), 0);
}

static void test_strings(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"'a' 'b'", "s:'a' s:'b'"},
        {"'a''b'", "s:'a''b'"},
        {"'a\\' b", "s:'a\\' w:b"},
        {"E'a\\'b' c", "s:E'a\\'b' w:c"},
        {"e'\\\\' c", "s:e'\\\\' w:c"},
        {"E'a''b'", "s:E'a''b'"},
        {"'abc", "s!:'abc"},
        {"E'abc\\", "s!:E'abc\\"},
        {"E'abc\\'", "s!:E'abc\\'"},
        {"B'101' x'1F' N'n' U&'\\0061'", "s:B'101' s:x'1F' s:N'n' s:U&'\\0061'"},
        {"X'a\\' b", "s:X'a\\' w:b"},
        {"'a'\n'b'", "s:'a'\n'b'"},
        {"'a' -- c\n  'b' x", "s:'a' -- c\n  'b' w:x"},
        {"'a'-- c\n'b'", "s:'a'-- c\n'b'"},
        {"'a' /* c */\n'b'", "s:'a' s:'b'"},
        {"'a' \t 'b'", "s:'a' s:'b'"},
        {"E'a'\n'\\'b' c", "s:E'a'\n'\\'b' w:c"},
        {"'a'\n", "s:'a'"},
        {"'a' -- c", "s:'a'"},
        {"'a'- 'b'", "s:'a' o:- s:'b'"},
        {"'a'\n\"b\"", "s:'a' q:\"b\""},
        {"'-- no comment /* */'", "s:'-- no comment /* */'"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), 0);
}

static void test_strings_with_backslashes(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"'a\\'b' c", "s:'a\\'b' w:c"},
        {"'a\\\\' c", "s:'a\\\\' w:c"},
        {"N'a\\'b'", "s:N'a\\'b'"},
        {"X'a\\' b", "s:X'a\\' w:b"},
        {"U&'a\\' b", "s:U&'a\\' w:b"},
        {"$$a\\$$ b", "s:$$a\\$$ w:b"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), PW_LEX_BACKSLASH);
}

static void test_dollar_quotes(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"$$a$$", "s:$$a$$"},
        {"$$$$", "s:$$$$"},
        {"$$a'b$$ c", "s:$$a'b$$ w:c"},
        {"$t$ a $$ b $x$ c $t$ d", "s:$t$ a $$ b $x$ c $t$ w:d"},
        {"$t$ a $t $t$", "s:$t$ a $t $t$"},
        {"$T$ a $t$", "s!:$T$ a $t$"},
        {"$t1$a$t1$", "s:$t1$a$t1$"},
        {"$1t$a", "p:$1 w:t$a"},
        {"$1 $22", "p:$1 p:$22"},
        {"$1abc", "p:$1 w:abc"},
        {"a$$b$$", "w:a$$b$$"},
        {"$", "b:$"},
        {"$a", "b:$ w:a"},
        {"$a b$", "b:$ w:a w:b$"},
        {"$\xc3\xa4$x$\xc3\xa4$", "s:$\xc3\xa4$x$\xc3\xa4$"},
        {"$$", "s!:$$"},
        {"$$a$", "s!:$$a$"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), 0);
}

static void test_numbers(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"1 1.5 .5 1. 1e5 1E+5 1.5e-3", "n:1 n:1.5 n:.5 n:1. n:1e5 n:1E+5 n:1.5e-3"},
        {"1..10", "n:1 o:.. n:10"},
        {"1.5.2", "n:1.5 n:.2"},
        {"1e 1e+ 1ex", "n:1 w:e n:1 w:e o:+ n:1 w:ex"},
        {"0x1F 0X1f 0o17 0b101 0x_1 0xg", "n:0x1F n:0X1f n:0o17 n:0b101 n:0x_1 n:0 w:xg"},
        {"0x", "n:0 w:x"},
        {"0b2", "n:0 w:b2"},
        {"1_000 1_000.5_0 1__0 1_", "n:1_000 n:1_000.5_0 n:1 w:__0 n:1 w:_"},
        {"123abc", "n:123 w:abc"},
        {"a.1", "w:a n:.1"},
        {"1.e5", "n:1.e5"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), 0);
}

static void test_operators(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"a::int", "w:a c::: w:int"},
        {"a:b a:=b a=>b a : : b", "w:a t:: w:b w:a o::= w:b w:a o:=> w:b w:a t:: t:: w:b"},
        {"a[1:2]", "w:a t:[ n:1 t:: n:2 t:]"},
        {"a=-1", "w:a o:= o:- n:1"},
        {"a@-1", "w:a o:@- n:1"},
        {"a*-+1", "w:a o:* o:- o:+ n:1"},
        {"a<->b a->>'x' a#>>b a@>b a&&b a||b a!~*b", "w:a o:<-> w:b w:a o:->> s:'x' w:a o:#>> w:b w:a o:@> w:b w:a o:&& w:b w:a o:|| w:b w:a o:!~* w:b"},
        {"a--b", "w:a"},
        {"a+--b\nc", "w:a o:+ w:c"},
        {"a*/*x*/b", "w:a o:* w:b"},
        {"a/*x*/-b", "w:a o:- w:b"},
        {"a<>b a!=b a<=b a>=b", "w:a o:<> w:b w:a o:!= w:b w:a o:<= w:b w:a o:>= w:b"},
        {"a-/b", "w:a o:-/ w:b"},
        {"+-+", "o:+ o:- o:+"},
        {"?-", "o:?-"},
        {"a;b,(c)", "w:a t:; w:b t:, t:( w:c t:)"},
        {"{x} \\ \x01", "b:{ w:x b:} b:\\ b:\x01"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), 0);
}

static void test_comments(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"a -- b", "w:a"},
        {"a -- b\nc", "w:a w:c"},
        {"a -- b\rc", "w:a w:c"},
        {"a /* b */ c", "w:a w:c"},
        {"/* a /* b */ c */ d", "w:d"},
        {"/* a /* b */ c", "(open)"},
        {"/*/ x */ y", "w:y"},
        {"/* x **/ y", "w:y"},
        {"/*", "(open)"},
        {"/* '", "(open)"},
        {"/* ' */ 'x'", "s:'x'"},
        {"-- '\n'x'", "s:'x'"},
        {"/* -- */ x", "w:x"},
        {"-- /*\nx", "w:x"},
        {"-", "o:-"},
        {"/", "o:/"},
        {"a - - b", "w:a o:- o:- w:b"},
        {"/*+ hint */ x", "w:x"},
    };
    check_rows(rows, PW_ARRAY_LEN(rows), 0);
}

static void test_zero_bytes(void **state)
{
    (void)state;
    char out[64];
    lex_all("a\0b", 3, 0, out, sizeof(out));
    assert_memory_equal(out, "w:a b:", 6); /* a bad byte that ends nothing */
}

static void test_token_is(void **state)
{
    (void)state;
    PwLexer lexer = pw_lexer("SeLect \"select\" sel selects", 27, 0);
    PwToken token;
    pw_lex_next(&lexer, &token);
    assert_true(pw_token_is(&token, "select"));
    assert_false(pw_token_is(&token, "sel"));
    assert_false(pw_token_is(&token, "selects"));
    assert_false(pw_token_is(&token, ""));
    pw_lex_next(&lexer, &token);
    assert_false(pw_token_is(&token, "select"));
    pw_lex_next(&lexer, &token);
    assert_false(pw_token_is(&token, "select"));
    pw_lex_next(&lexer, &token);
    assert_false(pw_token_is(&token, "select"));
}

static void test_string_values(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *value; /* NULL: none */
        unsigned flags;
    } rows[] = {
        {"'a''b'", "a'b", 0},
        {"'a\\nb'", "a\\nb", 0},
        {"'a\\nb'", "a\nb", PW_LEX_BACKSLASH},
        {"E'\\t\\101\\x41\\u00e9\\U0001F600\\q\\''", "\tAA\xc3\xa9\xf0\x9f\x98\x80q'", 0},
        {"E'\\uD83D\\uDE00'", "\xf0\x9f\x98\x80", 0},
        {"E'\\uD83D'", NULL, 0},
        {"E'\\u12'", NULL, 0},
        {"E'\\U00110000'", NULL, 0},
        {"'a'\n  'b'", "ab", 0},
        {"'a' -- it's\n'b'", "ab", 0},
        {"$$a'b$$", "a'b", 0},
        {"$t$a$$b$t$", "a$$b", 0},
        {"X'1F'", "1F", 0},
        {"N'x'", "x", 0},
        {"U&'d\\0061t\\+000061\\\\'", "data\\", 0},
        {"U&'d\\00'", NULL, 0},
        {"'open", NULL, 0},
        {"word", NULL, 0},
        {"''", "", 0},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        PwLexer lexer = pw_lexer(rows[i].sql, strlen(rows[i].sql), rows[i].flags);
        PwToken token;
        char out[64];
        pw_lex_next(&lexer, &token);
        size_t n = pw_token_string(&token, rows[i].flags, out, sizeof(out));
        if (rows[i].value == NULL) {
            assert_true(n == SIZE_MAX);
            continue;
        }
        assert_string_equal(out, rows[i].value);
        assert_int_equal(n, strlen(rows[i].value));
        char small[3];
        assert_int_equal(pw_token_string(&token, rows[i].flags, small, sizeof(small)), n);
        assert_int_equal(strlen(small), n < 2 ? n : 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),      cmocka_unit_test(test_strings),   cmocka_unit_test(test_strings_with_backslashes),
        cmocka_unit_test(test_dollar_quotes), cmocka_unit_test(test_numbers), cmocka_unit_test(test_operators),
        cmocka_unit_test(test_comments),   cmocka_unit_test(test_zero_bytes), cmocka_unit_test(test_token_is),
        cmocka_unit_test(test_string_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
