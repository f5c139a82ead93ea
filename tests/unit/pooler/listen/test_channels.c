/* SPDX-License-Identifier: ISC */
/* channels: who wants which channel, and what the server is told about it. The members stand for workers. */
#include "pooler/listen/channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 80

static ListenChannel members[MEMBERS];
static char heard[4000]; /* "+a0 -b1 ~a": live, refused, gap */

static void say(const char *how, const char *name, int who)
{
    size_t n = strlen(heard);
    snprintf(heard + n, sizeof(heard) - n, who < 0 ? "%s%s%s" : "%s%s%s%d", n ? " " : "", how, name, who);
}

static void on_live(void *arg, ListenChannel *m)
{
    (void)arg;
    say("+", m->name, (int)(m - members));
}

static void on_refused(void *arg, ListenChannel *m)
{
    (void)arg;
    assert_null(m->hub_channel);
    say("-", m->name, (int)(m - members));
}

static void on_gap(void *arg, HubChannel *c)
{
    (void)arg;
    const ListenChannel *m;
    LIST_FOREACH(m, &c->members, member)
        if (m->told)
            say("~", c->name, (int)(m - members));
}

static const HubChannelsOps ops = {on_live, on_refused, on_gap};

static ListenChannel *member(int i, const char *name)
{
    memset(&members[i], 0, sizeof(members[i]));
    snprintf(members[i].name, sizeof(members[i].name), "%s", name);
    return &members[i];
}

/* The next batch is this text; "": there is none. */
static void next_is(HubChannels *hc, const char *want)
{
    PwBuf sql;
    pw_buf_init(&sql);
    bool any = hub_channels_next(hc, &sql);
    assert_int_equal(any, *want != 0);
    pw_buf_append_u8(&sql, 0);
    assert_string_equal((const char *)pw_buf_head(&sql), want);
    pw_buf_finish(&sql);
}

static bool done(HubChannels *hc, bool ok, const char *want)
{
    heard[0] = 0;
    bool fine = hub_channels_done(hc, ok, &ops, NULL);
    assert_string_equal(heard, want);
    return fine;
}

static void test_first_and_last(void **state)
{
    (void)state;
    HubChannels hc = {0};
    assert_false(hub_channels_join(&hc, member(0, "a")));
    next_is(&hc, "LISTEN \"a\"");
    assert_false(hub_channels_join(&hc, member(1, "a"))); /* while it is under way */
    next_is(&hc, "");
    assert_true(done(&hc, true, "+a1 +a0"));
    assert_true(hub_channels_join(&hc, member(2, "a"))); /* listens already */
    hub_channels_leave(&hc, &members[0]);
    hub_channels_leave(&hc, &members[2]);
    next_is(&hc, ""); /* one is left */
    hub_channels_leave(&hc, &members[1]);
    assert_true(hub_channels_unwanted(&hc));
    next_is(&hc, "UNLISTEN \"a\"");
    assert_true(done(&hc, true, ""));
    assert_int_equal(hub_channels_count(&hc), 0);
}

static void test_names_are_quoted(void **state)
{
    (void)state;
    HubChannels hc = {0};
    hub_channels_join(&hc, member(0, "A \"b\";DROP"));
    next_is(&hc, "LISTEN \"A \"\"b\"\";DROP\"");
    hub_channels_lost(&hc);
    hub_channels_leave(&hc, &members[0]);
    assert_int_equal(hub_channels_count(&hc), 0);
}

static void test_comes_back_before_it_is_dropped(void **state)
{
    (void)state;
    HubChannels hc = {0};
    hub_channels_join(&hc, member(0, "a"));
    next_is(&hc, "LISTEN \"a\"");
    done(&hc, true, "+a0");
    hub_channels_leave(&hc, &members[0]);
    assert_true(hub_channels_join(&hc, member(0, "a"))); /* UNLISTEN was not sent yet */
    next_is(&hc, "");
    hub_channels_leave(&hc, &members[0]);
    next_is(&hc, "UNLISTEN \"a\"");
    assert_false(hub_channels_join(&hc, member(0, "a"))); /* it was */
    assert_true(done(&hc, true, ""));
    next_is(&hc, "LISTEN \"a\"");
    done(&hc, true, "+a0");
    hub_channels_leave(&hc, &members[0]);
    hub_channels_finish(&hc);
}

