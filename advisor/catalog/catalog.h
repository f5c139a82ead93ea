/* SPDX-License-Identifier: ISC */
/* catalog.h - what the advisor knows about the database: tables, columns with statistics, indexes, keys.
 *
 * Plain data on the arena, filled by catalog/load.c (or by a test), read by everyone. No I/O. */
#ifndef ADVISOR_CATALOG_CATALOG_H
#define ADVISOR_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "advisor/arena.h"

#define ADV_BLOCK_SIZE 8192.0

typedef struct AdvTable AdvTable;

typedef struct AdvColumn {
    const char *name;
    const char *type;     /* format_type(): "character varying(20)" */
    const char *base_type; /* pg_type.typname, domains resolved: "varchar" */
    int len;              /* pg_type.typlen; -1: varlena */
    int align;            /* 1, 2, 4 or 8 */
    char category;        /* pg_type.typcategory: N number, S string, D date/time, B boolean */
    bool dropped;
    bool not_null;
    bool btree;           /* has a default b-tree operator class */
    bool dedup;           /* equal values are identical, so that b-trees store them once */
    bool collation_c;     /* sorts by bytes: LIKE 'x%' can use an ordinary index */
    bool expression_only; /* generated or system column: not writable */

    bool has_stats;
    bool declared;        /* no statistics, but keys or labels tell how many values it has */
    double null_frac;
    double avg_width;
    double n_distinct;    /* as in pg_stats: negative is a fraction of the rows */
    double correlation;
    int n_mcv;
    const char **mcv;
    double *mcf;
    int n_hist;
    const char **hist;
    double n_elements;        /* arrays and tsvector: elements of a value on average; 0 unknown */
    double elements_distinct; /* among the common ones */
    double elements_common;   /* how many of them a value has on average; 0 unknown */
} AdvColumn;

/* What a sample of the rows told of an expression. */
typedef struct AdvExprStats {
    const char *expr;
    int len; /* as in AdvColumn */
    int align;
    bool dedup;
    double avg_width, variance, null_frac;
    double distinct;
    double share; /* of the rows that have the same value as one taken at random */
} AdvExprStats;

#define ADV_SAMPLE_KEYS_MAX 8

/* Hashes of some rows' values, for how many different combinations there are. */
typedef struct AdvSample {
    int n_rows;
    int n_columns;
    const uint64_t **hashes; /* [column - 1][row]; NULL: column not sampled */
} AdvSample;

typedef struct AdvIndexKey {
    int column;          /* 1-based index into columns; 0: an expression */
    const char *expr;    /* text of an expression, else NULL */
    bool desc;
    bool nulls_first;
    const char *opclass; /* NULL: the type's default */
    const char *collation; /* NULL: the column's own */
} AdvIndexKey;

typedef struct AdvIndex {
    uint32_t oid;
    const char *schema;
    const char *name;
    AdvTable *table;
    const char *method; /* "btree" */
    int n_keys;
    AdvIndexKey *keys;
    int n_include;
    int *include;          /* 1-based columns */
    const char *predicate; /* NULL: whole table */
    const char *definition;
    bool unique;
    bool nulls_not_distinct;
    bool primary;
    bool exclusion;
    bool constraint;       /* backs a constraint, or a foreign key points at it */
    bool replica_identity;
    bool clustered;
    bool deferrable;       /* unique, but checked at the end of a transaction: no stand-in for one that is checked at once */
    bool valid;
    bool building;         /* not valid yet, and something works on its table */
    double bytes;
    double pages;
    double rows;           /* pg_class.reltuples; -1 unknown */
    double scans;          /* pg_stat_user_indexes.idx_scan, of all servers asked; -1 unknown */
    double last_scan_age;  /* days; -1: not known (before PostgreSQL 16), or never */
} AdvIndex;

typedef struct AdvForeignKey {
    const char *name;
    AdvTable *child;
    AdvTable *parent;
    int n_columns;
    int *columns; /* of the child, 1-based */
    int *parent_columns;
} AdvForeignKey;

/* Columns that CREATE STATISTICS watches together. */
typedef struct AdvExtended {
    int n;
    int *columns;
} AdvExtended;

