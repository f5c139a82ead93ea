/* SPDX-License-Identifier: ISC */
/* The value of a string constant: pw_token_string. */
#include <string.h>

#include "poolwise/lexer.h"

typedef struct Out {
    char *bytes;
    size_t cap, n;
} Out;

typedef struct In {
    const char *p, *end;
} In;

static void put(Out *out, char byte)
{
    if (out->n + 1 < out->cap)
        out->bytes[out->n] = byte;
    out->n++;
}

static bool put_code_point(Out *out, uint32_t code)
{
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return false;
    if (code < 0x80) {
        put(out, (char)code);
        return true;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    put(out, (char)(lead[more] | code >> (6 * more)));
    while (more-- > 0)
        put(out, (char)(0x80 | (code >> (6 * more) & 0x3f)));
    return true;
}

static int digit_value(char c, unsigned base)
{
    int value = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
    return value < (int)base ? value : -1;
}

/* Reads at most `max` digits; returns how many. */
static unsigned read_digits(In *in, unsigned base, unsigned max, uint32_t *ret_value)
{
    unsigned n = 0;
    *ret_value = 0;
    for (int digit; n < max && in->p < in->end && (digit = digit_value(*in->p, base)) >= 0; n++, in->p++)
        *ret_value = *ret_value * base + (uint32_t)digit;
    return n;
}

/* A code point of exactly `digits` digits; the first of a surrogate pair must be followed by its second, which
 * starts with `again` (a backslash and perhaps the letter u). */
static bool read_code_point(In *in, Out *out, unsigned digits, const char *again)
{
    uint32_t code, low;
    if (read_digits(in, 16, digits, &code) != digits)
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        size_t n = strlen(again);
        if ((size_t)(in->end - in->p) < n || memcmp(in->p, again, n) != 0)
            return false;
        in->p += n;
        if (read_digits(in, 16, 4, &low) != 4 || low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_code_point(out, code);
}

/* in->p is after the backslash of an E'' string. */
static bool read_escape(In *in, Out *out)
{
    static const char letters[] = "bfnrt", values[] = "\b\f\n\r\t";
    char c = *in->p;
    uint32_t value;
    if (digit_value(c, 8) >= 0) {
        read_digits(in, 8, 3, &value);
        put(out, (char)value);
        return true;
    }
    in->p++;
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        put(out, values[letter - letters]);
    } else if (c == 'x' && in->p < in->end && digit_value(*in->p, 16) >= 0) {
        read_digits(in, 16, 2, &value);
        put(out, (char)value);
    } else if (c == 'u') {
        return read_code_point(in, out, 4, "\\u");
    } else if (c == 'U') {
        return read_code_point(in, out, 8, "\\U");
    } else {
        put(out, c);
    }
    return true;
}

/* in->p is after the backslash of a U&'' string. */
static bool read_unicode_escape(In *in, Out *out)
{
    if (*in->p == '\\') {
        in->p++;
        put(out, '\\');
        return true;
    }
    if (*in->p == '+') {
        in->p++;
        return read_code_point(in, out, 6, "\\");
    }
    return read_code_point(in, out, 4, "\\");
}

/* Past what lies between two parts of a string: `-- comments` hold quotes that mean nothing. */
static const char *next_part(const char *p, const char *end)
{
    while (p < end && *p != '\'') {
        if (*p == '-')
            while (p < end && *p != '\n' && *p != '\r')
                p++;
        else
            p++;
    }
    return p < end ? p + 1 : p;
}

static bool read_quoted(In *in, Out *out, bool escapes, bool unicode)
{
    while (in->p < in->end) {
        char c = *in->p++;
        if (c == '\'') {
            if (in->p < in->end && *in->p == '\'') {
                in->p++;
                put(out, '\'');
            } else {
                in->p = next_part(in->p, in->end);
            }
        } else if (c == '\\' && (escapes || unicode) && in->p < in->end) {
            if (!(escapes ? read_escape(in, out) : read_unicode_escape(in, out)))
                return false;
        } else {
            put(out, c);
        }
    }
    return true;
}

size_t pw_token_string(const PwToken *token, unsigned flags, char *bytes, size_t cap)
{
    if (token->type != PW_TOK_STRING || token->open)
        return SIZE_MAX;
    In in = {.p = token->text, .end = token->text + token->len};
    Out out = {.bytes = bytes, .cap = cap};
    if (*in.p == '$') {
        size_t tag = (size_t)((const char *)memchr(in.p + 1, '$', token->len - 1) + 1 - in.p);
        for (in.p += tag, in.end -= tag; in.p < in.end; in.p++)
            put(&out, *in.p);
    } else {
        char prefix = (char)(*in.p == '\'' ? 0 : *in.p | 32);
        bool escapes = prefix == 'e' || ((flags & PW_LEX_BACKSLASH) != 0 && (prefix == 0 || prefix == 'n'));
        while (*in.p++ != '\'')
            ;
        if (!read_quoted(&in, &out, escapes, prefix == 'u'))
            return SIZE_MAX;
    }
    if (cap > 0)
        bytes[out.n < cap ? out.n : cap - 1] = '\0';
    return out.n;
}
