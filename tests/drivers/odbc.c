/* SPDX-License-Identifier: ISC */
/* odbc.c - psqlODBC through unixODBC: the scenarios of scenarios.py. VARIANT: more of the connection string. */
#include <pthread.h>
#include <sql.h>
#include <sqlext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Connection {
    SQLHENV env;
    SQLHDBC dbc;
} Connection;

#include "harness.h"

static const char *state_of(SQLSMALLINT kind, SQLHANDLE h)
{
    static char text[3][200];
    static int turn;
    char *out = text[turn = (turn + 1) % 3];
    SQLCHAR state[6] = "", message[150] = "";
    SQLINTEGER native;
    SQLGetDiagRec(kind, h, 1, state, &native, message, sizeof(message), NULL);
    snprintf(out, 200, "SQLSTATE %s", state);
    return out;
}

static bool open_one(Connection *c)
{
    char text[800];
    snprintf(text, sizeof(text),
             "Driver=/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so;Server=%s;Port=%s;Database=%s;UID=%s;PWD=%s;SSLmode=disable;pqopt={application_name=drivers};%s",
             getenv("PGHOST"), getenv("PGPORT"), getenv("PGDATABASE"), getenv("PGUSER"), getenv("PGPASSWORD"), getenv("VARIANT"));
    SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &c->env);
    SQLSetEnvAttr(c->env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
    SQLAllocHandle(SQL_HANDLE_DBC, c->env, &c->dbc);
    if (SQL_SUCCEEDED(SQLDriverConnect(c->dbc, NULL, (SQLCHAR *)text, SQL_NTS, NULL, 0, NULL, SQL_DRIVER_NOPROMPT)))
        return true;
    SQLCHAR state[6], message[300] = "";
    SQLGetDiagRec(SQL_HANDLE_DBC, c->dbc, 1, state, NULL, message, sizeof(message), NULL);
    return fail("connect: %s", message);
}

static void close_one(Connection *c)
{
    SQLDisconnect(c->dbc);
    SQLFreeHandle(SQL_HANDLE_DBC, c->dbc);
    SQLFreeHandle(SQL_HANDLE_ENV, c->env);
}

static SQLHSTMT statement(Connection *c)
{
    SQLHSTMT s;
    SQLAllocHandle(SQL_HANDLE_STMT, c->dbc, &s);
    return s;
}

static void drop(SQLHSTMT s)
{
    SQLFreeHandle(SQL_HANDLE_STMT, s);
}

/* The first value of what `s` has executed with `rc`, "no row", or "SQLSTATE <code>". Good until the third next call. */
static const char *value_of(SQLHSTMT s, SQLRETURN rc)
{
    static char out[3][200];
    static int turn;
    if (!SQL_SUCCEEDED(rc) && rc != SQL_NO_DATA)
        return state_of(SQL_HANDLE_STMT, s);
    char *buf = out[turn = (turn + 1) % 3];
    SQLSMALLINT columns = 0;
    SQLNumResultCols(s, &columns);
    SQLLEN got = 0;
    if (columns == 0)
        return "done";
    rc = SQLFetch(s);
    if (rc == SQL_NO_DATA)
        return "no row";
    if (!SQL_SUCCEEDED(rc) || !SQL_SUCCEEDED(SQLGetData(s, 1, SQL_C_CHAR, buf, 200, &got)))
        return state_of(SQL_HANDLE_STMT, s);
    return got == SQL_NULL_DATA ? "NULL" : buf;
}

static const char *one(Connection *c, const char *sql)
{
    SQLHSTMT s = statement(c);
    const char *value = value_of(s, SQLExecDirect(s, (SQLCHAR *)sql, SQL_NTS));
    drop(s);
    return value;
}

static SQLRETURN bind_text(SQLHSTMT s, int i, const char *value, SQLLEN *length)
{
    *length = value ? SQL_NTS : SQL_NULL_DATA;
    return SQLBindParameter(s, (SQLUSMALLINT)i, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, 250, 0, (SQLPOINTER)(value ? value : ""), 0, length);
}

static bool connect_(Connection *c)
{
    return is(one(c, "SELECT current_user"), getenv("PGUSER")) && is(one(c, "SHOW application_name"), "drivers");
}

