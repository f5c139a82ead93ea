/* SPDX-License-Identifier: ISC */
/* state, effects, settings: a session's settings through statements, transactions and savepoints.
 *
 * A script is texts with what the server answers: "SQL" -> tags, then 'I', 'T' or 'E'; "!" is an ErrorResponse. */
#include "pooler/session/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"

static bool never(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "timezone") == 0;
}

/* One Query: its tags, comma separated, "!" for an error; the status of its ReadyForQuery. */
static void run(SessionState *st, const char *sql, const char *tags, char status)
{
    unsigned class = stmt_classify(sql, strlen(sql), 0, true);
    Effects *e = class & (CLASS_TRACK | CLASS_NAMES) ? effects_parse(sql, strlen(sql), 0, NULL) : NULL;
    session_state_sent(st, class, e);
    while (*tags) {
        char tag[64];
        size_t n = strcspn(tags, ",");
        memcpy(tag, tags, n);
        tag[n] = '\0';
        tags += n + (tags[n] == ',');
        if (strcmp(tag, "!") == 0)
            session_state_error(st);
        else
            session_state_complete(st, e, tag, never, NULL);
    }
    st->statement = 0;
    session_state_ready(st, (uint8_t)status);
    effects_unref(e);
}

static void expect(SessionState *st, const char *name, const char *value)
{
    const char *got = settings_get(st->committed, name);
    if (value)
        assert_non_null(got);
    else
        assert_null(got);
    if (value)
        assert_string_equal(got, value);
}

#define FRESH        \
    SessionState st; \
    (void)state;     \
    session_state_init(&st)

static void test_values_keep_their_meaning(void **state)
{
    static const struct {
        const char *sql, *name, *value;
    } rows[] = {
        {"SET a = 1", "a", "1"},
        {"SET A TO 'x''y'", "a", "'x''y'"},
        {"SET a TO E'x\\\\y'", "a", "$pw$x\\y$pw$"},
        {"SET a = b, \"C\" ,'d'", "a", "b, \"C\", 'd'"},
        {"SET \"A\".b TO off;", "a.b", "off"},
        {"SET SESSION a = -1.5", "a", "- 1.5"},
        {"SET ROLE Bob", "role", "'bob'"},
        {"SET ROLE \"B\"\"b\"", "role", "'B\"b'"},
        {"SET SESSION AUTHORIZATION 'x'", "session_authorization", "'x'"},
        {"SET SCHEMA 's'", "search_path", "'s'"},
        {"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, NOT DEFERRABLE", "default_transaction_read_only", "off"},
        {"SET vacuum_mem = 5", "maintenance_work_mem", "5"},
        {"SET a = $$x$$ /* y */", "a", "'x'"},
    };
    FRESH;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        run(&st, rows[i].sql, "SET", 'I');
        expect(&st, rows[i].name, rows[i].value);
    }
    assert_int_equal(st.due, 0);
    run(&st, "SELECT set_config('a.b', 'x', false)", "SELECT 1", 'I');
    expect(&st, "a.b", "x");
    run(&st, "RESET ALL", "RESET", 'I');
    expect(&st, "a.b", NULL);
    expect(&st, "session_authorization", "'x'");
    expect(&st, "role", NULL); /* that went with the new user */
    run(&st, "DISCARD ALL", "DISCARD ALL", 'I');
    assert_null(st.committed);
    session_state_finish(&st);
}

static void test_what_is_not_the_sessions(void **state)
{
    static const char *const texts[] = {"SET LOCAL a = 1", "SET TRANSACTION READ ONLY", "SET CONSTRAINTS ALL DEFERRED", "SET TimeZone = 'UTC'",
                                        "SET LOCAL ROLE x", "SET transaction_isolation = 'serializable'", "SET TIME ZONE LOCAL"};
    FRESH;
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++) {
        run(&st, texts[i], i == 2 ? "SET CONSTRAINTS" : "SET", 'I');
        assert_null(st.committed);
        assert_int_equal(st.due, 0);
    }
    session_state_finish(&st);
}

static void test_what_cannot_be_followed_is_asked_for(void **state)
{
    static const char *const texts[] = {"SET a FROM CURRENT", "SELECT set_config(a, b, false) FROM t", "SELECT 1, set_config('a', 'b', false)",
                                        "SELECT set_config('a', x, false)", "SET LOCAL SESSION AUTHORIZATION x", "SET a = U&'x' UESCAPE '!'",
                                        "SELECT set_config('a', 'b'::int::text, false)", "INSERT INTO t SELECT set_config('a', 'b', false)",
                                        "SELECT \"set_config\"('a', 'b', false)"};
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++) {
        FRESH;
        run(&st, texts[i], "SET", 'I');
        assert_int_equal(st.due & SESSION_DUE_ALL, SESSION_DUE_ALL);
        session_state_finish(&st);
    }
}

