/* SPDX-License-Identifier: ISC */
/* db.h - one read-only session with the database that is being advised.
 *
 * The session can never write: default_transaction_read_only is on before the first statement, every
 * statement has a time limit, and locks are not waited for. One thread. */
#ifndef ADVISOR_CATALOG_DB_H
#define ADVISOR_CATALOG_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "advisor/arena.h"
#include "poolwise/err.h"

typedef struct AdvDb AdvDb;

/* Rows of one answer; texts belong to it. A NULL is NULL. */
typedef struct AdvRows {
    int n_rows;
    int n_columns;
    const char **cells;
    void *result; /* owned; freed by adv_db_free_rows */
} AdvRows;

typedef struct AdvDbError {
    char sqlstate[6];
    int position;     /* 1-based character of the statement, 0 unknown */
    char message[512]; /* first line, without "ERROR:" */
} AdvDbError;

/* On an error *ret_why says what is wrong and what to do (on the arena). */
PW_MUSTCHECK PwErr adv_db_connect(AdvArena *arena, const char *conninfo, AdvDb **ret_db, const char **ret_why);
/* For a scratch database only: the session may write, and statements may take ten minutes. */
PW_MUSTCHECK PwErr adv_db_connect_writable(AdvArena *arena, const char *conninfo, AdvDb **ret_db, const char **ret_why);
/* The console of a pooler, which knows no settings and never writes. */
PW_MUSTCHECK PwErr adv_db_connect_console(AdvArena *arena, const char *conninfo, AdvDb **ret_db, const char **ret_why);
/* Asks the server to give up what the session runs. Only for a writable session; may be called in a signal handler. */
void adv_db_cancel(const AdvDb *db);
void adv_db_close(AdvDb *db);

/* Runs one statement. `params` (texts) may be NULL. PW_ERR_IO when the server refused it: see adv_db_error. */
PW_MUSTCHECK PwErr adv_db_query(AdvDb *db, const char *sql, int n_params, const char *const *params,
                                AdvRows *ret_rows);
void adv_db_free_rows(AdvRows *rows);
const char *adv_db_cell(const AdvRows *rows, int row, int column);

int adv_db_column(const AdvRows *rows, const char *name); /* -1: there is none of that name */

const AdvDbError *adv_db_error(const AdvDb *db); /* of the last failed statement */
bool adv_db_lost(const AdvDb *db);               /* the connection broke */

#endif
