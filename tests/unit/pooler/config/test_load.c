/* SPDX-License-Identifier: ISC */
#include "tests/unit/pooler/config/support.h"

static void all_problems_at_once(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config = load_text("early = 1\n"                          /* 1 */
                               "[databases]\n"                        /* 2 */
                               "p = host=a port=abc pool_mode=half\n" /* 3 */
                               "q = host=a hots=b\n"                  /* 4 */
                               "pgbouncer = host=a\n"                 /* 5 */
                               "[pgbouncer]\n"                        /* 6 */
                               "max_client_con = 1\n"                 /* 7 */
                               "log_stats = yes\n"                    /* 8 */
                               "pool_mode = half\n"                   /* 9 */
                               "query_timeout = soon\n"               /* 10 */
                               "pool_size = 3\n"                      /* 11 */
                               "syslog_facility = mail9\n"            /* 12 */
                               "[user]\n"                             /* 13 */
                               "x = whatever\n"                       /* 14 */
                               "[users]\n"                            /* 15 */
                               "bob = querytimeout=3\n"               /* 16 */
                               "[peers]\n"                            /* 17 */
                               "one = host=a\n",                      /* 18 */
                               &diags);
    assert_null(config);
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 1, "before the first [section]");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 3, "port must be a whole number, not \"abc\"");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 3,
                "pool_mode must be one of session, transaction, statement");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 4, "did you mean \"host\"?");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 5, "reserved");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 7, "did you mean \"max_client_conn\"?");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 8, "log_stats must be 0 or 1");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 9, "not \"half\"");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 10, "query_timeout must be seconds");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 11, "[databases]");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 12, "syslog_facility must be");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 13, "did you mean [users]?");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 16, "did you mean \"query_timeout\"?");
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 18, "peer \"one\": not a number");
    assert_int_equal(diags.n_errors, 13);
    pw_diag_finish(&diags);
}

static void what_a_build_lacks_is_refused(void **state)
{
    (void)state;
    static const char *const refused[][2] = {
#ifndef HAVE_PAM
        {"auth_type = pam", "this build has no pam"},
#endif
#ifdef HAVE_LDAP
        {"auth_type = ldap", "there are no auth_ldap_options"},
#else
        {"auth_type = ldap", "this build has no ldap"},
#endif
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[200];
        PwDiag diags;
        (void)snprintf(text, sizeof(text), "[pgbouncer]\n%s\n", refused[i][0]);
        assert_null(load_text(text, &diags));
        ASSERT_TOLD(&diags, PW_DIAG_ERROR, 2, refused[i][1]);
        assert_int_equal(diags.n_errors, 1);
        pw_diag_finish(&diags);
    }
}

static void peers_are_read(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config = load_text("[pgbouncer]\npeer_id = 3\n"
                               "[peers]\n"
                               "1 = host=a\n"
                               "2 = host=/b port=7000 pool_size=4\n"
                               "01 = host=c\n",
                               &diags);
    assert_non_null(config);
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 4, "peer \"1\" is given again");
    assert_int_equal(config->peer_id, 3);
    assert_int_equal(config_n_peers(config), 2);
    assert_string_equal(config_find_peer(config, 1)->host, "c");
    assert_int_equal(config_find_peer(config, 1)->port, 6432);
    assert_int_equal(config_find_peer(config, 1)->pool_size, -1);
    const PeerConf *two = config_find_peer(config, 2);
    assert_string_equal(two->host, "/b");
    assert_int_equal(two->port, 7000);
    assert_int_equal(two->pool_size, 4);
    assert_null(config_find_peer(config, 3));
    config_unref(config);
    pw_diag_finish(&diags);
    static const char *const refused[] = {"0 = host=a", "65536 = host=a", "-1 = host=a", "1x = host=a", "1 = port=1", "1 = hosts=a"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text), "[pgbouncer]\n[peers]\n%s\n", refused[i]);
        assert_null(load_text(text, &diags));
        assert_int_equal(diags.n_errors, 1);
        pw_diag_finish(&diags);
    }
}

