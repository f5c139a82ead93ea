/* SPDX-License-Identifier: ISC */
/* workload.h - the query log: what the pooler observed, as JSON lines (docs/query-log.md), written and read.
 *
 * One file may hold many intervals of many processes. Each interval starts with a line about the process and
 * the interval, followed by one line for each (fingerprint, database, user, application_name) seen in it.
 * A writer or reader belongs to one thread at a time. */
#ifndef POOLWISE_WORKLOAD_H
#define POOLWISE_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "poolwise/err.h"
#include "poolwise/fingerprint.h"
#include "poolwise/hist.h"
#include "poolwise/time.h"

#define PW_WORKLOAD_VERSION 1

/* Different SQLSTATEs counted apart for one query; more are counted together. */
#define PW_WORKLOAD_ERRORS 8
/* Bounds of a sample: bytes of its text, number of bind values, bytes of one value. */
#define PW_SAMPLE_TEXT_MAX PW_QUERY_TEXT_MAX
#define PW_SAMPLE_PARAMS_MAX 256
#define PW_SAMPLE_VALUE_MAX 1024
#define PW_SAMPLES_MAX 100 /* of one query and interval */
/* A longer line is a bad line. Far above what the writer produces with any sensible number of samples. */
#define PW_WORKLOAD_LINE_MAX (16 * 1024 * 1024)

typedef enum PwParamForm {
    PW_PARAM_FORM_NULL,
    PW_PARAM_FORM_TEXT,
    PW_PARAM_FORM_BINARY, /* in the binary form of its type, which the log does not know */
    PW_PARAM_FORM_COUNT
} PwParamForm;

typedef struct PwSampleParam {
    PwParamForm form;
    bool truncated;
    size_t len;
    char *value; /* NUL-terminated in addition to len; NULL for NULL */
} PwSampleParam;

/* One execution as it came: self-contained, $n in `sql` is params[n-1]. */
typedef struct PwSample {
    char *sql; /* NUL-terminated */
    size_t sql_len;
    bool truncated;
    PwSampleParam *params; /* bind values; NULL when there are none */
    unsigned n_params;
} PwSample;

typedef struct PwWorkloadError {
    char sqlstate[6];
    uint64_t count;
} PwWorkloadError;

/* Numbers of one query over some time. Zeroed memory is "nothing seen". */
typedef struct PwQueryCounts {
    uint64_t calls; /* finished, failed ones too */
    uint64_t failed;
    uint64_t rows;
    uint64_t bytes_in;  /* from clients */
    uint64_t bytes_out; /* to clients */
    uint64_t wait_us;   /* for a server connection */
    uint64_t wait_max_us;
    uint64_t server_min_us, server_max_us; /* 0 when calls is 0 */
    PwHist server;                         /* server.sum is the total server time, server.count == calls */
    PwWorkloadError errors[PW_WORKLOAD_ERRORS]; /* in the order first seen */
    unsigned n_errors;
    uint64_t errors_other; /* of SQLSTATEs that found no place; failed = the sum of all */
} PwQueryCounts;

void pw_query_counts_add(PwQueryCounts *counts, PwUsec server_usec, PwUsec wait_usec, uint64_t rows,
                         uint64_t bytes_in, uint64_t bytes_out, const char *sqlstate);
void pw_query_counts_merge(PwQueryCounts *into, const PwQueryCounts *from);

typedef struct PwWorkloadRecord {
    uint64_t fingerprint; /* 0: queries that found no place in the pooler's table, together; query is NULL */
    PwSqlKind kind;
    PwUsec start, end; /* of the interval, wall clock */
    char *database, *user, *application_name; /* "" when unknown; never NULL */
    char *query; /* normalised text; from the reader always valid UTF-8, from the pooler the client's own bytes */
    bool truncated;
    PwQueryCounts counts;
    PwSample *samples;
    unsigned n_samples;
} PwWorkloadRecord;

void pw_workload_record_finish(PwWorkloadRecord *record); /* frees what it owns; then as zeroed (also: as found) */
void pw_sample_finish(PwSample *sample);

