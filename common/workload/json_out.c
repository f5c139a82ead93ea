/* SPDX-License-Identifier: ISC */
#include "common/workload/json_out.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at p, 0 when there is none (Unicode standard, table 3-7). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < n)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

static void append_escaped(PwBuf *buf, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    size_t n = 2;
    switch (byte) {
    case '"':
    case '\\':
        text[1] = (char)byte;
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        n = 6;
        break;
    }
    pw_buf_append(buf, text, n);
}

void pw_json_append_string(PwBuf *buf, const char *bytes, size_t n)
{
    const uint8_t *p = (const uint8_t *)bytes, *end = p + n, *plain = p;
    pw_buf_reserve(buf, n + 2);
    pw_buf_append_u8(buf, '"');
    while (p < end) {
        bool escape = *p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f;
        size_t length = escape ? 0 : utf8_length(p, (size_t)(end - p));
        if (length > 0) {
            p += length;
            continue;
        }
        pw_buf_append(buf, plain, (size_t)(p - plain));
        if (escape)
            append_escaped(buf, *p);
        else
            pw_buf_append_str(buf, "\xef\xbf\xbd"); /* U+FFFD */
        plain = ++p;
    }
    pw_buf_append(buf, plain, (size_t)(p - plain));
    pw_buf_append_u8(buf, '"');
}
