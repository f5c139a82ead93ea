/* SPDX-License-Identifier: ISC */
/* sys.h - recv and send of the data path without the C library's thread cancellation points, which cost about 60
 * instructions a call in a process with threads. Nothing here is ever cancelled. The sanitizers' builds
 * use the library's functions, so that they see the buffers. */
#ifndef POOLER_NET_SYS_H
#define POOLER_NET_SYS_H

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__) && defined(SYS_recvfrom) && defined(SYS_sendto) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
static inline ssize_t sys_recv(int fd, void *buf, size_t n)
{
    return syscall(SYS_recvfrom, fd, buf, n, 0, NULL, NULL);
}
static inline ssize_t sys_send_with(int fd, const void *buf, size_t n, int flags)
{
    return syscall(SYS_sendto, fd, buf, n, flags, NULL, 0);
}
#else
static inline ssize_t sys_recv(int fd, void *buf, size_t n)
{
    return recv(fd, buf, n, 0);
}
static inline ssize_t sys_send_with(int fd, const void *buf, size_t n, int flags)
{
    return send(fd, buf, n, flags);
}
#endif
static inline ssize_t sys_send(int fd, const void *buf, size_t n)
{
    return sys_send_with(fd, buf, n, MSG_NOSIGNAL);
}

#endif
