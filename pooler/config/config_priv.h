/* SPDX-License-Identifier: ISC */
/* config_priv.h - what the files of this folder share; nobody else includes it. */
#ifndef POOLER_CONFIG_CONFIG_PRIV_H
#define POOLER_CONFIG_CONFIG_PRIV_H

#include <stdbool.h>

#include "pooler/config/line_set.h"
#include "pooler/config/snapshot.h"
#include "poolwise/ini.h"
#include "poolwise/params.h"
#include "poolwise/refs.h"

/* Shared by a snapshot and the copies that SET makes of it. */
struct ConfigLines {
    PwRefs refs;
    PwStrList files; /* names of the files read; DatabaseConf.file and UserConf.file point here */
    LineSet databases;
    LineSet users;
    LineSet peers;
    const DatabaseConf *fallback; /* the '*' line, or NULL */
};

/* One load. */
typedef struct ConfigLoader {
    Config *config;
    PwDiag *diags;
    PwIniPlace *places; /* [config_params.n] where an option was last given; line 0: nowhere */
    PwIniPlace last;    /* the file read last, with its name in lines->files */
    bool has_main;      /* [pgbouncer] or [pooler] was there */
    bool strict;        /* one value of the console's, not a file of PgBouncer's: nothing is bent */
} ConfigLoader;

/* The same place with a name that lives as long as the snapshot. */
PwIniPlace config_keep_place(ConfigLoader *loader, PwIniPlace at);

/* The hint when a value that is refused holds what looks like a comment; else NULL. */
const char *config_value_hint(const char *value);

/* Adds "unknown ... key" with the nearest name as the hint. */
void config_unknown_key(PwDiag *diags, PwIniPlace at, const char *where, const char *key,
                        const PwParamTable *table);

/* Sets row's value in `base` (loader->config, or what a line is read into) to what the text says. Numbers that only PgBouncer
 * takes are bent into what they mean there, with a warning; anything else is an error in loader->diags. `where` begins the
 * texts: "" or "database \"x\": ". */
PW_MUSTCHECK PwErr config_set_value(ConfigLoader *loader, PwIniPlace at, const char *where, const PwParamRow *row, void *base,
                                    const char *value);

/* A line of [databases] or [users]. Problems go to loader->diags; nothing is added then. */
void config_read_database(ConfigLoader *loader, PwIniPlace at, const char *name, const char *value);
void config_read_user(ConfigLoader *loader, PwIniPlace at, const char *name, const char *value);

/* "key=value ..." into `base` by a table; true when all was well. `subject` as above, without a colon. */
bool config_read_pairs(ConfigLoader *loader, PwIniPlace at, const char *subject, const char *value,
                       const PwParamTable *table, void *base);

/* One key of a line, as config_read_pairs does it. */
bool config_set_line_key(ConfigLoader *loader, PwIniPlace at, const char *subject, const char *key,
                         const char *value, const PwParamTable *table, void *base);

/* A line of [peers]. */
void config_read_peer(ConfigLoader *loader, PwIniPlace at, const char *name, const char *value);
void config_peer_destroy(PeerConf *peer);

/* port= of a database's line: one, or a comma list with one for each host. */
PwErr config_set_ports(ConfigLoader *loader, PwIniPlace at, const char *where, DatabaseConf *db, const char *value);

void config_database_destroy(DatabaseConf *db); /* NULL is fine */
void config_user_destroy(UserConf *user);

/* What no single line can tell: problems between options. */
void config_validate(ConfigLoader *loader);

/* Reads auth_hba_file and auth_ident_file when auth_type is hba. What is wrong with them are warnings. */
void config_read_hba(Config *config, PwDiag *diags);

/* Reads auth_ldap_options, which must be set, into config->ldap; why[LDAP_OPTIONS_WHY] as in ldap_options_parse. */
PW_MUSTCHECK PwErr config_read_ldap(Config *config, char *why);

Config *config_new(void); /* all defaults, no lines, one reference */

#endif
