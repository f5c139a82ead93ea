/* SPDX-License-Identifier: ISC */
#include "advisor/source/prefix.h"

#include <ctype.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t adv_time_length(AdvSlice s)
{
    static const char form[] = "dddd-dd-dd dd:dd:dd";
    if (s.n < strlen(form))
        return 0;
    for (size_t i = 0; i < strlen(form); i++)
        if (form[i] == 'd' ? !is_digit(s.p[i]) : form[i] == ' ' ? s.p[i] != ' ' && s.p[i] != 'T' : s.p[i] != form[i])
            return 0;
    size_t n = strlen(form);
    if (n < s.n && s.p[n] == '.')
        for (n++; n < s.n && is_digit(s.p[n]); n++)
            ;
    return n;
}

/* ---- by the setting ---- */

typedef struct Match {
    AdvSlice rest;
    AdvEntry *entry;
} Match;

static size_t span(AdvSlice s, const char *set)
{
    size_t n = 0;
    while (n < s.n && s.p[n] && strchr(set, s.p[n]))
        n++;
    return n;
}

/* Up to the literal text that the setting has behind the escape. */
static size_t until_literal(AdvSlice s, const char *after)
{
    size_t n = strcspn(after, "%");
    if (n == 0)
        return *after ? span(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.") : s.n;
    const char *at = memmem(s.p, s.n, after, n);
    return at ? (size_t)(at - s.p) : s.n;
}

/* With the name of a time zone behind it, as %m and %t write it: "UTC", "+03", "+05:30", "America/Lima". */
static size_t time_with_zone(AdvSlice s)
{
    size_t n = adv_time_length(s);
    if (n == 0 || n + 1 >= s.n || s.p[n] != ' ' || !(isalpha((unsigned char)s.p[n + 1]) || strchr("+-<", s.p[n + 1])))
        return n;
    bool number = !isalpha((unsigned char)s.p[n + 1]);
    for (n++; n < s.n && (isalnum((unsigned char)s.p[n]) || strchr("+-<>/_", s.p[n])); n++)
        ;
    if (number && n + 2 < s.n && s.p[n] == ':' && is_digit(s.p[n + 1]) && is_digit(s.p[n + 2]) && (n + 3 == s.n || s.p[n + 3] == ' '))
        n += 3;
    return n;
}

static bool match_escape(Match *m, char escape, const char *after)
{
    static const char digits[] = "0123456789";
    AdvSlice s = m->rest;
    size_t n;
    switch (escape) {
    case 'm':
    case 't':
    case 's':
        n = time_with_zone(s);
        if (n == 0)
            return false;
        break;
    case 'n':
        n = span(s, "0123456789.");
        break;
    case 'p':
    case 'l':
    case 'P':
    case 'Q':
    case 'x':
        n = span(s, *after == '-' ? digits : "0123456789-");
        break;
    case 'c':
        n = span(s, "0123456789abcdef.");
        break;
    default:
        n = until_literal(s, after);
        break;
    }
    AdvSlice value = {s.p, n};
    while (value.n > 0 && value.p[value.n - 1] == ' ') /* padding, on either side */
        value.n--;
    while (value.n > 0 && value.p[0] == ' ')
        value = adv_slice_from(value, 1);
    switch (escape) {
    case 'm':
    case 't':
        m->entry->time = value;
        break;
    case 'p':
    case 'c':
        if (!m->entry->pid.p || escape == 'p')
            m->entry->pid = value;
        break;
    case 'u':
        m->entry->user = value;
        break;
    case 'd':
        m->entry->database = value;
        break;
    case 'a':
        m->entry->application = value;
        break;
    default:
        break;
    }
    m->rest = adv_slice_from(s, n);
    return true;
}

bool adv_prefix_match(const char *p, AdvSlice text, AdvEntry *entry)
{
    Match m = {text, entry};
    while (*p) {
        if (*p == '%' && p[1] && p[1] != '%') {
            p++;
            p += *p == '-';
            bool padded = is_digit(*p);
            while (is_digit(*p))
                p++;
            char escape = *p ? *p++ : '%';
            if (escape == 'q' && m.rest.n == 0)
                return true; /* a process without session writes nothing more */
            while (padded && strchr("mtsnplPQxc", escape) && m.rest.n > 0 && m.rest.p[0] == ' ')
                m.rest = adv_slice_from(m.rest, 1);
            if (escape != 'q' && !match_escape(&m, escape, p))
                return false;
            continue;
        }
        p += *p == '%';
        if (m.rest.n == 0 || m.rest.p[0] != *p)
            return m.rest.n == 0 && (*p == ' ' || p[1] == '\0');
        m.rest = adv_slice_from(m.rest, 1);
        p++;
    }
    return true;
}

/* ---- by guessing ---- */

static bool ends_word(char c)
{
    return c == ' ' || c == ',' || c == ':' || c == ']' || c == '[' || c == '|' || c == ';' || c == ')' || c == '(' || c == '\t' || c == '>';
}

static AdvSlice value_of(AdvSlice text, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = text.p, *end = text.p + text.n; (p = memmem(p, (size_t)(end - p), key, n)); p += n) {
        if (p > text.p && !ends_word(p[-1]))
            continue;
        AdvSlice value = {p + n, 0};
        while (value.p + value.n < end && !ends_word(value.p[value.n]))
            value.n++;
        return value;
    }
    return (AdvSlice){0};
}

