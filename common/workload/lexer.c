/* SPDX-License-Identifier: ISC */
/* Rules: PostgreSQL documentation, "Lexical Structure". The byte decides the token's class by table; the
 * rest is a function for each class that returns where the token ends. */
#include "poolwise/lexer.h"

#include <string.h>

#include "common/workload/lexer_priv.h"
#include "poolwise/err.h"

/* The tables would be unreadable with the long names. */
enum {
    BAD = PW_LEX_BAD,
    SPC = PW_LEX_SPC,
    WRD = PW_LEX_WRD,
    PFX = PW_LEX_PFX,
    DIG = PW_LEX_DIG,
    OPR = PW_LEX_OPR,
    PUN = PW_LEX_PUN,
    DOT = PW_LEX_DOT,
    COL = PW_LEX_COL,
    QUO = PW_LEX_QUO,
    DQU = PW_LEX_DQU,
    DOL = PW_LEX_DOL
};

const uint8_t pw_lex_class[256] = {
    /* clang-format off */
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, SPC, SPC, SPC, SPC, SPC, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    SPC, OPR, DQU, OPR, DOL, OPR, OPR, QUO, PUN, PUN, OPR, OPR, PUN, OPR, DOT, OPR,
    DIG, DIG, DIG, DIG, DIG, DIG, DIG, DIG, DIG, DIG, COL, PUN, OPR, OPR, OPR, OPR,
    OPR, WRD, PFX, WRD, WRD, PFX, WRD, WRD, WRD, WRD, WRD, WRD, WRD, WRD, PFX, WRD,
    WRD, WRD, WRD, WRD, WRD, PFX, WRD, WRD, PFX, WRD, WRD, PUN, BAD, PUN, OPR, WRD,
    OPR, WRD, PFX, WRD, WRD, PFX, WRD, WRD, WRD, WRD, WRD, WRD, WRD, WRD, PFX, WRD,
    WRD, WRD, WRD, WRD, WRD, PFX, WRD, WRD, PFX, WRD, WRD, BAD, OPR, BAD, OPR, BAD,
    [0x80 ... 0xff] = WRD,
    /* clang-format on */
};

const uint8_t pw_lex_fold[256] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, '$', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, 0, '_',
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, 0, 0,
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f,
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,
    0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
    /* clang-format on */
};

