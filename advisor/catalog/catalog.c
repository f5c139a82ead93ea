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

/* Without the casts that the server adds to columns and constants. */
static char *without_casts(AdvArena *arena, const char *text)
{
    char *plain = adv_arena_strdup(arena, text), *out = plain;
    for (const char *p = text; *p;) {
        size_t name = word_length(p + 1);
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
        } else if (strncmp(p, "::", 2) == 0 && word_length(p + 2) > 0) {
            type = p + 2 + word_length(p + 2);
            if (strncmp(p + 2, "character varying", 17) == 0)
                type = p + 2 + 17;
            else if (strncmp(type, " without time zone", 18) == 0)
                type += 18;
            else if (strncmp(type, " with time zone", 15) == 0)
                type += 15;
            p = type;
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
