/* SPDX-License-Identifier: ISC */
/* databases.c - a line of [databases]: PgBouncer's pairs, or a connection URI that libpq takes apart. */
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/buf.h"
#include "poolwise/mem.h"

#define DATABASE_NAME_MAX 63 /* PostgreSQL's NAMEDATALEN without the NUL */

void config_database_destroy(DatabaseConf *db)
{
    if (db == NULL)
        return;
    pw_params_finish(&config_database_params, db);
    free(db->ports);
    free(db->name);
    free(db);
}

static bool is_uri(const char *value)
{
    return strncmp(value, "postgresql://", 13) == 0 || strncmp(value, "postgres://", 11) == 0;
}

/* Settings of a URI that ask for no more than what happens anyway. */
static bool is_harmless(const char *keyword, const char *value)
{
    if (strcmp(keyword, "sslmode") == 0)
        return strcmp(value, "disable") == 0 || strcmp(value, "allow") == 0 ||
               strcmp(value, "prefer") == 0;
    if (strcmp(keyword, "target_session_attrs") == 0)
        return strcmp(value, "any") == 0;
    if (strcmp(keyword, "gssencmode") == 0)
        return strcmp(value, "disable") == 0 || strcmp(value, "prefer") == 0;
    return false;
}

static bool read_uri_option(ConfigLoader *loader, PwIniPlace at, const char *subject,
                            DatabaseConf *db, const PQconninfoOption *option)
{
    const char *key = option->keyword, *value = option->val;
    if (strcmp(key, "hostaddr") == 0)
        key = "host"; /* it comes behind host, and is what libpq would connect to */
    if (is_harmless(key, value))
        return true;
    return config_set_line_key(loader, at, subject, key, value, &config_database_params, db);
}

static bool read_uri(ConfigLoader *loader, PwIniPlace at, const char *subject, const char *value,
                     DatabaseConf *db)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(value, &message);
    if (options == NULL) {
        /* libpq's message may quote a piece of the URI, and so the password: it is not shown. */
        pw_diag_add(
            loader->diags, PW_DIAG_ERROR, at.file, at.line,
            "the form is postgresql://user:password@host:port/dbname?key=value, special characters "
            "as %XX",
            "%s: not a valid connection URI", subject);
        PQfreemem(message);
        return false;
    }
    bool ok = true;
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (option->val != NULL && option->val[0] != '\0')
            ok = read_uri_option(loader, at, subject, db, option) && ok;
    PQconninfoFree(options);
    return ok;
}

PwErr config_set_ports(ConfigLoader *loader, PwIniPlace at, const char *where, DatabaseConf *db, const char *value)
{
    const PwParamRow *row = pw_param_find(&config_database_params, "port");
    free(db->ports);
    db->ports = NULL;
    if (strchr(value, ',') == NULL)
        return config_set_value(loader, at, where, row, db, value);
    PwStrList ports = {0};
    pw_str_list_split(&ports, value);
    char why[PW_PARAM_WHY] = "must be numbers";
    PwErr err = ports.n > 0 ? PW_OK : PW_ERR_SYNTAX;
    PwBuf text;
    pw_buf_init(&text);
    for (size_t i = 0; err == PW_OK && i < ports.n; i++) {
        err = pw_param_set(row, db, ports.items[i], why);
        pw_buf_printf(&text, "%s%d", i > 0 ? "," : "", db->port);
    }
    if (err == PW_OK) {
        pw_buf_append_u8(&text, 0);
        db->ports = pw_xstrdup((const char *)pw_buf_head(&text));
        db->port = (int)strtol(db->ports, NULL, 10);
    } else {
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, NULL, "%sport %s", where, why);
    }
    pw_buf_finish(&text);
    pw_str_list_finish(&ports);
    return err;
}

/* As in libpq: as many ports as hosts, or one for all. */
static bool check_ports(ConfigLoader *loader, PwIniPlace at, const char *subject, const DatabaseConf *db)
{
    PwStrList hosts = {0}, ports = {0};
    if (db->ports == NULL)
        return true;
    pw_str_list_split(&hosts, db->host ? db->host : "-");
    pw_str_list_split(&ports, db->ports);
    bool ok = hosts.n == ports.n;
    if (!ok)
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, "as many ports as hosts, or one for all",
                    "%s: invalid number of ports (%zu for %zu host%s)", subject, ports.n, hosts.n, hosts.n == 1 ? "" : "s");
    pw_str_list_finish(&hosts);
    pw_str_list_finish(&ports);
    return ok;
}

/* Rules that concern the line alone. */
static void check_database(ConfigLoader *loader, PwIniPlace at, const char *subject,
                           const DatabaseConf *db)
{
    if (pw_str_equal(db->auth_dbname, "pgbouncer")) /* as in PgBouncer each login tells it, not the load */
        pw_diag_add(loader->diags, PW_DIAG_WARNING, at.file, at.line, "name an entry of [databases]",
                    "%s: auth_dbname is the admin console: users who are not in auth_file cannot log in", subject);
    if (db->password != NULL && db->user == NULL)
        pw_diag_add(loader->diags, PW_DIAG_WARNING, at.file, at.line, "add user=NAME",
                    "%s: password without user has no effect", subject);
    if (db->min_pool_size > 0 && db->pool_size > 0 && db->min_pool_size > db->pool_size)
        pw_diag_add(loader->diags, PW_DIAG_WARNING, at.file, at.line, NULL,
                    "%s: min_pool_size (%d) is larger than pool_size (%d), which is the limit",
                    subject, db->min_pool_size, db->pool_size);
}

void config_read_database(ConfigLoader *loader, PwIniPlace at, const char *name, const char *value)
{
    char subject[100];
    (void)snprintf(subject, sizeof(subject), "database \"%.*s\"", DATABASE_NAME_MAX, name);
    const char *problem = NULL;
    if (strlen(name) > DATABASE_NAME_MAX)
        problem = "the name is longer than 63 bytes";
    else if (strcmp(name, "pgbouncer") == 0)
        problem = "the name is reserved for the admin console";
    if (problem != NULL) {
        pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line, NULL, "%s: %s", subject,
                    problem);
        return;
    }
    DatabaseConf *db = pw_xcalloc(1, sizeof(*db));
    db->name = pw_xstrdup(name);
    db->is_auto = strcmp(name, "*") == 0;
    db->file = at.file;
    db->line = at.line;
    pw_params_init(&config_database_params, db);
    bool ok = is_uri(value)
                  ? read_uri(loader, at, subject, value, db)
                  : config_read_pairs(loader, at, subject, value, &config_database_params, db);
    if (!ok || !check_ports(loader, at, subject, db)) {
        config_database_destroy(db);
        return;
    }
    check_database(loader, at, subject, db);
    line_set_add(&loader->config->lines->databases, db->name, db);
}
