/* SPDX-License-Identifier: ISC */
/* A name server of our own on a UDP socket of the same loop plays every kind of answer; the clock of
 * the cache is ours too (linked with --wrap=pw_time_mono). Nothing leaves the machine. */
#include "pooler/net/resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEC PW_USEC_PER_SEC

static PwUsec fake_now = 1000 * SEC;
PwUsec __wrap_pw_time_mono(void);

PwUsec __wrap_pw_time_mono(void)
{
    return fake_now;
}

/* ---- the name server ---- */

enum { RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, MUTE = 99 };

typedef struct Zone {
    const char *name;
    int rcode;
    unsigned ttl;
    const char *v4[3];
    const char *v6;
    int asked; /* questions for A */
    unsigned serial; /* 0: no SOA record */
} Zone;

static Zone zones[] = {
    {.name = "one.test", .ttl = 100, .v4 = {"127.0.0.9"}},
    {.name = "many.test", .ttl = 100, .v4 = {"127.0.0.3", "127.0.0.2", "127.0.0.4"}},
    {.name = "same.test", .ttl = 100, .v4 = {"127.0.0.5", "127.0.0.5"}},
    {.name = "both.test", .ttl = 100, .v4 = {"127.0.0.6"}, .v6 = "::1"},
    {.name = "brief.test", .ttl = 5, .v4 = {"127.0.0.7"}},
    {.name = "empty.test", .ttl = 100},
    {.name = "broken.test", .rcode = RCODE_SERVFAIL},
    {.name = "mute.test", .rcode = MUTE},
    {.name = "nx.test", .rcode = RCODE_NXDOMAIN},
    {.name = "test", .ttl = 100, .serial = 0xfffffff0u},
    {.name = "zoneless", .ttl = 100},
};

static Zone *zone(const char *name)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(zones); i++)
        if (strcmp(zones[i].name, name) == 0)
            return &zones[i];
    return NULL;
}

/* One record whose name is a pointer to the question at offset 12. */
static size_t put_record(uint8_t *out, uint16_t type, unsigned ttl, const void *data, uint16_t len)
{
    const uint8_t head[] = {0xc0,
                            12,
                            0,
                            (uint8_t)type,
                            0,
                            1,
                            (uint8_t)(ttl >> 24),
                            (uint8_t)(ttl >> 16),
                            (uint8_t)(ttl >> 8),
                            (uint8_t)ttl,
                            0,
                            (uint8_t)len};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), data, len);
    return sizeof(head) + len;
}

static void on_question(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    (void)arg;
    uint8_t msg[1024];
    char name[300] = "";
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(fd, msg, 512, 0, (struct sockaddr *)&from, &from_len);
    if (n < 17)
        return;
    size_t at = 12;
    while (msg[at] != 0 && at + 1 + msg[at] < (size_t)n) {
        if (name[0] != '\0')
            strcat(name, ".");
        strncat(name, (const char *)msg + at + 1, msg[at]);
        at += 1u + msg[at];
    }
    int type = msg[at + 2];
    at += 5;
    Zone *z = zone(name);
    if (z != NULL && type == 1)
        z->asked++;
    if (z != NULL && z->rcode == MUTE)
        return;
    int rcode = z != NULL ? z->rcode : RCODE_NXDOMAIN;
    msg[2] = 0x81;
    msg[3] = (uint8_t)(0x80 | rcode);
    memset(msg + 6, 0, 6);
    if (z != NULL && type == 1) {
        for (int i = 0; i < 3 && z->v4[i] != NULL; i++) {
            struct in_addr a;
            inet_pton(AF_INET, z->v4[i], &a);
            at += put_record(msg + at, 1, z->ttl, &a, 4);
            msg[7]++;
        }
    } else if (z != NULL && type == 28 && z->v6 != NULL) {
        struct in6_addr a;
        inet_pton(AF_INET6, z->v6, &a);
        at += put_record(msg + at, 28, z->ttl, &a, 16);
        msg[7]++;
    } else if (z != NULL && type == 6 && z->serial != 0) {
        uint8_t soa[24] = {0xc0, 12, 0xc0, 12};
        const uint32_t serial = htonl(z->serial);
        memcpy(soa + 4, &serial, 4);
        at += put_record(msg + at, 6, z->ttl, soa, sizeof(soa));
        msg[7]++;
    }
    sendto(fd, msg, at, 0, (struct sockaddr *)&from, from_len);
}

/* ---- who asks ---- */

