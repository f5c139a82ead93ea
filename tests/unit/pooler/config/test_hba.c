/* SPDX-License-Identifier: ISC */
#include "pooler/config/hba.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/un.h>

#include "poolwise/mem.h"

static const char ident_text[] = "# maps\n"
                                 "m1 sys alice\n"
                                 "m1 \"sys tem\" all\n"
                                 "m2 other \"all\"\n"
                                 "m2 too few\n"
                                 "broken line\n"
                                 "m2 a b c\n"
                                 "m3 \"open\n";

typedef struct Files {
    const char *path, *text;
} Files;

static bool read_files(void *arg, const char *path, PwBuf *ret_text)
{
    for (const Files *f = arg; f && f->path; f++) {
        if (strcmp(f->path, path) == 0) {
            pw_buf_append_str(ret_text, f->text);
            return true;
        }
    }
    return false;
}

static PwDiag diags;

static Hba *parse_with(const char *text, Files *files)
{
    pw_diag_init(&diags);
    HbaSource source = {.name = "/etc/hba.conf",
                        .text = text,
                        .n = strlen(text),
                        .ident = ident_parse("ident", ident_text, strlen(ident_text), &diags),
                        .read = read_files,
                        .arg = files};
    pw_diag_finish(&diags); /* of the ident file: looked at elsewhere */
    return hba_parse(&source, &diags);
}

static void done(Hba *hba)
{
    hba_unref(hba);
    pw_diag_finish(&diags);
}

/* The line that answers, 0: none. peer: "unix" or an address; flags: 't' TLS, 'r' physical replication. */
static int line_for(const Hba *hba, const char *db, const char *user, const char *peer, const char *flags)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
    if (strcmp(peer, "unix") == 0)
        ss.ss_family = AF_UNIX;
    else if (inet_pton(AF_INET, peer, &in->sin_addr) == 1)
        ss.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, peer, &in6->sin6_addr) == 1)
        ss.ss_family = AF_INET6;
    else
        fail_msg("%s", peer);
    HbaQuery query = {.database = db,
                      .user = user,
                      .tls = strchr(flags, 't') != NULL,
                      .physical_replication = strchr(flags, 'r') != NULL,
                      .peer = (struct sockaddr *)&ss};
    HbaAnswer answer;
    return hba_match(hba, &query, &answer) ? answer.line : 0;
}

#define WARNED(which, line_, part)                                    \
    do {                                                              \
        assert_true((which) < diags.n);                               \
        assert_int_equal(diags.items[which].level, PW_DIAG_WARNING);      \
        assert_int_equal(diags.items[which].line, line_);                 \
        if (!strstr(diags.items[which].text, part))                       \
            fail_msg("%s has no \"%s\"", diags.items[which].text, part); \
    } while (0)

static void kinds_of_connections(void **state)
{
    (void)state;
    Hba *hba = parse_with("local a all trust\n"
                          "host b all 10.0.0.0/8 md5\n"
                          "hostssl c all 0.0.0.0/0 md5\n"
                          "hostnossl c all all md5\n",
                          NULL);
    assert_int_equal(diags.n, 0);
    assert_int_equal(line_for(hba, "a", "u", "unix", ""), 1);
    assert_int_equal(line_for(hba, "a", "u", "10.1.1.1", ""), 0);
    assert_int_equal(line_for(hba, "b", "u", "10.1.1.1", ""), 2);
    assert_int_equal(line_for(hba, "b", "u", "10.1.1.1", "t"), 2);
    assert_int_equal(line_for(hba, "b", "u", "11.1.1.1", ""), 0);
    assert_int_equal(line_for(hba, "b", "u", "unix", ""), 0);
    assert_int_equal(line_for(hba, "c", "u", "1.2.3.4", "t"), 3);
    assert_int_equal(line_for(hba, "c", "u", "1.2.3.4", ""), 4);
    assert_int_equal(line_for(hba, "c", "u", "::1", ""), 4);
    assert_int_equal(line_for(hba, "c", "u", "::1", "t"), 0); /* an IPv4 rule is none for IPv6 */
    done(hba);
}

