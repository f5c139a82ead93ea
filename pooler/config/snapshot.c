/* SPDX-License-Identifier: ISC */
#include "pooler/config/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/hba.h"
#include "pooler/config/ldap_options.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

/* ---- life ----------------------------------------------------------------------------------- */

Config *config_new(void)
{
    Config *config = pw_xcalloc(1, sizeof(*config));
    pw_refs_init(&config->refs);
    config->lines = pw_xcalloc(1, sizeof(*config->lines));
    pw_refs_init(&config->lines->refs);
    pw_params_init(&config_params, config);
    return config;
}

const Config *config_ref(const Config *config)
{
    pw_refs_take(&config->refs);
    return config;
}

static void lines_unref(ConfigLines *lines)
{
    if (!pw_refs_drop(&lines->refs))
        return;
    for (size_t i = 0; i < lines->databases.n; i++)
        config_database_destroy(lines->databases.entries[i].item);
    for (size_t i = 0; i < lines->users.n; i++)
        config_user_destroy(lines->users.entries[i].item);
    for (size_t i = 0; i < lines->peers.n; i++)
        config_peer_destroy(lines->peers.entries[i].item);
    line_set_finish(&lines->databases);
    line_set_finish(&lines->peers);
    line_set_finish(&lines->users);
    pw_str_list_finish(&lines->files);
    free(lines);
}

void config_unref(const Config *config)
{
    if (!config || !pw_refs_drop(&config->refs))
        return;
    Config *gone = (Config *)(uintptr_t)config;
    pw_params_finish(&config_params, gone);
    hba_unref(gone->hba);
    ldap_options_unref(gone->ldap);
    lines_unref(gone->lines);
    free(gone);
}

/* ---- finding -------------------------------------------------------------------------------- */

const DatabaseConf *config_find_database(const Config *config, const char *name, bool *ret_auto)
{
    const DatabaseConf *db = line_set_find(&config->lines->databases, name);
    if (db != NULL && !db->is_auto) {
        *ret_auto = false;
        return db;
    }
    *ret_auto = config->lines->fallback != NULL;
    return config->lines->fallback;
}

const UserConf *config_find_user(const Config *config, const char *name)
{
    return line_set_find(&config->lines->users, name);
}

size_t config_n_databases(const Config *config)
{
    return config->lines->databases.n;
}

const DatabaseConf *config_database_at(const Config *config, size_t i)
{
    return config->lines->databases.entries[i].item;
}

size_t config_n_peers(const Config *config)
{
    return config->lines->peers.n;
}

const PeerConf *config_peer_at(const Config *config, size_t i)
{
    return config->lines->peers.entries[i].item;
}

const PeerConf *config_find_peer(const Config *config, int id)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "%d", id);
    return line_set_find(&config->lines->peers, name);
}

size_t config_n_users(const Config *config)
{
    return config->lines->users.n;
}

const UserConf *config_user_at(const Config *config, size_t i)
{
    return config->lines->users.entries[i].item;
}

bool config_database_needs_reconnect(const DatabaseConf *a, const DatabaseConf *b)
{
    return a->port != b->port || a->load_balance_hosts != b->load_balance_hosts ||
           !pw_str_equal(a->dbname, b->dbname) || !pw_str_equal(a->host, b->host) || !pw_str_equal(a->ports, b->ports) ||
           !pw_str_equal(a->user, b->user) || !pw_str_equal(a->connect_query, b->connect_query) ||
           !pw_str_equal(a->auth_dbname, b->auth_dbname) ||
           !pw_str_equal(a->auth_query, b->auth_query) ||
           !pw_str_equal(a->client_encoding, b->client_encoding) ||
           !pw_str_equal(a->datestyle, b->datestyle) || !pw_str_equal(a->timezone, b->timezone) ||
           !pw_str_equal(a->application_name, b->application_name);
}

/* ---- what counts ---------------------------------------------------------------------------- */

/* The first that is not unset (-1). */
static int64_t first_set(int64_t user, int64_t db, int64_t global)
{
    return user >= 0 ? user : db >= 0 ? db : global;
}

/* Caps of connections: 0 in a line means "as the global value", as in PgBouncer. */
static int cap(int line, int global)
{
    return line > 0 ? line : global;
}

