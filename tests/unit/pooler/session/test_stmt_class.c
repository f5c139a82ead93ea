/* SPDX-License-Identifier: ISC */
/* stmt_class: what may touch a session, and what must not cost anything. */
#include "pooler/session/stmt_class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "poolwise/err.h"

typedef struct Case {
    const char *sql;
    unsigned class;
} Case;

static const Case cases[] = {
    /* ordinary statements */
    {"", 0},
    {"SELECT 1", 0},
    {"select a, count(*), lower(b) from t where c in (1, 2) and d = any ($1) group by a, b order by max(e)", 0},
    {"INSERT INTO t (a, b) VALUES (1, now()) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING (a)", 0},
    {"INSERT INTO s.t (a) SELECT coalesce(b, 1) FROM u", 0},
    {"UPDATE pg_settings SET setting = 'x' WHERE name = 'work_mem'", CLASS_UNKNOWN},
    {"WITH u AS (UPDATE ONLY pg_catalog.\"pg_settings\" SET setting = 'x') SELECT 1", CLASS_UNKNOWN},
    {"SELECT * FROM pg_settings", 0},
    {"UPDATE t SET (a, b) = (1, 2) WHERE c = upper('x')", 0},
    {"WITH x (a) AS (SELECT 1), y AS MATERIALIZED (SELECT 2) SELECT * FROM x, y", 0},
    {"WITH RECURSIVE x(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x) SELECT sum(n) OVER (PARTITION BY n) FROM x", 0},
    {"SELECT * FROM generate_series(1, 2) AS g(i)", 0},
    {"SELECT * FROM unnest(ARRAY[1]) g(i)", 0},
    {"SELECT pg_catalog.lower('x'), extract(year from now()), cast('1' as numeric(3, 1)), substring('a' from 1)", 0},
    {"SELECT temp, temporary FROM readings WHERE hold AND load > 1", 0},
    {"SELECT 'SET x', $$DO$$, \"listen\" -- LOAD\n/* CALL f() */", 0},
    {"COPY t (a, b) FROM STDIN", 0},
    {"BEGIN", 0},
    {"COMMIT", 0},
    {"ROLLBACK", 0},
    {"SELECT pg_advisory_xact_lock(1)", 0},
    {"NOTIFY a", 0},
    {"SELECT gen_random_uuid(), random_normal(), uuidv7()", 0},
    {"SELECT DISTINCT ON (a) a, b FROM t", 0},
    {"SELECT * FROM (SELECT DISTINCT ON (a) b FROM t) x(y)", 0},
    {"EXPLAIN (ANALYZE) SELECT 1", 0},
    {"SELECT count(*) FILTER (WHERE a) OVER (ORDER BY b), (a, b) OVERLAPS (c, d), now() AT TIME ZONE ('UTC') FROM t FETCH FIRST 1 ROWS ONLY", 0},
    {"CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION lower()", 0},
    /* tracked */
    {"SET a = 1", CLASS_TRACK},
    {"  /* x */ set LOCAL a = 1", CLASS_TRACK},
    {"RESET ALL", CLASS_TRACK},
    {"SAVEPOINT a", CLASS_TRACK},
    {"RELEASE a", CLASS_TRACK},
    {"ROLLBACK TO a", CLASS_TRACK},
    {"SELECT 1; SET a = 1", CLASS_TRACK},
    {"SELECT set_config('a', 'b', false)", CLASS_TRACK},
    {"SELECT pg_catalog.set_config('a', 'b', false)", CLASS_TRACK},
    {"DISCARD ALL", CLASS_TRACK | CLASS_UNPIN | CLASS_NAMES},
    /* names */
    {"PREPARE a AS SELECT 1", CLASS_NAMES},
    {"PREPARE a (int) AS SELECT 1", CLASS_NAMES},
    {"PREPARE TRANSACTION 'x'", 0},
    {"EXECUTE a (1, f(2))", CLASS_NAMES | CLASS_UNKNOWN},
    {"EXECUTE a (1)", CLASS_NAMES},
    {"EXECUTE a", CLASS_NAMES},
    {"EXPLAIN EXECUTE a", CLASS_NAMES},
    {"CREATE TABLE b AS EXECUTE a", CLASS_NAMES},
    {"DEALLOCATE ALL", CLASS_NAMES},
    /* pins */
    {"LISTEN a", CLASS_PIN | CLASS_LISTEN | CLASS_TRACK},
    {"SELECT 'LISTEN a', listen FROM listen", 0},
    {"UNLISTEN a", CLASS_UNPIN | CLASS_TRACK},
    {"SELECT pg_advisory_lock(1)", CLASS_PIN},
    {"SELECT 1 FROM t WHERE pg_try_advisory_lock (1)", CLASS_PIN},
    {"SELECT pg_advisory_unlock_all()", CLASS_UNPIN},
    {"CREATE TEMP TABLE a AS SELECT 1", CLASS_PIN},
    {"CREATE OR REPLACE TEMPORARY VIEW a AS SELECT 1", CLASS_PIN},
    {"CREATE GLOBAL TEMP TABLE a AS SELECT 1", CLASS_PIN},
    {"SELECT 1 INTO TEMP a", CLASS_PIN},
    {"SELECT 1 INTO LOCAL TEMPORARY a", CLASS_PIN},
    {"CREATE VIEW PG_TEMP.a AS SELECT 1", CLASS_PIN},
    {"CREATE VIEW \"pg_temp\".a AS SELECT 1", CLASS_PIN},
    {"CREATE VIEW U&\"pg\\005Ftemp\".a AS SELECT 1", CLASS_PIN},
    {"SET search_path = pg_temp", CLASS_PIN | CLASS_TRACK},
    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", CLASS_PIN},
    {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", 0},
    {"CLOSE c", CLASS_UNPIN},
    {"DROP TABLE t", CLASS_UNPIN},
    {"LOAD 'x'", CLASS_LOAD},
    {"SELECT pg_backup_start('x')", CLASS_LOAD},
    /* cannot be followed */
    {"DO 'x'", CLASS_UNKNOWN},
    {"CALL p()", CLASS_UNKNOWN},
    {"SELECT mine(1)", CLASS_UNKNOWN},
    {"SELECT year(a), vacuum(b)", CLASS_UNKNOWN},
    {"SELECT DISTINCT ON (a, lower(b)) mine(a) FROM t", CLASS_UNKNOWN},
    {"SELECT DISTINCT ON ((SELECT DISTINCT ON (b) 1 FROM u)) mine(a) FROM t", CLASS_UNKNOWN},
    {"SELECT public.lower(1)", CLASS_UNKNOWN},
    {"SELECT \"lower\"(1)", CLASS_UNKNOWN},
    {"SELECT * FROM t WHERE a = f (1)", CLASS_UNKNOWN},
    {"INSERT INTO t VALUES (f(1))", CLASS_UNKNOWN},
    {"SELECT pg_catalog/**/./**/ query_to_xml('x', true, true, '')", CLASS_UNKNOWN},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(cases); i++) {
        unsigned got = stmt_classify(cases[i].sql, strlen(cases[i].sql), 0, true);
        if (got != (cases[i].class | CLASS_SEEN))
            print_error("%s: %u\n", cases[i].sql, got);
        assert_int_equal(got, cases[i].class | CLASS_SEEN);
    }
}