/* Not even its name can be asked for. */
static void test_set_config_without_a_name_pins(void **state)
{
    static const struct {
        const char *text;
        bool pins;
    } cases[] = {
        {"SELECT set_config('a.' || x, 'b', false)", true},      {"SELECT set_config(k, 'b', false) FROM t", true},
        {"SELECT f(set_config(k, 'b', g(true)))", true},         {"SELECT 1, set_config(k, v, l)", true},
        {"SELECT set_config(k, 'b', true) FROM t", false},       {"SELECT set_config('a', b || c, false)", false},
        {"SELECT set_config('a'::text, f(b, c), false)", false}, {"SELECT 1, set_config('a', 'b', false), set_config(k, v, true)", false},
        {"SELECT set_config(", true},                            {"SELECT set_config", false},
        {"PREPARE q AS SELECT set_config(k, v, false)", false},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        FRESH;
        run(&st, cases[i].text, "SELECT 1", 'I');
        assert_int_equal(st.pins, cases[i].pins ? SESSION_PIN_SETTING : 0);
        session_state_finish(&st);
    }
}

static void test_a_tag_that_does_not_fit(void **state)
{
    FRESH;
    run(&st, "SET a = 1", "SELECT 1", 'I');
    expect(&st, "a", NULL);
    assert_int_equal(st.due, SESSION_DUE_ALL);
    st.due = 0;
    run(&st, "SELECT 1", "SET", 'I'); /* nobody foresaw it */
    assert_int_equal(st.due, SESSION_DUE_ALL);
    session_state_finish(&st);
}

static void test_transactions(void **state)
{
    FRESH;
    run(&st, "BEGIN; SET a = 1", "BEGIN,SET", 'T');
    expect(&st, "a", NULL);
    run(&st, "COMMIT", "COMMIT", 'I');
    expect(&st, "a", "1");
    run(&st, "BEGIN", "BEGIN", 'T');
    run(&st, "SET a = 2", "SET", 'T');
    run(&st, "SELECT 1/0", "!", 'E');
    run(&st, "COMMIT", "ROLLBACK", 'I');
    expect(&st, "a", "1");
    run(&st, "SET a = 3; SELECT 1/0", "SET,!", 'I');
    expect(&st, "a", "1");
    assert_int_equal(st.due, SESSION_DUE_ALL); /* VACUUM and the like may have ended what was before */
    st.due = 0;
    run(&st, "SET a = 4; COMMIT; SET a = 5; SELECT 1/0", "SET,COMMIT,SET,!", 'I');
    expect(&st, "a", "4");
    run(&st, "BEGIN; SET a = 6; COMMIT AND CHAIN; SET a = 7; ROLLBACK", "BEGIN,SET,COMMIT,SET,ROLLBACK", 'I');
    expect(&st, "a", "6");
    run(&st, "BEGIN; SET a = 8; PREPARE TRANSACTION 'x'", "BEGIN,SET,PREPARE TRANSACTION", 'I');
    expect(&st, "a", "8");
    assert_false(st.dirty);
    session_state_finish(&st);
}

static void test_savepoints(void **state)
{
    FRESH;
    run(&st, "BEGIN; SAVEPOINT s; SET a = 1; SAVEPOINT s; SET a = 2; SAVEPOINT t; SET a = 3", "BEGIN,SAVEPOINT,SET,SAVEPOINT,SET,SAVEPOINT,SET", 'T');
    run(&st, "ROLLBACK TO t; ROLLBACK TO s", "ROLLBACK,ROLLBACK", 'T');
    assert_string_equal(settings_get(st.working, "a"), "1");
    run(&st, "RELEASE s; ROLLBACK TO SAVEPOINT s", "RELEASE,ROLLBACK", 'T'); /* the older one of that name, set while all was clean */
    assert_null(st.working);
    run(&st, "SET a = 4; COMMIT", "SET,COMMIT", 'I');
    expect(&st, "a", "4");
    assert_int_equal(st.n_savepoints, 0);
    run(&st, "BEGIN; SET a = 5; SAVEPOINT \"S\"; SET a = 6", "BEGIN,SET,SAVEPOINT,SET", 'T');
    run(&st, "ROLLBACK TO s", "!", 'E'); /* another name: an error */
    run(&st, "ROLLBACK TO \"S\"", "ROLLBACK", 'T');
    run(&st, "COMMIT", "COMMIT", 'I');
    expect(&st, "a", "5");
    session_state_finish(&st);
}

