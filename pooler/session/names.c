/* SPDX-License-Identifier: ISC */
#include "pooler/session/names.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

static _Atomic(uint64_t) total_bytes;

static uint64_t size_of(const SqlName *n)
{
    return sizeof(*n) + strlen(n->name) + 1 + (n->text ? strlen(n->text) + 1 : 0);
}

static void drop(SqlNames *names, SqlName *n)
{
    HASH_DEL(names->table, n);
    atomic_fetch_sub_explicit(&total_bytes, size_of(n), memory_order_relaxed);
    free(n->text);
    free(n);
}

void sql_names_finish(SqlNames *names)
{
    while (names->table)
        drop(names, names->table);
}

SqlName *sql_names_find(const SqlNames *names, const char *name)
{
    SqlName *n;
    HASH_FIND_STR(names->table, name, n);
    return n;
}

void sql_names_put(SqlNames *names, const char *name, const char *text, uint64_t digest, unsigned class)
{
    sql_names_remove(names, name);
    size_t len = strlen(name);
    SqlName *n = pw_xcalloc(1, sizeof(*n) + len + 1);
    memcpy(n->name, name, len + 1);
    n->text = text ? pw_xstrdup(text) : NULL;
    n->digest = digest;
    n->class = class;
    HASH_ADD_KEYPTR(hh, names->table, n->name, len, n);
    atomic_fetch_add_explicit(&total_bytes, size_of(n), memory_order_relaxed);
}

void sql_names_remove(SqlNames *names, const char *name)
{
    SqlName *n = sql_names_find(names, name);
    if (n)
        drop(names, n);
}

unsigned sql_names_count(const SqlNames *names)
{
    return HASH_COUNT(names->table);
}

uint64_t sql_names_bytes(void)
{
    return atomic_load_explicit(&total_bytes, memory_order_relaxed);
}
