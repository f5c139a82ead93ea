/* SPDX-License-Identifier: ISC */
#include "tests/unit/pooler/config/support.h"

#include <pthread.h>

/* SHOW CONFIG of PgBouncer, in its order; ours follow. */
static const char *const order[] = {
    "admin_users",
    "application_name_add_host",
    "auth_dbname",
    "auth_file",
    "auth_hba_file",
    "auth_ident_file",
    "auth_ldap_options",
    "auth_query",
    "auth_type",
    "auth_user",
    "autodb_idle_timeout",
    "cancel_wait_timeout",
    "client_idle_timeout",
    "client_login_timeout",
    "client_tls13_ciphers",
    "client_tls_ca_file",
    "client_tls_cert_file",
    "client_tls_ciphers",
    "client_tls_dheparams",
    "client_tls_ecdhcurve",
    "client_tls_key_file",
    "client_tls_protocols",
    "client_tls_sslmode",
    "conffile",
    "default_pool_size",
    "disable_pqexec",
    "dns_max_ttl",
    "dns_nxdomain_ttl",
    "dns_zone_check_period",
    "idle_transaction_timeout",
    "ignore_startup_parameters",
    "job_name",
    "listen_addr",
    "listen_backlog",
    "listen_port",
    "log_connections",
    "log_disconnections",
    "log_pooler_errors",
    "log_stats",
    "logfile",
    "login_notify_message",
    "max_client_conn",
    "max_db_client_connections",
    "max_db_connections",
    "max_packet_size",
    "max_prepared_statements",
    "max_user_client_connections",
    "max_user_connections",
    "min_pool_size",
    "peer_id",
    "pidfile",
    "pkt_buf",
    "pool_mode",
    "pool_idle_timeout",
    "query_timeout",
    "query_wait_notify",
    "query_wait_timeout",
    "reserve_pool_size",
    "reserve_pool_timeout",
    "resolv_conf",
    "sbuf_loopcnt",
    "scram_iterations",
    "server_check_delay",
    "server_check_query",
    "server_connect_timeout",
    "server_fast_close",
    "server_idle_timeout",
    "server_lifetime",
    "server_login_retry",
    "server_reset_query",
    "server_reset_query_always",
    "server_round_robin",
    "server_tls13_ciphers",
    "server_tls_ca_file",
    "server_tls_cert_file",
    "server_tls_ciphers",
    "server_tls_key_file",
    "server_tls_protocols",
    "server_tls_sslmode",
    "so_reuseport",
    "stats_period",
    "stats_users",
    "suspend_timeout",
    "syslog",
    "syslog_facility",
    "syslog_ident",
    "tcp_defer_accept",
    "tcp_keepalive",
    "tcp_keepcnt",
    "tcp_keepidle",
    "tcp_keepintvl",
    "tcp_socket_buffer",
    "tcp_user_timeout",
    "track_extra_parameters",
    "transaction_timeout",
    "unix_socket_dir",
    "unix_socket_group",
    "unix_socket_mode",
    "user",
    "verbose",
};
static const char *const fixed[] = {"disable_pqexec",   "io_engine",        "job_name",
                                    "listen_addr",      "listen_backlog",
                                    "listen_port",      "pidfile",
                                    "pkt_buf",          "resolv_conf",
                                    "so_reuseport",     "track_extra_parameters",
                                    "unix_socket_dir",  "unix_socket_group",
                                    "unix_socket_mode", "user",
                                    "worker_threads"};

typedef struct Shown {
    size_t n, n_fixed;
    const char *key; /* the row to keep */
    char value[200], def[200];
} Shown;

static void on_row(void *arg, const char *key, const char *value, const char *def, bool changeable)
{
    Shown *shown = arg;
    if (shown->n < sizeof(order) / sizeof(order[0]))
        assert_string_equal(key, order[shown->n]);
    shown->n++;
    bool is_fixed = false;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        is_fixed = is_fixed || strcmp(fixed[i], key) == 0;
    if (is_fixed == changeable)
        fail_msg("%s: changeable is %d", key, changeable);
    if (shown->key != NULL && strcmp(shown->key, key) == 0) {
        (void)snprintf(shown->value, sizeof(shown->value), "%s", value != NULL ? value : "NULL");
        (void)snprintf(shown->def, sizeof(shown->def), "%s", def != NULL ? def : "NULL");
    }
}

static void check_row(const Config *config, const char *key, const char *value, const char *def)
{
    Shown shown = {.key = key};
    config_show(config, on_row, &shown);
    assert_string_equal(shown.value, value);
    assert_string_equal(shown.def, def);
}

static void show_has_pgbouncers_rows(void **state)
{
    (void)state;
    Config *config = load_good(
        "[pgbouncer]\nadmin_users = a , b\nunix_socket_mode = 0770\nserver_lifetime=1.5h\n");
    Shown shown = {0};
    config_show(config, on_row, &shown);
    assert_int_equal(sizeof(order) / sizeof(order[0]), 100);
    assert_int_equal(shown.n, config_params.n);
    check_row(config, "admin_users", "a , b", "");
    check_row(config, "unix_socket_mode", "504", "0777");
    check_row(config, "server_lifetime", "5400", "3600");
    check_row(config, "auth_user", "NULL", "NULL");
    check_row(config, "logfile", "", "");
    check_row(config, "verbose", "0", "NULL");
    check_row(config, "pool_mode", "session", "session");
    check_row(config, "server_check_query", "<empty>", "<empty>");
    check_row(config, "auth_ldap_options", "NULL", "NULL");
    config_unref(config);
}

