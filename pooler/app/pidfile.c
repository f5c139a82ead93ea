/* SPDX-License-Identifier: ISC */
#include "pooler/app/pidfile.h"

#include "poolwise/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file may come and go while several processes start at once. */
#define WRITE_TRIES 5

static char *written_path; /* NULL: none */
static pid_t replaced; /* by pidfile_take_over; 0: nobody */

/* PW_ERR_NOT_FOUND: no file, or an empty one. */
static PwErr read_pid(const char *path, pid_t *ret_pid)
{
    char text[64], *end;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? PW_ERR_NOT_FOUND : PW_ERR_IO;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    int saved = errno;
    close(fd);
    errno = saved;
    if (n < 0)
        return PW_ERR_IO;
    text[n] = '\0';
    if (text[strspn(text, " \t\r\n")] == '\0')
        return PW_ERR_NOT_FOUND;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (errno != 0 || pid <= 0 || pid > INT_MAX || end[strspn(end, " \t\r\n")] != '\0')
        return PW_ERR_SYNTAX;
    *ret_pid = (pid_t)pid;
    return PW_OK;
}

PwErr pidfile_check(const char *path, pid_t *ret_pid)
{
    pid_t pid;
    PwErr err = read_pid(path, &pid);
    if (err == PW_ERR_NOT_FOUND)
        return PW_OK;
    if (err != PW_OK)
        return err;
    /* Our own id is from an earlier life: containers give the same one at each start. */
    if (pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH))
        return PW_OK;
    *ret_pid = pid;
    return PW_ERR_EXISTS;
}

/* The file gets its name when it is complete: nobody ever reads half a number. */
static PwErr write_and_link(const char *temp, const char *path)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    (void)unlink(temp);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return PW_ERR_IO;
    PwErr err = PW_OK;
    if (write(fd, text, (size_t)n) != n)
        err = PW_ERR_IO;
    else if (link(temp, path) < 0)
        err = errno == EEXIST ? PW_ERR_EXISTS : PW_ERR_IO;
    int saved = errno;
    close(fd);
    (void)unlink(temp);
    errno = saved;
    return err;
}

static char *absolute(const char *path)
{
    char cwd[PATH_MAX];
    if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
        return pw_xstrdup(path);
    return pw_xasprintf("%s/%s", cwd, path);
}

/* Two processes that start at once may both find a stale file: the second to get its lock sees that
 * the name stands for another file by now, and leaves that one alone. */
static PwErr remove_stale(const char *path)
{
    struct stat mine, named;
    pid_t pid;
    PwErr err = PW_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? PW_OK : PW_ERR_IO;
    if (flock(fd, LOCK_EX) == 0 && fstat(fd, &mine) == 0 && stat(path, &named) == 0 &&
        mine.st_dev == named.st_dev && mine.st_ino == named.st_ino) {
        err = pidfile_check(path, &pid);
        if (err == PW_OK && unlink(path) < 0)
            err = PW_ERR_IO;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return err;
}

/* Takes `full` over: it is what pidfile_remove takes away, if it was written. Keeps errno. */
static PwErr written(char *full, PwErr err)
{
    int saved = errno;
    if (err == PW_OK) {
        free(written_path);
        written_path = full;
    } else {
        free(full);
    }
    errno = saved;
    return err;
}

PwErr pidfile_write(const char *path)
{
    char *full = absolute(path);
    char *temp = pw_xasprintf("%s.%d", full, (int)getpid());
    PwErr err = PW_ERR_EXISTS;
    for (int i = 0; i < WRITE_TRIES && err == PW_ERR_EXISTS; i++) {
        err = write_and_link(temp, full);
        if (err == PW_ERR_EXISTS) {
            PwErr stale = remove_stale(full);
            if (stale != PW_OK) {
                err = stale;
                break;
            }
        }
    }
    int saved = errno;
    free(temp);
    errno = saved;
    return written(full, err);
}

static PwErr put(const char *full, pid_t pid)
{
    char *temp = pw_xasprintf("%s.%d.new", full, (int)getpid());
    char text[24];
    int n = snprintf(text, sizeof(text), "%d\n", (int)pid);
    PwErr err = PW_OK;
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)n) != n || rename(temp, full) < 0)
        err = PW_ERR_IO;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (err != PW_OK) /* a full disk */
        (void)unlink(temp);
    free(temp);
    errno = saved;
    return err;
}

PwErr pidfile_take_over(const char *path)
{
    char *full = absolute(path);
    if (read_pid(full, &replaced) != PW_OK)
        replaced = 0;
    return written(full, put(full, getpid()));
}

static void let_go(pid_t successor)
{
    pid_t pid;
    if (written_path == NULL)
        return;
    if (read_pid(written_path, &pid) == PW_OK && pid == getpid() && (successor == 0 || put(written_path, successor) != PW_OK))
        (void)unlink(written_path);
    free(written_path);
    written_path = NULL;
}

void pidfile_take_back(void)
{
    pid_t pid;
    if (written_path != NULL && (read_pid(written_path, &pid) != PW_OK || pid != getpid()))
        (void)put(written_path, getpid());
}

void pidfile_remove(void)
{
    let_go(0);
}

void pidfile_give_back(void)
{
    let_go(replaced);
}