void config_effective(const Config *config, const DatabaseConf *db, const char *user,
                      PoolSettings *ret)
{
    const char *server_user = db->user != NULL ? db->user : user;
    static const UserConf no_line = {
        .pool_size = -1, .reserve_pool_size = -1, .pool_mode = POOL_MODE_UNSET,
        .session_state = SESSION_TRACKING_UNSET, .listen_mode = LISTEN_MODE_UNSET};
    const UserConf *line = server_user != NULL ? config_find_user(config, server_user) : NULL;
    if (line == NULL)
        line = &no_line;
    *ret = (PoolSettings){
        .pool_mode = (PoolMode)first_set(line->pool_mode, db->pool_mode, config->pool_mode),
        .session_state = (SessionTracking)first_set(line->session_state, db->session_state, config->session_state),
        .listen_mode = (ListenMode)first_set(line->listen_mode, db->listen_mode, config->listen_mode),
        .pool_size = (int)first_set(line->pool_size, db->pool_size, config->default_pool_size),
        .min_pool_size = (int)first_set(-1, db->min_pool_size, config->min_pool_size),
        .reserve_pool_size = (int)first_set(line->reserve_pool_size, db->reserve_pool_size,
                                            config->reserve_pool_size),
        .max_db_connections = cap(db->max_db_connections, config->max_db_connections),
        .max_user_connections = cap(line->max_user_connections, config->max_user_connections),
        .reserve_pool_timeout = config->reserve_pool_timeout,
        .server_lifetime = db->server_lifetime > 0 ? db->server_lifetime : config->server_lifetime,
        .server_idle_timeout = config->server_idle_timeout,
        .load_balance_hosts = db->load_balance_hosts != LOAD_BALANCE_UNSET
                                  ? db->load_balance_hosts
                                  : LOAD_BALANCE_ROUND_ROBIN,
        .server_user = server_user,
    };
}

void config_effective_client(const Config *config, const DatabaseConf *db, const char *user,
                             ClientSettings *ret)
{
    static const UserConf no_line = {.query_timeout = -1,
                                     .query_wait_timeout = -1,
                                     .idle_transaction_timeout = -1,
                                     .transaction_timeout = -1,
                                     .client_idle_timeout = -1};
    const UserConf *line = user != NULL ? config_find_user(config, user) : NULL;
    if (line == NULL)
        line = &no_line;
    *ret = (ClientSettings){
        .query_timeout = first_set(line->query_timeout, -1, config->query_timeout),
        .query_wait_timeout =
            first_set(line->query_wait_timeout, db != NULL ? db->query_wait_timeout : -1,
                      config->query_wait_timeout),
        .idle_transaction_timeout =
            first_set(line->idle_transaction_timeout, -1, config->idle_transaction_timeout),
        .transaction_timeout =
            first_set(line->transaction_timeout, -1, config->transaction_timeout),
        .client_idle_timeout =
            first_set(line->client_idle_timeout, -1, config->client_idle_timeout),
        .max_user_client_connections =
            cap(line->max_user_client_connections, config->max_user_client_connections),
        .max_db_client_connections =
            cap(db != NULL ? db->max_db_client_connections : -1, config->max_db_client_connections),
    };
}

/* ---- SHOW CONFIG, SET, RELOAD ---------------------------------------------------------------- */

static bool is_runtime(const PwParamRow *row)
{
    return (row->flags & PARAM_RUNTIME) != 0;
}

void config_show(const Config *config, ConfigShowRow row, void *arg)
{
    for (size_t i = 0; i < config_params.n; i++) {
        const PwParamRow *param = &config_params.rows[i];
        char *value = pw_param_print(param, config);
        row(arg, param->name, value, param->def, is_runtime(param));
        free(value);
    }
}

void config_diff(const Config *old, const Config *new_config, ConfigShowRow row, void *arg)
{
    for (size_t i = 0; i < config_params.n; i++) {
        const PwParamRow *param = &config_params.rows[i];
        if (pw_param_equal(param, old, new_config))
            continue;
        char *before = pw_param_print(param, old), *after = pw_param_print(param, new_config);
        row(arg, param->name, before, after, is_runtime(param));
        free(before);
        free(after);
    }
}

void config_keep_fixed(Config *config, const Config *running)
{
    for (size_t i = 0; i < config_params.n; i++) {
        PwParamTable one = {&config_params.rows[i], 1};
        if (is_runtime(one.rows) || pw_param_equal(one.rows, config, running))
            continue;
        pw_params_finish(&one, config);
        pw_params_copy(&one, config, running);
    }
}

