/* SPDX-License-Identifier: ISC */
/* snapshot_fields.h - which members of the catalog's structs a snapshot holds, a row each: writing and reading derive from them. */
#ifndef ADVISOR_CATALOG_SNAPSHOT_FIELDS_H
#define ADVISOR_CATALOG_SNAPSHOT_FIELDS_H

#include <jansson.h>

#include "advisor/catalog/catalog.h"

typedef enum AdvFieldType {
    ADV_FIELD_NUMBER, /* double */
    ADV_FIELD_INT,
    ADV_FIELD_OID,
    ADV_FIELD_BOOL,
    ADV_FIELD_CHAR,
    ADV_FIELD_TEXT,   /* const char *; NULL is null */
    ADV_FIELD_INTS,   /* int *, its count beside it */
    ADV_FIELD_TEXTS,  /* const char **, its count beside it */
    ADV_FIELD_NUMBERS /* double *, its count beside it */
} AdvFieldType;

typedef struct AdvField {
    const char *name;
    AdvFieldType type;
    size_t offset;
    size_t count_offset; /* of the int that counts the elements */
} AdvField;

typedef struct AdvFields {
    const AdvField *rows;
    size_t n;
} AdvFields;

extern const AdvFields adv_fields_catalog, adv_fields_settings, adv_fields_table, adv_fields_column, adv_fields_index, adv_fields_key,
    adv_fields_extended;

json_t *adv_fields_write(const AdvFields *fields, const void *object);

/* Missing members keep their value; false when one has the wrong type. Texts are copied to the arena. */
bool adv_fields_read(const AdvFields *fields, AdvArena *arena, const json_t *json, void *object);

#endif
