/* SPDX-License-Identifier: ISC */
#include "pooler/session/own_errors.h"

#include <stdio.h>
#include <string.h>

#include "poolwise/err.h"

/* The first row that fits counts. What is in no row is a broken protocol and stays 08P01 in both worlds. */
static const OwnErrorRow rows[] = {
    /* login */
    {"no more connections allowed (max_client_conn)", "53300", NULL},
    {"client connections exceeded (max_db_client_connections)", "53300", NULL},
    {"client connections exceeded (max_user_client_connections)", "53300", NULL},
    {"no such database: *", "3D000", "database \"*\" does not exist"},
    {"database \"*", "55000", NULL}, /* ... is disabled */
    {"authentication database \"*", "55000", NULL},
    {"bouncer config error", "F0000", NULL},
    {"auth_type=any requires forced user", "F0000", NULL},
    {"password authentication failed", "28P01", NULL},
    {"SASL authentication failed", "28P01", NULL},
    {"empty password returned by client", "28P01", NULL},
    {"no such user", "28P01", NULL},
    {"\"trust\" authentication failed", "28000", NULL},
    {"certificate authentication failed", "28000", NULL},
    {"LDAP authentication failed", "28000", NULL},
    {"PAM authentication failed", "28000", NULL},
    {"unix socket login rejected", "28000", NULL},
    {"login rejected", "28000", NULL},
    {"no authentication method is found", "28000", NULL},
    {"SSL required", "28000", NULL},
    {"no username supplied", "28000", NULL},
    {"not allowed", "42501", NULL},
    {"unsupported startup parameter*", "42704", NULL},
    {"unsupported options startup parameter*", "42601", NULL},
    {"client_login_timeout*", "57014", NULL},
    {"login failed", "08004", NULL}, /* of a replication connection */
    /* waiting for a server */
    {"query_wait_timeout", "53300", NULL},
    {"query_timeout", "57014", NULL},
    {"server login has been failing*", "08001", NULL},
    {"server login failed: *", "08004", NULL},
    {"connect failed", "08001", NULL},
    {"connect timeout", "08001", NULL},
    {"server DNS lookup failed", "08001", NULL},
    /* running */
    {"query timeout", "57014", NULL},
    {"transaction timeout", "25P04", NULL},
    {"idle transaction timeout", "25P03", NULL},
    {"client_idle_timeout", "57P05", NULL},
    {"server conn crashed?", "08006", NULL},
    {"transaction blocks not allowed in statement pooling mode", "0A000", NULL},
    {"PQexec disallowed", "0A000", NULL},
    {"prepared statement did not exist", "26000", NULL},
    {"prepared statement name is already in use", "42P05", NULL},
    {"invalid server parameter", "22023", NULL},
    /* an operator's doing */
    {"database removed", "57P01", NULL},
    {"database configuration changed", "57P01", NULL},
    {"admin forced disconnect", "57P01", NULL},
    {"server shutting down", "57P01", NULL},
    {"suspend_timeout", "57P01", NULL},
    {"pooler is shutting down", "57P03", NULL},
    /* resources */
    {"out of memory", "53200", NULL},
    {"no memory for pool", "53200", NULL},
    {"bouncer resources exhaustion", "53200", NULL},
};

const OwnErrorRow *own_error_rows(size_t *ret_n)
{
    *ret_n = PW_ARRAY_LEN(rows);
    return rows;
}

/* The row for a text; *ret_name: what stands where the row has its '*', "" if it has none. */
static const OwnErrorRow *find(const char *text, const char **ret_name)
{
    *ret_name = "";
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].text);
        bool open = rows[i].text[n - 1] == '*';
        if (open ? strncmp(text, rows[i].text, n - 1) == 0 : strcmp(text, rows[i].text) == 0) {
            if (open)
                *ret_name = text + n - 1;
            return &rows[i];
        }
    }
    return NULL;
}

void own_error(const char *text, bool like_postgres, const char **ret_sqlstate, const char **ret_text,
               char buf[OWN_ERROR_TEXT])
{
    const char *name;
    const OwnErrorRow *row = like_postgres ? find(text, &name) : NULL;
    *ret_sqlstate = row ? row->sqlstate : OWN_ERROR_SQLSTATE;
    *ret_text = text;
    if (!row || !row->like)
        return;
    const char *star = strchr(row->like, '*');
    snprintf(buf, OWN_ERROR_TEXT, "%.*s%.200s%s", (int)(star - row->like), row->like, name, star + 1);
    *ret_text = buf;
}

const char *own_error_hint(const char *text)
{
    static const struct {
        const char *begin, *hint;
    } hints[] = {
        {"unsupported startup parameter", "in the pooler's configuration ignore_startup_parameters drops it, track_extra_parameters sets it"},
        {"not allowed", "the console is for users in admin_users, and in stats_users to look only"},
        {"transaction blocks not allowed", "they work with pool_mode = transaction"},
        {"server conn crashed?", "the log of PostgreSQL says what happened to it, that of the pooler which one it was"},
    };
    for (size_t i = 0; i < PW_ARRAY_LEN(hints); i++)
        if (strncmp(text, hints[i].begin, strlen(hints[i].begin)) == 0)
            return hints[i].hint;
    return NULL;
}
