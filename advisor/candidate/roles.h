/* SPDX-License-Identifier: ISC */
/* roles.h - what one statement wants from the columns of one of its tables. Pure functions. */
#ifndef ADVISOR_CANDIDATE_ROLES_H
#define ADVISOR_CANDIDATE_ROLES_H

#include "advisor/sql/facts.h"

typedef enum AdvRoleKind { ADV_ROLE_EQ, ADV_ROLE_RANGE, ADV_ROLE_JOIN, ADV_ROLE_ORDER, ADV_ROLE_GROUP } AdvRoleKind;

typedef struct AdvRole {
    AdvRoleKind kind;
    AdvIndexKey key;    /* with expr: key.column still names the column inside */
    double selectivity; /* EQ, RANGE: share of the rows left */
} AdvRole;

typedef struct AdvRoles {
    int n_eq, n_range, n_join, n_order, n_group, n_minmax, n_or_arms;
    AdvRole *eq;      /* most selective first */
    AdvRole *range;
    AdvRole *join;
    AdvRole *order;   /* in order; directions turned so that the first is ascending */
    AdvRole *group;
    AdvRole *minmax;
    AdvRole *or_arms; /* columns under an OR: each arm needs its own index */
} AdvRoles;

void adv_roles_find(AdvRoles *roles, AdvArena *arena, const AdvFacts *facts, int rel);
/* `from` without a column, sharing nothing that is written to. */
void adv_roles_without(AdvRoles *roles, const AdvRoles *from, int column);

/* The condition as the WHERE of a partial index: col = 'constant', col IS NULL, col IS NOT NULL, col, NOT col; NULL for others. */
const char *adv_pred_sql(AdvArena *arena, const AdvTable *table, const AdvPred *pred);

/* Rows of `rel` count only where the column is not NULL: by a comparison or a join (no outer one). The server proves it likewise, so that an
 * index WHERE column IS NOT NULL serves. */
bool adv_needs_value(const AdvFacts *facts, int rel, int column);

/* The column of "column IS NOT NULL"; 0: it is another condition. */
int adv_not_null_column(AdvArena *arena, const AdvTable *table, const char *predicate);

#endif
