/* SPDX-License-Identifier: ISC */
/* check_saslprep.py holds the same function against Python's unicodedata for every code point; here are the
 * cases that a person can read. */
#include "auth_test.h"
#include "pooler/auth/saslprep.h"

#include <stdlib.h>
#include <time.h>

static void check(const char *in, const char *want)
{
    char *got = saslprep(in);
    assert_string_equal(got, want);
    free(got);
}

static void rfc_4013_examples(void **state)
{
    (void)state;
    check("I\xC2\xADX", "IX");      /* soft hyphen is mapped to nothing */
    check("user", "user");
    check("USER", "USER");          /* case stays */
    check("\xC2\xAA", "a");         /* NFKC */
    check("\xE2\x85\xA8", "IX");    /* NFKC */
    check("\xD8\xA7" "1", "\xD8\xA7" "1"); /* bidirectional rule broken: used as typed */
}

static void as_postgresql(void **state)
{
    (void)state;
    check("", "");
    check("a\x07z", "a\x07z");                        /* ASCII is never looked at */
    check("\xC2\xA0", " ");                           /* non-ASCII space */
    check("e\xCC\x81", "\xC3\xA9");                   /* composed */
    check("\xED\x95\x9C", "\xED\x95\x9C");            /* Hangul: apart and together again */
    check("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C");
    check("q\xCC\x87\xCC\xA3", "q\xCC\xA3\xCC\x87");  /* marks by their class */
    check("a\xCC\x85\xCC\x81", "a\xCC\x85\xCC\x81");  /* the first mark keeps the second, of its class, away */
    check("\xD8\xA7\xC2\xAA", "\xD8\xA7\xC2\xAA");    /* would be "a" behind an Arabic letter: as typed */
    check("\xC2\xAD", "\xC2\xAD");                    /* nothing would be left: as typed */
    check("\xC3\xA9\x07", "\xC3\xA9\x07");            /* a prohibited control: as typed */
    check("\xD8\xA7\xD8\xA8", "\xD8\xA7\xD8\xA8");    /* right to left throughout */
    check("\xD8\xA7" "b\xD8\xA7", "\xD8\xA7" "b\xD8\xA7");
}

static void not_utf8_is_used_as_typed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "caf\xE9", "\xC3", "\xE2\x85", "\xF0\x9F\x98", "\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF",
        "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xFF\xC2\xAA", "\xC2\xAA\xC2",
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++)
        check(bad[i], bad[i]);
}

/* Whoever may try a password may try 32,000 combining marks: ordering them must not cost their
 * square, a billion steps. */
static void many_marks_are_cheap(void **state)
{
    (void)state;
    enum { MARKS = 32000 };
    char *in = malloc(2 * MARKS + 2);
    in[0] = 'q';
    for (size_t i = 0; i < MARKS; i++)
        memcpy(in + 1 + 2 * i, i % 2 ? "\xCC\xA3" : "\xCC\x87", 2); /* classes 220 and 230, always in wrong order */
    in[2 * MARKS + 1] = '\0';
    clock_t start = clock();
    char *got = saslprep(in);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    assert_int_equal(strlen(got), strlen(in));
    assert_memory_equal(got + 1, "\xCC\xA3\xCC\xA3", 4);
    assert_memory_equal(got + 2 * MARKS - 3, "\xCC\x87\xCC\x87", 4);
    assert_true(seconds < 2.0);
    free(got);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4013_examples),
        cmocka_unit_test(as_postgresql),
        cmocka_unit_test(not_utf8_is_used_as_typed),
        cmocka_unit_test(many_marks_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
