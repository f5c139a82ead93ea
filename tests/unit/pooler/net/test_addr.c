/* SPDX-License-Identifier: ISC */
#include "pooler/net/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static void check_ip(const char *text, int family, const char *host, const char *with_port)
{
    NetAddr a;
    char buf[NET_ADDR_TEXT];
    assert_int_equal(net_addr_parse_ip(text, 6432, &a), PW_OK);
    assert_int_equal(net_addr_family(&a), family);
    assert_false(net_addr_is_unix(&a));
    assert_int_equal(net_addr_port(&a), 6432);
    assert_string_equal(net_addr_host(&a, buf, sizeof(buf)), host);
    assert_string_equal(net_addr_text(&a, buf, sizeof(buf)), with_port);
    assert_string_equal(net_addr_where(&a, buf, sizeof(buf)), with_port);
    assert_string_equal(net_addr_path(&a, buf, sizeof(buf)), "");
}

static void test_ip(void **state)
{
    (void)state;
    check_ip("127.0.0.1", AF_INET, "127.0.0.1", "127.0.0.1:6432");
    check_ip("::1", AF_INET6, "::1", "[::1]:6432");
    check_ip("[2001:db8:0:0::5]", AF_INET6, "2001:db8::5", "[2001:db8::5]:6432");
    check_ip("fe80::1%lo", AF_INET6, "fe80::1%lo", "[fe80::1%lo]:6432");
}

static void test_not_an_ip(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "localhost",          "127.1", "127.0.0.256", "[::1", "::g", "[]",
        "1.2.3.4%lo", "fe80::1%no-such-if", "@x",    "/tmp"};
    for (size_t i = 0; i < PW_ARRAY_LEN(bad); i++) {
        NetAddr a = {.len = 77};
        if (net_addr_parse_ip(bad[i], 1, &a) != PW_ERR_SYNTAX)
            fail_msg("'%s' was taken for an address", bad[i]);
        assert_int_equal(a.len, 77); /* untouched */
    }
    char longer[400];
    memset(longer, '1', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    NetAddr a;
    assert_int_equal(net_addr_parse_ip(longer, 1, &a), PW_ERR_SYNTAX);
}

static void test_unix(void **state)
{
    (void)state;
    NetAddr a;
    char buf[NET_ADDR_TEXT];
    assert_int_equal(net_addr_in_unix_dir("/tmp/x", 6432, &a), PW_OK);
    assert_true(net_addr_is_unix(&a));
    assert_int_equal(a.len,
                     offsetof(struct sockaddr_un, sun_path) + strlen("/tmp/x/.s.PGSQL.6432") + 1);
    assert_int_equal(net_addr_port(&a), 6432);
    assert_string_equal(net_addr_host(&a, buf, sizeof(buf)), "unix");
    assert_string_equal(net_addr_text(&a, buf, sizeof(buf)), "unix:6432");
    assert_string_equal(net_addr_where(&a, buf, sizeof(buf)), "unix:/tmp/x/.s.PGSQL.6432");
    assert_string_equal(net_addr_path(&a, buf, sizeof(buf)), "/tmp/x/.s.PGSQL.6432");
    a.unix_pid = 321;
    assert_string_equal(net_addr_text(&a, buf, sizeof(buf)), "unix(321):6432");

    assert_int_equal(net_addr_in_unix_dir("@pool", 5, &a), PW_OK);
    const struct sockaddr_un *un = (const void *)&a.ss;
    assert_memory_equal(un->sun_path, "\0pool/.s.PGSQL.5", 16);
    assert_int_equal(a.len, offsetof(struct sockaddr_un, sun_path) + 16);
    assert_string_equal(net_addr_where(&a, buf, sizeof(buf)), "unix:@pool/.s.PGSQL.5");

    assert_true(net_addr_is_unix_name("/tmp"));
    assert_true(net_addr_is_unix_name("@x"));
    assert_false(net_addr_is_unix_name("localhost"));
    assert_false(net_addr_is_unix_name(""));
}

/* 107 bytes and a NUL fit the kernel's array, one more does not. */
static void test_unix_length(void **state)
{
    (void)state;
    char path[200];
    NetAddr a;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[107] = '\0';
    assert_int_equal(net_addr_parse_unix(path, 1, &a), PW_OK);
    char buf[NET_ADDR_TEXT];
    assert_string_equal(net_addr_path(&a, buf, sizeof(buf)), path);
    path[107] = 'a';
    path[108] = '\0';
    assert_int_equal(net_addr_parse_unix(path, 1, &a), PW_ERR_TOO_LARGE);
    path[95] = '\0'; /* + "/.s.PGSQL.6432" */
    assert_int_equal(net_addr_in_unix_dir(path, 6432, &a), PW_ERR_TOO_LARGE);
    path[93] = '\0';
    assert_int_equal(net_addr_in_unix_dir(path, 6432, &a), PW_OK);
    assert_int_equal(net_addr_parse_unix("", 1, &a), PW_ERR_SYNTAX);
}