static void names_and_keywords(void **state)
{
    (void)state;
    Files files[] = {{"/etc/dbs", "one\ntwo, three # rest\n\n@sub/more\n"},
                     {"/etc/sub/more", "four"},
                     {"/etc/loop", "@loop"},
                     {NULL, NULL}};
    Hba *hba = parse_with("local sameuser all trust\n"
                          "local \"sameuser\" all trust\n"
                          "local x,\"a b\" , \"q\"\"q\" u1,u2 trust\n"
                          "local \"all\" \"all\" trust\n"
                          "local @dbs all trust\n"
                          "local @missing all trust\n"
                          "local @loop all trust\n"
                          "local samerole all trust\n"
                          "local all +group trust\n"
                          "local last sameuser trust\n",
                          files);
    assert_int_equal(line_for(hba, "bob", "bob", "unix", ""), 1);
    assert_int_equal(line_for(hba, "sameuser", "bob", "unix", ""), 2);
    assert_int_equal(line_for(hba, "a b", "u2", "unix", ""), 3);
    assert_int_equal(line_for(hba, "q\"q", "u1", "unix", ""), 3);
    assert_int_equal(line_for(hba, "x", "u3", "unix", ""), 0);
    assert_int_equal(line_for(hba, "all", "al", "unix", ""), 0);
    assert_int_equal(line_for(hba, "all", "all", "unix", ""), 1); /* same user */
    assert_int_equal(line_for(hba, "four", "x", "unix", ""), 5);
    assert_int_equal(line_for(hba, "three", "x", "unix", ""), 5);
    assert_int_equal(line_for(hba, "rest", "x", "unix", ""), 0);
    assert_int_equal(line_for(hba, "last", "sameuser", "unix", ""), 10); /* a name in the users' column */
    assert_int_equal(line_for(hba, "last", "u", "unix", ""), 0);
    assert_int_equal(diags.n, 4);
    WARNED(0, 6, "cannot read \"/etc/missing\"");
    WARNED(1, 7, "deep");
    WARNED(2, 8, "samerole is not supported");
    WARNED(3, 9, "groups (+group)");
    done(hba);
}

static void replication(void **state)
{
    (void)state;
    Hba *hba = parse_with("local all all trust\n"
                          "host db2,replication r ::1/128 trust\n"
                          "host \"replication\" all all trust\n",
                          NULL);
    assert_int_equal(line_for(hba, "db", "u", "unix", "r"), 0); /* all is not replication */
    assert_int_equal(line_for(hba, "db", "r", "::1", "r"), 2);
    assert_int_equal(line_for(hba, "db2", "r", "::1", ""), 2);
    assert_int_equal(line_for(hba, "db2", "r", "::2", ""), 0);
    assert_int_equal(line_for(hba, "replication", "u", "::1", ""), 3);
    assert_int_equal(line_for(hba, "x", "u", "::1", "r"), 0);
    done(hba);
}

static void addresses(void **state)
{
    (void)state;
    Hba *hba = parse_with("host a all 127.0.0.0 255.255.255.0 trust\n"
                          "host a all 128.0.0.0/1 trust\n"
                          "host a all ff20::/12 trust\n"
                          "host b all ff11:: ffff:: trust\n"
                          "host c all 10.0.0.5/8 trust\n"
                          "host d all 0.0.0.0/0 trust\n"
                          "host e all 1.2.3.4/32 trust\n",
                          NULL);
    assert_int_equal(line_for(hba, "a", "u", "127.0.0.9", ""), 1);
    assert_int_equal(line_for(hba, "a", "u", "127.0.1.9", ""), 0);
    assert_int_equal(line_for(hba, "a", "u", "200.0.0.1", ""), 2);
    assert_int_equal(line_for(hba, "a", "u", "ff22:3::1", ""), 3);
    assert_int_equal(line_for(hba, "a", "u", "ff32:3::1", ""), 0);
    assert_int_equal(line_for(hba, "b", "u", "ff11:3::1", ""), 4);
    assert_int_equal(line_for(hba, "c", "u", "10.0.0.5", ""), 0);
    WARNED(0, 5, "does not match mask");
    assert_int_equal(diags.n, 1);
    assert_int_equal(line_for(hba, "d", "u", "9.9.9.9", ""), 6);
    assert_int_equal(line_for(hba, "e", "u", "1.2.3.4", ""), 7);
    assert_int_equal(line_for(hba, "e", "u", "1.2.3.5", ""), 0);
    done(hba);
}

