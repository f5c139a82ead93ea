/* SPDX-License-Identifier: ISC */
#include "pooler/auth/ldap_check.h"

#include <stdio.h>

#ifndef HAVE_LDAP

PwErr ldap_check(const struct LdapOptions *options, const char *user, const char *password, char *why, size_t size)
{
    (void)options;
    (void)user;
    (void)password;
    (void)snprintf(why, size, "built without LDAP");
    return PW_ERR_UNSUPPORTED;
}

#else

#include <ldap.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/config/ldap_options.h"
#include "poolwise/buf.h"
#include "poolwise/mem.h"

#define NETWORK_SECONDS 5 /* to connect to one server */
#define ANSWER_SECONDS  10

typedef struct Asking {
    const LdapOptions *options;
    const char *user;
    LDAP *ld;
    char *why;
    size_t size;
} Asking;

static PwErr fail(Asking *a, PwErr err, const char *what, int rc)
{
    (void)snprintf(a->why, a->size, "%s: %s", what, ldap_err2string(rc));
    return err;
}

static char *text_of(PwBuf *buf)
{
    pw_buf_append_u8(buf, 0);
    char *text = pw_xstrdup((const char *)pw_buf_head(buf));
    pw_buf_finish(buf);
    return text;
}

/* The servers as URIs with blanks between them, which libldap tries in order. NULL: none. */
static char *uris_of(const LdapOptions *o)
{
    PwBuf buf;
    pw_buf_init(&buf);
    const char *scheme = o->ldaps ? "ldaps" : "ldap";
    for (size_t i = 0; i < o->servers.n; i++) {
        const char *host = o->servers.items[i];
        bool bare6 = host[0] != '[' && strchr(host, ':') && strchr(strchr(host, ':') + 1, ':');
        pw_buf_printf(&buf, "%s%s://%s%s%s", i ? " " : "", scheme, bare6 ? "[" : "", host, bare6 ? "]" : "");
        if (o->port)
            pw_buf_printf(&buf, ":%d", o->port);
    }
    if (o->servers.n == 0) { /* SRV records of the domain that the base names */
        char *domain = NULL, *hosts = NULL;
        if (ldap_dn2domain(o->basedn, &domain) == 0 && domain && ldap_domain2hostlist(domain, &hosts) == 0 && hosts) {
            char *save = NULL;
            for (char *host = strtok_r(hosts, " ", &save); host; host = strtok_r(NULL, " ", &save))
                pw_buf_printf(&buf, "%s%s://%s", pw_buf_unread(&buf) ? " " : "", scheme, host);
        }
        ldap_memfree(domain);
        ldap_memfree(hosts);
    }
    if (pw_buf_unread(&buf) == 0) {
        pw_buf_finish(&buf);
        return NULL;
    }
    return text_of(&buf);
}