static void test_pins(void **state)
{
    char text[SESSION_PIN_TEXT];
    FRESH;
    run(&st, "LISTEN a", "!", 'I'); /* asked for even if it fails */
    assert_int_equal(st.due, SESSION_DUE_PINS);
    session_state_probed(&st, 0);
    run(&st, "UNLISTEN a", "UNLISTEN", 'I'); /* nothing to lose */
    assert_int_equal(st.due, 0);
    session_state_probed(&st, SESSION_PIN_LISTEN | SESSION_PIN_TEMP);
    assert_string_equal(session_pin_text(st.pins, text), "listen+temp_table");
    run(&st, "UNLISTEN a", "UNLISTEN", 'I');
    assert_int_equal(st.due, SESSION_DUE_PINS);
    run(&st, "LOAD 'x'", "LOAD", 'I');
    session_state_probed(&st, 0);
    assert_int_equal(st.pins, SESSION_PIN_LOAD);
    session_state_finish(&st);
}

static void test_strict_pins_instead(void **state)
{
    FRESH;
    st.strict = true;
    run(&st, "SET LOCAL a = 1", "SET", 'I');
    assert_int_equal(st.pins, 0);
    run(&st, "SET a = 1", "SET", 'I');
    assert_int_equal(st.pins, SESSION_PIN_SETTING);
    session_state_finish(&st);
}

static void sql_is(const Settings *from, const Settings *to, const char *expected)
{
    PwBuf sql;
    pw_buf_init(&sql);
    settings_sql_before(from, to, &sql);
    settings_sql_resets(from, to, &sql);
    settings_sql_after(from, to, &sql);
    pw_buf_append_u8(&sql, 0);
    assert_string_equal((const char *)pw_buf_head(&sql), expected);
    pw_buf_finish(&sql);
}

static void test_names_of_settings(void **state)
{
    SessionState st;
    (void)state;
    session_state_init(&st);
    run(&st, "SELECT set_config('Sort_Mem', '7MB', false), set_config('seed', '0.5', false), set_config('transaction_read_only', 'on', false)", "SELECT 1", 'I');
    expect(&st, "work_mem", "7MB");
    sql_is(NULL, st.committed, "SELECT pg_catalog.set_config('work_mem','7MB',false);"); /* and no more: the others cannot be RESET */
    session_state_finish(&st);
}

/* A role that the start-up packet asked for comes back where the session's identity does. */
static void test_a_role_from_the_start(void **state)
{
    static const struct {
        const char *text, *tags, *role, *user;
    } cases[] = {
        {"RESET ROLE", "RESET", "a", NULL},
        {"SET ROLE b; RESET ROLE", "SET,RESET", "a", NULL},
        {"SET ROLE NONE; RESET ALL", "SET,RESET", "'none'", NULL},
        {"SET ROLE b; DISCARD ALL", "SET,DISCARD ALL", "a", NULL},
        {"SET SESSION AUTHORIZATION c", "SET", NULL, "'c'"},
        {"SET SESSION AUTHORIZATION c; RESET ALL", "SET,RESET", NULL, "'c'"},
        {"SET SESSION AUTHORIZATION c; RESET SESSION AUTHORIZATION", "SET,RESET", "a", NULL},
        {"SELECT set_config('session_authorization', 'c', false)", "SELECT 1", NULL, "c"},
        {"BEGIN; RESET SESSION AUTHORIZATION; SET ROLE b; ROLLBACK", "BEGIN,RESET,SET,ROLLBACK", "a", NULL},
    };
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        SessionState st;
        session_state_init(&st);
        assert_true(settings_put(&st.startup, "role", "a", true));
        session_state_adopt(&st, settings_ref(st.startup));
        run(&st, cases[i].text, cases[i].tags, 'I');
        expect(&st, "role", cases[i].role);
        expect(&st, "session_authorization", cases[i].user);
        session_state_finish(&st);
    }
    assert_int_equal(settings_bytes(), 0);
}

static void test_replay(void **state)
{
    SessionState a, b;
    (void)state;
    session_state_init(&a);
    session_state_init(&b);
    run(&a, "SET x = 1; SET y = 'z'; SET ROLE r", "SET,SET,SET", 'I');
    run(&b, "SET SESSION AUTHORIZATION u; SET ROLE r; SET x = 2; SELECT set_config('q.w', 'v', false)", "SET,SET,SET,SELECT 1", 'I');
    sql_is(a.committed, b.committed,
           "RESET ROLE;RESET \"y\";SELECT pg_catalog.set_config('q.w','v',false);SET \"x\" TO 2;"
           "SET \"session_authorization\" TO 'u';SET \"role\" TO 'r';");
    sql_is(b.committed, a.committed,
           "RESET ROLE;RESET SESSION AUTHORIZATION;RESET \"q.w\";SET \"x\" TO 1;SET \"y\" TO 'z';SET \"role\" TO 'r';");
    sql_is(a.committed, a.committed, "");
    sql_is(NULL, NULL, "");
    run(&b, "DISCARD ALL; SET ROLE r; SET y = 'z'; SET x = 1", "DISCARD ALL,SET,SET,SET", 'I');
    assert_true(settings_equal(a.committed, b.committed)); /* whatever the order */
    session_state_finish(&a);
    session_state_finish(&b);
    assert_int_equal(settings_bytes(), 0);
}