static bool parameters(Connection *c)
{
    SQLHSTMT s = statement(c);
    SQLLEN l[3];
    SQLINTEGER n = 41;
    bool right = false;
    for (int i = 0; i < 3; i++) {
        bind_text(s, 1, "\xc3\xbc'\"\\", &l[0]);
        SQLBindParameter(s, 2, SQL_PARAM_INPUT, SQL_C_LONG, SQL_INTEGER, 0, 0, &n, 0, NULL);
        bind_text(s, 3, NULL, &l[2]);
        const char *got = value_of(s, SQLExecDirect(s, (SQLCHAR *)"SELECT ?::text || (?::int + 1) || coalesce(?::text, 'null')", SQL_NTS));
        right = is(got, "\xc3\xbc'\"\\42null");
        SQLFreeStmt(s, SQL_CLOSE);
        if (!right)
            break;
    }
    drop(s);
    return right;
}

static bool settings(Connection *c)
{
    CHECK(is(one(c, "SET work_mem = '7MB'"), "done") && is(one(c, "SET TimeZone = 'Asia/Tokyo'"), "done"));
    for (int i = 0; i < 10; i++)
        if (!is(one(c, "SHOW work_mem"), "7MB") || !is(one(c, "SHOW TimeZone"), "Asia/Tokyo"))
            return false;
    return true;
}

static bool prepared(Connection *c)
{
    SQLHSTMT a = statement(c), b = statement(c);
    bool right = SQL_SUCCEEDED(SQLPrepare(a, (SQLCHAR *)"SELECT ?::int + 1", SQL_NTS)) &&
                 SQL_SUCCEEDED(SQLPrepare(b, (SQLCHAR *)"SELECT ?::text || 'x'", SQL_NTS));
    for (int i = 0; right && i < 20; i++) {
        char n[20], plus[20], x[21];
        SQLLEN l[2];
        snprintf(n, sizeof(n), "%d", i);
        snprintf(plus, sizeof(plus), "%d", i + 1);
        snprintf(x, sizeof(x), "%sx", n);
        SQLINTEGER number = i;
        SQLBindParameter(a, 1, SQL_PARAM_INPUT, SQL_C_LONG, SQL_INTEGER, 0, 0, &number, 0, NULL);
        bind_text(b, 1, n, &l[1]);
        right = is(value_of(a, SQLExecute(a)), plus) && is(value_of(b, SQLExecute(b)), x);
        SQLFreeStmt(a, SQL_CLOSE);
        SQLFreeStmt(b, SQL_CLOSE);
    }
    drop(a);
    drop(b);
    return right;
}

static bool batch(Connection *c)
{
    SQLHSTMT s = statement(c);
    SQLINTEGER n[200];
    for (int i = 0; i < 200; i++)
        n[i] = i;
    SQLSetStmtAttr(s, SQL_ATTR_PARAMSET_SIZE, (SQLPOINTER)200, 0);
    SQLBindParameter(s, 1, SQL_PARAM_INPUT, SQL_C_LONG, SQL_INTEGER, 0, 0, n, 0, NULL);
    SQLRETURN rc = SQLExecDirect(s, (SQLCHAR *)"INSERT INTO items (n) VALUES (?)", SQL_NTS);
    drop(s);
    CHECK(SQL_SUCCEEDED(rc) && is(one(c, "SELECT count(*) FROM items"), "200"));
    CHECK(is(one(c, "SELECT 1/0; SELECT 2"), "SQLSTATE 22012"));
    s = statement(c);
    CHECK(is(value_of(s, SQLExecDirect(s, (SQLCHAR *)"SELECT 1; SELECT 2", SQL_NTS)), "1") && is(value_of(s, SQLMoreResults(s)), "2"));
    drop(s);
    return is(one(c, "DELETE FROM items"), "done");
}