static PwErr open_directory(Asking *a)
{
    char *uris = uris_of(a->options);
    if (!uris) {
        (void)snprintf(a->why, a->size, "DNS names no directory servers for \"%s\"", a->options->basedn);
        return PW_ERR_IO;
    }
    int rc = ldap_initialize(&a->ld, uris), version = LDAP_VERSION3;
    free(uris);
    if (rc != LDAP_SUCCESS)
        return fail(a, PW_ERR_IO, "cannot prepare LDAP", rc);
    struct timeval connect = {.tv_sec = NETWORK_SECONDS}, answer = {.tv_sec = ANSWER_SECONDS};
    ldap_set_option(a->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(a->ld, LDAP_OPT_NETWORK_TIMEOUT, &connect);
    ldap_set_option(a->ld, LDAP_OPT_TIMEOUT, &answer);
    ldap_set_option(a->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF); /* they would be followed without a name */
    if (a->options->tls && (rc = ldap_start_tls_s(a->ld, NULL, NULL)) != LDAP_SUCCESS)
        return fail(a, PW_ERR_IO, "cannot start TLS with the LDAP server", rc);
    return PW_OK;
}

static int bind_as(Asking *a, const char *dn, const char *password)
{
    struct berval cred = {.bv_len = strlen(password), .bv_val = pw_xstrdup(password)};
    int rc = ldap_sasl_bind_s(a->ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL);
    pw_wipe(cred.bv_val, cred.bv_len);
    free(cred.bv_val);
    return rc;
}

/* A name as it may stand inside a filter (RFC 4515, section 3). */
static void append_escaped(PwBuf *buf, const char *name)
{
    for (; *name; name++) {
        if (strchr("*()\\", *name))
            pw_buf_printf(buf, "\\%02x", (unsigned char)*name);
        else
            pw_buf_append_u8(buf, (uint8_t)*name);
    }
}

static char *filter_for(const Asking *a)
{
    const LdapOptions *o = a->options;
    PwBuf buf;
    pw_buf_init(&buf);
    if (!o->searchfilter) {
        pw_buf_printf(&buf, "(%s=", o->searchattribute ? o->searchattribute : "uid");
        append_escaped(&buf, a->user);
        pw_buf_append_str(&buf, ")");
        return text_of(&buf);
    }
    const char *mark = "$username", *p = o->searchfilter, *at;
    while ((at = strstr(p, mark))) {
        pw_buf_append(&buf, p, (size_t)(at - p));
        append_escaped(&buf, a->user);
        p = at + strlen(mark);
    }
    pw_buf_append_str(&buf, p);
    return text_of(&buf);
}

/* The name of the one entry that is the user. */
static PwErr search(Asking *a, char **ret_dn)
{
    static const int scopes[] = {
        [LDAP_OPTIONS_SUBTREE] = LDAP_SCOPE_SUBTREE,
        [LDAP_OPTIONS_ONE_LEVEL] = LDAP_SCOPE_ONELEVEL,
        [LDAP_OPTIONS_BASE] = LDAP_SCOPE_BASE,
    };
    const LdapOptions *o = a->options;
    char none[] = LDAP_NO_ATTRS;
    char *attributes[] = {none, NULL};
    struct timeval answer = {.tv_sec = ANSWER_SECONDS};
    LDAPMessage *found = NULL;
    int rc = bind_as(a, o->binddn ? o->binddn : "", o->bindpasswd ? o->bindpasswd : "");
    if (rc != LDAP_SUCCESS)
        return fail(a, PW_ERR_IO, "cannot bind to the LDAP server for the search", rc);
    char *filter = filter_for(a);
    rc = ldap_search_ext_s(a->ld, o->basedn, scopes[o->scope], filter, attributes, 0, NULL, NULL, &answer, 2, &found);
    free(filter);
    PwErr err = PW_OK;
    char *dn = NULL;
    int n = found ? ldap_count_entries(a->ld, found) : 0;
    if (rc != LDAP_SUCCESS && rc != LDAP_SIZELIMIT_EXCEEDED) {
        err = fail(a, PW_ERR_IO, "cannot search the LDAP directory", rc);
    } else if (n != 1) {
        (void)snprintf(a->why, a->size, n ? "more than one LDAP entry is the user" : "no LDAP entry is the user");
        err = PW_ERR_AUTH;
    } else if (!(dn = ldap_get_dn(a->ld, ldap_first_entry(a->ld, found)))) {
        (void)snprintf(a->why, a->size, "the LDAP entry of the user has no name");
        err = PW_ERR_IO;
    } else {
        *ret_dn = pw_xstrdup(dn);
    }
    ldap_memfree(dn);
    ldap_msgfree(found);
    return err;
}

/* Prefix, name, suffix. A name must not bend the rest: what has a meaning in distinguished names is refused. */
static PwErr compose(Asking *a, char **ret_dn)
{
    const LdapOptions *o = a->options;
    if (strpbrk(a->user, ",+\"\\<>;=#")) {
        (void)snprintf(a->why, a->size, "the user's name has characters that are special in LDAP names");
        return PW_ERR_AUTH;
    }
    *ret_dn = pw_xasprintf("%s%s%s", o->prefix ? o->prefix : "", a->user, o->suffix ? o->suffix : "");
    return PW_OK;
}

PwErr ldap_check(const struct LdapOptions *options, const char *user, const char *password, char *why, size_t size)
{
    Asking a = {.options = options, .user = user, .why = why, .size = size};
    char *dn = NULL;
    if (!password[0]) { /* a bind without a password is an anonymous one: it succeeds for everybody */
        (void)snprintf(why, size, "empty password");
        return PW_ERR_AUTH;
    }
    PwErr err = open_directory(&a);
    if (!err)
        err = options->basedn ? search(&a, &dn) : compose(&a, &dn);
    if (!err) {
        int rc = bind_as(&a, dn, password);
        if (rc == LDAP_INVALID_CREDENTIALS || rc == LDAP_NO_SUCH_OBJECT || rc == LDAP_INVALID_DN_SYNTAX)
            err = fail(&a, PW_ERR_AUTH, "the LDAP server refuses the user", rc);
        else if (rc != LDAP_SUCCESS)
            err = fail(&a, PW_ERR_IO, "cannot bind to the LDAP server as the user", rc);
    }
    free(dn);
    if (a.ld)
        ldap_unbind_ext_s(a.ld, NULL, NULL);
    return err;
}

#endif
