/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "poolwise/workload.h"

static void add_error(PwQueryCounts *counts, const char *sqlstate, uint64_t count)
{
    for (unsigned i = 0; i < counts->n_errors; i++) {
        if (strncmp(counts->errors[i].sqlstate, sqlstate, 5) == 0) {
            counts->errors[i].count += count;
            return;
        }
    }
    if (counts->n_errors == PW_WORKLOAD_ERRORS) {
        counts->errors_other += count;
        return;
    }
    PwWorkloadError *error = &counts->errors[counts->n_errors++];
    memset(error->sqlstate, 0, sizeof(error->sqlstate));
    memcpy(error->sqlstate, sqlstate, strnlen(sqlstate, 5));
    error->count = count;
}

void pw_query_counts_add(PwQueryCounts *counts, PwUsec server_usec, PwUsec wait_usec, uint64_t rows,
                         uint64_t bytes_in, uint64_t bytes_out, const char *sqlstate)
{
    uint64_t server = server_usec > 0 ? (uint64_t)server_usec : 0;
    uint64_t wait = wait_usec > 0 ? (uint64_t)wait_usec : 0;
    if (counts->calls == 0 || server < counts->server_min_us)
        counts->server_min_us = server;
    if (server > counts->server_max_us)
        counts->server_max_us = server;
    counts->calls++;
    counts->rows += rows;
    counts->bytes_in += bytes_in;
    counts->bytes_out += bytes_out;
    counts->wait_us += wait;
    if (wait > counts->wait_max_us)
        counts->wait_max_us = wait;
    pw_hist_add(&counts->server, server_usec);
    if (PW_UNLIKELY(sqlstate != NULL && sqlstate[0] != '\0')) {
        counts->failed++;
        add_error(counts, sqlstate, 1);
    }
}

void pw_query_counts_merge(PwQueryCounts *into, const PwQueryCounts *from)
{
    if (from->calls == 0)
        return;
    if (into->calls == 0 || from->server_min_us < into->server_min_us)
        into->server_min_us = from->server_min_us;
    if (from->server_max_us > into->server_max_us)
        into->server_max_us = from->server_max_us;
    into->calls += from->calls;
    into->failed += from->failed;
    into->rows += from->rows;
    into->bytes_in += from->bytes_in;
    into->bytes_out += from->bytes_out;
    into->wait_us += from->wait_us;
    if (from->wait_max_us > into->wait_max_us)
        into->wait_max_us = from->wait_max_us;
    pw_hist_merge(&into->server, &from->server);
    for (unsigned i = 0; i < from->n_errors; i++)
        add_error(into, from->errors[i].sqlstate, from->errors[i].count);
    into->errors_other += from->errors_other;
}

void pw_sample_finish(PwSample *sample)
{
    for (unsigned i = 0; i < sample->n_params; i++)
        free(sample->params[i].value);
    free(sample->params);
    free(sample->sql);
    *sample = (PwSample){0};
}

void pw_workload_record_finish(PwWorkloadRecord *record)
{
    for (unsigned i = 0; i < record->n_samples; i++)
        pw_sample_finish(&record->samples[i]);
    free(record->samples);
    free(record->database);
    free(record->user);
    free(record->application_name);
    free(record->query);
    memset(record, 0, sizeof(*record));
}
