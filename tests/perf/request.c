/* SPDX-License-Identifier: ISC */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sock.h"

void request_add(Request *r, const void *bytes, size_t n)
{
    if (r->len + n > sizeof(r->bytes)) {
        fprintf(stderr, "the query is too long\n");
        exit(2);
    }
    memcpy(r->bytes + r->len, bytes, n);
    r->len += n;
}

void request_text(Request *r, const char *text)
{
    request_add(r, text, strlen(text) + 1);
}

size_t request_begin(Request *r, char type)
{
    static const uint8_t no_length[4];
    if (type)
        request_add(r, &type, 1);
    size_t at = r->len;
    request_add(r, no_length, sizeof(no_length));
    return at;
}

void request_end(Request *r, size_t at)
{
    put_be32(r->bytes + at, (uint32_t)(r->len - at));
}

void request_startup(Request *r, const char *user, const char *database)
{
    static const uint8_t protocol_3_0[4] = {0, 3, 0, 0};
    size_t at = request_begin(r, 0);
    request_add(r, protocol_3_0, sizeof(protocol_3_0));
    request_text(r, "user");
    request_text(r, user);
    request_text(r, "database");
    request_text(r, database);
    request_add(r, "", 1);
    request_end(r, at);
}

void request_query(Request *r, const char *text)
{
    size_t at = request_begin(r, 'Q');
    request_text(r, text);
    request_end(r, at);
}
