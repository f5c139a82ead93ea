/* SPDX-License-Identifier: ISC */
/* The search with a fake oracle: a table of "with this set the statement costs that". */
#include "fixture.h"

#include <math.h>

#include "advisor/select/search.h"

typedef struct Rule {
    int query;
    int needs[2]; /* columns that must lead some index of the set; 0: none */
    double cost;
} Rule;

typedef struct Fake {
    Fixture f;
    AdvWorkload *w;
    AdvPool *pool;
    AdvCostBackend backend;
    AdvOracle *oracle;
    const Rule *rules;
    int n_rules;
    int calls;
    int **ids;
    int *n_ids;
} Fake;

static int leading(AdvCandidate *const *set, int n, int column)
{
    for (int i = 0; i < n; i++)
        if (set[i]->def.keys[0].column == column)
            return i;
    return -1;
}

static PwErr fake_cost(void *self, const AdvQuery *query, AdvCandidate *const *set, int n, double *ret_cost, bool *used)
{
    Fake *fake = self;
    fake->calls++;
    double best = query->cost_today;
    const Rule *chosen = NULL;
    for (int i = 0; i < fake->n_rules; i++) {
        const Rule *r = &fake->rules[i];
        if (fake->w->queries[r->query] != query || r->cost >= best || leading(set, n, r->needs[0]) < 0 ||
            (r->needs[1] && leading(set, n, r->needs[1]) < 0))
            continue;
        best = r->cost;
        chosen = r;
    }
    for (int k = 0; chosen && k < 2; k++)
        if (chosen->needs[k])
            used[leading(set, n, chosen->needs[k])] = true;
    *ret_cost = best;
    return PW_OK;
}

/* Statement i reads all of orders and costs 1000; one candidate for each column, all offered to all. */
static void open_fake(Fake *fake, int queries, const Rule *rules, int n_rules)
{
    memset(fake, 0, sizeof(*fake));
    fixture_open(&fake->f);
    AdvArena *arena = fake->f.arena;
    fake->rules = rules;
    fake->n_rules = n_rules;
    fake->w = adv_workload_create(arena);
    fake->w->unit = 1;
    fake->pool = adv_pool_create(arena, fake->f.catalog);
    for (int c = 1; c <= 5; c++) {
        AdvIndexKey key = {.column = c};
        AdvIndex def = {.table = fake->f.orders, .method = "btree", .n_keys = 1, .keys = &key};
        int id = adv_pool_add(fake->pool, &def);
        fake->pool->items[id]->bytes = 1e6;
    }
    fake->ids = ADV_NEW_ARRAY(arena, int *, queries);
    fake->n_ids = ADV_NEW_ARRAY(arena, int, queries);
    for (int q = 0; q < queries; q++) {
        const char *sql = adv_arena_printf(arena,
                                           "SELECT %d FROM orders WHERE id = 1 AND customer_id = 1 AND status = 'a' AND created_at = '2025-01-01' AND total = 1", q);
        AdvQuery *query = adv_workload_add(fake->w, sql, "test", (uint64_t)q + 1, 1);
        query->cost_today = 1000;
        query->weight = 1;
        fake->ids[q] = ADV_NEW_ARRAY(arena, int, 5);
        for (int i = 0; i < 5; i++)
            fake->ids[q][i] = i;
        fake->n_ids[q] = 5;
    }
    adv_workload_analyse(fake->w, fake->f.catalog);
    fake->backend = (AdvCostBackend){.self = fake, .name = "fake", .cost = fake_cost};
    fake->oracle = adv_oracle_create(arena, fake->pool, fake->w, &fake->backend);
}

static AdvSelection search(Fake *fake, double budget, int max_indexes, double min_gain)
{
    AdvSelection s;
    AdvSearchLimits limits = {.budget = budget, .max_indexes = max_indexes, .min_gain = min_gain, .max_seconds = 60};
    adv_search(fake->f.arena, fake->oracle, fake->pool, fake->w, fake->ids, fake->n_ids, &limits, &s);
    return s;
}

