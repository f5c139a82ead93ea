/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/db.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

struct AdvDb {
    PGconn *conn;
    PGcancel *cancel; /* of a writable session: made early, since a signal handler must not allocate */
    AdvDbError error;
};

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

/* Our settings come after the user's own options, so that they win. */
static const char *session_options(AdvArena *arena, const char *conninfo, bool writable)
{
    const char *theirs = "";
    char *errors = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &errors);
    for (PQconninfoOption *o = parsed; o && o->keyword; o++)
        if (strcmp(o->keyword, "options") == 0 && o->val)
            theirs = adv_arena_strdup(arena, o->val);
    if (parsed)
        PQconninfoFree(parsed);
    if (errors)
        PQfreemem(errors);
    if (!*theirs && getenv("PGOPTIONS"))
        theirs = adv_arena_strdup(arena, getenv("PGOPTIONS"));
    if (writable)
        return theirs;
    return adv_arena_printf(arena,
                            "%s -c default_transaction_read_only=on -c statement_timeout=30s -c lock_timeout=2s"
                            " -c idle_in_transaction_session_timeout=60s",
                            theirs);
}

static const char *connect_hint(const char *message)
{
    if (strstr(message, "refused") || strstr(message, "No such file") || strstr(message, "could not translate"))
        return "check host and port in the connection string and that the server runs there";
    if (strstr(message, "password") || strstr(message, "authentication"))
        return "give the password in ~/.pgpass or PGPASSWORD, or another user in the connection string";
    if (strstr(message, "does not exist"))
        return "check dbname and user in the connection string";
    return "try the same connection string with psql";
}

static PwErr open_session(AdvArena *arena, const char *conninfo, bool writable, AdvDb **ret_db, const char **ret_why)
{
    const char *keywords[] = {"dbname", "options", "application_name", "client_encoding", "connect_timeout", NULL};
    const char *values[] = {conninfo, session_options(arena, conninfo, writable), "poolwise advisor", "UTF8", "15", NULL};
    /* A connect_timeout in the conninfo comes later in the expanded list and is overridden by ours only when
     * the user gave none. */
    if (strstr(conninfo, "connect_timeout"))
        keywords[4] = NULL;
    PGconn *conn = PQconnectdbParams(keywords, values, 1);
    if (!conn || PQstatus(conn) != CONNECTION_OK) {
        char *message = adv_arena_strdup(arena, conn ? PQerrorMessage(conn) : "out of memory\n");
        message[strcspn(message, "\n")] = '\0';
        *ret_why = adv_arena_printf(arena, "cannot connect: %s\nhint: %s", message, connect_hint(message));
        PQfinish(conn);
        return PW_ERR_IO;
    }
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    AdvDb *db = calloc(1, sizeof(*db));
    if (!db) {
        PQfinish(conn);
        *ret_why = "out of memory";
        return PW_ERR_NOMEM;
    }
    db->conn = conn;
    *ret_db = db;
    return PW_OK;
}

static PwErr set_all(AdvArena *arena, AdvDb *db, const char *const *settings, size_t n, const char **ret_why)
{
    AdvRows rows;
    for (size_t i = 0; i < n; i++) {
        if (adv_db_query(db, settings[i], 0, NULL, &rows)) {
            *ret_why = adv_arena_printf(arena, "cannot prepare the session: %s", db->error.message);
            return PW_ERR_IO;
        }
        adv_db_free_rows(&rows);
    }
    return PW_OK;
}

static PwErr check_read_only(AdvArena *arena, AdvDb *db, const char **ret_why)
{
    AdvRows rows;
    if (adv_db_query(db, "SHOW transaction_read_only", 0, NULL, &rows)) {
        *ret_why = adv_arena_printf(arena, "cannot prepare the session: %s", db->error.message);
        return PW_ERR_IO;
    }
    bool read_only = rows.n_rows == 1 && strcmp(adv_db_cell(&rows, 0, 0), "on") == 0;
    adv_db_free_rows(&rows);
    if (read_only)
        return PW_OK;
    *ret_why = "the session did not become read-only\nhint: connect to PostgreSQL directly, not through a "
               "pooler in transaction mode";
    return PW_ERR_UNSUPPORTED;
}

