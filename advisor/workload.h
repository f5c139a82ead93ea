/* SPDX-License-Identifier: ISC */
/* workload.h - the statements to advise on, each with its weight, whatever source they came from. One thread. */
#ifndef ADVISOR_WORKLOAD_H
#define ADVISOR_WORKLOAD_H

#include "advisor/source/tally.h"
#include "advisor/sql/facts.h"

typedef struct AdvQuery {
    const char *text;     /* as found; may hold $n */
    const char *origin;   /* "orders.sql:12", "query log" */
    uint64_t group;       /* statements of one shape share it */
    double calls;
    double other_calls;   /* of texts of the shape that are not kept; shared out among those that are */
    double total_ms;      /* measured server time of all calls; 0: not measured */
    double rows_per_call; /* -1: not known */
    int longest_run;      /* of a script: statements of this shape in a row, each with other values */
    bool from_log;        /* normalised: IN ($1) may stand for a longer list */
    bool foreign_key_check; /* not written by anyone: what a DELETE on the parent makes the server do */
    const struct AdvQuery *cause; /* FOREIGN_KEY_CHECK: that statement */

    AdvFacts *facts;      /* NULL: not understood */
    const char *why_not;  /* why it is left out of the costs; NULL: it is in */
    AdvFacts *bound_facts; /* of bound: the same numbering as facts, with values; NULL: not planned */
    const char *bound;    /* text with every $n replaced by a value, as it was planned */
    bool generic;         /* no values were found for the $n: planned for unknown ones, by the server's generic plan; bound is the text */
    double cost_today;
    double rows_today;    /* that the server expects one execution to return or write; -1: not known */
    int n_indexes_today;  /* names of the indexes in today's plan */
    const char **indexes_today;
    int n_indexes_after;  /* the same with the advice, only of statements on tables with an index that nothing uses (planned_after) */
    const char **indexes_after;
    int n_seq_scans_today; /* tables that today's plan reads whole */
    const char **seq_scans_today;
    double weight;        /* of one unit of cost */
} AdvQuery;

typedef struct AdvWorkload {
    AdvArena *arena;
    int n_queries;
    AdvQuery **queries;
    double statements;    /* read, before grouping */
    double unparsed;      /* distinct texts that the parser does not know */
    double unparsed_calls, unparsed_ms;
    const char *first_unparsed;
    double utility;       /* of them: BEGIN, SET, DDL, ...; nothing to advise */
    double unlogged_calls; /* calls whose text the pooler did not keep */
    AdvTallyCounts read;  /* what logs and poolers told, with all that gives no advice; zeros: none was read */
    double unit;          /* weight of one unit of planner cost; 1, or milliseconds when times were measured */
    bool planned_after;   /* indexes_after is known */
    bool measured;        /* at least one query has a measured time */
} AdvWorkload;

AdvWorkload *adv_workload_create(AdvArena *arena);

/* Adds a statement, or its calls to an equal one. Of one shape (group) at most a few texts with different
 * literals are kept, the same ones in whatever order they come; the calls of the others are shared out. Returns a query of the shape. */
AdvQuery *adv_workload_add(AdvWorkload *workload, const char *text, const char *origin, uint64_t group, double calls);

/* Adds a statement that is known to be none of those that are there. Its calls are the caller's. */
AdvQuery *adv_workload_append(AdvWorkload *workload, const char *text, const char *origin, uint64_t group);

/* Puts the statements into an order of their own, so that the advice does not depend on the log's; parses them and fills facts; those that are no SELECT, INSERT, UPDATE or DELETE are dropped. */
void adv_workload_analyse(AdvWorkload *workload, AdvCatalog *catalog);

/* Adds what DELETEs and key UPDATEs make the server run for each foreign key that points at their table. */
void adv_workload_add_fk_checks(AdvWorkload *workload, AdvCatalog *catalog);
/* Once more, when the server has said how many rows each statement writes: a purge makes one check for each of them. */
void adv_workload_count_fk_checks(AdvWorkload *w);

#endif
