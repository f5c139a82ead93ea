/* SPDX-License-Identifier: ISC */
#include "pooler/app/pidfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char path[128];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pw-pid-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/pooler.pid", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pidfile_remove();
    char cmd[160];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_pid(pid_t pid)
{
    char text[32];
    snprintf(text, sizeof(text), "%d\n", (int)pid);
    put(text);
}

static void assert_holds(const char *expected)
{
    char text[64];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(text, expected);
}

static void assert_ours(void)
{
    char expected[32];
    snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
    assert_holds(expected);
}

/* A process that existed and is gone for good. */
static pid_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

/* One that lives until it is killed, or until this test ends. */
static pid_t live_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    return pid;
}

static int files_in_dir(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_write_and_remove(void **state)
{
    (void)state;
    pid_t pid;
    assert_int_equal(pidfile_check(path, &pid), PW_OK); /* none yet */
    assert_int_equal(pidfile_write(path), PW_OK);
    assert_ours();
    assert_int_equal(files_in_dir(), 1); /* nothing temporary stays */
    pidfile_remove();
    assert_int_equal(files_in_dir(), 0);
    pidfile_remove(); /* twice is once */
}

static void test_live(void **state)
{
    (void)state;
    pid_t live = live_process();
    put_pid(live);
    pid_t pid = 0;
    assert_int_equal(pidfile_check(path, &pid), PW_ERR_EXISTS);
    assert_int_equal(pid, live);
    assert_int_equal(pidfile_write(path), PW_ERR_EXISTS);
    char expected[32];
    snprintf(expected, sizeof(expected), "%d\n", (int)live);
    assert_holds(expected);
    assert_int_equal(files_in_dir(), 1);
    kill(live, SIGKILL);
    waitpid(live, NULL, 0);
    assert_int_equal(pidfile_check(path, &pid), PW_OK);
    assert_int_equal(pidfile_write(path), PW_OK);
    assert_ours();
}

static void test_stale(void **state)
{
    (void)state;
    pid_t pid;
    put_pid(dead_pid());
    assert_int_equal(pidfile_check(path, &pid), PW_OK);
    assert_int_equal(pidfile_write(path), PW_OK);
    assert_ours();
    pidfile_remove();

    put(""); /* a crash in a program that writes it in place */
    assert_int_equal(pidfile_write(path), PW_OK);
    assert_ours();
    pidfile_remove();

    put_pid(getpid()); /* process 1 of a container that was killed and started again */
    assert_int_equal(pidfile_check(path, &pid), PW_OK);
    assert_int_equal(pidfile_write(path), PW_OK);
}

/* pidfile = /etc/passwd by mistake must not cost that file. */
static void test_something_else(void **state)
{
    (void)state;
    static const char *const texts[] = {"root:x:0:0:\n", "12 34\n", "-5\n", "0\n",
                                        "99999999999999\n"};
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++) {
        pid_t pid;
        put(texts[i]);
        assert_int_equal(pidfile_check(path, &pid), PW_ERR_SYNTAX);
        assert_int_equal(pidfile_write(path), PW_ERR_SYNTAX);
        assert_holds(texts[i]);
    }
}

static void test_not_writable(void **state)
{
    (void)state;
    assert_int_equal(pidfile_write("/nonexistent/x.pid"), PW_ERR_IO);
}

/* A successor's file stays. */
static void test_remove_only_ours(void **state)
{
    (void)state;
    assert_int_equal(pidfile_write(path), PW_OK);
    put("1\n");
    pidfile_remove();
    assert_holds("1\n");
}

/* Removed by the right name even if the process changed its directory. */
static void test_relative(void **state)
{
    (void)state;
    char before[1024];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(dir), 0);
    PwErr err = pidfile_write("pooler.pid");
    assert_int_equal(chdir(before), 0);
    assert_int_equal(err, PW_OK);
    assert_ours();
    pidfile_remove();
    assert_int_equal(files_in_dir(), 0);
}

