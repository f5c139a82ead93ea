/* SPDX-License-Identifier: ISC */
#include "advisor/source/json_scan.h"

#include <limits.h>

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

AdvJsonScan adv_json_scan(const char *text, size_t len)
{
    AdvJsonScan s = {.p = skip_space(text, text + len), .end = text + len};
    if (s.p < s.end && *s.p == '{')
        s.p++;
    else
        s.bad = true;
    return s;
}

#define SHORT 24 /* names are, and many values: a call costs more than looking at so many bytes */

/* p is after the opening quote; returns the closing one, NULL when there is none. */
static inline const char *string_end(const char *p, const char *end)
{
    const char *start = p, *near = end - p > SHORT ? p + SHORT : end;
    while (p < near && *p != '"' && *p != '\\')
        p++;
    if (p < near && *p == '"')
        return p;
    for (;; p++) {
        p = memchr(p, '"', (size_t)(end - p));
        if (!p)
            return NULL;
        const char *back = p;
        while (back > start && back[-1] == '\\')
            back--;
        if (((p - back) & 1) == 0)
            return p;
    }
}

/* p is at the opening bracket; returns what is after the closing one. */
static const char *nested_end(const char *p, const char *end)
{
    int depth = 0;
    for (; p < end; p++)
        switch (*p) {
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return p + 1;
            break;
        case '"':
            p = string_end(p + 1, end);
            if (!p)
                return NULL;
            break;
        default:
            break;
        }
    return NULL;
}

static bool fail(AdvJsonScan *s)
{
    s->bad = true;
    return false;
}

static bool read_value(AdvJsonScan *s, AdvJsonMember *m)
{
    const char *p = s->p, *stop;
    m->type = *p;
    if (*p == '"') {
        stop = string_end(p + 1, s->end);
        if (!stop)
            return fail(s);
        m->value = (AdvSlice){p + 1, (size_t)(stop - p - 1)};
        s->p = stop + 1;
        return true;
    }
    if (*p == '{' || *p == '[') {
        stop = nested_end(p, s->end);
        if (!stop)
            return fail(s);
    } else {
        for (stop = p; stop < s->end && *stop != ',' && *stop != '}' && *stop != ' ' && *stop != '\n' && *stop != '\r'; stop++)
            ;
        if (stop == p || stop == s->end)
            return fail(s);
    }
    m->value = (AdvSlice){p, (size_t)(stop - p)};
    s->p = stop;
    return true;
}

bool adv_json_next(AdvJsonScan *s, AdvJsonMember *m)
{
    if (s->bad)
        return false;
    const char *p = skip_space(s->p, s->end);
    if (p < s->end && *p == ',')
        p = skip_space(p + 1, s->end);
    if (p == s->end)
        return fail(s);
    if (*p == '}') {
        s->p = p;
        return false;
    }
    const char *key_end = *p == '"' ? string_end(p + 1, s->end) : NULL;
    if (!key_end)
        return fail(s);
    m->key = (AdvSlice){p + 1, (size_t)(key_end - p - 1)};
    p = skip_space(key_end + 1, s->end);
    if (p == s->end || *p != ':')
        return fail(s);
    s->p = skip_space(p + 1, s->end);
    return s->p < s->end ? read_value(s, m) : fail(s);
}

/* ---- strings ---- */

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static void put_code_point(PwBuf *out, unsigned code)
{
    char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(lead[n] | code);
    pw_buf_append(out, bytes, n);
}

/* p is after "\u"; returns what is after it, NULL when it is wrong. */
static const char *put_escape_u(PwBuf *out, const char *p, const char *end)
{
    int code = hex4(p, end);
    if (code < 0)
        return NULL;
    p += 4;
    if (code >= 0xd800 && code < 0xdc00) {
        int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return NULL;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    put_code_point(out, (unsigned)code);
    return p;
}

bool adv_json_text(const AdvJsonMember *m, PwBuf *buf, AdvSlice *ret)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (m->type != '"')
        return false;
    if (m->value.n == 0 || !memchr(m->value.p, '\\', m->value.n)) {
        *ret = m->value;
        return true;
    }
    const char *p = m->value.p, *end = p + m->value.n;
    buf->off = buf->len = 0;
    for (const char *back; (back = memchr(p, '\\', (size_t)(end - p)));) {
        pw_buf_append(buf, p, (size_t)(back - p));
        if (back + 1 == end)
            return false;
        const char *known = back[1] ? strchr(from, back[1]) : NULL;
        if (known)
            pw_buf_append_u8(buf, (uint8_t)to[known - from]);
        else if (back[1] != 'u' || !(p = put_escape_u(buf, back + 2, end)))
            return false;
        if (known)
            p = back + 2;
    }
    pw_buf_append(buf, p, (size_t)(end - p));
    *ret = (AdvSlice){(const char *)buf->data, buf->len};
    return true;
}

bool adv_json_number(const AdvJsonMember *m, unsigned long long *ret)
{
    unsigned long long value = 0;
    if (m->value.n == 0 || m->value.n > 19)
        return false;
    for (size_t i = 0; i < m->value.n; i++) {
        if (m->value.p[i] < '0' || m->value.p[i] > '9')
            return false;
        value = 10 * value + (unsigned)(m->value.p[i] - '0');
    }
    if (value > LLONG_MAX)
        return false;
    *ret = value;
    return true;
}
