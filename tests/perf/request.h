/* SPDX-License-Identifier: ISC */
/* request.h - what a client sends, built once: messages of PostgreSQL's protocol, one behind the other.
 *
 * A Request that grows too long ends the program: only a query from the command line can make it. */
#ifndef TESTS_PERF_REQUEST_H
#define TESTS_PERF_REQUEST_H

#include <stddef.h>
#include <stdint.h>

typedef struct Request {
    uint8_t bytes[1200];
    size_t len;
} Request;

void request_add(Request *r, const void *bytes, size_t n);
void request_text(Request *r, const char *text); /* and its NUL */

/* Begins a message; its length is filled in by request_end, which gets what this returns. Type 0: the start-up packet,
 * which has none. */
size_t request_begin(Request *r, char type);
void request_end(Request *r, size_t at);

void request_startup(Request *r, const char *user, const char *database);
void request_query(Request *r, const char *text); /* a simple one */

#endif
