/* SPDX-License-Identifier: ISC */
#include "pooler/app/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The daemon's end of the pipe on which the user's process waits; -1: nobody waits. */
static int ready_fd = -1;

static PwErr fail(char *why, size_t why_size, const char *call)
{
    (void)snprintf(why, why_size, "%s: %s", call, strerror(errno));
    return PW_ERR_IO;
}

/* In the user's process: a byte says that the daemon is up, the pipe's end that it is gone. */
static void wait_for_daemon(int fd, pid_t middle) __attribute__((noreturn));
static void wait_for_daemon(int fd, pid_t middle)
{
    char byte;
    ssize_t n;
    while (waitpid(middle, NULL, 0) < 0 && errno == EINTR) {
    }
    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    /* _exit: buffers and exit handlers are the daemon's now. */
    _exit(n == 1 ? 0 : 1);
}

PwErr daemon_fork(char *why, size_t why_size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail(why, why_size, "pipe()");
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0) {
        (void)fail(why, why_size, "/dev/null");
        goto fail_pipe;
    }
    (void)fflush(NULL); /* else both processes would write what is buffered */

    pid_t pid = fork();
    if (pid < 0) {
        (void)fail(why, why_size, "fork()");
        goto fail_null;
    }
    if (pid > 0) {
        close(ends[1]);
        wait_for_daemon(ends[0], pid);
    }
    /* A session of our own has no terminal; its leader could get one again, so the leader goes. */
    close(ends[0]);
    if (setsid() < 0)
        _exit(1);
    pid = fork();
    if (pid != 0)
        _exit(pid < 0);

    (void)dup2(null_fd, STDIN_FILENO);
    if (null_fd > STDERR_FILENO)
        close(null_fd);
    ready_fd = ends[1];
    return PW_OK;

fail_null:
    close(null_fd);
fail_pipe:
    close(ends[0]);
    close(ends[1]);
    return PW_ERR_IO;
}

void daemon_ready(void)
{
    if (ready_fd < 0)
        return;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) {
        (void)dup2(null_fd, STDOUT_FILENO);
        (void)dup2(null_fd, STDERR_FILENO);
        if (null_fd > STDERR_FILENO)
            close(null_fd);
    }
    /* Nobody reads it if the user's process was interrupted meanwhile: no reason to end. */
    ssize_t n;
    do {
        n = write(ready_fd, "", 1);
    } while (n < 0 && errno == EINTR);
    close(ready_fd);
    ready_fd = -1;
}

static PwErr become(const struct passwd *pw, char *why, size_t why_size)
{
    if (geteuid() != 0) {
        (void)snprintf(why, why_size, "only root can switch to user '%s'", pw->pw_name);
        return PW_ERR_IO;
    }
    if (initgroups(pw->pw_name, pw->pw_gid) < 0)
        return fail(why, why_size, "initgroups()");
    if (setgid(pw->pw_gid) < 0)
        return fail(why, why_size, "setgid()");
    if (setuid(pw->pw_uid) < 0)
        return fail(why, why_size, "setuid()");
    /* What cannot be undone was done. */
    if (pw->pw_uid != 0 && (setuid(0) == 0 || getuid() != pw->pw_uid || geteuid() != pw->pw_uid)) {
        (void)snprintf(why, why_size, "could not give up root for user '%s'", pw->pw_name);
        return PW_ERR_IO;
    }
    return PW_OK;
}

PwErr daemon_drop_user(const char *user, char *why, size_t why_size)
{
    if (user != NULL && *user != '\0') {
        errno = 0;
        const struct passwd *pw = getpwnam(user);
        if (pw == NULL) {
            (void)snprintf(why, why_size, "could not find user '%s' to switch to", user);
            return PW_ERR_NOT_FOUND;
        }
        if (getuid() != pw->pw_uid || geteuid() != pw->pw_uid) {
            PwErr err = become(pw, why, why_size);
            if (err != PW_OK)
                return err;
        }
    }
    if (getuid() == 0 || geteuid() == 0) {
        (void)snprintf(why, why_size,
                       "pooler should not run as root, name another user with user = or -u");
        return PW_ERR_AUTH;
    }
    return PW_OK;
}

uint64_t daemon_raise_nofile(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur != limit.rlim_max) {
        const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
}

bool daemon_nofile_carries(uint64_t limit, const DaemonFdNeed *need, char *why, size_t why_size)
{
    uint64_t sum = need->clients + need->servers + need->other;
    if (sum <= limit)
        return true;
    (void)snprintf(why, why_size,
                   "max_client_conn %" PRIu64 ", server connections %" PRIu64 " and %" PRIu64
                   " others may need %" PRIu64 " file descriptors, but the limit is %" PRIu64
                   "; raise it (ulimit -Hn, LimitNOFILE=) or lower max_client_conn",
                   need->clients, need->servers, need->other, sum, limit);
    return false;
}
