/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/catalog.h"

#include "advisor/text.h"

AdvCatalog *adv_catalog_create(AdvArena *arena)
{
    AdvCatalog *catalog = ADV_NEW(arena, AdvCatalog);
    catalog->arena = arena;
    catalog->settings = (AdvSettings){
        .seq_page_cost = 1.0,
        .random_page_cost = 4.0,
        .cpu_tuple_cost = 0.01,
        .cpu_index_tuple_cost = 0.005,
        .cpu_operator_cost = 0.0025,
        .effective_cache_size = 524288,
        .work_mem = 4.0 * 1024 * 1024,
    };
    catalog->server_version = "";
    catalog->database = "";
    catalog->role = "";
    catalog->stats_age_days = -1;
    return catalog;
}

AdvTable *adv_catalog_find(const AdvCatalog *catalog, const char *schema, const char *name)
{
    AdvTable *best = NULL;
    for (int i = 0; i < catalog->n_tables; i++) {
        AdvTable *table = catalog->tables[i];
        if (strcmp(table->name, name) != 0)
            continue;
        if (schema) {
            if (strcmp(table->schema, schema) == 0)
                return table;
        } else if (table->path_rank >= 0 && (!best || table->path_rank < best->path_rank)) {
            best = table;
        }
    }
    return best;
}

AdvTable *adv_catalog_meant(const AdvCatalog *catalog, const char *schema, const char *name)
{
    AdvTable *only = adv_catalog_find(catalog, schema, name);
    if (only || schema || !catalog->offline)
        return only;
    for (int i = 0; i < catalog->n_tables; i++) {
        if (strcmp(catalog->tables[i]->name, name) != 0)
            continue;
        if (only)
            return NULL;
        only = catalog->tables[i];
    }
    return only;
}