struct AdvTable {
    uint32_t oid;
    const char *schema;
    const char *name;
    char kind;             /* r table, p partitioned, m materialised view, v view, f foreign */
    bool is_partition;
    int path_rank;         /* place of the schema in search_path; -1: not on it */
    const char *view_text; /* of a view; NULL until loaded */
    double rows;
    double pages;
    double all_visible;    /* pages */
    double inserted, updated, hot_updated, deleted, live;
    double seq_scans, idx_scans;
    bool counted;          /* rows is known: the table was analysed or vacuumed once */
    double dead;           /* rows that VACUUM would remove */
    double modified;       /* rows changed since the last ANALYZE */
    double vacuum_age, analyze_age; /* days since the last run of either kind; -1: never, or not known */
    char persistence;      /* p permanent, u unlogged, t temporary */
    double fill_factor;    /* percent */
    double size_pages;     /* as the file is, where pages is 0 because nothing has looked yet; 0 otherwise */
    bool readable;         /* this role may read some column: then pg_stats shows it */
    bool policies_passed_over; /* its row security does not apply to this role */
    bool borrowed_stats;   /* of a partition: the partitioned table has none of its own */
    int n_extended;
    AdvExtended *extended;
    bool of_extension;     /* made by an extension, which looks after it */
    AdvTable *parent;      /* of a partition or a table that inherits */
    int n_children;
    AdvTable **children;   /* partitions, or tables that inherit */
    int n_columns;
    AdvColumn *columns;    /* columns[i] has attnum i + 1 */
    int n_indexes;
    AdvIndex **indexes;
    int n_fks;             /* where this table is the child */
    AdvForeignKey **fks;
    int n_referrers;       /* where this table is the parent */
    AdvForeignKey **referrers;
    int n_exprs;
    AdvExprStats *exprs;
    AdvSample *sample;     /* NULL: none was taken */
    bool referenced;       /* some statement of the workload uses it */
};

typedef struct AdvSettings {
    double seq_page_cost, random_page_cost;
    double cpu_tuple_cost, cpu_index_tuple_cost, cpu_operator_cost;
    double effective_cache_size; /* pages */
    double work_mem;             /* bytes */
} AdvSettings;

typedef struct AdvCatalog {
    AdvArena *arena;
    int n_tables;
    AdvTable **tables;
    AdvSettings settings;
    const char *server_version;
    const char *database;
    const char *now;       /* the server's clock when it was read, as a timestamp in its time zone; NULL: not known */
    const char *role;      /* that reads; "" from a snapshot */
    int server_version_num;
    double stats_age_days; /* since the usage counters began, on the server where they are youngest; -1 unknown */
    bool stats_age_is_least; /* they may be older */
    int n_locked;          /* tables and indexes that somebody holds exclusively: their definitions and sizes could not be read */
    int n_replicas;        /* whose usage counters are in */
    bool has_hypopg;
    const char *hypopg_schema;
    const char *hypopg_version;
    const char *trgm_schema; /* of the extension pg_trgm; NULL: not there */
    bool trgm_on_path;
    bool is_standby;
    bool offline;          /* from a snapshot: there is no server to ask */
    bool assumed;          /* from a schema alone: nobody counted rows or looked at values */
} AdvCatalog;

AdvCatalog *adv_catalog_create(AdvArena *arena); /* empty, with PostgreSQL's default cost settings */

/* The table a statement means: schema may be NULL (search_path decides). NULL when there is none. */
AdvTable *adv_catalog_find(const AdvCatalog *catalog, const char *schema, const char *name);
/* The same of an application whose search_path is not known: without a server to ask, a name that only one schema has is that one's. */
AdvTable *adv_catalog_meant(const AdvCatalog *catalog, const char *schema, const char *name);
/* NULL when there is none. Needs the tables in the order of their oids, as they were loaded. */
AdvTable *adv_catalog_by_oid(const AdvCatalog *catalog, uint32_t oid);
/* The condition of a partial index as a statement would write it: "((status)::text = 'new'::text)" is "status = 'new'". */
const char *adv_predicate_plain(AdvArena *arena, const char *predicate);
/* The expression of an index as the facts word it: "lower((email)::text)" is "lower(email)", "((doc ->> 'n'::text))::integer" is
 * "((doc ->> 'n')::int4)". */
const char *adv_expression_plain(AdvArena *arena, const char *expression);
/* 1-based, 0 when the table has no such column. */
int adv_table_column(const AdvTable *table, const char *name);
AdvTable *adv_catalog_add_table(AdvCatalog *catalog, const char *schema, const char *name, int n_columns);
void adv_table_add_index(AdvCatalog *catalog, AdvTable *table, AdvIndex *index);

/* "schema.table" as it must be written: the schema is left out when search_path finds the same table. */
const char *adv_table_sql_name(const AdvCatalog *catalog, const AdvTable *table);

const AdvColumn *adv_column(const AdvTable *table, int column);

#endif
