/* SPDX-License-Identifier: ISC */
#include "poolwise/wire.h"

#include <string.h>

const uint8_t *pw_cursor_bytes(PwCursor *c, size_t n)
{
    if (c->bad || pw_cursor_left(c) < n) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->p;
    c->p += n;
    return p;
}

uint8_t pw_cursor_u8(PwCursor *c)
{
    const uint8_t *p = pw_cursor_bytes(c, 1);
    return p ? *p : 0;
}

uint16_t pw_cursor_be16(PwCursor *c)
{
    const uint8_t *p = pw_cursor_bytes(c, 2);
    return p ? pw_be16(p) : 0;
}

uint32_t pw_cursor_be32(PwCursor *c)
{
    const uint8_t *p = pw_cursor_bytes(c, 4);
    return p ? pw_be32(p) : 0;
}

const char *pw_cursor_cstr(PwCursor *c)
{
    size_t left = pw_cursor_left(c);
    const uint8_t *nul = c->bad || left == 0 ? NULL : memchr(c->p, 0, left);
    if (!nul) {
        c->bad = true;
        return "";
    }
    const char *text = (const char *)c->p;
    c->p = nul + 1;
    return text;
}

const char *pw_error_field(const uint8_t *payload, size_t n, char field)
{
    PwCursor c = pw_cursor(payload, n);
    for (;;) {
        uint8_t code = pw_cursor_u8(&c);
        if (c.bad || code == 0)
            return NULL;
        const char *text = pw_cursor_cstr(&c);
        if (c.bad)
            return NULL;
        if (code == (uint8_t)field)
            return text;
    }
}

uint64_t pw_tag_rows(const char *tag, size_t n)
{
    size_t at = n;
    while (at > 0 && tag[at - 1] >= '0' && tag[at - 1] <= '9')
        at--;
    if (at == 0 || at == n || tag[at - 1] != ' ')
        return 0;
    uint64_t rows = 0;
    for (; at < n; at++)
        rows = rows * 10 + (uint64_t)(tag[at] - '0');
    return rows;
}

PwErr pw_startup_params(const uint8_t *payload, size_t n,
                        PwErr (*on_param)(void *arg, const char *key, const char *value), void *arg)
{
    PwCursor c = pw_cursor(payload, n);
    for (;;) {
        const char *key = pw_cursor_cstr(&c);
        if (c.bad)
            return PW_ERR_PROTOCOL;
        if (*key == '\0') /* PostgreSQL refuses bytes behind the terminator */
            return pw_cursor_left(&c) == 0 ? PW_OK : PW_ERR_PROTOCOL;
        const char *value = pw_cursor_cstr(&c);
        if (c.bad)
            return PW_ERR_PROTOCOL;
        PwErr err = on_param(arg, key, value);
        if (err)
            return err;
    }
}
