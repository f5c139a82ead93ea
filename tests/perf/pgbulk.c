/* SPDX-License-Identifier: ISC */
/* pgbulk.c - one query with a large result, or a large COPY FROM STDIN: what comes is read and thrown away, what goes
 * is sent from one buffer. Light, so that it is not what limits the pooler. See usage(); tests/perf/bench.py runs it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cputime.h"
#include "request.h"
#include "sock.h"

#define HEADER 5

static int port = 6432, fd;
static long target, copy_bytes, message_size = 8192;
static const char *user = "bench", *database = "bench", *sql = "SELECT 1";

static unsigned long long bytes, messages;
static unsigned errors;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void send_all(const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            die("pgbulk: send");
        p += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

/* ---- reading ---- */

static uint8_t scratch[1 << 18];
static size_t have, at; /* scratch[at..have) is not looked at yet */

static void fill(void)
{
    memmove(scratch, scratch + at, have - at);
    have -= at;
    at = 0;
    ssize_t got;
    do
        got = recv(fd, scratch + have, sizeof(scratch) - have, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        fprintf(stderr, "pgbulk: the connection was closed: %s\n", got ? strerror(errno) : "end of file");
        exit(1);
    }
    have += (size_t)got;
    bytes += (unsigned long long)got;
}

static void skip(size_t n)
{
    while (n > have - at) {
        n -= have - at;
        at = have;
        fill();
    }
    at += n;
}

/* Reads on to a message of type `wanted` or `other` and tells which it was. */
static uint8_t read_to(uint8_t wanted, uint8_t other)
{
    for (;;) {
        while (have - at < HEADER)
            fill();
        uint8_t type = scratch[at];
        size_t size = get_be32(scratch + at + 1) - 4;
        at += HEADER;
        messages++;
        if (type == 'E' && errors++ == 0)
            fprintf(stderr, "pgbulk: the server says an error\n");
        skip(size);
        if (type == wanted || type == other)
            return type;
    }
}

/* ---- COPY FROM STDIN: rows of one column, each a message of its own ---- */

static void copy_in(void)
{
    size_t in_buffer = message_size > (long)sizeof(scratch) ? 1 : sizeof(scratch) / (size_t)message_size;
    size_t size = in_buffer * (size_t)message_size;
    uint8_t *buffer = must_alloc(size, 1);
    for (uint8_t *p = buffer; p < buffer + size; p += message_size) {
        p[0] = 'd';
        put_be32(p + 1, (uint32_t)message_size - 1);
        memset(p + HEADER, 'x', (size_t)message_size - HEADER - 1);
        p[message_size - 1] = '\n';
    }
    for (long left = copy_bytes; left > 0; left -= (long)size) {
        send_all(buffer, size);
        bytes += size;
        messages += in_buffer;
    }
    static const uint8_t done[HEADER] = {'c', 0, 0, 0, 4};
    send_all(done, sizeof(done));
    free(buffer);
}

/* ---- the run ---- */

static void run(void)
{
    Request startup = {.len = 0}, query = {.len = 0};
    request_startup(&startup, user, database);
    request_query(&query, sql);
    fd = sock_connect(port);
    if (fd < 0 || fcntl(fd, F_SETFL, 0))
        die("pgbulk: connect");
    send_all(startup.bytes, startup.len);
    read_to('Z', 'Z');
    bytes = messages = 0;
    double own = cputime_own(), used = cputime_of(target), begin = now();
    send_all(query.bytes, query.len);
    if (read_to('Z', 'G') == 'G') {
        copy_in();
        read_to('Z', 'Z');
    }
    double took = now() - begin;
    printf("{\"bytes\": %llu, \"messages\": %llu, \"errors\": %u, \"seconds\": %.4f, \"load_cpu\": %.4f, \"target_cpu\": %.4f}\n", bytes, messages,
           errors, took, cputime_own() - own, cputime_of(target) - used);
    close(fd);
}

static void usage(void)
{
    fprintf(stderr, "usage: pgbulk [OPTION]...\n"
                    "  -p PORT     on 127.0.0.1 (6432)\n"
                    "  -q QUERY    (SELECT 1)\n"
                    "  -b BYTES    when the query is COPY ... FROM STDIN: send at least that many, as text of one column\n"
                    "  -m BYTES    in messages of this size, each a row (8192)\n"
                    "  -P PID      report that process's CPU time\n"
                    "  -U USER -d DATABASE (bench)\n"
                    "Logs in without a password. Prints one line of JSON.\n");
    exit(2);
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "p:q:b:m:P:U:d:")) != -1) {
        switch (option) {
        case 'p': port = (int)number_arg("-p", optarg, 1, 65535); break;
        case 'q': sql = optarg; break;
        case 'b': copy_bytes = number_arg("-b", optarg, 1, 1000000000000); break;
        case 'm': message_size = number_arg("-m", optarg, HEADER + 1, 1 << 24); break;
        case 'P': target = number_arg("-P", optarg, 1, 100000000); break;
        case 'U': user = optarg; break;
        case 'd': database = optarg; break;
        default: usage();
        }
    }
    if (optind < argc)
        usage();
    run();
    return errors > 0;
}
