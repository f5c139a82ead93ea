/* SPDX-License-Identifier: ISC */
/* ident.h - identity maps (auth_ident_file): which system user or certificate name may be which PostgreSQL user.
 *
 * Lines "MAP SYSTEM-USER PG-USER"; PG-USER `all` (unquoted) is everybody. No regular expressions, as in
 * PgBouncer. Immutable after parsing: any thread. */
#ifndef POOLER_CONFIG_IDENT_H
#define POOLER_CONFIG_IDENT_H

#include <stdbool.h>
#include <stddef.h>

#include "poolwise/diag.h"

typedef struct Ident Ident;
typedef struct IdentMap IdentMap;

/* Never NULL. Bad lines are skipped with a warning at their place. */
Ident *ident_parse(const char *name, const char *text, size_t n, PwDiag *diags);
void ident_destroy(Ident *ident); /* NULL is fine */

const IdentMap *ident_find(const Ident *ident, const char *name); /* NULL: no such map, or ident is NULL */
const char *ident_map_name(const IdentMap *map);

/* May whoever has one of the system names be `pg_user`? `has_name` is asked about system names. */
bool ident_map_allows(const IdentMap *map, const char *pg_user, bool (*has_name)(void *arg, const char *system_user),
                      void *arg);

#endif
