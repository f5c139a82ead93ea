/* SPDX-License-Identifier: ISC */
#include "advisor/sql/types.h"

typedef struct TypeRow {
    const char *name;
    int len, align;
    char category;
    bool btree, dedup;
    double width;
} TypeRow;

static const TypeRow types[] = {
    {"int2", 2, 2, 'N', true, true, 2},       {"int4", 4, 4, 'N', true, true, 4},        {"int8", 8, 8, 'N', true, true, 8},
    {"serial", 4, 4, 'N', true, true, 4},     {"bigserial", 8, 8, 'N', true, true, 8},   {"smallserial", 2, 2, 'N', true, true, 2},
    {"oid", 4, 4, 'N', true, true, 4},        {"float4", 4, 4, 'N', true, false, 4},     {"float8", 8, 8, 'N', true, false, 8},
    {"numeric", -1, 4, 'N', true, false, 8},  {"money", 8, 8, 'N', true, true, 8},       {"bool", 1, 1, 'B', true, true, 1},
    {"date", 4, 4, 'D', true, true, 4},       {"timestamp", 8, 8, 'D', true, true, 8},   {"timestamptz", 8, 8, 'D', true, true, 8},
    {"time", 8, 8, 'D', true, true, 8},       {"timetz", 12, 8, 'D', true, true, 12},    {"interval", 16, 8, 'T', true, true, 16},
    {"uuid", 16, 1, 'U', true, true, 16},     {"text", -1, 4, 'S', true, true, 24},      {"varchar", -1, 4, 'S', true, true, 20},
    {"bpchar", -1, 4, 'S', true, false, 12},  {"citext", -1, 4, 'S', true, false, 20},   {"name", 64, 1, 'S', true, true, 64},
    {"bytea", -1, 4, 'U', true, true, 40},    {"json", -1, 4, 'U', false, false, 200},   {"jsonb", -1, 4, 'U', true, false, 200},
    {"xml", -1, 4, 'U', false, false, 200},   {"inet", -1, 4, 'I', true, true, 10},      {"cidr", -1, 4, 'I', true, true, 10},
    {"macaddr", 6, 4, 'U', true, true, 6},    {"tsvector", -1, 4, 'U', true, false, 200}, {"point", 16, 8, 'G', false, false, 16},
    {"int4range", -1, 4, 'R', true, true, 17}, {"int8range", -1, 8, 'R', true, true, 22}, {"numrange", -1, 4, 'R', true, true, 20},
    {"daterange", -1, 4, 'R', true, true, 17}, {"tsrange", -1, 8, 'R', true, true, 22},   {"tstzrange", -1, 8, 'R', true, true, 22},
    {"box", 32, 8, 'G', false, false, 32},     {"circle", 24, 8, 'G', false, false, 24},  {"polygon", -1, 8, 'G', false, false, 100},
};

void adv_type_facts(AdvColumn *c)
{
    static const TypeRow other = {"", -1, 4, 'S', true, true, 20};
    const TypeRow *row = &other;
    for (size_t i = 0; i < PW_ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, c->base_type) == 0)
            row = &types[i];
    c->len = row->len;
    c->align = row->align;
    c->category = row->category;
    c->btree = row->btree;
    c->dedup = row->dedup;
    c->avg_width = row->width;
}
