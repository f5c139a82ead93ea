/* SPDX-License-Identifier: ISC */
#include "fixture.h"

static void expect(const char *text, int n, const char *const *pieces)
{
    AdvArena *arena = adv_arena_create();
    AdvPiece *got;
    int n_got;
    adv_sql_split(arena, text, &got, &n_got);
    assert_int_equal(n_got, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(got[i].len, strlen(pieces[i]));
        assert_memory_equal(text + got[i].start, pieces[i], got[i].len);
    }
    adv_arena_destroy(arena);
}

#define EXPECT(text, ...) expect(text, (int)PW_ARRAY_LEN(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__})

static void test_pieces(void **state)
{
    (void)state;
    EXPECT("SELECT 1; SELECT 2", "SELECT 1", "SELECT 2");
    EXPECT("SELECT ';'; SELECT $$;$$;;;", "SELECT ';'", "SELECT $$;$$");
    EXPECT("SELEC 1; nonsense", "SELEC 1", "nonsense");
    EXPECT("/* ; */ SELECT 1 -- ;\n + 2 ; -- end", "SELECT 1 -- ;\n + 2");
    EXPECT("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
           "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3");
    EXPECT("  SELECT 'open", "SELECT 'open");
    expect("", 0, NULL);
    expect(" ;; -- nothing\n", 0, NULL);
    /* What pg_dump says to psql; the key may begin with a digit. */
    expect("\\restrict 9Yu6dQ\n\nSELECT 1;\n\\unrestrict 9Yu6dQ\n", 1, (const char *const[]){"SELECT 1"});
    expect("SELECT E'\n\\\\x';\n\\connect db", 1, (const char *const[]){"SELECT E'\n\\\\x'"});
}

static void test_weights_and_lines(void **state)
{
    (void)state;
    AdvArena *arena = adv_arena_create();
    AdvPiece *p;
    int n;
    adv_sql_split(arena, "SELECT 1;\n-- weight: 25\nSELECT 2;\n/* weight: 0.5 */ SELECT 3;\n-- weight: -1\nSELECT 4; SELECT 5 -- weight: 7\n",
                  &p, &n);
    assert_int_equal(n, 5);
    static const double weights[] = {1, 25, 0.5, 1, 7};
    static const int lines[] = {1, 3, 4, 6, 6};
    for (int i = 0; i < n; i++) {
        assert_true(p[i].weight == weights[i]);
        assert_int_equal(p[i].line, lines[i]);
    }
    adv_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_weights_and_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
