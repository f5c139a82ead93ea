/* SPDX-License-Identifier: ISC */
/* libpq.c - libpq itself: the scenarios of scenarios.py, with its pipeline mode, its single row mode and its cancel. */
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef PGconn Connection;

#include "harness.h"

static PGconn *open_one(void)
{
    PGconn *c = PQconnectdb("application_name=drivers");
    if (PQstatus(c) != CONNECTION_OK)
        fail("connect: %s", PQerrorMessage(c));
    return c;
}

/* The first value of a result, which it frees; "SQLSTATE <code>" after an error. Good until the third next call. */
static const char *value_of(PGresult *r)
{
    static char out[3][200];
    static int turn;
    char *buf = out[turn = (turn + 1) % 3];
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE)
        snprintf(buf, 200, "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "no row");
    else if (status == PGRES_COMMAND_OK)
        snprintf(buf, 200, "%s", PQcmdStatus(r));
    else
        snprintf(buf, 200, "SQLSTATE %s", PQresultErrorField(r, PG_DIAG_SQLSTATE) ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : "none");
    PQclear(r);
    return buf;
}

static const char *one(PGconn *c, const char *sql)
{
    return value_of(PQexec(c, sql));
}

static const char *with_param(PGconn *c, const char *sql, const char *param)
{
    return value_of(PQexecParams(c, sql, 1, NULL, &param, NULL, NULL, 0));
}

static bool connect_(PGconn *c)
{
    CHECK(strcmp(PQparameterStatus(c, "client_encoding"), "UTF8") == 0 && PQserverVersion(c) >= 150000 && PQbackendPID(c) != 0);
    return is(one(c, "SELECT current_user"), getenv("PGUSER")) && is(one(c, "SHOW application_name"), "drivers");
}

static bool parameters(PGconn *c)
{
    const char *values[] = {"ü'\"\\", NULL, "\x00\x00\x00\x2a"};
    const Oid types[] = {25, 25, 23};
    const int lengths[] = {0, 0, 4}, formats[] = {0, 0, 1};
    PGresult *r = PQexecParams(c, "SELECT $1, $2, $3 + 1", 3, types, values, lengths, formats, 1);
    bool right = PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), values[0]) == 0 && PQgetisnull(r, 0, 1) &&
                 memcmp(PQgetvalue(r, 0, 2), "\0\0\0\x2b", 4) == 0;
    PQclear(r);
    CHECK(right);
    return true;
}

static bool settings(PGconn *c)
{
    CHECK(is(one(c, "SET work_mem = '7MB'"), "SET") && is(one(c, "SET TimeZone = 'Asia/Tokyo'"), "SET"));
    for (int i = 0; i < 10; i++)
        if (!is(one(c, "SHOW work_mem"), "7MB") || !is(one(c, "SHOW TimeZone"), "Asia/Tokyo"))
            return false;
    CHECK(strcmp(PQparameterStatus(c, "TimeZone"), "Asia/Tokyo") == 0);
    CHECK(PQsetClientEncoding(c, "LATIN1") == 0);
    return is(with_param(c, "SELECT $1::text", "\xfc"), "\xfc");
}

static bool prepared(PGconn *c)
{
    PQclear(PQprepare(c, "a", "SELECT $1::int + 1", 0, NULL));
    PQclear(PQprepare(c, "b", "SELECT $1::text || 'x'", 0, NULL));
    for (int i = 0; i < 20; i++) {
        char n[20], plus[20], x[21];
        snprintf(n, sizeof(n), "%d", i);
        snprintf(plus, sizeof(plus), "%d", i + 1);
        snprintf(x, sizeof(x), "%sx", n);
        const char *param = n;
        if (!is(value_of(PQexecPrepared(c, "a", 1, &param, NULL, NULL, 0)), plus) ||
            !is(value_of(PQexecPrepared(c, "b", 1, &param, NULL, NULL, 0)), x))
            return false;
    }
    PGresult *r = PQdescribePrepared(c, "b");
    bool right = PQnparams(r) == 1 && PQparamtype(r, 0) == 25 && PQnfields(r) == 1;
    PQclear(r);
    CHECK(right);
    CHECK(is(one(c, "DEALLOCATE a"), "DEALLOCATE"));
    return is(value_of(PQexecPrepared(c, "a", 0, NULL, NULL, NULL, 0)), "SQLSTATE 26000");
}

/* The next result of a pipeline, with the NULL that ends it. */
static const char *next(PGconn *c)
{
    PGresult *r = PQgetResult(c);
    if (r == NULL)
        return "no result";
    ExecStatusType status = PQresultStatus(r);
    const char *text = status == PGRES_PIPELINE_SYNC ? "sync" : status == PGRES_PIPELINE_ABORTED ? "aborted" : NULL;
    if (text != NULL)
        PQclear(r);
    else
        text = value_of(r);
    if (status != PGRES_PIPELINE_SYNC)
        PQclear(PQgetResult(c));
    return text;
}