static void test_a_cut_text_is_unknown(void **state)
{
    (void)state;
    assert_true(stmt_classify("SELECT 1", 8, 0, false) & CLASS_UNKNOWN);
}

/* A backslash before the quote: with standard_conforming_strings = off the string goes on. */
static void test_the_strings_follow_the_setting(void **state)
{
    (void)state;
    const char *sql = "SELECT '\\'; SET a = 1 --'";
    assert_int_equal(stmt_classify(sql, strlen(sql), 0, true), CLASS_SEEN | CLASS_TRACK);
    assert_int_equal(stmt_classify(sql, strlen(sql), 1, true), CLASS_SEEN);
}

/* The words that stand before "(" are found by bisection: each must be found. */
static void test_plain_words_are_in_order(void **state)
{
    (void)state;
    static const char *const words[] = {"all", "analyze", "by", "coalesce", "conflict", "cube", "default", "exists", "greatest",
                                        "having", "in", "join", "least", "materialized", "nullif", "overlay", "rollup",
                                        "select", "table", "trim", "values", "varying", "where", "xmltable", "zone"};
    char sql[64];
    for (size_t i = 0; i < PW_ARRAY_LEN(words); i++) {
        snprintf(sql, sizeof(sql), "SELECT 1 %s (1)", words[i]);
        assert_int_equal(stmt_classify(sql, strlen(sql), 0, true), CLASS_SEEN);
    }
}

static void test_functions_by_oid(void **state)
{
    (void)state;
    assert_int_equal(stmt_classify_function(952), CLASS_SEEN);
    assert_int_equal(stmt_classify_function(3172), CLASS_SEEN);
    assert_int_equal(stmt_classify_function(2880), CLASS_SEEN | CLASS_PIN);
    assert_int_equal(stmt_classify_function(2923), CLASS_SEEN | CLASS_UNKNOWN); /* query_to_xml */
    assert_int_equal(stmt_classify_function(2078), CLASS_SEEN | CLASS_UNKNOWN);
    assert_int_equal(stmt_classify_function(16384), CLASS_SEEN | CLASS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_a_cut_text_is_unknown),
        cmocka_unit_test(test_the_strings_follow_the_setting),
        cmocka_unit_test(test_plain_words_are_in_order),
        cmocka_unit_test(test_functions_by_oid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