static AdvSlice guess_pid(AdvSlice text)
{
    for (const char *p = text.p, *end = text.p + text.n; (p = memchr(p, '[', (size_t)(end - p))); p++) {
        AdvSlice digits = {p + 1, 0};
        while (digits.p + digits.n < end && is_digit(digits.p[digits.n]))
            digits.n++;
        if (digits.n > 0 && digits.p + digits.n < end && digits.p[digits.n] == ']')
            return digits;
    }
    AdvSlice named = value_of(text, "pid=");
    if (named.n)
        return named;
    /* A number that stands alone, behind the time. */
    size_t i = 0;
    while (i < text.n && adv_time_length(adv_slice_from(text, i)) == 0)
        i++;
    i += i < text.n ? time_with_zone(adv_slice_from(text, i)) : 0;
    for (; i < text.n; i++)
        if (is_digit(text.p[i])) {
            AdvSlice digits = {text.p + i, 0};
            while (i < text.n && is_digit(text.p[i]))
                i++;
            digits.n = (size_t)(text.p + i - digits.p);
            if (i == text.n || ends_word(text.p[i]))
                return digits;
        }
    return (AdvSlice){0};
}

/* user@database */
static void guess_at(AdvSlice text, AdvEntry *entry)
{
    const char *end = text.p + text.n, *at = memchr(text.p, '@', text.n);
    if (!at)
        return;
    AdvSlice user = {at, 0}, database = {at + 1, 0};
    while (user.p > text.p && !ends_word(user.p[-1])) {
        user.p--;
        user.n++;
    }
    while (database.p + database.n < end && !ends_word(database.p[database.n]))
        database.n++;
    if (!entry->user.p && user.n)
        entry->user = user;
    if (!entry->database.p && database.n)
        entry->database = database;
}

void adv_prefix_guess(AdvSlice text, AdvEntry *entry)
{
    for (size_t i = 0; i < text.n && !entry->time.p; i++)
        if (is_digit(text.p[i])) {
            size_t n = adv_time_length(adv_slice_from(text, i));
            if (n)
                entry->time = (AdvSlice){text.p + i, n};
        }
    static const char *const users[] = {"user=", "usr=", "u="}, *const databases[] = {"db=", "database=", "dbname=", "d="},
                      *const applications[] = {"app=", "application=", "application_name=", "a="};
    for (size_t i = 0; i < 3 && !entry->user.p; i++)
        entry->user = value_of(text, users[i]);
    for (size_t i = 0; i < 4 && !entry->database.p; i++)
        entry->database = value_of(text, databases[i]);
    for (size_t i = 0; i < 4 && !entry->application.p; i++)
        entry->application = value_of(text, applications[i]);
    guess_at(text, entry);
    if (!entry->pid.p)
        entry->pid = guess_pid(text);
}

AdvSlice adv_prefix_pid(const char *log_line_prefix, AdvSlice text)
{
    AdvEntry entry = {0};
    if (log_line_prefix && adv_prefix_match(log_line_prefix, text, &entry))
        return entry.pid;
    return guess_pid(text);
}
