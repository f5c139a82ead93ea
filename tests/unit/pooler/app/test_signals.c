/* SPDX-License-Identifier: ISC */
#include "pooler/app/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

static char seen[32];
static size_t seen_len;

static void note(char c)
{
    assert_true(seen_len < sizeof(seen) - 1);
    seen[seen_len++] = c;
    seen[seen_len] = '\0';
}

static void on_hup(void *arg)
{
    note(*(char *)arg);
    note('H');
}

static void on_int(void *arg)
{
    (void)arg;
    note('I');
}

static void on_term(void *arg)
{
    (void)arg;
    note('T');
}

static void on_quit(void *arg)
{
    (void)arg;
    note('Q');
}

static void on_usr1(void *arg)
{
    (void)arg;
    note('1');
}

static void on_usr2(void *arg)
{
    (void)arg;
    note('2');
}

static void raise_and_run(struct event_base *base, int number)
{
    size_t before = seen_len;
    assert_int_equal(kill(getpid(), number), 0);
    for (int i = 0; i < 100 && seen_len == before; i++)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void test_all(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    assert_non_null(base);
    char mark = '!';
    SignalHandlers handlers = {on_hup, on_int, on_term, on_quit, on_usr1, on_usr2, &mark};
    Signals *signals;
    assert_int_equal(signals_create(base, &handlers, &signals), PW_OK);
    static const int order[] = {SIGUSR1, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR2};
    for (size_t i = 0; i < PW_ARRAY_LEN(order); i++)
        raise_and_run(base, order[i]);
    assert_string_equal(seen, "1!HITQ2");

    /* SIGPIPE is an error of write(), nothing else. */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
    signals_destroy(signals);

    struct sigaction now;
    assert_int_equal(sigaction(SIGTERM, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
    event_base_free(base);
}

/* What nobody asked for keeps its default. */
static void test_some(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    SignalHandlers handlers = {.on_int = on_int};
    Signals *signals;
    struct sigaction now;
    seen_len = 0;
    assert_int_equal(signals_create(base, &handlers, &signals), PW_OK);
    assert_int_equal(sigaction(SIGHUP, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
    raise_and_run(base, SIGINT);
    assert_string_equal(seen, "I");
    signals_destroy(signals);
    signals_destroy(NULL);
    event_base_free(base);
}

static void *check_mask(void *arg)
{
    (void)arg;
    sigset_t set;
    signals_block_in_thread();
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    bool all = sigismember(&set, SIGHUP) && sigismember(&set, SIGINT) &&
               sigismember(&set, SIGTERM) && sigismember(&set, SIGQUIT) &&
               sigismember(&set, SIGUSR1) && sigismember(&set, SIGUSR2) &&
               sigismember(&set, SIGPIPE) && !sigismember(&set, SIGSEGV);
    return all ? &seen : NULL;
}

static void test_block(void **state)
{
    (void)state;
    pthread_t thread;
    void *ok;
    assert_int_equal(pthread_create(&thread, NULL, check_mask, NULL), 0);
    pthread_join(thread, &ok);
    assert_non_null(ok);
}

int main(void)
{
    signal(SIGHUP, SIG_DFL); /* nohup leaves it ignored */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_some),
        cmocka_unit_test(test_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