static void test_v4_mapped(void **state)
{
    (void)state;
    NetAddr mapped, plain, a;
    assert_int_equal(net_addr_parse_ip("::ffff:10.1.2.3", 77, &mapped), PW_OK);
    net_addr_from_sockaddr(&a, net_addr_sa(&mapped), mapped.len);
    assert_int_equal(net_addr_parse_ip("10.1.2.3", 77, &plain), PW_OK);
    assert_true(net_addr_equal(&a, &plain));
    assert_int_equal(a.len, sizeof(struct sockaddr_in));
}

static void test_equal(void **state)
{
    (void)state;
    NetAddr a, b, c, d, none = {0};
    assert_int_equal(net_addr_parse_ip("10.0.0.1", 1, &a), PW_OK);
    assert_int_equal(net_addr_parse_ip("10.0.0.1", 2, &b), PW_OK);
    assert_int_equal(net_addr_parse_ip("10.0.0.2", 1, &c), PW_OK);
    assert_int_equal(net_addr_parse_unix("/a", 1, &d), PW_OK);
    assert_true(net_addr_same_host(&a, &b));
    assert_false(net_addr_equal(&a, &b));
    net_addr_set_port(&b, 1);
    assert_true(net_addr_equal(&a, &b));
    assert_false(net_addr_equal(&a, &c));
    assert_false(net_addr_equal(&a, &d));
    assert_false(net_addr_equal(&a, &none));
    assert_true(net_addr_equal(&none, &none));
    assert_int_equal(net_addr_family(&none), AF_UNSPEC);
}

static void test_peer_keeps(const char *text, bool is_unix, pid_t pid)
{
    NetAddr a, back;
    NetPeer peer;
    char before[NET_ADDR_TEXT], after[NET_ADDR_TEXT];
    assert_int_equal(is_unix ? net_addr_parse_unix(text, 6432, &a) : net_addr_parse_ip(text, 6432, &a), PW_OK);
    a.unix_pid = pid;
    net_peer_of(&a, &peer);
    net_peer_addr(&peer, &back);
    assert_string_equal(net_addr_text(&back, after, sizeof(after)), net_addr_text(&a, before, sizeof(before)));
    assert_int_equal(net_addr_family(&back), net_addr_family(&a));
    assert_int_equal(net_addr_port(&back), 6432);
    assert_int_equal(back.unix_pid, pid);
    if (!is_unix) {
        assert_true(net_addr_equal(&a, &back));
        assert_int_equal(back.len, a.len);
    }
}

static void test_peer(void **state)
{
    (void)state;
    test_peer_keeps("127.0.0.1", false, 0);
    test_peer_keeps("2001:db8::5", false, 0);
    test_peer_keeps("fe80::1%lo", false, 0);
    test_peer_keeps("/tmp/x", true, 0); /* the path is not kept, and not shown */
    test_peer_keeps("/tmp/x", true, 4711);
    NetAddr none = {0}, back = {.len = 1};
    NetPeer peer;
    net_peer_of(&none, &peer);
    net_peer_addr(&peer, &back);
    assert_int_equal(net_addr_family(&back), AF_UNSPEC);
}

static void test_truncates(void **state)
{
    (void)state;
    NetAddr a;
    char buf[8];
    assert_int_equal(net_addr_parse_ip("127.0.0.1", 6432, &a), PW_OK);
    assert_string_equal(net_addr_text(&a, buf, sizeof(buf)), "127.0.0");
    assert_int_equal(net_addr_parse_unix("/long/path", 6432, &a), PW_OK);
    assert_string_equal(net_addr_where(&a, buf, sizeof(buf)), "unix:/l");
}

static void test_peer_cred(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    NetCred cred;
    assert_int_equal(net_addr_peer_cred(pair[0], &cred), PW_OK);
    assert_int_equal(cred.pid, getpid());
    assert_int_equal(cred.uid, geteuid());
    assert_int_equal(cred.gid, getegid());
    close(pair[0]);
    close(pair[1]);

    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(tcp >= 0);
    assert_int_equal(net_addr_peer_cred(tcp, &cred), PW_ERR_UNSUPPORTED);
    NetAddr a;
    assert_int_equal(net_addr_of_peer(tcp, &a), PW_ERR_IO); /* not connected */
    close(tcp);
    assert_int_equal(net_addr_peer_cred(tcp, &cred), PW_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip),        cmocka_unit_test(test_not_an_ip),
        cmocka_unit_test(test_unix),      cmocka_unit_test(test_unix_length),
        cmocka_unit_test(test_v4_mapped), cmocka_unit_test(test_equal),
        cmocka_unit_test(test_truncates), cmocka_unit_test(test_peer_cred),
        cmocka_unit_test(test_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
