/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/snapshot.h"

#include <stdlib.h>

#include "advisor/catalog/partitions.h"
#include "advisor/catalog/snapshot_fields.h"
#include "advisor/catalog/stats.h"
#include "advisor/json_build.h"

#define SNAPSHOT_VERSION 1
#define LEVELS_MAX 64
#define COLUMNS_MAX 1700 /* PostgreSQL's own limit is 1600 */

static int by_text(const void *a, const void *b)
{
    static const AdvColumn text = {.category = 'S'};
    return adv_compare_values(&text, *(const char *const *)a, *(const char *const *)b);
}

static int by_number(const void *a, const void *b)
{
    static const AdvColumn number = {.category = 'N'};
    return adv_compare_values(&number, *(const char *const *)a, *(const char *const *)b);
}

/* How many of the sorted values are less: up to 20,000 where statistics are kept in detail. */
static int rank_of(const AdvColumn *c, const char *const *sorted, int n, const char *value)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (adv_compare_values(c, sorted[mid], value) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The place of each value among all that the column's statistics name; texts of equal length, so that they sort alike. */
static AdvColumn redacted(AdvArena *arena, const AdvColumn *c)
{
    AdvColumn copy = *c;
    if (c->category == 'B' || c->category == 'E')
        return copy;
    int n = c->n_mcv + c->n_hist;
    const char **all = ADV_NEW_ARRAY(arena, const char *, n + 1);
    for (int i = 0; i < n; i++)
        all[i] = i < c->n_mcv ? c->mcv[i] : c->hist[i - c->n_mcv];
    qsort(all, (size_t)n, sizeof(*all), c->category == 'N' ? by_number : by_text);
    copy.mcv = ADV_NEW_ARRAY(arena, const char *, c->n_mcv + 1);
    copy.hist = ADV_NEW_ARRAY(arena, const char *, c->n_hist + 1);
    for (int i = 0; i < n; i++) {
        const char *value = i < c->n_mcv ? c->mcv[i] : c->hist[i - c->n_mcv];
        const char *token = adv_arena_printf(arena, c->category == 'N' ? "%d" : "v%05d", rank_of(c, all, n, value));
        if (i < c->n_mcv)
            copy.mcv[i] = token;
        else
            copy.hist[i - c->n_mcv] = token;
    }
    return copy;
}

static json_t *index_json(const AdvIndex *index)
{
    json_t *o = adv_fields_write(&adv_fields_index, index), *keys = json_array();
    for (int i = 0; i < index->n_keys; i++)
        json_array_append_new(keys, adv_fields_write(&adv_fields_key, &index->keys[i]));
    json_object_set_new(o, "keys", keys);
    return o;
}

static json_t *numbers_json(const int *numbers, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return list;
}

static json_t *foreign_key_json(const AdvForeignKey *fk)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(fk->name));
    json_object_set_new(o, "parent", json_integer(fk->parent->oid));
    json_object_set_new(o, "columns", numbers_json(fk->columns, fk->n_columns));
    json_object_set_new(o, "parent_columns", numbers_json(fk->parent_columns, fk->n_columns));
    return o;
}

static json_t *table_json(const AdvCatalog *catalog, const AdvTable *t, bool redact)
{
    json_t *o = adv_fields_write(&adv_fields_table, t), *columns = json_array(), *indexes = json_array(), *fks = json_array(),
           *extended = json_array();
    for (int i = 0; i < t->n_columns; i++) {
        AdvColumn column = redact ? redacted(catalog->arena, &t->columns[i]) : t->columns[i];
        if (t->borrowed_stats) { /* they are written with the partition that has them */
            column.has_stats = false;
            column.n_mcv = column.n_hist = 0;
        }
        json_array_append_new(columns, adv_fields_write(&adv_fields_column, &column));
    }
    for (int i = 0; i < t->n_indexes; i++)
        json_array_append_new(indexes, index_json(t->indexes[i]));
    for (int i = 0; i < t->n_fks; i++)
        json_array_append_new(fks, foreign_key_json(t->fks[i]));
    for (int i = 0; i < t->n_extended; i++)
        json_array_append_new(extended, adv_fields_write(&adv_fields_extended, &t->extended[i]));
    json_object_set_new(o, "columns", columns);
    json_object_set_new(o, "indexes", indexes);
    json_object_set_new(o, "foreign_keys", fks);
    json_object_set_new(o, "extended_statistics", extended);
    if (t->parent)
        json_object_set_new(o, "parent", json_integer(t->parent->oid));
    return o;
}

