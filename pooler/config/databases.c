/* SPDX-License-Identifier: ISC */
/* databases.c - a line of [databases]: PgBouncer's pairs, or a connection URI that libpq takes apart. */
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "pooler/config/config_priv.h"
#include "pooler/config/params_table.h"
#include "poolwise/mem.h"

#define DATABASE_NAME_MAX 63 /* PostgreSQL's NAMEDATALEN without the NUL */

void config_database_destroy(DatabaseConf *db)
{
    if (db == NULL)
        return;
    pw_params_finish(&config_database_params, db);
    free(db->name);
    free(db);
}

static bool is_uri(const char *value)
{
    return strncmp(value, "postgresql://", 13) == 0 || strncmp(value, "postgres://", 11) == 0;
}

/* "5432,5432": libpq has a port for each host, a line has one for all. */
static bool single_port(const char *ports, char *ret_port, size_t size)
{
    size_t n = strcspn(ports, ",");
    (void)snprintf(ret_port, size, "%.*s", (int)n, ports);
    for (const char *p = ports + n; *p == ','; p += n + 1)
        if (strcspn(p + 1, ",") != n || strncmp(p + 1, ports, n) != 0)
            return false;
    return true;
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
    char port[16];
    if (strcmp(key, "hostaddr") == 0)
        key = "host"; /* it comes behind host, and is what libpq would connect to */
    if (strcmp(key, "port") == 0) {
        if (!single_port(value, port, sizeof(port))) {
            pw_diag_add(loader->diags, PW_DIAG_ERROR, at.file, at.line,
                        "write a line for each port, or use one port on all hosts",
                        "%s: different ports in one URI", subject);
            return false;
        }
        value = port;
    }
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
    if (!ok) {
        config_database_destroy(db);
        return;
    }
    check_database(loader, at, subject, db);
    line_set_add(&loader->config->lines->databases, db->name, db);
}