AdvTable *adv_catalog_by_oid(const AdvCatalog *catalog, uint32_t oid)
{
    int lo = 0, hi = catalog->n_tables;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (catalog->tables[mid]->oid < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < catalog->n_tables && catalog->tables[lo]->oid == oid ? catalog->tables[lo] : NULL;
}

static size_t word_length(const char *p)
{
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$");
    return n;
}

/* A type's name, with its schema and quotes where it has them; the last part begins at *ret_last. 0: there is none. */
static size_t type_length(const char *p, size_t *ret_last)
{
    for (size_t n = *ret_last = 0;;) {
        const char *close = p[n] == '"' ? strchr(p + n + 1, '"') : NULL;
        size_t part = close ? (size_t)(close + 1 - (p + n)) : word_length(p + n);
        if (part == 0)
            return 0;
        *ret_last = n;
        n += part;
        if (p[n++] != '.')
            return n - 1;
    }
}

/* Without the casts that the server adds to columns and constants. */
static char *without_casts(AdvArena *arena, const char *text)
{
    char *plain = adv_arena_strdup(arena, text), *out = plain;
    for (const char *p = text; *p;) {
        size_t name = word_length(p + 1), last, cast = strncmp(p, "::", 2) == 0 ? type_length(p + 2, &last) : 0;
        const char *type;
        if (*p == '\'') { /* a constant, whole */
            do {
                *out++ = *p++;
            } while (*p && *p != '\'');
            if (*p)
                *out++ = *p++;
        } else if (*p == '(' && name > 0 && strncmp(p + 1 + name, ")::", 3) == 0) { /* (column)::type */
            memcpy(out, p + 1, name);
            out += name;
            p += name + 2;
        } else if (cast > 0) {
            type = p + 2 + cast;
            if (strncmp(p + 2, "character varying", 17) == 0)
                type = p + 2 + 17;
            else if (strncmp(type, " without time zone", 18) == 0)
                type += 18;
            else if (strncmp(type, " with time zone", 15) == 0)
                type += 15;
            p = strncmp(type, "[]", 2) == 0 ? type + 2 : type;
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
    return plain;
}

const char *adv_predicate_plain(AdvArena *arena, const char *predicate)
{
    if (!predicate)
        return NULL;
    char *plain = without_casts(arena, predicate);
    for (size_t n = strlen(plain); n > 2 && plain[0] == '(' && plain[n - 1] == ')'; n -= 2) {
        int depth = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            depth += (plain[i] == '(') - (plain[i] == ')');
            if (depth == 0)
                return plain; /* the first one closes before the end */
        }
        plain[n - 1] = '\0';
        plain++;
    }
    return plain;
}

/* Types as format_type() and the grammar call them; "": a cast that changes nothing an index would notice. */
static const struct {
    const char *shown, *plain;
} cast_types[] = {{"text[]", ""},      {"text", ""},        {"character varying", ""}, {"regconfig", ""}, {"integer", "int4"}, {"bigint", "int8"},
                  {"smallint", "int2"}, {"boolean", "bool"}, {"double precision", "float8"}, {"real", "float4"}};

/* At "::type"; what stands for it, and where it ends. */
static const char *plain_cast(AdvArena *arena, const char *at, const char **ret_end)
{
    const char *type = at + 2;
    for (size_t i = 0; i < PW_ARRAY_LEN(cast_types); i++) {
        size_t n = strlen(cast_types[i].shown);
        if (strncmp(type, cast_types[i].shown, n) != 0 || word_length(type + n) > 0)
            continue;
        *ret_end = type + n;
        return cast_types[i].plain[0] ? adv_arena_printf(arena, "::%s", cast_types[i].plain) : "";
    }
    size_t last, n = type_length(type, &last);
    *ret_end = type + n;
    return n > 0 ? adv_arena_printf(arena, "::%.*s", (int)(n - last), type + last) : "::";
}

/* Constants as they are, casts in their plain form, (column)::text as column. */
static const char *with_plain_casts(AdvArena *arena, const char *text)
{
    AdvText out;
    adv_text_init(&out, arena);
    for (const char *p = text, *end; *p;) {
        size_t name = *p == '(' ? word_length(p + 1) : 0;
        if (*p == '\'') {
            for (end = p + 1; *end && *end != '\'';)
                end++;
            end += *end != '\0';
            adv_text_add_n(&out, p, (size_t)(end - p));
            p = end;
        } else if (name > 0 && strncmp(p + 1 + name, ")::", 3) == 0 && !*plain_cast(arena, p + 2 + name, &end)) {
            adv_text_add_n(&out, p + 1, name);
            p = end;
        } else if (strncmp(p, "::", 2) == 0) {
            adv_text_add(&out, plain_cast(arena, p, &end));
            p = end;
        } else if (*p == '"' && (p == text || p[-1] == '(') && word_length(p + 1) > 0 && strncmp(p + 1 + word_length(p + 1), "\"(", 2) == 0) {
            adv_text_add_n(&out, p + 1, word_length(p + 1)); /* "left"(...): a function with a keyword's name */
            p += word_length(p + 1) + 2;
        } else {
            adv_text_add_n(&out, p++, 1);
        }
    }
    return adv_text_get(&out);
}

/* Where the parenthesis that `text` begins with is closed; NULL: it does not begin with one, or never. */
static const char *closing(const char *text)
{
    int depth = 0;
    bool quoted = false;
    for (const char *p = text; *p && *text == '('; p++) {
        quoted = quoted != (*p == '\'');
        depth += quoted ? 0 : (*p == '(') - (*p == ')');
        if (depth == 0)
            return p;
    }
    return NULL;
}

/* Without parentheses around all of it. */
static const char *bare(AdvArena *arena, const char *text)
{
    for (const char *end = closing(text); end && !end[1]; end = closing(text))
        text = adv_arena_strndup(arena, text + 1, (size_t)(end - text - 1));
    return text;
}

const char *adv_expression_plain(AdvArena *arena, const char *expression)
{
    if (!expression)
        return NULL;
    const char *plain = bare(arena, with_plain_casts(arena, expression)), *end = closing(plain);
    if (end && strncmp(end + 1, "::", 2) == 0 && word_length(end + 3) == strlen(end + 3)) {
        const char *inner = bare(arena, adv_arena_strndup(arena, plain, (size_t)(end + 1 - plain)));
        return adv_arena_printf(arena, word_length(inner) == strlen(inner) ? "(%s%s)" : "((%s)%s)", inner, end + 1);
    }
    const char *arguments = plain + word_length(plain);
    const char *last = arguments > plain ? closing(arguments) : NULL;
    return last && !last[1] ? plain : adv_arena_printf(arena, "(%s)", plain);
}

int adv_table_column(const AdvTable *table, const char *name)
{
    for (int i = 0; i < table->n_columns; i++)
        if (!table->columns[i].dropped && strcmp(table->columns[i].name, name) == 0)
            return i + 1;
    return 0;
}

AdvTable *adv_catalog_add_table(AdvCatalog *catalog, const char *schema, const char *name, int n_columns)
{
    AdvTable *table = ADV_NEW(catalog->arena, AdvTable);
    table->schema = adv_arena_strdup(catalog->arena, schema);
    table->name = adv_arena_strdup(catalog->arena, name);
    table->kind = 'r';
    table->persistence = 'p';
    table->counted = true;
    table->readable = true;
    table->fill_factor = 100;
    table->vacuum_age = table->analyze_age = -1;
    table->n_columns = n_columns;
    table->columns = ADV_NEW_ARRAY(catalog->arena, AdvColumn, n_columns ? n_columns : 1);
    ADV_ROOM(catalog->arena, catalog->tables, catalog->n_tables);
    catalog->tables[catalog->n_tables++] = table;
    return table;
}

void adv_table_add_index(AdvCatalog *catalog, AdvTable *table, AdvIndex *index)
{
    index->table = table;
    ADV_ROOM(catalog->arena, table->indexes, table->n_indexes);
    table->indexes[table->n_indexes++] = index;
}

const char *adv_table_sql_name(const AdvCatalog *catalog, const AdvTable *table)
{
    AdvText text;
    adv_text_init(&text, catalog->arena);
    if (adv_catalog_find(catalog, NULL, table->name) != table) {
        adv_text_add_ident(&text, table->schema);
        adv_text_add(&text, ".");
    }
    adv_text_add_ident(&text, table->name);
    return adv_text_get(&text);
}

const AdvColumn *adv_column(const AdvTable *table, int column)
{
    return &table->columns[column - 1];
}
