/* SPDX-License-Identifier: ISC */
#include "advisor/source/filter.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>

#include "advisor/source/prefix.h"
#include "poolwise/mem.h"

struct AdvFilter {
    const AdvFilterOptions *options;
    char from[ADV_TIME_MAX + 1], to[ADV_TIME_MAX + 1]; /* "": no limit */
    size_t n_include, n_exclude;
    regex_t *include, *exclude;
};

/* What is left out of a time is its beginning for `from` and its end for `to`: a day is the whole day. */
static bool complete_time(const char *text, bool end, char *out)
{
    const char *rest = end ? "9999-12-31 23:59:59.999" : "0000-01-01 00:00:00.000";
    static const size_t lengths[] = {10, 13, 16, 19, 23};
    static const char form[] = "dddd-dd-dd dd:dd:dd.ddd";
    size_t n = strlen(text);
    bool known = false;
    for (size_t i = 0; i < PW_ARRAY_LEN(lengths); i++)
        known = known || n == lengths[i];
    if (!known)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i] == 'T' && i == 10 ? ' ' : text[i];
        if (form[i] == 'd' ? !isdigit((unsigned char)c) : c != form[i])
            return false;
        out[i] = c;
    }
    memcpy(out + n, rest + n, ADV_TIME_MAX + 1 - n);
    return true;
}

static bool compile(const PwStrList *patterns, regex_t **ret, size_t *ret_n, char **ret_why)
{
    *ret = pw_xcalloc(patterns->n + 1, sizeof(**ret));
    for (size_t i = 0; i < patterns->n; i++) {
        int err = regcomp(&(*ret)[i], patterns->items[i], REG_EXTENDED | REG_ICASE | REG_NOSUB);
        if (err) {
            char why[128];
            regerror(err, &(*ret)[i], why, sizeof(why));
            *ret_why = pw_xasprintf("\"%s\" is no regular expression: %s", patterns->items[i], why);
            return false;
        }
        *ret_n = i + 1;
    }
    return true;
}

PwErr adv_filter_create(const AdvFilterOptions *options, AdvFilter **ret_filter, char **ret_why)
{
    AdvFilter *f = pw_xcalloc(1, sizeof(*f));
    f->options = options;
    const char *bad = options->from && !complete_time(options->from, false, f->from) ? options->from
                      : options->to && !complete_time(options->to, true, f->to)      ? options->to
                                                                                     : NULL;
    if (bad)
        *ret_why = pw_xasprintf("\"%s\" is no time: write 2026-01-31 or \"2026-01-31 12:30:15\", as the log does", bad);
    if (bad || !compile(&options->include, &f->include, &f->n_include, ret_why) || !compile(&options->exclude, &f->exclude, &f->n_exclude, ret_why)) {
        adv_filter_destroy(f);
        return PW_ERR_SYNTAX;
    }
    *ret_filter = f;
    return PW_OK;
}

void adv_filter_destroy(AdvFilter *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_include; i++)
        regfree(&f->include[i]);
    for (size_t i = 0; i < f->n_exclude; i++)
        regfree(&f->exclude[i]);
    free(f->include);
    free(f->exclude);
    free(f);
}

bool adv_filter_asks_entries(const AdvFilter *f)
{
    const AdvFilterOptions *o = f ? f->options : NULL;
    return o && (o->from || o->to || o->databases.n || o->users.n || o->applications.n);
}

const char *adv_filter_prefix(const AdvFilter *f)
{
    return f ? f->options->prefix : NULL;
}

static AdvWanted among(const PwStrList *wanted, AdvSlice name)
{
    if (wanted->n == 0)
        return ADV_WANTED;
    if (!name.p)
        return ADV_UNPLACED;
    for (size_t i = 0; i < wanted->n; i++)
        if (adv_slice_is(name, wanted->items[i]))
            return ADV_WANTED;
    return ADV_UNWANTED;
}

static AdvWanted in_time(const AdvFilter *f, AdvSlice time)
{
    if (!f->from[0] && !f->to[0])
        return ADV_WANTED;
    char text[ADV_TIME_MAX + 1] = "0000-01-01 00:00:00.000"; /* of the latter as much as the log leaves out */
    if (adv_time_text(time, text) == 0)
        return ADV_UNPLACED;
    bool before = f->from[0] && strcmp(text, f->from) < 0, after = f->to[0] && strcmp(text, f->to) > 0;
    return before || after ? ADV_UNWANTED : ADV_WANTED;
}

AdvWanted adv_filter_entry(const AdvFilter *f, AdvEntry *e)
{
    if (!adv_filter_asks_entries(f))
        return ADV_WANTED;
    const AdvFilterOptions *o = f->options;
    if (e->prefix.p && !e->time.p && !(o->prefix && adv_prefix_match(o->prefix, e->prefix, e)))
        adv_prefix_guess(e->prefix, e);
    const AdvWanted all[] = {in_time(f, e->time), among(&o->databases, e->database), among(&o->users, e->user), among(&o->applications, e->application)};
    AdvWanted result = ADV_WANTED;
    for (size_t i = 0; i < PW_ARRAY_LEN(all); i++) {
        if (all[i] == ADV_UNWANTED)
            return ADV_UNWANTED;
        result = all[i] == ADV_UNPLACED ? ADV_UNPLACED : result;
    }
    return result;
}

static bool matches(const regex_t *patterns, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (regexec(&patterns[i], text, 0, NULL, 0) == 0)
            return true;
    return false;
}

bool adv_filter_shape(const AdvFilter *f, const AdvShape *s)
{
    if (!f)
        return true;
    if ((double)s->calls < f->options->min_calls || (double)s->us / 1000 < f->options->min_ms)
        return false;
    const char *text = s->n_samples ? s->samples[0].text : "";
    if (f->n_include && !matches(f->include, f->n_include, text))
        return false;
    return !matches(f->exclude, f->n_exclude, text);
}
