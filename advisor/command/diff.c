/* SPDX-License-Identifier: ISC */
/* diff.c - advisor diff: what changed between two reports in JSON. */
#include "advisor/app_priv.h"
#include "advisor/command/command.h"
#include "advisor/json_build.h"
#include "advisor/source/file.h"
#include "advisor/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DIFF_VERSION 1
#define REPORT_VERSION 1
#define CHANGED 0.1 /* of the gain, in shares of the workload: below it is noise of the statistics */

typedef struct Entry {
    const char *name;  /* what it says: "create index on public.orders (customer_id)"; equal names are the same finding */
    double gain;       /* NAN: has none */
    const char *ddl;
} Entry;

typedef struct Side {
    const char *path;
    json_t *root;
    int n;
    Entry *entries;
} Side;

typedef struct Diff {
    AdvArena *arena;
    Side old, new;
} Diff;

static const char *text_of(const json_t *o, const char *field)
{
    const char *text = json_string_value(json_object_get(o, field));
    return text ? text : "";
}

static const char *columns_of(AdvArena *arena, const json_t *finding)
{
    AdvText text;
    adv_text_init(&text, arena);
    const json_t *keys = json_object_get(finding, "keys"), *include = json_object_get(finding, "include");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *column = text_of(key, "column");
        adv_text_addf(&text, "%s%s%s%s", i ? ", " : "", *column ? column : text_of(key, "expression"),
                      json_is_true(json_object_get(key, "descending")) ? " DESC" : "", json_object_get(key, "operator_class") ? " " : "");
        adv_text_add(&text, text_of(key, "operator_class"));
    }
    for (size_t i = 0; i < json_array_size(include); i++)
        adv_text_addf(&text, "%s%s", i ? ", " : ") INCLUDE (", json_string_value(json_array_get(include, i)));
    return adv_text_get(&text);
}

static void add(Diff *d, Side *side, const char *name, double gain, const char *ddl)
{
    for (int i = 0; i < side->n; i++)
        if (strcmp(side->entries[i].name, name) == 0)
            return;
    ADV_ROOM(d->arena, side->entries, side->n);
    side->entries[side->n++] = (Entry){.name = name, .gain = gain, .ddl = ddl};
}

static void add_finding(Diff *d, Side *side, const json_t *f)
{
    const char *kind = text_of(f, "kind"), *schema = text_of(f, "schema"), *table = text_of(f, "table"), *where = text_of(f, "where");
    double gain = json_is_number(json_object_get(f, "gain")) ? json_number_value(json_object_get(f, "gain")) : NAN;
    const char *name = strcmp(kind, "create") == 0
                           ? adv_arena_printf(d->arena, "create index on %s.%s using %s (%s)%s%s", schema, table, text_of(f, "method"), columns_of(d->arena, f),
                                              *where ? " where " : "", where)
                           : adv_arena_printf(d->arena, "%s %s on %s.%s", kind, text_of(f, "index"), schema, table);
    add(d, side, name, gain, text_of(f, "ddl"));
}

static void add_health(Diff *d, Side *side, const json_t *h)
{
    AdvText name;
    adv_text_init(&name, d->arena);
    adv_text_addf(&name, "%s of %s.%s", text_of(h, "kind"), text_of(h, "schema"), text_of(h, "table"));
    /* A new index's name is made up anew each time; an existing one's says which. */
    if (strcmp(text_of(h, "kind"), "reindex") == 0)
        adv_text_addf(&name, " index %s", text_of(h, "index"));
    const json_t *columns = json_object_get(h, "columns");
    for (size_t i = 0; i < json_array_size(columns); i++)
        adv_text_addf(&name, "%s%s", i ? ", " : " (", json_string_value(json_array_get(columns, i)));
    if (json_array_size(columns))
        adv_text_add(&name, ")");
    add(d, side, adv_text_get(&name), NAN, "");
}

static int read_side(Diff *d, Side *side, const char *path)
{
    const char *why;
    json_error_t error;
    side->path = path;
    char *text = adv_file_read(d->arena, path, &why);
    if (!text)
        return adv_app_fail(ADV_EXIT_INPUT, why);
    side->root = json_loads(text, 0, &error);
    free(text);
    const json_t *findings = json_object_get(side->root, "findings"), *health = json_object_get(side->root, "health"),
                 *unhelped = json_object_get(side->root, "unhelped");
    if (!json_is_array(findings) || !json_is_object(json_object_get(side->root, "workload")))
        return adv_app_fail(ADV_EXIT_INPUT, adv_arena_printf(d->arena, "%s is no report\nhint: make it with advisor report --format json", path));
    if (json_integer_value(json_object_get(side->root, "version")) != REPORT_VERSION)
        return adv_app_fail(ADV_EXIT_INPUT, adv_arena_printf(d->arena, "%s is a report of another version than %d", path, REPORT_VERSION));
    for (size_t i = 0; i < json_array_size(findings); i++)
        add_finding(d, side, json_array_get(findings, i));
    for (size_t i = 0; i < json_array_size(health); i++)
        add_health(d, side, json_array_get(health, i));
    for (size_t i = 0; i < json_array_size(unhelped); i++)
        add(d, side, adv_arena_printf(d->arena, "no index helps: %s", adv_one_line(d->arena, text_of(json_array_get(unhelped, i), "query"), 200)), NAN, "");
    return ADV_EXIT_OK;
}

