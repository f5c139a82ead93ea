/* SPDX-License-Identifier: ISC */
/* load.c - reads the ini file into a new snapshot and collects every problem on the way. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <sched.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

static const char *const sections[] = {"pgbouncer", "pooler", "databases", "users", "peers"};

PwIniPlace config_keep_place(ConfigLoader *loader, PwIniPlace at)
{
    PwStrList *files = &loader->config->lines->files;
    if (!pw_str_list_has(files, at.file))
        pw_str_list_add(files, at.file, strlen(at.file));
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->items[i], at.file) == 0)
            at.file = files->items[i];
    return at;
}

static bool is_main(const char *section)
{
    return strcmp(section, "pgbouncer") == 0 || strcmp(section, "pooler") == 0;
}

static void on_section(void *arg, PwIniPlace at, const char *section)
{
    ConfigLoader *loader = arg;
    if (is_main(section))
        loader->has_main = true;
    PwNearest nearest;
    pw_nearest_init(&nearest, section);
    for (size_t i = 0; i < PW_ARRAY_LEN(sections); i++) {
        if (strcmp(sections[i], section) == 0)
            return;
        pw_nearest_offer(&nearest, sections[i]);
    }
    char hint[80];
    const char *best = pw_nearest_get(&nearest);
    if (best != NULL)
        (void)snprintf(hint, sizeof(hint), "did you mean [%s]?", best);
    else
        (void)snprintf(hint, sizeof(hint),
                       "the sections are [pgbouncer], [databases], [users] and [peers]");
    pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, hint, "unknown section [%.60s]",
                section);
}

static void read_option(ConfigLoader *loader, PwIniPlace at, const char *key, const char *value)
{
    const PwParamRow *row = pw_param_find(&config_params, key);
    if (row == NULL) {
        config_unknown_key(loader->diags, at, "", key, &config_params);
        return;
    }
    if (config_set_value(loader, at, "", row, loader->config, value) != PW_OK)
        return;
    loader->places[row - config_params.rows] = at;
}

static void on_key(void *arg, PwIniPlace at, const char *section, const char *key,
                   const char *value)
{
    ConfigLoader *loader = arg;
    at = config_keep_place(loader, at);
    if (is_main(section))
        read_option(loader, at, key, value);
    else if (strcmp(section, "databases") == 0)
        config_read_database(loader, at, key, value);
    else if (strcmp(section, "users") == 0)
        config_read_user(loader, at, key, value);
    else if (strcmp(section, "peers") == 0)
        config_read_peer(loader, at, key, value);
    /* keys of an unknown section are not judged: the section itself was reported */
}

static void on_error(void *arg, PwIniPlace at, const char *text)
{
    ConfigLoader *loader = arg;
    pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, NULL, "%s", text);
}

static void drop_database(void *arg, void *loser, const void *winner)
{
    ConfigLoader *loader = arg;
    DatabaseConf *old = loser;
    const DatabaseConf *db = winner;
    pw_diag_add(loader->diags, PW_DIAG_WARNING, old->file, old->line, NULL,
                "database \"%s\" is given again in line %d, which is the one that counts", db->name,
                db->line);
    config_database_destroy(old);
}

static void drop_user(void *arg, void *loser, const void *winner)
{
    ConfigLoader *loader = arg;
    UserConf *old = loser;
    const UserConf *user = winner;
    pw_diag_add(loader->diags, PW_DIAG_WARNING, old->file, old->line, NULL,
                "user \"%s\" is given again in line %d, which is the one that counts", user->name,
                user->line);
    config_user_destroy(old);
}

static void drop_peer(void *arg, void *loser, const void *winner)
{
    ConfigLoader *loader = arg;
    PeerConf *old = loser;
    const PeerConf *peer = winner;
    pw_diag_add(loader->diags, PW_DIAG_WARNING, old->file, old->line, NULL,
                "peer \"%s\" is given again in line %d, which is the one that counts", peer->name, peer->line);
    config_peer_destroy(old);
}

/* The cores that this process may use: fewer than the machine has in a container with a cpuset. */
static int count_cores(void)
{
    cpu_set_t set;
    long n;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    else
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

PwErr config_load(const char *path, Config **ret_config, PwDiag *diags)
{
    size_t errors_before = diags->n_errors;
    ConfigLoader loader = {.config = config_new(), .diags = diags};
    loader.places = pw_xcalloc(config_params.n, sizeof(*loader.places));
    loader.config->conffile = pw_xstrdup(path);
    const PwIniHandler handler = {&loader, on_section, on_key, on_error};
    PwErr err = pw_ini_read_file(path, &handler);
    ConfigLines *lines = loader.config->lines;
    line_set_seal(&lines->databases, drop_database, &loader);
    line_set_seal(&lines->users, drop_user, &loader);
    line_set_seal(&lines->peers, drop_peer, &loader);
    lines->fallback = line_set_find(&lines->databases, "*");
    if (loader.config->worker_threads == 0)
        loader.config->worker_threads = count_cores();
    if (err != PW_ERR_IO)
        config_validate(&loader);
    if (err == PW_OK && diags->n_errors > errors_before)
        err = PW_ERR_SYNTAX;
    if (err == PW_OK)
        config_read_hba(loader.config, diags);
    free(loader.places);
    if (err == PW_OK)
        *ret_config = loader.config;
    else
        config_unref(loader.config);
    return err;
}

/* Stable order: errors first, each group as found. */
size_t config_print_problems(const PwDiag *diags, FILE *out)
{
    for (int level = 0; level < PW_DIAG_LEVEL_COUNT; level++) {
        for (size_t i = 0; i < diags->n; i++) {
            if ((int)diags->items[i].level != level)
                continue;
            char *text = pw_diag_format(&diags->items[i]);
            fprintf(out, "%s\n", text);
            free(text);
        }
    }
    return diags->n_errors;
}
