/* SPDX-License-Identifier: ISC */
/* facts.h - what a statement does with which columns, resolved against the catalog.
 *
 * All table occurrences of a statement, over all its blocks (a block is one SELECT, or the UPDATE or
 * DELETE itself), are numbered in one list; predicates, joins and orders name columns as (rel, column).
 * Columns that a subquery, CTE or view only passes through are traced back to the table they come from.
 * Plain data on the arena. */
#ifndef ADVISOR_SQL_FACTS_H
#define ADVISOR_SQL_FACTS_H

#include <stdbool.h>

#include "advisor/catalog/catalog.h"

typedef enum AdvStmtKind { ADV_STMT_SELECT, ADV_STMT_INSERT, ADV_STMT_UPDATE, ADV_STMT_DELETE, ADV_STMT_OTHER } AdvStmtKind;

typedef enum AdvValueKind {
    ADV_VALUE_UNKNOWN, /* an expression whose value the text does not tell */
    ADV_VALUE_LITERAL,
    ADV_VALUE_PARAM,
    ADV_VALUE_NULL
} AdvValueKind;

typedef struct AdvValue {
    AdvValueKind kind;
    const char *text; /* of a literal, without quotes */
    bool number;      /* the literal was written as a number */
    int param;        /* $n */
} AdvValue;

typedef enum AdvPredKind {
    ADV_PRED_EQ,
    ADV_PRED_IN,      /* IN (list), = ANY (array) */
    ADV_PRED_RANGE,   /* < <= > >= BETWEEN */
    ADV_PRED_PREFIX,  /* LIKE 'abc%' */
    ADV_PRED_IS_NULL,
    ADV_PRED_NOT_NULL,
    ADV_PRED_TRUE,    /* boolean column */
    ADV_PRED_FALSE,
    ADV_PRED_NE,      /* <>, NOT IN, NOT LIKE: no b-tree helps */
    ADV_PRED_INFIX,   /* LIKE '%abc', ILIKE, regular expressions */
    ADV_PRED_OPAQUE,  /* an expression around the column that no index of ours can serve */
    ADV_PRED_CONTAINS, /* @> && ? @@ and the like: only a GIN or GiST index finds the rows */
    ADV_PRED_COUNT
} AdvPredKind;

typedef struct AdvPred {
    int rel;
    int column;       /* 1-based; with expr: the column inside */
    const char *expr; /* SQL text of an immutable expression on the column, e.g. lower(email); else NULL */
    AdvPredKind kind;
    AdvValue lo, hi;  /* EQ: lo; RANGE: either may be unknown-and-absent, see has_lo, has_hi */
    bool has_lo, has_hi;
    int n_values;     /* IN: values written; 0 when not known */
    AdvValue *values;
    int or_group;     /* 0: must hold; else: the arms of one OR share a group */
    int or_arm;
    const char *op;   /* CONTAINS: the operator */
    bool gist;        /* CONTAINS: on ranges and shapes */
    bool trigram;     /* INFIX: the pattern has three letters in a row, or may have */
    const char *why;  /* OPAQUE and INFIX: what stands in the way, for the report */
} AdvPred;

typedef struct AdvJoin {
    int rel_a, column_a;
    int rel_b, column_b;
    bool outer; /* the two are joined by an outer join */
    int block;  /* that the condition is written in */
} AdvJoin;

typedef struct AdvSort {
    int rel;    /* -1: not a plain column of a table */
    int column;
    const char *expr; /* an indexable expression, else NULL */
    bool desc;
    bool nulls_first;
} AdvSort;

/* A column that comes out of a set operation, and one that it stands for. */
typedef struct AdvArm {
    int column; /* of the stand-in */
    int rel, rel_column;
} AdvArm;

typedef enum AdvRelKind {
    ADV_REL_TABLE,
    ADV_REL_SUBQUERY,
    ADV_REL_ARMS, /* only while a statement is read: see arms.c */
    ADV_REL_OTHER
} AdvRelKind;

