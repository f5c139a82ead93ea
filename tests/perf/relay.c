/* SPDX-License-Identifier: ISC */
/* relay.c - the floor: the least that any proxy on epoll can do, with no idea of the protocol.
 *
 *   relay LISTEN_PORT SERVER_PORT
 *
 * One connection to the server for each client; what is read on one side is sent on the other. Four system calls a
 * round trip and the shared epoll_wait: what a pooler uses more than this is what pooling costs. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"

typedef struct Side {
    int fd; /* -1: closed */
    struct Side *peer;
    struct Side *next_dead; /* freed at the end of the turn: the other side may have an event in it */
} Side;

static int epoll_fd, server_port;
static Side *dead;

static void watch(int fd, Side *side)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = side};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

static void accept_all(int listener)
{
    int client;
    while ((client = sock_accept(listener)) >= 0) {
        int server = sock_connect(server_port);
        if (server < 0) {
            perror("relay: connect");
            close(client);
            continue;
        }
        Side *pair = must_alloc(2, sizeof(*pair));
        pair[0] = (Side){.fd = client, .peer = &pair[1]};
        pair[1] = (Side){.fd = server, .peer = &pair[0]};
        watch(client, &pair[0]);
        watch(server, &pair[1]);
    }
}

static void end_pair(Side *side)
{
    Side *pair = side < side->peer ? side : side->peer;
    close(side->fd);
    close(side->peer->fd);
    side->fd = side->peer->fd = -1;
    pair->next_dead = dead;
    dead = pair;
}

/* False: the peer is gone. A full peer is waited for: the tools that use us never send much at once. */
static int send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd full = {.fd = fd, .events = POLLOUT};
            if (poll(&full, 1, -1) < 0 && errno != EINTR)
                return 0;
            continue;
        }
        if (sent < 0)
            return 0;
        bytes += sent;
        n -= (size_t)sent;
    }
    return 1;
}

static void pass_on(Side *side)
{
    static char scratch[65536];
    ssize_t got = recv(side->fd, scratch, sizeof(scratch), 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || !send_all(side->peer->fd, scratch, (size_t)got))
        end_pair(side);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN_PORT SERVER_PORT\n");
        return 2;
    }
    server_port = (int)number_arg("SERVER_PORT", argv[2], 1, 65535);
    raise_open_files();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    int listener = sock_listen((int)number_arg("LISTEN_PORT", argv[1], 0, 65535));
    watch(listener, NULL);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll_fd, events, 256, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            Side *side = events[i].data.ptr;
            if (!side)
                accept_all(listener);
            else if (side->fd >= 0)
                pass_on(side);
        }
        while (dead) {
            Side *pair = dead;
            dead = pair->next_dead;
            free(pair);
        }
    }
}
