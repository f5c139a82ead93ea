/* SPDX-License-Identifier: ISC */
#include "pooler/net/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Aligned as a control message must be. */
typedef union Control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
} Control;

static ssize_t verdict(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN ? -1 : -2;
}

ssize_t fdpass_send(int sock, const void *bytes, size_t n, int fd)
{
    Control control;
    struct iovec iov = {.iov_base = (void *)(size_t)bytes, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    ssize_t sent;
    do
        sent = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return verdict(sent);
}

ssize_t fdpass_recv(int sock, void *buf, size_t n, int fds[FDPASS_MAX], size_t *ret_n_fds)
{
    Control control;
    struct iovec iov = {.iov_base = buf, .iov_len = n};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    do
        got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *ret_n_fds = 0;
    if (got <= 0)
        return verdict(got);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t bytes = c->cmsg_len - CMSG_LEN(0);
        memcpy(fds + *ret_n_fds, CMSG_DATA(c), bytes);
        *ret_n_fds += bytes / sizeof(int);
    }
    if (msg.msg_flags & MSG_CTRUNC) { /* which ones are missing nobody knows: later ones must not take their places */
        while (*ret_n_fds > 0)
            close(fds[--*ret_n_fds]);
        errno = EMFILE;
        return -2;
    }
    return got;
}
