/* SPDX-License-Identifier: ISC */
/* explain.h - the answer of EXPLAIN (FORMAT JSON): its cost and the indexes it uses. Pure functions. */
#ifndef ADVISOR_COST_EXPLAIN_H
#define ADVISOR_COST_EXPLAIN_H

#include <stdbool.h>

#include "advisor/arena.h"

/* A table read. */
typedef struct AdvTableScan {
    const char *table;
    const char *alias;
    double cost; /* of one time */
    double rows; /* that pass its conditions */
    bool again;  /* by an index for each row of something else */
    int n_indexes;
    const char **indexes; /* that it uses */
} AdvTableScan;

typedef struct AdvPlan {
    double cost;
    double rows;    /* of an INSERT, UPDATE or DELETE: that it writes */
    int n_indexes;
    const char **indexes; /* names, each once; hypothetical ones as HypoPG calls them */
    int n_seq_scans;
    const char **seq_scans; /* tables read whole */
    int n_scans;
    AdvTableScan *scans; /* each time that one is read */
} AdvPlan;

PW_MUSTCHECK PwErr adv_plan_parse(AdvArena *arena, const char *json, AdvPlan *ret_plan);

#endif
