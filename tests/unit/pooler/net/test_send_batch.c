/* SPDX-License-Identifier: ISC */
/* Where io_uring is refused (a container's filter) the tests of the batch itself have nothing to test: they say so and
 * end. `tests/e2e/test_io_engine.py` sees to it that a machine that has io_uring uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/net/send_batch.h"

typedef struct Peer {
    SendSlot slot; /* first */
    int fd, other;
    size_t sent, left;
    uint8_t left_bytes[SEND_BATCH_BYTES_MOST];
    int calls;
} Peer;

static SendBatch *batch;

static void on_left(SendSlot *slot, size_t sent, const uint8_t *bytes, size_t n)
{
    Peer *p = (Peer *)slot;
    p->sent += sent;
    p->left = n;
    memcpy(p->left_bytes, bytes, n);
    p->calls++;
}

static int create(void **state)
{
    (void)state;
    char why[200] = "";
    batch = NULL;
    if (send_batch_create(on_left, &batch, why, sizeof(why)) == PW_OK)
        return 0;
    assert_null(batch);
    assert_true(why[0] != '\0');
    print_message("no io_uring here: %s\n", why);
    return 0;
}

static int destroy(void **state)
{
    (void)state;
    send_batch_destroy(batch);
    return 0;
}

#define NEEDS_IO_URING() \
    if (!batch)          \
    return

static void open_peer(Peer *p)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *p = (Peer){.slot = SEND_SLOT_EMPTY, .fd = fds[0], .other = fds[1]};
}

static void close_peer(Peer *p)
{
    close(p->fd);
    close(p->other);
}

static bool add(Peer *p, const char *text)
{
    return send_batch_add(batch, &p->slot, p->fd, text, strlen(text));
}

