/* SPDX-License-Identifier: ISC */
/* fdpass.h - open files passed along with bytes over a unix socket (SCM_RIGHTS).
 *
 * The kernel delivers a descriptor together with the first byte that was sent with it, in order: who
 * receives keeps them in a queue and takes one for each record that is said to have one. Any thread. */
#ifndef POOLER_NET_FDPASS_H
#define POOLER_NET_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

/* Descriptors that one call may receive. */
#define FDPASS_MAX 16

/* Sends what can be sent of the bytes, with `fd` (-1: without). > 0: bytes sent, the descriptor with the first;
 * -1 would block; -2 error (errno). n > 0. */
ssize_t fdpass_send(int sock, const void *bytes, size_t n, int fd);

/* > 0 bytes; 0 end of file; -1 would block; -2 error (errno; EMFILE: descriptors were lost because there is no room for them). Received descriptors (close-on-exec) are the caller's. */
ssize_t fdpass_recv(int sock, void *buf, size_t n, int fds[FDPASS_MAX], size_t *ret_n_fds);

#endif
