/* SPDX-License-Identifier: ISC */
/* pgload.c - a light load generator for poolers: one thread, epoll, every client sends its next request as soon as
 * the last one is answered. See usage() for the options; tests/perf/bench.py runs it.
 *
 * Latencies are measured from the first byte of a transaction to its last ReadyForQuery; in mode connect from
 * connect() on. The logins before the clients' first transaction are in no figure: counting starts after the warm-up. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cputime.h"
#include "login.h"
#include "request.h"
#include "sock.h"

typedef enum Mode { MODE_SIMPLE, MODE_EXTENDED, MODE_PREPARED, MODE_TXN, MODE_CONNECT, MODE_COUNT } Mode;

static const char *const mode_names[] = {
    [MODE_SIMPLE] = "simple", [MODE_EXTENDED] = "extended", [MODE_PREPARED] = "prepared",
    [MODE_TXN] = "txn",       [MODE_CONNECT] = "connect",
};
_Static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == MODE_COUNT, "one name a mode");

#define STEPS_MAX 3

typedef struct Client {
    int fd; /* -1: lost */
    bool idle, logged_in, prepared;
    unsigned step;
    uint64_t begun; /* ns */
    uint8_t header[5];
    unsigned have; /* bytes of `header` */
    uint32_t left; /* of the message's payload */
    Login *login;  /* with a password: until logged_in */
} Client;

/* ---- settings and counts ---- */

static Mode mode;
static int port = 6432;
static long n_clients = 64, n_idle, limit; /* limit: transactions to start, 0: no such limit */
static double seconds = 5, warm_up = 0.3;
static long target; /* process whose CPU time is wanted, 0: none */
static const char *password; /* NULL: none is given */
static const char *user = "bench", *database = "bench", *sql = "SELECT 1";

static Request startup_packet, prepare, steps[STEPS_MAX];
static unsigned n_steps = 1;

static int epoll_fd;
static bool measuring, stopping;
static unsigned long started, total, done, errors, open_transactions;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- percentiles: 64 buckets for each power of two, so that a value is off by 1.6 % at most ---- */

#define SUB_BITS 6
#define BUCKETS  (64 << SUB_BITS)
static uint64_t buckets[BUCKETS];

static void record(uint64_t ns)
{
    if (ns < 1u << SUB_BITS)
        ns = 1u << SUB_BITS;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns);
    unsigned sub = (unsigned)(ns >> (exponent - SUB_BITS)) & ((1u << SUB_BITS) - 1);
    buckets[exponent << SUB_BITS | sub]++;
}

static double percentile_us(double share)
{
    uint64_t all = 0, below = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        all += buckets[i];
    uint64_t rank = (uint64_t)ceil((double)all * share);
    for (unsigned i = 0; i < BUCKETS && all; i++) {
        below += buckets[i];
        if (below >= rank && buckets[i]) {
            unsigned exponent = i >> SUB_BITS;
            uint64_t sub = i & ((1u << SUB_BITS) - 1);
            return (double)((UINT64_C(1) << exponent) + (sub << (exponent - SUB_BITS))) / 1000;
        }
    }
    return 0;
}

/* ---- requests: built once ---- */

static void parse(Request *r, const char *name)
{
    static const uint8_t no_types[2];
    size_t at = request_begin(r, 'P');
    request_text(r, name);
    request_text(r, sql);
    request_add(r, no_types, sizeof(no_types));
    request_end(r, at);
}

static void bind_to_sync(Request *r, const char *name)
{
    static const uint8_t no_formats_no_values[6], all_rows[4];
    size_t at = request_begin(r, 'B');
    request_text(r, "");
    request_text(r, name);
    request_add(r, no_formats_no_values, sizeof(no_formats_no_values));
    request_end(r, at);
    at = request_begin(r, 'D');
    request_add(r, "P", 2); /* the unnamed portal */
    request_end(r, at);
    at = request_begin(r, 'E');
    request_text(r, "");
    request_add(r, all_rows, sizeof(all_rows));
    request_end(r, at);
    request_end(r, request_begin(r, 'S'));
}

static void build_requests(void)
{
    request_startup(&startup_packet, user, database);
    switch (mode) {
    case MODE_SIMPLE:
    case MODE_CONNECT:
        request_query(&steps[0], sql);
        break;
    case MODE_TXN:
        request_query(&steps[0], "BEGIN");
        request_query(&steps[1], sql);
        request_query(&steps[2], "COMMIT");
        n_steps = 3;
        break;
    case MODE_EXTENDED:
        parse(&steps[0], "");
        bind_to_sync(&steps[0], "");
        break;
    case MODE_PREPARED:
        parse(&prepare, "s1");
        bind_to_sync(&prepare, "s1");
        bind_to_sync(&steps[0], "s1");
        break;
    case MODE_COUNT:
        break;
    }
}