static void explain_first(const PwDiag *diags, char *why)
{
    for (size_t i = 0; i < diags->n; i++) {
        if (diags->items[i].level == PW_DIAG_ERROR) {
            (void)snprintf(why, CONFIG_WHY, "%s", diags->items[i].text);
            return;
        }
    }
}

void config_read_hba(Config *config, PwDiag *diags)
{
    hba_unref(config->hba);
    config->hba = NULL;
    if (config->auth_type == AUTH_TYPE_HBA)
        config->hba = hba_load(config->auth_hba_file, config->auth_ident_file, diags);
}

bool config_hba_is_whole(const Config *config, PwDiag *diags)
{
    if (!config->hba || !hba_is_incomplete(config->hba))
        return true;
    pw_diag_add(diags, PW_DIAG_ERROR, config->conffile, 0, NULL,
                "auth_hba_file or auth_ident_file cannot be read: the rules in use stay");
    return false;
}

PwErr config_read_ldap(Config *config, char *why)
{
    LdapOptions *ldap;
    PwErr err = ldap_options_parse(config->auth_ldap_options, &ldap, why);
    if (err)
        return err;
    ldap_options_unref(config->ldap);
    config->ldap = ldap;
    return PW_OK;
}

/* A setting that the rules depend on has its files read anew; all others keep the rules in use. */
static bool concerns_hba(const char *key)
{
    return strcmp(key, "auth_type") == 0 || strcmp(key, "auth_hba_file") == 0 || strcmp(key, "auth_ident_file") == 0;
}

PwErr config_with(const Config *old, const char *key, const char *value, Config **ret_new,
                  char *why)
{
    const PwParamRow *row = pw_param_find(&config_params, key);
    if (row == NULL) {
        const char *nearest = pw_param_nearest(&config_params, key);
        (void)snprintf(why, CONFIG_WHY, "unknown option \"%.60s\"%s%s%s", key,
                       nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "\"?" : "");
        return PW_ERR_UNKNOWN_KEY;
    }
    if (!is_runtime(row)) {
        (void)snprintf(why, CONFIG_WHY, "%s cannot change while the pooler runs", key);
        return PW_ERR_FIXED;
    }
    Config *config = pw_xcalloc(1, sizeof(*config));
    pw_refs_init(&config->refs);
    config->lines = old->lines;
    pw_refs_take(&config->lines->refs);
    pw_params_copy(&config_params, config, old);
    char problem[PW_PARAM_WHY];
    PwErr err = pw_param_set(row, config, value, problem);
    if (err != PW_OK)
        (void)snprintf(why, CONFIG_WHY, "%s %s", key, problem);
    if (err == PW_OK) {
        PwDiag diags;
        pw_diag_init(&diags);
        PwIniPlace *places = pw_xcalloc(config_params.n, sizeof(*places));
        ConfigLoader loader = {
            .config = config, .diags = &diags, .places = places, .has_main = true, .strict = true};
        config_validate(&loader);
        if (concerns_hba(key)) {
            config_read_hba(config, &diags);
            (void)config_hba_is_whole(config, &diags);
        } else if (old->hba) {
            config->hba = hba_ref(old->hba);
        }
        if (diags.n_errors > 0) {
            explain_first(&diags, why);
            err = PW_ERR_UNSUPPORTED;
        }
        free(places);
        pw_diag_finish(&diags);
    }
    if (err == PW_OK)
        *ret_new = config;
    else
        config_unref(config);
    return err;
}

/* ---- names ---------------------------------------------------------------------------------- */

static const char *word_of(const char *option, int value)
{
    const PwParamRow *row = pw_param_find(&config_params, option);
    if (row == NULL)
        row = pw_param_find(&config_database_params, option);
    assert(row != NULL && row->words != NULL);
    for (const PwParamWord *w = row->words; w->word != NULL; w++)
        if (w->value == value)
            return w->word;
    return NULL;
}

const char *config_pool_mode_name(PoolMode mode)
{
    return word_of("pool_mode", (int)mode);
}
const char *config_session_state_name(SessionTracking how)
{
    return word_of("session_state", (int)how);
}

const char *config_auth_type_name(AuthType type)
{
    return word_of("auth_type", (int)type);
}
const char *config_load_balance_name(LoadBalanceHosts how)
{
    return word_of("load_balance_hosts", (int)how);
}
