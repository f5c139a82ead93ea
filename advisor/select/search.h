/* SPDX-License-Identifier: ISC */
/* search.h - which candidates together make the workload cheapest within a storage budget.
 *
 * Objective: sum of weight x cost over the statements + what keeping the indexes up to date costs. The search only asks
 * the oracle; it knows nothing of SQL or servers. A larger budget never gets a dearer answer. One thread. */
#ifndef ADVISOR_SELECT_SEARCH_H
#define ADVISOR_SELECT_SEARCH_H

#include "advisor/cost/oracle.h"

typedef struct AdvSearchLimits {
    double budget;      /* bytes; 0: none */
    int max_indexes;    /* 0: none */
    double min_gain;    /* share of the workload's cost that an index must save, unless it halves one statement; negative: the default */
    double max_write;   /* share of the workload's cost that the upkeep of all new indexes together may take; 0: no limit */
    double max_seconds; /* the search stops then; the answer so far stands */
    bool curve;         /* fill the selection's curve too */
} AdvSearchLimits;

/* The best that a smaller budget buys. */
typedef struct AdvCurvePoint {
    double budget;
    double bytes;
    double cost; /* of the workload, without write costs */
    int n;
} AdvCurvePoint;

typedef struct AdvCurve {
    int n;
    AdvCurvePoint *points; /* ascending budgets; costs never rise; room for one more */
} AdvCurve;

typedef struct AdvSelection {
    int n;
    int *ids;          /* ascending */
    double cost_before; /* of the workload; without write costs */
    double cost_after;
    double write_cost;
    double bytes;
    bool out_of_time;
    AdvCurve curve;    /* empty unless asked for */
} AdvSelection;

/* ids[q], n_ids[q]: the candidates of each statement, as generated. */
void adv_search(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, const AdvSearchLimits *limits, AdvSelection *ret_selection);

#endif
