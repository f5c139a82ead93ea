/* SPDX-License-Identifier: ISC */
/* oracle.h - "what would this statement cost with these indexes?", asked as rarely as possible.
 *
 * A backend answers (the planner with HypoPG, or our own model); the oracle remembers. A plan that used only the
 * indexes U out of C is also the plan for every set between U and C: such questions are not asked again.
 *
 * One thread, but for the work that it hands out itself: with several lanes, each with a backend of its own, different statements are asked about at
 * once. What is known of a statement belongs to whoever works on it. Answers and their number do not depend on how many lanes there are. */
#ifndef ADVISOR_COST_ORACLE_H
#define ADVISOR_COST_ORACLE_H

#include "advisor/candidate/candidate.h"

typedef struct AdvCostBackend {
    void *self;
    const char *name;
    /* The cost of one execution when exactly these candidates exist besides the real indexes; set used[i] when the plan
     * uses set[i]. PW_ERR_UNSUPPORTED: this statement cannot be costed. */
    PwErr (*cost)(void *self, const AdvQuery *query, AdvCandidate *const *set, int n, double *ret_cost, bool *used);
} AdvCostBackend;

typedef struct AdvIdSet {
    int n;
    const int *ids; /* ascending */
} AdvIdSet;

bool adv_id_set_has(const AdvIdSet *set, int id);

typedef struct AdvAnswer {
    AdvIdSet asked; /* reduced to what the statement could use */
    AdvIdSet used;
    double cost;
} AdvAnswer;

typedef struct AdvOracle AdvOracle;

AdvOracle *adv_oracle_create(AdvArena *arena, AdvPool *pool, AdvWorkload *workload, const AdvCostBackend *backend);
/* One more that answers, in a thread of its own. */
void adv_oracle_add_lane(AdvOracle *oracle, const AdvCostBackend *backend);

/* Cost of one execution of query q under the set (ascending ids). The answer lives as long as the oracle. */
const AdvAnswer *adv_oracle_ask(AdvOracle *oracle, int q, const int *ids, int n);

/* Asks about all these statements at once, so that adv_oracle_ask knows the answers: the same questions, in the same order where plans are
 * limited. `queries` NULL: all that have a weight. */
void adv_oracle_ask_all(AdvOracle *oracle, const int *queries, int n_queries, const int *ids, int n);

/* Does `work` for each of these statements, several at once. In it only the statement's own number may be asked about, by the functions that take a
 * lane; the arena is the lane's and lasts as long as the oracle's. Limits on plans do not hold in it: `work` has to count. */
typedef struct AdvLane AdvLane;
typedef void (*AdvStatementWork)(void *arg, AdvLane *lane, int q);
void adv_oracle_each(AdvOracle *oracle, const int *queries, int n_queries, AdvStatementWork work, void *arg);
const AdvAnswer *adv_lane_ask(AdvOracle *oracle, AdvLane *lane, int q, const int *ids, int n);
bool adv_lane_relevant(AdvOracle *oracle, AdvLane *lane, int q, int candidate);
AdvArena *adv_lane_arena(AdvLane *lane);
uint64_t adv_lane_calls(const AdvLane *lane); /* plans that this lane has asked for */

/* What is known of that cost without asking: *ret_lower <= cost <= *ret_upper, equal when it is known. More indexes never make
 * a plan dearer: an answer for more of them is a lower bound, and a plan whose indexes are all there is an upper one. */
void adv_oracle_bounds(AdvOracle *oracle, int q, const int *ids, int n, double *ret_lower, double *ret_upper);

/* The cheapest known plan that the set allows when an index may stand for another whose work it does. An estimate, from above. */
double adv_oracle_guess(AdvOracle *oracle, int q, const int *ids, int n);

/* At most so many plans are asked for; from then on adv_oracle_ask answers with the cheapest known plan that the set allows. 0: no limit. */
void adv_oracle_limit(AdvOracle *oracle, uint64_t max_calls);
bool adv_oracle_is_exhausted(const AdvOracle *oracle);
uint64_t adv_oracle_max_calls(const AdvOracle *oracle); /* 0: no limit */
/* The search's own measure: the same, but to it the work is not cut short. 0: none; ADV_KNOWN_ONLY: no plan at all. */
#define ADV_KNOWN_ONLY 1 /* there were more before */
void adv_oracle_save(AdvOracle *oracle, uint64_t calls);

/* Whether the candidate could change the plan of query q at all. */
bool adv_oracle_relevant(AdvOracle *oracle, int q, int candidate);
/* The statements with a weight whose plans these candidates could change: to all others it makes no difference whether they are there. *ret_queries is on
 * the oracle's arena. */
int adv_oracle_statements_of(AdvOracle *oracle, const int *candidates, int n_candidates, int **ret_queries);

uint64_t adv_oracle_questions(const AdvOracle *oracle);
uint64_t adv_oracle_backend_calls(const AdvOracle *oracle);

#endif