static void assert_received(Peer *p, const char *text)
{
    char got[8192];
    ssize_t n = recv(p->other, got, sizeof(got), MSG_DONTWAIT);
    assert_int_equal(n, (ssize_t)strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void assert_nothing_received(Peer *p)
{
    char byte;
    assert_int_equal(recv(p->other, &byte, 1, MSG_DONTWAIT), -1);
}

static void test_all_go_out_in_one_flush(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    Peer peers[5];
    for (int i = 0; i < 5; i++) {
        open_peer(&peers[i]);
        char text[20];
        snprintf(text, sizeof(text), "for %d", i);
        assert_true(add(&peers[i], text));
        assert_int_equal(peers[i].slot.len, strlen(text));
        assert_nothing_received(&peers[i]);
    }
    send_batch_flush(batch);
    assert_true(send_batch_is_empty(batch));
    assert_int_equal(send_batch_sends(batch), 5);
    for (int i = 0; i < 5; i++) {
        char text[20];
        snprintf(text, sizeof(text), "for %d", i);
        assert_received(&peers[i], text);
        assert_int_equal(peers[i].calls, 1);
        assert_int_equal(peers[i].sent, strlen(text));
        assert_int_equal(peers[i].left, 0);
        assert_int_equal(peers[i].slot.entry, -1);
        assert_int_equal(peers[i].slot.len, 0);
        close_peer(&peers[i]);
    }
}

static void test_one_alone_goes_out_too(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    Peer p;
    open_peer(&p);
    assert_true(add(&p, "alone"));
    send_batch_flush(batch);
    assert_received(&p, "alone");
    assert_int_equal(send_batch_sends(batch), 0); /* shared with nobody */
    close_peer(&p);
}

static void test_an_entry_grows_only_at_the_end(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    Peer a, b;
    open_peer(&a);
    open_peer(&b);
    assert_true(add(&a, "one "));
    assert_true(add(&a, "two"));
    assert_true(add(&b, "other"));
    assert_false(add(&a, " three")); /* b's bytes are in between */
    assert_int_equal(a.slot.len, 7);
    send_batch_flush(batch);
    assert_received(&a, "one two");
    assert_received(&b, "other");
    close_peer(&a);
    close_peer(&b);
}

static void test_taken_out(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    Peer a, b, c;
    open_peer(&a);
    open_peer(&b);
    open_peer(&c);
    const uint8_t *bytes = NULL;
    assert_int_equal(send_batch_take(batch, &a.slot, &bytes), 0);
    assert_true(add(&a, "a"));
    assert_true(add(&b, "bb"));
    assert_true(add(&c, "c"));
    assert_int_equal(send_batch_take(batch, &b.slot, &bytes), 2);
    assert_memory_equal(bytes, "bb", 2);
    assert_int_equal(b.slot.entry, -1);
    close(b.fd); /* and may be gone before the flush */
    send_batch_flush(batch);
    assert_received(&a, "a");
    assert_received(&c, "c");
    assert_int_equal(b.calls, 0);
    close(b.other);
    close_peer(&a);
    close_peer(&c);
}

static void test_what_a_full_socket_does_not_take_is_left(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    Peer full, other;
    open_peer(&full);
    open_peer(&other);
    char junk[4096] = {0};
    while (send(full.fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
        ;
    while (send(full.fd, junk, 1, MSG_DONTWAIT) > 0)
        ;
    assert_true(add(&full, "later"));
    assert_true(add(&other, "now"));
    send_batch_flush(batch);
    assert_received(&other, "now");
    assert_int_equal(full.sent, 0);
    assert_int_equal(full.left, 5);
    assert_memory_equal(full.left_bytes, "later", 5);
    close_peer(&full);
    close_peer(&other);
}

static void test_a_peer_that_is_gone_is_no_matter_of_the_others(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    Peer gone, other;
    open_peer(&gone);
    open_peer(&other);
    close(gone.other);
    assert_true(add(&gone, "nobody hears it")); /* and no SIGPIPE ends the test */
    assert_true(add(&other, "here"));
    send_batch_flush(batch);
    assert_received(&other, "here");
    assert_int_equal(gone.left, 15);
    close(gone.fd);
    close_peer(&other);
}

static void test_a_full_batch_is_flushed(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    enum { N = 3 * SEND_BATCH_ENTRIES + 1 };
    static Peer peers[N];
    for (int i = 0; i < N; i++) {
        open_peer(&peers[i]);
        assert_true(add(&peers[i], "x"));
    }
    for (int i = 0; i < N - 1; i++)
        assert_received(&peers[i], "x");
    send_batch_flush(batch);
    assert_received(&peers[N - 1], "x");
    for (int i = 0; i < N; i++)
        close_peer(&peers[i]);
}

static void test_lengths(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    static char text[SEND_BATCH_BYTES_MOST + 2];
    memset(text, 'y', sizeof(text) - 1);
    static Peer peers[SEND_BATCH_ENTRIES];
    open_peer(&peers[0]);
    assert_false(add(&peers[0], text)); /* one too many */
    assert_int_equal(peers[0].slot.entry, -1);
    text[SEND_BATCH_BYTES_MOST] = '\0';
    for (int i = 0; i < SEND_BATCH_ENTRIES; i++) { /* more bytes than there is room for: flushed in between */
        if (i > 0)
            open_peer(&peers[i]);
        assert_true(add(&peers[i], text));
        assert_false(add(&peers[i], "z"));
    }
    send_batch_flush(batch);
    for (int i = 0; i < SEND_BATCH_ENTRIES; i++) {
        assert_received(&peers[i], text);
        close_peer(&peers[i]);
    }
}

/* The ring's descriptor is closed behind its back: everything is sent all the same, once. */
static void test_io_uring_fails(void **state)
{
    (void)state;
    NEEDS_IO_URING();
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    int ring = -1;
    while ((e = readdir(d))) {
        char path[300], link[100] = "";
        snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
        if (readlink(path, link, sizeof(link) - 1) > 0 && strstr(link, "io_uring"))
            ring = atoi(e->d_name);
    }
    closedir(d);
    assert_true(ring >= 0);
    int saved = dup(ring);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, ring); /* not closed: the number stays taken */
    Peer a, b;
    open_peer(&a);
    open_peer(&b);
    assert_true(add(&a, "a"));
    assert_true(add(&b, "b"));
    send_batch_flush(batch);
    assert_received(&a, "a");
    assert_received(&b, "b");
    assert_nothing_received(&a);
    assert_false(add(&a, "again"));
    close(saved);
    close(null);
    close_peer(&a);
    close_peer(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_go_out_in_one_flush, create, destroy),
        cmocka_unit_test_setup_teardown(test_one_alone_goes_out_too, create, destroy),
        cmocka_unit_test_setup_teardown(test_an_entry_grows_only_at_the_end, create, destroy),
        cmocka_unit_test_setup_teardown(test_taken_out, create, destroy),
        cmocka_unit_test_setup_teardown(test_what_a_full_socket_does_not_take_is_left, create, destroy),
        cmocka_unit_test_setup_teardown(test_a_peer_that_is_gone_is_no_matter_of_the_others, create, destroy),
        cmocka_unit_test_setup_teardown(test_a_full_batch_is_flushed, create, destroy),
        cmocka_unit_test_setup_teardown(test_lengths, create, destroy),
        cmocka_unit_test_setup_teardown(test_io_uring_fails, create, destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
