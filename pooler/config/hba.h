/* SPDX-License-Identifier: ISC */
/* hba.h - access rules (auth_hba_file): who may log in from where to which database, and how they prove it.
 *
 * PgBouncer's dialect of pg_hba.conf: the first rule that matches decides. A bad line is skipped with a warning. Immutable
 * and atomically reference-counted; lives in the configuration snapshot. Any thread. */
#ifndef POOLER_CONFIG_HBA_H
#define POOLER_CONFIG_HBA_H

#include <stdbool.h>
#include <stddef.h>

#include "pooler/config/ident.h"
#include "pooler/config/snapshot.h"
#include "poolwise/buf.h"
#include "poolwise/diag.h"

struct sockaddr;

#define HBA_FILE_MAX (16u * 1024 * 1024) /* bytes, of one file */

/* What a matching line says. Lives as long as its Hba. */
typedef struct HbaAnswer {
    AuthType method;     /* of those that a line may name */
    const IdentMap *map; /* map=NAME, or NULL */
    const struct LdapOptions *ldap; /* with AUTH_TYPE_LDAP; else NULL */
    int line;            /* in auth_hba_file */
} HbaAnswer;

/* A login. */
typedef struct HbaQuery {
    const char *database, *user;
    bool physical_replication; /* only `replication` matches it, and it matches nothing else */
    bool tls;
    const struct sockaddr *peer; /* AF_UNIX, AF_INET or AF_INET6; IPv4-mapped addresses as AF_INET */
} HbaQuery;

/* Reads @files (`path` is complete) into an empty buffer; false: cannot. */
typedef bool HbaReadFile(void *arg, const char *path, PwBuf *ret_text);

typedef struct HbaSource {
    const char *name; /* of the file: for warnings, and @files are relative to its folder */
    const char *text;
    size_t n;
    Ident *ident;      /* taken over; NULL: no maps */
    HbaReadFile *read; /* NULL: there are no other files */
    void *arg;
} HbaSource;

/* Never NULL. */
Hba *hba_parse(const HbaSource *source, PwDiag *diags);

/* Reads both files. Never NULL: a file that cannot be read (hba_is_incomplete) or is not given is told as a warning and leaves
 * no rules (then nobody gets in), or no maps. ident_path may be NULL. */
Hba *hba_load(const char *hba_path, const char *ident_path, PwDiag *diags);

const Hba *hba_ref(const Hba *hba); /* returns the same */
void hba_unref(const Hba *hba); /* NULL is fine */

/* False: no rule matches. */
bool hba_match(const Hba *hba, const HbaQuery *query, HbaAnswer *ret_answer);

size_t hba_n_rules(const Hba *hba);

/* True when hba_load could not read a file that it was given: a start makes do with that, RELOAD and SET refuse it. */
bool hba_is_incomplete(const Hba *hba);

#endif