static char dir[64], conf[96], servers[64];
static struct event_base *base;
static struct event *server_event;
static int server_fd;
static Resolver *resolver;

typedef struct Answer {
    int calls;
    PwErr err;
    char text[512]; /* the addresses, blank-separated */
} Answer;

static void on_done(void *arg, PwErr err, const NetAddr *addrs, size_t n)
{
    Answer *a = arg;
    char one[NET_ADDR_TEXT];
    a->calls++;
    a->err = err;
    a->text[0] = '\0';
    assert_true((err == PW_OK) == (n > 0));
    assert_true((err == PW_OK) == (addrs != NULL));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strcat(a->text, " ");
        strcat(a->text, net_addr_where(&addrs[i], one, sizeof(one)));
    }
}

static void create(const ResolverOptions *extra)
{
    ResolverOptions o = *extra;
    if (o.max_ttl == 0)
        o.max_ttl = 15 * SEC;
    if (o.nxdomain_ttl == 0)
        o.nxdomain_ttl = 7 * SEC;
    o.resolv_conf = conf;
    o.servers = o.servers != NULL ? o.servers : servers;
    o.timeout_ms = o.timeout_ms > 0 ? o.timeout_ms : 5000;
    o.tries = 1;
    assert_int_equal(resolver_create(base, &o, &resolver), PW_OK);
}

static int setup(void **state)
{
    (void)state;
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sin);
    strcpy(dir, "/tmp/pw-dns-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(conf, sizeof(conf), "%s/resolv.conf", dir);
    FILE *f = fopen(conf, "w");
    fputs("nameserver 127.0.0.1\nsearch suffix.test\n", f);
    fclose(f);
    server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(server_fd, (struct sockaddr *)&sin, len), 0);
    assert_int_equal(getsockname(server_fd, (struct sockaddr *)&sin, &len), 0);
    snprintf(servers, sizeof(servers), "127.0.0.1:%d", ntohs(sin.sin_port));
    base = event_base_new();
    server_event = event_new(base, server_fd, EV_READ | EV_PERSIST, on_question, NULL);
    event_add(server_event, NULL);
    for (size_t i = 0; i < PW_ARRAY_LEN(zones); i++)
        zones[i].asked = 0;
    ResolverOptions none = {0};
    create(&none);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    resolver = NULL;
    event_free(server_event);
    event_base_free(base);
    close(server_fd);
    char cmd[160];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
    return system(cmd);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

static void run_until(const Answer *a, int calls)
{
    bool over = false;
    struct event *deadline = event_new(base, -1, 0, on_deadline, &over);
    const struct timeval limit = {.tv_sec = 10};
    event_add(deadline, &limit);
    while (a->calls < calls && !over)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(deadline);
    assert_false(over);
}

static void ask(const char *host, uint16_t port, PwErr err, const char *text)
{
    Answer a = {0};
    ResolverQuery *q = resolver_lookup(resolver, host, port, on_done, &a);
    assert_true((q == NULL) == (a.calls == 1));
    run_until(&a, 1);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.err, err);
    assert_string_equal(a.text, text);
}

/* ---- tests ---- */

static void ask_at_once(const char *host, PwErr err, const char *text)
{
    Answer a = {0};
    assert_null(resolver_lookup(resolver, host, 5432, on_done, &a));
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.err, err);
    assert_string_equal(a.text, text);
}

