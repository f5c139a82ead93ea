/* SPDX-License-Identifier: ISC */
#include "auth_test.h"
#include "pooler/auth/userlist.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static PwDiag diags;

static int setup(void **state)
{
    (void)state;
    pw_diag_init(&diags);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pw_diag_finish(&diags);
    return 0;
}

static UserList *parse_n(const char *text, size_t n)
{
    UserList *list = NULL;
    assert_int_equal(userlist_parse("users.txt", text, n, &list, &diags), PW_OK);
    return list;
}

static UserList *parse(const char *text)
{
    return parse_n(text, strlen(text));
}

static void has(const UserList *list, const char *user, const char *secret)
{
    const Secret *s = userlist_find(list, user);
    if (!secret) {
        assert_null(s);
        return;
    }
    assert_non_null(s);
    assert_string_equal(s->text, secret);
}

static void lines(void **state)
{
    (void)state;
    UserList *list = parse("\xEF\xBB\xBF; the users\n"
                           "\"alice\" \"secret\"\n"
                           "\n   \t\n"
                           "  \"bob\"\t\"" PG_MD5_SECRET "\" rest \"of\" the line\r\n"
                           "   ; \"carol\" \"x\"\n"
                           "\"dave\"\"s\" \"say \"\"hello\"\" \\n\"\n"
                           "\"eve\"\"\" \"\"\n"
                           "\"gina\": \"one\"\n\"hal\",\"two\"\n"
                           "\"frank\"\"\"\"\"\"\" \"\"\n" /* frank followed by three quotes */
                           "\"\xC3\xA9\" \"" PG_SCRAM_SECRET "\"");
    assert_int_equal(diags.n, 0);
    assert_int_equal(userlist_count(list), 8);
    has(list, "gina", "one");
    has(list, "hal", "two");
    has(list, "alice", "secret");
    has(list, "bob", PG_MD5_SECRET);
    has(list, "carol", NULL);
    has(list, "dave\"s", "say \"hello\" \\n");
    has(list, "eve\"", "");
    has(list, "frank\"\"\"", "");
    has(list, "\xC3\xA9", PG_SCRAM_SECRET);
    assert_int_equal(userlist_find(list, "bob")->kind, SECRET_MD5);
    assert_int_equal(userlist_find(list, "eve\"")->kind, SECRET_EMPTY);
    assert_int_equal(userlist_find(list, "\xC3\xA9")->kind, SECRET_SCRAM);
    const char *name;
    assert_string_equal(userlist_at(list, 1, &name)->text, PG_MD5_SECRET);
    assert_string_equal(name, "bob");
    has(list, "ali", NULL);
    has(list, "alice ", NULL);
    has(list, "", NULL);
    userlist_unref(list);
}

/* The text is wrong on line 2: a is there, c is not, and one error says where and what. */
static void check_stop(const char *line, const char *want)
{
    PwBuf text;
    pw_buf_init(&text);
    pw_buf_printf(&text, "\"a\" \"1\"\n%s\n\"c\" \"3\"\n", line);
    UserList *list = parse_n((const char *)text.data, text.len);
    has(list, "a", "1");
    has(list, "c", NULL);
    assert_int_equal(userlist_count(list), 1);
    assert_int_equal(diags.n_errors, 1);
    char *shown = pw_diag_format(&diags.items[0]);
    if (strncmp(shown, "users.txt:2: ", 13) != 0 || !strstr(shown, want))
        fail_msg("%s: %s", line, shown);
    free(shown);
    userlist_unref(list);
    pw_buf_finish(&text);
    pw_diag_finish(&diags);
    pw_diag_init(&diags);
}

static void malformed_line_ends_the_reading(void **state)
{
    (void)state;
    check_stop("b 2", "user name in quotes expected");
    check_stop("\"b\"", "secret in quotes expected");
    check_stop("\"b\" 2", "secret in quotes expected");
    check_stop("\"b", "user name without its closing quote");
    check_stop("\"b\" \"2", "secret without its closing quote");
    check_stop("\"b\" \"2\"\"", "secret without its closing quote");
    check_stop("\"b\"\"", "user name without its closing quote");
    check_stop("#comment", "user name in quotes expected (hint: a comment begins with a semicolon");
    UserList *list = parse_n("\"a\" \"1\0\"", 9); /* a NUL byte */
    assert_int_equal(userlist_count(list), 0);
    assert_int_equal(diags.n_errors, 1);
    userlist_unref(list);
}

static void diags_hold_no_secret(void **state)
{
    (void)state;
    UserList *list = parse("\"a\" \"SCRAM-SHA-256$tell-nobody\"\n\"b\" tell-nobody\n");
    assert_int_equal(diags.n_warnings, 1);
    assert_int_equal(diags.n_errors, 1);
    assert_int_equal(userlist_find(list, "a")->kind, SECRET_PLAIN);
    for (size_t i = 0; i < diags.n; i++) {
        char *shown = pw_diag_format(&diags.items[i]);
        assert_null(strstr(shown, "tell-nobody"));
        free(shown);
    }
    userlist_unref(list);
}