static const Entry *find(const Side *side, const char *name)
{
    for (int i = 0; i < side->n; i++)
        if (strcmp(side->entries[i].name, name) == 0)
            return &side->entries[i];
    return NULL;
}

static bool is_changed(const Entry *old, const Entry *new)
{
    return isfinite(old->gain) && isfinite(new->gain) && fabs(new->gain - old->gain) >= CHANGED;
}

static double workload_number(const Side *side, const char *field)
{
    return json_number_value(json_object_get(json_object_get(side->root, "workload"), field));
}

static int count_new(const Diff *d)
{
    int n = 0;
    for (int i = 0; i < d->new.n; i++)
        n += !find(&d->old, d->new.entries[i].name);
    return n;
}

static const char *as_text(const Diff *d)
{
    AdvText text;
    adv_text_init(&text, d->arena);
    adv_text_addf(&text, "workload: cost %.0f -> %.0f, with all advice %.0f -> %.0f\n", workload_number(&d->old, "cost_before"),
                  workload_number(&d->new, "cost_before"), workload_number(&d->old, "cost_after"), workload_number(&d->new, "cost_after"));
    for (int i = 0; i < d->new.n; i++)
        if (!find(&d->old, d->new.entries[i].name)) {
            adv_text_addf(&text, "+ %s\n", d->new.entries[i].name);
            if (*d->new.entries[i].ddl)
                adv_text_addf(&text, "      %s\n", adv_one_line(d->arena, d->new.entries[i].ddl, 300));
        }
    for (int i = 0; i < d->old.n; i++)
        if (!find(&d->new, d->old.entries[i].name))
            adv_text_addf(&text, "- %s\n", d->old.entries[i].name);
    for (int i = 0; i < d->new.n; i++) {
        const Entry *old = find(&d->old, d->new.entries[i].name);
        if (old && is_changed(old, &d->new.entries[i]))
            adv_text_addf(&text, "~ %s: saves %.1f %% -> %.1f %%\n", old->name, 100 * old->gain, 100 * d->new.entries[i].gain);
    }
    adv_text_addf(&text, "%d new, %d findings before, %d now\n", count_new(d), d->old.n, d->new.n);
    return adv_text_get(&text);
}

static const char *as_json(const Diff *d)
{
    json_t *root = json_object(), *new = json_array(), *gone = json_array(), *changed = json_array();
    for (int i = 0; i < d->new.n; i++) {
        const Entry *e = &d->new.entries[i], *old = find(&d->old, e->name);
        if (!old)
            json_array_append_new(new, json_pack("{s:s, s:s}", "finding", e->name, "ddl", e->ddl));
        else if (is_changed(old, e))
            json_array_append_new(changed, json_pack("{s:s, s:f, s:f}", "finding", e->name, "gain_before", old->gain, "gain_now", e->gain));
    }
    for (int i = 0; i < d->old.n; i++)
        if (!find(&d->new, d->old.entries[i].name))
            json_array_append_new(gone, json_string(d->old.entries[i].name));
    json_object_set_new(root, "version", json_integer(DIFF_VERSION));
    json_object_set_new(root, "cost_before", json_pack("[f, f]", workload_number(&d->old, "cost_before"), workload_number(&d->new, "cost_before")));
    json_object_set_new(root, "cost_after", json_pack("[f, f]", workload_number(&d->old, "cost_after"), workload_number(&d->new, "cost_after")));
    json_object_set_new(root, "new", new);
    json_object_set_new(root, "gone", gone);
    json_object_set_new(root, "changed", changed);
    return adv_json_print(d->arena, root, 2);
}

int adv_command_diff(const AdvOptions *options, const char *old_path, const char *new_path)
{
    Diff d = {.arena = adv_arena_create()};
    int code = read_side(&d, &d.old, old_path);
    if (!code)
        code = read_side(&d, &d.new, new_path);
    if (!code) {
        const char *text = options->format == ADV_FORMAT_JSON ? as_json(&d) : as_text(&d);
        code = fputs(text, stdout) == EOF || fflush(stdout) == EOF ? adv_app_fail(ADV_EXIT_INTERNAL, "cannot write the answer")
               : count_new(&d)                                     ? ADV_EXIT_PROBLEMS
                                                                   : ADV_EXIT_OK;
    }
    json_decref(d.old.root);
    json_decref(d.new.root);
    adv_arena_destroy(d.arena);
    return code;
}
