/* SPDX-License-Identifier: ISC */
/* nullpg.c - a PostgreSQL server that does no work, so that what stands in front of it is the bottleneck.
 *
 *   nullpg PORT [ROWS [BYTES]]
 *
 * One thread, epoll, every login is accepted. Each SELECT and each Execute returns ROWS rows (1) of one text column
 * of BYTES bytes (4); BEGIN, COMMIT, END and ROLLBACK change the transaction status; everything else succeeds. It
 * models no errors, no COPY and no portals: a client that needs those needs a real server. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"

#define CODE_CANCEL 80877102u
#define CODE_SSL    80877103u
#define CODE_GSS    80877104u

typedef struct Bytes {
    uint8_t *data;
    size_t len, cap, off; /* [off, len) is still to be read or sent */
} Bytes;

typedef struct Conn {
    int fd;
    bool started, wants_out;
    uint8_t txn_status;
    Bytes in, out;
} Conn;

static int epoll_fd;
static Bytes result; /* the rows and the CommandComplete */

/* ---- bytes ---- */

static void append(Bytes *b, const void *bytes, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2 + 512;
        b->data = realloc(b->data, b->cap);
        if (!b->data)
            die("realloc");
    }
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
}

static void consume(Bytes *b, size_t n)
{
    b->off += n;
    if (b->off == b->len)
        b->off = b->len = 0;
}

/* What was consumed leaves the buffer: without this a pipelining client would grow it for ever. */
static void compact(Bytes *b)
{
    if (b->off < 65536)
        return;
    b->len -= b->off;
    memmove(b->data, b->data + b->off, b->len);
    b->off = 0;
}

/* ---- messages ---- */

static void message(Bytes *out, char type, const void *payload, size_t n)
{
    uint8_t header[5] = {(uint8_t)type};
    put_be32(header + 1, (uint32_t)n + 4);
    append(out, header, sizeof(header));
    append(out, payload, n);
}

static void text_message(Bytes *out, char type, const char *text)
{
    message(out, type, text, strlen(text) + 1);
}

static void param_status(Bytes *out, const char *name, const char *value)
{
    char pair[128];
    int n = snprintf(pair, sizeof(pair), "%s%c%s", name, '\0', value);
    message(out, 'S', pair, (size_t)n + 1);
}

static void ready(Conn *c)
{
    message(&c->out, 'Z', &c->txn_status, 1);
}

static void row_description(Bytes *out)
{
    static const uint8_t one_text_column[] = {
        0, 1,                   /* columns */
        'c', 0,                 /* name */
        0, 0, 0, 0, 0, 0,       /* of no table */
        0, 0, 0, 25, 0xff, 0xff, /* type text, any length */
        0xff, 0xff, 0xff, 0xff, 0, 0,
    };
    message(out, 'T', one_text_column, sizeof(one_text_column));
}

static void make_result(long rows, long bytes)
{
    size_t n = 6 + (size_t)bytes;
    uint8_t *row = must_alloc(1, n);
    row[1] = 1; /* column */
    put_be32(row + 2, (uint32_t)bytes);
    memset(row + 6, 'x', (size_t)bytes);
    for (long i = 0; i < rows; i++)
        message(&result, 'D', row, n);
    free(row);
    char tag[32];
    snprintf(tag, sizeof(tag), "SELECT %ld", rows);
    text_message(&result, 'C', tag);
}

static void welcome(Conn *c)
{
    static const char *const params[][2] = {
        {"server_version", "15.0"},       {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},      {"application_name", ""},
        {"is_superuser", "off"},          {"session_authorization", "bench"},
        {"DateStyle", "ISO, MDY"},        {"IntervalStyle", "postgres"},
        {"TimeZone", "UTC"},              {"integer_datetimes", "on"},
        {"in_hot_standby", "off"},        {"standard_conforming_strings", "on"},
        {"default_transaction_read_only", "off"},
    };
    static uint32_t pid = 1000;
    static const uint8_t auth_ok[4];
    message(&c->out, 'R', auth_ok, sizeof(auth_ok));
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        param_status(&c->out, params[i][0], params[i][1]);
    uint8_t key[8];
    put_be32(key, pid++);
    put_be32(key + 4, 42);
    message(&c->out, 'K', key, sizeof(key));
    c->txn_status = 'I';
    ready(c);
    c->started = true;
}

static bool starts_with(const char *sql, const char *word)
{
    return strncasecmp(sql, word, strlen(word)) == 0;
}

