/* SPDX-License-Identifier: ISC */
#include "poolwise/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "poolwise/buf.h"

/* Everything that the lexer said, one line each. */
static PwBuf said;

static void on_section(void *arg, PwIniPlace at, const char *section)
{
    (void)arg;
    pw_buf_printf(&said, "%d [%s]\n", at.line, section);
}

static void on_key(void *arg, PwIniPlace at, const char *section, const char *key,
                   const char *value)
{
    (void)arg;
    pw_buf_printf(&said, "%d %s.%s=<%s>\n", at.line, section, key, value);
}

static void on_error(void *arg, PwIniPlace at, const char *text)
{
    (void)arg;
    pw_buf_printf(&said, "%d ! %s\n", at.line, text);
}

static const PwIniHandler handler = {NULL, on_section, on_key, on_error};

static void expect(const char *want)
{
    pw_buf_append_u8(&said, '\0');
    assert_string_equal((const char *)pw_buf_head(&said), want);
    pw_buf_finish(&said);
}

static PwErr read_text(const char *text)
{
    pw_buf_init(&said);
    return pw_ini_read_text("t", text, strlen(text), &handler);
}

static void grammar(void **state)
{
    (void)state;
    assert_int_equal(read_text("; comment\n"
                               "   # comment\n"
                               "\n"
                               "[databases]\n"
                               "  a = host=1 ; no comment here  \n"
                               "\tb.c-d*_9=x\r\n"
                               "'it''s a key' = 'v'\n"
                               "empty =\n"
                               "eq = a = b = c\n"
                               "[users] ; a comment behind a section\n"
                               "[databases]\n"
                               "a = again"),
                     PW_OK);
    expect("4 [databases]\n"
           "5 databases.a=<host=1 ; no comment here>\n"
           "6 databases.b.c-d*_9=<x>\n"
           "7 databases.it's a key=<'v'>\n"
           "8 databases.empty=<>\n"
           "9 databases.eq=<a = b = c>\n"
           "10 [users]\n"
           "11 [databases]\n"
           "12 databases.a=<again>\n");
}

static void every_mistake_is_told(void **state)
{
    (void)state;
    assert_int_equal(read_text("early = 1\n"
                               "[s]\n"
                               "no value\n"
                               "alone\n"
                               "\"double\" = 1\n"
                               "'open = 1\n"
                               "'' = 1\n"
                               "[open\n"
                               "%exclude x\n"
                               "%include\n"
                               "%include x\n"
                               "good = 1\n"),
                     PW_ERR_SYNTAX);
    expect("1 ! a key before the first [section]\n"
           "2 [s]\n"
           "3 ! expected \"=\" behind the key; other names need single quotes\n"
           "4 ! expected \"=\" and a value behind the key\n"
           "5 ! a name with other characters stands in single quotes, not in double ones\n"
           "6 ! a quoted key does not end\n"
           "7 ! the key is empty\n"
           "8 ! \"[\" without \"]\"\n"
           "9 ! unknown directive; only \"%include FILE\" exists\n"
           "10 ! unknown directive; only \"%include FILE\" exists\n"
           "11 ! %include is not possible here\n"
           "12 s.good=<1>\n");
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    pw_buf_init(&said);
    static const char text[] = "[s]\na = x\0y\nb = 1";
    assert_int_equal(pw_ini_read_text("t", text, sizeof(text) - 1, &handler), PW_ERR_SYNTAX);
    expect("1 [s]\n2 ! a NUL byte in the line\n3 s.b=<1>\n");
}

static void long_values_come_whole(void **state)
{
    (void)state;
    PwBuf text;
    pw_buf_init(&text);
    pw_buf_append_str(&text, "[s]\nk = ");
    for (int i = 0; i < 100000; i++)
        pw_buf_append_u8(&text, 'x');
    pw_buf_init(&said);
    assert_int_equal(pw_ini_read_text("t", (const char *)text.data, text.len, &handler), PW_OK);
    assert_int_equal(pw_buf_unread(&said), strlen("1 [s]\n") + strlen("2 s.k=<>\n") + 100000);
    pw_buf_finish(&text);
    pw_buf_finish(&said);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
}

