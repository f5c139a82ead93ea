/* SPDX-License-Identifier: ISC */
/* sock.h - the sockets of the measuring tools: TCP on 127.0.0.1, no delay, port 0 is any free one.
 *
 * These tools are single-threaded and end with a message on standard error when the machine refuses something. */
#ifndef TESTS_PERF_SOCK_H
#define TESTS_PERF_SOCK_H

#include <stddef.h>
#include <stdint.h>

/* Ends the program: "what: strerror(errno)". */
_Noreturn void die(const char *what);

void *must_alloc(size_t count, size_t size); /* zeroed */

/* A whole number from the command line within [least, most]; ends the program otherwise. */
long number_arg(const char *name, const char *text, long least, long most);

void raise_open_files(void); /* as far as the hard limit goes */

/* Non-blocking listener. Prints "listening on PORT" and flushes, so that a script knows when and where. */
int sock_listen(int port);

/* The next connection, non-blocking, or -1 when there is none. */
int sock_accept(int listener);

/* Connected and non-blocking. -1 with errno when that failed. */
int sock_connect(int port);

/* The messages of PostgreSQL's protocol have big-endian lengths that count themselves. */
static inline uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

#endif