static void query(Conn *c, const char *sql)
{
    Bytes *out = &c->out;
    while (*sql == ' ')
        sql++;
    if (starts_with(sql, "select") || starts_with(sql, "execute")) {
        row_description(out);
        append(out, result.data, result.len);
    } else if (starts_with(sql, "begin")) {
        c->txn_status = 'T';
        text_message(out, 'C', "BEGIN");
    } else if (starts_with(sql, "commit") || starts_with(sql, "end")) {
        c->txn_status = 'I';
        text_message(out, 'C', "COMMIT");
    } else if (starts_with(sql, "rollback")) {
        c->txn_status = 'I';
        text_message(out, 'C', "ROLLBACK");
    } else if (*sql == '\0' || *sql == ';') {
        message(out, 'I', NULL, 0);
    } else {
        text_message(out, 'C', "SET");
    }
    ready(c);
}

/* False: the client says good-bye. A Query's text ends with a zero byte within the message, or it is not answered. */
static bool request(Conn *c, uint8_t type, const uint8_t *payload, size_t n)
{
    static const uint8_t no_parameters[2];
    switch (type) {
    case 'Q':
        if (n == 0 || payload[n - 1] != 0)
            return false;
        query(c, (const char *)payload);
        return true;
    case 'P':
        message(&c->out, '1', NULL, 0);
        return true;
    case 'B':
        message(&c->out, '2', NULL, 0);
        return true;
    case 'C':
        message(&c->out, '3', NULL, 0);
        return true;
    case 'D':
        if (n && payload[0] == 'S')
            message(&c->out, 't', no_parameters, sizeof(no_parameters));
        row_description(&c->out);
        return true;
    case 'E':
        append(&c->out, result.data, result.len);
        return true;
    case 'S':
        ready(c);
        return true;
    case 'X':
        return false;
    default:
        return true;
    }
}

/* ---- connections ---- */

/* The start-up packet has no type byte. Returns its length, 0 when it is not there yet, -1 to close. */
static long startup(Conn *c, const uint8_t *p, size_t n)
{
    if (n < 8)
        return 0;
    uint32_t len = get_be32(p), code = get_be32(p + 4);
    if (len < 8 || code == CODE_CANCEL)
        return -1;
    if (n < len)
        return 0;
    if (code == CODE_SSL || code == CODE_GSS)
        append(&c->out, "N", 1);
    else
        welcome(c);
    return (long)len;
}

static bool input(Conn *c)
{
    while (c->in.off < c->in.len) {
        const uint8_t *p = c->in.data + c->in.off;
        size_t n = c->in.len - c->in.off;
        if (!c->started) {
            long used = startup(c, p, n);
            if (used <= 0)
                return used == 0;
            consume(&c->in, (size_t)used);
            continue;
        }
        if (n < 5)
            break;
        uint32_t len = get_be32(p + 1);
        if (len < 4)
            return false;
        if (n < (size_t)len + 1)
            break;
        if (!request(c, p[0], p + 5, len - 4))
            return false;
        consume(&c->in, (size_t)len + 1);
    }
    compact(&c->in);
    return true;
}

static bool read_some(Conn *c)
{
    static uint8_t scratch[65536];
    ssize_t got = recv(c->fd, scratch, sizeof(scratch), 0);
    if (got < 0)
        return errno == EAGAIN;
    if (got == 0)
        return false;
    append(&c->in, scratch, (size_t)got);
    return input(c);
}

static bool write_some(Conn *c)
{
    size_t n = c->out.len - c->out.off;
    if (n > 0) {
        ssize_t sent = send(c->fd, c->out.data + c->out.off, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        if (sent > 0)
            consume(&c->out, (size_t)sent);
    }
    bool want = c->out.len > c->out.off;
    if (want != c->wants_out) {
        struct epoll_event event = {.events = want ? EPOLLOUT : EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event))
            die("epoll_ctl");
        c->wants_out = want;
    }
    return true;
}

static void on_event(Conn *c, uint32_t what)
{
    bool alive = true;
    if (what & (EPOLLIN | EPOLLHUP | EPOLLERR))
        alive = read_some(c);
    if (alive && write_some(c))
        return;
    close(c->fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = sock_accept(listener)) >= 0) {
        Conn *c = must_alloc(1, sizeof(*c));
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
            die("epoll_ctl");
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: nullpg PORT [ROWS [BYTES]]\n");
        return 2;
    }
    make_result(argc > 2 ? number_arg("ROWS", argv[2], 0, 1000000) : 1,
                argc > 3 ? number_arg("BYTES", argv[3], 0, 1000000) : 4);
    raise_open_files();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    int listener = sock_listen((int)number_arg("PORT", argv[1], 0, 65535));
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event))
        die("epoll_ctl");
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll_fd, events, 256, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_event(events[i].data.ptr, events[i].events);
            else
                accept_all(listener);
        }
    }
}