static void test_no_question_needed(void **state)
{
    (void)state;
    ask_at_once("127.0.0.1", PW_OK, "127.0.0.1:5432");
    ask_at_once("::1", PW_OK, "[::1]:5432");
    ask_at_once("/var/run/postgresql", PW_OK, "unix:/var/run/postgresql/.s.PGSQL.5432");
    ask_at_once("@abstract", PW_OK, "unix:@abstract/.s.PGSQL.5432");
    ask_at_once("", PW_ERR_NOT_FOUND, "");
    char big[400];
    memset(big, 'a', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    ask_at_once(big, PW_ERR_NOT_FOUND, "");
    big[0] = '/';
    ask_at_once(big, PW_ERR_NOT_FOUND, "");
    assert_int_equal(resolver_names(resolver), 0);
    assert_int_equal(resolver_pending(resolver), 0);
}

/* From /etc/hosts (or RFC 6761): the server above knows no localhost. */
static void test_localhost(void **state)
{
    (void)state;
    Answer a = {0};
    (void)resolver_lookup(resolver, "LocalHost", 5432, on_done, &a);
    run_until(&a, 1);
    assert_int_equal(a.err, PW_OK);
    assert_true(strstr(a.text, "127.0.0.1:5432") != NULL || strstr(a.text, "[::1]:5432") != NULL);
}

static void test_answers(void **state)
{
    (void)state;
    ask("one.test", 5432, PW_OK, "127.0.0.9:5432");
    ask("many.test", 1, PW_OK, "127.0.0.3:1 127.0.0.2:1 127.0.0.4:1"); /* the server's order */
    ask("same.test", 1, PW_OK, "127.0.0.5:1");
    ask("nx.test", 1, PW_ERR_NOT_FOUND, "");
    ask("empty.test", 1, PW_ERR_NOT_FOUND, "");
    ask("broken.test", 1, PW_ERR_IO, "");
    Answer a = {0};
    (void)resolver_lookup(resolver, "both.test", 2, on_done, &a);
    run_until(&a, 1);
    assert_non_null(strstr(a.text, "127.0.0.6:2"));
    assert_non_null(strstr(a.text, "[::1]:2"));
    assert_int_equal(resolver_pending(resolver), 0);
}

static void test_timeout(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    create(&(ResolverOptions){.timeout_ms = 50});
    ask("mute.test", 1, PW_ERR_TIMEOUT, "");
    assert_true(zone("mute.test")->asked >= 1);
}

static void test_nobody_at_the_port(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sin);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    close(fd);
    char dead[64];
    snprintf(dead, sizeof(dead), "127.0.0.1:%d", ntohs(sin.sin_port));
    resolver_destroy(resolver);
    create(&(ResolverOptions){.servers = dead, .timeout_ms = 200});
    Answer a = {0};
    (void)resolver_lookup(resolver, "one.test", 1, on_done, &a);
    run_until(&a, 1);
    /* c-ares 1.18 waits, later ones tell what the kernel told them. */
    assert_true(a.err == PW_ERR_TIMEOUT || a.err == PW_ERR_IO);
}

static void test_cache(void **state)
{
    (void)state;
    ask("one.test", 5432, PW_OK, "127.0.0.9:5432");
    ask_at_once("ONE.test", PW_OK, "127.0.0.9:5432"); /* names have no case */
    fake_now += 15 * SEC - 1;                         /* dns_max_ttl bounds the answer's 100 s */
    ask_at_once("one.test", PW_OK, "127.0.0.9:5432");
    assert_int_equal(zone("one.test")->asked, 1);
    fake_now += 1;
    ask("one.test", 5432, PW_OK, "127.0.0.9:5432");
    assert_int_equal(zone("one.test")->asked, 2);

    ask("brief.test", 1, PW_OK, "127.0.0.7:1"); /* its own 5 s are less */
    fake_now += 5 * SEC - 1;
    ask_at_once("brief.test", PW_OK, "127.0.0.7:5432");
    fake_now += 1;
    ask("brief.test", 1, PW_OK, "127.0.0.7:1");
    assert_int_equal(zone("brief.test")->asked, 2);

    ask("nx.test", 1, PW_ERR_NOT_FOUND, "");
    fake_now += 7 * SEC - 1;
    ask_at_once("nx.test", PW_ERR_NOT_FOUND, "");
    assert_int_equal(zone("nx.test")->asked, 1);
    fake_now += 1;
    ask("nx.test", 1, PW_ERR_NOT_FOUND, "");
    assert_int_equal(zone("nx.test")->asked, 2);
}

static void test_forget_and_new_limits(void **state)
{
    (void)state;
    ask("one.test", 1, PW_OK, "127.0.0.9:1");
    ask("many.test", 1, PW_OK, "127.0.0.3:1 127.0.0.2:1 127.0.0.4:1");
    resolver_forget(resolver, "One.Test");
    ask("one.test", 1, PW_OK, "127.0.0.9:1");
    assert_int_equal(zone("one.test")->asked, 2);
    assert_int_equal(zone("many.test")->asked, 1);
    resolver_set_ttl(resolver, 2 * SEC, 1 * SEC);
    fake_now += 2 * SEC;
    ask("many.test", 1, PW_OK, "127.0.0.3:1 127.0.0.2:1 127.0.0.4:1");
    assert_int_equal(zone("many.test")->asked, 2);
    resolver_forget(resolver, NULL);
    ask("one.test", 1, PW_OK, "127.0.0.9:1");
    assert_int_equal(zone("one.test")->asked, 3);
}