/* ---- clients ---- */

static void lose(Client *c, const char *why)
{
    if (errors++ == 0)
        fprintf(stderr, "pgload: %s\n", why);
    if (c->begun)
        open_transactions--;
    c->begun = 0;
    login_end(c->login);
    c->login = NULL;
    close(c->fd);
    c->fd = -1;
}

/* A request is shorter than any socket buffer and the last one was answered: it always fits. */
static bool send_bytes(Client *c, const void *bytes, size_t n)
{
    if (send(c->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n)
        return true;
    lose(c, "could not send a request");
    return false;
}

static bool send_request(Client *c, const Request *r)
{
    return send_bytes(c, r->bytes, r->len);
}

static void begin_transaction(Client *c)
{
    started++;
    open_transactions++;
    c->begun = now_ns();
}

static void dial(Client *c)
{
    *c = (Client){.idle = c->idle};
    if (mode == MODE_CONNECT && !c->idle)
        begin_transaction(c);
    c->fd = sock_connect(port);
    if (c->fd < 0)
        die("pgload: connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event))
        die("epoll_ctl");
    if (password)
        c->login = login_begin(user, password);
    send_request(c, &startup_packet);
}

static bool may_start(void)
{
    return !stopping && (!limit || started < (unsigned long)limit);
}

static void next_transaction(Client *c)
{
    if (!may_start())
        return;
    if (mode == MODE_CONNECT) {
        static const Request terminate = {.bytes = {'X', 0, 0, 0, 4}, .len = 5};
        if (send_request(c, &terminate))
            close(c->fd);
        dial(c);
        return;
    }
    begin_transaction(c);
    send_request(c, mode == MODE_PREPARED && !c->prepared ? &prepare : &steps[0]);
    c->prepared = true;
}

static void on_ready(Client *c)
{
    if (!c->logged_in) {
        c->logged_in = true;
        login_end(c->login);
        c->login = NULL;
        if (c->idle)
            return;
        if (mode == MODE_CONNECT)
            send_request(c, &steps[0]);
        else
            next_transaction(c);
        return;
    }
    if (!c->begun)
        return;
    if (++c->step < n_steps) {
        send_request(c, &steps[c->step]);
        return;
    }
    c->step = 0;
    open_transactions--;
    total++;
    if (measuring) {
        record(now_ns() - c->begun);
        done++;
    }
    c->begun = 0;
    next_transaction(c);
}

static void on_error_message(const uint8_t *payload, size_t n)
{
    if (errors++ > 0)
        return; /* the first one tells */
    fprintf(stderr, "pgload: the server says:");
    for (size_t i = 0; i < n; i++)
        fputc(payload[i] >= 32 && payload[i] < 127 ? payload[i] : ' ', stderr);
    fputc('\n', stderr);
}

/* A piece of a request for authentication. False: the client was lost. */
static bool give_to_login(Client *c, const uint8_t *p, size_t n)
{
    const uint8_t *answer;
    size_t len;
    const char *error = login_request(c->login, p, n, n == c->left, &answer, &len);
    if (error) {
        lose(c, error);
        return false;
    }
    return len == 0 || send_bytes(c, answer, len);
}

/* One read; a message may be cut anywhere. Stops at a ReadyForQuery: nothing may follow it. */
static void walk(Client *c, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (c->have < sizeof(c->header)) {
            c->header[c->have++] = *p++;
            n--;
            if (c->have < sizeof(c->header))
                continue;
            c->left = get_be32(c->header + 1) - 4;
            if (c->header[0] == 'E')
                on_error_message(p, n < c->left ? n : c->left);
        }
        size_t take = n < c->left ? n : c->left;
        if (c->login && c->header[0] == 'R' && !give_to_login(c, p, take))
            return;
        c->left -= (uint32_t)take;
        p += take;
        n -= take;
        if (c->left)
            return;
        c->have = 0;
        if (c->header[0] == 'Z') {
            if (n) {
                lose(c, "bytes after ReadyForQuery");
                return;
            }
            on_ready(c); /* may have replaced the connection */
            return;
        }
    }
}

static void on_readable(Client *c)
{
    static uint8_t scratch[1 << 18];
    ssize_t got = recv(c->fd, scratch, sizeof(scratch), 0);
    if (got > 0)
        walk(c, scratch, (size_t)got);
    else if (got == 0 || errno != EAGAIN)
        lose(c, "a connection was closed");
}

/* ---- the run ---- */

static void poll_once(int timeout_ms)
{
    struct epoll_event events[512];
    int n = epoll_wait(epoll_fd, events, 512, timeout_ms);
    for (int i = 0; i < n; i++) {
        Client *c = events[i].data.ptr;
        if (c->fd >= 0)
            on_readable(c);
    }
}

static bool is_over(uint64_t end)
{
    if (limit)
        return total >= (unsigned long)limit || (errors && !open_transactions);
    return now_ns() >= end;
}

static void run(Client *clients)
{
    for (long i = 0; i < n_clients + n_idle; i++) {
        clients[i].idle = i >= n_clients;
        if (clients[i].idle || mode != MODE_CONNECT || may_start())
            dial(&clients[i]);
        else
            clients[i].fd = -1;
    }
    uint64_t begin = now_ns(), warm = begin + (uint64_t)(warm_up * 1e9);
    while (!limit && now_ns() < warm)
        poll_once(10);
    measuring = true;
    begin = now_ns();
    double own_before = cputime_own(), target_before = cputime_of(target);
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    while (!is_over(end) && errors < 1000)
        poll_once(limit ? 1000 : 10);
    double own = cputime_own() - own_before, used = cputime_of(target) - target_before;
    double elapsed = (double)(now_ns() - begin) / 1e9;
    stopping = true;
    printf("{\"mode\": \"%s\", \"clients\": %ld, \"seconds\": %.3f, \"tps\": %.0f, \"transactions\": %lu, \"total\": %lu, "
           "\"errors\": %lu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, "
           "\"load_cpu\": %.3f, \"target_cpu_us\": %.3f}\n",
           mode_names[mode], n_clients, elapsed, (double)done / elapsed, done, total, errors, percentile_us(0.5),
           percentile_us(0.9), percentile_us(0.99), percentile_us(0.999), percentile_us(1), own / elapsed,
           done ? used / (double)done * 1e6 : 0);
}

static void usage(void)
{
    fprintf(stderr, "usage: pgload [OPTION]...\n"
                    "  -p PORT     on 127.0.0.1 (6432)\n"
                    "  -M MODE     simple, extended, prepared, txn (BEGIN, query, COMMIT) or connect (a login each)\n"
                    "  -c CLIENTS  (64)            -i IDLE   connections that only log in (0)\n"
                    "  -T SECONDS  measured (5)    -w SECONDS  before that, not measured (0.3)\n"
                    "  -n COUNT    exactly that many transactions instead, no warm-up\n"
                    "  -P PID      report that process's CPU time for each transaction\n"
                    "  -U USER -d DATABASE (bench)   -q QUERY (SELECT 1)\n"
                    "  -W PASSWORD   for whatever the server asks; without it nothing may be asked\n"
                    "Prints one line of JSON; load_cpu is our own share of a core.\n");
    exit(2);
}

static Mode mode_arg(const char *name)
{
    for (int i = 0; i < MODE_COUNT; i++)
        if (strcmp(name, mode_names[i]) == 0)
            return (Mode)i;
    fprintf(stderr, "pgload: unknown mode \"%s\"\n", name);
    usage();
    return MODE_COUNT;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "p:M:c:i:T:w:n:P:U:d:q:W:")) != -1) {
        switch (option) {
        case 'p': port = (int)number_arg("-p", optarg, 1, 65535); break;
        case 'M': mode = mode_arg(optarg); break;
        case 'c': n_clients = number_arg("-c", optarg, 1, 1000000); break;
        case 'i': n_idle = number_arg("-i", optarg, 0, 1000000); break;
        case 'T': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'n': limit = number_arg("-n", optarg, 1, 1000000000); break;
        case 'P': target = number_arg("-P", optarg, 1, 100000000); break;
        case 'U': user = optarg; break;
        case 'd': database = optarg; break;
        case 'q': sql = optarg; break;
        case 'W': password = optarg; break;
        default: usage();
        }
    }
    if (optind < argc)
        usage();
    raise_open_files();
    build_requests();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    Client *clients = must_alloc((size_t)(n_clients + n_idle), sizeof(*clients));
    run(clients);
    for (long i = 0; i < n_clients + n_idle; i++)
        login_end(clients[i].login);
    free(clients);
    return errors > 0;
}
