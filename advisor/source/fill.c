/* SPDX-License-Identifier: ISC */
#include "advisor/source/fill.h"

#include "poolwise/lexer.h"

#define PARAMS_MAX 1000

typedef struct Value {
    const char *text; /* NULL: not given */
    size_t len;
} Value;

/* The value at p: 'it''s', NULL; returns what is after it. NULL when it is cut ("'abc...'" is how the server shortens). */
static const char *value_end(const char *p, const char *end)
{
    if (end - p >= 4 && memcmp(p, "NULL", 4) == 0)
        return p + 4;
    if (p == end || *p != '\'')
        return NULL;
    for (p++; (p = memchr(p, '\'', (size_t)(end - p))); p += 2)
        if (p + 1 == end || p[1] != '\'')
            return memcmp(p - 3, "...", 3) == 0 ? NULL : p + 1;
    return NULL;
}

static int read_index(const char **p, const char *end)
{
    int n = 0;
    const char *start = *p;
    while (*p < end && **p >= '0' && **p <= '9' && n < PARAMS_MAX)
        n = 10 * n + *(*p)++ - '0';
    return *p == start || n < 1 || n >= PARAMS_MAX ? 0 : n;
}

/* All values; returns the highest index, 0 when something is not as the server writes it. */
static int read_values(const char *p, size_t len, Value *values)
{
    const char *end = p + len;
    int highest = 0;
    while ((p = memchr(p, '$', (size_t)(end - p)))) {
        p++;
        int n = read_index(&p, end);
        if (n == 0 || end - p < 5 || memcmp(p, " = ", 3) != 0)
            return 0;
        const char *after = value_end(p + 3, end);
        if (!after)
            return 0;
        for (; highest < n; highest++)
            values[highest + 1].text = NULL;
        values[n] = (Value){p + 3, (size_t)(after - p - 3)};
        p = after;
        if (p == end)
            break;
    }
    return highest;
}

bool adv_fill(PwBuf *out, const char *text, size_t len, const char *params, size_t params_len)
{
    Value values[PARAMS_MAX];
    int highest = read_values(params, params_len, values);
    PwLexer lexer = pw_lexer(text, len, 0);
    PwToken token;
    const char *done = text;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        if (token.type != PW_TOK_PARAM)
            continue;
        const char *p = token.text + 1;
        int n = read_index(&p, token.text + token.len);
        if (n == 0 || n > highest || !values[n].text)
            return false;
        pw_buf_append(out, done, (size_t)(token.text - done));
        pw_buf_append(out, values[n].text, values[n].len);
        done = token.text + token.len;
    }
    pw_buf_append(out, done, (size_t)(text + len - done));
    return true;
}

bool adv_has_parameter(const char *text, size_t len)
{
    if (!memchr(text, '$', len))
        return false;
    PwLexer lexer = pw_lexer(text, len, 0);
    PwToken token;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END)
        if (token.type == PW_TOK_PARAM)
            return true;
    return false;
}