static void test_leaves_while_asked(void **state)
{
    (void)state;
    HubChannels hc = {0};
    hub_channels_join(&hc, member(0, "a"));
    next_is(&hc, "LISTEN \"a\"");
    hub_channels_leave(&hc, &members[0]);
    assert_true(done(&hc, true, ""));
    next_is(&hc, "UNLISTEN \"a\"");
    done(&hc, true, "");
    assert_int_equal(hub_channels_count(&hc), 0);
}

static void test_one_bad_channel(void **state)
{
    (void)state;
    HubChannels hc = {0};
    hub_channels_join(&hc, member(0, "a"));
    hub_channels_join(&hc, member(1, "b"));
    next_is(&hc, "LISTEN \"a\";LISTEN \"b\"");
    assert_true(done(&hc, false, "")); /* nobody is refused yet: one by one */
    next_is(&hc, "LISTEN \"a\"");
    assert_true(done(&hc, false, "-a0"));
    next_is(&hc, "LISTEN \"b\"");
    assert_true(done(&hc, true, "+b1"));
    next_is(&hc, "");
    assert_int_equal(hub_channels_count(&hc), 1);
    hub_channels_leave(&hc, &members[1]);
    hub_channels_finish(&hc);
}

static void test_lost_and_found(void **state)
{
    (void)state;
    HubChannels hc = {0};
    hub_channels_join(&hc, member(0, "a"));
    hub_channels_join(&hc, member(1, "b"));
    hub_channels_join(&hc, member(2, "c"));
    next_is(&hc, "LISTEN \"a\";LISTEN \"b\";LISTEN \"c\"");
    done(&hc, true, "+a0 +b1 +c2");
    hub_channels_leave(&hc, &members[2]);
    hub_channels_lost(&hc);
    assert_int_equal(hub_channels_count(&hc), 2); /* c is over */
    hub_channels_leave(&hc, &members[1]);
    assert_int_equal(hub_channels_count(&hc), 1);
    hub_channels_join(&hc, member(3, "a")); /* it did not listen before: no gap for it */
    next_is(&hc, "LISTEN \"a\"");
    hub_channels_lost(&hc); /* lost again before it was confirmed: still a gap */
    next_is(&hc, "LISTEN \"a\"");
    done(&hc, true, "~a0 +a3");
    hub_channels_leave(&hc, &members[0]);
    hub_channels_leave(&hc, &members[3]);
    hub_channels_finish(&hc);
}

static void test_who_relies_on_it_stays(void **state)
{
    (void)state;
    HubChannels hc = {0};
    hub_channels_join(&hc, member(0, "a"));
    next_is(&hc, "LISTEN \"a\"");
    done(&hc, true, "+a0");
    hub_channels_lost(&hc);
    hub_channels_join(&hc, member(1, "a"));
    heard[0] = 0;
    hub_channels_refuse_untold(&hc, &ops, NULL); /* no connection can be had */
    assert_string_equal(heard, "-a1");
    hub_channels_join(&hc, member(1, "a"));
    next_is(&hc, "LISTEN \"a\"");
    assert_false(done(&hc, false, "-a1")); /* a standby, say: try later */
    next_is(&hc, "LISTEN \"a\"");
    done(&hc, true, "~a0");
    hub_channels_leave(&hc, &members[0]);
    hub_channels_finish(&hc);
}

static void test_batches_are_bounded(void **state)
{
    (void)state;
    HubChannels hc = {0};
    PwBuf sql;
    for (int i = 0; i < MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        hub_channels_join(&hc, member(i, name));
    }
    pw_buf_init(&sql);
    assert_true(hub_channels_next(&hc, &sql));
    assert_int_equal(hc.in_batch, CHANNELS_BATCH);
    heard[0] = 0;
    assert_true(hub_channels_done(&hc, true, &ops, NULL));
    assert_true(hub_channels_next(&hc, &sql));
    assert_int_equal(hc.in_batch, MEMBERS - CHANNELS_BATCH);
    assert_true(hub_channels_done(&hc, true, &ops, NULL));
    pw_buf_finish(&sql);
    for (int i = 0; i < MEMBERS; i++) {
        assert_true(members[i].told);
        hub_channels_leave(&hc, &members[i]);
    }
    hub_channels_finish(&hc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_and_last),
        cmocka_unit_test(test_names_are_quoted),
        cmocka_unit_test(test_comes_back_before_it_is_dropped),
        cmocka_unit_test(test_leaves_while_asked),
        cmocka_unit_test(test_one_bad_channel),
        cmocka_unit_test(test_lost_and_found),
        cmocka_unit_test(test_who_relies_on_it_stays),
        cmocka_unit_test(test_batches_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
