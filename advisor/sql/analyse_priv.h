/* SPDX-License-Identifier: ISC */
/* analyse_priv.h - shared by the files that turn a parse tree into AdvFacts. */
#ifndef ADVISOR_SQL_ANALYSE_PRIV_H
#define ADVISOR_SQL_ANALYSE_PRIV_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "advisor/sql/facts.h"

#define MAX_DEPTH 60     /* nested blocks; deeper ones are not looked into */
#define MAX_EXPR_DEPTH 500
#define MAX_RELS 4000    /* views over views over views multiply, and a hostile schema has one in itself twice */
#define MAX_OUTPUTS 1664 /* PostgreSQL's own limit: subqueries of subqueries with * multiply too */

typedef PgQuery__Node Node;

typedef struct Cte {
    struct Cte *next;
    const char *name;
    int rel; /* a SUBQUERY rel that holds the outputs; -1 while it is being analysed (recursion) */
    int block;
} Cte;

typedef struct ScopeItem {
    const char *name;
    int rel;
} ScopeItem;

typedef struct Scope {
    struct Scope *parent; /* the block around, for correlated columns */
    int block;
    int n_items;
    ScopeItem *items;
} Scope;

typedef struct Analyser {
    AdvArena *arena;
    AdvCatalog *catalog;
    AdvFacts *facts;
    size_t text_len;
    int *param_at;   /* [location] of a parameter: its place among the facts', counted from 1; NULL: there was none yet */
    Cte *ctes;
    int depth;
    int expr_depth;
    bool in_view;    /* parameters and locations of a view's text are not the statement's */
    int or_group;    /* of the predicates being read; 0 outside of any OR */
    int or_arm;
    int n_or_groups;
    bool outputs_later; /* the next block is a subquery in FROM: of its columns only those are read that the outside asks for */
    bool unseen;     /* columns are looked up, not read */
    bool outputs_unread; /* the next block is the inside of an EXISTS */
    bool outer_on;   /* reading the ON clause of an outer join */
    int block;       /* being read */
} Analyser;

/* A column, or an immutable expression on one or several of a table, as an index could hold it. */
typedef struct KeyRef {
    int rel;
    int column; /* with expr: the first inside */
    const char *expr;
    const char *type; /* "" when it is an expression of a type that no rule asks for */
} KeyRef;

/* walk.c */
typedef void (*ChildFn)(void *arg, const ProtobufCMessage *child);
void adv_pb_children(const ProtobufCMessage *message, ChildFn fn, void *arg);
void adv_walk_expr(Analyser *a, Scope *scope, const Node *node); /* marks columns, analyses subqueries */
bool adv_has_column(const Node *node);

/* scope.c */
int adv_add_rel(Analyser *a, AdvRelKind kind, AdvTable *table, const char *alias, int block);
void adv_from_item(Analyser *a, Scope *scope, const Node *node);
void adv_from_table(Analyser *a, Scope *scope, const PgQuery__RangeVar *var, bool target);
bool adv_resolve(Analyser *a, const Scope *scope, const PgQuery__ColumnRef *ref, int *ret_rel, int *ret_column);
const AdvRel *adv_item_named(const Analyser *a, const Scope *scope, const char *name); /* the nearest FROM item; NULL */
void adv_mark_all(Analyser *a, int rel);
void adv_star(Analyser *a, const Scope *scope, const PgQuery__ColumnRef *ref, AdvOutput **outputs, int *n_outputs);

/* arms.c */
void adv_join_arms(Analyser *a, AdvOutput *left, int n_left, const AdvOutput *right, int n_right); /* the result is in left */
void adv_spread_arms(Analyser *a); /* at the end of a statement */

/* indexable.c */
bool adv_as_key(Analyser *a, Scope *scope, const Node *node, KeyRef *ret_key);
bool adv_as_document(Analyser *a, Scope *scope, const Node *node, KeyRef *ret_key); /* doc -> 'a' of a jsonb column: what GIN can hold */

/* keys.c */
AdvValue adv_as_value(Analyser *a, const Node *node, const char **ret_type); /* texts are copied */
const char *adv_string_value(const Node *node); /* of a String node; "" otherwise */
const char *adv_type_name(const PgQuery__TypeName *type); /* last part; "" when there is none */
bool adv_first_column(Analyser *a, Scope *scope, const Node *node, int *ret_rel, int *ret_column);

/* predicates.c */
void adv_analyse_qual(Analyser *a, Scope *scope, const Node *node, bool negated);
void adv_note_param(Analyser *a, const Node *value, const AdvParam *context);
AdvParam *adv_param_at(Analyser *a, int location, bool *ret_new); /* with its location alone where it is new; NULL: outside of the text */

AdvPred *adv_add_pred(Analyser *a, AdvPredKind kind, const KeyRef *key);
void adv_add_opaque(Analyser *a, Scope *scope, const Node *node, const char *why); /* `why` NULL: told by what wraps the column */

/* lists.c */
void adv_in_list(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, bool negated);
void adv_any_array(Analyser *a, Scope *scope, const PgQuery__AExpr *expr, bool negated); /* col = ANY (array) */

/* operators.c: each takes the comparison when it is one of its kind */
bool adv_gin_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated);
bool adv_gist_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated);
bool adv_similarity_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated);
bool adv_network_compare(Analyser *a, Scope *scope, const char *op, const Node *left, const Node *right, bool negated);
bool adv_has_trigram(const AdvValue *value, const char *special);

/* parse.c */
void adv_sql_add_other_params(Analyser *a, const char *text);

/* analyse.c */
void adv_analyse_select(Analyser *a, const PgQuery__SelectStmt *select, Scope *outer, AdvOutput **ret_outputs,
                        int *ret_n, int *ret_block);
void adv_analyse_query_node(Analyser *a, const Node *node, Scope *outer, AdvOutput **ret_outputs, int *ret_n,
                            int *ret_block);

#endif