static void bad_lines_are_skipped_and_told(void **state)
{
    (void)state;
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"foo all all trust", "unknown type of connection \"foo\""},
        {"\"local\" all all trust", "unknown type of connection"},
        {"local", "a database expected"},
        {"local all", "a user expected"},
        {"local all all", "a method expected"},
        {"local all, all all trust x", "unsupported option \"x\""},
        {"local all,,b all trust", "a database expected"},
        {"local all all trust,", "more behind"},
        {"local all all foo", "unsupported method \"foo\""},
        {"local all all ident", "unsupported method"},
        {"local \"a all trust", "a quote does not end"},
        {"local all all peer map=nosuch", "no map \"nosuch\""},
        {"local all all peer map=m1 map=m2", "more behind"},
        {"local all all peer mapp=m1", "unsupported option"},
        {"host all all trust", "not an address: \"trust\""},
        {"host all all localhost trust", "not an address"},
        {"host all all 1.2.3.4 trust", "not a mask"},
        {"host all all 1.2.3.4 ffff:: trust", "not a mask"},
        {"host all all 1.2.3.4/33 trust", "number of bits"},
        {"host all all 1.2.3.4/ trust", "number of bits"},
        {"host all all 1.2.3.4/-1 trust", "number of bits"},
        {"host all all ::/129 trust", "number of bits"},
        {"host all all 1.2.3/8 trust", "not an address"},
        {"host all all samenet trust", "not an address"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        char *text = pw_xasprintf("\n%s\nlocal all all trust", bad[i].line);
        Hba *hba = parse_with(text, NULL);
        assert_int_equal(diags.n, 1);
        WARNED(0, 2, bad[i].why);
        assert_non_null(strstr(diags.items[0].text, "could not parse hba config line 2"));
        assert_int_equal(hba_n_rules(hba), 1);
        assert_int_equal(line_for(hba, "a", "b", "unix", ""), 3);
        done(hba);
        free(text);
    }
}

static bool is_name(void *arg, const char *name)
{
    return strcmp(arg, name) == 0;
}

static bool allows(const HbaAnswer *answer, const char *system, const char *user)
{
    return ident_map_allows(answer->map, user, is_name, (void *)(uintptr_t)system);
}

static void methods_and_maps(void **state)
{
    (void)state;
    Hba *hba = parse_with("local a all trust\nlocal b all reject\nlocal c all md5\nlocal d all password\n"
                          "local e all peer\nlocal f all cert\nlocal g all scram-sha-256\n"
                          "local h all peer map=m1 # comment\nlocal i all cert map=\"m2\"\n",
                          NULL);
    static const AuthType want[] = {AUTH_TYPE_TRUST, AUTH_TYPE_REJECT, AUTH_TYPE_MD5, AUTH_TYPE_PLAIN, AUTH_TYPE_PEER,
                                    AUTH_TYPE_CERT, AUTH_TYPE_SCRAM_SHA_256, AUTH_TYPE_PEER, AUTH_TYPE_CERT};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    HbaAnswer answer;
    assert_int_equal(diags.n, 0);
    for (size_t i = 0; i < PW_ARRAY_LEN(want); i++) {
        char db[2] = {(char)('a' + i), 0};
        HbaQuery query = {.database = db, .user = "u", .peer = (struct sockaddr *)&un};
        assert_true(hba_match(hba, &query, &answer));
        assert_int_equal(answer.method, want[i]);
        assert_int_equal(answer.map != NULL, i >= 7);
        if (i == 7) {
            assert_string_equal(ident_map_name(answer.map), "m1");
            assert_true(allows(&answer, "sys", "alice"));
            assert_false(allows(&answer, "sys", "bob"));
            assert_true(allows(&answer, "sys tem", "bob"));
            assert_false(allows(&answer, "nobody", "alice"));
        }
    }
    assert_true(allows(&answer, "other", "all")); /* quoted: the user of that name */
    assert_false(allows(&answer, "other", "bob"));
    assert_true(allows(&answer, "too", "few"));
    done(hba);
}

static void bad_lines_of_the_ident_file(void **state)
{
    (void)state;
    pw_diag_init(&diags);
    Ident *ident = ident_parse("ident", ident_text, strlen(ident_text), &diags);
    assert_int_equal(diags.n, 3);
    WARNED(0, 6, "a line is MAP SYSTEM-USER PG-USER");
    WARNED(1, 7, "behind the PostgreSQL user");
    WARNED(2, 8, "a quote does not end");
    assert_null(ident_find(ident, "m3"));
    assert_null(ident_find(NULL, "m1"));
    ident_destroy(ident);
    pw_diag_finish(&diags);
}

static void files_that_are_missing_leave_no_rules(void **state)
{
    (void)state;
    pw_diag_init(&diags);
    Hba *hba = hba_load("/nonexistent/hba", "/nonexistent/ident", &diags);
    assert_int_equal(hba_n_rules(hba), 0);
    assert_int_equal(diags.n, 2);
    assert_int_equal(diags.n_errors, 0);
    assert_true(hba_is_incomplete(hba));
    done(hba);
    pw_diag_init(&diags);
    hba = hba_load("", NULL, &diags);
    assert_int_equal(diags.n, 1);
    assert_false(hba_is_incomplete(hba));
    done(hba);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_connections),
        cmocka_unit_test(names_and_keywords),
        cmocka_unit_test(replication),
        cmocka_unit_test(addresses),
        cmocka_unit_test(bad_lines_are_skipped_and_told),
        cmocka_unit_test(methods_and_maps),
        cmocka_unit_test(bad_lines_of_the_ident_file),
        cmocka_unit_test(files_that_are_missing_leave_no_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
