/* SPDX-License-Identifier: ISC */
#include "pooler/auth/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

PwErr base64_decode(const char *text, size_t n, uint8_t *ret_bytes, size_t max, size_t *ret_n)
{
    size_t pad = 0;
    if (n % 4 != 0)
        return PW_ERR_SYNTAX;
    while (pad < 2 && pad < n && text[n - 1 - pad] == '=')
        pad++;
    size_t size = n / 4 * 3 - pad;
    if (size > max)
        return PW_ERR_TOO_LARGE;
    /* Looked at as a whole before the first byte is written: results only on success. */
    for (size_t i = 0; i < n - pad; i++) {
        if (value_of(text[i]) < 0)
            return PW_ERR_SYNTAX;
    }
    if (pad && (value_of(text[n - 1 - pad]) & (pad == 1 ? 3 : 15)))
        return PW_ERR_SYNTAX; /* two texts for the same bytes */

    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;
    for (size_t i = 0; i < n - pad; i++) {
        bits = (bits << 6) | (uint32_t)value_of(text[i]);
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret_bytes[at++] = (uint8_t)(bits >> have);
        }
    }
    *ret_n = at;
    return PW_OK;
}

void base64_append(PwBuf *buf, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16;
        if (i + 1 < n)
            bits |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < n)
            bits |= bytes[i + 2];
        char four[4] = {alphabet[bits >> 18], alphabet[(bits >> 12) & 63],
                        i + 1 < n ? alphabet[(bits >> 6) & 63] : '=', i + 2 < n ? alphabet[bits & 63] : '='};
        pw_buf_append(buf, four, 4);
    }
}