static void expect_columns(const Fake *fake, const AdvSelection *s, int n, const int *columns)
{
    assert_int_equal(s->n, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(fake->pool->items[s->ids[i]]->def.keys[0].column, columns[i]);
}

static void test_takes_what_helps(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 0}, 10}, {1, {2, 0}, 20}, {1, {3, 0}, 30}};
    Fake fake;
    open_fake(&fake, 2, rules, 3);
    AdvSelection s = search(&fake, 0, 0, 0.005);
    expect_columns(&fake, &s, 2, (int[]){1, 2}); /* 3 adds nothing over 2 */
    assert_true(s.cost_before == 2000 && s.cost_after == 30);
    fixture_close(&fake.f);
}

static void test_two_that_only_pay_together(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 4}, 10}};
    Fake fake;
    open_fake(&fake, 1, rules, 1);
    AdvSelection s = search(&fake, 0, 0, 0.005);
    expect_columns(&fake, &s, 2, (int[]){1, 4});
    fixture_close(&fake.f);
}

static void test_budget_finds_the_better_pair(void **state)
{
    (void)state;
    /* One big index gains most alone; two small ones together gain more in the same space. */
    static const Rule rules[] = {{0, {1, 0}, 100}, {1, {1, 0}, 500}, {0, {2, 0}, 150}, {1, {3, 0}, 150}};
    Fake fake;
    open_fake(&fake, 2, rules, 4);
    fake.pool->items[0]->bytes = 2e6;
    AdvSelection s = search(&fake, 2.1e6, 0, 0);
    expect_columns(&fake, &s, 2, (int[]){2, 3});
    assert_true(s.bytes <= 2.1e6);
    s = search(&fake, 0.5e6, 0, 0);
    assert_int_equal(s.n, 0);
    fixture_close(&fake.f);
}

static void test_limits(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 0}, 10}, {1, {2, 0}, 500}, {2, {3, 0}, 990}};
    Fake fake;
    open_fake(&fake, 3, rules, 3);
    AdvSelection s = search(&fake, 0, 1, 0);
    expect_columns(&fake, &s, 1, (int[]){1});
    s = search(&fake, 0, 0, 0.01); /* the third saves 0.3 % and halves nothing */
    expect_columns(&fake, &s, 2, (int[]){1, 2});
    fixture_close(&fake.f);
}

static void test_write_cost_outweighs(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 0}, 10}, {1, {2, 0}, 10}};
    Fake fake;
    open_fake(&fake, 2, rules, 2);
    fake.pool->items[0]->write_cost = 2000;
    AdvSelection s = search(&fake, 0, 0, 0.005);
    expect_columns(&fake, &s, 1, (int[]){2});
    fixture_close(&fake.f);
}

/* ---- more budget never gives a worse result ---- */

#define STATEMENTS 6
#define RULES 24
#define BUDGETS 14

static unsigned random_state;