/* The line that starts an interval. */
typedef struct PwWorkloadInterval {
    PwUsec start, end; /* wall clock */
    char program[32], version[32], host[256];
    int64_t pid;
    unsigned workers;
    uint64_t queries;      /* lines that follow */
    uint64_t max_queries;  /* bound of the table of a worker */
    uint64_t evicted;      /* entries that had to make room in this interval */
    uint64_t unlogged;     /* calls of this interval counted under fingerprint 0 */
    uint64_t lost_intervals; /* intervals before this one that could not be written */
} PwWorkloadInterval;

/* ---- writer ---- */

typedef struct PwWorkloadWriter PwWorkloadWriter;

/* Opens for append, creates with mode 0640. PW_ERR_IO with errno. */
PW_MUSTCHECK PwErr pw_workload_writer_open(const char *path, PwWorkloadWriter **ret_writer);
void pw_workload_writer_close(PwWorkloadWriter *writer); /* NULL is fine */

/* Same path again, after rotation (SIGHUP). On error the old file stays open. */
PW_MUSTCHECK PwErr pw_workload_writer_reopen(PwWorkloadWriter *writer);
const char *pw_workload_writer_path(const PwWorkloadWriter *writer);

/* One batch: begin, records, end. Lines are written whole lines at a time. After an error the rest of the batch
 * is dropped and end() returns it (PW_ERR_IO, errno); the next batch starts on a new line whatever
 * was left behind. interval->queries is the caller's to set. */
void pw_workload_write_begin(PwWorkloadWriter *writer, const PwWorkloadInterval *interval);
void pw_workload_write_record(PwWorkloadWriter *writer, const PwWorkloadRecord *record);
PW_MUSTCHECK PwErr pw_workload_write_end(PwWorkloadWriter *writer);

struct PwBuf;
/* The lines themselves, with their newline, for those who want them elsewhere. */
void pw_workload_format_interval(struct PwBuf *buf, const PwWorkloadInterval *interval);
void pw_workload_format_record(struct PwBuf *buf, const PwWorkloadRecord *record);

/* ---- reader ---- */

typedef struct PwWorkloadReader PwWorkloadReader;

PW_MUSTCHECK PwErr pw_workload_reader_open(const char *path, PwWorkloadReader **ret_reader); /* PW_ERR_IO: errno */
PwWorkloadReader *pw_workload_reader_open_stream(FILE *file); /* the caller keeps and closes the file */
void pw_workload_reader_close(PwWorkloadReader *reader); /* NULL is fine */

/* The next query line into *record (whose old content must have been finished; zero it before the first call).
 * PW_ERR_CLOSED at the end, PW_ERR_IO (errno) when reading fails. Lines that cannot be understood are counted and skipped. */
PW_MUSTCHECK PwErr pw_workload_reader_next(PwWorkloadReader *reader, PwWorkloadRecord *ret_record);

#define PW_READER_PROBLEMS 20

typedef struct PwReaderProblem {
    uint64_t line; /* from 1 */
    char text[120];
} PwReaderProblem;

typedef struct PwReaderTotals {
    uint64_t lines, intervals, records;
    uint64_t calls, server_us;  /* sums over the records */
    uint64_t bad_lines;         /* skipped */
    uint64_t newer_lines;       /* part of bad_lines: of a version that this program does not know */
    bool truncated_end;         /* the last line has no newline and could not be read: the writer is or was in the middle of it (not in bad_lines) */
    PwUsec first_start, last_end; /* over the records; 0 when there are none */
    PwReaderProblem problems[PW_READER_PROBLEMS]; /* the first ones */
    unsigned n_problems;
} PwReaderTotals;

const PwReaderTotals *pw_workload_reader_totals(const PwWorkloadReader *reader);
const PwWorkloadInterval *pw_workload_reader_interval(const PwWorkloadReader *reader); /* of the last record; NULL: none yet */

/* True when the first line that is not blank looks like a query log's ('{' ... "poolwise"). Reads from path only. */
bool pw_workload_looks_like_log(const char *path);

#endif
