/* SPDX-License-Identifier: ISC */
/* Statements, their plans on servers, their names; and shapes. */
#include "pooler/session/prepared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pooler/session/shape.h"

static const uint8_t body[] = "SELECT $1\0\0";
#define BODY_SIZE 12 /* text, NUL, no types */

static Statement *intern(void)
{
    return statement_intern(body, BODY_SIZE, 7, 0);
}

static void test_a_statement_is_shared(void **state)
{
    (void)state;
    Statement *a = intern(), *b = intern(), *other = statement_intern(body, BODY_SIZE, 8, 0);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_null(statement_intern(body, BODY_SIZE - 1, 7, 0));
    statement_unref(a);
    statement_unref(b);
    statement_unref(other);
    uint64_t count, bytes;
    statement_store_stats(&count, &bytes);
    assert_int_equal(count, 0);
    assert_int_equal(bytes, 0);
}

static void test_types_make_another_one(void **state)
{
    (void)state;
    static const uint8_t types[] = {0, 0, 0, 23};
    Statement *st = intern(), *typed = statement_with_types(st, types, 1, 0), *again = statement_with_types(typed, types, 1, 0);
    assert_ptr_not_equal(st, typed);
    assert_ptr_equal(typed, again);
    assert_string_equal(statement_text(typed), "SELECT $1");
    assert_int_equal(typed->body_len, BODY_SIZE + 4);
    assert_memory_equal(typed->body + 10, "\0\1\0\0\0\27", 6);
    statement_unref(st);
    statement_unref(typed);
    statement_unref(again);
}

static void test_plans_of_one_statement(void **state)
{
    (void)state;
    Statement *st = intern();
    ServerStatements one, two;
    server_statements_init(&one);
    server_statements_init(&two);
    assert_null(server_statements_use(&one, st));
    ServerStatement *first = server_statements_add(&one, st), *elsewhere = server_statements_add(&two, st);
    assert_ptr_equal(server_statements_use(&one, st), first);
    assert_true(elsewhere->since > first->since);
    assert_ptr_equal(server_statements_plan(&one, st->id, first->since), first);
    assert_null(server_statements_plan(&one, st->id, elsewhere->since));

    server_statement_outdate(first); /* both are as old as that */
    assert_null(server_statements_use(&one, st));
    assert_null(server_statements_use(&two, st));
    assert_true(server_statements_forget(&one, st));
    assert_false(server_statements_forget(&one, st));
    ServerStatement *second = server_statements_add(&one, st);
    server_statement_outdate(elsewhere); /* news of the same change: the new plan is not touched */
    assert_ptr_equal(server_statements_use(&one, st), second);

    server_statements_distrust(&one, st);
    assert_null(server_statements_use(&one, st));
    assert_int_equal(server_statements_count(&one), 1);
    server_statements_finish(&one);
    server_statements_finish(&two);
    statement_unref(st);
}

static void test_pools_that_parsed_it(void **state)
{
    (void)state;
    Statement *st = intern();
    assert_false(statement_is_parsed(st, 1));
    for (uint64_t pool = 1; pool <= STATEMENT_POOLS; pool++) {
        statement_parsed(st, pool);
        statement_parsed(st, pool);
    }
    for (uint64_t pool = 1; pool <= STATEMENT_POOLS; pool++)
        assert_true(statement_is_parsed(st, pool));
    statement_parsed(st, 9);
    assert_true(statement_is_parsed(st, 9));
    unsigned kept = 0;
    for (uint64_t pool = 1; pool <= STATEMENT_POOLS; pool++)
        kept += statement_is_parsed(st, pool);
    assert_int_equal(kept, STATEMENT_POOLS - 1);
    statement_unref(st);
}

static void test_a_name_that_comes_back(void **state)
{
    (void)state;
    ClientStatements names = {0};
    ClientStatement *first = client_statement_ref(client_statements_add(&names, "s", intern()));
    client_statements_remove(&names, first);
    ClientStatement *second = client_statement_ref(client_statements_add(&names, "s", intern()));
    client_statements_restore(&names, first);
    assert_ptr_equal(client_statements_find(&names, "s"), first);
    assert_false(second->listed);
    client_statements_restore(&names, first);
    assert_int_equal(client_statements_count(&names), 1);
    client_statement_unref(second);
    client_statement_unref(first);
    client_statements_finish(&names);
}

static void test_what_a_client_was_told_of_parameters(void **state)
{
    (void)state;
    ClientStatements names = {0};
    ClientStatement *c = client_statements_add(&names, "s", intern());
    client_statement_tell_types(c, (const uint8_t *)"\0\1\0\0\0", 5); /* cut */
    assert_null(c->types);
    client_statement_tell_types(c, (const uint8_t *)"\0\0", 2);
    assert_non_null(c->types);
    uint64_t none = c->types_shape;
    client_statement_tell_types(c, (const uint8_t *)"\0\1\0\0\0\27", 6);
    assert_int_equal(c->n_types, 1);
    assert_memory_equal(c->types, "\0\0\0\27", 4);
    assert_true(c->types_shape != none);
    client_statements_finish(&names);
}

/* name, table, number, type, length, modifier, format */
#define COLUMN(name, table, type, modifier, format) name "\0" table "\0\1" type "\0\4" modifier format
#define INT4 "\0\0\0\27"
#define INT8 "\0\0\0\24"
#define NONE "\377\377\377\377"
#define SHAPE(text) shape_of_rows((const uint8_t *)(text), sizeof(text) - 1)

static void test_shapes(void **state)
{
    (void)state;
    uint64_t x = SHAPE("\0\1" COLUMN("x", "\0\0\0\1", INT4, NONE, "\0\0"));
    assert_true(x > SHAPE_NO_ROWS);
    assert_int_equal(x, SHAPE("\0\1" COLUMN("x", "\0\0\0\2", INT4, NONE, "\0\1"))); /* table and format do not count */
    assert_int_not_equal(x, SHAPE("\0\1" COLUMN("y", "\0\0\0\1", INT4, NONE, "\0\0")));
    assert_int_not_equal(x, SHAPE("\0\1" COLUMN("x", "\0\0\0\1", INT8, NONE, "\0\0")));
    assert_int_not_equal(x, SHAPE("\0\1" COLUMN("x", "\0\0\0\1", INT4, "\0\0\0\10", "\0\0")));
    assert_int_not_equal(x, SHAPE("\0\2" COLUMN("x", "\0\0\0\1", INT4, NONE, "\0\0") COLUMN("x", "\0\0\0\1", INT4, NONE, "\0\0")));
    assert_true(SHAPE("\0\0") > SHAPE_NO_ROWS);
    assert_int_equal(SHAPE("\0\1" "x"), SHAPE_UNKNOWN);
    assert_int_equal(SHAPE("\0\1" COLUMN("x", "\0\0\0\1", INT4, NONE, "\0")), SHAPE_UNKNOWN);
    assert_int_equal(SHAPE("\0\1" COLUMN("x", "\0\0\0\1", INT4, NONE, "\0\0") "z"), SHAPE_UNKNOWN);
    assert_int_equal(SHAPE(""), SHAPE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_statement_is_shared),  cmocka_unit_test(test_types_make_another_one),
        cmocka_unit_test(test_plans_of_one_statement), cmocka_unit_test(test_pools_that_parsed_it), cmocka_unit_test(test_a_name_that_comes_back),
        cmocka_unit_test(test_what_a_client_was_told_of_parameters), cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