static void set_copies(void **state)
{
    (void)state;
    Config *old = load_good("[databases]\np = host=a\n[pgbouncer]\nadmin_users = x\n"),
           *changed = NULL;
    char why[CONFIG_WHY];
    assert_int_equal(config_with(old, "query_wait_timeout", "0.5", &changed, why), PW_OK);
    assert_int_equal(old->query_wait_timeout, 120 * PW_USEC_PER_SEC);
    assert_int_equal(changed->query_wait_timeout, 500000);
    assert_ptr_equal(config_database_at(old, 0),
                     config_database_at(changed, 0)); /* lines are shared */
    config_unref(old);
    assert_string_equal(config_database_at(changed, 0)->host, "a"); /* and outlive the old one */
    assert_string_equal(changed->admin_users.items[0], "x");
    const Config *same = config_ref(changed);
    config_unref(changed);
    assert_string_equal(same->admin_users.items[0], "x");
    config_unref(same);
}

static void set_refuses_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        PwErr err;
        const char *why;
    } rows[] = {
        {"query_wait_timout", "1", PW_ERR_UNKNOWN_KEY, "did you mean \"query_wait_timeout\"?"},
        {"nonsense", "1", PW_ERR_UNKNOWN_KEY, "unknown option \"nonsense\""},
        {"listen_port", "99", PW_ERR_FIXED, "cannot change while the pooler runs"},
        {"query_timeout", "x", PW_ERR_SYNTAX, "query_timeout must be seconds"},
        {"default_pool_size", "-1", PW_ERR_RANGE, "default_pool_size must be between 0"},
        {"auth_dbname", "pgbouncer", PW_ERR_UNSUPPORTED, "reserved"},
        {"syslog_facility", "x", PW_ERR_UNSUPPORTED, "syslog_facility must be"},
    };
    Config *old = load_good("[pgbouncer]\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char why[CONFIG_WHY] = "";
        Config *changed = NULL;
        assert_int_equal(config_with(old, rows[i].key, rows[i].value, &changed, why), rows[i].err);
        assert_null(changed);
        if (strstr(why, rows[i].why) == NULL)
            fail_msg("%s: %s", rows[i].key, why);
    }
    config_unref(old);
}

static void on_diff(void *arg, const char *key, const char *before, const char *after,
                    bool changeable)
{
    char *all = arg;
    size_t n = strlen(all);
    (void)snprintf(all + n, 300 - n, "%s:%s>%s:%d ", key, before ? before : "NULL",
                   after ? after : "NULL", changeable);
}

static void diff_names_what_changed(void **state)
{
    (void)state;
    Config *a = load_good("[pgbouncer]\nconffile = x\nstats_users = a,b\n");
    Config *b = load_good("[pgbouncer]\nconffile = x\nstats_users = a, b\nlisten_port = 7\nuser = "
                          "me\npool_mode=statement\n");
    char all[300] = "";
    config_diff(a, b, on_diff, all);
    assert_string_equal(all, "listen_port:6432>7:0 pool_mode:session>statement:1 user:NULL>me:0 ");
    all[0] = '\0';
    config_keep_fixed(b, a);
    config_diff(a, b, on_diff, all);
    assert_string_equal(all, "pool_mode:session>statement:1 ");
    assert_null(b->user);
    config_unref(a);
    config_unref(b);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(config_pool_mode_name(POOL_MODE_STATEMENT), "statement");
    assert_null(config_pool_mode_name(POOL_MODE_UNSET));
    assert_string_equal(config_auth_type_name(AUTH_TYPE_SCRAM_SHA_256), "scram-sha-256");
    assert_string_equal(config_load_balance_name(LOAD_BALANCE_ROUND_ROBIN), "round-robin");
    for (int i = 0; i < AUTH_TYPE_PEER; i++) /* peer and reject stand in lines of auth_hba_file only */
        assert_non_null(config_auth_type_name((AuthType)i));
}

static void *churn(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        const Config *mine = config_ref(arg);
        if (mine->listen_port != 6432)
            abort();
        config_unref(mine);
    }
    return NULL;
}

static void references_count_over_threads(void **state)
{
    (void)state;
    Config *config = load_good("[pgbouncer]\n");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, config), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(config->refs.n, 1);
    config_unref(config);
}

static void workers_default_to_the_cores(void **state)
{
    (void)state;
    Config *config = load_good("[pgbouncer]\n");
    assert_in_range(config->worker_threads, 1, 256);
    assert_true(config->worker_threads <= (int)sysconf(_SC_NPROCESSORS_CONF) ||
                config->worker_threads == 256);
    config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(show_has_pgbouncers_rows),
        cmocka_unit_test(set_copies),
        cmocka_unit_test(set_refuses_with_a_reason),
        cmocka_unit_test(diff_names_what_changed),
        cmocka_unit_test(names),
        cmocka_unit_test(references_count_over_threads),
        cmocka_unit_test(workers_default_to_the_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
