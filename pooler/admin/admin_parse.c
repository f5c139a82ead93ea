/* SPDX-License-Identifier: ISC */
#include "pooler/admin/admin_parse.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Blanks and -- comments (pgx asks "-- ping"). */
static const char *skip_space(const char *p)
{
    p += strspn(p, " \t\n\r");
    while (p[0] == '-' && p[1] == '-') {
        p += strcspn(p, "\n");
        p += strspn(p, " \t\n\r");
    }
    return p;
}

/* Letters of other alphabets only in quotes, so that what a command is does not depend on a locale. */
static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Quoted by `quote`, doubled inside. NULL: no closing quote, or nothing in double quotes. */
static const char *quoted(const char *p, char quote, char *to, size_t size, bool *too_long)
{
    size_t n = 0;
    for (p++; *p; p++) {
        if (*p == quote && *++p != quote) {
            to[n < size ? n : size - 1] = '\0';
            *too_long |= n >= size;
            return n == 0 && quote == '"' ? NULL : p;
        }
        if (n < size)
            to[n] = *p;
        n++;
    }
    return NULL;
}

/* A word at p; its end, or NULL when there is none. */
static const char *word(const char *p, char *to, size_t size, bool *too_long)
{
    if (*p == '"')
        return quoted(p, '"', to, size, too_long);
    size_t n = 0;
    while (is_word_char(p[n]))
        n++;
    if (n == 0)
        return NULL;
    size_t copy = n < size ? n : size - 1;
    memcpy(to, p, copy);
    to[copy] = '\0';
    *too_long |= n >= size;
    return p + n;
}

static bool at_end(const char *p)
{
    p = skip_space(p);
    if (*p == ';')
        p = skip_space(p + 1);
    return *p == '\0';
}

/* Words are parted by white space; a quote ends an unquoted word only together with it. */
static const char *next_word(const char *p, char *to, size_t size, bool *too_long)
{
    const char *q = skip_space(p);
    return q == p ? NULL : word(q, to, size, too_long);
}

/* After "SET". */
static PwErr parse_set(const char *p, AdminRequest *r, bool *too_long)
{
    p = next_word(p, r->arg, sizeof(r->arg), too_long);
    if (!p)
        return PW_ERR_SYNTAX;
    const char *q = skip_space(p);
    if (*q == '=')
        q++;
    else if (q != p && strncasecmp(q, "to", 2) == 0 && !is_word_char(q[2]))
        q += 2;
    else
        return PW_ERR_SYNTAX;
    q = skip_space(q);
    if (*q == '\'')
        q = quoted(q, '\'', r->value, sizeof(r->value), too_long);
    else
        q = word(q, r->value, sizeof(r->value), too_long);
    return q && at_end(q) ? PW_OK : PW_ERR_SYNTAX;
}

static PwErr parse(const char *p, AdminRequest *r, bool *too_long)
{
    if (at_end(p))
        return PW_OK;
    p = word(skip_space(p), r->word, sizeof(r->word), too_long);
    if (!p)
        return PW_ERR_SYNTAX;
    if (strcasecmp(r->word, "set") == 0) {
        r->is_set = true;
        return parse_set(p, r, too_long);
    }
    if (at_end(p))
        return PW_OK;
    p = next_word(p, r->arg, sizeof(r->arg), too_long);
    if (!p)
        return PW_ERR_SYNTAX;
    if (at_end(p))
        return PW_OK;
    p = next_word(p, r->extra, sizeof(r->extra), too_long);
    return p && at_end(p) ? PW_OK : PW_ERR_SYNTAX;
}

PwErr admin_parse(const char *text, AdminRequest *ret_request)
{
    AdminRequest r;
    memset(&r, 0, sizeof(r));
    bool too_long = false;
    PwErr err = parse(text, &r, &too_long);
    if (!err && too_long)
        err = PW_ERR_TOO_LARGE;
    if (!err)
        *ret_request = r;
    return err;
}
