/* SPDX-License-Identifier: ISC */
#include "advisor/source/console.h"

#include <inttypes.h>
#include <stdlib.h>

/* Columns by name: later poolers may have more. */
enum { DATABASE, USER, APPLICATION, QUERY, FINGERPRINT, CALLS, TIME, ROWS, ERRORS, N_COLUMNS };
static const char *const names[N_COLUMNS] = {"database", "user", "application_name", "query", "fingerprint", "calls", "total_time_us", "rows", "errors"};

static uint64_t number(const char *cell)
{
    return cell ? strtoull(cell, NULL, 10) : 0;
}

static AdvSlice slice(const char *cell)
{
    return (AdvSlice){cell ? cell : "", cell ? strlen(cell) : 0};
}

PwErr adv_source_console(AdvTally *tally, const AdvFilter *filter, AdvArena *arena, AdvDb *db, const char **ret_note, const char **ret_why)
{
    AdvRows rows;
    uint64_t unplaced = 0;
    int at[N_COLUMNS];
    *ret_note = NULL;
    if (adv_db_query(db, "SHOW QUERIES 0", 0, NULL, &rows)) { /* 0: all of them */
        *ret_why = adv_arena_printf(arena, "the pooler does not answer SHOW QUERIES: %s\nhint: connect to its console (dbname=pgbouncer) as one of admin_users or stats_users",
                                    adv_db_error(db)->message);
        return PW_ERR_IO;
    }
    for (int i = 0; i < N_COLUMNS; i++) {
        at[i] = adv_db_column(&rows, names[i]);
        if (at[i] >= 0)
            continue;
        *ret_why = adv_arena_printf(arena, "SHOW QUERIES has no column \"%s\": this is no pooler of Poolwise", names[i]);
        adv_db_free_rows(&rows);
        return PW_ERR_UNSUPPORTED;
    }
    for (int i = 0; i < rows.n_rows; i++) {
        const char *text = adv_db_cell(&rows, i, at[QUERY]), *fingerprint = adv_db_cell(&rows, i, at[FINGERPRINT]);
        uint64_t calls = number(adv_db_cell(&rows, i, at[CALLS])), failed = number(adv_db_cell(&rows, i, at[ERRORS]));
        AdvEntry e = {.database = slice(adv_db_cell(&rows, i, at[DATABASE])), .user = slice(adv_db_cell(&rows, i, at[USER])),
                      .application = slice(adv_db_cell(&rows, i, at[APPLICATION]))};
        AdvWanted wanted = adv_filter_entry(filter, &e);
        unplaced += wanted == ADV_UNPLACED;
        if (wanted != ADV_WANTED || calls == 0)
            continue;
        if (!text || !fingerprint) {
            adv_tally_add_unlogged(tally, calls);
            continue;
        }
        const AdvExecution x = {.text = text, .len = strlen(text), .origin = ADV_ORIGIN_POOLER, .open = true, .calls = calls,
                                .us = number(adv_db_cell(&rows, i, at[TIME])), .fingerprint = strtoull(fingerprint, NULL, 16),
                                .rows = calls > failed ? (int64_t)number(adv_db_cell(&rows, i, at[ROWS])) : -1};
        adv_tally_add(tally, &x);
    }
    if (unplaced > 0)
        *ret_note = "a console tells sums since the start of the pooler, which cannot be filtered by time: nothing of it counts";
    else if (rows.n_rows == 0)
        *ret_note = "the pooler has not seen a query yet";
    adv_db_free_rows(&rows);
    return PW_OK;
}
