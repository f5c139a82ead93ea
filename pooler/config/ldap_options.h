/* SPDX-License-Identifier: ISC */
/* ldap_options.h - how to ask a directory whether a password is right: auth_ldap_options, or the options of an ldap line
 * of auth_hba_file. PostgreSQL's names and meaning.
 *
 * Two modes. Simple bind: the name to bind as is ldapprefix USER ldapsuffix. Search and bind: USER is looked up under
 * ldapbasedn first. Immutable and atomically reference-counted; any thread. */
#ifndef POOLER_CONFIG_LDAP_OPTIONS_H
#define POOLER_CONFIG_LDAP_OPTIONS_H

#include <stdbool.h>

#include "pooler/config/hba_lexer.h"
#include "poolwise/err.h"
#include "poolwise/refs.h"
#include "poolwise/str.h"

typedef enum LdapScope { LDAP_OPTIONS_SUBTREE, LDAP_OPTIONS_ONE_LEVEL, LDAP_OPTIONS_BASE } LdapScope;

typedef struct LdapOptions {
    PwRefs refs;       /* private */
    PwStrList servers; /* empty: those that DNS names for the domain of basedn (SRV records) */
    int port;          /* 0: the scheme's */
    bool ldaps;        /* TLS from the first byte */
    bool tls;          /* StartTLS */
    char *prefix, *suffix;                           /* simple bind; NULL: not given */
    char *basedn;                                    /* search and bind; NULL: simple bind */
    char *binddn, *bindpasswd;                       /* for the search; NULL: anonymous */
    char *searchattribute, *searchfilter;            /* NULL: uid, and no filter; $username stands for the user */
    LdapScope scope;
} LdapOptions;

#define LDAP_OPTIONS_WHY 160

/* Reads name=value words up to the end of the lexer's text. PW_ERR_SYNTAX: why[] says what is wrong, without values of secrets. */
PW_MUSTCHECK PwErr ldap_options_read(HbaLexer *lx, LdapOptions **ret_options, char why[LDAP_OPTIONS_WHY]);
PW_MUSTCHECK PwErr ldap_options_parse(const char *text, LdapOptions **ret_options, char why[LDAP_OPTIONS_WHY]);

const LdapOptions *ldap_options_ref(const LdapOptions *options); /* returns the same */
void ldap_options_unref(const LdapOptions *options);             /* wipes the password; NULL is fine */

#endif
