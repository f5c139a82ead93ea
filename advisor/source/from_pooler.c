/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "advisor/source/source.h"
#include "advisor/sql/parse.h"
#include "poolwise/workload.h"

static bool is_advisable(PwSqlKind kind)
{
    return kind == PW_SQL_SELECT || kind == PW_SQL_INSERT || kind == PW_SQL_UPDATE || kind == PW_SQL_DELETE ||
           kind == PW_SQL_MERGE;
}

/* A sample with all its values in readable form: its text is then better than the normalised one. */
static const PwSample *usable_sample(const PwWorkloadRecord *record)
{
    for (unsigned i = 0; i < record->n_samples; i++)
        if (!record->samples[i].truncated && record->samples[i].n_params == 0 && record->samples[i].sql)
            return &record->samples[i];
    return NULL;
}

static void take(AdvWorkload *w, const PwWorkloadRecord *record)
{
    w->statements += (double)record->counts.calls;
    if (!record->query || record->truncated) {
        w->unlogged_calls += (double)record->counts.calls;
        return;
    }
    if (!is_advisable(record->kind)) {
        w->utility += (double)record->counts.calls;
        return;
    }
    const PwSample *sample = usable_sample(record);
    const char *text = sample ? sample->sql : record->query;
    AdvQuery *q = adv_workload_add(w, text, "query log", record->fingerprint, (double)record->counts.calls);
    q->from_log = !sample;
    q->total_ms += (double)record->counts.server.sum / 1000.0;
    w->measured = w->measured || record->counts.server.sum > 0;
    /* Mean over all intervals: rows_per_call holds the sum of rows until the file is read. */
    if (record->counts.calls > record->counts.failed) {
        double seen = q->rows_per_call < 0 ? 0 : q->rows_per_call * (q->calls - (double)record->counts.calls);
        q->rows_per_call = (seen + (double)record->counts.rows) / q->calls;
    }
}

PwErr adv_source_pooler_log(AdvWorkload *w, const char *path, const char **ret_note, const char **ret_why)
{
    PwWorkloadReader *reader;
    PwWorkloadRecord record = {0};
    *ret_note = NULL;
    PwErr err = pw_workload_reader_open(path, &reader);
    if (err) {
        *ret_why = adv_arena_printf(w->arena, "cannot open %s: %s", path, strerror(errno));
        return err;
    }
    while ((err = pw_workload_reader_next(reader, &record)) == PW_OK) {
        take(w, &record);
        pw_workload_record_finish(&record);
    }
    if (err != PW_ERR_CLOSED) {
        *ret_why = adv_arena_printf(w->arena, "cannot read %s: %s", path, strerror(errno));
        pw_workload_reader_close(reader);
        return err;
    }
    const PwReaderTotals *totals = pw_workload_reader_totals(reader);
    if (totals->records == 0 && totals->bad_lines > 0) {
        *ret_why = adv_arena_printf(w->arena,
                                    "%s is no query log of the pooler\n"
                                    "hint: give SQL scripts with --sql; the query log is the file named by query_log "
                                    "in pooler.ini",
                                    path);
        pw_workload_reader_close(reader);
        return PW_ERR_SYNTAX;
    }
    if (totals->bad_lines > 0)
        *ret_note = adv_arena_printf(w->arena, "%s: %llu of %llu lines skipped, the first: line %llu: %s", path,
                                     (unsigned long long)totals->bad_lines, (unsigned long long)totals->lines,
                                     (unsigned long long)(totals->n_problems ? totals->problems[0].line : 0),
                                     totals->n_problems ? totals->problems[0].text : "");
    else if (totals->records == 0)
        *ret_note = adv_arena_printf(w->arena, "%s holds no query yet", path);
    pw_workload_reader_close(reader);
    w->n_sources++;
    return PW_OK;
}
