/* SPDX-License-Identifier: ISC */
#include "pooler/session/settings.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "poolwise/err.h"
#include "poolwise/mem.h"
#include "poolwise/refs.h"

/* text: for each setting 's' (SQL) or 'f' (flat), its name and its value, each with a NUL; in the order of names. */
struct Settings {
    PwRefs refs;
    bool beyond_ascii, temp_path;
    size_t len;
    char text[];
};

static _Atomic(uint64_t) total_bytes;

const Settings *settings_ref(const Settings *s)
{
    if (s)
        pw_refs_take(&s->refs);
    return s;
}

void settings_unref(const Settings *s)
{
    if (!s || !pw_refs_drop(&s->refs))
        return;
    atomic_fetch_sub_explicit(&total_bytes, sizeof(*s) + s->len, memory_order_relaxed);
    free((Settings *)(uintptr_t)s);
}

uint64_t settings_bytes(void)
{
    return atomic_load_explicit(&total_bytes, memory_order_relaxed);
}

bool settings_next(const Settings *s, size_t *pos, Setting *ret)
{
    if (!s || *pos >= s->len)
        return false;
    const char *p = s->text + *pos;
    ret->flat = *p++ == 'f';
    ret->name = p;
    ret->value = p + strlen(p) + 1;
    *pos = (size_t)(ret->value + strlen(ret->value) + 1 - s->text);
    return true;
}

static bool find(const Settings *s, const char *name, Setting *ret)
{
    for (size_t pos = 0; settings_next(s, &pos, ret);)
        if (strcmp(ret->name, name) == 0)
            return true;
    return false;
}

const char *settings_get(const Settings *s, const char *name)
{
    Setting at;
    return find(s, name, &at) ? at.value : NULL;
}

char *settings_name(const char *spelled)
{
    static const char *const old_names[][2] = {{"sort_mem", "work_mem"}, {"vacuum_mem", "maintenance_work_mem"}};
    char *name = pw_xstrdup(spelled);
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 32);
    for (size_t i = 0; i < PW_ARRAY_LEN(old_names); i++)
        if (strcmp(name, old_names[i][0]) == 0) {
            free(name);
            return pw_xstrdup(old_names[i][1]);
        }
    return name;
}

bool settings_name_passes(const char *name)
{
    return strcmp(name, "transaction_isolation") == 0 || strcmp(name, "transaction_read_only") == 0 ||
           strcmp(name, "transaction_deferrable") == 0 || strcmp(name, "seed") == 0;
}

bool settings_beyond_ascii(const Settings *s)
{
    return s && s->beyond_ascii;
}

bool settings_temp_path(const Settings *s)
{
    return s && s->temp_path;
}

bool settings_mention_temp(const char *text, size_t n)
{
    static const char word[] = "pg_temp";
    for (size_t i = 0; i + sizeof(word) - 1 <= n; i++)
        if (strncasecmp(text + i, word, sizeof(word) - 1) == 0)
            return true;
    return false;
}

/* What is asked about each set often is looked up once. */
static void take_note(Settings *s)
{
    const char *path = settings_get(s, "search_path");
    s->temp_path = path && settings_mention_temp(path, strlen(path));
    s->beyond_ascii = false;
    for (size_t i = 0; i < s->len; i++)
        s->beyond_ascii |= (uint8_t)s->text[i] >= 0x80;
}

static bool is_same(const Setting *a, const Setting *b)
{
    return a->flat == b->flat && strcmp(a->value, b->value) == 0;
}

static void put(PwBuf *out, const Setting *at)
{
    pw_buf_append_u8(out, at->flat ? 'f' : 's');
    pw_buf_append_cstr(out, at->name);
    pw_buf_append_cstr(out, at->value);
}

static const Settings *make(PwBuf *text)
{
    size_t n = pw_buf_unread(text);
    Settings *s = NULL;
    if (n) {
        s = pw_xmalloc(sizeof(*s) + n);
        pw_refs_init(&s->refs);
        s->len = n;
        memcpy(s->text, pw_buf_head(text), n);
        take_note(s);
        atomic_fetch_add_explicit(&total_bytes, sizeof(*s) + n, memory_order_relaxed);
    }
    pw_buf_finish(text);
    return s;
}

bool settings_put(const Settings **set, const char *name, const char *value, bool flat)
{
    const Settings *old = *set;
    Setting at, wanted = {name, value, flat};
    bool had = find(old, name, &at);
    if (had ? value && is_same(&at, &wanted) : !value)
        return true;
    PwBuf text;
    pw_buf_init(&text);
    bool done = !value;
    for (size_t pos = 0; settings_next(old, &pos, &at);) {
        int order = strcmp(at.name, name);
        if (!done && order > 0) {
            put(&text, &wanted);
            done = true;
        }
        if (order != 0)
            put(&text, &at);
    }
    if (!done)
        put(&text, &wanted);
    if (pw_buf_unread(&text) > SETTINGS_MAX_BYTES) {
        pw_buf_finish(&text);
        return false;
    }
    *set = make(&text);
    settings_unref(old);
    return true;
}