/* Many clients, one question; each gets its own port. */
static void test_join(void **state)
{
    (void)state;
    Answer a = {0}, b = {0};
    assert_non_null(resolver_lookup(resolver, "one.test", 1, on_done, &a));
    assert_non_null(resolver_lookup(resolver, "one.test", 2, on_done, &b));
    assert_int_equal(resolver_pending(resolver), 1);
    run_until(&b, 1);
    assert_string_equal(a.text, "127.0.0.9:1");
    assert_string_equal(b.text, "127.0.0.9:2");
    assert_int_equal(zone("one.test")->asked, 1);
}

static void test_cancel(void **state)
{
    (void)state;
    Answer a = {0}, b = {0};
    ResolverQuery *qa = resolver_lookup(resolver, "one.test", 1, on_done, &a);
    assert_non_null(resolver_lookup(resolver, "one.test", 2, on_done, &b));
    resolver_cancel(qa);
    resolver_cancel(NULL);
    run_until(&b, 1);
    assert_int_equal(a.calls, 0);
    /* Everyone may lose interest: the answer is kept for the next. */
    Answer c = {0};
    resolver_cancel(resolver_lookup(resolver, "many.test", 3, on_done, &c));
    for (int i = 0; i < 1000 && resolver_pending(resolver) > 0; i++)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(c.calls, 0);
    ask_at_once("many.test", PW_OK, "127.0.0.3:5432 127.0.0.2:5432 127.0.0.4:5432");
}

static ResolverQuery *victim;
static Answer victim_answer, later_answer;

static void cancel_the_other(void *arg, PwErr err, const NetAddr *addrs, size_t n)
{
    on_done(arg, err, addrs, n);
    resolver_cancel(victim);
    /* Fill the small cache: the entry whose answer is being told must survive that. */
    resolver_forget(resolver, NULL);
    Answer ignored = {0};
    resolver_cancel(resolver_lookup(resolver, "x1.test", 1, on_done, &ignored));
    resolver_cancel(resolver_lookup(resolver, "x2.test", 1, on_done, &ignored));
    (void)resolver_lookup(resolver, "one.test", 9, on_done, &later_answer);
}

/* What a callback may do: cancel its neighbour, ask for more, forget all. */
static void test_busy_callback(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    create(&(ResolverOptions){.max_names = 2});
    memset(&victim_answer, 0, sizeof(victim_answer));
    memset(&later_answer, 0, sizeof(later_answer));
    Answer a = {0}, c = {0};
    assert_non_null(resolver_lookup(resolver, "one.test", 1, cancel_the_other, &a));
    victim = resolver_lookup(resolver, "one.test", 2, on_done, &victim_answer);
    assert_non_null(resolver_lookup(resolver, "one.test", 3, on_done, &c));
    run_until(&later_answer, 1);
    assert_int_equal(a.calls, 1);
    assert_int_equal(victim_answer.calls, 0);
    assert_int_equal(c.calls, 1);
    assert_string_equal(later_answer.text, "127.0.0.9:9");
    assert_int_equal(zone("one.test")->asked, 2);
}

static void test_destroy_tells(void **state)
{
    (void)state;
    Answer a = {0}, b = {0};
    assert_non_null(resolver_lookup(resolver, "mute.test", 1, on_done, &a));
    resolver_cancel(resolver_lookup(resolver, "mute.test", 1, on_done, &b));
    resolver_destroy(resolver);
    resolver = NULL;
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.err, PW_ERR_SHUTDOWN);
    assert_int_equal(b.calls, 0);
}

static void test_bounded(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    create(&(ResolverOptions){.max_names = 4});
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d.test", i);
        ask(name, 1, PW_ERR_NOT_FOUND, "");
        assert_true(resolver_names(resolver) <= 4);
    }
}

static void visit(void *arg, const char *host, PwUsec ttl_left, const NetAddr *addrs, size_t n)
{
    char *text = arg, line[200], addr[NET_ADDR_TEXT] = "-";
    if (n > 0)
        net_addr_host(&addrs[0], addr, sizeof(addr));
    snprintf(line, sizeof(line), "%s %d %zu %s;", host, (int)(ttl_left / SEC), n, addr);
    strcat(text, line);
}

static void test_each(void **state)
{
    (void)state;
    char text[600] = "";
    ask("many.test", 1, PW_OK, "127.0.0.3:1 127.0.0.2:1 127.0.0.4:1");
    ask("nx.test", 1, PW_ERR_NOT_FOUND, "");
    fake_now += 3 * SEC;
    resolver_each(resolver, visit, text);
    assert_string_equal(text, "many.test 12 3 127.0.0.3;nx.test 4 0 -;");
    assert_int_equal(resolver_names(resolver), 2);
}

