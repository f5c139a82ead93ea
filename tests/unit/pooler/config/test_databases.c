/* SPDX-License-Identifier: ISC */
#include "tests/unit/pooler/config/support.h"

#define SECRET "g3h31m"

static const DatabaseConf *find(const Config *config, const char *name)
{
    bool is_auto = true;
    const DatabaseConf *db = config_find_database(config, name, &is_auto);
    assert_non_null(db);
    assert_int_equal(is_auto, db->is_auto);
    return db;
}

static void every_key(void **state)
{
    (void)state;
    Config *config = load_good(
        "[pgbouncer]\n[databases]\n"
        "p = dbname=real host=h1,h2 port=6000 user='o''neill' password='" SECRET " x' "
        "auth_query='select 1' auth_dbname=other pool_size=1 min_pool_size=2 reserve_pool=3 "
        "pool_mode=statement "
        "max_db_connections=4 max_db_client_connections=5 server_lifetime=6 query_wait_timeout=0.5 "
        "load_balance_hosts=disable connect_query='set x to ''y''' client_encoding=LATIN1 "
        "datestyle=ISO "
        "timezone=GMT application_name=app\n");
    const DatabaseConf *db = find(config, "p");
    assert_string_equal(db->dbname, "real");
    assert_string_equal(db->host, "h1,h2");
    assert_int_equal(db->port, 6000);
    assert_string_equal(db->user, "o'neill");
    assert_string_equal(db->password, SECRET " x");
    assert_string_equal(db->auth_query, "select 1");
    assert_string_equal(db->auth_dbname, "other");
    assert_int_equal(db->pool_size, 1);
    assert_int_equal(db->min_pool_size, 2);
    assert_int_equal(db->reserve_pool_size, 3);
    assert_int_equal(db->pool_mode, POOL_MODE_STATEMENT);
    assert_int_equal(db->max_db_connections, 4);
    assert_int_equal(db->max_db_client_connections, 5);
    assert_int_equal(db->server_lifetime, 6 * PW_USEC_PER_SEC);
    assert_int_equal(db->query_wait_timeout, 500000);
    assert_int_equal(db->load_balance_hosts, LOAD_BALANCE_DISABLE);
    assert_string_equal(db->connect_query, "set x to 'y'");
    assert_string_equal(db->client_encoding, "LATIN1");
    assert_string_equal(db->datestyle, "ISO");
    assert_string_equal(db->timezone, "GMT");
    assert_string_equal(db->application_name, "app");
    config_unref(config);
}

static void an_empty_line_takes_all_defaults(void **state)
{
    (void)state;
    Config *config = load_good("[pgbouncer]\n[databases]\n'my db' =\n* = port=7\n");
    const DatabaseConf *db = find(config, "my db");
    assert_null(db->dbname);
    assert_string_equal(config_server_dbname(db, "my db"), "my db");
    assert_null(db->host);
    assert_int_equal(db->port, 5432);
    assert_int_equal(db->pool_size, -1);
    assert_int_equal(db->pool_mode, POOL_MODE_UNSET);
    assert_int_equal(db->server_lifetime, -1);
    assert_int_equal(db->load_balance_hosts, LOAD_BALANCE_UNSET);
    bool is_auto = false;
    db = config_find_database(config, "anything", &is_auto);
    assert_true(is_auto);
    assert_int_equal(db->port, 7);
    db = config_find_database(config, "*", &is_auto); /* not a name that can be asked for */
    assert_true(is_auto);
    config_unref(config);

    config = load_good("[pgbouncer]\n[databases]\na = port=7\n");
    assert_null(config_find_database(config, "b", &is_auto));
    assert_false(is_auto);
    config_unref(config);
}

static void uris_go_through_libpq(void **state)
{
    (void)state;
    Config *config = load_good(
        "[pgbouncer]\n[databases]\n"
        "a = postgresql://bob:p%40ss@db.example:6000/real?application_name=x%20y&sslmode=prefer\n"
        "b = postgres:///only\n"
        "c = postgresql://h1:7000,h2:7000/x\n"
        "d = postgresql://[::1]/x\n"
        "e = postgresql://%2Fvar%2Frun/x\n");
    const DatabaseConf *db = find(config, "a");
    assert_string_equal(db->user, "bob");
    assert_string_equal(db->password, "p@ss");
    assert_string_equal(db->host, "db.example");
    assert_int_equal(db->port, 6000);
    assert_string_equal(db->dbname, "real");
    assert_string_equal(db->application_name, "x y");
    db = find(config, "b");
    assert_null(db->host);
    assert_null(db->user);
    assert_string_equal(db->dbname, "only");
    assert_int_equal(db->port, 5432);
    db = find(config, "c");
    assert_string_equal(db->host, "h1,h2");
    assert_int_equal(db->port, 7000);
    assert_string_equal(find(config, "d")->host, "::1");
    assert_string_equal(find(config, "e")->host, "/var/run");
    config_unref(config);
}

