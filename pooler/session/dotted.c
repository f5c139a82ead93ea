/* SPDX-License-Identifier: ISC */
#include "pooler/session/dotted.h"

#include <stdbool.h>

/* PostgreSQL's NAMEDATALEN - 1: a longer one is cut or refused. */
#define NAME_MAX_LEN 63

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool goes_on(char c)
{
    return begins_name(c) || (c >= '0' && c <= '9') || c == '$';
}

static unsigned count(const Settings *names)
{
    Setting at;
    unsigned n = 0;
    for (size_t pos = 0; settings_next(names, &pos, &at);)
        n++;
    return n;
}

static const Settings *add(const Settings *names, const char *text, size_t len)
{
    char name[NAME_MAX_LEN + 1];
    for (size_t i = 0; i < len; i++)
        name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 32 : text[i]);
    name[len] = '\0';
    if (count(names) < DOTTED_MAX)
        settings_put(&names, name, "", true);
    return names;
}

const Settings *dotted_names(const Settings *names, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (!begins_name(bytes[i])) {
            i++;
            continue;
        }
        size_t from = i, dots = 0;
        while (i < n && goes_on(bytes[i])) {
            i++;
            if (i + 1 < n && bytes[i] == '.' && begins_name(bytes[i + 1])) {
                dots++;
                i++;
            }
        }
        if (dots && i - from <= NAME_MAX_LEN)
            names = add(names, bytes + from, i - from);
    }
    return names;
}
