/* SPDX-License-Identifier: ISC */
/* lenient.c - numbers that PgBouncer reads in its own way: a file that starts there starts here, with a warning that
 * says what was made of them. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

static int64_t within(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

/* Saturates instead of failing: what is far too large stays large. */
static bool read_whole(const char *text, int base, bool to_the_end, int64_t *ret)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, base);
    if (to_the_end && (end == text || *end != '\0'))
        return false;
    *ret = within(value, -(INT64_C(1) << 40), INT64_C(1) << 40);
    return true;
}

static PwErr set_number(const PwParamRow *row, void *base, int64_t value)
{
    char text[32], why[PW_PARAM_WHY];
    if ((row->flags & PARAM_PORT) != 0)
        value &= 0xffff; /* so many bits does an address have */
    int64_t scale = row->type == PW_PARAM_TIME ? PW_USEC_PER_SEC : 1;
    value = within(value, (row->min + scale - 1) / scale, row->max / scale);
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    return pw_param_set(row, base, text, why);
}

/* An option of [pgbouncer]: whatever strtol() takes whole. Switches are numbers there, and so are two of our times. */
static PwErr bend_option(const PwParamRow *row, void *base, const char *text)
{
    int64_t value;
    bool number = row->type == PW_PARAM_BOOL || row->type == PW_PARAM_INT || (row->flags & PARAM_NUMBER) != 0;
    if (!number || (row->flags & (PARAM_OURS | PARAM_EXACT)) != 0 || !read_whole(text, 0, true, &value))
        return PW_ERR_SYNTAX;
    return set_number(row, base, row->type == PW_PARAM_BOOL ? value != 0 : value);
}

/* A key of a line: the digits that the value begins with, or 0; less than 0 is as if the key were not there. */
static PwErr bend_key(const PwParamRow *row, void *base, const char *text)
{
    int64_t value = 0;
    if (row->type != PW_PARAM_INT && row->type != PW_PARAM_TIME)
        return PW_ERR_SYNTAX;
    (void)read_whole(text, 10, false, &value);
    if ((row->flags & PARAM_PORT) != 0)
        return (value & 0xffff) == 0 ? PW_ERR_RANGE : set_number(row, base, value);
    if (value >= 0)
        return set_number(row, base, value);
    const PwParamTable one = {row, 1};
    pw_params_init(&one, base);
    return PW_OK;
}

PwErr config_set_value(ConfigLoader *loader, PwIniPlace at, const char *where, const PwParamRow *row, void *base,
                       const char *value)
{
    char why[PW_PARAM_WHY];
    if (pw_param_set(row, base, value, why) == PW_OK)
        return PW_OK;
    bool option = base == loader->config;
    PwErr err = option ? bend_option(row, base, value) : bend_key(row, base, value);
    if (err != PW_OK) {
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, option ? config_value_hint(value) : NULL, "%s%s %s",
                    where, row->name, why);
        return err;
    }
    char *taken = pw_param_print(row, base);
    pw_diag_add(loader->diags, PW_DIAG_WARNING, at.file, at.line, NULL, "%s%s %s: taken as %s", where, row->name, why,
                taken ? taken : "if it were not there");
    free(taken);
    return PW_OK;
}