static bool transactions(Connection *c)
{
    SQLSetConnectAttr(c->dbc, SQL_ATTR_TXN_ISOLATION, (SQLPOINTER)SQL_TXN_SERIALIZABLE, 0);
    SQLSetConnectAttr(c->dbc, SQL_ATTR_AUTOCOMMIT, (SQLPOINTER)SQL_AUTOCOMMIT_OFF, 0);
    CHECK(is(one(c, "SHOW transaction_isolation"), "serializable"));
    one(c, "INSERT INTO items (name) VALUES ('kept')");
    one(c, "SAVEPOINT s");
    one(c, "INSERT INTO items (name) VALUES ('undone')");
    one(c, "ROLLBACK TO s");
    SQLEndTran(SQL_HANDLE_DBC, c->dbc, SQL_COMMIT);
    one(c, "INSERT INTO items (name) VALUES ('gone')");
    CHECK(is(one(c, "SELECT 1/0"), "SQLSTATE 22012"));
    SQLEndTran(SQL_HANDLE_DBC, c->dbc, SQL_ROLLBACK);
    CHECK(is(one(c, "SELECT string_agg(name, ',') FROM items"), "kept") && is(one(c, "DELETE FROM items"), "done"));
    SQLEndTran(SQL_HANDLE_DBC, c->dbc, SQL_COMMIT);
    SQLSetConnectAttr(c->dbc, SQL_ATTR_AUTOCOMMIT, (SQLPOINTER)SQL_AUTOCOMMIT_ON, 0);
    return is(one(c, "SELECT count(*) FROM items"), "0");
}

static int rows_of(Connection *c, const char *sql)
{
    SQLHSTMT s = statement(c);
    int rows = 0;
    if (SQL_SUCCEEDED(SQLExecDirect(s, (SQLCHAR *)sql, SQL_NTS)))
        while (SQL_SUCCEEDED(SQLFetch(s)))
            rows++;
    drop(s);
    return rows;
}

static bool cursor(Connection *c)
{
    CHECK(rows_of(c, "SELECT generate_series(1, 1000)") == 1000);
    SQLSetConnectAttr(c->dbc, SQL_ATTR_AUTOCOMMIT, (SQLPOINTER)SQL_AUTOCOMMIT_OFF, 0);
    CHECK(rows_of(c, "SELECT generate_series(1, 1000)") == 1000);
    SQLEndTran(SQL_HANDLE_DBC, c->dbc, SQL_COMMIT);
    return true;
}

static bool copy(Connection *c)
{
    (void)c;
    fail("ODBC has no COPY");
    snprintf(told, sizeof(told), "%s", not_supported);
    return false;
}

static void *canceller(void *arg)
{
    Connection other;
    if (!open_one(&other))
        return NULL;
    while (strcmp(one(&other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
                              " AND datname = current_database()"), "1") != 0)
        usleep(10000);
    SQLCancel(arg);
    close_one(&other);
    return NULL;
}

static bool cancel(Connection *c)
{
    SQLHSTMT s = statement(c);
    pthread_t thread;
    pthread_create(&thread, NULL, canceller, s);
    SQLRETURN rc = SQLExecDirect(s, (SQLCHAR *)"SELECT pg_sleep(60)", SQL_NTS);
    const char *got = SQL_SUCCEEDED(rc) ? value_of(s, rc) : state_of(SQL_HANDLE_STMT, s);
    pthread_join(thread, NULL);
    drop(s);
    return is(got, "SQLSTATE 57014") && is(one(c, "SELECT 1"), "1");
}

static bool notices(Connection *c)
{
    SQLHSTMT s = statement(c);
    SQLRETURN rc = SQLExecDirect(s, (SQLCHAR *)"SELECT loud('odbc')", SQL_NTS);
    SQLCHAR state[6], message[200] = "";
    SQLGetDiagRec(SQL_HANDLE_STMT, s, 1, state, NULL, message, sizeof(message), NULL);
    drop(s);
    return rc == SQL_SUCCESS_WITH_INFO && strstr((char *)message, "hear odbc") ? true : fail("rc %d, '%s'", rc, message);
}

static bool notify(Connection *c)
{
    (void)c;
    fail("ODBC has no notifications");
    snprintf(told, sizeof(told), "%s", not_supported);
    return false;
}

