/* SPDX-License-Identifier: ISC */
/* buf.h - a growing byte buffer with a read position. Plain memory, no I/O.
 *
 *      data            data+off              data+len            data+cap
 *       |   consumed     |    unread bytes      |     free          |
 *
 * Not thread-safe; the owner is whoever embeds it. */
#ifndef POOLWISE_BUF_H
#define POOLWISE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "poolwise/err.h"

typedef struct PwBuf {
    uint8_t *data;
    size_t off; /* first unread byte */
    size_t len; /* end of the bytes */
    size_t cap;
} PwBuf;

void pw_buf_init(PwBuf *buf);   /* no allocation */
void pw_buf_finish(PwBuf *buf); /* frees the memory; the buffer is then as after init */

static inline size_t pw_buf_unread(const PwBuf *buf) { return buf->len - buf->off; }
static inline const uint8_t *pw_buf_head(const PwBuf *buf) { return buf->off ? buf->data + buf->off : buf->data; }

/* Makes room for `more` bytes after len (may move the unread bytes to the front). */
void pw_buf_reserve(PwBuf *buf, size_t more);

void pw_buf_append(PwBuf *buf, const void *bytes, size_t n);
void pw_buf_append_str(PwBuf *buf, const char *text); /* without the NUL */
void pw_buf_append_cstr(PwBuf *buf, const char *text); /* with the NUL */
void pw_buf_append_u8(PwBuf *buf, uint8_t v);
void pw_buf_append_be16(PwBuf *buf, uint16_t v);
void pw_buf_append_be32(PwBuf *buf, uint32_t v);
void pw_buf_printf(PwBuf *buf, const char *fmt, ...) PW_PRINTF(2, 3);

/* Marks n unread bytes as read; a buffer that becomes empty starts over at offset 0. */
void pw_buf_consume(PwBuf *buf, size_t n);

/* Gives the memory back when nothing is unread. */
void pw_buf_release_if_empty(PwBuf *buf);

#endif
