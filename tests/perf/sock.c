/* SPDX-License-Identifier: ISC */
#include "sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

void die(const char *what)
{
    perror(what);
    exit(1);
}

void *must_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        die("calloc");
    return p;
}

long number_arg(const char *name, const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < least || v > most) {
        fprintf(stderr, "%s: \"%s\" is not a number from %ld to %ld\n", name, text, least, most);
        exit(2);
    }
    return v;
}

void raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("setrlimit");
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static void no_delay(int fd)
{
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
        die("TCP_NODELAY");
}

int sock_listen(int port)
{
    struct sockaddr_in addr = loopback(port);
    socklen_t len = sizeof(addr);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
        die("SO_REUSEADDR");
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4096))
        die("bind");
    if (getsockname(fd, (struct sockaddr *)&addr, &len))
        die("getsockname");
    printf("listening on %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

int sock_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        no_delay(fd);
    else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept");
    return fd;
}

int sock_connect(int port)
{
    struct sockaddr_in addr = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    no_delay(fd);
    if (fcntl(fd, F_SETFL, O_NONBLOCK))
        die("O_NONBLOCK");
    return fd;
}
