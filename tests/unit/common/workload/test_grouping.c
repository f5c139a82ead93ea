/* SPDX-License-Identifier: ISC */
/* Holds the lexer's fingerprints against libpg_query's over grouping.sql: for each pair of statements both must say the same, "one
 * query" or "two queries", but for those that `accepted` explains. And each normalised text must parse, and be
 * the same query to libpg_query as the text that it came from.
 *
 * Accepted differences. We tell apart what libpg_query takes as one, never harmful (two lines in a report):
 *  - ORDER: it sorts target lists, FROM lists and AND / OR arguments; tokens keep their order.
 *  - SPELLING: it sees through AS, INNER, alias names, CAST, quotes that were not needed, FETCH FIRST.
 *  - CONSTANT: TRUE, FALSE and NULL are constants to it. We keep them outside VALUES: which of two values a boolean
 *    column is compared with decides whether a partial index serves.
 *    The year of EXTRACT(year FROM ...) is one too, and a CASE's ELSE.
 *  - LIST: a = 1, a IN (1) and a = ANY (1) are one to it.
 *  - POSITION: ORDER BY 1 and ORDER BY 2 sort by different columns; to it both are constants.
 *  - ELEMENTS: it drops repeated elements of any list of arguments, so f(1) and f(1, 2), and rows that hold
 *    other things than values; we fold lists only where their length is data.
 *  - TYPED: to it the type of a constant (date '...') is part of the constant.
 * There is one where we take as one what it tells apart:
 *  - MINUS: a minus in front of a placeholder that is cast (-5::int) belongs to the cast there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pg_query.h>

#include "poolwise/err.h"
#include "poolwise/fingerprint.h"

#define MAX_STATEMENTS 400

typedef struct Statement {
    char sql[512];
    uint64_t ours, theirs;
} Statement;

static Statement statements[MAX_STATEMENTS];
static size_t n_statements;

/* Sets of statements over which the two disagree. Each stands for all statements with its fingerprint of ours. */
#define SET_MAX 6
static const struct {
    const char *why;
    const char *sql[SET_MAX];
} accepted[] = {
    {"constant, elements", {"select 1", "select true", "select null", "select 1, 2, 3, 4, 5, 6, 7"}},
    {"spelling", {"select a from t", "select a as x from t", "select a x from t", "select \"a\" from \"t\""}},
    {"order", {"select a, b from t", "select b, a from t"}},
    {"constant, list",
     {"select * from t where a = 1", "select * from t where a = true", "select * from t where a = false",
      "select * from t where a in (1)", "select * from t where a = any ($1)"}},
    {"list", {"select * from t where a <> 1", "select * from t where a not in (1)"}},
    {"list", {"delete from t where a = 1", "delete from t where a in (1)"}},
    {"order", {"select * from t where a > 1 and b < 2", "select * from t where b < 2 and a > 1"}},
    {"spelling", {"select * from t where a::text = 'x'", "select * from t where cast(a as text) = 'x'"}},
    {"typed",
     {"select * from t where created_at >= date '2024-01-01'",
      "select * from t where created_at >= timestamp with time zone '2024-01-01'"}},
    {"constant", {"select extract(year from created_at) from t", "select extract(month from created_at) from t"}},
    {"elements", {"select f(1)", "select f(1, 2)"}},
    {"position", {"select a from t order by 1", "select a from t order by 2"}},
    {"spelling", {"select a from t limit 10", "select a from t fetch first 5 rows only"}},
    {"constant", {"select case when a > 1 then 2 else 3 end from t", "select case when a > 1 then 2 end from t"}},
    {"spelling",
     {"select * from a join b on a.id = b.a_id where b.x = 1", "select * from a inner join b on a.id = b.a_id where b.x = 1"}},
    {"order", {"select * from a, b where a.id = b.a_id and b.x = 1", "select * from b, a where a.id = b.a_id and b.x = 1"}},
    {"constant", {"insert into t (a, b) values (1, 2)", "insert into t (a, b) values (1, default)"}},
    {"minus", {"select -5::int from t", "select 5::int from t"}}, /* one to us, two to it */
};

