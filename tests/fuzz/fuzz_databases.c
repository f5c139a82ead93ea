/* SPDX-License-Identifier: ISC */
/* fuzz_databases.c - a line of [databases] (pairs or a URI), then the same bytes as a line of [users]. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/config/config_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drop_any(void *arg, void *loser, const void *winner)
{
    (void)arg;
    (void)loser;
    (void)winner;
    abort(); /* one line cannot be there twice */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *value = malloc(size + 1);
    if (value == NULL)
        abort();
    memcpy(value, data, size);
    value[size] = '\0';
    PwDiag diags;
    pw_diag_init(&diags);
    ConfigLoader loader = {.config = config_new(), .diags = &diags};
    PwIniPlace at = config_keep_place(&loader, (PwIniPlace){"fuzz", 1});
    config_read_database(&loader, at, "p", value);
    ConfigLines *lines = loader.config->lines;
    line_set_seal(&lines->databases, drop_any, NULL);
    if ((lines->databases.n == 1) != (diags.n_errors == 0)) /* taken, or explained */
        abort();
    if (lines->databases.n == 1) {
        bool is_auto;
        const DatabaseConf *db = config_find_database(loader.config, "p", &is_auto);
        if (db == NULL || is_auto || db->port < 1 || db->port > 65535)
            abort();
        PoolSettings settings;
        config_effective(loader.config, db, "u", &settings);
        if (settings.pool_size < 0 || settings.pool_mode < POOL_MODE_SESSION)
            abort();
    }
    size_t errors = diags.n_errors;
    config_read_user(&loader, at, "u", value);
    line_set_seal(&lines->users, drop_any, NULL);
    if ((lines->users.n == 1) != (diags.n_errors == errors))
        abort();
    config_unref(loader.config);
    pw_diag_finish(&diags);
    free(value);
    return 0;
}
