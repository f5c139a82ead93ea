/* SPDX-License-Identifier: ISC */
/* search.c - greedy from several starts, then swaps.
 *
 * A move adds one candidate, or several that only pay together (they were used by one plan). Greedy takes the move
 * with the best gain for its price; what "price" means differs between the starts: bytes finds many small
 * indexes, nothing at all finds the big ones, a floor on the bytes lies between. The swap phase then takes one
 * index out (or merges two) and fills up again, as long as that helps. All questions go through the oracle's cache, so
 * that later phases are cheap. */
#include "advisor/select/search.h"

#include <math.h>
#include <stdlib.h>

#include "advisor/cost/write_cost.h"
#include "advisor/select/filter.h"
#include "poolwise/time.h"

#define EPSILON 1e-7
/* Without a budget storage still has a price: indexes as large as all the tables cost this share of the workload. */
#define STORAGE_PRICE 0.04
#define BETTER 1e-5 /* of the total: less is no reason to go on searching */
#define SECOND_INDEX_GAIN 0.10
#define STORAGE_FLOOR (64.0 * 1024 * 1024)
#define TABLE_BYTES_PER_PAGE 8192.0

typedef struct Move {
    AdvIdSet add;
    double bound; /* upper bound of the gain, or the gain itself */
    int round;    /* in which `bound` was computed; -1: never */
} Move;

typedef struct State {
    int n;
    int *ids;       /* ascending */
    double *costs;  /* by statement */
    double total;   /* the objective */
    double bytes;
} State;

typedef struct Search {
    AdvArena *arena;
    AdvOracle *oracle;
    AdvPool *pool;
    const AdvWorkload *workload;
    const AdvSearchLimits *limits;
    int n_moves;
    Move *moves;
    double byte_price;
    PwUsec deadline;
    double cost_before;
    double *open; /* by statement: how uncertain its cost is, in settle() */
} Search;

static bool late(const Search *s)
{
    return pw_time_mono() > s->deadline;
}

static State state_copy(const Search *s, const State *from, int room)
{
    State copy = *from;
    copy.ids = ADV_NEW_ARRAY(s->arena, int, from->n + room + 1);
    if (from->n)
        memcpy(copy.ids, from->ids, (size_t)from->n * sizeof(int));
    copy.costs = ADV_NEW_ARRAY(s->arena, double, s->workload->n_queries + 1);
    memcpy(copy.costs, from->costs, (size_t)s->workload->n_queries * sizeof(double));
    return copy;
}

