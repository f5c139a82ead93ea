/* SPDX-License-Identifier: ISC */
#include "poolwise/params.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "poolwise/mem.h"

static_assert(sizeof(int) == 4, "enumerations are stored as 32 bit integers");

typedef struct Unit {
    const char *suffix;
    int64_t factor;
} Unit;

static const Unit time_units[] = {
    {"", PW_USEC_PER_SEC},         {"ms", PW_USEC_PER_MSEC},      {"s", PW_USEC_PER_SEC},
    {"min", 60 * PW_USEC_PER_SEC}, {"h", 3600 * PW_USEC_PER_SEC}, {"d", 86400 * PW_USEC_PER_SEC},
};
static const Unit size_units[] = {
    {"", 1},         {"B", 1},        {"kB", 1 << 10},          {"KB", 1 << 10},
    {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", INT64_C(1) << 40},
};

const PwParamRow *pw_param_find(const PwParamTable *table, const char *name)
{
    for (size_t i = 0; i < table->n; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    return NULL;
}

const char *pw_param_nearest(const PwParamTable *table, const char *name)
{
    PwNearest nearest;
    pw_nearest_init(&nearest, name);
    for (size_t i = 0; i < table->n; i++)
        pw_nearest_offer(&nearest, table->rows[i].name);
    return pw_nearest_get(&nearest);
}

/* ---- parsing ------------------------------------------------------------------------------- */

/* Decimal number with a fraction, times the unit behind it; whole results only for what is dropped below one.
 * Integers throughout: 0.1 s is exactly 100000 us. */
static PwErr parse_scaled(const char *text, const Unit *units, size_t n_units, int64_t *ret_value)
{
    const char *p = text;
    int64_t whole = 0, fraction = 0, scale = 1;
    size_t digits = 0;
    for (; *p >= '0' && *p <= '9'; p++, digits++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *p - '0', &whole))
            return PW_ERR_RANGE;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, digits++) {
            if (scale >= 1000000) /* digits behind the millionth change nothing that we keep */
                continue;
            fraction = fraction * 10 + (*p - '0');
            scale *= 10;
        }
    }
    if (digits == 0)
        return PW_ERR_SYNTAX;
    while (*p == ' ' || *p == '\t')
        p++;
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(p, units[i].suffix) != 0)
            continue;
        int64_t value, part;
        if (__builtin_mul_overflow(whole, units[i].factor, &value) ||
            __builtin_mul_overflow(fraction, units[i].factor, &part) ||
            __builtin_add_overflow(value, part / scale, &value))
            return PW_ERR_RANGE;
        *ret_value = value;
        return PW_OK;
    }
    return PW_ERR_SYNTAX;
}

PwErr pw_parse_time(const char *text, PwUsec *ret_usec)
{
    return parse_scaled(text, time_units, PW_ARRAY_LEN(time_units), ret_usec);
}

PwErr pw_parse_size(const char *text, int64_t *ret_bytes)
{
    return parse_scaled(text, size_units, PW_ARRAY_LEN(size_units), ret_bytes);
}

PwErr pw_parse_int(const char *text, int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    if (end == text || *end != '\0')
        return PW_ERR_SYNTAX;
    if (errno == ERANGE)
        return PW_ERR_RANGE;
    *ret_value = value;
    return PW_OK;
}

char *pw_print_time(PwUsec usec)
{
    const char *sign = usec < 0 ? "-" : "";
    uint64_t abs = usec < 0 ? -(uint64_t)usec : (uint64_t)usec;
    unsigned rest = (unsigned)(abs % (uint64_t)PW_USEC_PER_SEC);
    char fraction[16] = "";
    if (rest != 0) {
        int n = snprintf(fraction, sizeof(fraction), ".%06u", rest);
        while (n > 1 && fraction[n - 1] == '0')
            fraction[--n] = '\0';
    }
    return pw_xasprintf("%s%" PRIu64 "%s", sign, abs / (uint64_t)PW_USEC_PER_SEC, fraction);
}

/* ---- storing --------------------------------------------------------------------------------
 * Values are copied with memcpy: the struct's field has exactly the type that params.h names. */

static void store_int(const PwParamRow *row, void *base, int64_t value)
{
    char *at = (char *)base + row->offset;
    switch (row->type) {
    case PW_PARAM_BOOL: {
        bool v = value != 0;
        memcpy(at, &v, sizeof(v));
        return;
    }
    case PW_PARAM_INT:
    case PW_PARAM_ENUM: {
        int v = (int)value;
        memcpy(at, &v, sizeof(v));
        return;
    }
    case PW_PARAM_TIME:
    case PW_PARAM_SIZE:
        memcpy(at, &value, sizeof(value));
        return;
    case PW_PARAM_STR:
    case PW_PARAM_PATH:
    case PW_PARAM_LIST:
    case PW_PARAM_TYPE_COUNT:
        break;
    }
    assert(!"not a number");
}

