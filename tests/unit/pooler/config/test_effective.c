/* SPDX-License-Identifier: ISC */
#include "tests/unit/pooler/config/support.h"

static const char text[] =
    "[databases]\n"
    "plain = host=a\n"
    "sized = host=a pool_size=2 min_pool_size=1 reserve_pool_size=3 pool_mode=statement "
    "server_lifetime=9 "
    "query_wait_timeout=4 max_db_connections=6 max_db_client_connections=7 "
    "load_balance_hosts=disable\n"
    "zero = host=a pool_size=0 server_lifetime=0 max_db_connections=0 query_wait_timeout=0\n"
    "forced = host=a user=boss\n"
    "[users]\n"
    "boss = pool_size=11 reserve_pool_size=12 pool_mode=session max_user_connections=13 "
    "query_timeout=14\n"
    "bob = pool_size=1 client_idle_timeout=15 query_wait_timeout=16 transaction_timeout=0 "
    "idle_transaction_timeout=17 max_user_client_connections=18\n"
    "[pgbouncer]\n"
    "default_pool_size = 20\nmin_pool_size = 5\nreserve_pool_size = 6\npool_mode = transaction\n"
    "server_lifetime = 100\nquery_wait_timeout = 50\nmax_db_connections = 60\nmax_user_connections "
    "= 61\n"
    "query_timeout = 70\ntransaction_timeout = 80\nmax_db_client_connections = 62\n"
    "max_user_client_connections = 63\nreserve_pool_timeout = 2\nserver_idle_timeout = 3\n";

static PoolSettings pool(const Config *config, const char *db, const char *user)
{
    bool is_auto;
    PoolSettings settings;
    config_effective(config, config_find_database(config, db, &is_auto), user, &settings);
    return settings;
}

static ClientSettings client(const Config *config, const char *db, const char *user)
{
    bool is_auto;
    ClientSettings settings;
    config_effective_client(config, config_find_database(config, db, &is_auto), user, &settings);
    return settings;
}

static void pools_user_then_database_then_global(void **state)
{
    (void)state;
    Config *config = load_good(text);
    PoolSettings s = pool(config, "plain", "nobody");
    assert_int_equal(s.pool_size, 20);
    assert_int_equal(s.min_pool_size, 5);
    assert_int_equal(s.reserve_pool_size, 6);
    assert_int_equal(s.pool_mode, POOL_MODE_TRANSACTION);
    assert_int_equal(s.max_db_connections, 60);
    assert_int_equal(s.max_user_connections, 61);
    assert_int_equal(s.server_lifetime, 100 * PW_USEC_PER_SEC);
    assert_int_equal(s.reserve_pool_timeout, 2 * PW_USEC_PER_SEC);
    assert_int_equal(s.server_idle_timeout, 3 * PW_USEC_PER_SEC);
    assert_int_equal(s.load_balance_hosts, LOAD_BALANCE_ROUND_ROBIN);
    assert_string_equal(s.server_user, "nobody");

    s = pool(config, "sized", "nobody");
    assert_int_equal(s.pool_size, 2);
    assert_int_equal(s.min_pool_size, 1);
    assert_int_equal(s.reserve_pool_size, 3);
    assert_int_equal(s.pool_mode, POOL_MODE_STATEMENT);
    assert_int_equal(s.max_db_connections, 6);
    assert_int_equal(s.server_lifetime, 9 * PW_USEC_PER_SEC);
    assert_int_equal(s.load_balance_hosts, LOAD_BALANCE_DISABLE);

    s = pool(config, "sized", "bob");
    assert_int_equal(s.pool_size, 1);                   /* user before database */
    assert_int_equal(s.pool_mode, POOL_MODE_STATEMENT); /* bob does not say */
    assert_int_equal(s.reserve_pool_size, 3);
    config_unref(config);
}

static void zero_in_a_line(void **state)
{
    (void)state;
    Config *config = load_good(text);
    PoolSettings s = pool(config, "zero", "nobody");
    assert_int_equal(s.pool_size, 0);           /* no limit */
    assert_int_equal(s.max_db_connections, 60); /* the global value */
    assert_int_equal(s.server_lifetime, 100 * PW_USEC_PER_SEC);
    assert_int_equal(client(config, "zero", "nobody").query_wait_timeout, 0); /* for ever */
    config_unref(config);
}

static void a_forced_user_rules_the_pool(void **state)
{
    (void)state;
    Config *config = load_good(text);
    PoolSettings s = pool(config, "forced", "bob");
    assert_string_equal(s.server_user, "boss");
    assert_int_equal(s.pool_size, 11);
    assert_int_equal(s.reserve_pool_size, 12);
    assert_int_equal(s.pool_mode, POOL_MODE_SESSION);
    assert_int_equal(s.max_user_connections, 13);
    ClientSettings c = client(config, "forced", "bob"); /* the client's own line */
    assert_int_equal(c.client_idle_timeout, 15 * PW_USEC_PER_SEC);
    assert_int_equal(c.query_timeout, 70 * PW_USEC_PER_SEC);
    assert_int_equal(c.max_user_client_connections, 18);
    config_unref(config);
}

static void clients_by_their_login(void **state)
{
    (void)state;
    Config *config = load_good(text);
    ClientSettings c = client(config, "sized", "bob");
    assert_int_equal(c.query_wait_timeout, 16 * PW_USEC_PER_SEC); /* user before database */
    assert_int_equal(c.transaction_timeout, 0);                   /* 0 is a value here */
    assert_int_equal(c.idle_transaction_timeout, 17 * PW_USEC_PER_SEC);
    assert_int_equal(c.max_db_client_connections, 7);
    c = client(config, "sized", "nobody");
    assert_int_equal(c.query_wait_timeout, 4 * PW_USEC_PER_SEC);
    assert_int_equal(c.client_idle_timeout, 0); /* bob's line is bob's alone */
    assert_int_equal(c.transaction_timeout, 80 * PW_USEC_PER_SEC);
    c = client(config, "plain", NULL);
    assert_int_equal(c.query_wait_timeout, 50 * PW_USEC_PER_SEC);
    assert_int_equal(c.max_user_client_connections, 63);
    assert_int_equal(c.max_db_client_connections, 62);
    config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_user_then_database_then_global),
        cmocka_unit_test(zero_in_a_line),
        cmocka_unit_test(a_forced_user_rules_the_pool),
        cmocka_unit_test(clients_by_their_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
