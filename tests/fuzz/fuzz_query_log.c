/* SPDX-License-Identifier: ISC */
/* The reader of the query log; what it accepts is written and read again, unchanged. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/buf.h"
#include "poolwise/workload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *stream(const void *bytes, size_t n)
{
    FILE *file = tmpfile();
    if (file == NULL || fwrite(bytes, 1, n, file) != n)
        abort();
    rewind(file);
    return file;
}

static void check_again(const PwWorkloadRecord *record)
{
    PwBuf first, second;
    pw_buf_init(&first);
    pw_buf_init(&second);
    pw_workload_format_record(&first, record);
    FILE *file = stream(pw_buf_head(&first), pw_buf_unread(&first));
    PwWorkloadReader *reader = pw_workload_reader_open_stream(file);
    PwWorkloadRecord back;
    if (pw_workload_reader_next(reader, &back) != PW_OK)
        abort();
    pw_workload_format_record(&second, &back);
    if (pw_buf_unread(&first) != pw_buf_unread(&second) ||
        memcmp(pw_buf_head(&first), pw_buf_head(&second), pw_buf_unread(&first)) != 0)
        abort();
    pw_workload_record_finish(&back);
    pw_workload_reader_close(reader);
    fclose(file);
    pw_buf_finish(&first);
    pw_buf_finish(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = stream(data, size);
    PwWorkloadReader *reader = pw_workload_reader_open_stream(file);
    PwWorkloadRecord record;
    PwErr err;
    while ((err = pw_workload_reader_next(reader, &record)) == PW_OK) {
        check_again(&record);
        pw_workload_record_finish(&record);
    }
    if (err != PW_ERR_CLOSED)
        abort();
    pw_workload_reader_close(reader);
    fclose(file);
    return 0;
}
