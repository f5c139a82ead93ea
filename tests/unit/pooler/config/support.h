/* SPDX-License-Identifier: ISC */
/* support.h - loads a configuration from text and asks for its problems. Header only, for these tests. */
#ifndef TESTS_UNIT_POOLER_CONFIG_SUPPORT_H
#define TESTS_UNIT_POOLER_CONFIG_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pooler/config/params_table.h"
#include "pooler/config/snapshot.h"

/* Loads the text from a file that is gone afterwards. NULL when there were errors. */
static inline Config *load_text(const char *text, PwDiag *diags)
{
    char path[] = "/tmp/test_config_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    size_t len = strlen(text);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(close(fd), 0);
    Config *config = NULL;
    pw_diag_init(diags);
    PwErr err = config_load(path, &config, diags);
    (void)unlink(path);
    if (err == PW_OK)
        assert_non_null(config);
    else
        assert_null(config);
    assert_int_equal(err == PW_OK, diags->n_errors == 0);
    return config;
}

/* Loads a text that must be without errors; the warnings are dropped. */
static inline Config *load_good(const char *text)
{
    PwDiag diags;
    Config *config = load_text(text, &diags);
    if (config == NULL)
        fail_msg("%s", diags.items[0].text);
    pw_diag_finish(&diags);
    return config;
}

/* Is there a problem at this line whose text or hint holds `part`? */
static inline bool told(const PwDiag *diags, PwDiagLevel level, int line, const char *part)
{
    for (size_t i = 0; i < diags->n; i++) {
        const PwDiagItem *item = &diags->items[i];
        if (item->level == level && item->line == line &&
            (strstr(item->text, part) != NULL ||
             (item->hint != NULL && strstr(item->hint, part) != NULL)))
            return true;
    }
    return false;
}

static inline void print_all(const PwDiag *diags)
{
    (void)config_print_problems(diags, stderr);
}

#define ASSERT_TOLD(diags, level, line, part)                     \
    do {                                                          \
        if (!told(diags, level, line, part)) {                    \
            print_all(diags);                                     \
            fail_msg("line %d does not tell \"%s\"", line, part); \
        }                                                         \
    } while (0)

#endif
