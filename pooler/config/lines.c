/* SPDX-License-Identifier: ISC */
/* lines.c - the lines of [databases] and [users]: a name and key=value pairs. */
#include <stdlib.h>
#include <string.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

#define USER_NAME_MAX 127

typedef struct PairReader {
    ConfigLoader *loader;
    PwIniPlace at;
    const char *subject;
    const PwParamTable *table;
    void *base;
    bool after_secret;
    bool ok;
} PairReader;

/* Names of libpq and older PgBouncer that people try here. */
static const struct {
    const char *key, *hint;
} known_elsewhere[] = {
    {"sslmode", "TLS toward servers is set with server_tls_sslmode"},
    {"connect_timeout", "the time for connecting is set with server_connect_timeout"},
    {"hostaddr", "write the address as host"},
    {"options", "start-up options come from the client; run settings with connect_query"},
    {"default_pool_size", "in a line the name is pool_size"},
    {"max_connections", "the name is max_db_connections"},
};

void config_unknown_key(PwDiag *diags, PwIniPlace at, const char *where, const char *key,
                        const PwParamTable *table)
{
    char hint[200];
    const char *nearest = pw_param_nearest(table, key), *elsewhere = NULL;
    for (size_t i = 0; i < PW_ARRAY_LEN(known_elsewhere); i++)
        if (table != &config_params && strcmp(known_elsewhere[i].key, key) == 0)
            elsewhere = known_elsewhere[i].hint;
    /* A name that is right in another place comes before one that is merely similar. */
    if (elsewhere != NULL)
        (void)snprintf(hint, sizeof(hint), "%s", elsewhere);
    else if (table != &config_params && pw_param_find(&config_params, key) != NULL)
        (void)snprintf(hint, sizeof(hint), "\"%.60s\" is an option of [pgbouncer]", key);
    else if (table != &config_database_params &&
             pw_param_find(&config_database_params, key) != NULL)
        (void)snprintf(hint, sizeof(hint), "\"%.60s\" belongs into a line of [databases]", key);
    else if (nearest != NULL)
        (void)snprintf(hint, sizeof(hint), "did you mean \"%s\"?", nearest);
    else
        (void)snprintf(hint, sizeof(hint), "docs/options.md lists all");
    pw_diag_add(diags, PW_DIAG_ERROR, at.file, at.line, hint, "%sunknown %s \"%.100s\"", where,
                table == &config_params ? "option" : "key", key);
}

const char *config_value_hint(const char *value)
{
    if (strstr(value, " ;") || strstr(value, " #") || strstr(value, "\t;") || strstr(value, "\t#"))
        return "a comment stands on a line of its own";
    return value[0] == '"' || value[0] == '\'' ? "a value is written without quotes around it" : NULL;
}

bool config_set_line_key(ConfigLoader *loader, PwIniPlace at, const char *subject, const char *key,
                         const char *value, const PwParamTable *table, void *base)
{
    char where[200];
    (void)snprintf(where, sizeof(where), "%s: ", subject);
    const PwParamRow *row =
        pw_param_find(table, strcmp(key, "reserve_pool") == 0 ? "reserve_pool_size" : key);
    if (row == NULL) {
        config_unknown_key(loader->diags, at, where, key, table);
        return false;
    }
    if (table == &config_database_params && strcmp(key, "port") == 0)
        return config_set_ports(loader, at, where, base, value) == PW_OK;
    return config_set_value(loader, at, where, row, base, value) == PW_OK;
}

static void on_pair(void *arg, const char *key, const char *value)
{
    PairReader *reader = arg;
    const PwParamRow *row = pw_param_find(reader->table, key);
    /* An unquoted password with a blank in it goes on as an "unknown key": that must not be printed. */
    if (row == NULL && reader->after_secret && strcmp(key, "reserve_pool") != 0) {
        pw_diag_add(reader->loader->diags, PW_DIAG_ERROR, reader->at.file, reader->at.line,
                    "a password with blanks needs single quotes",
                    "%s: unknown key after the password", reader->subject);
        reader->ok = false;
        return;
    }
    if (!config_set_line_key(reader->loader, reader->at, reader->subject, key, value, reader->table,
                             reader->base))
        reader->ok = false;
    reader->after_secret =
        reader->after_secret || (row != NULL && (row->flags & PW_PARAM_SECRET) != 0);
}

bool config_read_pairs(ConfigLoader *loader, PwIniPlace at, const char *subject, const char *value,
                       const PwParamTable *table, void *base)
{
    PairReader reader = {loader, at, subject, table, base, false, true};
    const char *problem;
    if (pw_ini_read_pairs(value, on_pair, &reader, &problem) != PW_OK) {
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, config_value_hint(value), "%s: %s", subject,
                    problem);
        return false;
    }
    return reader.ok;
}

void config_user_destroy(UserConf *user)
{
    if (user == NULL)
        return;
    pw_params_finish(&config_user_params, user);
    free(user->name);
    free(user);
}

void config_read_user(ConfigLoader *loader, PwIniPlace at, const char *name, const char *value)
{
    char subject[160];
    (void)snprintf(subject, sizeof(subject), "user \"%.*s\"", USER_NAME_MAX, name);
    if (strlen(name) > USER_NAME_MAX) {
        pw_diag_add(loader->diags, PW_DIAG_WARNING, at.file, at.line, NULL,
                    "%s: the name is longer than %d bytes: nobody logs in by it", subject, USER_NAME_MAX);
        return;
    }
    UserConf *user = pw_xcalloc(1, sizeof(*user));
    user->name = pw_xstrdup(name);
    user->file = at.file;
    user->line = at.line;
    pw_params_init(&config_user_params, user);
    if (config_read_pairs(loader, at, subject, value, &config_user_params, user))
        line_set_add(&loader->config->lines->users, user->name, user);
    else
        config_user_destroy(user);
}
