/* SPDX-License-Identifier: ISC */
/* A datagram socket plays systemd. Built without libsystemd the calls must do nothing at all. */
#include "pooler/app/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager;

static int setup(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "pw-notify-%d", (int)getpid());
    char name[64];
    snprintf(name, sizeof(name), "@pw-notify-%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    return bind(manager, (struct sockaddr *)&un, len);
}

static int teardown(void **state)
{
    (void)state;
    close(manager);
    return unsetenv("NOTIFY_SOCKET");
}

static void expect(const char *start)
{
    char text[128];
    ssize_t n = recv(manager, text, sizeof(text) - 1, 0);
#ifdef HAVE_SYSTEMD
    assert_true(n > 0);
    text[n] = '\0';
    assert_true(strncmp(text, start, strlen(start)) == 0);
#else
    (void)start;
    assert_int_equal(n, -1);
    assert_int_equal(errno, EAGAIN);
#endif
}

static void test_states(void **state)
{
    (void)state;
    char took_over[48];
    snprintf(took_over, sizeof(took_over), "READY=1\nMAINPID=%d", (int)getpid());
    notify_took_over();
    expect(took_over);
    notify_ready();
    expect("READY=1");
    notify_reloading();
    expect("RELOADING=1\nMONOTONIC_USEC=");
    notify_stopping();
    expect("STOPPING=1");
}

static void test_listen_fds(void **state)
{
    (void)state;
    int fds[4] = {-1, -1, -1, -1};
    assert_int_equal(notify_listen_fds(fds, 4), 0);
#ifdef HAVE_SYSTEMD
    char pid[24];
    int spare = dup2(manager, 3) == 3 ? dup2(manager, 4) : -1;
    assert_int_equal(spare, 4);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(notify_listen_fds(fds, 4), 2);
    assert_int_equal(fds[0], 3);
    assert_int_equal(fds[1], 4);
    assert_null(getenv("LISTEN_FDS"));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_states, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listen_fds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
