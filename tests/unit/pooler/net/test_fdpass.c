/* SPDX-License-Identifier: ISC */
#include "pooler/net/fdpass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends[2];

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
}

static int teardown(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void assert_same_file(int a, int b)
{
    struct stat x, y;
    assert_int_equal(fstat(a, &x), 0);
    assert_int_equal(fstat(b, &y), 0);
    assert_true(x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* A descriptor that found no place is an error: the next one would be taken for it. */
static void test_no_room(void **state)
{
    (void)state;
    int fds[FDPASS_MAX];
    char bytes[8];
    size_t n_fds;
    struct rlimit before, tight;
    assert_int_equal(fdpass_send(ends[0], "row", 3, ends[0]), 3);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    ssize_t n = fdpass_recv(ends[1], bytes, sizeof(bytes), fds, &n_fds);
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(n, -2);
    assert_int_equal(error, EMFILE);
    assert_int_equal(n_fds, 0);
}

static void test_in_order(void **state)
{
    (void)state;
    int pipes[3][2], fds[FDPASS_MAX], got_fds[8];
    char bytes[64], got[64];
    size_t n_fds, total_fds = 0, total = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pipe(pipes[i]), 0);
    assert_int_equal(fdpass_send(ends[0], "plain", 5, -1), 5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fdpass_send(ends[0], "row", 3, pipes[i][0]), 3);
    assert_int_equal(fdpass_send(ends[0], "end", 3, -1), 3);
    while (total < 17) {
        ssize_t n = fdpass_recv(ends[1], bytes, sizeof(bytes), fds, &n_fds);
        assert_true(n > 0);
        memcpy(got + total, bytes, (size_t)n);
        total += (size_t)n;
        for (size_t i = 0; i < n_fds; i++)
            got_fds[total_fds++] = fds[i];
        assert_true(total_fds >= (total >= 8) + (size_t)(total >= 11) + (total >= 14)); /* never behind its bytes */
    }
    assert_memory_equal(got, "plainrowrowrowend", 17);
    assert_int_equal(total_fds, 3);
    for (int i = 0; i < 3; i++) {
        assert_same_file(got_fds[i], pipes[i][0]);
        assert_true(fcntl(got_fds[i], F_GETFD) & FD_CLOEXEC);
        close(got_fds[i]);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void test_ends(void **state)
{
    (void)state;
    int fds[FDPASS_MAX];
    char byte;
    size_t n_fds = 7;
    assert_int_equal(fdpass_recv(ends[1], &byte, 1, fds, &n_fds), -1);
    assert_int_equal(n_fds, 0);
    shutdown(ends[0], SHUT_WR);
    assert_int_equal(fdpass_recv(ends[1], &byte, 1, fds, &n_fds), 0);
    shutdown(ends[1], SHUT_RD);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); /* for the teardown */
    close(ends[1]);
    assert_int_equal(fdpass_send(ends[0], "x", 1, 0), -2);
    ends[1] = dup(ends[0]);
}

static void test_a_full_socket(void **state)
{
    (void)state;
    char block[4096] = {0};
    ssize_t n;
    while ((n = fdpass_send(ends[0], block, sizeof(block), -1)) > 0) {
    }
    assert_int_equal(n, -1);
    assert_int_equal(fdpass_send(ends[0], block, 1, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_socket, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
