/* SPDX-License-Identifier: ISC */
/* declare.h - what CREATE TYPE, TABLE, VIEW and EXTENSION declare, for a catalog that a script fills.
 *
 * Texts are copied. One thread. */
#ifndef ADVISOR_SQL_DECLARE_H
#define ADVISOR_SQL_DECLARE_H

#include <pg_query/pg_query.pb-c.h>

#include "advisor/catalog/catalog.h"

typedef struct AdvDeclarations {
    AdvCatalog *catalog;
    int n_types;
    AdvColumn *types; /* domains and enums: a column of each, named as the type */
} AdvDeclarations;

void adv_declare_domain(AdvDeclarations *d, const PgQuery__CreateDomainStmt *stmt);
void adv_declare_enum(AdvDeclarations *d, const PgQuery__CreateEnumStmt *stmt);
void adv_declare_extension(AdvDeclarations *d, const PgQuery__CreateExtensionStmt *stmt);

/* Name, type and what the type tells. */
void adv_declare_column(AdvDeclarations *d, AdvColumn *column, const PgQuery__ColumnDef *def);
/* Makes `child` a partition of `parent`, or an heir. */
void adv_declare_child(AdvDeclarations *d, AdvTable *parent, AdvTable *child, bool is_partition);
/* A view, again when it was there; a materialised one (`into`) with columns like those that it selects. NULL: it was there as something else. */
AdvTable *adv_declare_view(AdvDeclarations *d, const PgQuery__RangeVar *name, const PgQuery__Node *query, size_t n_names, PgQuery__Node *const *names,
                           bool materialised);

/* The table that a name in a script means: without a schema one of "public". */
AdvTable *adv_declared_table(const AdvCatalog *catalog, const PgQuery__RangeVar *name);
AdvTable *adv_declare_table(AdvDeclarations *d, const PgQuery__RangeVar *name, int n_columns);

/* The SQL text of an expression; NULL: it cannot be told. */
const char *adv_expression_text(AdvArena *arena, PgQuery__Node *expression);

#endif
