/* SPDX-License-Identifier: ISC */
#include "advisor/cost/bind.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "advisor/catalog/stats.h"
#include "advisor/text.h"

/* A value of a type, for parameters that are compared with no column. */
typedef struct TypeSample {
    const char *type;
    const char *literal;
} TypeSample;

static const TypeSample type_samples[] = {
    {"bigint", "1"},       {"int8", "1"},     {"integer", "1"},          {"int4", "1"},        {"smallint", "1"},
    {"int2", "1"},         {"numeric", "1"},  {"double precision", "1"}, {"float8", "1"},      {"real", "1"},
    {"float4", "1"},       {"oid", "1"},      {"boolean", "true"},       {"bool", "true"},     {"date", "'2000-01-01'"},
    {"timestamp", "'2000-01-01 00:00:00'"},   {"timestamptz", "'2000-01-01 00:00:00+00'"},
    {"interval", "'1 day'"}, {"time", "'00:00:00'"}, {"timetz", "'00:00:00+00'"},
    {"uuid", "'00000000-0000-0000-0000-000000000000'"}, {"json", "'{}'"}, {"jsonb", "'{}'"},
    {"inet", "'10.0.0.1'"}, {"cidr", "'10.0.0.0/8'"}, {"bytea", "'\\x00'"}, {"xml", "'<a/>'"},
    {"text", "'a'"},       {"varchar", "'a'"}, {"bpchar", "'a'"},        {"regclass", "'pg_class'"},
    {"point", "'(0,0)'"},  {"tsquery", "'a'"}, {"tsvector", "'a'"},      {"bit", "'0'"},       {"money", "'1'"},
    {"box", "'((0,0),(1,1))'"}, {"circle", "'<(0,0),1>'"}, {"polygon", "'((0,0),(1,0),(1,1))'"}, {"path", "'((0,0),(1,1))'"},
    {"lseg", "'((0,0),(1,1))'"}, {"line", "'{1,1,0}'"}, {"macaddr", "'08:00:2b:01:02:03'"}, {"macaddr8", "'08:00:2b:01:02:03:04:05'"},
    {"varbit", "'0'"},     {"pg_lsn", "'0/0'"}, {"jsonpath", "'$.a'"},
};

const char *adv_type_sample(const char *type)
{
    size_t n = strlen(type);
    for (size_t i = 0; i < PW_ARRAY_LEN(type_samples); i++)
        if (strcmp(type_samples[i].type, type) == 0)
            return type_samples[i].literal;
    if (n > 2 && strcmp(type + n - 2, "[]") == 0)
        return "'{}'";
    if (strncmp(type, "timestamp", 9) == 0 || strncmp(type, "date", 4) == 0)
        return "'2000-01-01'";
    if (strncmp(type, "time", 4) == 0)
        return "'00:00:00'";
    if (strncmp(type, "character", 9) == 0)
        return "'a'";
    return NULL;
}

static const char *literal_of(AdvArena *arena, const AdvColumn *column, const char *value, bool quoted)
{
    AdvText text;
    adv_text_init(&text, arena);
    bool number = column->category == 'N' && value[0] && strspn(value, "0123456789.-") == strlen(value);
    if (number && !quoted)
        adv_text_addf(&text, value[0] == '-' ? "(%s)" : "%s", value);
    else
        adv_text_add_literal(&text, value);
    return adv_text_get(&text);
}

static const char *pattern(AdvArena *arena, const char *value, bool infix)
{
    AdvText text;
    adv_text_init(&text, arena);
    /* Half of a value, as people type before they look. */
    size_t n = (strlen(value) + 1) / 2;
    if (n > 12)
        n = 12;
    while (n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80)
        n--;
    const char *head = adv_arena_strndup(arena, value, n);
    if (strpbrk(head, "%_\\") || n == 0)
        head = "abc";
    adv_text_add_literal(&text, adv_arena_printf(arena, infix ? "%%%s%%" : "%s%%", head));
    return adv_text_get(&text);
}

/* A range gets about a twentieth of the rows, near the upper end, where queries for recent rows look. */
static const char *range_value(const AdvFacts *facts, const AdvParam *param, const AdvColumn *column)
{
    bool both = false;
    for (int i = 0; i < facts->n_params; i++) {
        const AdvParam *other = &facts->params[i];
        if (other->pred == ADV_PRED_RANGE && other->rel == param->rel && other->column == param->column &&
            other->upper != param->upper)
            both = true;
    }
    if (both)
        return adv_column_quantile(column, param->upper ? 0.95 : 0.90);
    return adv_column_quantile(column, param->upper ? 0.05 : 0.95);
}

static const char *list_value(AdvBinding *b, const AdvTable *table, const AdvParam *param, bool array)
{
    const AdvColumn *column = adv_column(table, param->column);
    AdvText text;
    adv_text_init(&text, b->arena);
    for (int i = 0; i < 3; i++) {
        const char *value = adv_column_typical(table, param->column, i);
        if (!value)
            return NULL;
        adv_text_addf(&text, "%s%s", i ? ", " : "", literal_of(b->arena, column, value, false));
    }
    if (!array)
        return adv_text_get(&text);
    return adv_arena_printf(b->arena, "(ARRAY[%s]::%s[])", adv_text_get(&text), column->type);
}