static bool has_id(const int *ids, int n, int id)
{
    for (int i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static void insert_id(State *state, int id)
{
    int at = state->n;
    while (at > 0 && state->ids[at - 1] > id) {
        state->ids[at] = state->ids[at - 1];
        at--;
    }
    state->ids[at] = id;
    state->n++;
}

static void remove_id(State *state, int id)
{
    int kept = 0;
    for (int i = 0; i < state->n; i++)
        if (state->ids[i] != id)
            state->ids[kept++] = state->ids[i];
    state->n = kept;
}

/* What the state would be that results from `from` by adding and removing; indexes that an added one serves as well
 * leave on their own. Sizes and upkeep are known now, the statements' costs not yet: total is without them. */
static State outline(const Search *s, const State *from, const int *add, int n_add, const int *remove, int n_remove)
{
    State to = state_copy(s, from, n_add);
    for (int i = 0; i < n_remove; i++)
        remove_id(&to, remove[i]);
    for (int i = 0; i < n_add; i++)
        if (!has_id(to.ids, to.n, add[i]))
            insert_id(&to, add[i]);
    for (int i = 0; i < n_add; i++)
        for (int k = to.n - 1; k >= 0; k--)
            if (to.ids[k] != add[i] &&
                adv_index_serves(&s->pool->items[add[i]]->def, &s->pool->items[to.ids[k]]->def) &&
                !has_id(add, n_add, to.ids[k]))
                remove_id(&to, to.ids[k]);
    to.bytes = 0;
    to.total = 0;
    for (int i = 0; i < to.n; i++) {
        to.bytes += s->pool->items[to.ids[i]]->bytes;
        to.total += s->pool->items[to.ids[i]]->write_cost;
    }
    to.total += to.bytes * s->byte_price;
    return to;
}

static bool may_differ(const Search *s, int q, const State *from, const State *to)
{
    for (int i = 0; i < from->n; i++)
        if (!has_id(to->ids, to->n, from->ids[i]) && adv_oracle_relevant(s->oracle, q, from->ids[i]))
            return true;
    for (int i = 0; i < to->n; i++)
        if (!has_id(from->ids, from->n, to->ids[i]) && adv_oracle_relevant(s->oracle, q, to->ids[i]))
            return true;
    return false;
}

static bool allowed(const Search *s, const State *state)
{
    if (s->limits->budget > 0 && state->bytes > s->limits->budget)
        return false;
    return s->limits->max_indexes <= 0 || state->n <= s->limits->max_indexes;
}

/* Fills in the costs of `to`. First come the bounds that are known anyway; then the statements are asked about, the most
 * uncertain first, but only while the total may still be below `limit`. True: all costs are known. False: to->total is a
 * lower bound that has reached the limit. */
static bool settle(Search *s, const State *from, State *to, double limit)
{
    int n_open = 0;
    for (int q = 0; q < s->workload->n_queries; q++) {
        double weight = s->workload->queries[q]->weight, lower, upper;
        if (weight <= 0)
            continue;
        if (may_differ(s, q, from, to)) {
            adv_oracle_bounds(s->oracle, q, to->ids, to->n, &lower, &upper);
            to->costs[q] = lower;
            s->open[q] = weight * (upper - lower);
            n_open += s->open[q] > 0;
        } else {
            s->open[q] = 0;
        }
        to->total += weight * to->costs[q];
    }
    for (; n_open > 0 && to->total < limit; n_open--) {
        int q = 0;
        for (int i = 1; i < s->workload->n_queries; i++)
            if (s->open[i] > s->open[q])
                q = i;
        double cost = adv_oracle_ask(s->oracle, q, to->ids, to->n)->cost;
        to->total += s->workload->queries[q]->weight * (cost - to->costs[q]);
        to->costs[q] = cost;
        s->open[q] = 0;
    }
    return n_open == 0;
}

static State apply(Search *s, const State *from, const int *add, int n_add, const int *remove, int n_remove)
{
    State to = outline(s, from, add, n_add, remove, n_remove);
    settle(s, from, &to, INFINITY);
    return to;
}

/* Goes from *state to the changed one if that is allowed and cheaper. */
static bool take_if_better(Search *s, State *state, const int *add, int n_add, const int *remove, int n_remove)
{
    State to = outline(s, state, add, n_add, remove, n_remove);
    double limit = state->total * (1 - BETTER);
    if (!allowed(s, &to) || !settle(s, state, &to, limit) || to.total >= limit)
        return false;
    *state = to;
    return true;
}

static double price_of(const Search *s, double bytes, double floor_share)
{
    if (floor_share >= 1)
        return 1; /* gain alone counts */
    return fmax(bytes, fmax(s->limits->budget * floor_share, 8192));
}

static double move_bytes(const Search *s, const Move *move, const State *state)
{
    double bytes = 0;
    for (int i = 0; i < move->add.n; i++)
        if (!has_id(state->ids, state->n, move->add.ids[i]))
            bytes += s->pool->items[move->add.ids[i]]->bytes;
    return bytes;
}

/* Upper bound of a move's gain before anything was asked: all relevant statements at their best. */
static void first_bounds(Search *s, const AdvShortlist *list)
{
    for (int m = 0; m < s->n_moves; m++) {
        Move *move = &s->moves[m];
        move->round = -1;
        move->bound = 0;
        for (int q = 0; q < s->workload->n_queries; q++) {
            const AdvQuery *query = s->workload->queries[q];
            if (query->weight <= 0)
                continue;
            for (int i = 0; i < move->add.n; i++)
                if (adv_oracle_relevant(s->oracle, q, move->add.ids[i])) {
                    move->bound += query->weight * fmax(query->cost_today - list->best[q], 0);
                    break;
                }
        }
    }
}

static void greedy(Search *s, State *state, double floor_share)
{
    double *bounds = ADV_NEW_ARRAY(s->arena, double, s->n_moves + 1);
    int *rounds = ADV_NEW_ARRAY(s->arena, int, s->n_moves + 1);
    for (int m = 0; m < s->n_moves; m++) {
        bounds[m] = s->moves[m].bound;
        rounds[m] = -1;
    }
    for (int round = 0; !late(s); round++) {
        int winner = -1;
        while (!late(s)) {
            int best = -1;
            double best_score = 0, second_score = 0;
            for (int m = 0; m < s->n_moves; m++) {
                if (bounds[m] <= EPSILON * s->cost_before)
                    continue;
                double bytes = move_bytes(s, &s->moves[m], state);
                double score = bytes > 0 ? bounds[m] / price_of(s, bytes, floor_share) : 0;
                if (score > best_score) {
                    second_score = best_score;
                    best_score = score;
                    best = m;
                } else if (score > second_score) {
                    second_score = score;
                }
            }
            if (best < 0)
                break;
            if (rounds[best] == round) {
                winner = best;
                break;
            }
            /* Asked about only until it is clear that another move is the better one. */
            const Move *move = &s->moves[best];
            State tried = outline(s, state, move->add.ids, move->add.n, NULL, 0);
            double rival = second_score * price_of(s, move_bytes(s, move, state), floor_share);
            bool fits = allowed(s, &tried);
            /* The margin lets one of two equal moves win. */
            if (fits && settle(s, state, &tried, state->total - rival + EPSILON * s->cost_before))
                rounds[best] = round;
            bounds[best] = fits ? state->total - tried.total : 0;
        }
        if (winner < 0)
            return;
        State next = apply(s, state, s->moves[winner].add.ids, s->moves[winner].add.n, NULL, 0);
        if (next.total >= state->total * (1 - EPSILON))
            return;
        *state = next;
        bounds[winner] = 0;
    }
}

/* Takes out what costs nothing to take out. */
static void prune(Search *s, State *state)
{
    bool again = true;
    while (again) {
        again = false;
        State best = {0};
        for (int i = 0; i < state->n; i++) {
            State without = apply(s, state, NULL, 0, &state->ids[i], 1);
            if (without.total <= state->total * (1 + EPSILON) && (!again || without.total < best.total)) {
                best = without;
                again = true;
            }
        }
        if (again)
            *state = best;
    }
}

/* One index that does the work of two of the same table: the longer keys, all other columns included. */
static int merged(Search *s, int a, int b)
{
    const AdvIndex *x = &s->pool->items[a]->def, *y = &s->pool->items[b]->def;
    if (x->table != y->table || x->keys[0].column != y->keys[0].column || x->keys[0].column == 0 || x->predicate ||
        y->predicate)
        return -1;
    AdvIndex m = *x;
    m.include = adv_arena_grow(s->arena, x->include, (size_t)x->n_include * sizeof(int),
                               ((size_t)x->n_include + (size_t)y->n_keys + (size_t)y->n_include + 1) * sizeof(int));
    for (int i = 0; i < y->n_keys + y->n_include; i++) {
        int column = i < y->n_keys ? y->keys[i].column : y->include[i - y->n_keys];
        if (column == 0)
            return -1;
        if (!adv_index_has_column(&m, column))
            m.include[m.n_include++] = column;
    }
    if (m.n_include > 12)
        return -1;
    int known = s->pool->n;
    int id = adv_pool_add(s->pool, &m);
    if (id == known) {
        double unit = s->workload->unit;
        adv_price(s->pool->catalog, s->workload, unit, s->pool->items[id]);
    }
    return id;
}

static bool try_merges(Search *s, State *state)
{
    for (int i = 0; i < state->n; i++)
        for (int k = 0; k < state->n && !late(s); k++) {
            int id = i == k ? -1 : merged(s, state->ids[i], state->ids[k]);
            if (id < 0 || id == state->ids[i] || id == state->ids[k])
                continue;
            int gone[2] = {state->ids[i], state->ids[k]};
            if (take_if_better(s, state, &id, 1, gone, 2))
                return true;
        }
    return false;
}

static bool try_replacements(Search *s, State *state, const AdvShortlist *list)
{
    for (int i = 0; i < state->n; i++)
        for (int k = 0; k < list->n && !late(s); k++) {
            int id = list->ids[k];
            if (has_id(state->ids, state->n, id) ||
                s->pool->items[id]->def.table != s->pool->items[state->ids[i]]->def.table)
                continue;
            if (take_if_better(s, state, &id, 1, &state->ids[i], 1))
                return true;
        }
    return false;
}

static bool try_refills(Search *s, State *state)
{
    static const double floors[] = {0, 0.3};
    for (int i = 0; i < state->n; i++)
        for (size_t f = 0; f < PW_ARRAY_LEN(floors) && !late(s); f++) {
            State next = apply(s, state, NULL, 0, &state->ids[i], 1);
            greedy(s, &next, floors[f]);
            if (next.total < state->total * (1 - BETTER)) {
                *state = next;
                return true;
            }
        }
    return false;
}

static bool halves_a_statement(const Search *s, const State *with, const State *without)
{
    for (int q = 0; q < s->workload->n_queries; q++)
        if (s->workload->queries[q]->weight > 0 && with->costs[q] <= 0.5 * without->costs[q])
            return true;
    return false;
}

/* Its keys are those of an existing index; only the INCLUDE columns are new. Such a second index must save more,
 * unless a budget says how much space there is for luxury. */
static bool only_covers(const Search *s, int id)
{
    AdvIndex plain = s->pool->items[id]->def;
    plain.n_include = 0;
    return s->limits->budget <= 0 && adv_index_served_by_existing(&plain) != NULL;
}

static bool is_weak(const Search *s, const State *with, const State *without, int id)
{
    double gain = without->total - with->total;
    if (only_covers(s, id))
        return gain < fmax(s->limits->min_gain, SECOND_INDEX_GAIN) * s->cost_before;
    return gain < s->limits->min_gain * s->cost_before && !halves_a_statement(s, with, without);
}

/* The weakest index goes while it saves less than asked. */
static void drop_weak(Search *s, State *state)
{
    for (;;) {
        State best = {0};
        double least = INFINITY;
        for (int i = 0; i < state->n; i++) {
            State without = apply(s, state, NULL, 0, &state->ids[i], 1);
            double gain = without.total - state->total;
            if (is_weak(s, state, &without, state->ids[i]) && gain < least) {
                least = gain;
                best = without;
            }
        }
        if (least == INFINITY)
            return;
        *state = best;
    }
}

static void make_moves(Search *s, const AdvShortlist *list)
{
    s->moves = ADV_NEW_ARRAY(s->arena, Move, list->n + list->n_joint + 1);
    for (int i = 0; i < list->n; i++) {
        int *id = ADV_NEW(s->arena, int);
        *id = list->ids[i];
        s->moves[s->n_moves++].add = (AdvIdSet){1, id};
    }
    for (int i = 0; i < list->n_joint; i++)
        s->moves[s->n_moves++].add = list->joint[i];
    first_bounds(s, list);
}

static double table_bytes(const AdvCatalog *catalog)
{
    double bytes = 0;
    for (int i = 0; i < catalog->n_tables; i++)
        if (catalog->tables[i]->referenced)
            bytes += catalog->tables[i]->pages * TABLE_BYTES_PER_PAGE;
    return bytes;
}

static State start_state(const Search *s)
{
    State state = {.ids = ADV_NEW(s->arena, int)};
    state.costs = ADV_NEW_ARRAY(s->arena, double, s->workload->n_queries + 1);
    for (int q = 0; q < s->workload->n_queries; q++) {
        state.costs[q] = s->workload->queries[q]->cost_today;
        state.total += s->workload->queries[q]->weight * state.costs[q];
    }
    return state;
}

static void improve(Search *s, State *state, const AdvShortlist *list)
{
    prune(s, state);
    while (!late(s) && (try_merges(s, state) || try_replacements(s, state, list) || try_refills(s, state)))
        prune(s, state);
}

static void finish(const Search *s, const State *state, AdvSelection *selection)
{
    selection->n = state->n;
    selection->ids = state->ids;
    selection->bytes = state->bytes;
    selection->cost_before = s->cost_before;
    for (int i = 0; i < state->n; i++)
        selection->write_cost += s->pool->items[state->ids[i]]->write_cost;
    for (int q = 0; q < s->workload->n_queries; q++)
        selection->cost_after += s->workload->queries[q]->weight * state->costs[q];
    selection->out_of_time = late(s);
}

void adv_search(AdvArena *arena, AdvOracle *oracle, AdvPool *pool, const AdvWorkload *workload, int *const *ids,
                const int *n_ids, const AdvSearchLimits *limits, AdvSelection *ret_selection)
{
    memset(ret_selection, 0, sizeof(*ret_selection));
    Search s = {.arena = arena, .oracle = oracle, .pool = pool, .workload = workload, .limits = limits};
    s.open = ADV_NEW_ARRAY(arena, double, workload->n_queries + 1);
    s.deadline = pw_time_mono() + (PwUsec)(limits->max_seconds * 1e6);
    AdvShortlist list;
    adv_filter(arena, oracle, pool, workload, ids, n_ids, &list);
    make_moves(&s, &list);
    State empty = start_state(&s);
    s.cost_before = empty.total;
    if (limits->budget <= 0)
        s.byte_price = STORAGE_PRICE * empty.total / fmax(table_bytes(pool->catalog), STORAGE_FLOOR);
    static const double floors[] = {0, 0.1, 0.3, 1};
    State best = empty;
    for (size_t i = 0; i < PW_ARRAY_LEN(floors) && !late(&s); i++) {
        State state = empty;
        if (limits->budget <= 0 && floors[i] > 0 && floors[i] < 1)
            continue; /* they are shares of the budget */
        greedy(&s, &state, floors[i]);
        prune(&s, &state);
        if (state.total < best.total)
            best = state;
    }
    improve(&s, &best, &list);
    drop_weak(&s, &best);
    finish(&s, &best, ret_selection);
}
