/* SPDX-License-Identifier: ISC */
#include "advisor/text.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void adv_text_init(AdvText *text, AdvArena *arena)
{
    memset(text, 0, sizeof(*text));
    text->arena = arena;
}

static void reserve(AdvText *text, size_t more)
{
    if (text->len + more + 1 <= text->cap)
        return;
    size_t cap = text->cap ? text->cap * 2 : 64;
    while (cap < text->len + more + 1)
        cap *= 2;
    text->data = adv_arena_grow(text->arena, text->data, text->len, cap);
    text->cap = cap;
}

void adv_text_add_n(AdvText *text, const char *s, size_t n)
{
    reserve(text, n);
    memcpy(text->data + text->len, s, n);
    text->len += n;
    text->data[text->len] = '\0';
}

void adv_text_add(AdvText *text, const char *s)
{
    adv_text_add_n(text, s, strlen(s));
}

void adv_text_addf(AdvText *text, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n > 0) {
        reserve(text, (size_t)n);
        vsnprintf(text->data + text->len, (size_t)n + 1, fmt, again);
        text->len += (size_t)n;
    }
    va_end(again);
}

const char *adv_text_get(const AdvText *text)
{
    return text->data ? text->data : "";
}

/* Words that PostgreSQL reserves, fully or for types and functions: a column of that name needs quotes. */
static const char *const reserved[] = {
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between",
    "bigint", "binary", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce",
    "collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "dec",
    "decimal", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract",
    "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant", "greatest", "group",
    "grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect",
    "interval", "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit",
    "localtime", "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null",
    "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing",
    "position", "precision", "primary", "real", "references", "returning", "right", "row", "select",
    "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample",
    "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using",
    "values", "varchar", "variadic", "verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat",
    "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize",
    "xmltable",
};

static int compare_words(const void *a, const void *b)
{
    return strcmp((const char *)a, *(const char *const *)b);
}

static bool plain_ident(const char *name)
{
    if (!(islower((unsigned char)name[0]) || name[0] == '_'))
        return false;
    for (const char *p = name; *p; p++)
        if (!(islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_'))
            return false;
    return !bsearch(name, reserved, PW_ARRAY_LEN(reserved), sizeof(reserved[0]), compare_words);
}

void adv_text_add_ident(AdvText *text, const char *name)
{
    if (plain_ident(name)) {
        adv_text_add(text, name);
        return;
    }
    adv_text_add(text, "\"");
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            adv_text_add(text, "\"");
        adv_text_add_n(text, p, 1);
    }
    adv_text_add(text, "\"");
}

const char *adv_quote_ident(AdvArena *arena, const char *name)
{
    AdvText text;
    adv_text_init(&text, arena);
    adv_text_add_ident(&text, name);
    return adv_text_get(&text);
}

void adv_text_add_literal(AdvText *text, const char *value)
{
    /* A backslash needs the E form, which reads the same whatever standard_conforming_strings is. */
    bool escape = strchr(value, '\\') != NULL;
    adv_text_add(text, escape ? "E'" : "'");
    for (const char *p = value; *p; p++) {
        if (*p == '\'' || *p == '\\')
            adv_text_add_n(text, p, 1);
        adv_text_add_n(text, p, 1);
    }
    adv_text_add(text, "'");
}

const char *adv_format_bytes(AdvArena *arena, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < PW_ARRAY_LEN(units)) {
        bytes /= 1024;
        unit++;
    }
    return adv_arena_printf(arena, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

const char *adv_format_seconds(AdvArena *arena, double seconds)
{
    if (seconds < 1.5)
        return "1 s";
    if (seconds < 100)
        return adv_arena_printf(arena, "%.0f s", seconds);
    if (seconds < 100 * 60)
        return adv_arena_printf(arena, "%.0f min", seconds / 60);
    return adv_arena_printf(arena, "%.1f h", seconds / 3600);
}

const char *adv_duration(AdvArena *arena, double days)
{
    double minutes = round(days * 24 * 60), n = minutes < 120 ? fmax(minutes, 1) : minutes < 2 * 24 * 60 ? round(minutes / 60) : round(days);
    const char *unit = minutes < 120 ? "minute" : minutes < 2 * 24 * 60 ? "hour" : "day";
    return adv_arena_printf(arena, "%.0f %s%s", n, unit, n == 1 ? "" : "s");
}
