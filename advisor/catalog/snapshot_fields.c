/* SPDX-License-Identifier: ISC */
#include "advisor/catalog/snapshot_fields.h"

#include "advisor/json_build.h"

#include <stddef.h>

#define F(struct_type, kind, member)                                                                                   \
    {                                                                                                                  \
        .name = #member, .type = ADV_FIELD_##kind, .offset = offsetof(struct_type, member)                             \
    }
#define F_LIST(struct_type, kind, member, count)                                                                       \
    {                                                                                                                  \
        .name = #member, .type = ADV_FIELD_##kind, .offset = offsetof(struct_type, member),                            \
        .count_offset = offsetof(struct_type, count)                                                                   \
    }

static const AdvField catalog_rows[] = {
    F(AdvCatalog, TEXT, server_version), F(AdvCatalog, TEXT, database),           F(AdvCatalog, INT, server_version_num),
    F(AdvCatalog, NUMBER, stats_age_days), F(AdvCatalog, BOOL, stats_age_is_least), F(AdvCatalog, INT, n_replicas),
    F(AdvCatalog, BOOL, is_standby),  F(AdvCatalog, TEXT, trgm_schema), F(AdvCatalog, BOOL, trgm_on_path), F(AdvCatalog, TEXT, now),
};

static const AdvField settings_rows[] = {
    F(AdvSettings, NUMBER, seq_page_cost),       F(AdvSettings, NUMBER, random_page_cost),  F(AdvSettings, NUMBER, cpu_tuple_cost),
    F(AdvSettings, NUMBER, cpu_index_tuple_cost), F(AdvSettings, NUMBER, cpu_operator_cost), F(AdvSettings, NUMBER, effective_cache_size),
    F(AdvSettings, NUMBER, work_mem),
};

static const AdvField table_rows[] = {
    F(AdvTable, OID, oid),          F(AdvTable, TEXT, schema),        F(AdvTable, TEXT, name),          F(AdvTable, CHAR, kind),
    F(AdvTable, BOOL, is_partition), F(AdvTable, INT, path_rank),      F(AdvTable, TEXT, view_text),     F(AdvTable, NUMBER, rows),
    F(AdvTable, NUMBER, pages),     F(AdvTable, NUMBER, all_visible), F(AdvTable, NUMBER, inserted),    F(AdvTable, NUMBER, updated),
    F(AdvTable, NUMBER, hot_updated), F(AdvTable, NUMBER, deleted),   F(AdvTable, NUMBER, live),        F(AdvTable, NUMBER, seq_scans),
    F(AdvTable, NUMBER, idx_scans), F(AdvTable, BOOL, counted),       F(AdvTable, NUMBER, dead),        F(AdvTable, NUMBER, modified),
    F(AdvTable, NUMBER, vacuum_age), F(AdvTable, NUMBER, analyze_age), F(AdvTable, CHAR, persistence),  F(AdvTable, NUMBER, fill_factor),
    F(AdvTable, NUMBER, size_pages), F(AdvTable, BOOL, readable),      F(AdvTable, BOOL, of_extension),
};

static const AdvField column_rows[] = {
    F(AdvColumn, TEXT, name),       F(AdvColumn, TEXT, type),         F(AdvColumn, TEXT, base_type),    F(AdvColumn, INT, len),
    F(AdvColumn, INT, align),       F(AdvColumn, CHAR, category),     F(AdvColumn, BOOL, dropped),      F(AdvColumn, BOOL, not_null),
    F(AdvColumn, BOOL, btree),      F(AdvColumn, BOOL, dedup),        F(AdvColumn, BOOL, collation_c),  F(AdvColumn, BOOL, expression_only),
    F(AdvColumn, BOOL, has_stats),  F(AdvColumn, NUMBER, null_frac),  F(AdvColumn, NUMBER, avg_width),  F(AdvColumn, NUMBER, n_distinct),
    F(AdvColumn, NUMBER, correlation), F_LIST(AdvColumn, TEXTS, mcv, n_mcv), F_LIST(AdvColumn, NUMBERS, mcf, n_mcv),
    F_LIST(AdvColumn, TEXTS, hist, n_hist), F(AdvColumn, NUMBER, n_elements), F(AdvColumn, NUMBER, elements_distinct),
    F(AdvColumn, NUMBER, elements_common),
};

static const AdvField index_rows[] = {
    F(AdvIndex, OID, oid),          F(AdvIndex, TEXT, schema),        F(AdvIndex, TEXT, name),          F(AdvIndex, TEXT, method),
    F_LIST(AdvIndex, INTS, include, n_include), F(AdvIndex, TEXT, predicate), F(AdvIndex, TEXT, definition), F(AdvIndex, BOOL, unique),
    F(AdvIndex, BOOL, nulls_not_distinct), F(AdvIndex, BOOL, primary), F(AdvIndex, BOOL, exclusion),    F(AdvIndex, BOOL, constraint),
    F(AdvIndex, BOOL, replica_identity), F(AdvIndex, BOOL, clustered), F(AdvIndex, BOOL, deferrable),   F(AdvIndex, BOOL, valid),
    F(AdvIndex, BOOL, building),    F(AdvIndex, NUMBER, bytes),       F(AdvIndex, NUMBER, pages),       F(AdvIndex, NUMBER, rows),
    F(AdvIndex, NUMBER, scans),     F(AdvIndex, NUMBER, last_scan_age),
};