static int64_t load_int(const PwParamRow *row, const void *base)
{
    const char *at = (const char *)base + row->offset;
    bool b;
    int i;
    int64_t v;
    switch (row->type) {
    case PW_PARAM_BOOL:
        memcpy(&b, at, sizeof(b));
        return b;
    case PW_PARAM_INT:
    case PW_PARAM_ENUM:
        memcpy(&i, at, sizeof(i));
        return i;
    case PW_PARAM_TIME:
    case PW_PARAM_SIZE:
        memcpy(&v, at, sizeof(v));
        return v;
    case PW_PARAM_STR:
    case PW_PARAM_PATH:
    case PW_PARAM_LIST:
    case PW_PARAM_TYPE_COUNT:
        break;
    }
    assert(!"not a number");
    return 0;
}

static bool is_text(const PwParamRow *row)
{
    return row->type == PW_PARAM_STR || row->type == PW_PARAM_PATH;
}

static char *load_text(const PwParamRow *row, const void *base)
{
    char *text;
    memcpy(&text, (const char *)base + row->offset, sizeof(text));
    return text;
}

static void drop_text(const PwParamRow *row, char *text)
{
    if (text != NULL && (row->flags & PW_PARAM_SECRET) != 0)
        pw_wipe(text, strlen(text));
    free(text);
}

static void store_text(const PwParamRow *row, void *base, const char *value)
{
    char *copy = value != NULL ? pw_xstrdup(value) : NULL;
    drop_text(row, load_text(row, base));
    memcpy((char *)base + row->offset, &copy, sizeof(copy));
}

static PwStrList load_list(const PwParamRow *row, const void *base)
{
    PwStrList list;
    memcpy(&list, (const char *)base + row->offset, sizeof(list));
    return list;
}

static void store_list(const PwParamRow *row, void *base, const char *value)
{
    PwStrList old = load_list(row, base), list = {0};
    if (value != NULL)
        pw_str_list_split(&list, value);
    pw_str_list_finish(&old);
    memcpy((char *)base + row->offset, &list, sizeof(list));
}

/* ---- one value ------------------------------------------------------------------------------ */

static PwErr explain(char *why, PwErr err, const char *fmt, ...) PW_PRINTF(3, 4);
static PwErr explain(char *why, PwErr err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, PW_PARAM_WHY, fmt, args);
    va_end(args);
    return err;
}

static PwErr explain_words(const PwParamRow *row, const char *text, char *why)
{
    char words[PW_PARAM_WHY] = "";
    size_t used = 0;
    for (const PwParamWord *w = row->words; w->word != NULL && used < sizeof(words); w++) {
        int n = snprintf(words + used, sizeof(words) - used, "%s%s", used > 0 ? ", " : "", w->word);
        used += (size_t)n;
    }
    return explain(why, PW_ERR_SYNTAX, "must be one of %s, not \"%.40s\"", words, text);
}

static PwErr check_range(const PwParamRow *row, int64_t value, char *why)
{
    if (value >= row->min && value <= row->max)
        return PW_OK;
    bool time = row->type == PW_PARAM_TIME;
    char *low = time ? pw_print_time(row->min) : pw_xasprintf("%" PRId64, row->min);
    char *high = time ? pw_print_time(row->max) : pw_xasprintf("%" PRId64, row->max);
    if (row->max == PW_PARAM_NO_MAX)
        (void)explain(why, PW_ERR_RANGE, "must be at least %s", low);
    else
        (void)explain(why, PW_ERR_RANGE, "must be between %s and %s", low, high);
    free(low);
    free(high);
    return PW_ERR_RANGE;
}

