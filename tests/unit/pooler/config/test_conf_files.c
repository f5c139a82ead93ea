/* SPDX-License-Identifier: ISC */
/* The files that we ship load, and the defaults that conf/pooler.ini shows are the ones that hold. */
#include "tests/unit/pooler/config/support.h"

static char *slurp(const char *name)
{
    char path[500];
    (void)snprintf(path, sizeof(path), "%s/conf/%s", SOURCE_ROOT, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 16) - 1, file);
    assert_in_range(n, 100, (1 << 16) - 2);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void on_difference(void *arg, const char *key, const char *before, const char *after,
                          bool changeable)
{
    (void)changeable;
    if (strcmp(key, "conffile") == 0)
        return;
    if (before == NULL && (after == NULL || after[0] == '\0'))
        return; /* unset cannot be written; empty means the same for these. Secrets show neither */
    print_error("%s: the default is %s, the file shows %s\n", key, before ? before : "unset",
                after ? after : "unset");
    ++*(int *)arg;
}

static void the_full_file_shows_the_defaults(void **state)
{
    (void)state;
    char *text = slurp("pooler.ini");
    Config *as_it_is = load_good(text), *empty = load_good("[pgbouncer]\n");
    int differences = 0;
    config_diff(empty, as_it_is, on_difference, &differences);
    assert_int_equal(differences, 0);

    /* Now with every ";name = value" switched on. A sentence has a blank behind the semicolon. */
    int switched = 0;
    for (char *p = text; p != NULL; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (p[0] == ';' && p[1] != ' ' && p[1] != '\n' && p[1] != '\0') {
            p[0] = ' ';
            switched++;
        }
    }
    Config *switched_on = load_good(text);
    config_diff(empty, switched_on, on_difference, &differences);
    assert_int_equal(differences, 0);
    assert_int_equal(switched, config_params.n + 3 + 1 + 1);
    assert_int_equal(config_n_databases(switched_on), 3);
    assert_int_equal(config_n_users(switched_on), 1);
    bool is_auto;
    assert_string_equal(config_find_database(switched_on, "reports", &is_auto)->connect_query,
                        "set statement_timeout to '5min'");
    config_unref(as_it_is);
    config_unref(empty);
    config_unref(switched_on);
    free(text);
}

static void the_minimal_file_is_without_warnings(void **state)
{
    (void)state;
    char *text = slurp("minimal.ini");
    PwDiag diags;
    Config *config = load_text(text, &diags);
    free(text);
    print_all(&diags);
    assert_non_null(config);
    assert_int_equal(diags.n, 0);
    bool is_auto;
    assert_non_null(config_find_database(config, "anything", &is_auto));
    assert_int_equal(config->pool_mode, POOL_MODE_TRANSACTION);
    config_unref(config);
    pw_diag_finish(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_full_file_shows_the_defaults),
        cmocka_unit_test(the_minimal_file_is_without_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