typedef struct AdvOutput {
    const char *name;
    int rel; /* where the column comes from; -1: computed */
    int column;
    bool star; /* one of * */
} AdvOutput;

typedef struct AdvRel {
    AdvRelKind kind;
    AdvTable *table; /* TABLE */
    const char *alias;
    int block;
    int inner;       /* SUBQUERY: the block inside; -1: not known */
    bool *used;      /* TABLE: used[i]: column i + 1 is read anywhere in the statement */
    int *reads;      /* TABLE: how often its text names column i + 1, at least; 2 for all */
    bool whole_row;
    bool target;     /* of UPDATE or DELETE */
    bool nullable;   /* on the nullable side of an outer join */
    bool anti;       /* and only rows without a partner are wanted */
    int n_bounds;    /* TABLE: columns compared by < and > with another table's: looked up for each of its rows */
    int *bounds;
    double sifted;   /* TABLE: what conditions that are no AdvPred leave of its rows, as a share */
    int n_outputs;   /* SUBQUERY */
    AdvOutput *outputs;
    bool function;   /* OTHER: a function in FROM */
    int n_arms;      /* ARMS */
    AdvArm *arms;
} AdvRel;

typedef enum AdvBlockKind {
    ADV_BLOCK_TOP,   /* the statement itself, or a writing CTE */
    ADV_BLOCK_FROM,  /* a subquery or view in FROM */
    ADV_BLOCK_CTE,
    ADV_BLOCK_ARM,   /* of the set operation that its parent is */
    ADV_BLOCK_SEMI,  /* EXISTS or IN that must hold: a join to the planner */
    ADV_BLOCK_ANTI,  /* NOT EXISTS that must hold */
    ADV_BLOCK_TEST,  /* EXISTS and IN under OR, NOT IN: asked for each row, or hashed */
    ADV_BLOCK_VALUE  /* (SELECT ...) in an expression */
} AdvBlockKind;

typedef struct AdvBlock {
    AdvBlockKind kind;
    int parent;      /* block around it, -1 for the outermost */
    int n_order;
    AdvSort *order;
    int n_group;     /* GROUP BY or DISTINCT columns */
    AdvSort *group;
    bool has_limit;
    double limit;    /* rows; 0 when the text does not tell */
    int limit_param; /* $n of the LIMIT, 0 none */
    bool aggregate;
    bool having;
    bool window;     /* a window function among the outputs */
    bool set_operation;
    bool minmax_only; /* every output is min(col) or max(col), no GROUP BY */
    int n_minmax;
    AdvSort *minmax;
} AdvBlock;

typedef struct AdvParam {
    int number;
    int location;      /* byte offset of $n in the text */
    int rel, column;   /* compared with or stored into this column; rel -1: not known */
    AdvTable *table;   /* INSERT, SET: the table (rel may be -1) */
    AdvPredKind pred;
    bool upper;        /* the upper bound of a range */
    const char *type;  /* of a cast around it, e.g. "date"; NULL */
    bool is_limit, is_offset;
    bool operand;      /* of + or - on that side of the comparison: its type must be told */
    bool is_list;      /* = ANY ($n): an array */
    const char *hint;  /* a literal that its place asks for: 'year' in extract($n from x); NULL */
} AdvParam;

typedef struct AdvFacts {
    AdvStmtKind kind;
    int n_rels;
    AdvRel *rels;
    int n_blocks;
    AdvBlock *blocks;
    int n_preds;
    AdvPred *preds;
    int n_joins;
    AdvJoin *joins;
    int n_params;
    AdvParam *params;
    AdvTable *written;   /* INSERT, UPDATE, DELETE; NULL otherwise */
    bool *written_columns; /* UPDATE: [column - 1] */
    double insert_rows;  /* VALUES rows of an INSERT; 0: from a SELECT */
    int n_unknown_tables;
    const char *unknown_table; /* a name that the catalog does not have */
    bool recursive;
    bool locks_rows;
} AdvFacts;

#endif