static char lost[200];

static void on_lost(void *arg, const char *host, const NetAddr *addr)
{
    char one[NET_ADDR_TEXT];
    assert_string_equal(arg, "lost");
    strcat(strcat(strcat(lost, host), " "), net_addr_where(addr, one, sizeof(one)));
    strcat(lost, ";");
}

/* What a new answer lacks is told; a failure, or another order, says nothing. */
static void test_lost_addresses(void **state)
{
    (void)state;
    char arg[] = "lost";
    ResolverOptions o = {.lost = on_lost, .lost_arg = arg};
    resolver_destroy(resolver);
    create(&o);
    lost[0] = '\0';
    Zone *z = zone("many.test");
    const char *const before[3] = {z->v4[0], z->v4[1], z->v4[2]};
    ask("many.test", 1, PW_OK, "127.0.0.3:1 127.0.0.2:1 127.0.0.4:1");
    z->v4[0] = before[2];
    z->v4[2] = before[0];
    resolver_forget(resolver, NULL);
    ask("many.test", 1, PW_OK, "127.0.0.4:1 127.0.0.2:1 127.0.0.3:1");
    z->rcode = RCODE_SERVFAIL;
    resolver_forget(resolver, NULL);
    ask("many.test", 1, PW_ERR_IO, "");
    assert_string_equal(lost, "");
    z->rcode = RCODE_OK;
    z->v4[2] = NULL;
    fake_now += 7 * SEC;
    ask("many.test", 1, PW_OK, "127.0.0.4:1 127.0.0.2:1");
    assert_string_equal(lost, "many.test 127.0.0.3:0;");
    memcpy(z->v4, before, sizeof(before));
}

typedef struct Serial {
    Answer answer;
    uint32_t serial;
} Serial;

static void on_serial(void *arg, PwErr err, uint32_t serial)
{
    Serial *s = arg;
    s->answer.calls++;
    s->answer.err = err;
    s->serial = serial;
}

static void test_zones(void **state)
{
    (void)state;
    assert_string_equal(resolver_zone("db.prod.test"), "prod.test");
    assert_null(resolver_zone("localhost"));
    assert_null(resolver_zone("localhost."));
    Serial s = {.answer = {0}};
    resolver_serial(resolver, "test", on_serial, &s);
    run_until(&s.answer, 1);
    assert_int_equal(s.answer.err, PW_OK);
    assert_int_equal(s.serial, 0xfffffff0u);
    resolver_serial(resolver, "nx.test", on_serial, &s);
    run_until(&s.answer, 2);
    assert_int_equal(s.answer.err, PW_ERR_NOT_FOUND);
    resolver_serial(resolver, "one.test", on_serial, &s); /* it is there, and has no SOA record */
    run_until(&s.answer, 3);
    assert_int_equal(s.answer.err, PW_ERR_NOT_FOUND);

    ask("one.test", 1, PW_OK, "127.0.0.9:1");
    ask("zoneless", 1, PW_ERR_NOT_FOUND, "");
    resolver_ask_again(resolver, "other");
    assert_int_equal(resolver_pending(resolver), 0);
    resolver_ask_again(resolver, "TEST");
    assert_int_equal(resolver_pending(resolver), 1);
    ask("one.test", 1, PW_OK, "127.0.0.9:1");
    assert_int_equal(zone("one.test")->asked, 2);

    resolver_serial(resolver, "mute.test", on_serial, &s);
    resolver_destroy(resolver);
    resolver = NULL;
    assert_int_equal(s.answer.calls, 4);
    assert_int_equal(s.answer.err, PW_ERR_SHUTDOWN);
}

static void test_bad_servers(void **state)
{
    (void)state;
    Resolver *none = NULL;
    ResolverOptions o = {.servers = "not an address"};
    assert_int_equal(resolver_create(base, &o, &none), PW_ERR_SYNTAX);
    assert_null(none);
    resolver_destroy(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_no_question_needed),
        CASE(test_localhost),
        CASE(test_answers),
        CASE(test_timeout),
        CASE(test_nobody_at_the_port),
        CASE(test_cache),
        CASE(test_forget_and_new_limits),
        CASE(test_join),
        CASE(test_cancel),
        CASE(test_busy_callback),
        CASE(test_destroy_tells),
        CASE(test_bounded),
        CASE(test_each),
        CASE(test_lost_addresses),
        CASE(test_zones),
        CASE(test_bad_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