static unsigned draw(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static void draw_rules(Rule *rules)
{
    for (int i = 0; i < RULES; i++)
        rules[i] = (Rule){(int)draw(STATEMENTS), {1 + (int)draw(5), draw(2) ? 1 + (int)draw(5) : 0}, 1 + draw(999)};
}

static AdvSelection search_drawn(Fake *fake, const Rule *rules, unsigned seed, double budget, uint64_t max_calls)
{
    open_fake(fake, STATEMENTS, rules, RULES);
    random_state = seed;
    for (int i = 0; i < 5; i++) {
        fake->pool->items[i]->bytes = 16384.0 * (1 + draw(100));
        fake->pool->items[i]->write_cost = draw(3) ? 0 : draw(300);
    }
    adv_oracle_limit(fake->oracle, max_calls);
    return search(fake, budget, draw(4) ? 0 : 3, draw(3) ? -1 : 0.01);
}

static void test_more_budget_is_never_worse(void **state)
{
    (void)state;
    Rule rules[RULES];
    int rises = 0;
    for (unsigned seed = 1; seed <= 150; seed++) {
        double cost = INFINITY, total = INFINITY, budget = 16384;
        random_state = seed;
        draw_rules(rules);
        unsigned data = random_state;
        for (int i = 0; i < BUDGETS; i++) {
            Fake fake;
            random_state = seed * 7919u + (unsigned)i;
            budget *= 1 + draw(1000) / 1000.0;
            AdvSelection s = search_drawn(&fake, rules, data, budget, 0);
            assert_true(s.bytes <= budget);
            assert_true(s.cost_after <= cost && s.cost_after + s.write_cost <= total);
            rises += s.cost_after < cost;
            cost = s.cost_after;
            total = s.cost_after + s.write_cost;
            fixture_close(&fake.f);
        }
    }
    assert_true(rises > 300); /* the budgets are of a size that matters */
}

/* ---- the space is used ---- */

static double true_cost(Fake *fake, unsigned set)
{
    AdvCandidate *items[5];
    int n = 0;
    for (int i = 0; i < 5; i++)
        if (set >> i & 1)
            items[n++] = fake->pool->items[i];
    double sum = 0, cost;
    for (int q = 0; q < STATEMENTS; q++) {
        bool used[5] = {0};
        assert_int_equal(fake_cost(fake, fake->w->queries[q], items, n, &cost, used), PW_OK);
        sum += cost;
    }
    return sum;
}

static double bytes_of(const Fake *fake, unsigned set)
{
    double bytes = 0;
    for (int i = 0; i < 5; i++)
        bytes += set >> i & 1 ? fake->pool->items[i]->bytes : 0;
    return bytes;
}

static double best_cost(Fake *fake, double budget)
{
    double best = INFINITY;
    for (unsigned set = 0; set < 32; set++)
        if (bytes_of(fake, set) <= budget)
            best = fmin(best, true_cost(fake, set));
    return best;
}

static unsigned set_of(const AdvSelection *s)
{
    unsigned set = 0;
    for (int i = 0; i < s->n; i++)
        set |= 1u << s->ids[i];
    return set;
}

/* Against all sets there are, at budgets that are no round numbers: nearly always the best one, and no index that still fits was left lying. */
static void test_space_is_used(void **state)
{
    (void)state;
    Rule rules[RULES];
    double lost = 0, worst = 0;
    int n = 0, left_lying = 0;
    for (unsigned seed = 1; seed <= 300; seed++) {
        Fake fake;
        random_state = seed;
        draw_rules(rules);
        open_fake(&fake, STATEMENTS, rules, RULES);
        for (int i = 0; i < 5; i++)
            fake.pool->items[i]->bytes = 16384.0 * (1 + draw(100));
        double budget = 16384.0 * (10 + draw(300)) + draw(16384);
        AdvSelection s = search(&fake, budget, 0, 0);
        assert_true(s.bytes <= budget && s.cost_after == true_cost(&fake, set_of(&s)));
        for (int i = 0; i < 5; i++)
            left_lying += s.bytes + fake.pool->items[i]->bytes <= budget && true_cost(&fake, set_of(&s) | 1u << i) < s.cost_after - 0.01 * s.cost_before;
        double loss = (s.cost_after - best_cost(&fake, budget)) / s.cost_before;
        lost += loss;
        worst = fmax(worst, loss);
        n++;
        fixture_close(&fake.f);
    }
    print_message("lost to the best set: %.4f on average, %.3f at worst; left lying: %d\n", lost / n, worst, left_lying);
    assert_true(lost / n < 0.002 && left_lying <= 2);
}

/* A budget just as large as the one index that helps, between two rungs, where nothing fits the lower one. */
static void test_between_the_rungs(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 0}, 10}};
    Fake fake;
    open_fake(&fake, 1, rules, 1);
    for (int i = 0; i < 5; i++)
        fake.pool->items[i]->bytes = 1.2 * 1048576;
    AdvSelection s = search(&fake, 1.2 * 1048576, 0, 0);
    expect_columns(&fake, &s, 1, (int[]){1});
    s = search(&fake, 1.2 * 1048576 - 1, 0, 0);
    assert_int_equal(s.n, 0);
    fixture_close(&fake.f);
}

