/* SPDX-License-Identifier: ISC */
#include "pooler/session/params.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "pooler/session/settings.h"
#include "poolwise/mem.h"

static char *names[PARAMS_MAX];
static unsigned n_names;

static void add_name(const char *name)
{
    if (n_names < PARAMS_MAX && params_index(name) < 0)
        names[n_names++] = pw_xstrdup(name);
}

void params_names_init(const PwStrList *extra)
{
    for (unsigned i = 0; i < n_names; i++)
        free(names[i]);
    n_names = 0;
    add_name("client_encoding");
    add_name("DateStyle");
    add_name("TimeZone");
    add_name("standard_conforming_strings");
    add_name("application_name");
    for (size_t i = 0; extra && i < extra->n; i++)
        add_name(extra->items[i]);
}

unsigned params_count(void)
{
    return n_names;
}

const char *params_name(unsigned i)
{
    return names[i];
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

void params_init(ParamSet *set)
{
    memset(set, 0, sizeof(*set));
}

void params_finish(ParamSet *set)
{
    for (unsigned i = 0; i < n_names; i++)
        free(set->value[i]);
    params_init(set);
}

void params_set(ParamSet *set, unsigned i, const char *value)
{
    if (pw_str_equal(set->value[i], value))
        return;
    set->digest ^= hash(i, set->value[i]) ^ hash(i, value);
    free(set->value[i]);
    set->value[i] = value ? pw_xstrdup(value) : NULL;
    if (i == PARAM_STANDARD_CONFORMING_STRINGS)
        set->backslashes = value && value[0] == 'o' && value[1] == 'f'; /* on or off */
}

const char *params_get(const ParamSet *set, unsigned i)
{
    return set->value[i];
}

void params_copy(ParamSet *to, const ParamSet *from)
{
    if (to->digest != from->digest)
        for (unsigned i = 0; i < n_names; i++)
            params_set(to, i, from->value[i]);
}

void params_fill_unset(ParamSet *to, const ParamSet *from)
{
    for (unsigned i = 0; i < n_names; i++)
        if (!to->value[i] && from->value[i])
            params_set(to, i, from->value[i]);
}

bool params_diff(const ParamSet *server, const ParamSet *wanted, bool all, PwBuf *sql)
{
    bool any = false;
    if (!all && server->digest == wanted->digest)
        return false;
    for (unsigned i = 0; i < n_names; i++) {
        if (!server->value[i] || !wanted->value[i] || (!all && strcmp(server->value[i], wanted->value[i]) == 0))
            continue;
        any = true;
        pw_buf_append_str(sql, "SET ");
        pw_buf_append_str(sql, names[i]);
        pw_buf_append_u8(sql, '=');
        /* search_path is a list of identifiers as the server reports it, not one string */
        if (strcasecmp(names[i], "search_path") == 0)
            pw_buf_append_str(sql, wanted->value[i][0] ? wanted->value[i] : "''");
        else
            settings_append_literal(sql, wanted->value[i]);
        pw_buf_append_u8(sql, ';');
    }
    return any;
}
