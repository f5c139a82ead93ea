/* SPDX-License-Identifier: ISC */
#include "advisor/candidate/candidate.h"

#include <ctype.h>

#include "advisor/text.h"
#include "poolwise/str.h"

/* A partial index that leaves out less than the rest is no better than a whole one. */
#define MOST_ROWS 0.5

AdvPool *adv_pool_create(AdvArena *arena, AdvCatalog *catalog)
{
    AdvPool *pool = ADV_NEW(arena, AdvPool);
    pool->arena = arena;
    pool->catalog = catalog;
    return pool;
}

static bool same_key(const AdvIndexKey *a, const AdvIndexKey *b, bool reversed)
{
    return a->column == b->column && pw_str_equal(a->expr, b->expr) && (a->desc != b->desc) == reversed &&
           (a->nulls_first != b->nulls_first) == reversed && pw_str_equal(a->opclass, b->opclass) &&
           pw_str_equal(a->collation, b->collation);
}

/* The first n keys alike: all in the same direction, or all reversed (an index is read both ways). */
static bool keys_match(const AdvIndex *a, const AdvIndex *b, int n)
{
    for (int reversed = 0; reversed < 2; reversed++) {
        int i = 0;
        while (i < n && same_key(&a->keys[i], &b->keys[i], reversed))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static bool has_include(const AdvIndex *index, int column)
{
    for (int i = 0; i < index->n_include; i++)
        if (index->include[i] == column)
            return true;
    return false;
}

bool adv_index_has_column(const AdvIndex *index, int column)
{
    for (int i = 0; i < index->n_keys; i++)
        if (index->keys[i].column == column)
            return true;
    return has_include(index, column);
}

bool adv_index_same(const AdvIndex *a, const AdvIndex *b)
{
    if (a->table != b->table || a->n_keys != b->n_keys || a->n_include != b->n_include ||
        strcmp(a->method, b->method) != 0 || !pw_str_equal(a->predicate, b->predicate) ||
        !keys_match(a, b, a->n_keys))
        return false;
    for (int i = 0; i < a->n_include; i++)
        if (!has_include(b, a->include[i]))
            return false;
    return true;
}

/* Of other methods: the same key, and an operator class that knows at least the same operators. */
static bool serves_otherwise(const AdvIndex *wide, const AdvIndex *narrow)
{
    if (wide->table != narrow->table || strcmp(wide->method, narrow->method) != 0 || strcmp(wide->method, "btree") == 0 ||
        (wide->predicate && !pw_str_equal(wide->predicate, narrow->predicate)) || narrow->n_keys != 1)
        return false;
    /* GIN and GiST are searched by any of their columns, hash and BRIN have one that counts. */
    bool any = strcmp(wide->method, "gin") == 0 || strcmp(wide->method, "gist") == 0 || wide->n_keys == 1;
    for (int k = 0; k < wide->n_keys && any; k++) {
        const AdvIndexKey *a = &wide->keys[k], *b = &narrow->keys[0];
        bool knows = pw_str_equal(a->opclass, b->opclass) || (!a->opclass && b->opclass && strcmp(b->opclass, "jsonb_path_ops") == 0);
        if (a->column == b->column && pw_str_equal(a->expr, b->expr) && knows)
            return true;
    }
    return false;
}

bool adv_index_serves(const AdvIndex *wide, const AdvIndex *narrow)
{
    if (serves_otherwise(wide, narrow))
        return true;
    if (wide->table != narrow->table || strcmp(wide->method, "btree") != 0 || strcmp(narrow->method, "btree") != 0 ||
        wide->n_keys < narrow->n_keys || !keys_match(wide, narrow, narrow->n_keys))
        return false;
    if (wide->predicate ? !pw_str_equal(wide->predicate, narrow->predicate) : narrow->predicate && narrow->rows < MOST_ROWS * narrow->table->rows)
        return false;
    for (int i = 0; i < narrow->n_include; i++)
        if (!adv_index_has_column(wide, narrow->include[i]))
            return false;
    return true;
}

const AdvIndex *adv_index_served_by_existing(const AdvIndex *def)
{
    for (int i = 0; i < def->table->n_indexes; i++)
        if (def->table->indexes[i]->valid && adv_index_serves(def->table->indexes[i], def))
            return def->table->indexes[i];
    return NULL;
}

/* `trgm_schema`: quoted, where pg_trgm is not on the search_path; NULL. */
static void add_key(AdvText *text, const AdvTable *table, const AdvIndexKey *key, const char *trgm_schema)
{
    if (key->expr) {
        /* A function call may stand bare, anything else needs parentheses; ours bring their own. */
        bool bare = key->expr[0] == '(' || (isalpha((unsigned char)key->expr[0]) && strchr(key->expr, '('));
        adv_text_addf(text, bare ? "%s" : "(%s)", key->expr);
    } else {
        adv_text_add_ident(text, adv_column(table, key->column)->name);
    }
    if (key->collation)
        adv_text_addf(text, " COLLATE %s", key->collation);
    if (key->opclass && trgm_schema && strcmp(key->opclass, "gin_trgm_ops") == 0)
        adv_text_addf(text, " %s.%s", trgm_schema, key->opclass);
    else if (key->opclass)
        adv_text_addf(text, " %s", key->opclass);
    if (key->desc)
        adv_text_add(text, key->nulls_first ? " DESC" : " DESC NULLS LAST");
    else if (key->nulls_first)
        adv_text_add(text, " NULLS FIRST");
}

static void add_columns(AdvText *text, const AdvIndex *index, const char *trgm_schema)
{
    adv_text_add(text, "(");
    for (int i = 0; i < index->n_keys; i++) {
        if (i)
            adv_text_add(text, ", ");
        add_key(text, index->table, &index->keys[i], trgm_schema);
    }
    adv_text_add(text, ")");
    for (int i = 0; i < index->n_include; i++) {
        adv_text_add(text, i ? ", " : " INCLUDE (");
        adv_text_add_ident(text, adv_column(index->table, index->include[i])->name);
    }
    if (index->n_include)
        adv_text_add(text, ")");
    if (index->predicate)
        adv_text_addf(text, " WHERE %s", index->predicate);
}

const char *adv_index_columns_text(AdvArena *arena, const AdvIndex *index)
{
    AdvText text;
    adv_text_init(&text, arena);
    add_columns(&text, index, NULL);
    return adv_text_get(&text);
}

const char *adv_index_create_text(const AdvCatalog *catalog, const AdvIndex *index, const char *name,
                                  bool concurrently)
{
    AdvText text;
    adv_text_init(&text, catalog->arena);
    adv_text_addf(&text, "CREATE INDEX %s", concurrently ? "CONCURRENTLY " : "");
    if (name) {
        adv_text_add_ident(&text, name);
        adv_text_add(&text, " ");
    }
    adv_text_addf(&text, "ON %s ", adv_table_sql_name(catalog, index->table));
    if (strcmp(index->method, "btree") != 0)
        adv_text_addf(&text, "USING %s ", index->method);
    bool qualify = catalog->trgm_schema && !catalog->trgm_on_path;
    add_columns(&text, index, qualify ? adv_quote_ident(catalog->arena, catalog->trgm_schema) : NULL);
    return adv_text_get(&text);
}

int adv_pool_add(AdvPool *pool, const AdvIndex *def)
{
    for (int i = 0; i < pool->n; i++)
        if (adv_index_same(&pool->items[i]->def, def))
            return i;
    AdvCandidate *c = ADV_NEW(pool->arena, AdvCandidate);
    c->id = pool->n;
    c->def = *def;
    c->def.keys = adv_arena_grow(pool->arena, def->keys, (size_t)def->n_keys * sizeof(*def->keys),
                                 ((size_t)def->n_keys + 1) * sizeof(*def->keys));
    c->def.include = adv_arena_grow(pool->arena, def->include, (size_t)def->n_include * sizeof(*def->include),
                                    ((size_t)def->n_include + 1) * sizeof(*def->include));
    c->def.valid = true;
    c->fraction = 1;
    c->create = adv_index_create_text(pool->catalog, &c->def, NULL, false);
    ADV_ROOM(pool->arena, pool->items, pool->n);
    pool->items[pool->n++] = c;
    return c->id;
}

static bool name_taken(const AdvCatalog *catalog, const AdvTable *table, const char *name, char *const *taken, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(taken[i], name) == 0)
            return true;
    for (int t = 0; t < catalog->n_tables; t++) {
        const AdvTable *other = catalog->tables[t];
        if (strcmp(other->schema, table->schema) != 0)
            continue;
        if (strcmp(other->name, name) == 0)
            return true;
        for (int i = 0; i < other->n_indexes; i++)
            if (strcmp(other->indexes[i]->name, name) == 0)
                return true;
    }
    return false;
}

const char *adv_index_new_name(const AdvCatalog *catalog, const AdvIndex *index, char *const *taken, int n_taken)
{
    AdvText text;
    adv_text_init(&text, catalog->arena);
    adv_text_add(&text, index->table->name);
    for (int i = 0; i < index->n_keys; i++)
        adv_text_addf(&text, "_%s",
                      index->keys[i].column ? adv_column(index->table, index->keys[i].column)->name : "expr");
    const char *full = adv_text_get(&text);
    for (int suffix = 0;; suffix++) {
        const char *end = suffix ? adv_arena_printf(catalog->arena, "_idx%d", suffix) : "_idx";
        /* 63 bytes is the longest name; a cut never splits a UTF-8 sequence. */
        size_t n = strlen(full), max = 63 - strlen(end);
        if (n > max)
            n = max;
        while (n > 0 && ((unsigned char)full[n] & 0xc0) == 0x80)
            n--;
        const char *name = adv_arena_printf(catalog->arena, "%.*s%s", (int)n, full, end);
        if (!name_taken(catalog, index->table, name, taken, n_taken))
            return name;
    }
}