static const char *column_value(AdvBinding *b, const AdvParam *param, const AdvTable *table)
{
    const AdvColumn *column = adv_column(table, param->column);
    bool quoted = param->type && *param->type;
    const char *value = NULL;
    if (param->table)
        value = adv_column_typical(table, param->column, 0);
    else if (param->pred == ADV_PRED_IN)
        return list_value(b, table, param, param->is_list);
    else if (param->pred == ADV_PRED_RANGE)
        value = range_value(b->query->facts, param, column);
    else if (param->pred == ADV_PRED_PREFIX || param->pred == ADV_PRED_INFIX) {
        value = adv_column_typical(table, param->column, 0);
        return value ? pattern(b->arena, value, param->pred == ADV_PRED_INFIX) : NULL;
    } else
        value = adv_column_typical(table, param->column, 0);
    if (!value)
        return NULL;
    value = literal_of(b->arena, column, value, quoted);
    return param->operand && !quoted ? adv_arena_printf(b->arena, "%s::%s", value, column->type) : value;
}

static const char *first_value(AdvBinding *b, const AdvParam *param, bool *ret_known)
{
    const AdvFacts *facts = b->query->facts;
    *ret_known = true;
    if (param->is_limit) {
        double rows = b->query->rows_per_call;
        return adv_arena_printf(b->arena, "%.0f", rows >= 1 && rows < 1e6 ? rows : 20);
    }
    if (param->is_offset)
        return "0";
    if (param->hint)
        return param->hint;
    const AdvTable *table = param->table ? param->table : param->rel >= 0 ? facts->rels[param->rel].table : NULL;
    bool typed = param->type && *param->type;
    const AdvColumn *column = table && param->column ? adv_column(table, param->column) : NULL;
    /* date $1 compared with a column takes the column's values, interval $1 does not. */
    bool fits = column && (!typed || strcmp(param->type, column->base_type) == 0 ||
                           (column->category == 'D' && strcmp(param->type, "interval") != 0 &&
                            (strncmp(param->type, "timestamp", 9) == 0 || strcmp(param->type, "date") == 0)) ||
                           column->category == 'N' || column->category == 'S');
    const char *value = fits ? column_value(b, param, table) : NULL;
    if (value)
        return value;
    const char *type = typed ? param->type : column ? column->base_type : NULL;
    if (type) {
        const char *sample = adv_type_sample(type);
        /* date $1 needs a quoted value whatever the type is. */
        if (sample && typed && sample[0] != '\'')
            sample = adv_arena_printf(b->arena, "'%s'", sample);
        if (sample)
            return sample;
    }
    *ret_known = false;
    return param->pred == ADV_PRED_PREFIX && column ? "'abc%'" : "'1'";
}

void adv_binding_build(AdvBinding *b)
{
    const char *source = b->query->text;
    const AdvFacts *facts = b->query->facts;
    AdvText text;
    adv_text_init(&text, b->arena);
    size_t at = 0, len = strlen(source);
    for (int i = 0; i < b->n_slots; i++) {
        AdvSlot *slot = &b->slots[i];
        size_t location = (size_t)facts->params[slot->param].location;
        if (location < at || location >= len || source[location] != '$')
            continue;
        adv_text_add_n(&text, source + at, location - at);
        slot->start = text.len;
        adv_text_add(&text, slot->value);
        slot->end = text.len;
        at = location + 1;
        while (at < len && isdigit((unsigned char)source[at]))
            at++;
    }
    adv_text_add_n(&text, source + at, len - at);
    b->text = adv_text_get(&text);
}

static int compare_slots(const void *a, const void *b)
{
    const AdvSlot *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* date $1: the grammar wants a string there, of whatever type. */
static bool is_typed_literal(const char *text, const AdvParam *param)
{
    size_t at = (size_t)param->location;
    if (!param->type || !*param->type)
        return false;
    while (at > 0 && isspace((unsigned char)text[at - 1]))
        at--;
    size_t end = at;
    while (at > 0 && (isalnum((unsigned char)text[at - 1]) || text[at - 1] == '_'))
        at--;
    /* WHERE $1::date, CASE WHEN $1::int: a keyword is no type. */
    const char *word = text + at;
    size_t n = end - at;
    static const char *const types[] = {"bit", "bool", "boolean", "box", "bytea", "cidr", "circle", "date", "float", "inet", "int", "integer", "interval", "json",
                                        "jsonb", "jsonpath", "line", "lseg", "macaddr", "numeric", "path", "point", "polygon", "precision", "real", "text",
                                        "time", "timestamp", "timestamptz", "tsquery", "uuid", "varchar", "xml", "zone"};
    for (size_t i = 0; i < PW_ARRAY_LEN(types); i++)
        if (strlen(types[i]) == n && strncasecmp(types[i], word, n) == 0)
            return true;
    return false;
}

void adv_binding_init(AdvBinding *b, AdvArena *arena, const AdvCatalog *catalog, const AdvQuery *query)
{
    const AdvFacts *facts = query->facts;
    *b = (AdvBinding){.arena = arena, .catalog = catalog, .query = query, .text = query->text};
    if (facts->n_params == 0)
        return;
    b->slots = ADV_NEW_ARRAY(arena, AdvSlot, facts->n_params);
    for (int i = 0; i < facts->n_params; i++) {
        AdvSlot *slot = &b->slots[b->n_slots++];
        slot->param = i;
        slot->start = (size_t)facts->params[i].location;
        slot->value = first_value(b, &facts->params[i], &slot->known);
        slot->quoted = is_typed_literal(query->text, &facts->params[i]);
        /* A parameter that is used twice has one value: what one place knows, the other takes. */
        for (int k = 0; !slot->known && k < facts->n_params; k++) {
            bool known;
            if (k == i || facts->params[k].number != facts->params[i].number || facts->params[k].type)
                continue;
            const char *value = first_value(b, &facts->params[k], &known);
            if (known) {
                slot->value = value;
                break;
            }
        }
    }
    qsort(b->slots, (size_t)b->n_slots, sizeof(*b->slots), compare_slots);
    adv_binding_build(b);
}
