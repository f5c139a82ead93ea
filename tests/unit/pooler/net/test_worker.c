/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <unistd.h>

#include "pooler/net/worker.h"

#define MAILS 2000 /* many times what is handled in one go */

static MailNode mails[MAILS];
static int handled, handled_at_read, ends[2];

static void run_mail(MailNode *node)
{
    if (handled++ == 0)
        assert_int_equal(write(ends[1], "x", 1), 1); /* the loop has not heard of this yet */
    if (node == &mails[MAILS - 1])
        worker_stop(worker_get(0));
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    char c;
    (void)what;
    (void)arg;
    assert_int_equal(read(fd, &c, 1), 1);
    handled_at_read = handled;
}

/* Sockets have their turn while there is more mail than one turn takes, and no mail is lost. */
static void test_much_mail_lets_sockets_in(void **state)
{
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(workers_create(1), PW_OK);
    for (int i = 0; i < MAILS; i++) {
        mails[i].run = run_mail;
        worker_post(0, &mails[i]);
    }
    struct event *ev = event_new(worker_get(0)->base, ends[0], EV_READ | EV_PERSIST, on_read, NULL);
    assert_non_null(ev);
    assert_int_equal(event_add(ev, NULL), 0);
    assert_int_equal(workers_start(), PW_OK);
    handled_at_read = MAILS;
    workers_run_main();
    workers_join();
    event_free(ev);
    workers_destroy();
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(handled, MAILS);
    assert_true(handled_at_read < MAILS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_much_mail_lets_sockets_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
