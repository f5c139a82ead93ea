/* SPDX-License-Identifier: ISC */
#include "advisor/command/problems.h"

#include <assert.h>
#include <stdlib.h>

#include "advisor/json_build.h"
#include "advisor/text.h"

#define CHECK_VERSION 1
#ifndef POOLWISE_VERSION
#define POOLWISE_VERSION "development"
#endif

typedef struct Rule {
    const char *name;
    AdvLevel level;
    const char *title;
} Rule;

static const Rule rules[] = {
    {"missing-index", ADV_LEVEL_ERROR, "A statement needs an index that does not exist"},
    {"redundant-index", ADV_LEVEL_ERROR, "A migration creates an index whose work another one does"},
    {"drops-needed-index", ADV_LEVEL_ERROR, "A migration drops an index that enforces or identifies something"},
    {"drops-used-index", ADV_LEVEL_ERROR, "A migration drops an index that a statement uses"},
    {"foreign-key-unindexed", ADV_LEVEL_ERROR, "A migration leaves a foreign key without an index"},
    {"drops-scanned-index", ADV_LEVEL_WARNING, "A migration drops an index that something has scanned"},
    {"blocking-create", ADV_LEVEL_WARNING, "CREATE INDEX without CONCURRENTLY on a table with rows"},
    {"redundant-index-exists", ADV_LEVEL_NOTE, "The database has an index whose work another one does"},
    {"foreign-key-unindexed-exists", ADV_LEVEL_NOTE, "The database has a foreign key without an index"},
    {"no-index-helps", ADV_LEVEL_NOTE, "A statement is written so that no index helps"},
    {"not-checked", ADV_LEVEL_NOTE, "A statement could not be checked"},
};

static const char *const level_names[] = {
    [ADV_LEVEL_NONE] = "none", [ADV_LEVEL_NOTE] = "note", [ADV_LEVEL_WARNING] = "warning", [ADV_LEVEL_ERROR] = "error"};
static_assert(PW_ARRAY_LEN(level_names) == ADV_LEVEL_COUNT, "one name per level");

void adv_problem_add(AdvProblems *problems, const char *rule, const char *file, int line, const char *message, const char *hint)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(rules); i++)
        if (strcmp(rules[i].name, rule) == 0) {
            ADV_ROOM(problems->arena, problems->items, problems->n);
            problems->items[problems->n++] =
                (AdvProblem){.rule = (int)i, .file = file, .line = line, .message = message ? message : "", .hint = hint};
            return;
        }
    assert(!"a rule without a row");
}

AdvLevel adv_problems_worst(const AdvProblems *problems)
{
    AdvLevel worst = ADV_LEVEL_NONE;
    for (int i = 0; i < problems->n; i++)
        if (rules[problems->items[i].rule].level > worst)
            worst = rules[problems->items[i].rule].level;
    return worst;
}

static int by_place(const void *a, const void *b)
{
    const AdvProblem *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    if (!order)
        order = x->line - y->line;
    if (!order)
        order = x->rule - y->rule;
    return order ? order : strcmp(x->message, y->message);
}

static const char *as_text(const AdvProblems *problems)
{
    AdvText text;
    adv_text_init(&text, problems->arena);
    int counts[ADV_LEVEL_COUNT] = {0};
    for (int i = 0; i < problems->n; i++) {
        const AdvProblem *p = &problems->items[i];
        const Rule *rule = &rules[p->rule];
        counts[rule->level]++;
        /* As compilers say it, so that editors jump there. */
        if (p->line)
            adv_text_addf(&text, "%s:%d: ", p->file, p->line);
        else if (*p->file)
            adv_text_addf(&text, "%s: ", p->file);
        adv_text_addf(&text, "%s: %s [%s]\n", level_names[rule->level], p->message, rule->name);
        for (const char *line = p->hint; line && *line;) {
            size_t n = strcspn(line, "\n");
            adv_text_addf(&text, "    %.*s\n", (int)n, line);
            line += n + (line[n] == '\n');
        }
    }
    adv_text_addf(&text, "%d errors, %d warnings, %d notes\n", counts[ADV_LEVEL_ERROR], counts[ADV_LEVEL_WARNING], counts[ADV_LEVEL_NOTE]);
    return adv_text_get(&text);
}

