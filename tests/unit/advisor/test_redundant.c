/* SPDX-License-Identifier: ISC */
#include "fixture.h"

#include "advisor/select/redundant.h"

static const AdvDrop *drop_of(const AdvDropList *list, const AdvIndex *index)
{
    for (int i = 0; i < list->n; i++)
        if (list->drops[i].index == index)
            return &list->drops[i];
    return NULL;
}

static AdvDropList find(Fixture *f)
{
    AdvDropList list;
    adv_find_drops(f->arena, f->catalog, adv_workload_create(f->arena), NULL, 0, &list);
    return list;
}

static void test_duplicates_and_prefixes(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvIndex *pk = fixture_index(&f, f.orders, "pk", 1, (int[]){1});
    pk->unique = pk->primary = pk->constraint = true;
    AdvIndex *like_pk = fixture_index(&f, f.orders, "like_pk", 1, (int[]){1});
    AdvIndex *wide = fixture_index(&f, f.orders, "wide", 2, (int[]){2, 4});
    AdvIndex *twin = fixture_index(&f, f.orders, "twin", 2, (int[]){2, 4});
    AdvIndex *prefix = fixture_index(&f, f.orders, "prefix", 1, (int[]){2});
    AdvIndex *unique_prefix = fixture_index(&f, f.orders, "unique_prefix", 1, (int[]){2});
    unique_prefix->unique = true;
    AdvIndex *partial = fixture_index(&f, f.orders, "partial", 1, (int[]){4});
    partial->predicate = "total > 5";
    AdvIndex *second = fixture_index(&f, f.orders, "second", 1, (int[]){4});
    for (int i = 0; i < f.orders->n_indexes; i++)
        f.orders->indexes[i]->scans = 5;
    wide->scans = 9;
    AdvDropList list = find(&f);
    assert_int_equal(drop_of(&list, like_pk)->kind, ADV_DROP_DUPLICATE);
    assert_int_equal(drop_of(&list, twin)->kind, ADV_DROP_DUPLICATE);
    assert_ptr_equal(drop_of(&list, twin)->by, wide);
    assert_int_equal(drop_of(&list, prefix)->kind, ADV_DROP_PREFIX);
    assert_null(drop_of(&list, pk));
    assert_null(drop_of(&list, wide));
    assert_null(drop_of(&list, unique_prefix));
    assert_null(drop_of(&list, second)); /* a partial index does not serve it */
    fixture_close(&f);
}

static void test_never_both_and_never_protected(void **state)
{
    (void)state;
    Fixture f;
    fixture_open(&f);
    AdvIndex *unused = fixture_index(&f, f.orders, "unused", 1, (int[]){5});
    AdvIndex *replica = fixture_index(&f, f.orders, "replica", 1, (int[]){4});
    replica->replica_identity = true;
    AdvIndex *unknown = fixture_index(&f, f.customers, "unknown", 1, (int[]){2});
    unknown->scans = -1;
    AdvIndex *invalid = fixture_index(&f, f.customers, "invalid", 1, (int[]){3});
    invalid->valid = false;
    AdvForeignKey fk = {.name = "fk", .child = f.orders, .parent = f.customers, .n_columns = 1, .columns = (int[]){2},
                        .parent_columns = (int[]){1}};
    AdvForeignKey *fks[] = {&fk};
    f.orders->fks = fks;
    f.orders->n_fks = 1;
    AdvIndex *for_fk = fixture_index(&f, f.orders, "for_fk", 1, (int[]){2});
    AdvDropList list = find(&f);
    assert_int_equal(drop_of(&list, unused)->kind, ADV_DROP_UNUSED);
    assert_int_equal(drop_of(&list, invalid)->kind, ADV_DROP_INVALID);
    assert_null(drop_of(&list, replica));
    assert_null(drop_of(&list, unknown));
    assert_null(drop_of(&list, for_fk));
    assert_int_equal(list.n, 2);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_duplicates_and_prefixes),
                                       cmocka_unit_test(test_never_both_and_never_protected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