static bool batch(PGconn *c)
{
    CHECK(PQenterPipelineMode(c));
    char n[100][20];
    for (int i = 0; i < 100; i++) {
        snprintf(n[i], sizeof(n[i]), "%d", i);
        const char *param = n[i];
        CHECK(PQsendQueryParams(c, i == 50 ? "SELECT 1 / ($1::int - 50)" : "SELECT $1::int", 1, NULL, &param, NULL, NULL, 0));
        if (i == 48)
            CHECK(PQpipelineSync(c));
        if (i == 20)
            CHECK(PQsendFlushRequest(c) && PQflush(c) == 0 && is(next(c), "0"));
    }
    CHECK(PQpipelineSync(c));
    for (int i = 1; i < 100; i++) {
        if (!is(next(c), i < 50 ? n[i] : i == 50 ? "SQLSTATE 22012" : "aborted"))
            return false;
        if (i == 48 && !is(next(c), "sync"))
            return false;
    }
    CHECK(is(next(c), "sync") && PQexitPipelineMode(c));
    return is(one(c, "SELECT 1; SELECT 1/0; SELECT 2"), "SQLSTATE 22012");
}

static bool transactions(PGconn *c)
{
    one(c, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    CHECK(is(one(c, "SHOW transaction_isolation"), "serializable") && PQtransactionStatus(c) == PQTRANS_INTRANS);
    one(c, "INSERT INTO items (name) VALUES ('kept')");
    one(c, "SAVEPOINT s");
    one(c, "INSERT INTO items (name) VALUES ('undone')");
    one(c, "ROLLBACK TO s");
    one(c, "COMMIT");
    one(c, "BEGIN");
    one(c, "INSERT INTO items (name) VALUES ('gone')");
    CHECK(is(one(c, "SELECT 1/0"), "SQLSTATE 22012") && is(one(c, "SELECT 1"), "SQLSTATE 25P02") && PQtransactionStatus(c) == PQTRANS_INERROR);
    one(c, "ROLLBACK");
    return is(one(c, "SELECT string_agg(name, ',') FROM items"), "kept") && is(one(c, "DELETE FROM items"), "DELETE 1");
}

static bool cursor(PGconn *c)
{
    one(c, "BEGIN");
    one(c, "DECLARE cur CURSOR FOR SELECT generate_series(1, 1000)");
    int rows = 0, got;
    do {
        PGresult *r = PQexec(c, "FETCH 100 FROM cur");
        rows += got = PQntuples(r);
        PQclear(r);
    } while (got > 0);
    one(c, "COMMIT");
    CHECK(rows == 1000);
    CHECK(PQsendQuery(c, "SELECT generate_series(1, 1000)") && PQsetSingleRowMode(c));
    PGresult *r;
    for (rows = 0; (r = PQgetResult(c)) != NULL; PQclear(r))
        rows += PQresultStatus(r) == PGRES_SINGLE_TUPLE;
    CHECK(rows == 1000);
    return true;
}

static bool copy(PGconn *c)
{
    char row[40];
    PQclear(PQexec(c, "COPY copied FROM STDIN"));
    for (int i = 0; i < 1000; i++)
        CHECK(PQputCopyData(c, row, snprintf(row, sizeof(row), "%d\trow\n", i)) == 1);
    CHECK(PQputCopyEnd(c, NULL) == 1 && is(value_of(PQgetResult(c)), "COPY 1000") && PQgetResult(c) == NULL);
    PQclear(PQexec(c, "COPY copied TO STDOUT"));
    int rows = 0;
    for (char *data; PQgetCopyData(c, &data, 0) > 0; PQfreemem(data))
        rows++;
    CHECK(rows == 1000 && is(value_of(PQgetResult(c)), "COPY 1000") && PQgetResult(c) == NULL);
    PQclear(PQexec(c, "COPY copied FROM STDIN"));
    PQputCopyData(c, "rubbish\trow\n", 12);
    PQputCopyEnd(c, NULL);
    CHECK(is(value_of(PQgetResult(c)), "SQLSTATE 22P02") && PQgetResult(c) == NULL);
    PQclear(PQexec(c, "COPY copied FROM STDIN"));
    PQputCopyEnd(c, "changed my mind");
    CHECK(is(value_of(PQgetResult(c)), "SQLSTATE 57014") && PQgetResult(c) == NULL);
    return is(one(c, "DELETE FROM copied"), "DELETE 1000");
}

static void *canceller(void *arg)
{
    PGconn *c = arg, *other = open_one();
    while (strcmp(one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
                             " AND datname = current_database()"), "1") != 0)
        usleep(10000);
    PGcancel *cancel = PQgetCancel(c);
    char error[256];
    PQcancel(cancel, error, sizeof(error));
    PQfreeCancel(cancel);
    PQfinish(other);
    return NULL;
}

static bool cancel(PGconn *c)
{
    pthread_t thread;
    pthread_create(&thread, NULL, canceller, c);
    PGresult *r = PQexec(c, "SELECT pg_sleep(60)");
    pthread_join(thread, NULL);
    return is(value_of(r), "SQLSTATE 57014") && is(one(c, "SELECT 1"), "1");
}

static char heard[100];

