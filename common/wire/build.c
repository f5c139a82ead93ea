/* SPDX-License-Identifier: ISC */
#include "poolwise/wire.h"

#include <string.h>

size_t pw_msg_begin(PwBuf *buf, uint8_t type)
{
    pw_buf_reserve(buf, PW_WIRE_HEADER + 64);
    if (type)
        pw_buf_append_u8(buf, type);
    size_t mark = pw_buf_unread(buf); /* relative to off: an append may move the bytes */
    pw_buf_append_be32(buf, 0);
    return mark;
}

void pw_msg_end(PwBuf *buf, size_t mark)
{
    uint32_t n = (uint32_t)(pw_buf_unread(buf) - mark);
    uint8_t *p = buf->data + buf->off + mark;
    p[0] = (uint8_t)(n >> 24);
    p[1] = (uint8_t)(n >> 16);
    p[2] = (uint8_t)(n >> 8);
    p[3] = (uint8_t)n;
}

static void field(PwBuf *buf, char code, const char *text)
{
    if (!text)
        return;
    pw_buf_append_u8(buf, (uint8_t)code);
    pw_buf_append_cstr(buf, text);
}

static void response(PwBuf *buf, uint8_t type, const PwErrorText *e)
{
    size_t mark = pw_msg_begin(buf, type);
    field(buf, 'S', e->severity);
    field(buf, 'V', e->severity);
    field(buf, 'C', e->sqlstate);
    field(buf, 'M', e->message);
    field(buf, 'D', e->detail);
    field(buf, 'H', e->hint);
    field(buf, 'R', e->routine);
    pw_buf_append_u8(buf, 0);
    pw_msg_end(buf, mark);
}

void pw_msg_error(PwBuf *buf, const PwErrorText *e)
{
    response(buf, PW_B_ERROR, e);
}

void pw_msg_notice(PwBuf *buf, const PwErrorText *e)
{
    response(buf, PW_B_NOTICE, e);
}

void pw_msg_cancel(PwBuf *buf, const uint8_t *key, size_t n)
{
    size_t mark = pw_msg_begin(buf, 0);
    pw_buf_append_be32(buf, PW_CODE_CANCEL);
    pw_buf_append(buf, key, n);
    pw_msg_end(buf, mark);
}

void pw_msg_ready(PwBuf *buf, char status)
{
    size_t mark = pw_msg_begin(buf, PW_B_READY);
    pw_buf_append_u8(buf, (uint8_t)status);
    pw_msg_end(buf, mark);
}

void pw_msg_param_status(PwBuf *buf, const char *name, const char *value)
{
    size_t mark = pw_msg_begin(buf, PW_B_PARAM_STATUS);
    pw_buf_append_cstr(buf, name);
    pw_buf_append_cstr(buf, value);
    pw_msg_end(buf, mark);
}

void pw_msg_query(PwBuf *buf, const char *sql)
{
    size_t mark = pw_msg_begin(buf, PW_F_QUERY);
    pw_buf_append_cstr(buf, sql);
    pw_msg_end(buf, mark);
}

void pw_msg_auth_ok(PwBuf *buf)
{
    size_t mark = pw_msg_begin(buf, PW_B_AUTH);
    pw_buf_append_be32(buf, 0);
    pw_msg_end(buf, mark);
}

void pw_msg_key_data(PwBuf *buf, const uint8_t *key, size_t n)
{
    size_t mark = pw_msg_begin(buf, PW_B_KEY_DATA);
    pw_buf_append(buf, key, n);
    pw_msg_end(buf, mark);
}

void pw_msg_command_complete(PwBuf *buf, const char *tag)
{
    size_t mark = pw_msg_begin(buf, PW_B_COMMAND_COMPLETE);
    pw_buf_append_cstr(buf, tag);
    pw_msg_end(buf, mark);
}