/* Many start at once over a stale file: exactly one wins. */
static void test_race(void **state)
{
    (void)state;
    enum { STARTERS = 12 };
    for (int round = 0; round < 20; round++) {
        int gate[2], result[2];
        put_pid(dead_pid());
        assert_int_equal(pipe(gate), 0);
        assert_int_equal(pipe(result), 0);
        pid_t children[STARTERS];
        for (int i = 0; i < STARTERS; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                char byte;
                close(gate[1]);
                if (read(gate[0], &byte, 1) != 0)
                    _exit(3);
                byte = pidfile_write(path) == PW_OK ? 'w' : 'l';
                if (write(result[1], &byte, 1) != 1)
                    _exit(3);
                pause(); /* alive, as a pooler would be */
            }
        }
        close(gate[0]);
        close(gate[1]); /* go */
        int winners = 0;
        for (int i = 0; i < STARTERS; i++) {
            char byte = 0;
            assert_int_equal(read(result[0], &byte, 1), 1);
            winners += byte == 'w';
        }
        for (int i = 0; i < STARTERS; i++) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
        }
        close(result[0]);
        close(result[1]);
        assert_int_equal(winners, 1);
    }
}

/* While one process decides about a stale file another must wait, and then see what was decided. */
static void test_waits_for_the_other(void **state)
{
    (void)state;
    int result[2];
    pid_t live = live_process();
    put_pid(dead_pid());
    int stale = open(path, O_RDONLY);
    assert_int_equal(flock(stale, LOCK_EX), 0);
    assert_int_equal(pipe(result), 0);
    pid_t child = fork();
    if (child == 0) {
        close(stale); /* the lock stays with the parent's descriptor */
        char err = (char)pidfile_write(path);
        _exit(write(result[1], &err, 1) != 1);
    }
    struct pollfd early = {.fd = result[0], .events = POLLIN};
    assert_int_equal(poll(&early, 1, 200), 0);
    assert_int_equal(unlink(path), 0);
    put_pid(live);
    close(stale);
    char err;
    assert_int_equal(read(result[0], &err, 1), 1);
    assert_int_equal(err, PW_ERR_EXISTS);
    char expected[32];
    snprintf(expected, sizeof(expected), "%d\n", (int)live);
    assert_holds(expected);
    assert_int_equal(waitpid(child, NULL, 0), child);
    kill(live, SIGKILL);
    waitpid(live, NULL, 0);
    close(result[0]);
    close(result[1]);
}

static void taken_over_from_a_living_process(void **state)
{
    (void)state;
    char own[32];
    put_pid(getppid());
    assert_int_equal(pidfile_take_over(path), PW_OK);
    snprintf(own, sizeof(own), "%d\n", (int)getpid());
    assert_holds(own);
    pidfile_remove();
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(pidfile_take_over("/nonexistent/pooler.pid"), PW_ERR_IO);
}

static void given_back_to_the_one_that_stays(void **state)
{
    (void)state;
    char old[32];
    snprintf(old, sizeof(old), "%d\n", (int)getppid());
    put_pid(getppid());
    assert_int_equal(pidfile_take_over(path), PW_OK);
    pidfile_give_back();
    assert_holds(old);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pidfile_take_over(path), PW_OK); /* nobody's */
    pidfile_give_back();
    assert_int_equal(access(path, F_OK), -1);
}

static void the_one_taken_over_leaves_the_file(void **state)
{
    (void)state;
    assert_int_equal(pidfile_write(path), PW_OK);
    put_pid(getppid());
    pidfile_remove();
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(taken_over_from_a_living_process, setup, teardown),
        cmocka_unit_test_setup_teardown(given_back_to_the_one_that_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(the_one_taken_over_leaves_the_file, setup, teardown),
        CASE(test_write_and_remove), CASE(test_live),         CASE(test_stale),
        CASE(test_something_else),   CASE(test_not_writable), CASE(test_remove_only_ours),
        CASE(test_relative),         CASE(test_race),         CASE(test_waits_for_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