/* Between two rungs a large index fits when two small ones leave for it, and not when one does. */
static void test_small_ones_make_room(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 0}, 850}, {1, {2, 0}, 960}, {2, {3, 0}, 960}, {3, {4, 0}, 960}, {4, {5, 0}, 960}};
    Fake fake;
    open_fake(&fake, 5, rules, 5);
    for (int i = 0; i < 5; i++)
        fake.pool->items[i]->bytes = (i == 0 ? 6.2 : 1.3) * 1048576;
    AdvSelection s = search(&fake, 7.4 * 1048576, 0, 0);
    expect_columns(&fake, &s, 4, (int[]){2, 3, 4, 5});
    s = search(&fake, 8.9 * 1048576, 0, 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(fake.pool->items[s.ids[0]]->def.keys[0].column, 1);
    fixture_close(&fake.f);
}

/* A curve's points are what their budgets are answered with. */
static void test_curve_agrees_with_single_budgets(void **state)
{
    (void)state;
    Rule rules[RULES];
    for (unsigned seed = 1; seed <= 20; seed++) {
        Fake fake;
        random_state = seed;
        draw_rules(rules);
        open_fake(&fake, STATEMENTS, rules, RULES);
        AdvSelection all;
        AdvSearchLimits limits = {.budget = 5e6, .max_seconds = 60, .curve = true};
        adv_search(fake.f.arena, fake.oracle, fake.pool, fake.w, fake.ids, fake.n_ids, &limits, &all);
        assert_true(all.curve.n > 0);
        for (int i = 0; i < all.curve.n; i++) {
            Fake one;
            open_fake(&one, STATEMENTS, rules, RULES);
            AdvSelection s = search(&one, all.curve.points[i].budget, 0, 0);
            assert_true(s.cost_after == all.curve.points[i].cost && s.bytes == all.curve.points[i].bytes);
            fixture_close(&one.f);
        }
        fixture_close(&fake.f);
    }
}

/* What the upkeep may cost at most. */
static void test_write_penalty(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {1, 0}, 10}, {1, {2, 0}, 10}};
    Fake fake;
    for (int budget = 0; budget < 2; budget++) {
        open_fake(&fake, 2, rules, 2);
        fake.pool->items[0]->write_cost = 120; /* of 2000 */
        fake.pool->items[1]->write_cost = 50;
        AdvSelection s;
        AdvSearchLimits limits = {.budget = budget * 1e7, .min_gain = 0.001, .max_seconds = 60, .max_write = 0.05};
        adv_search(fake.f.arena, fake.oracle, fake.pool, fake.w, fake.ids, fake.n_ids, &limits, &s);
        expect_columns(&fake, &s, 1, (int[]){2});
        fixture_close(&fake.f);
    }
}

static void test_cache_answers_between_used_and_asked(void **state)
{
    (void)state;
    static const Rule rules[] = {{0, {2, 0}, 10}};
    Fake fake;
    open_fake(&fake, 1, rules, 1);
    assert_true(adv_oracle_ask(fake.oracle, 0, (int[]){0, 1, 2, 3}, 4)->cost == 10);
    assert_int_equal(fake.calls, 1);
    assert_true(adv_oracle_ask(fake.oracle, 0, (int[]){0, 1}, 2)->cost == 10);
    assert_true(adv_oracle_ask(fake.oracle, 0, (int[]){1}, 1)->cost == 10);
    assert_int_equal(fake.calls, 1);
    assert_true(adv_oracle_ask(fake.oracle, 0, (int[]){0, 2}, 2)->cost == 1000);
    assert_int_equal(fake.calls, 2);
    assert_true(adv_oracle_ask(fake.oracle, 0, (int[]){1, 4}, 2)->cost == 10); /* 4 was never asked about */
    assert_int_equal(fake.calls, 3);
    fixture_close(&fake.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_helps), cmocka_unit_test(test_two_that_only_pay_together),
        cmocka_unit_test(test_budget_finds_the_better_pair), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_write_cost_outweighs), cmocka_unit_test(test_cache_answers_between_used_and_asked),
        cmocka_unit_test(test_more_budget_is_never_worse),
        cmocka_unit_test(test_space_is_used),
        cmocka_unit_test(test_between_the_rungs), cmocka_unit_test(test_small_ones_make_room),
        cmocka_unit_test(test_curve_agrees_with_single_budgets),
        cmocka_unit_test(test_write_penalty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