static void hear(void *arg, const PGresult *r)
{
    (void)arg;
    snprintf(heard, sizeof(heard), "%s", PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
}

static bool notices(PGconn *c)
{
    PQsetNoticeReceiver(c, hear, NULL);
    return is(with_param(c, "SELECT loud($1)", "libpq"), "libpq") && is(heard, "hear libpq");
}

static bool notify(PGconn *c)
{
    PGconn *other = open_one();
    one(c, "LISTEN chan");
    one(other, "NOTIFY chan, 'hello'");
    PQfinish(other);
    struct pollfd p = {.fd = PQsocket(c), .events = POLLIN};
    PGnotify *n;
    while ((n = PQnotifies(c)) == NULL) {
        CHECK(poll(&p, 1, 10000) == 1 && PQconsumeInput(c));
    }
    bool right = is(n->extra, "hello");
    PQfreemem(n);
    one(c, "UNLISTEN chan");
    return right;
}

static bool large(PGconn *c)
{
    const size_t size = 10000000;
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    text[size] = '\0';
    const char *param = text;
    PGresult *r = PQexecParams(c, "SELECT $1::text", 1, NULL, &param, NULL, NULL, 0);
    bool right = PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), text) == 0;
    PQclear(r);
    free(text);
    CHECK(right);
    r = PQexec(c, "SELECT generate_series(1, 50000)");
    int rows = PQntuples(r);
    PQclear(r);
    CHECK(rows == 50000);
    return true;
}

static bool errors(PGconn *c)
{
    CHECK(is(one(c, "SELEKT"), "SQLSTATE 42601") && is(one(c, "SELECT 1/0"), "SQLSTATE 22012"));
    CHECK(is(one(c, "INSERT INTO items (name) VALUES ('twice'), ('twice')"), "SQLSTATE 23505"));
    one(c, "SET statement_timeout = 100");
    return is(one(c, "SELECT pg_sleep(60)"), "SQLSTATE 57014") && is(one(c, "SELECT 1"), "1");
}

static bool ddl(PGconn *c)
{
    static const char *alter[] = {"ALTER TABLE wide ADD b1 int", "ALTER TABLE wide ADD b2 int", "ALTER TABLE wide ADD b3 int"};
    PGconn *other = open_one();
    one(c, "CREATE TABLE wide (a int)");
    PQclear(PQprepare(c, "w", "SELECT * FROM wide", 0, NULL));
    for (int columns = 1; columns <= 3; columns++) {
        for (int i = 0; i < 8; i++) {
            PGresult *r = PQexecPrepared(c, "w", 0, NULL, NULL, NULL, 0);
            int n = PQnfields(r);
            char code[6] = "";
            if (PQresultStatus(r) != PGRES_TUPLES_OK)
                snprintf(code, sizeof(code), "%s", PQresultErrorField(r, PG_DIAG_SQLSTATE));
            PQclear(r);
            if (strcmp(code, "0A000") == 0) { /* a direct connection gives it until the statement is prepared anew */
                one(c, "DEALLOCATE w");
                PQclear(PQprepare(c, "w", "SELECT * FROM wide", 0, NULL));
            } else if (n != columns) {
                return fail("%d columns instead of %d, SQLSTATE '%s'", n, columns, code);
            }
        }
        one(other, alter[columns - 1]);
    }
    PQfinish(other);
    return true;
}

static bool session(PGconn *c)
{
    one(c, "CREATE TEMP TABLE mine (a int)");
    one(c, "INSERT INTO mine VALUES (8)");
    CHECK(is(one(c, "SELECT a FROM mine"), "8") && is(one(c, "DROP TABLE mine"), "DROP TABLE"));
    one(c, "BEGIN");
    one(c, "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3)");
    one(c, "COMMIT");
    CHECK(is(one(c, "FETCH 2 FROM h"), "1") && is(one(c, "FETCH 2 FROM h"), "3") && is(one(c, "CLOSE h"), "CLOSE CURSOR"));
    PGconn *other = open_one();
    CHECK(is(one(c, "SELECT pg_try_advisory_lock(77)"), "t") && is(one(other, "SELECT pg_try_advisory_lock(77)"), "f"));
    CHECK(is(one(c, "SELECT pg_advisory_unlock(77)"), "t") && is(one(other, "SELECT pg_try_advisory_lock(77)"), "t"));
    PQfinish(other);
    return true;
}

static bool reconnect(PGconn *c)
{
    CHECK(strncmp(one(c, "SELECT pg_terminate_backend(pg_backend_pid())"), "SQLSTATE", 8) == 0 && PQstatus(c) == CONNECTION_BAD);
    PQreset(c);
    CHECK(PQstatus(c) == CONNECTION_OK);
    return is(one(c, "SELECT 1"), "1");
}

static Connection *open_it(void)
{
    PGconn *c = open_one();
    if (PQstatus(c) == CONNECTION_OK)
        return c;
    PQfinish(c);
    return NULL;
}

int main(int argc, char **argv)
{
    static const Scenario scenarios[] = SCENARIOS;
    return run_scenarios(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]), open_it, PQfinish);
}