/* Channels that are listened on, with a blank between them. */
static void expect_channels(SessionState *st, const char *want)
{
    char got[200] = "";
    Setting at;
    for (size_t pos = 0; settings_next(st->channels, &pos, &at);)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", *got ? " " : "", at.name);
    assert_string_equal(got, want);
}

static void test_channels(void **state)
{
    static const struct {
        const char *sql, *tags;
        char status;
        const char *channels;
    } rows[] = {
        {"LISTEN a", "LISTEN", 'I', "a"},
        {"listen \"B\"; LISTEN Cc;", "LISTEN,LISTEN", 'I', "B a cc"},
        {"UNLISTEN \"B\"", "UNLISTEN", 'I', "a cc"},
        {"LISTEN d; SELECT 1/0", "LISTEN,!", 'I', "a cc"},
        {"BEGIN", "BEGIN", 'T', "a cc"},
        {"UNLISTEN *", "UNLISTEN", 'T', "a cc"},
        {"LISTEN e", "LISTEN", 'T', "a cc"},
        {"ROLLBACK", "ROLLBACK", 'I', "a cc"},
        {"BEGIN; UNLISTEN *; LISTEN e; COMMIT", "BEGIN,UNLISTEN,LISTEN,COMMIT", 'I', "e"},
        {"BEGIN; LISTEN f; SAVEPOINT s; LISTEN g; UNLISTEN e", "BEGIN,LISTEN,SAVEPOINT,LISTEN,UNLISTEN", 'T', "e"},
        {"ROLLBACK TO s", "ROLLBACK", 'T', "e"},
        {"COMMIT", "COMMIT", 'I', "e f"},
        {"BEGIN; SAVEPOINT s; LISTEN g; ROLLBACK TO s; COMMIT", "BEGIN,SAVEPOINT,LISTEN,ROLLBACK,COMMIT", 'I', "e f"},
        {"BEGIN; SAVEPOINT s; LISTEN g; RELEASE s; COMMIT", "BEGIN,SAVEPOINT,LISTEN,RELEASE,COMMIT", 'I', "e f g"},
        {"BEGIN; LISTEN h", "BEGIN,LISTEN", 'T', "e f g"},
        {"x", "!", 'E', "e f g"},
        {"COMMIT", "ROLLBACK", 'I', "e f g"},
        {"DISCARD ALL", "DISCARD ALL", 'I', ""},
    };
    FRESH;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        run(&st, rows[i].sql, rows[i].tags, rows[i].status);
        expect_channels(&st, rows[i].channels);
    }
    assert_null(st.committed);
    session_state_finish(&st);
}

/* Only the server knows what these listen on. */
static void test_channels_that_cannot_be_told(void **state)
{
    char longest[120];
    snprintf(longest, sizeof(longest), "LISTEN %064d", 0);
    longest[7] = 'x';
    const char *texts[] = {longest, "LISTEN U&\"x\"", "LISTEN \xc3\x84", "LISTEN \"\"", "LISTEN a.b", "UNLISTEN", "LISTEN a b"};
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++) {
        FRESH;
        run(&st, texts[i], texts[i][0] == 'U' ? "UNLISTEN" : "LISTEN", 'I');
        expect_channels(&st, "");
        assert_int_equal(st.due & SESSION_DUE_ALL, SESSION_DUE_ALL);
        session_state_finish(&st);
    }
    FRESH;
    run(&st, "LISTEN \"\xc3\x84\"", "LISTEN", 'I'); /* quoted: as it is */
    expect_channels(&st, "\xc3\x84");
    session_state_finish(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_keep_their_meaning),
        cmocka_unit_test(test_what_is_not_the_sessions),
        cmocka_unit_test(test_what_cannot_be_followed_is_asked_for),
        cmocka_unit_test(test_set_config_without_a_name_pins),
        cmocka_unit_test(test_a_tag_that_does_not_fit),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_savepoints),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_strict_pins_instead),
        cmocka_unit_test(test_names_of_settings),
        cmocka_unit_test(test_a_role_from_the_start),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_channels_that_cannot_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
