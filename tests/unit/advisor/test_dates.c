/* SPDX-License-Identifier: ISC */
#include "fixture.h"

#include "advisor/sql/dates.h"

static void sums(void **state)
{
    (void)state;
    static const struct {
        const char *date, *interval;
        int sign;
        const char *sum;
    } cases[] = {
        {"2017-07-01", "3 months", 1, "2017-10-01"},     {"2021-08-01", "90 day", -1, "2021-05-03"}, {"2020-01-31", "1 month", 1, "2020-02-29"},
        {"2019-01-31", "1 mon", 1, "2019-02-28"},        {"2020-02-29", "1 year", -1, "2019-02-28"}, {"2000-03-01", "1 days", -1, "2000-02-29"},
        {"2000-01-01", "6 hours", 1, "2000-01-01 06:00:00"}, {"2000-01-01 03:00:00", "6 hours", -1, "1999-12-31 21:00:00"},
        {"2000-01-01 03:00:00", "1 week", 1, "2000-01-08 03:00:00"}, {"2000-01-01", "1 year 2 mons -1 days", 1, "2001-02-28"},
        {"1969-12-31", "1 day", 1, "1970-01-01"},        {"0001-03-01", "1 day", -1, "0001-02-28"},
        /* Not understood: nothing is claimed. */
        {"2017-07-01", "00:30:00", 1, NULL}, {"2017-07-01", "", 1, NULL}, {"2017-07-01", "3 moons", 1, NULL}, {"today", "1 day", 1, NULL},
        {"2017-13-01", "1 day", 1, NULL}, {"2017-07-01 noon", "1 day", 1, NULL}, {"9999-12-31", "1 day", 1, NULL}, {"0001-01-01", "1 year", -1, NULL},
        {"2017-07-01", "99999999 years", 1, NULL},
    };
    AdvArena *arena = adv_arena_create();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *sum = adv_date_add(arena, cases[i].date, cases[i].interval, cases[i].sign);
        if (!cases[i].sum)
            assert_null(sum);
        else
            assert_string_equal(sum, cases[i].sum);
    }
    adv_arena_destroy(arena);
}

/* Day by day over the leap years and centuries, against itself. */
static void every_day_follows_the_one_before(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    const char *day = "1896-01-01";
    for (int i = 0; i < 80000; i++) {
        const char *next = adv_date_add(arena, day, "1 day", 1);
        assert_non_null(next);
        assert_true(strcmp(next, day) > 0);
        assert_string_equal(adv_date_add(arena, next, "1 day", -1), day);
        day = next;
    }
    assert_string_equal(day, "2115-01-13");
    adv_arena_destroy(arena);
}

/* The bounds of a statement's ranges, as the facts tell them. */
static void bounds(void **state)
{
    (void)state;
    static const struct {
        const char *where, *hi;
    } cases[] = {
        {"created_at < date '2017-07-01' + interval '3 month'", "2017-10-01"},
        {"created_at < date '2017-07-01' + interval '3' month", "2017-10-01"},
        {"created_at < '2017-07-01'::date - 1", "2017-06-30"},
        {"created_at <= now()", "2024-05-06 07:08:09"},
        {"created_at < current_date - interval '1 day'", "2024-05-05"},
        {"created_at < current_timestamp - interval '2 hours'", "2024-05-06 05:08:09"},
        {"created_at < now() - $1", NULL},
        {"created_at < date '2017-07-01' + total", NULL},
    };
    Fixture f;
    fixture_open(&f);
    f.catalog->now = "2024-05-06 07:08:09";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AdvFacts *facts;
        const char *why;
        assert_int_equal(adv_sql_analyse(f.catalog, f.arena, adv_arena_printf(f.arena, "SELECT id FROM orders WHERE %s", cases[i].where), &facts, &why), PW_OK);
        if (!cases[i].hi) {
            for (int p = 0; p < facts->n_preds; p++)
                assert_true(facts->preds[p].hi.kind != ADV_VALUE_LITERAL);
            continue;
        }
        assert_int_equal(facts->n_preds, 1);
        assert_string_equal(facts->preds[0].hi.text, cases[i].hi);
    }
    adv_arena_destroy(f.arena);
}

static void predicates_of_partial_indexes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"(status = 'new'::text)", "status = 'new'"},
        {"((status)::text = 'new'::text)", "status = 'new'"},
        {"((status)::text = 'it''s (a)::x'::character varying)", "status = 'it''s (a)::x'"},
        {"(customer_id IS NULL)", "customer_id IS NULL"},
        {"active", "active"},
        {"(NOT active)", "NOT active"},
        {"(created_at > '2020-01-01 00:00:00'::timestamp without time zone)", "created_at > '2020-01-01 00:00:00'"},
        {"((a = 1) AND (b = 2))", "(a = 1) AND (b = 2)"},
        {"(a = 1) AND (b = 2)", "(a = 1) AND (b = 2)"},
    };
    AdvArena *arena = adv_arena_create();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(adv_predicate_plain(arena, cases[i][0]), cases[i][1]);
    static const char *const expressions[][2] = {
        {"lower((email)::text)", "lower(email)"}, {"lower(email)", "lower(email)"}, {"(doc ->> 'no'::text)", "(doc ->> 'no')"},
        {"(((doc ->> 'amount'::text))::integer)", "((doc ->> 'amount')::int4)"}, {"((doc -> 'who'::text) ->> 'town'::text)", "((doc -> 'who') ->> 'town')"},
        {"(doc #>> '{who,town}'::text[])", "(doc #>> '{who,town}')"}, {"((at)::date)", "(at::date)"}, {"\"left\"((code)::text, 3)", "left(code, 3)"},
        {"date_trunc('day'::text, at)", "date_trunc('day', at)"}, {"to_tsvector('english'::regconfig, body)", "to_tsvector('english', body)"},
        {"lower(btrim((title)::text))", "lower(btrim(title))"}, {"(a || 'x)::text'::text)", "(a || 'x)::text')"}, {"(a + 1)", "(a + 1)"}, {"((", "((()"},
    };
    for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++)
        assert_string_equal(adv_expression_plain(arena, expressions[i][0]), expressions[i][1]);
    assert_null(adv_expression_plain(arena, NULL));
    assert_null(adv_predicate_plain(arena, NULL));
    adv_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test(every_day_follows_the_one_before),
        cmocka_unit_test(bounds),
        cmocka_unit_test(predicates_of_partial_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
