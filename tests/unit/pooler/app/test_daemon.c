/* SPDX-License-Identifier: ISC */
#include "pooler/app/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <grp.h>
#include <pwd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Report {
    pid_t pid, session, parent;
    bool std_is_null[2];   /* stdin, stderr */
    bool ready_is_null[3]; /* all three after daemon_ready */
} Report;

static bool is_null(int fd)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && a.st_rdev == b.st_rdev;
}

/* Starts a daemon as main() would. It reports, waits for `go` to end and then is ready, or dies. */
static pid_t start(bool good, int report[2], int go[2])
{
    assert_int_equal(pipe(report), 0);
    assert_int_equal(pipe(go), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        close(report[1]);
        close(go[0]);
        return pid;
    }
    close(report[0]);
    close(go[1]);
    char why[128], byte;
    if (daemon_fork(why, sizeof(why)) != PW_OK)
        _exit(9);
    Report r = {.pid = getpid(), .session = getsid(0), .parent = getppid()};
    r.std_is_null[0] = is_null(STDIN_FILENO);
    r.std_is_null[1] = is_null(STDERR_FILENO);
    if (write(report[1], &r, sizeof(r)) != sizeof(r) || read(go[0], &byte, 1) != 0)
        _exit(9);
    if (!good)
        _exit(1);
    daemon_ready();
    daemon_ready();
    for (int fd = 0; fd < 3; fd++)
        r.ready_is_null[fd] = is_null(fd);
    if (write(report[1], &r, sizeof(r)) != sizeof(r))
        _exit(9);
    _exit(0);
}

static void test_fork(void **state)
{
    (void)state;
    int report[2], go[2], status;
    pid_t user = start(true, report, go);
    Report r;
    assert_int_equal(read(report[0], &r, sizeof(r)), sizeof(r));
    assert_int_not_equal(r.pid, user);
    assert_int_not_equal(r.session, getsid(0));
    assert_int_not_equal(r.session, r.pid); /* not a leader: no terminal can come back */
    assert_true(r.std_is_null[0]);
    assert_false(r.std_is_null[1]);                       /* errors are still seen */
    assert_int_equal(waitpid(user, &status, WNOHANG), 0); /* the user waits */

    close(go[1]);
    assert_int_equal(read(report[0], &r, sizeof(r)), sizeof(r));
    for (int fd = 0; fd < 3; fd++)
        assert_true(r.ready_is_null[fd]);
    assert_int_equal(waitpid(user, &status, 0), user);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(report[0]);
    close(go[0]);
}

static void test_failing_start(void **state)
{
    (void)state;
    int report[2], go[2], status;
    pid_t user = start(false, report, go);
    Report r;
    assert_int_equal(read(report[0], &r, sizeof(r)), sizeof(r));
    close(go[1]);
    assert_int_equal(waitpid(user, &status, 0), user);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    close(report[0]);
}

static void test_ready_without_fork(void **state)
{
    (void)state;
    struct stat before, after;
    assert_int_equal(fstat(STDERR_FILENO, &before), 0);
    daemon_ready();
    assert_int_equal(fstat(STDERR_FILENO, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

/* Runs the change of user in a process of its own; 0 or the number of the check that failed. */
static int in_child(int (*what)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(what());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int drop_to_nobody(void)
{
    char why[160];
    const struct passwd *pw = getpwnam("nobody");
    if (pw == NULL)
        return 1;
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;
    const gid_t roots[] = {0, 4321};
    if (setgroups(2, roots) < 0)
        return 9;
    if (daemon_drop_user("nobody", why, sizeof(why)) != PW_OK)
        return 2;
    uid_t r, e, s;
    gid_t rg, eg, sg, groups[64];
    if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid)
        return 3;
    if (getresgid(&rg, &eg, &sg) < 0 || rg != gid || eg != gid || sg != gid)
        return 4;
    int n = getgroups(64, groups);
    for (int i = 0; i < n; i++)
        if (groups[i] == 0 || groups[i] == 4321)
            return 5; /* root's groups must be gone */
    if (setuid(0) == 0)
        return 6;
    /* To be asked for who one is already is fine; somebody else is not. */
    if (daemon_drop_user("nobody", why, sizeof(why)) != PW_OK ||
        daemon_drop_user("", why, sizeof(why)) != PW_OK)
        return 7;
    if (daemon_drop_user("root", why, sizeof(why)) != PW_ERR_IO ||
        strcmp(why, "only root can switch to user 'root'") != 0)
        return 8;
    return 0;
}

static int stay_root(void)
{
    char why[160] = "";
    if (daemon_drop_user(NULL, why, sizeof(why)) != PW_ERR_AUTH)
        return 1;
    if (strstr(why, "should not run as root") == NULL)
        return 2;
    if (daemon_drop_user("root", why, sizeof(why)) != PW_ERR_AUTH)
        return 3;
    return getuid() == 0 ? 0 : 4;
}

static int stay_user(void)
{
    char why[160];
    if (daemon_drop_user("", why, sizeof(why)) != PW_OK)
        return 1;
    return daemon_drop_user("root", why, sizeof(why)) == PW_ERR_IO ? 0 : 2;
}

static void test_drop_user(void **state)
{
    (void)state;
    char why[160];
    assert_int_equal(daemon_drop_user("no-such-user", why, sizeof(why)), PW_ERR_NOT_FOUND);
    assert_string_equal(why, "could not find user 'no-such-user' to switch to");
    if (getuid() == 0) {
        assert_int_equal(in_child(drop_to_nobody), 0);
        assert_int_equal(in_child(stay_root), 0);
    } else {
        assert_int_equal(in_child(stay_user), 0);
    }
}

static int raise_it(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    limit.rlim_cur = 64;
    limit.rlim_max = 512;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 2;
    if (daemon_raise_nofile() != 512 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 3;
    return limit.rlim_cur == 512 ? 0 : 4;
}

static void test_nofile(void **state)
{
    (void)state;
    assert_int_equal(in_child(raise_it), 0);
    char why[300] = "untouched";
    DaemonFdNeed need = {.clients = 1000, .servers = 60, .other = 40};
    assert_true(daemon_nofile_carries(1100, &need, why, sizeof(why)));
    assert_string_equal(why, "untouched");
    assert_false(daemon_nofile_carries(1099, &need, why, sizeof(why)));
    assert_string_equal(
        why, "max_client_conn 1000, server connections 60 and 40 others may need 1100 file "
             "descriptors, but the limit is 1099; raise it (ulimit -Hn, LimitNOFILE=) or "
             "lower max_client_conn");
    assert_true(daemon_nofile_carries(UINT64_MAX, &need, why, sizeof(why)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_failing_start),
        cmocka_unit_test(test_ready_without_fork),
        cmocka_unit_test(test_drop_user),
        cmocka_unit_test(test_nofile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
