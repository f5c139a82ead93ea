/* SPDX-License-Identifier: ISC */
/* branch: subscriptions of one worker, with a hub that is played here. Mail waits in a list until the test delivers it. */
#include "pooler/listen/branch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pooler/net/worker.h"

/* ---- what the branch calls ---- */

static PoolEntry entry;
static PoolLocal local;
static PoolShard shard;
static int references;
static ListenChannel *with_hub[16];
static unsigned n_with_hub;

void registry_ref(PoolEntry *e)
{
    assert_ptr_equal(e, &entry);
    references++;
}

void registry_unref(PoolEntry *e)
{
    assert_ptr_equal(e, &entry);
    references--;
}

void listen_hub_arrive(MailNode *node)
{
    (void)node;
}

void worker_post(unsigned index, MailNode *node)
{
    assert_int_equal(index, entry.listen_worker);
    assert_ptr_equal(node->run, listen_hub_arrive);
    with_hub[n_with_hub++] = (ListenChannel *)node;
}

/* ---- clients ---- */

typedef struct Subscriber {
    ListenSubscriber who;
    char heard[200];
    struct Subscriber *ends; /* when it hears something, all of this one's subscriptions end */
} Subscriber;

static void hear(ListenSubscriber *who, const char *what, const char *name)
{
    Subscriber *s = (Subscriber *)who;
    size_t n = strlen(s->heard);
    snprintf(s->heard + n, sizeof(s->heard) - n, "%s%s", what, name);
    if (s->ends)
        listen_unsubscribe_all(&s->ends->who);
}

static void on_live(ListenSubscriber *who, ListenSubscription *sub)
{
    hear(who, "+", sub->channel->name);
}

static void on_refused(ListenSubscriber *who, const char *name, const char *sqlstate, const char *why)
{
    assert_string_equal(sqlstate, "XX001");
    assert_string_equal(why, "no");
    hear(who, "-", name);
}

static void on_note(ListenSubscriber *who, ListenSubscription *sub, const ListenNote *note)
{
    (void)note;
    hear(who, "!", sub->channel->name);
}

static const ListenSubscriberOps ops = {on_live, on_refused, on_note};

static void subscriber(Subscriber *s)
{
    memset(s, 0, sizeof(*s));
    s->who.ops = &ops;
}

static void expect(Subscriber *s, const char *heard)
{
    assert_string_equal(s->heard, heard);
    s->heard[0] = '\0';
}

/* ---- the hub ---- */

/* The oldest that is there was sent for this. */
static ListenChannel *sent(const char *name, bool leave)
{
    assert_true(n_with_hub > 0);
    ListenChannel *c = with_hub[0];
    memmove(with_hub, with_hub + 1, --n_with_hub * sizeof(*with_hub));
    assert_string_equal(c->name, name);
    assert_int_equal(c->leave, leave);
    return c;
}

static void back(ListenChannel *c, bool refused)
{
    c->refused = refused;
    snprintf(c->sqlstate, sizeof(c->sqlstate), "XX001");
    snprintf(c->why, sizeof(c->why), "no");
    listen_branch_arrive(&c->node);
}

static void notify(ListenChannel *c)
{
    ListenNote *note = calloc(1, sizeof(*note));
    note->to = c;
    listen_branch_note(&note->node);
}

static int setup(void **state)
{
    (void)state;
    memset(&entry, 0, sizeof(entry));
    memset(&local, 0, sizeof(local));
    entry.listen_worker = 3;
    local.entry = &entry;
    local.shard = &shard;
    return 0;
}

static void nothing_is_left(void)
{
    assert_int_equal(n_with_hub, 0);
    assert_int_equal(references, 0);
    assert_null(local.listen_branch);
}

/* ---- tests ---- */