static const char *as_json(const AdvProblems *problems)
{
    json_t *root = json_object(), *list = json_array();
    for (int i = 0; i < problems->n; i++) {
        const AdvProblem *p = &problems->items[i];
        json_t *o = json_object();
        json_object_set_new(o, "rule", json_string(rules[p->rule].name));
        json_object_set_new(o, "level", json_string(level_names[rules[p->rule].level]));
        json_object_set_new(o, "file", *p->file ? adv_json_text_or_null(p->file) : json_null());
        json_object_set_new(o, "line", p->line ? json_integer(p->line) : json_null());
        json_object_set_new(o, "message", adv_json_text_or_null(p->message));
        json_object_set_new(o, "hint", adv_json_text_or_null(p->hint));
        json_array_append_new(list, o);
    }
    json_object_set_new(root, "version", json_integer(CHECK_VERSION));
    json_object_set_new(root, "worst", json_string(level_names[adv_problems_worst(problems)]));
    json_object_set_new(root, "problems", list);
    return adv_json_print(problems->arena, root, 2);
}

static json_t *sarif_rules(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < PW_ARRAY_LEN(rules); i++)
        json_array_append_new(list, json_pack("{s:s, s:{s:s}, s:{s:s}}", "id", rules[i].name, "shortDescription", "text", rules[i].title,
                                              "defaultConfiguration", "level", level_names[rules[i].level]));
    return list;
}

static json_t *sarif_result(const AdvProblems *problems, const AdvProblem *p)
{
    const char *message = p->hint ? adv_arena_printf(problems->arena, "%s\n%s", p->message, p->hint) : p->message;
    json_t *result = json_object(), *text = json_object();
    json_object_set_new(result, "ruleId", json_string(rules[p->rule].name));
    json_object_set_new(result, "ruleIndex", json_integer(p->rule));
    json_object_set_new(result, "level", json_string(level_names[rules[p->rule].level]));
    json_object_set_new(text, "text", adv_json_text_or_null(message));
    json_object_set_new(result, "message", text);
    if (*p->file) {
        json_t *place = json_pack("{s:{s:o}}", "artifactLocation", "uri", adv_json_text_or_null(p->file));
        if (p->line)
            json_object_set_new(place, "region", json_pack("{s:i}", "startLine", p->line));
        json_object_set_new(result, "locations", json_pack("[{s:o}]", "physicalLocation", place));
    }
    return result;
}

static const char *as_sarif(const AdvProblems *problems)
{
    json_t *results = json_array();
    for (int i = 0; i < problems->n; i++)
        json_array_append_new(results, sarif_result(problems, &problems->items[i]));
    json_t *driver = json_pack("{s:s, s:s, s:o}", "name", "poolwise advisor", "version", POOLWISE_VERSION, "rules", sarif_rules());
    json_t *root = json_pack("{s:s, s:s, s:[{s:{s:o}, s:o}]}", "$schema", "https://json.schemastore.org/sarif-2.1.0.json", "version", "2.1.0", "runs",
                             "tool", "driver", driver, "results", results);
    return adv_json_print(problems->arena, root, 2);
}

const char *adv_problems_print(AdvProblems *problems, AdvFormat format)
{
    if (problems->n > 1)
        qsort(problems->items, (size_t)problems->n, sizeof(*problems->items), by_place);
    switch (format) {
    case ADV_FORMAT_JSON:
        return as_json(problems);
    case ADV_FORMAT_SARIF:
        return as_sarif(problems);
    case ADV_FORMAT_TEXT:
    case ADV_FORMAT_SQL:
    case ADV_FORMAT_MARKDOWN:
    case ADV_FORMAT_HTML:
    case ADV_FORMAT_COUNT:
        break;
    }
    return as_text(problems);
}