static void a_pgbouncer_file_loads(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config =
        load_text(";; settings as people have them\n"
                  "[databases]\n"
                  "foodb =\n"
                  "bardb = host=127.0.0.1 dbname=bazdb pool_size=50 connect_query='SELECT 1'\n"
                  "* = host=testserver\n"
                  "[users]\n"
                  "[peers]\n"
                  "[pgbouncer]\n"
                  "  listen_addr = 127.0.0.1, ::1\n"
                  "listen_port = 6432\n"
                  "auth_type = md5\n"
                  "auth_file = userlist.txt\n"
                  "auth_hba_file =\n"
                  "auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename=$1\n"
                  "client_tls_sslmode = disable\n"
                  "client_tls_key_file =\n"
                  "client_tls_ca_file = /x\n"
                  "server_tls_sslmode = prefer\n"
                  "pkt_buf = 4096\n"
                  "sbuf_loopcnt = 5\n"
                  "peer_id = 0\n"
                  "logfile = /tmp/x.log\n"
                  "pidfile =\n"
                  "unix_socket_mode = 0770\n"
                  "pool_mode = Transaction\n"
                  "pool_mode = SESSION\n"
                  "default_pool_size = 0x10\n"
                  "[databases]\n"
                  "late = port=1\n"
                  "[pooler]\n"
                  "worker_threads = 3\n",
                  &diags);
    if (config == NULL)
        print_all(&diags);
    assert_non_null(config);
    assert_int_equal(diags.n_warnings, 0);
    assert_int_equal(config->listen_addr.n, 2);
    assert_string_equal(config->listen_addr.items[1], "::1");
    assert_int_equal(config->unix_socket_mode, 0770);
    assert_int_equal(config->pool_mode, POOL_MODE_SESSION);
    assert_int_equal(config->default_pool_size, 16);
    assert_int_equal(config->worker_threads, 3);
    assert_int_equal(config->query_wait_timeout, 120 * PW_USEC_PER_SEC);
    assert_string_equal(config->pidfile, "");
    assert_string_equal(config->auth_hba_file, "");
    assert_null(config->user);
    assert_int_equal(config_n_databases(config), 4);
    assert_string_equal(config_database_at(config, 3)->name, "late");
    config_unref(config);
    pw_diag_finish(&diags);
}

static void the_last_line_counts_and_says_so(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config = load_text(
        "[databases]\na = host=1 user=x\nb = host=2\na = host=3\n[users]\nu = pool_size=1\n"
        "u = pool_size=2\n[pgbouncer]\nauth_file = x\n",
        &diags);
    assert_non_null(config);
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, "line 4");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 6, "line 7");
    bool is_auto;
    const DatabaseConf *db = config_find_database(config, "a", &is_auto);
    assert_string_equal(db->host, "3");
    assert_null(db->user);
    assert_int_equal(db->line, 4);
    assert_int_equal(config_n_databases(config), 2);
    assert_string_equal(config_database_at(config, 0)->name, "b");
    assert_int_equal(config_find_user(config, "u")->pool_size, 2);
    assert_int_equal(config_n_users(config), 1);
    config_unref(config);
    pw_diag_finish(&diags);
}

static void needs_its_section_and_file(void **state)
{
    (void)state;
    PwDiag diags;
    assert_null(load_text("[databases]\n", &diags));
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 0, "no section [pgbouncer]");
    pw_diag_finish(&diags);
    Config *config = NULL;
    pw_diag_init(&diags);
    assert_int_equal(config_load("/nonexistent/p.ini", &config, &diags), PW_ERR_IO);
    assert_null(config);
    assert_int_equal(diags.n_errors, 1);
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 0, "No such file");
    pw_diag_finish(&diags);
}

static void doubtful_settings_warn(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config = load_text("[databases]\n"
                               "p = host=a password=geheim min_pool_size=5 pool_size=2\n"
                               "[pgbouncer]\n"
                               "auth_type = any\n"
                               "min_pool_size = 30\n"
                               "reserve_pool_size = 1\n"
                               "reserve_pool_timeout = 0\n"
                               "query_log_samples = 2\n"
                               "max_client_conn = 0\n"
                               "unix_socket_dir =\n"
                               "pkt_buf = 8192\n"
                               "sbuf_loopcnt = 5\n", /* the default */
                               &diags);
    assert_non_null(config);
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 11, "pkt_buf has no effect");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, "password without user");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, "min_pool_size (5) is larger than pool_size (2)");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, "auth_type = any");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 5, "default_pool_size (20)");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 7, "switches the reserve pool off");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 8, "without query_log");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 9, "lets nobody in");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 0, "nothing to listen on");
    assert_int_equal(diags.n_warnings, 9);
    config_unref(config);
    pw_diag_finish(&diags);
}

static void problems_print_errors_first(void **state)
{
    (void)state;
    PwDiag diags;
    pw_diag_init(&diags);
    pw_diag_add(&diags, PW_DIAG_WARNING, "f.ini", 3, NULL, "w%d", 1);
    pw_diag_add(&diags, PW_DIAG_ERROR, "f.ini", 0, "do this", "e");
    pw_diag_add(&diags, PW_DIAG_ERROR, NULL, 0, NULL, "plain");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(config_print_problems(&diags, out), 2);
    fclose(out);
    assert_string_equal(text,
                        "f.ini: error: e (hint: do this)\nerror: plain\nf.ini:3: warning: w1\n");
    free(text);
    pw_diag_finish(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_problems_at_once),
        cmocka_unit_test(what_a_build_lacks_is_refused),
        cmocka_unit_test(peers_are_read),
        cmocka_unit_test(a_pgbouncer_file_loads),
        cmocka_unit_test(the_last_line_counts_and_says_so),
        cmocka_unit_test(needs_its_section_and_file),
        cmocka_unit_test(doubtful_settings_warn),
        cmocka_unit_test(problems_print_errors_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