PwErr adv_db_connect(AdvArena *arena, const char *conninfo, AdvDb **ret_db, const char **ret_why)
{
    /* A pooler in between may have dropped the start-up options: set them again, and look. */
    static const char *const settings[] = {
        "SET default_transaction_read_only = on",
        "SET statement_timeout = '30s'",
        "SET lock_timeout = '2s'",
        "SET standard_conforming_strings = on",
        "SET datestyle = 'ISO'",
        "SET jit = off",
    };
    AdvDb *db;
    PwErr err = open_session(arena, conninfo, false, &db, ret_why);
    if (err)
        return err;
    err = set_all(arena, db, settings, PW_ARRAY_LEN(settings), ret_why);
    if (!err)
        err = check_read_only(arena, db, ret_why);
    if (err)
        adv_db_close(db);
    else
        *ret_db = db;
    return err;
}

PwErr adv_db_connect_writable(AdvArena *arena, const char *conninfo, AdvDb **ret_db, const char **ret_why)
{
    static const char *const settings[] = {
        "SET default_transaction_read_only = off", "SET statement_timeout = '10min'", "SET lock_timeout = '10s'",
        "SET standard_conforming_strings = on",    "SET datestyle = 'ISO'",
    };
    AdvDb *db;
    PwErr err = open_session(arena, conninfo, true, &db, ret_why);
    if (err)
        return err;
    err = set_all(arena, db, settings, PW_ARRAY_LEN(settings), ret_why);
    db->cancel = PQgetCancel(db->conn);
    if (err)
        adv_db_close(db);
    else
        *ret_db = db;
    return err;
}

PwErr adv_db_connect_console(AdvArena *arena, const char *conninfo, AdvDb **ret_db, const char **ret_why)
{
    return open_session(arena, conninfo, true, ret_db, ret_why);
}

void adv_db_cancel(const AdvDb *db)
{
    char why[64];
    if (db->cancel)
        (void)PQcancel(db->cancel, why, sizeof(why));
}

void adv_db_close(AdvDb *db)
{
    if (!db)
        return;
    PQfreeCancel(db->cancel);
    PQfinish(db->conn);
    free(db);
}

static void keep_error(AdvDb *db, const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *position = result ? PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION) : NULL;
    snprintf(db->error.sqlstate, sizeof(db->error.sqlstate), "%s", state ? state : "");
    snprintf(db->error.message, sizeof(db->error.message), "%s", message ? message : PQerrorMessage(db->conn));
    db->error.message[strcspn(db->error.message, "\n")] = '\0';
    db->error.position = position ? atoi(position) : 0;
}

PwErr adv_db_query(AdvDb *db, const char *sql, int n_params, const char *const *params, AdvRows *ret_rows)
{
    memset(ret_rows, 0, sizeof(*ret_rows));
    PGresult *result = n_params ? PQexecParams(db->conn, sql, n_params, NULL, params, NULL, NULL, 0)
                                : PQexec(db->conn, sql);
    ExecStatusType status = result ? PQresultStatus(result) : PGRES_FATAL_ERROR;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        keep_error(db, result);
        PQclear(result);
        return PW_ERR_IO;
    }
    int rows = PQntuples(result), columns = PQnfields(result);
    const char **cells = calloc((size_t)rows * (size_t)columns + 1, sizeof(*cells));
    if (!cells) {
        PQclear(result);
        return PW_ERR_NOMEM;
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            cells[r * columns + c] = PQgetisnull(result, r, c) ? NULL : PQgetvalue(result, r, c);
    *ret_rows = (AdvRows){.n_rows = rows, .n_columns = columns, .cells = cells, .result = result};
    return PW_OK;
}

void adv_db_free_rows(AdvRows *rows)
{
    free(rows->cells);
    PQclear(rows->result);
    memset(rows, 0, sizeof(*rows));
}

const char *adv_db_cell(const AdvRows *rows, int row, int column)
{
    return rows->cells[row * rows->n_columns + column];
}

int adv_db_column(const AdvRows *rows, const char *name)
{
    for (int i = 0; i < rows->n_columns; i++)
        if (strcmp(PQfname(rows->result, i), name) == 0)
            return i;
    return -1;
}

const AdvDbError *adv_db_error(const AdvDb *db)
{
    return &db->error;
}

bool adv_db_lost(const AdvDb *db)
{
    return PQstatus(db->conn) != CONNECTION_OK;
}