static void test_one_request_for_all(void **state)
{
    (void)state;
    Subscriber a, b;
    subscriber(&a);
    subscriber(&b);
    ListenSubscription *of_a = listen_subscribe(&local, &a.who, "x"), *of_b = listen_subscribe(&local, &b.who, "x");
    ListenChannel *c = sent("x", false);
    assert_int_equal(n_with_hub, 0);
    assert_false(listen_is_live(of_a));
    back(c, false);
    expect(&a, "+x");
    expect(&b, "+x");
    assert_true(listen_is_live(of_b));
    notify(c);
    expect(&a, "!x");
    expect(&b, "!x");
    listen_unsubscribe(of_a);
    assert_int_equal(n_with_hub, 0);
    notify(c);
    expect(&a, "");
    expect(&b, "!x");
    listen_unsubscribe(of_b);
    c = sent("x", true);
    notify(c); /* posted before the hub knew */
    expect(&b, "");
    back(c, false);
    nothing_is_left();
}

static void test_goes_before_the_answer(void **state)
{
    (void)state;
    for (int refused = 0; refused < 2; refused++) {
        Subscriber a;
        subscriber(&a);
        listen_unsubscribe(listen_subscribe(&local, &a.who, "x"));
        ListenChannel *c = sent("x", false);
        back(c, refused);
        if (!refused)
            back(sent("x", true), false);
        expect(&a, "");
        nothing_is_left();
    }
}

static void test_comes_back_before_it_is_gone(void **state)
{
    (void)state;
    Subscriber a;
    subscriber(&a);
    ListenSubscription *sub = listen_subscribe(&local, &a.who, "x");
    back(sent("x", false), false);
    listen_unsubscribe(sub);
    ListenChannel *c = sent("x", true);
    sub = listen_subscribe(&local, &a.who, "x");
    assert_false(listen_is_live(sub));
    assert_int_equal(n_with_hub, 0); /* it is with the hub */
    back(c, false);
    expect(&a, "+x");
    assert_ptr_equal(sent("x", false), c);
    back(c, false);
    expect(&a, "+x");
    listen_unsubscribe(sub);
    back(sent("x", true), false);
    nothing_is_left();
}

static void test_refused(void **state)
{
    (void)state;
    Subscriber a, b;
    subscriber(&a);
    subscriber(&b);
    listen_subscribe(&local, &a.who, "x");
    listen_subscribe(&local, &b.who, "x");
    listen_subscribe(&local, &b.who, "y");
    ListenChannel *x = sent("x", false), *y = sent("y", false);
    back(x, true);
    expect(&a, "-x");
    expect(&b, "-x");
    assert_null(listen_find(&b.who, "x"));
    assert_int_equal(b.who.n, 1);
    back(y, false);
    expect(&b, "+y");
    listen_unsubscribe_all(&b.who);
    back(sent("y", true), false);
    nothing_is_left();
}

/* Who is told something may end, and end others that are to be told. */
static void test_told_and_gone(void **state)
{
    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        Subscriber s[4];
        for (int i = 0; i < 4; i++)
            subscriber(&s[i]);
        for (int i = 0; i < 4; i++)
            listen_subscribe(&local, &s[i].who, "x");
        s[2].ends = &s[turn]; /* 3 is told first */
        ListenChannel *c = sent("x", false);
        back(c, false);
        expect(&s[3], "+x");
        expect(&s[1], turn == 1 ? "" : "+x");
        expect(&s[0], turn == 0 ? "" : "+x");
        s[2].ends = NULL;
        for (int i = 0; i < 4; i++)
            s[i].ends = &s[i];
        notify(c);
        for (int i = 0; i < 4; i++)
            assert_int_equal(s[i].who.n, 0);
        back(sent("x", true), false);
        nothing_is_left();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_request_for_all, setup),
        cmocka_unit_test_setup(test_goes_before_the_answer, setup),
        cmocka_unit_test_setup(test_comes_back_before_it_is_gone, setup),
        cmocka_unit_test_setup(test_refused, setup),
        cmocka_unit_test_setup(test_told_and_gone, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
