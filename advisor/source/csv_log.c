/* SPDX-License-Identifier: ISC */
/* csv_log.c - PostgreSQL's csvlog. */
#include "advisor/source/csv.h"
#include "advisor/source/prefix.h"
#include "advisor/source/reader.h"
#include "advisor/source/words.h"

/* Columns in the order of the server; later versions add some at the end. */
enum { CSV_TIME, CSV_USER, CSV_DATABASE, CSV_PID, CSV_SEVERITY = 11, CSV_MESSAGE = 13, CSV_DETAIL, CSV_QUERY = 19, CSV_APPLICATION = 22, CSV_FIELDS };

/* Does this line begin a record? One that goes on inside a quoted field looks different: quotes in it are doubled. */
static bool starts(const char *line, size_t len)
{
    AdvSlice s = {line, len};
    size_t n = adv_time_length(s);
    if (n < 23)
        return false;
    const char *comma = memchr(line + n, ',', len - n < 40 ? len - n : 40);
    if (!comma)
        return false;
    const char *p = comma + 1, *end = line + len;
    if (p < end && *p == '"')
        return end - p > 1 && p[1] != '"';
    /* No user: a process of the server itself, or a client before its login: then no database, and its number. */
    return end - p > 2 && p[0] == ',' && p[1] == ',' && p[2] >= '0' && p[2] <= '9';
}

static void read_csv(AdvReader *r, const char *data, size_t len)
{
    AdvCsv csv = {.p = data, .end = data + len, .starts = starts};
    AdvSlice f[CSV_FIELDS];
    PwBuf *buffers[CSV_FIELDS] = {[CSV_USER] = &r->field[0], [CSV_DATABASE] = &r->field[1], [CSV_MESSAGE] = &r->message, [CSV_DETAIL] = &r->detail,
                                  [CSV_QUERY] = &r->statement, [CSV_APPLICATION] = &r->field[2]};
    size_t n;
    while ((n = adv_csv_next(&csv, f, buffers, CSV_FIELDS)) > 0) {
        if (n <= CSV_DETAIL) {
            adv_tally_counts(r->tally)->bad += n > 1 || f[0].n > 0;
            continue;
        }
        AdvEntry e = {.severity = adv_severity(f[CSV_SEVERITY]), .message = f[CSV_MESSAGE], .detail = f[CSV_DETAIL], .time = f[CSV_TIME], .pid = f[CSV_PID],
                      .user = f[CSV_USER], .database = f[CSV_DATABASE]};
        if (n > CSV_QUERY)
            e.statement = f[CSV_QUERY];
        if (n > CSV_APPLICATION)
            e.application = f[CSV_APPLICATION];
        adv_reader_message(r, &e);
    }
}

static bool is_csv(const char *head, size_t len)
{
    for (const char *p = head, *end = head + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        if (starts(p, (size_t)((newline ? newline : end) - p)))
            return true;
        if (!newline)
            return false;
        p = newline + 1;
    }
    return false;
}

const AdvForm adv_form_csv = {.name = "csvlog of PostgreSQL", .told = true, .is = is_csv, .starts = starts, .read = read_csv};
