/* SPDX-License-Identifier: ISC */
/* fixture.h - a small shop as a catalog without a server, for the advisor's unit tests. */
#ifndef TEST_ADVISOR_FIXTURE_H
#define TEST_ADVISOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "advisor/catalog/catalog.h"
#include "advisor/sql/parse.h"

typedef struct Fixture {
    AdvArena *arena;
    AdvCatalog *catalog;
    AdvTable *customers, *orders, *products;
} Fixture;

static inline void fixture_column(AdvTable *t, int n, const char *name, const char *type, int len, double distinct)
{
    char category = len < 0 ? 'S' : 'N';
    if (strncmp(type, "timestamp", 9) == 0)
        category = 'D';
    t->columns[n - 1] = (AdvColumn){.name = name, .type = type, .base_type = type, .len = len, .align = len > 0 ? len : 4,
                                    .category = category, .btree = true, .dedup = strcmp(type, "numeric") != 0,
                                    .collation_c = true, .has_stats = true, .n_distinct = distinct,
                                    .avg_width = len > 0 ? len : 12};
}

static inline AdvTable *fixture_table(Fixture *f, const char *name, double rows, int columns)
{
    AdvTable *t = adv_catalog_add_table(f->catalog, "public", name, columns);
    t->rows = rows;
    t->pages = rows / 50;
    t->all_visible = t->pages;
    return t;
}

static inline AdvIndex *fixture_index(Fixture *f, AdvTable *t, const char *name, int n, const int *columns)
{
    AdvIndex *i = ADV_NEW(f->arena, AdvIndex);
    static uint32_t oid = 1000;
    i->oid = ++oid;
    i->schema = "public";
    i->name = name;
    i->method = "btree";
    i->valid = true;
    i->bytes = 1e6;
    i->n_keys = n;
    i->keys = ADV_NEW_ARRAY(f->arena, AdvIndexKey, n);
    for (int k = 0; k < n; k++)
        i->keys[k].column = columns[k];
    adv_table_add_index(f->catalog, t, i);
    return i;
}

static inline void fixture_open(Fixture *f)
{
    f->arena = adv_arena_create();
    f->catalog = adv_catalog_create(f->arena);
    f->customers = fixture_table(f, "customers", 20000, 3);
    fixture_column(f->customers, 1, "id", "int4", 4, -1);
    fixture_column(f->customers, 2, "email", "text", -1, -1);
    fixture_column(f->customers, 3, "name", "text", -1, -0.5);
    f->orders = fixture_table(f, "orders", 200000, 5);
    fixture_column(f->orders, 1, "id", "int4", 4, -1);
    fixture_column(f->orders, 2, "customer_id", "int4", 4, 20000);
    fixture_column(f->orders, 3, "status", "text", -1, 2);
    fixture_column(f->orders, 4, "created_at", "timestamp", 8, -1);
    fixture_column(f->orders, 5, "total", "numeric", -1, 1000);
    f->products = fixture_table(f, "products", 100000, 5);
    fixture_column(f->products, 1, "id", "int4", 4, -1);
    fixture_column(f->products, 2, "product_name", "text", -1, -1);
    fixture_column(f->products, 3, "category", "text", -1, 40);
    fixture_column(f->products, 4, "brand", "text", -1, 100);
    fixture_column(f->products, 5, "price", "numeric", -1, 50000);
}

static inline void fixture_close(Fixture *f)
{
    adv_arena_destroy(f->arena);
}

static inline AdvFacts *fixture_facts(Fixture *f, const char *sql)
{
    AdvFacts *facts = NULL;
    const char *why = NULL;
    if (adv_sql_analyse(f->catalog, f->arena, sql, &facts, &why))
        fail_msg("%s: %s", sql, why);
    return facts;
}

#endif