static inline unsigned class_at(const char *p)
{
    return pw_lex_class[(uint8_t)*p];
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Past a comment that starts at p, or p when none does. */
static const char *skip_comment(const char *p, const char *end, bool *open)
{
    if (end - p < 2)
        return p;
    if (p[0] == '-' && p[1] == '-') {
        while (p < end && *p != '\n' && *p != '\r')
            p++;
        return p;
    }
    if (p[0] != '/' || p[1] != '*')
        return p;
    unsigned depth = 1;
    for (p += 2; end - p >= 2;) {
        if (p[0] == '*' && p[1] == '/') {
            p += 2;
            if (--depth == 0)
                return p;
        } else if (p[0] == '/' && p[1] == '*') {
            p += 2;
            depth++;
        } else {
            p++;
        }
    }
    *open = true;
    return end;
}

static inline const char *skip_space(const char *p, const char *end, bool *open)
{
    while (p < end) {
        if (class_at(p) == SPC) {
            p++;
        } else if (PW_UNLIKELY(*p == '-' || *p == '/')) {
            const char *after = skip_comment(p, end, open);
            if (after == p)
                return p;
            p = after;
        } else {
            return p;
        }
    }
    return p;
}

/* Where a string goes on after its closing quote: white space with a newline in it (and -- comments, no
 * block comments), then a quote. NULL when it does not. */
static const char *continuation(const char *p, const char *end)
{
    bool newline = false;
    while (p < end) {
        if (class_at(p) == SPC) {
            newline |= *p == '\n' || *p == '\r';
            p++;
        } else if (*p == '-' && end - p >= 2 && p[1] == '-') {
            while (p < end && *p != '\n' && *p != '\r')
                p++;
        } else {
            return newline && *p == '\'' ? p + 1 : NULL;
        }
    }
    return NULL;
}

/* p is after the opening quote. */
static const char *string_end(const char *p, const char *end, bool backslash, bool *open)
{
    for (;;) {
        const char *quote;
        if (backslash) {
            while (p < end && *p != '\'')
                p += *p == '\\' && end - p >= 2 ? 2 : 1;
            quote = p < end ? p : NULL;
        } else {
            quote = p < end ? memchr(p, '\'', (size_t)(end - p)) : NULL;
        }
        if (quote == NULL) {
            *open = true;
            return end;
        }
        p = quote + 1;
        if (p < end && *p == '\'') {
            p++;
            continue;
        }
        const char *more = p < end && pw_lex_class[(uint8_t)*p] == SPC ? continuation(p, end) : NULL;
        if (more == NULL && end - p >= 2 && p[0] == '-' && p[1] == '-')
            more = continuation(p, end);
        if (more == NULL)
            return p;
        p = more;
    }
}

static const char *quoted_end(const char *p, const char *end, bool *open)
{
    while (p < end) {
        p = memchr(p, '"', (size_t)(end - p));
        if (p == NULL)
            break;
        p++;
        if (p == end || *p != '"')
            return p;
        p++;
    }
    *open = true;
    return end;
}

/* p is at the first $. Returns p when no dollar quote starts here. */
static const char *dollar_end(const char *p, const char *end, bool *open)
{
    const char *tag = p + 1;
    if (tag < end && !is_digit(*tag))
        while (tag < end && *tag != '$' && pw_lex_fold[(uint8_t)*tag] != 0)
            tag++;
    if (tag == end || *tag != '$')
        return p;
    size_t n = (size_t)(tag + 1 - p);
    const char *close = memmem(p + n, (size_t)(end - p) - n, p, n);
    if (close != NULL)
        return close + n;
    *open = true;
    return end;
}

static inline const char *digits_end(const char *p, const char *end)
{
    while (p < end && (is_digit(*p) || (*p == '_' && end - p >= 2 && is_digit(p[1]))))
        p++;
    return p;
}

static bool is_radix_digit(char c, char radix)
{
    if (radix == 'x')
        return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
    return c >= '0' && c <= (radix == 'o' ? '7' : '1');
}

/* 0x1F, 0o17, 0b11; returns p when it is none. */
static const char *radix_end(const char *p, const char *end)
{
    if (end - p < 3 || p[0] != '0')
        return p;
    char radix = (char)(p[1] | 32);
    if (radix != 'x' && radix != 'o' && radix != 'b')
        return p;
    const char *q = p + 2;
    if (*q == '_')
        q++;
    if (q == end || !is_radix_digit(*q, radix))
        return p;
    while (q < end && (is_radix_digit(*q, radix) || (*q == '_' && end - q >= 2 && is_radix_digit(q[1], radix))))
        q++;
    return q;
}

/* p is at a digit, or at a dot before one. `1..10` is 1, then the .. of a range. */
static const char *number_end(const char *p, const char *end)
{
    const char *q = radix_end(p, end);
    if (q != p)
        return q;
    p = digits_end(p, end);
    if (p < end && *p == '.' && !(end - p >= 2 && p[1] == '.'))
        p = digits_end(p + 1, end);
    if (p < end && (*p | 32) == 'e') {
        q = p + 1;
        if (q < end && (*q == '+' || *q == '-'))
            q++;
        if (q < end && is_digit(*q))
            p = digits_end(q, end);
    }
    return p;
}

/* An operator ends where a comment starts. A trailing + or - belongs to it only when one of the characters that
 * no SQL operator has stands before: `a*-1` multiplies, `a@-1` applies @-. */
static const char *operator_end(const char *p, const char *end)
{
    const char *q = p + 1;
    if (q == end || class_at(q) != OPR)
        return q;
    while (q < end && class_at(q) == OPR &&
           !(end - q >= 2 && ((q[0] == '/' && q[1] == '*') || (q[0] == '-' && q[1] == '-'))))
        q++;
    while (q - p > 1 && (q[-1] == '+' || q[-1] == '-')) {
        const char *c = q - 1;
        while (c > p && strchr("~!@#%^&|`?", c[-1]) == NULL)
            c--;
        if (c > p)
            break;
        q--;
    }
    return q;
}

/* A constant or identifier with a prefix: where it ends; NULL when p starts an ordinary word. */
static const char *prefixed_end(const char *p, const char *end, unsigned flags, PwToken *token)
{
    if (end - p < 2)
        return NULL;
    char prefix = (char)(*p | 32);
    if (p[1] == '\'' && prefix != 'u') {
        token->type = PW_TOK_STRING;
        bool backslash = prefix == 'e' || (prefix == 'n' && (flags & PW_LEX_BACKSLASH) != 0);
        return string_end(p + 2, end, backslash, &token->open);
    }
    if (prefix == 'u' && p[1] == '&' && end - p >= 3) {
        if (p[2] == '\'') {
            token->type = PW_TOK_STRING;
            return string_end(p + 3, end, false, &token->open);
        }
        if (p[2] == '"') {
            token->type = PW_TOK_QUOTED;
            return quoted_end(p + 3, end, &token->open);
        }
    }
    return NULL;
}

PwTok pw_lex_next(PwLexer *lexer, PwToken *token)
{
    const char *end = lexer->end;
    token->open = false;
    const char *p = skip_space(lexer->p, end, &token->open);
    token->text = p;
    if (p == end) {
        lexer->p = p;
        token->len = 0;
        return token->type = PW_TOK_END;
    }
    const char *q;
    switch (class_at(p)) {
    case PFX:
        q = prefixed_end(p, end, lexer->flags, token);
        if (q != NULL)
            break;
        /* fall through */
    case WRD:
        token->type = PW_TOK_WORD;
        for (q = p + 1; q < end && pw_lex_fold[(uint8_t)*q] != 0; q++)
            ;
        break;
    case DIG:
        token->type = PW_TOK_NUMBER;
        q = number_end(p, end);
        break;
    case PUN:
        token->type = PW_TOK_PUNCT;
        q = p + 1;
        break;
    case OPR:
        token->type = PW_TOK_OP;
        q = operator_end(p, end);
        break;
    case QUO:
        token->type = PW_TOK_STRING;
        q = string_end(p + 1, end, (lexer->flags & PW_LEX_BACKSLASH) != 0, &token->open);
        break;
    case DQU:
        token->type = PW_TOK_QUOTED;
        q = quoted_end(p + 1, end, &token->open);
        break;
    case DOT:
        if (end - p >= 2 && is_digit(p[1])) {
            token->type = PW_TOK_NUMBER;
            q = number_end(p, end);
        } else {
            bool range = end - p >= 2 && p[1] == '.';
            token->type = range ? PW_TOK_OP : PW_TOK_PUNCT;
            q = p + (range ? 2 : 1);
        }
        break;
    case COL:
        token->type = PW_TOK_PUNCT;
        q = p + 1;
        if (q < end && (*q == ':' || *q == '=')) {
            token->type = *q == ':' ? PW_TOK_CAST : PW_TOK_OP;
            q++;
        }
        break;
    case DOL:
        q = p + 1;
        if (q < end && is_digit(*q)) {
            token->type = PW_TOK_PARAM;
            while (q < end && is_digit(*q))
                q++;
            break;
        }
        token->type = PW_TOK_STRING;
        q = dollar_end(p, end, &token->open);
        if (q != p)
            break;
        /* fall through */
    default:
        token->type = PW_TOK_BAD;
        q = p + 1;
        break;
    }
    token->len = (size_t)(q - p);
    lexer->p = q;
    return token->type;
}

bool pw_lex_skip_space(PwLexer *lexer)
{
    bool open = false;
    lexer->p = skip_space(lexer->p, lexer->end, &open);
    return !open;
}

bool pw_token_is(const PwToken *token, const char *word)
{
    if (token->type != PW_TOK_WORD)
        return false;
    for (size_t i = 0; i < token->len; i++)
        if ((uint8_t)word[i] != pw_lex_fold[(uint8_t)token->text[i]])
            return false; /* also when word is shorter: its NUL is no folded byte */
    return word[token->len] == '\0';
}