static const AdvField key_rows[] = {
    F(AdvIndexKey, INT, column),       F(AdvIndexKey, TEXT, expr),    F(AdvIndexKey, BOOL, desc),
    F(AdvIndexKey, BOOL, nulls_first), F(AdvIndexKey, TEXT, opclass), F(AdvIndexKey, TEXT, collation),
};

static const AdvField extended_rows[] = {F_LIST(AdvExtended, INTS, columns, n)};

#define FIELDS(rows)                                                                                                   \
    {                                                                                                                  \
        rows, PW_ARRAY_LEN(rows)                                                                                       \
    }
const AdvFields adv_fields_catalog = FIELDS(catalog_rows), adv_fields_settings = FIELDS(settings_rows),
                adv_fields_table = FIELDS(table_rows), adv_fields_column = FIELDS(column_rows), adv_fields_index = FIELDS(index_rows),
                adv_fields_key = FIELDS(key_rows), adv_fields_extended = FIELDS(extended_rows);

static json_t *write_list(const AdvField *f, const char *at, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        if (f->type == ADV_FIELD_INTS)
            json_array_append_new(list, json_integer((*(int *const *)at)[i]));
        else if (f->type == ADV_FIELD_NUMBERS)
            json_array_append_new(list, adv_json_finite((*(double *const *)at)[i]));
        else
            json_array_append_new(list, adv_json_text_or_null((*(const char **const *)at)[i]));
    }
    return list;
}

static json_t *write_field(const AdvField *f, const char *object)
{
    const char *at = object + f->offset;
    switch (f->type) {
    case ADV_FIELD_NUMBER:
        return adv_json_finite(*(const double *)at);
    case ADV_FIELD_INT:
        return json_integer(*(const int *)at);
    case ADV_FIELD_OID:
        return json_integer(*(const uint32_t *)at);
    case ADV_FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case ADV_FIELD_CHAR:
        return json_stringn(at, 1);
    case ADV_FIELD_TEXT:
        return adv_json_text_or_null(*(const char *const *)at);
    case ADV_FIELD_INTS:
    case ADV_FIELD_TEXTS:
    case ADV_FIELD_NUMBERS:
        return write_list(f, at, *(const int *)(object + f->count_offset));
    }
    return json_null();
}

json_t *adv_fields_write(const AdvFields *fields, const void *object)
{
    json_t *json = json_object();
    for (size_t i = 0; i < fields->n; i++)
        json_object_set_new(json, fields->rows[i].name, write_field(&fields->rows[i], object));
    return json;
}

static bool read_list(const AdvField *f, AdvArena *arena, const json_t *value, char *object)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > 100000)
        return false;
    int *ints = f->type == ADV_FIELD_INTS ? ADV_NEW_ARRAY(arena, int, n + 1) : NULL;
    double *numbers = f->type == ADV_FIELD_NUMBERS ? ADV_NEW_ARRAY(arena, double, n + 1) : NULL;
    const char **texts = f->type == ADV_FIELD_TEXTS ? ADV_NEW_ARRAY(arena, const char *, n + 1) : NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);
        if (f->type == ADV_FIELD_TEXTS ? !json_is_string(item) : !json_is_number(item))
            return false;
        if (ints)
            ints[i] = (int)json_number_value(item);
        else if (numbers)
            numbers[i] = json_number_value(item);
        else if (texts)
            texts[i] = adv_arena_strdup(arena, json_string_value(item));
    }
    int *count = (int *)(object + f->count_offset);
    /* Two lists may share a count (values and their frequencies): the shorter rules. */
    *count = *count > 0 && *count < (int)n ? *count : (int)n;
    if (ints)
        *(int **)(object + f->offset) = ints;
    else if (numbers)
        *(double **)(object + f->offset) = numbers;
    else
        *(const char ***)(object + f->offset) = texts;
    return true;
}

static bool read_field(const AdvField *f, AdvArena *arena, const json_t *value, char *object)
{
    char *at = object + f->offset;
    switch (f->type) {
    case ADV_FIELD_NUMBER:
        if (!json_is_number(value))
            return false;
        *(double *)at = json_number_value(value);
        return true;
    case ADV_FIELD_INT:
        if (!json_is_integer(value))
            return false;
        *(int *)at = (int)json_integer_value(value);
        return true;
    case ADV_FIELD_OID:
        if (!json_is_integer(value))
            return false;
        *(uint32_t *)at = (uint32_t)json_integer_value(value);
        return true;
    case ADV_FIELD_BOOL:
        if (!json_is_boolean(value))
            return false;
        *(bool *)at = json_is_true(value);
        return true;
    case ADV_FIELD_CHAR:
        if (!json_is_string(value) || json_string_length(value) != 1)
            return false;
        *at = json_string_value(value)[0];
        return true;
    case ADV_FIELD_TEXT:
        if (!json_is_string(value) && !json_is_null(value))
            return false;
        *(const char **)at = json_is_string(value) ? adv_arena_strdup(arena, json_string_value(value)) : NULL;
        return true;
    case ADV_FIELD_INTS:
    case ADV_FIELD_TEXTS:
    case ADV_FIELD_NUMBERS:
        return read_list(f, arena, value, object);
    }
    return false;
}

bool adv_fields_read(const AdvFields *fields, AdvArena *arena, const json_t *json, void *object)
{
    if (!json_is_object(json))
        return false;
    for (size_t i = 0; i < fields->n; i++) {
        const json_t *value = json_object_get(json, fields->rows[i].name);
        if (value && !read_field(&fields->rows[i], arena, value, object))
            return false;
    }
    return true;
}
