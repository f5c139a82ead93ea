/* SPDX-License-Identifier: ISC */
#include "advisor/source/utf8.h"

#include <stdbool.h>

/* The length of the UTF-8 sequence at p; 0 when it is none. */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (n > (size_t)(end - p))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool odd = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return odd ? 0 : n;
}

/* What Windows-1252 has where Latin 1 has control characters that nobody writes. */
static const uint16_t windows_1252[] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
    0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

/* The code point of a byte that is part of no UTF-8. */
static void append_single(PwBuf *out, unsigned char byte)
{
    unsigned code = byte < 0xa0 ? windows_1252[byte - 0x80] : byte;
    if (code >= 0x800)
        pw_buf_append_u8(out, (uint8_t)(0xe0 | code >> 12));
    pw_buf_append_u8(out, (uint8_t)(code >= 0x800 ? 0x80 | (code >> 6 & 0x3f) : 0xc0 | code >> 6));
    pw_buf_append_u8(out, (uint8_t)(0x80 | (code & 0x3f)));
}

void adv_append_utf8(PwBuf *out, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len;
    while (p < end) {
        size_t n = utf8_length(p, end);
        if (n > 0) {
            const unsigned char *start = p;
            for (; n > 0; n = p < end ? utf8_length(p, end) : 0)
                p += n;
            pw_buf_append(out, start, (size_t)(p - start));
            continue;
        }
        append_single(out, *p++);
    }
}