bool settings_equal(const Settings *a, const Settings *b)
{
    if (a == b)
        return true;
    return a && b && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* ---- replay ---- */

static const char AUTH[] = "session_authorization", ROLE[] = "role";

bool settings_is_identity(const char *name)
{
    return strcmp(name, AUTH) == 0 || strcmp(name, ROLE) == 0;
}

static bool differs(const Settings *from, const Settings *to, const char *name)
{
    Setting a, b;
    bool in_from = find(from, name, &a), in_to = find(to, name, &b);
    return in_from != in_to || (in_from && !is_same(&a, &b));
}

/* Between $pw$ and $pw$, or $pw1$ and $pw1$, ... */
static void append_dollar_quoted(PwBuf *sql, const char *value)
{
    char tag[16] = "$pw";
    for (unsigned n = 1; strstr(value, tag); n++)
        snprintf(tag, sizeof(tag), "$pw%u", n);
    pw_buf_append_str(sql, tag);
    pw_buf_append_u8(sql, '$');
    pw_buf_append_str(sql, value);
    pw_buf_append_str(sql, tag);
    pw_buf_append_u8(sql, '$');
}

/* A backslash may be the second byte of a character (SJIS, BIG5, GBK), which must not be doubled; no other byte that counts here may. */
void settings_append_literal(PwBuf *sql, const char *value)
{
    if (strchr(value, '\\')) {
        append_dollar_quoted(sql, value);
        return;
    }
    pw_buf_append_u8(sql, '\'');
    for (const char *p = value; *p; p++) {
        if (*p == '\'')
            pw_buf_append_u8(sql, '\'');
        pw_buf_append_u8(sql, (uint8_t)*p);
    }
    pw_buf_append_u8(sql, '\'');
}

void settings_append_identifier(PwBuf *sql, const char *name)
{
    pw_buf_append_u8(sql, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            pw_buf_append_u8(sql, '"');
        pw_buf_append_u8(sql, (uint8_t)*p);
    }
    pw_buf_append_u8(sql, '"');
}

static void append_set(PwBuf *sql, const Setting *at)
{
    if (at->flat) {
        pw_buf_append_str(sql, "SELECT pg_catalog.set_config(");
        settings_append_literal(sql, at->name);
        pw_buf_append_u8(sql, ',');
        settings_append_literal(sql, at->value);
        pw_buf_append_str(sql, ",false);");
        return;
    }
    pw_buf_append_str(sql, "SET ");
    settings_append_identifier(sql, at->name); /* "app.user" is the same setting as app.user */
    pw_buf_append_str(sql, " TO ");
    pw_buf_append_str(sql, at->value);
    pw_buf_append_u8(sql, ';');
}

bool settings_sql_before(const Settings *from, const Settings *to, PwBuf *sql)
{
    bool auth = differs(from, to, AUTH);
    bool any = false;
    if (settings_get(from, ROLE) && (auth || differs(from, to, ROLE))) {
        pw_buf_append_str(sql, "RESET ROLE;");
        any = true;
    }
    if (auth && settings_get(from, AUTH)) {
        pw_buf_append_str(sql, "RESET SESSION AUTHORIZATION;");
        any = true;
    }
    return any;
}

bool settings_resets(const Settings *from, const Settings *to)
{
    Setting at, other;
    for (size_t pos = 0; settings_next(from, &pos, &at);)
        if (!find(to, at.name, &other))
            return true;
    return false;
}

bool settings_sql_resets(const Settings *from, const Settings *to, PwBuf *sql)
{
    Setting at, other;
    bool any = false;
    for (size_t pos = 0; settings_next(from, &pos, &at);) {
        if (settings_is_identity(at.name) || find(to, at.name, &other))
            continue;
        pw_buf_append_str(sql, "RESET ");
        settings_append_identifier(sql, at.name);
        pw_buf_append_u8(sql, ';');
        any = true;
    }
    return any;
}

bool settings_sql_after(const Settings *from, const Settings *to, PwBuf *sql)
{
    Setting at, other;
    bool any = false;
    for (size_t pos = 0; settings_next(to, &pos, &at);) {
        if (settings_is_identity(at.name) || (find(from, at.name, &other) && is_same(&at, &other)))
            continue;
        append_set(sql, &at);
        any = true;
    }
    bool auth = differs(from, to, AUTH);
    if (auth && find(to, AUTH, &at)) {
        append_set(sql, &at);
        any = true;
    }
    if ((auth || differs(from, to, ROLE)) && find(to, ROLE, &at)) {
        append_set(sql, &at);
        any = true;
    }
    return any;
}
