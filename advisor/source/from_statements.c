/* SPDX-License-Identifier: ISC */
/* from_statements.c - the extension pg_stat_statements of the database itself. */
#include "advisor/source/statements.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/text.h"

/* Where the view is, and whether its times are one column or two (from version 1.8 on). */
static PwErr find_view(AdvDb *db, AdvArena *arena, const char **ret_schema, bool *ret_split, const char **ret_why)
{
    AdvRows rows;
    static const char sql[] =
        "SELECT n.nspname, EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
        "  WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements' AND a.attname = 'total_exec_time')"
        " FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
    if (adv_db_query(db, sql, 0, NULL, &rows)) {
        *ret_why = adv_arena_printf(arena, "cannot look for pg_stat_statements: %s", adv_db_error(db)->message);
        return PW_ERR_IO;
    }
    bool found = rows.n_rows == 1;
    if (found) {
        *ret_schema = adv_quote_ident(arena, adv_db_cell(&rows, 0, 0));
        *ret_split = adv_db_cell(&rows, 0, 1)[0] == 't';
    } else {
        *ret_why = "this database does not have the extension pg_stat_statements\n"
                   "hint: shared_preload_libraries = 'pg_stat_statements', restart, then CREATE EXTENSION pg_stat_statements";
    }
    adv_db_free_rows(&rows);
    return found ? PW_OK : PW_ERR_NOT_FOUND;
}

static double number(const AdvRows *rows, int row, int column)
{
    const char *cell = adv_db_cell(rows, row, column);
    return cell ? strtod(cell, NULL) : 0;
}

PwErr adv_source_statements(AdvTally *tally, AdvArena *arena, AdvDb *db, const char **ret_note, const char **ret_why)
{
    const char *schema = "";
    bool split = false;
    AdvRows rows;
    *ret_note = NULL;
    PwErr err = find_view(db, arena, &schema, &split, ret_why);
    if (err)
        return err;
    /* Longest first, so that a limit anywhere later cuts what matters least. */
    const char *sql = adv_arena_printf(arena,
                                       "SELECT query, calls, %s, rows FROM %s.pg_stat_statements s WHERE calls > 0 AND dbid = (SELECT oid FROM"
                                       " pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 3 DESC, query",
                                       split ? "total_exec_time" : "total_time", schema);
    if (adv_db_query(db, sql, 0, NULL, &rows)) {
        *ret_why = adv_arena_printf(arena, "cannot read pg_stat_statements: %s\nhint: it must be in shared_preload_libraries, and the role needs "
                                    "SELECT on the view", adv_db_error(db)->message);
        return PW_ERR_IO;
    }
    double hidden = 0, hidden_ms = 0, ms = 0;
    for (int i = 0; i < rows.n_rows; i++) {
        const char *text = adv_db_cell(&rows, i, 0);
        ms += number(&rows, i, 2);
        if (!text || strcmp(text, "<insufficient privilege>") == 0) {
            hidden += number(&rows, i, 1);
            hidden_ms += number(&rows, i, 2);
            continue;
        }
        const AdvExecution x = {.text = text, .len = strlen(text), .origin = ADV_ORIGIN_STATEMENTS, .calls = (uint64_t)number(&rows, i, 1),
                                .us = (uint64_t)llround(number(&rows, i, 2) * 1000), .rows = (int64_t)number(&rows, i, 3)};
        adv_tally_add(tally, &x);
    }
    if (hidden > 0)
        *ret_note = adv_arena_printf(arena, "pg_stat_statements hides the texts of %.0f calls (%.1f %% of the time) from this role: GRANT pg_read_all_stats "
                                     "TO it", hidden, ms > 0 ? 100 * hidden_ms / ms : 0);
    else if (rows.n_rows == 0)
        *ret_note = "pg_stat_statements holds no statement of this database yet";
    adv_db_free_rows(&rows);
    return PW_OK;
}
