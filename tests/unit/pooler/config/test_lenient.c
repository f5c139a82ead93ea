/* SPDX-License-Identifier: ISC */
#include "tests/unit/pooler/config/support.h"

#include <limits.h>

/* Each is one line of [pgbouncer] that PgBouncer takes. */
static void numbers_of_pgbouncer_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *line, *told;
        size_t offset;
        int value;
    } rows[] = {
        {"default_pool_size = -5", "default_pool_size must be between 0 and 2147483647: taken as 0", offsetof(Config, default_pool_size), 0},
        {"default_pool_size = 99999999999", "taken as 2147483647", offsetof(Config, default_pool_size), INT_MAX},
        {"default_pool_size = 99999999999999999999", "taken as 2147483647", offsetof(Config, default_pool_size), INT_MAX},
        {"max_packet_size = 4294967295", "taken as 2147483647", offsetof(Config, max_packet_size), INT_MAX},
        {"listen_backlog = -9", "taken as -1", offsetof(Config, listen_backlog), -1},
        {"listen_port = 70000", "taken as 4464", offsetof(Config, listen_port), 4464},
        {"peer_id = -1", "taken as 0", offsetof(Config, peer_id), 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        PwDiag diags;
        (void)snprintf(text, sizeof(text), "[pgbouncer]\n%s\n", rows[i].line);
        Config *config = load_text(text, &diags);
        assert_non_null(config);
        ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, rows[i].told);
        assert_int_equal(*(const int *)((const char *)config + rows[i].offset), rows[i].value);
        config_unref(config);
        pw_diag_finish(&diags);
    }
}

static void switches_and_times_that_are_numbers_there(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config = load_text("[pgbouncer]\ntcp_defer_accept = 45\nlog_stats = -1\nstats_period = 0\nquery_wait_notify = -1\n", &diags);
    assert_non_null(config);
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, "tcp_defer_accept must be 0 or 1, not \"45\": taken as 1");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 5, "taken as 0");
    assert_true(config->tcp_defer_accept && config->log_stats);
    assert_int_equal(config->stats_period, PW_USEC_PER_SEC);
    assert_int_equal(config->query_wait_notify, 0);
    config_unref(config);
    pw_diag_finish(&diags);
}

static void what_pgbouncer_refuses_too(void **state)
{
    (void)state;
    static const char *const lines[] = {"default_pool_size = 5x", "default_pool_size =", "log_stats = yes", "query_timeout = -1",
                                        "scram_iterations = 0", "worker_threads = -1",   "query_wait_timeout = soon"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[200];
        PwDiag diags;
        (void)snprintf(text, sizeof(text), "[pgbouncer]\n%s\n", lines[i]);
        assert_null(load_text(text, &diags));
        assert_int_equal(diags.n_errors, 1);
        pw_diag_finish(&diags);
    }
}

static void keys_of_lines_are_read_as_far_as_they_are_numbers(void **state)
{
    (void)state;
    PwDiag diags;
    Config *config = load_text("[pgbouncer]\n[databases]\n"
                               "a = host=h1,h2 port=5433x pool_size=5x max_db_connections=-1\n"
                               "b = port=5432x pool_size=7 pool_size=-2 min_pool_size=none server_lifetime=-1\n"
                               "c = port=65537 reserve_pool=99999999999\n"
                               "[users]\nu = query_timeout=-1 pool_size=-1\n"
                               "[peers]\n1 = host=h port=-1 pool_size=-1\n",
                               &diags);
    assert_non_null(config);
    bool is_auto;
    const DatabaseConf *a = config_find_database(config, "a", &is_auto), *b = config_find_database(config, "b", &is_auto),
                       *c = config_find_database(config, "c", &is_auto);
    assert_int_equal(a->port, 5433);
    assert_int_equal(a->pool_size, 5);
    assert_int_equal(a->max_db_connections, -1);
    assert_int_equal(b->port, 5432);
    assert_int_equal(b->pool_size, -1);
    assert_int_equal(b->min_pool_size, 0);
    assert_int_equal(b->server_lifetime, -1);
    assert_int_equal(c->port, 1);
    assert_int_equal(c->reserve_pool_size, INT_MAX);
    assert_int_equal(config_find_user(config, "u")->query_timeout, -1);
    assert_int_equal(config_find_peer(config, 1)->port, 65535);
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 3, "database \"a\": port must be a whole number, not \"5433x\": taken as 5433");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 3, "max_db_connections must be between 0 and 2147483647: taken as if it were not there");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 7, "user \"u\": query_timeout");
    config_unref(config);
    pw_diag_finish(&diags);
}

static void a_port_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const ports[] = {"0", "x", "65536", ",", "5432,x", "5432,0"};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        char text[200];
        PwDiag diags;
        (void)snprintf(text, sizeof(text), "[pgbouncer]\n[databases]\na = port=%s\n", ports[i]);
        assert_null(load_text(text, &diags));
        ASSERT_TOLD(&diags, PW_DIAG_ERROR, 3, "port must be");
        pw_diag_finish(&diags);
    }
}

static void odd_names_cost_their_line_only(void **state)
{
    (void)state;
    PwDiag diags;
    char text[300], name[129];
    memset(name, 'x', 128);
    name[128] = '\0';
    (void)snprintf(text, sizeof(text), "[pgbouncer]\nsyslog_facility = mail9\n[users]\n%s = pool_size=1\n", name);
    Config *config = load_text(text, &diags);
    assert_non_null(config);
    assert_string_equal(config->syslog_facility, "daemon");
    assert_int_equal(config_n_users(config), 0);
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 2, "taken as daemon");
    ASSERT_TOLD(&diags, PW_DIAG_WARNING, 4, "longer than 127 bytes");
    config_unref(config);
    pw_diag_finish(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_pgbouncer_are_taken),
        cmocka_unit_test(switches_and_times_that_are_numbers_there),
        cmocka_unit_test(what_pgbouncer_refuses_too),
        cmocka_unit_test(keys_of_lines_are_read_as_far_as_they_are_numbers),
        cmocka_unit_test(a_port_that_is_none_is_refused),
        cmocka_unit_test(odd_names_cost_their_line_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