static bool large(Connection *c)
{
    const size_t size = 10000000;
    char *text = malloc(size + 1), *back = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    SQLHSTMT s = statement(c);
    SQLLEN length = (SQLLEN)size, got = 0;
    SQLBindParameter(s, 1, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_LONGVARCHAR, size, 0, text, (SQLLEN)size, &length);
    bool right = SQL_SUCCEEDED(SQLExecDirect(s, (SQLCHAR *)"SELECT ?::text", SQL_NTS)) && SQL_SUCCEEDED(SQLFetch(s)) &&
                 SQL_SUCCEEDED(SQLGetData(s, 1, SQL_C_CHAR, back, (SQLLEN)size + 1, &got)) && memcmp(text, back, size) == 0;
    drop(s);
    free(text);
    free(back);
    CHECK(right);
    CHECK(rows_of(c, "SELECT generate_series(1, 50000)") == 50000);
    return true;
}

static bool errors(Connection *c)
{
    CHECK(is(one(c, "SELEKT"), "SQLSTATE 42601") && is(one(c, "SELECT 1/0"), "SQLSTATE 22012"));
    CHECK(is(one(c, "INSERT INTO items (name) VALUES ('twice'), ('twice')"), "SQLSTATE 23505"));
    one(c, "SET statement_timeout = 100");
    return is(one(c, "SELECT pg_sleep(60)"), "SQLSTATE 57014") && is(one(c, "SELECT 1"), "1");
}

static bool ddl(Connection *c)
{
    static const char *alter[] = {"ALTER TABLE wide ADD b1 int", "ALTER TABLE wide ADD b2 int", "ALTER TABLE wide ADD b3 int"};
    Connection other;
    CHECK(open_one(&other));
    one(c, "CREATE TABLE wide (a int)");
    one(c, "INSERT INTO wide VALUES (1)");
    SQLHSTMT s = statement(c);
    SQLPrepare(s, (SQLCHAR *)"SELECT * FROM wide", SQL_NTS);
    for (int columns = 1; columns <= 3; columns++) {
        for (int i = 0; i < 8; i++) {
            SQLSMALLINT n = 0;
            SQLRETURN rc = SQLExecute(s);
            const char *got = value_of(s, rc);
            SQLNumResultCols(s, &n);
            SQLFreeStmt(s, SQL_CLOSE);
            if (strcmp(got, "SQLSTATE 0A000") == 0) {
                drop(s);
                s = statement(c);
                SQLPrepare(s, (SQLCHAR *)"SELECT * FROM wide", SQL_NTS);
            } else if (strcmp(got, "1") != 0 || n != columns) {
                return fail("'%s', %d columns instead of %d", got, n, columns);
            }
        }
        one(&other, alter[columns - 1]);
    }
    drop(s);
    close_one(&other);
    return true;
}

static bool session(Connection *c)
{
    one(c, "CREATE TEMP TABLE mine (a int)");
    one(c, "INSERT INTO mine VALUES (8)");
    CHECK(is(one(c, "SELECT a FROM mine"), "8") && is(one(c, "DROP TABLE mine"), "done"));
    one(c, "BEGIN");
    one(c, "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3)");
    one(c, "COMMIT");
    CHECK(is(one(c, "FETCH 2 FROM h"), "1") && is(one(c, "FETCH 2 FROM h"), "3"));
    one(c, "CLOSE h");
    Connection other;
    CHECK(open_one(&other));
    CHECK(is(one(c, "SELECT pg_try_advisory_lock(77)"), "1") && is(one(&other, "SELECT pg_try_advisory_lock(77)"), "0"));
    CHECK(is(one(c, "SELECT pg_advisory_unlock(77)"), "1") && is(one(&other, "SELECT pg_try_advisory_lock(77)"), "1"));
    close_one(&other);
    return true;
}

static bool reconnect(Connection *c)
{
    CHECK(strncmp(one(c, "SELECT pg_terminate_backend(pg_backend_pid())"), "SQLSTATE", 8) == 0);
    Connection again;
    CHECK(open_one(&again));
    bool right = is(one(&again, "SELECT 1"), "1");
    close_one(&again);
    return right;
}

static Connection *open_it(void)
{
    static Connection c; /* one at a time */
    return open_one(&c) ? &c : NULL;
}

int main(int argc, char **argv)
{
    static const Scenario scenarios[] = SCENARIOS;
    return run_scenarios(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]), open_it, close_one);
}
