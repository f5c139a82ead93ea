/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pooler/capture/capture_priv.h"
#include "poolwise/mem.h"

struct CaptureWriter {
    char *path;
    PwWorkloadWriter *writer; /* NULL: not open */
    unsigned workers;
    uint64_t evicted; /* as of the last interval */
    uint64_t lost, lost_untold;
};

CaptureWriter *capture_writer_create(const char *path, unsigned workers)
{
    CaptureWriter *writer = pw_xcalloc(1, sizeof(*writer));
    writer->path = pw_xstrdup(path);
    writer->workers = workers;
    return writer;
}

void capture_writer_destroy(CaptureWriter *writer)
{
    if (writer == NULL)
        return;
    pw_workload_writer_close(writer->writer);
    free(writer->path);
    free(writer);
}

PwErr capture_writer_reopen(CaptureWriter *writer)
{
    if (writer->writer != NULL)
        return pw_workload_writer_reopen(writer->writer);
    return pw_workload_writer_open(writer->path, &writer->writer);
}

static PwWorkloadInterval describe(CaptureWriter *writer, const QueryMerge *merge, PwUsec start, PwUsec end)
{
    const QueryTableStats *stats = query_merge_stats(merge);
    PwWorkloadInterval interval = {
        .start = start,
        .end = end,
        .program = "pooler",
        .version = POOLWISE_VERSION,
        .pid = getpid(),
        .workers = writer->workers,
        .queries = query_merge_count(merge),
        .max_queries = writer->workers > 0 ? stats->max_queries / writer->workers : 0,
        .evicted = stats->evicted - writer->evicted,
        .lost_intervals = writer->lost_untold,
    };
    if (gethostname(interval.host, sizeof(interval.host) - 1) != 0)
        interval.host[0] = '\0';
    for (size_t i = 0; i < query_merge_count(merge); i++) {
        const PwWorkloadRecord *record = query_merge_get(merge, i);
        if (record->fingerprint == 0)
            interval.unlogged += record->counts.calls;
    }
    return interval;
}

static PwErr write_batch(CaptureWriter *writer, const PwWorkloadInterval *interval, QueryMerge *merge)
{
    if (writer->writer == NULL) {
        PwErr err = pw_workload_writer_open(writer->path, &writer->writer);
        if (err != PW_OK)
            return err;
    }
    pw_workload_write_begin(writer->writer, interval);
    for (size_t i = 0; i < query_merge_count(merge); i++) {
        PwWorkloadRecord record = *query_merge_get(merge, i); /* borrows its texts */
        record.start = interval->start;
        record.end = interval->end;
        pw_workload_write_record(writer->writer, &record);
    }
    return pw_workload_write_end(writer->writer);
}

PwErr capture_write_interval(CaptureWriter *writer, QueryMerge *merge, PwUsec start, PwUsec end)
{
    PwWorkloadInterval interval = describe(writer, merge, start, end);
    writer->evicted += interval.evicted;
    PwErr err = write_batch(writer, &interval, merge);
    if (err == PW_OK) {
        writer->lost_untold = 0;
        return PW_OK;
    }
    writer->lost++;
    writer->lost_untold++;
    return err;
}

uint64_t capture_writer_lost(const CaptureWriter *writer)
{
    return writer->lost;
}

const char *capture_writer_path(const CaptureWriter *writer)
{
    return writer->path;
}
