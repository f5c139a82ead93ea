/* SPDX-License-Identifier: ISC */
/* Appends whole lines with O_APPEND. Others may rotate the file, cut it or write to it as well; a line that
 * a failed write left unfinished is closed by the newline with which the next batch then begins. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poolwise/buf.h"
#include "poolwise/mem.h"
#include "poolwise/workload.h"

#define WRITE_AT (256 * 1024) /* bytes collected before they are written */

struct PwWorkloadWriter {
    char *path;
    int fd;
    bool torn; /* the file may end in the middle of a line */
    int failed_errno; /* of this batch; 0: none */
    PwBuf buf;
};

/* Does the file end in the middle of a line (a process died, a disk was full)? */
static bool ends_torn(int fd)
{
    struct stat st;
    char last;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return false;
    return pread(fd, &last, 1, st.st_size - 1) != 1 || last != '\n';
}

static PwErr open_log(const char *path, int *ret_fd, bool *ret_torn)
{
    /* read access is for ends_torn only; a FIFO must not block us until somebody reads it */
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return PW_ERR_IO;
    *ret_fd = fd;
    *ret_torn = ends_torn(fd);
    return PW_OK;
}

PwErr pw_workload_writer_open(const char *path, PwWorkloadWriter **ret_writer)
{
    int fd;
    bool torn;
    PwErr err = open_log(path, &fd, &torn);
    if (err != PW_OK)
        return err;
    PwWorkloadWriter *writer = pw_xcalloc(1, sizeof(*writer));
    writer->path = pw_xstrdup(path);
    writer->fd = fd;
    writer->torn = torn;
    pw_buf_init(&writer->buf);
    *ret_writer = writer;
    return PW_OK;
}

void pw_workload_writer_close(PwWorkloadWriter *writer)
{
    if (writer == NULL)
        return;
    close(writer->fd);
    pw_buf_finish(&writer->buf);
    free(writer->path);
    free(writer);
}

PwErr pw_workload_writer_reopen(PwWorkloadWriter *writer)
{
    int fd;
    bool torn;
    PwErr err = open_log(writer->path, &fd, &torn);
    if (err != PW_OK)
        return err;
    close(writer->fd);
    writer->fd = fd;
    writer->torn = torn;
    return PW_OK;
}

const char *pw_workload_writer_path(const PwWorkloadWriter *writer)
{
    return writer->path;
}

static void write_out(PwWorkloadWriter *writer)
{
    while (pw_buf_unread(&writer->buf) > 0 && writer->failed_errno == 0) {
        ssize_t n = write(writer->fd, pw_buf_head(&writer->buf), pw_buf_unread(&writer->buf));
        if (n > 0) {
            pw_buf_consume(&writer->buf, (size_t)n);
            writer->torn = pw_buf_unread(&writer->buf) > 0;
        } else if (n == 0 || errno != EINTR) {
            writer->failed_errno = n == 0 ? ENOSPC : errno;
        }
    }
    pw_buf_consume(&writer->buf, pw_buf_unread(&writer->buf));
}

void pw_workload_write_begin(PwWorkloadWriter *writer, const PwWorkloadInterval *interval)
{
    writer->failed_errno = 0;
    pw_buf_consume(&writer->buf, pw_buf_unread(&writer->buf));
    if (writer->torn)
        pw_buf_append_u8(&writer->buf, '\n');
    pw_workload_format_interval(&writer->buf, interval);
}

void pw_workload_write_record(PwWorkloadWriter *writer, const PwWorkloadRecord *record)
{
    if (writer->failed_errno != 0)
        return;
    pw_workload_format_record(&writer->buf, record);
    if (pw_buf_unread(&writer->buf) >= WRITE_AT)
        write_out(writer);
}

PwErr pw_workload_write_end(PwWorkloadWriter *writer)
{
    write_out(writer);
    pw_buf_release_if_empty(&writer->buf);
    if (writer->failed_errno == 0)
        return PW_OK;
    errno = writer->failed_errno;
    return PW_ERR_IO;
}
