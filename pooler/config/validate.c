/* SPDX-License-Identifier: ISC */
/* validate.c - what only shows when the whole file is known. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/ldap_options.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

static PwIniPlace place_of(const ConfigLoader *loader, const char *option)
{
    const PwParamRow *row = pw_param_find(&config_params, option);
    PwIniPlace at = {.file = loader->config->conffile, .line = 0};
    if (row != NULL && loader->places[row - config_params.rows].line > 0)
        at = loader->places[row - config_params.rows];
    return at;
}

#define PROBLEM(level, option, hint, ...)                                         \
    do {                                                                          \
        PwIniPlace at_ = place_of(loader, option);                                \
        pw_diag_add(loader->diags, level, at_.file, at_.line, hint, __VA_ARGS__); \
    } while (0)
#define ERROR(option, hint, ...) PROBLEM(PW_DIAG_ERROR, option, hint, __VA_ARGS__)
#define WARN(option, hint, ...)  PROBLEM(PW_DIAG_WARNING, option, hint, __VA_ARGS__)

/* Nothing is read and ignored without a word. */
static void check_effect(ConfigLoader *loader, const PwParamRow *row)
{
    const char *missing = config_missing_auth(row, loader->config);
    if (missing != NULL)
        ERROR(row->name, NULL, "%s: this build has no %s", row->name, missing);
    if ((row->flags & PARAM_INERT) == 0)
        return;
    char *value = pw_param_print(row, loader->config);
    if (!pw_str_equal(value, row->def))
        WARN(row->name, row->help, "%s has no effect", row->name);
    free(value);
}

static void check_ldap(ConfigLoader *loader)
{
    char why[LDAP_OPTIONS_WHY] = "";
    if (pw_str_is_empty(loader->config->auth_ldap_options))
        ERROR("auth_type", "set auth_ldap_options", "auth_type is ldap and there are no auth_ldap_options");
    else if (config_read_ldap(loader->config, why) != PW_OK)
        ERROR("auth_ldap_options", NULL, "auth_ldap_options: %s", why);
}

static void check_auth(ConfigLoader *loader)
{
    const Config *config = loader->config;
    if (pw_str_equal(config->auth_dbname, "pgbouncer"))
        ERROR("auth_dbname", NULL,
              "cannot use the reserved \"pgbouncer\" database as an auth_dbname");
    if (config->auth_type == AUTH_TYPE_LDAP)
        check_ldap(loader);
    bool elsewhere = config->auth_type == AUTH_TYPE_ANY || config->auth_type == AUTH_TYPE_LDAP ||
                     config->auth_type == AUTH_TYPE_PAM;
    if (!elsewhere && pw_str_is_empty(config->auth_file) && pw_str_is_empty(config->auth_user))
        WARN("auth_type", "set auth_file", "no auth_file: no user can log in");
    if (config->auth_type != AUTH_TYPE_ANY)
        return;
    for (size_t i = 0; i < config_n_databases(config); i++) {
        const DatabaseConf *db = config_database_at(config, i);
        if (db->user == NULL)
            pw_diag_add(
                loader->diags, PW_DIAG_WARNING, db->file, db->line, "add user=NAME to the line",
                "database \"%s\": with auth_type = any it needs a user, or every login to it fails",
                db->name);
    }
}

static void check_numbers(ConfigLoader *loader)
{
    const Config *config = loader->config;
    if (config->default_pool_size > 0 && config->min_pool_size > config->default_pool_size)
        WARN("min_pool_size", NULL,
             "min_pool_size (%d) is larger than default_pool_size (%d), which is the limit",
             config->min_pool_size, config->default_pool_size);
    if (config->reserve_pool_size > 0 && config->reserve_pool_timeout == 0)
        WARN("reserve_pool_timeout", NULL,
             "reserve_pool_timeout = 0 switches the reserve pool off");
    if (config->query_log_samples > 0 && pw_str_is_empty(config->query_log))
        WARN("query_log_samples", "set query_log",
             "query_log_samples has no effect without query_log");
    if (!pw_str_is_empty(config->query_log) && !config->query_observation)
        WARN("query_observation", NULL, "query_log stays empty with query_observation = 0");
    if (config->listen_port == 0 && config->listen_addr.n > 0)
        WARN("listen_port", NULL, "listen_port = 0: the system chooses a TCP port at each start");
    if (config->max_client_conn == 0)
        WARN("max_client_conn", NULL,
             "max_client_conn = 0 lets nobody in but to the admin console");
}

static void check_names(ConfigLoader *loader)
{
    static const char *const facilities[] = {"auth",   "authpriv", "daemon", "user",
                                             "local0", "local1",   "local2", "local3",
                                             "local4", "local5",   "local6", "local7"};
    const Config *config = loader->config;
    bool known = false;
    for (size_t i = 0; i < PW_ARRAY_LEN(facilities); i++)
        known = known || strcasecmp(config->syslog_facility, facilities[i]) == 0;
    if (!known) {
        PROBLEM(loader->strict ? PW_DIAG_ERROR : PW_DIAG_WARNING, "syslog_facility", NULL,
                "syslog_facility must be one of auth, authpriv, daemon, user, local0 to local7, not "
                "\"%.40s\"%s",
                config->syslog_facility, loader->strict ? "" : ": taken as daemon");
        free(loader->config->syslog_facility);
        loader->config->syslog_facility = pw_xstrdup("daemon");
    }
    if (config->listen_addr.n == 0 && pw_str_is_empty(config->unix_socket_dir))
        WARN("listen_addr", "set listen_addr or unix_socket_dir", "nothing to listen on");
}

void config_validate(ConfigLoader *loader)
{
    if (!loader->has_main)
        pw_diag_add(loader->diags, PW_DIAG_ERROR, loader->config->conffile, 0,
                    "an empty one takes all defaults", "there is no section [pgbouncer]");
    for (size_t i = 0; i < config_params.n; i++)
        check_effect(loader, &config_params.rows[i]);
    check_auth(loader);
    check_numbers(loader);
    check_names(loader);
}
