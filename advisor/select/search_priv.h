/* SPDX-License-Identifier: ISC */
/* search_priv.h - shared by the files of the search: a set of indexes with its costs (state.c), the greedy way to one (greedy.c), what
 * makes a finished one better (improve.c). The answers to all budgets up to one: ladder.h. */
#ifndef ADVISOR_SELECT_SEARCH_PRIV_H
#define ADVISOR_SELECT_SEARCH_PRIV_H

#include "advisor/select/filter.h"
#include "advisor/select/search.h"
#include "poolwise/time.h"

#define EPSILON 1e-7
#define BETTER 1e-5 /* of the total: less is no reason to go on searching */

typedef struct Move {
    AdvIdSet add;
    double bound;     /* upper bound of its gain over no index at all */
    int n_gains;      /* the statements it may help */
    int *queries;
    double *gains;    /* weighted upper bounds, over no index at all; bound = their sum - upkeep */
} Move;

typedef struct State {
    int n;
    int *ids;       /* ascending */
    double *costs;  /* by statement; some are upper bounds until search_exact() */
    double total;   /* the objective */
    double bytes;
    double write;   /* what the upkeep of its indexes costs; part of the total */
} State;

typedef struct Search {
    AdvArena *arena;
    AdvOracle *oracle;
    AdvPool *pool;
    const AdvWorkload *workload;
    const AdvSearchLimits *limits;
    double budget; /* of the answer that is looked for now; 0: none */
    AdvShortlist list;
    int n_moves;
    Move *moves;
    double byte_price;
    double min_gain;
    double enough; /* search_greedy() ends at a total below it; -INFINITY: at none */
    bool exact;    /* nothing is estimated any more */
    PwUsec deadline;
    PwUsec improve_until;
    uint64_t calls_soft; /* plans after which improvements end */
    uint64_t calls_most; /* plans after which known ones must do */
    uint64_t ladder_most; /* the same on the ladder, where each rung asks what its answer costs besides */
    double cost_before;
    double measure; /* what thresholds and the price of storage are shares of: cost_before, with no statement above a share of it */
    double *open;  /* by statement: how uncertain its cost is, in search_settle() */
    int *open_queries; /* room for all */
    State trial;   /* the one being tried, its arrays used again and again */
    int trial_room;
    int n_changed; /* candidates that come or go in the step being tried */
    int *changed;
    int changed_room;
} Search;

bool search_late(const Search *s); /* the time is over; known plans still tell something when no more may be asked for */
bool search_has(const int *ids, int n, int id);

State search_empty(const Search *s);
/* A copy on the arena, of a trial that is worth it. */
State search_keep(const Search *s, const State *state);

/* The set `from` + add - remove, what an added index serves left out; without the statements' costs. Overwrites the last one. */
State *search_outline(Search *s, const State *from, const int *add, int n_add, const int *remove, int n_remove);
/* Fills in the costs of `to`: the known ones, then questions about the most uncertain statements, but only while the total may still be
 * below `limit`. True: done. False: to->total is a lower bound that has reached the limit. */
bool search_settle(Search *s, const State *from, State *to, double limit);
/* Both, to the end. */
State *search_apply(Search *s, const State *from, const int *add, int n_add, const int *remove, int n_remove);
/* Asks for every cost that was only estimated. */
void search_exact(Search *s, State *state);
/* Whether `state` is cheaper than `from`, whose costs are exact; asks only until that is clear. True: its costs are exact then. */
bool search_beats(Search *s, const State *from, State *state);
/* Of the statements alone. */
double search_statements_cost(const Search *s, const State *state);
void search_finish(const Search *s, const State *state, AdvSelection *selection);
bool search_allowed(const Search *s, const State *state);
/* Goes from *state to the changed one if that is allowed and cheaper. */
bool search_take_if_better(Search *s, State *state, const int *add, int n_add, const int *remove, int n_remove);

void search_make_moves(Search *s);
/* `floor_share` of the budget is the least price of a move; 1: the gain alone counts. */
void search_greedy(Search *s, State *state, double floor_share);

void search_prune(Search *s, State *state);     /* takes out what costs nothing to take out */
void search_merge(Search *s, State *state);     /* two indexes into one, and the room filled */
void search_improve(Search *s, State *state);   /* merges, replacements, refills */
void search_drop_weak(Search *s, State *state); /* below --min-gain */

#endif