static void limits(void **state)
{
    (void)state;
    static const struct {
        int user, secret;
        bool fits;
    } cases[] = {{AUTH_USER_MAX, 1, true}, {AUTH_USER_MAX + 1, 1, false}, {1, SECRET_MAX, true}, {1, SECRET_MAX + 1, false}};
    char *fill = malloc(SECRET_MAX + 1);
    memset(fill, 'x', SECRET_MAX + 1);
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        PwBuf text;
        pw_buf_init(&text);
        pw_buf_printf(&text, "\"%.*s\" \"%.*s\"\n\"last\" \"1\"\n", cases[i].user, fill, cases[i].secret, fill);
        UserList *list = parse_n((const char *)text.data, text.len);
        assert_int_equal(userlist_count(list), cases[i].fits ? 2 : 0);
        assert_int_equal(diags.n_errors, cases[i].fits ? 0 : 1);
        userlist_unref(list);
        pw_buf_finish(&text);
        pw_diag_finish(&diags);
        pw_diag_init(&diags);
    }
    free(fill);
    UserList *list = NULL;
    assert_int_equal(userlist_parse("big", "", (size_t)USERLIST_FILE_MAX + 1, &list, &diags), PW_ERR_TOO_LARGE);
    assert_null(list);
}

static void last_line_wins(void **state)
{
    (void)state;
    UserList *list = parse("\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"3\"\n\"\" \"4\"\n\"c\" \"5\"\n");
    assert_int_equal(userlist_count(list), 3);
    has(list, "a", "3");
    has(list, "b", "2");
    has(list, "c", "5"); /* an empty name is only skipped */
    assert_int_equal(diags.n_warnings, 2);
    assert_int_equal(diags.n_errors, 0);
    userlist_unref(list);
}

static void many_users(void **state)
{
    (void)state;
    enum { USERS = 20000 };
    PwBuf text;
    pw_buf_init(&text);
    for (int i = 0; i < USERS; i++)
        pw_buf_printf(&text, "\"user%d\" \"secret%d\"\n", i, i);
    UserList *list = parse_n((const char *)text.data, text.len);
    assert_int_equal(userlist_count(list), USERS);
    for (int i = 0; i < USERS; i++) {
        char user[32], secret[32];
        snprintf(user, sizeof(user), "user%d", i);
        snprintf(secret, sizeof(secret), "secret%d", i);
        has(list, user, secret);
    }
    has(list, "user20000", NULL);
    userlist_unref(list);
    pw_buf_finish(&text);
}

/* What a RELOAD may not take, lest users of before lose their logins to a file that is just being written. */
static void a_file_that_breaks_off(void **state)
{
    (void)state;
    static const struct {
        const char *fresh, *loses;
    } cases[] = {
        {"", "a"},
        {"\"a\" \"1\"\n\"b", "b"},
        {"\"a\" \"1\"\n\"b\" \"2", "b"},
        {"\"a\" \"1\"\n\"b\" \"2\"\nrubbish", NULL},
        {"\"a\" \"9\"\n", NULL}, /* b was taken out */
        {"; nobody\n", NULL},
        {"\n", NULL},
    };
    UserList *old = parse("\"a\" \"1\"\n\"b\" \"2\"\n"), *none = userlist_create_empty();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *user = NULL;
        UserList *fresh = parse(cases[i].fresh);
        assert_int_equal(userlist_loses(fresh, old, &user), cases[i].loses != NULL);
        if (cases[i].loses)
            assert_string_equal(user, cases[i].loses);
        assert_false(userlist_loses(fresh, none, &user));
        userlist_unref(fresh);
    }
    assert_false(userlist_loses(none, old, &(const char *){NULL})); /* auth_file was unset */
    userlist_unref(old);
    userlist_unref(none);
}

static void references(void **state)
{
    (void)state;
    UserList *list = parse("\"a\" \"1\"\n");
    assert_ptr_equal(userlist_ref(list), list);
    userlist_unref(list);
    has(list, "a", "1");
    userlist_unref(list); /* a leak or a use after free is AddressSanitizer's to find */
    userlist_unref(NULL);
    list = userlist_create_empty();
    has(list, "a", NULL);
    assert_int_equal(userlist_count(list), 0);
    userlist_unref(list);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void files(void **state)
{
    (void)state;
    char dir[] = "/tmp/userlist-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/users.txt", dir);
    UserList *list = NULL;
    assert_int_equal(userlist_load(path, &list, &diags), PW_ERR_IO);
    assert_null(list);
    assert_int_equal(diags.n_errors, 1);
    assert_non_null(strstr(diags.items[0].text, "No such file"));
    assert_int_equal(userlist_load(dir, &list, &diags), PW_ERR_IO); /* a directory */

    write_file(path, "\"a\" \"1\"\n");
    assert_int_equal(userlist_load(path, &list, &diags), PW_OK);
    has(list, "a", "1");
    userlist_unref(list);

    write_file(path, "");
    assert_int_equal(userlist_load(path, &list, &diags), PW_OK);
    assert_int_equal(userlist_count(list), 0);
    userlist_unref(list);
    assert_int_equal(truncate(path, (off_t)USERLIST_FILE_MAX + 1), 0); /* sparse */
    assert_int_equal(userlist_load(path, &list, &diags), PW_ERR_TOO_LARGE);
    unlink(path);
    rmdir(dir);
}

/* A pipe has no size: what comes is read until it ends. */
static void from_a_pipe(void **state)
{
    (void)state;
    int fds[2];
    char path[32];
    assert_int_equal(pipe(fds), 0);
    PwBuf text;
    pw_buf_init(&text);
    for (int i = 0; i < 1000; i++)
        pw_buf_printf(&text, "\"u%d\" \"s\"\n", i);
    assert_int_equal(write(fds[1], text.data, text.len), text.len);
    close(fds[1]);
    snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    UserList *list = NULL;
    assert_int_equal(userlist_load(path, &list, &diags), PW_OK);
    assert_int_equal(userlist_count(list), 1000);
    userlist_unref(list);
    close(fds[0]);
    pw_buf_finish(&text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines),      T(malformed_line_ends_the_reading), T(diags_hold_no_secret), T(limits), T(last_line_wins),
        T(many_users), T(references),                      T(files),                T(from_a_pipe),
        T(a_file_that_breaks_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
