/* SPDX-License-Identifier: ISC */
#include "poolwise/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "poolwise/mem.h"

#define BUF_FIRST_CAP 256

void pw_buf_init(PwBuf *buf)
{
    *buf = (PwBuf){0};
}

void pw_buf_finish(PwBuf *buf)
{
    free(buf->data);
    *buf = (PwBuf){0};
}

/* Cost stays amortised: unread bytes are moved to the front only when the space so won is at least as large as what is
 * moved (each byte consumed pays for at most one byte moved); otherwise the capacity doubles. */
void pw_buf_reserve(PwBuf *buf, size_t more)
{
    if (more <= buf->cap - buf->len)
        return;
    size_t unread = pw_buf_unread(buf);
    if (buf->off >= unread && more <= buf->cap - unread) {
        memmove(buf->data, buf->data + buf->off, unread);
    } else {
        size_t need = unread + more;
        size_t cap = buf->cap < BUF_FIRST_CAP ? BUF_FIRST_CAP : buf->cap;
        if (need < unread)
            need = SIZE_MAX;  /* more than the address space: pw_xmalloc says so and ends */
        if (need <= buf->cap) /* it would fit, but moving would not pay: double all the same */
            need = buf->cap + 1;
        while (cap < need)
            cap = cap > SIZE_MAX / 2 ? need : cap * 2;
        /* Not realloc: it would copy the consumed bytes too. */
        uint8_t *data = pw_xmalloc(cap);
        if (unread > 0)
            memcpy(data, buf->data + buf->off, unread);
        free(buf->data);
        buf->data = data;
        buf->cap = cap;
    }
    buf->off = 0;
    buf->len = unread;
}

void pw_buf_append(PwBuf *buf, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    pw_buf_reserve(buf, n);
    memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
}

void pw_buf_append_str(PwBuf *buf, const char *text)
{
    pw_buf_append(buf, text, strlen(text));
}

void pw_buf_append_cstr(PwBuf *buf, const char *text)
{
    pw_buf_append(buf, text, strlen(text) + 1);
}

void pw_buf_append_u8(PwBuf *buf, uint8_t v)
{
    pw_buf_append(buf, &v, 1);
}

void pw_buf_append_be16(PwBuf *buf, uint16_t v)
{
    const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    pw_buf_append(buf, bytes, sizeof(bytes));
}

void pw_buf_append_be32(PwBuf *buf, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    pw_buf_append(buf, bytes, sizeof(bytes));
}

void pw_buf_printf(PwBuf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    size_t space = buf->cap - buf->len;
    /* vsnprintf may not get a null pointer together with a size above 0, and takes 0 to measure. */
    int n = vsnprintf(space > 0 ? (char *)buf->data + buf->len : NULL, space, fmt, args);
    va_end(args);
    if (n > 0 &&
        (size_t)n >= space) { /* the NUL needs a byte too, though it is not counted as content */
        pw_buf_reserve(buf, (size_t)n + 1);
        (void)vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (n > 0)
        buf->len += (size_t)n;
}

void pw_buf_consume(PwBuf *buf, size_t n)
{
    assert(n <= pw_buf_unread(buf));
    buf->off += n;
    if (buf->off == buf->len)
        buf->off = buf->len = 0;
}

void pw_buf_release_if_empty(PwBuf *buf)
{
    if (pw_buf_unread(buf) == 0)
        pw_buf_finish(buf);
}