/* Each line has one mistake and a password, which no message may show. */
static void passwords_stay_out_of_messages(void **state)
{
    (void)state;
    static const struct {
        const char *line, *told;
    } rows[] = {
        {"password=" SECRET " port=x", "port must be"},
        {"password=my " SECRET "=1", "single quotes"},
        {"password=my " SECRET, "key=value pairs"},
        {"password='" SECRET, "does not end"},
        {"password='" SECRET "'x", "a blank is missing"},
        {"host=a password=x '" SECRET "'=2", "single quotes"},
        {"postgresql://bob:" SECRET "%Zx@host/db", "not a valid connection URI"},
        {"postgresql://bob:" SECRET "@host/db?what=1", "not a valid connection URI"},
        {"postgresql://bob:" SECRET "@host/db?sslmode=require", "server_tls_sslmode"},
        {"postgresql://bob:" SECRET "@h1:1,h2:2,h3:3/db?port=1,2", "invalid number of ports (2 for 3 hosts)"},
        {"host=a password=" SECRET " port=1,2", "invalid number of ports (2 for 1 host)"},
        {"password=" SECRET " port=1,2", "invalid number of ports"},
        {"postgresql://bob:" SECRET "@host/db?connect_timeout=3", "server_connect_timeout"},
        {"host=a pasword=x" SECRET, "did you mean \"password\"?"},
        {"password=" SECRET " port=0", "between 1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[300];
        PwDiag diags;
        (void)snprintf(text, sizeof(text), "[pgbouncer]\n[databases]\np = %s\n", rows[i].line);
        assert_null(load_text(text, &diags));
        ASSERT_TOLD(&diags, PW_DIAG_ERROR, 3, rows[i].told);
        for (size_t j = 0; j < diags.n; j++) {
            char *line = pw_diag_format(&diags.items[j]);
            if (strstr(line, SECRET) != NULL)
                fail_msg("the password is in: %s", line);
            free(line);
        }
        pw_diag_finish(&diags);
    }
}

static void each_host_may_have_its_port(void **state)
{
    (void)state;
    Config *config = load_good("[pgbouncer]\n[databases]\n"
                               "a = host=h1,h2 port=5433,5434\n"
                               "b = port='7, 8' host=h1,h2\n"
                               "c = host=h1,h2 port=1,2 port=3\n"
                               "d = postgresql://h1:11,h2:12/x\n");
    assert_string_equal(find(config, "a")->ports, "5433,5434");
    assert_int_equal(find(config, "a")->port, 5433);
    assert_string_equal(find(config, "b")->ports, "7,8");
    assert_null(find(config, "c")->ports);
    assert_int_equal(find(config, "c")->port, 3);
    assert_string_equal(find(config, "d")->ports, "11,12");
    assert_true(config_database_needs_reconnect(find(config, "a"), find(config, "b")));
    config_unref(config);
}

static void names_have_limits(void **state)
{
    (void)state;
    char text[200], name[65];
    PwDiag diags;
    memset(name, 'x', 64);
    name[64] = '\0';
    (void)snprintf(text, sizeof(text), "[pgbouncer]\n[databases]\n%s = port=1\n", name);
    assert_null(load_text(text, &diags));
    ASSERT_TOLD(&diags, PW_DIAG_ERROR, 3, "longer than 63 bytes");
    pw_diag_finish(&diags);
    (void)snprintf(text, sizeof(text), "[pgbouncer]\n[databases]\n%s = port=1\n", name + 1);
    Config *config = load_good(text);
    assert_int_equal(find(config, name + 1)->port, 1);
    config_unref(config);
}

static DatabaseConf *copy_of(const DatabaseConf *db)
{
    DatabaseConf *copy = malloc(sizeof(*copy));
    assert_non_null(copy);
    *copy = *db; /* strings are shared: only compared here */
    return copy;
}

static void reconnect_follows_what_a_server_was_made_of(void **state)
{
    (void)state;
    Config *config =
        load_good("[pgbouncer]\n[databases]\np = host=a user=u password=x pool_size=3\n");
    const DatabaseConf *db = find(config, "p");
    DatabaseConf *other = copy_of(db);
    char text[] = "else";
    assert_false(config_database_needs_reconnect(db, other));
    other->pool_size = 4;
    other->password = text;
    assert_false(config_database_needs_reconnect(db, other));
    other->port = 1;
    assert_true(config_database_needs_reconnect(db, other));
    *other = *db;
    other->host = text;
    assert_true(config_database_needs_reconnect(db, other));
    *other = *db;
    other->connect_query = text;
    assert_true(config_database_needs_reconnect(db, other));
    free(other);
    config_unref(config);
}

static void many_lines_are_found(void **state)
{
    (void)state;
    enum { N = 3000 };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "[pgbouncer]\n[databases]\n");
    for (int i = 0; i < N; i++)
        fprintf(out, "db%d = port=%d\n", (i * 7919) % N, (i * 7919) % N + 1);
    fclose(out);
    Config *config = load_good(text);
    free(text);
    assert_int_equal(config_n_databases(config), N);
    for (int i = 0; i < N; i++) {
        char name[20];
        (void)snprintf(name, sizeof(name), "db%d", i);
        assert_int_equal(find(config, name)->port, i + 1);
    }
    assert_string_equal(config_database_at(config, 1)->name,
                        "db1919"); /* file order: 7919 mod 3000 */
    config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key),
        cmocka_unit_test(an_empty_line_takes_all_defaults),
        cmocka_unit_test(uris_go_through_libpq),
        cmocka_unit_test(passwords_stay_out_of_messages),
        cmocka_unit_test(each_host_may_have_its_port),
        cmocka_unit_test(names_have_limits),
        cmocka_unit_test(reconnect_follows_what_a_server_was_made_of),
        cmocka_unit_test(many_lines_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