static PwErr parse_number(const PwParamRow *row, const char *text, int64_t *ret_value, char *why)
{
    PwErr err = PW_OK;
    switch (row->type) {
    case PW_PARAM_BOOL:
        err = pw_parse_int(text, ret_value);
        if (err != PW_OK || *ret_value < 0 || *ret_value > 1)
            return explain(why, PW_ERR_SYNTAX, "must be 0 or 1, not \"%.40s\"", text);
        return PW_OK;
    case PW_PARAM_INT:
        err = pw_parse_int(text, ret_value);
        if (err == PW_ERR_SYNTAX)
            return explain(why, err, "must be a whole number, not \"%.40s\"%s", text,
                           text[0] == '0' ? " (a leading 0 means octal)" : "");
        break;
    case PW_PARAM_TIME:
        err = pw_parse_time(text, ret_value);
        if (err == PW_ERR_SYNTAX)
            return explain(why, err,
                           "must be seconds or a number with ms, s, min, h or d, not \"%.40s\"",
                           text);
        break;
    case PW_PARAM_SIZE:
        err = pw_parse_size(text, ret_value);
        if (err == PW_ERR_SYNTAX)
            return explain(why, err,
                           "must be bytes or a number with kB, MB, GB or TB, not \"%.40s\"", text);
        break;
    case PW_PARAM_ENUM:
        for (const PwParamWord *w = row->words; w->word != NULL; w++) {
            if (strcasecmp(w->word, text) == 0) {
                *ret_value = w->value;
                return PW_OK;
            }
        }
        return explain_words(row, text, why);
    case PW_PARAM_STR:
    case PW_PARAM_PATH:
    case PW_PARAM_LIST:
    case PW_PARAM_TYPE_COUNT:
        break;
    }
    if (err != PW_OK)
        return explain(why, err, "is far too large");
    return check_range(row, *ret_value, why);
}

PwErr pw_param_set(const PwParamRow *row, void *base, const char *text, char *why)
{
    if (is_text(row)) {
        if ((int64_t)strlen(text) > row->max)
            return explain(why, PW_ERR_RANGE, "is longer than %" PRId64 " bytes", row->max);
        if ((int64_t)strlen(text) < row->min)
            return explain(why, PW_ERR_RANGE, "must not be empty");
        store_text(row, base, text);
        return PW_OK;
    }
    if (row->type == PW_PARAM_LIST) {
        store_list(row, base, text);
        return PW_OK;
    }
    int64_t value = 0;
    PwErr err = parse_number(row, text, &value, why);
    if (err == PW_OK)
        store_int(row, base, value);
    return err;
}

char *pw_param_print(const PwParamRow *row, const void *base)
{
    if ((row->flags & PW_PARAM_SECRET) != 0)
        return NULL;
    if (is_text(row)) {
        const char *text = load_text(row, base);
        return text != NULL ? pw_xstrdup(text) : NULL;
    }
    if (row->type == PW_PARAM_LIST) {
        PwStrList list = load_list(row, base);
        return list.text != NULL ? pw_xstrdup(list.text) : NULL;
    }
    int64_t value = load_int(row, base);
    if ((row->flags & PW_PARAM_NEGATIVE_UNSET) != 0 && value == -1)
        return NULL;
    if (row->type == PW_PARAM_TIME)
        return pw_print_time(value);
    if (row->type == PW_PARAM_ENUM) {
        for (const PwParamWord *w = row->words; w->word != NULL; w++)
            if (w->value == value)
                return pw_xstrdup(w->word);
        return NULL;
    }
    return pw_xasprintf("%" PRId64, value);
}

static bool lists_equal(const PwStrList *a, const PwStrList *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool pw_param_equal(const PwParamRow *row, const void *a, const void *b)
{
    if (is_text(row))
        return pw_str_equal(load_text(row, a), load_text(row, b));
    if (row->type == PW_PARAM_LIST) {
        PwStrList list_a = load_list(row, a), list_b = load_list(row, b);
        return lists_equal(&list_a, &list_b);
    }
    return load_int(row, a) == load_int(row, b);
}

/* ---- whole structs -------------------------------------------------------------------------- */

void pw_params_init(const PwParamTable *table, void *base)
{
    for (size_t i = 0; i < table->n; i++) {
        const PwParamRow *row = &table->rows[i];
        char why[PW_PARAM_WHY];
        if (row->def == NULL) {
            if ((row->flags & PW_PARAM_NEGATIVE_UNSET) != 0)
                store_int(row, base, -1);
        } else if (pw_param_set(row, base, row->def, why) != PW_OK) {
            fprintf(stderr, "bug: default of \"%s\" %s\n", row->name, why);
            abort();
        }
    }
}

void pw_params_copy(const PwParamTable *table, void *to_zeroed, const void *from)
{
    for (size_t i = 0; i < table->n; i++) {
        const PwParamRow *row = &table->rows[i];
        if (is_text(row)) {
            store_text(row, to_zeroed, load_text(row, from));
        } else if (row->type == PW_PARAM_LIST) {
            PwStrList list = load_list(row, from);
            store_list(row, to_zeroed, list.text);
        } else {
            store_int(row, to_zeroed, load_int(row, from));
        }
    }
}

void pw_params_finish(const PwParamTable *table, void *base)
{
    for (size_t i = 0; i < table->n; i++) {
        const PwParamRow *row = &table->rows[i];
        if (is_text(row))
            store_text(row, base, NULL);
        else if (row->type == PW_PARAM_LIST)
            store_list(row, base, NULL);
    }
}