const char *adv_snapshot_write(const AdvCatalog *catalog, bool redact)
{
    json_t *root = json_object(), *tables = json_array();
    json_object_set_new(root, "poolwise_snapshot", json_integer(SNAPSHOT_VERSION));
    json_object_set_new(root, "redacted", json_boolean(redact));
    json_t *facts = adv_fields_write(&adv_fields_catalog, catalog);
    json_object_update(root, facts);
    json_decref(facts);
    json_object_set_new(root, "settings", adv_fields_write(&adv_fields_settings, &catalog->settings));
    for (int i = 0; i < catalog->n_tables; i++)
        json_array_append_new(tables, table_json(catalog, catalog->tables[i], redact));
    json_object_set_new(root, "tables", tables);
    return adv_json_print(catalog->arena, root, 1);
}

static bool column_exists(const AdvTable *t, int column)
{
    return column >= 1 && column <= t->n_columns;
}

static bool read_index(AdvCatalog *catalog, AdvTable *t, const json_t *json)
{
    AdvIndex *index = ADV_NEW(catalog->arena, AdvIndex);
    const json_t *keys = json_object_get(json, "keys");
    index->n_keys = (int)json_array_size(keys);
    index->keys = ADV_NEW_ARRAY(catalog->arena, AdvIndexKey, index->n_keys + 1);
    if (!adv_fields_read(&adv_fields_index, catalog->arena, json, index) || index->n_keys == 0 || !index->name || !index->method)
        return false;
    for (int i = 0; i < index->n_keys; i++) {
        AdvIndexKey *key = &index->keys[i];
        if (!adv_fields_read(&adv_fields_key, catalog->arena, json_array_get(keys, (size_t)i), key) ||
            (key->expr ? key->column != 0 : !column_exists(t, key->column)))
            return false;
    }
    for (int i = 0; i < index->n_include; i++)
        if (!column_exists(t, index->include[i]))
            return false;
    if (!index->schema)
        index->schema = t->schema;
    adv_table_add_index(catalog, t, index);
    return true;
}

static bool read_extended(AdvCatalog *catalog, AdvTable *t, const json_t *json)
{
    ADV_ROOM(catalog->arena, t->extended, t->n_extended);
    AdvExtended *extended = &t->extended[t->n_extended++];
    *extended = (AdvExtended){0};
    return adv_fields_read(&adv_fields_extended, catalog->arena, json, extended);
}

static bool read_table(AdvCatalog *catalog, const json_t *json)
{
    const json_t *columns = json_object_get(json, "columns"), *indexes = json_object_get(json, "indexes"),
                 *extended = json_object_get(json, "extended_statistics");
    size_t n = json_array_size(columns);
    const char *schema = json_string_value(json_object_get(json, "schema")), *name = json_string_value(json_object_get(json, "name"));
    if (!schema || !name || n > COLUMNS_MAX)
        return false;
    AdvTable *t = adv_catalog_add_table(catalog, schema, name, (int)n);
    if (!adv_fields_read(&adv_fields_table, catalog->arena, json, t))
        return false;
    for (size_t i = 0; i < n; i++) {
        AdvColumn *c = &t->columns[i];
        *c = (AdvColumn){.name = "", .type = "", .base_type = "", .category = 'U', .align = 4, .len = -1};
        if (!adv_fields_read(&adv_fields_column, catalog->arena, json_array_get(columns, i), c) || !c->name || !c->type || !c->base_type ||
            c->align < 1)
            return false;
    }
    for (size_t i = 0; i < n; i++) /* values without their frequencies are worth nothing */
        if (!t->columns[i].mcf || !t->columns[i].mcv)
            t->columns[i].n_mcv = 0;
    for (size_t i = 0; i < json_array_size(indexes); i++)
        if (!read_index(catalog, t, json_array_get(indexes, i)))
            return false;
    for (size_t i = 0; i < json_array_size(extended); i++)
        if (!read_extended(catalog, t, json_array_get(extended, i)))
            return false;
    return true;
}

static int read_numbers(AdvArena *arena, const json_t *list, const AdvTable *t, int **ret_numbers)
{
    int n = (int)json_array_size(list);
    *ret_numbers = ADV_NEW_ARRAY(arena, int, n + 1);
    for (int i = 0; i < n; i++) {
        (*ret_numbers)[i] = (int)json_integer_value(json_array_get(list, (size_t)i));
        if (!column_exists(t, (*ret_numbers)[i]))
            return 0;
    }
    return n;
}

