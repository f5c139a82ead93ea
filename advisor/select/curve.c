/* SPDX-License-Identifier: ISC */
#include "advisor/select/curve.h"

#include <math.h>

/* What adding `id` to the built ones would save, as far as known plans tell. */
static double guess_gain(AdvOracle *oracle, const AdvWorkload *w, const int *with, int n, int id, const double *costs)
{
    double gain = 0;
    for (int q = 0; q < w->n_queries; q++)
        if (w->queries[q]->weight > 0 && adv_oracle_relevant(oracle, q, id))
            gain += w->queries[q]->weight * fmax(costs[q] - adv_oracle_guess(oracle, q, with, n), 0);
    return gain;
}

static void insert_sorted(int *ids, int n, int id)
{
    while (n > 0 && ids[n - 1] > id) {
        ids[n] = ids[n - 1];
        n--;
    }
    ids[n] = id;
}

static int next_to_build(AdvOracle *oracle, const AdvPool *pool, const AdvWorkload *w, const AdvSelection *s, const bool *done, const int *built, int n,
                         int *with, const double *costs)
{
    int best = -1;
    double best_score = -1;
    for (int i = 0; i < s->n; i++) {
        if (done[i])
            continue;
        memcpy(with, built, (size_t)n * sizeof(*with));
        insert_sorted(with, n, s->ids[i]);
        double score = guess_gain(oracle, w, with, n + 1, s->ids[i], costs) / fmax(pool->items[s->ids[i]]->bytes, 8192);
        if (score > best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}

void adv_build_order(AdvArena *arena, AdvOracle *oracle, const AdvPool *pool, const AdvWorkload *w, const AdvSelection *s, AdvBuildStep **ret_steps)
{
    AdvBuildStep *steps = ADV_NEW_ARRAY(arena, AdvBuildStep, s->n + 1);
    int *built = ADV_NEW_ARRAY(arena, int, s->n + 1), *with = ADV_NEW_ARRAY(arena, int, s->n + 1);
    int *touched = ADV_NEW_ARRAY(arena, int, w->n_queries + 1);
    bool *done = ADV_NEW_ARRAY(arena, bool, s->n + 1);
    double *costs = ADV_NEW_ARRAY(arena, double, w->n_queries + 1), bytes = 0;
    for (int q = 0; q < w->n_queries; q++)
        costs[q] = w->queries[q]->cost_today;
    for (int n = 0; n < s->n; n++) {
        int i = next_to_build(oracle, pool, w, s, done, built, n, with, costs);
        int id = s->ids[i];
        done[i] = true;
        insert_sorted(built, n, id);
        bytes += pool->items[id]->bytes;
        double cost = 0;
        int n_touched = 0;
        for (int q = 0; q < w->n_queries; q++)
            if (adv_oracle_relevant(oracle, q, id))
                touched[n_touched++] = q;
        adv_oracle_ask_all(oracle, touched, n_touched, built, n + 1);
        for (int q = 0; q < w->n_queries; q++) {
            if (w->queries[q]->weight <= 0)
                continue;
            if (adv_oracle_relevant(oracle, q, id))
                costs[q] = adv_oracle_ask(oracle, q, built, n + 1)->cost;
            cost += w->queries[q]->weight * costs[q];
        }
        steps[n] = (AdvBuildStep){.id = id, .bytes = bytes, .cost = cost};
    }
    *ret_steps = steps;
}

void adv_curve_end(AdvCurve *curve, const AdvSelection *s)
{
    while (curve->n > 0 && (curve->points[curve->n - 1].cost <= s->cost_after || curve->points[curve->n - 1].bytes >= s->bytes))
        curve->n--;
    if (s->n > 0)
        curve->points[curve->n++] = (AdvCurvePoint){.budget = s->bytes, .bytes = s->bytes, .cost = s->cost_after, .n = s->n};
}

int adv_curve_knee(const AdvCurve *curve, double cost_before)
{
    int knee = -1;
    double best = 0;
    if (curve->n == 0)
        return -1;
    const AdvCurvePoint *last = &curve->points[curve->n - 1];
    double gain = fmax(cost_before - last->cost, 1e-9), size = fmax(last->bytes, 1);
    for (int i = 0; i < curve->n; i++) {
        double above = (cost_before - curve->points[i].cost) / gain - curve->points[i].bytes / size;
        if (above > best + 1e-9) {
            best = above;
            knee = i;
        }
    }
    return knee;
}