static void includes_share_the_section(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_ini_XXXXXX", a[64], b[64], text[200];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(a, sizeof(a), "%s/a.ini", dir);
    (void)snprintf(b, sizeof(b), "%s/b.ini", dir);
    (void)snprintf(text, sizeof(text), "[one]\n  %%include %s  \nz = 3\n", b);
    write_file(a, text);
    write_file(b, "x = 1\n[two]\ny = 2");
    pw_buf_init(&said);
    assert_int_equal(pw_ini_read_file(a, &handler), PW_OK);
    expect("1 [one]\n1 one.x=<1>\n2 [two]\n3 two.y=<2>\n3 two.z=<3>\n");

    (void)snprintf(text, sizeof(text), "[s]\n%%include %s\n", a);
    write_file(a, text); /* includes itself: 10 levels, then one error */
    pw_buf_init(&said);
    assert_int_equal(pw_ini_read_file(a, &handler), PW_ERR_SYNTAX);
    pw_buf_append_u8(&said, '\0');
    const char *all = (const char *)pw_buf_head(&said);
    int sections = 0, errors = 0;
    for (const char *p = all; (p = strstr(p, "[s]\n")) != NULL; p++)
        sections++;
    for (const char *p = all; (p = strstr(p, " ! ")) != NULL; p++)
        errors++;
    assert_int_equal(sections, PW_INI_MAX_DEPTH + 1);
    assert_int_equal(errors, 1);
    assert_non_null(strstr(all, "nested too deeply"));
    pw_buf_finish(&said);

    write_file(a, "[s]\n%include /nonexistent/x.ini\nk = 1\n"); /* the rest is still read */
    pw_buf_init(&said);
    assert_int_equal(pw_ini_read_file(a, &handler), PW_ERR_SYNTAX);
    expect("1 [s]\n2 ! cannot read \"/nonexistent/x.ini\": No such file or directory\n3 s.k=<1>\n");
    (void)unlink(a);
    (void)unlink(b);
    pw_buf_init(&said);
    assert_int_equal(pw_ini_read_file(dir, &handler), PW_ERR_IO);
    assert_int_equal(pw_buf_unread(&said) > 0, 1);
    pw_buf_finish(&said);
    (void)rmdir(dir);
    pw_buf_init(&said);
    assert_int_equal(pw_ini_read_file(a, &handler), PW_ERR_IO);
    pw_buf_finish(&said);
}

static void on_pair(void *arg, const char *key, const char *value)
{
    (void)arg;
    pw_buf_printf(&said, "%s=<%s>\n", key, value);
}

static const char *pairs(const char *text)
{
    const char *problem = NULL;
    pw_buf_init(&said);
    PwErr err = pw_ini_read_pairs(text, on_pair, NULL, &problem);
    assert_int_equal(err, problem == NULL ? PW_OK : PW_ERR_SYNTAX);
    return problem;
}

static void pairs_follow_the_quoting(void **state)
{
    (void)state;
    assert_null(pairs("  host=1.2.3.4   user = 'o''neill' q='a b'\tlast=it's"));
    expect("host=<1.2.3.4>\nuser=<o'neill>\nq=<a b>\nlast=<it's>\n");
    assert_null(pairs(""));
    expect("");
}

static void bad_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said, *problem;
    } rows[] = {
        {"a=1 b", "a=<1>\n", "expected key=value pairs"},
        {"a=1 b=", "a=<1>\n", "a value is empty"},
        {"a=''", "", "a value is empty"},
        {"=x", "", "a key is missing"},
        {"a='open", "", "a quoted value does not end"},
        {"a='x'y", "", "a blank is missing"},
        {"a=x secret word=3", "a=<x>\n", "expected key=value pairs"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *problem = pairs(rows[i].text);
        assert_non_null(problem);
        assert_non_null(strstr(problem, rows[i].problem));
        expect(rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(every_mistake_is_told),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(long_values_come_whole),
        cmocka_unit_test(includes_share_the_section),
        cmocka_unit_test(pairs_follow_the_quoting),
        cmocka_unit_test(bad_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