static uint64_t their_fingerprint(const char *sql)
{
    PgQueryFingerprintResult result = pg_query_fingerprint(sql);
    if (result.error != NULL)
        fail_msg("libpg_query: %s: %s", result.error->message, sql);
    uint64_t fingerprint = result.fingerprint;
    pg_query_free_fingerprint_result(result);
    return fingerprint;
}

/* A statement a line; a line that starts with a blank goes on with the one before. */
static int read_statements(void **state)
{
    (void)state;
    FILE *file = fopen(GROUPING_SQL, "r");
    if (file == NULL) {
        perror(GROUPING_SQL);
        return 1;
    }
    char line[400];
    while (fgets(line, sizeof(line), file) != NULL && n_statements < MAX_STATEMENTS) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == ' ' && n_statements > 0) {
            char *sql = statements[n_statements - 1].sql;
            snprintf(sql + strlen(sql), sizeof(statements[0].sql) - strlen(sql), "\n%s", line);
        } else if (line[0] != '\0') {
            snprintf(statements[n_statements++].sql, sizeof(statements[0].sql), "%s", line);
        }
    }
    fclose(file);
    for (size_t i = 0; i < n_statements; i++) {
        statements[i].ours = pw_fingerprint(statements[i].sql, strlen(statements[i].sql), 0);
        statements[i].theirs = their_fingerprint(statements[i].sql);
    }
    return n_statements > 100 ? 0 : 1;
}

static bool stands_for(const char *sql, uint64_t ours)
{
    return sql != NULL && pw_fingerprint(sql, strlen(sql), 0) == ours;
}

static bool is_accepted(const Statement *a, const Statement *b)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(accepted); i++) {
        bool has_a = false, has_b = false;
        for (size_t j = 0; j < SET_MAX; j++) {
            has_a |= stands_for(accepted[i].sql[j], a->ours);
            has_b |= stands_for(accepted[i].sql[j], b->ours);
        }
        if (has_a && has_b)
            return true;
    }
    return false;
}

static void test_pairs(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < n_statements; i++) {
        for (size_t j = i + 1; j < n_statements; j++) {
            bool ours = statements[i].ours == statements[j].ours, theirs = statements[i].theirs == statements[j].theirs;
            if (ours == theirs || is_accepted(&statements[i], &statements[j]))
                continue;
            wrong++;
            print_error("%s: %s | %s\n", ours ? "we take as one" : "we tell apart", statements[i].sql, statements[j].sql);
        }
    }
    assert_int_equal(wrong, 0);
}

/* A difference that is gone must leave the list: within a set, the two disagree about each neighbour. */
static void test_accepted_differences_exist(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_ARRAY_LEN(accepted); i++) {
        const char *a = accepted[i].sql[0];
        for (size_t j = 1; j < SET_MAX && accepted[i].sql[j] != NULL; j++) {
            const char *b = accepted[i].sql[j];
            bool ours = pw_fingerprint(a, strlen(a), 0) == pw_fingerprint(b, strlen(b), 0);
            bool theirs = their_fingerprint(a) == their_fingerprint(b);
            if (ours == theirs)
                fail_msg("no difference (%s): %s | %s", accepted[i].why, a, b);
        }
    }
}

static void test_normalised_texts_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_statements; i++) {
        char text[PW_QUERY_TEXT_MAX + 1], again[PW_QUERY_TEXT_MAX + 1];
        PwNormalised result = pw_normalise(statements[i].sql, strlen(statements[i].sql), 0, text, sizeof(text));
        assert_true(result.fingerprint == statements[i].ours);
        uint64_t theirs = their_fingerprint(text);
        if (theirs != statements[i].theirs && strncmp(statements[i].sql, "select -5::int", 14) != 0) /* "minus" */
            fail_msg("another query:\n  %s\n  %s", statements[i].sql, text);
        /* normalising what is normalised changes nothing */
        PwNormalised twice = pw_normalise(text, strlen(text), 0, again, sizeof(again));
        assert_string_equal(text, again);
        assert_true(twice.fingerprint == result.fingerprint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_accepted_differences_exist),
        cmocka_unit_test(test_normalised_texts_parse),
    };
    int failed = cmocka_run_group_tests(tests, read_statements, NULL);
    pg_query_exit();
    return failed;
}
