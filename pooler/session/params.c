/* SPDX-License-Identifier: ISC */
#include "pooler/session/params.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "pooler/session/settings.h"
#include "poolwise/err.h"
#include "poolwise/mem.h"
#include "poolwise/refs.h"

static char *names[PARAMS_MAX], *settings[PARAMS_MAX];
static unsigned n_names;
static bool take_all;

static void add_name(const char *name)
{
    if (n_names == PARAMS_MAX || params_index(name) >= 0)
        return;
    settings[n_names] = settings_name(name);
    names[n_names++] = pw_xstrdup(name);
}

/* The others with GUC_REPORT that a session may set, of PostgreSQL 10 to 18 (session_authorization is a user, not a value). */
static const char *const reported[] = {"IntervalStyle", "default_transaction_read_only", "scram_iterations", "search_path"};

void params_names_init(const PwStrList *extra)
{
    for (unsigned i = 0; i < n_names; i++) {
        free(names[i]);
        free(settings[i]);
    }
    n_names = 0;
    add_name("client_encoding");
    add_name("DateStyle");
    add_name("TimeZone");
    add_name("standard_conforming_strings");
    add_name("application_name");
    take_all = extra && pw_str_list_has(extra, "*");
    for (size_t i = 0; extra && i < extra->n; i++)
        if (strcmp(extra->items[i], "*") != 0)
            add_name(extra->items[i]);
    for (size_t i = 0; take_all && i < PW_ARRAY_LEN(reported); i++)
        add_name(reported[i]);
}

bool params_take_all(void)
{
    return take_all;
}

unsigned params_count(void)
{
    return n_names;
}

const char *params_name(unsigned i)
{
    return names[i];
}

const char *params_setting(unsigned i)
{
    return settings[i];
}

int params_index(const char *name)
{
    for (unsigned i = 0; i < n_names; i++)
        if (strcasecmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static uint64_t hash(unsigned i, const char *value)
{
    return value ? XXH3_64bits_withSeed(value, strlen(value), i + 1) : 0;
}

/* ---- values ---- */

/* The values of one or more sets in one piece of memory, never changed: a client that asked for nothing else at its start
 * has those of its pool's welcome, like all the others. */
typedef struct ParamValues {
    PwRefs refs;
    uint32_t n;    /* names that there were */
    uint32_t at[]; /* from the beginning of the struct; 0: not known. The texts follow */
} ParamValues;

static const char *value_of(const ParamValues *v, unsigned i)
{
    return v && i < v->n && v->at[i] ? (const char *)v + v->at[i] : NULL;
}

static const ParamValues *values_ref(const ParamValues *v)
{
    if (v)
        pw_refs_take(&v->refs);
    return v;
}

static void values_unref(const ParamValues *v)
{
    if (v && pw_refs_drop(&v->refs))
        free((ParamValues *)(uintptr_t)v);
}

static const ParamValues *values_make(const char *const *value)
{
    size_t at = sizeof(ParamValues) + n_names * sizeof(uint32_t), size = at;
    for (unsigned i = 0; i < n_names; i++)
        size += value[i] ? strlen(value[i]) + 1 : 0;
    ParamValues *v = pw_xcalloc(1, size);
    pw_refs_init(&v->refs);
    v->n = n_names;
    for (unsigned i = 0; i < n_names; i++) {
        if (!value[i])
            continue;
        size_t n = strlen(value[i]) + 1;
        memcpy((char *)v + at, value[i], n);
        v->at[i] = (uint32_t)at;
        at += n;
    }
    return v;
}

/* ---- sets ---- */

void params_init(ParamSet *set)
{
    memset(set, 0, sizeof(*set));
}

void params_finish(ParamSet *set)
{
    values_unref(set->values);
    params_init(set);
}

/* Takes a reference over. */
static void set_values(ParamSet *set, const ParamValues *values)
{
    const ParamValues *old = set->values;
    set->values = values;
    const char *conforming = value_of(values, PARAM_STANDARD_CONFORMING_STRINGS);
    set->backslashes = conforming && conforming[0] == 'o' && conforming[1] == 'f'; /* on or off */
    values_unref(old);
}

void params_set(ParamSet *set, unsigned i, const char *value)
{
    const char *all[PARAMS_MAX];
    if (pw_str_equal(value_of(set->values, i), value))
        return;
    for (unsigned k = 0; k < n_names; k++)
        all[k] = value_of(set->values, k);
    set->digest ^= hash(i, all[i]) ^ hash(i, value);
    all[i] = value;
    set_values(set, values_make(all));
}

const char *params_get(const ParamSet *set, unsigned i)
{
    return value_of(set->values, i);
}

void params_copy(ParamSet *to, const ParamSet *from)
{
    if (to->digest == from->digest)
        return;
    to->digest = from->digest;
    set_values(to, values_ref(from->values));
}

void params_fill_unset(ParamSet *to, const ParamSet *from)
{
    const char *all[PARAMS_MAX];
    uint64_t digest = to->digest;
    for (unsigned i = 0; i < n_names; i++) {
        all[i] = value_of(to->values, i);
        if (all[i])
            continue;
        all[i] = value_of(from->values, i);
        digest ^= hash(i, all[i]);
    }
    if (digest == to->digest)
        return;
    to->digest = digest;
    set_values(to, digest == from->digest ? values_ref(from->values) : values_make(all));
}

bool params_diff(const ParamSet *server, const ParamSet *wanted, bool all, PwBuf *sql)
{
    bool any = false;
    if (!all && server->digest == wanted->digest)
        return false;
    for (unsigned i = 0; i < n_names; i++) {
        const char *value = params_get(wanted, i), *there = params_get(server, i);
        if (!there || !value || (!all && strcmp(there, value) == 0))
            continue;
        any = true;
        if (i == PARAM_DATESTYLE && !strchr(value, ',')) /* half of it: the other half is the server's own, not that of the client before */
            pw_buf_append_str(sql, "SET DateStyle=DEFAULT;");
        pw_buf_append_str(sql, "SET ");
        pw_buf_append_str(sql, names[i]);
        pw_buf_append_u8(sql, '=');
        /* search_path is a list of identifiers as the server reports it, not one string */
        if (strcasecmp(names[i], "search_path") == 0)
            pw_buf_append_str(sql, value[0] ? value : "''");
        else
            settings_append_literal(sql, value);
        pw_buf_append_u8(sql, ';');
    }
    return any;
}