static bool read_foreign_key(AdvCatalog *catalog, AdvTable *child, const json_t *json)
{
    AdvForeignKey *fk = ADV_NEW(catalog->arena, AdvForeignKey);
    const char *name = json_string_value(json_object_get(json, "name"));
    fk->name = adv_arena_strdup(catalog->arena, name ? name : "");
    fk->child = child;
    fk->parent = adv_catalog_by_oid(catalog, (uint32_t)json_integer_value(json_object_get(json, "parent")));
    if (!fk->parent)
        return false;
    fk->n_columns = read_numbers(catalog->arena, json_object_get(json, "columns"), child, &fk->columns);
    if (fk->n_columns == 0 ||
        read_numbers(catalog->arena, json_object_get(json, "parent_columns"), fk->parent, &fk->parent_columns) != fk->n_columns)
        return false;
    ADV_ROOM(catalog->arena, child->fks, child->n_fks);
    child->fks[child->n_fks++] = fk;
    ADV_ROOM(catalog->arena, fk->parent->referrers, fk->parent->n_referrers);
    fk->parent->referrers[fk->parent->n_referrers++] = fk;
    return true;
}

static bool read_links(AdvCatalog *catalog, AdvTable *t, const json_t *json)
{
    const json_t *fks = json_object_get(json, "foreign_keys"), *parent = json_object_get(json, "parent");
    for (size_t i = 0; i < json_array_size(fks); i++)
        if (!read_foreign_key(catalog, t, json_array_get(fks, i)))
            return false;
    t->parent = parent ? adv_catalog_by_oid(catalog, (uint32_t)json_integer_value(parent)) : NULL;
    if (!parent)
        return true;
    int level = 0;
    for (const AdvTable *up = t->parent; up; up = up->parent) /* a circle would never end */
        if (up == t || ++level > LEVELS_MAX)
            return false;
    if (!t->parent)
        return false;
    ADV_ROOM(catalog->arena, t->parent->children, t->parent->n_children);
    t->parent->children[t->parent->n_children++] = t;
    return true;
}

static PwErr read_all(AdvCatalog *catalog, const json_t *root, const char **ret_why)
{
    const json_t *version = json_object_get(root, "poolwise_snapshot"), *tables = json_object_get(root, "tables");
    if (!json_is_integer(version)) {
        *ret_why = "it is no snapshot of the advisor\nhint: make one with \"advisor snapshot --dsn CONNINFO > FILE\"";
        return PW_ERR_SYNTAX;
    }
    if (json_integer_value(version) != SNAPSHOT_VERSION) {
        *ret_why = adv_arena_printf(catalog->arena, "it is a snapshot of version %lld, this advisor reads %d", (long long)json_integer_value(version),
                                    SNAPSHOT_VERSION);
        return PW_ERR_UNSUPPORTED;
    }
    bool ok = adv_fields_read(&adv_fields_catalog, catalog->arena, root, catalog) && catalog->database && catalog->server_version &&
              adv_fields_read(&adv_fields_settings, catalog->arena, json_object_get(root, "settings"), &catalog->settings);
    uint32_t last = 0;
    for (size_t i = 0; ok && i < json_array_size(tables); i++) {
        ok = read_table(catalog, json_array_get(tables, i));
        /* Ascending, each once: links are found by bisection. */
        ok = ok && catalog->tables[i]->oid > last;
        last = ok ? catalog->tables[i]->oid : last;
    }
    for (size_t i = 0; ok && i < json_array_size(tables); i++)
        ok = read_links(catalog, catalog->tables[i], json_array_get(tables, i));
    if (!ok) {
        *ret_why = "the snapshot is damaged: a value is missing or of the wrong kind\nhint: make it again";
        return PW_ERR_SYNTAX;
    }
    adv_sum_up_partitions(catalog);
    catalog->offline = true;
    return PW_OK;
}

PwErr adv_snapshot_read(AdvCatalog *catalog, const char *text, const char **ret_why)
{
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    if (!root) {
        *ret_why = adv_arena_printf(catalog->arena, "it is not JSON: %s at line %d", error.text, error.line);
        return PW_ERR_SYNTAX;
    }
    PwErr err = read_all(catalog, root, ret_why);
    json_decref(root);
    return err;
}
