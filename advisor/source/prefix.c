/* SPDX-License-Identifier: ISC */
#include "advisor/source/prefix.h"

#include <ctype.h>
#include <time.h>

#include "poolwise/err.h"

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

/* "1772366400.123", as %n writes it: the length, 0 when it is none. */
static size_t epoch_length(AdvSlice s)
{
    size_t n = 0;
    while (n < s.n && is_digit(s.p[n]))
        n++;
    if (n != 10 || s.n < 14 || s.p[10] != '.' || !is_digit(s.p[11]) || !is_digit(s.p[12]) || !is_digit(s.p[13]) || (s.n > 14 && is_digit(s.p[14])))
        return 0;
    return 14;
}

size_t adv_time_text(AdvSlice s, char *out)
{
    size_t n = adv_time_length(s);
    if (n > 0) {
        n = n < ADV_TIME_MAX ? n : ADV_TIME_MAX;
        memcpy(out, s.p, n);
        out[10] = ' ';
        return n;
    }
    struct tm parts;
    time_t seconds = 0;
    char text[64];
    if (epoch_length(s) == 0)
        return 0;
    for (int i = 0; i < 10; i++)
        seconds = 10 * seconds + (s.p[i] - '0');
    if (!gmtime_r(&seconds, &parts) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) != 19)
        return 0;
    memcpy(out, text, 19);
    memcpy(out + 19, s.p + 10, 4);
    return ADV_TIME_MAX;
}

/* ---- by the setting ---- */

#define ATTEMPTS 200 /* of values that may end in several places */

static size_t span(AdvSlice s, const char *set)
{
    size_t n = 0;
    while (n < s.n && s.p[n] && strchr(set, s.p[n]))
        n++;
    return n;
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

/* %b and %i are words with blanks between them: the kind of the process, what it does. 0: neither. */
static size_t words_length(AdvSlice s, char escape)
{
    static const char *const kinds[] = {"client backend", "parallel worker", "autovacuum launcher", "autovacuum worker", "background writer", "background worker", "io worker",
                                        "logical replication launcher", "logical replication worker", "logical replication apply worker",
                                        "logical replication parallel worker", "logical replication tablesync worker", "slotsync worker", "standalone backend"};
    static const char *const states[] = {"idle in transaction (aborted)", "idle in transaction"};
    const char *const *names = escape == 'b' ? kinds : states;
    size_t count = escape == 'b' ? PW_ARRAY_LEN(kinds) : escape == 'i' ? PW_ARRAY_LEN(states) : 0, n = 0;
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) > n && adv_slice_begins(s, names[i], strlen(names[i])))
            n = strlen(names[i]);
    while (escape == 'i' && n < s.n && (isupper((unsigned char)s.p[n]) || (s.p[n] == ' ' && n > 0 && n + 1 < s.n && isupper((unsigned char)s.p[n + 1]))))
        n++;
    return n;
}

static void store(AdvEntry *e, char escape, AdvSlice value)
{
    while (value.n > 0 && value.p[value.n - 1] == ' ') /* padding, on either side */
        value.n--;
    while (value.n > 0 && value.p[0] == ' ')
        value = adv_slice_from(value, 1);
    switch (escape) {
    case 'm':
    case 't':
    case 'n':
        e->time = value;
        break;
    case 'p':
    case 'c':
        if (!e->pid.p || escape == 'p')
            e->pid = value;
        break;
    case 'u':
        e->user = value;
        break;
    case 'd':
        e->database = value;
        break;
    case 'a':
        e->application = value;
        break;
    default:
        break;
    }
}

static bool match(const char *p, AdvSlice s, AdvEntry *entry, unsigned *attempts);

static bool try_length(const char *p, AdvSlice s, size_t n, char escape, AdvEntry *entry, unsigned *attempts)
{
    AdvEntry own = *entry;
    store(&own, escape, (AdvSlice){s.p, n});
    if (*attempts == 0 || !match(p, adv_slice_from(s, n), &own, attempts)) {
        *attempts -= *attempts > 0;
        return false;
    }
    *entry = own;
    return true;
}

/* A value of any text: it ends where the literal text behind the escape stands, which may be in several places. p is behind the escape. */
static bool match_text(const char *p, AdvSlice s, char escape, AdvEntry *entry, unsigned *attempts)
{
    size_t n = strcspn(p, "%"), words = words_length(s, escape);
    if (words > 0 && try_length(p, s, words, escape, entry, attempts))
        return true;
    if (n == 0)
        return try_length(p, s, *p ? span(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.") : s.n, escape, entry, attempts);
    for (const char *at = s.p; (at = memmem(at, (size_t)(s.p + s.n - at), p, n)) && *attempts > 0; at++)
        if (try_length(p, s, (size_t)(at - s.p), escape, entry, attempts))
            return true;
    return *attempts > 0 && try_length(p, s, s.n, escape, entry, attempts); /* what is at the very end may be missing */
}

/* The length of a value whose form is known; false when it has another one. */
static bool known_length(AdvSlice s, char escape, const char *after, size_t *ret_n)
{
    static const char digits[] = "0123456789";
    switch (escape) {
    case 'm':
    case 't':
    case 's':
        *ret_n = time_with_zone(s);
        return *ret_n > 0;
    case 'n':
        *ret_n = span(s, "0123456789.");
        return true;
    case 'c':
        *ret_n = span(s, "0123456789abcdef.");
        return true;
    default: /* numbers */
        *ret_n = span(s, *after == '-' ? digits : "0123456789-");
        return true;
    }
}

static bool match(const char *p, AdvSlice s, AdvEntry *entry, unsigned *attempts)
{
    while (*p) {
        if (*p == '%' && p[1] && p[1] != '%') {
            p++;
            p += *p == '-';
            bool padded = is_digit(*p), number;
            while (is_digit(*p))
                p++;
            char escape = *p ? *p++ : '%';
            if (escape == 'q' && s.n == 0)
                return true; /* a process without session writes nothing more */
            number = strchr("mtsnplPQxc", escape);
            while (padded && number && s.n > 0 && s.p[0] == ' ')
                s = adv_slice_from(s, 1);
            size_t n = 0;
            if (escape != 'q' && !number)
                return match_text(p, s, escape, entry, attempts);
            if (escape != 'q' && !known_length(s, escape, p, &n))
                return false;
            store(entry, escape, (AdvSlice){s.p, n});
            s = adv_slice_from(s, n);
            continue;
        }
        p += *p == '%';
        if (s.n == 0 || s.p[0] != *p)
            return s.n == 0 && (*p == ' ' || p[1] == '\0');
        s = adv_slice_from(s, 1);
        p++;
    }
    return span(s, " ") == s.n;
}

bool adv_prefix_match(const char *p, AdvSlice text, AdvEntry *entry)
{
    unsigned attempts = ATTEMPTS;
    AdvEntry own = *entry;
    if (!match(p, text, &own, &attempts))
        return false;
    *entry = own;
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
            if (n == 0 && (i == 0 || !is_digit(text.p[i - 1])))
                n = epoch_length(adv_slice_from(text, i));
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
