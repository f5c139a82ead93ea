/* SPDX-License-Identifier: ISC */
#include "pooler/config/ldap_options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

/* What a line may say, and where it goes. */
typedef enum OptionKind { OPTION_TEXT, OPTION_SERVERS, OPTION_PORT, OPTION_SCHEME, OPTION_BOOL, OPTION_URL } OptionKind;

typedef struct OptionRow {
    const char *name;
    OptionKind kind;
    size_t offset; /* of the text */
} OptionRow;

static const OptionRow rows[] = {
    {"ldapserver", OPTION_SERVERS, 0},
    {"ldapport", OPTION_PORT, 0},
    {"ldapscheme", OPTION_SCHEME, 0},
    {"ldaptls", OPTION_BOOL, 0},
    {"ldapprefix", OPTION_TEXT, offsetof(LdapOptions, prefix)},
    {"ldapsuffix", OPTION_TEXT, offsetof(LdapOptions, suffix)},
    {"ldapbasedn", OPTION_TEXT, offsetof(LdapOptions, basedn)},
    {"ldapbinddn", OPTION_TEXT, offsetof(LdapOptions, binddn)},
    {"ldapbindpasswd", OPTION_TEXT, offsetof(LdapOptions, bindpasswd)},
    {"ldapsearchattribute", OPTION_TEXT, offsetof(LdapOptions, searchattribute)},
    {"ldapsearchfilter", OPTION_TEXT, offsetof(LdapOptions, searchfilter)},
    {"ldapurl", OPTION_URL, 0},
};

const LdapOptions *ldap_options_ref(const LdapOptions *options)
{
    pw_refs_take(&options->refs);
    return options;
}

void ldap_options_unref(const LdapOptions *options)
{
    if (!options || !pw_refs_drop(&options->refs))
        return;
    LdapOptions *gone = (LdapOptions *)(uintptr_t)options;
    pw_str_list_finish(&gone->servers);
    if (gone->bindpasswd)
        pw_wipe(gone->bindpasswd, strlen(gone->bindpasswd));
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++)
        if (rows[i].kind == OPTION_TEXT)
            free(*(char **)((char *)gone + rows[i].offset));
    free(gone);
}

static bool wrong(char *why, const char *text, const char *what)
{
    (void)snprintf(why, LDAP_OPTIONS_WHY, "%s%s%.60s%s", text, what ? ": \"" : "", what ? what : "", what ? "\"" : "");
    return false;
}

static void set_text(char **to, const char *text)
{
    if (*to)
        pw_wipe(*to, strlen(*to));
    free(*to);
    *to = pw_xstrdup(text);
}

/* Blanks between names, as in PostgreSQL. */
static void set_servers(LdapOptions *o, const char *text)
{
    pw_str_list_finish(&o->servers);
    while (*text) {
        size_t n = strcspn(text, " \t");
        if (n)
            pw_str_list_add(&o->servers, text, n);
        text += n + strspn(text + n, " \t");
    }
}

static bool set_port(LdapOptions *o, const char *text, char *why)
{
    char *end;
    long port = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || port < 1 || port > 65535)
        return wrong(why, "not a port", text);
    o->port = (int)port;
    return true;
}

static bool set_scheme(LdapOptions *o, const char *text, char *why)
{
    o->ldaps = strcmp(text, "ldaps") == 0;
    return o->ldaps || strcmp(text, "ldap") == 0 || wrong(why, "ldapscheme is ldap or ldaps, not", text);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX in place; false: not two digits, or a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
        if (low < 0 || high * 16 + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        text += 2;
    }
    *to = '\0';
    return true;
}

/* The next part of a URL: cuts *rest at the first of `ends`. */
static char *cut(char **rest, char end)
{
    char *part = *rest, *at = part ? strchr(part, end) : NULL;
    *rest = at ? at + 1 : NULL;
    if (at)
        *at = '\0';
    return part;
}

/* ldap[s]://host[:port]/basedn?attribute?scope?filter (RFC 4516 without extensions) */
static bool read_url(LdapOptions *o, char *url, char *why)
{
    char *rest = strstr(url, "://");
    if (!rest)
        return wrong(why, "ldapurl is ldap://host:port/basedn?attribute?scope?filter", NULL);
    *rest = '\0';
    rest += 3;
    if (!set_scheme(o, url, why))
        return false;
    char *host = cut(&rest, '/');
    char *basedn = cut(&rest, '?'), *attribute = cut(&rest, '?'), *scope = cut(&rest, '?'), *filter = rest;
    char *bracket = host[0] == '[' ? strchr(host, ']') : NULL; /* [::1]:389 */
    char *port = strchr(bracket ? bracket : host, ':');
    if (port)
        *port++ = '\0';
    if (port && !set_port(o, port, why))
        return false;
    if (host[0])
        set_servers(o, host);
    char *const parts[] = {basedn, attribute, filter};
    char **const to[] = {&o->basedn, &o->searchattribute, &o->searchfilter};
    for (size_t i = 0; i < PW_ARRAY_LEN(parts); i++) {
        if (!parts[i] || !parts[i][0])
            continue;
        if (!decode(parts[i]))
            return wrong(why, "ldapurl has a % that is not followed by two digits", NULL);
        set_text(to[i], parts[i]);
    }
    if (!scope || !scope[0] || strcmp(scope, "sub") == 0)
        o->scope = scope && scope[0] ? LDAP_OPTIONS_SUBTREE : LDAP_OPTIONS_BASE; /* the RFC's default */
    else if (strcmp(scope, "one") == 0)
        o->scope = LDAP_OPTIONS_ONE_LEVEL;
    else if (strcmp(scope, "base") == 0)
        o->scope = LDAP_OPTIONS_BASE;
    else
        return wrong(why, "the scope of an ldapurl is base, one or sub, not", scope);
    return true;
}

static bool set_option(LdapOptions *o, const OptionRow *row, const char *value, char *why)
{
    switch (row->kind) {
    case OPTION_TEXT:
        set_text((char **)((char *)o + row->offset), value);
        return true;
    case OPTION_SERVERS:
        set_servers(o, value);
        return true;
    case OPTION_PORT:
        return set_port(o, value, why);
    case OPTION_SCHEME:
        return set_scheme(o, value, why);
    case OPTION_BOOL:
        o->tls = strcmp(value, "1") == 0;
        return o->tls || strcmp(value, "0") == 0 || wrong(why, "ldaptls is 0 or 1, not", value);
    case OPTION_URL: {
        char *copy = pw_xstrdup(value);
        bool ok = read_url(o, copy, why);
        free(copy);
        return ok;
    }
    }
    return false;
}

/* PostgreSQL's rules about what fits together. */
static bool check(const LdapOptions *o, char *why)
{
    bool simple = o->prefix || o->suffix;
    bool search = o->basedn || o->binddn || o->bindpasswd || o->searchattribute || o->searchfilter;
    if (simple && search)
        return wrong(why, "ldapprefix and ldapsuffix do not go with ldapbasedn and the other options of a search", NULL);
    if (search && !o->basedn)
        return wrong(why, "a search needs ldapbasedn", NULL);
    if (!simple && !search)
        return wrong(why, "ldapprefix, ldapsuffix or ldapbasedn must be given", NULL);
    if (o->searchattribute && o->searchfilter)
        return wrong(why, "ldapsearchattribute and ldapsearchfilter do not go together", NULL);
    if (o->servers.n == 0 && !o->basedn)
        return wrong(why, "ldapserver must be given", NULL);
    if (o->ldaps && o->tls)
        return wrong(why, "ldaptls does not go with ldapscheme=ldaps", NULL);
    return true;
}

static bool read_word(LdapOptions *o, const char *word, char *why)
{
    const char *eq = strchr(word, '=');
    for (size_t i = 0; eq && i < PW_ARRAY_LEN(rows); i++)
        if (strlen(rows[i].name) == (size_t)(eq - word) && strncmp(rows[i].name, word, (size_t)(eq - word)) == 0)
            return set_option(o, &rows[i], eq + 1, why);
    /* only the name: what follows may be a password */
    char name[40];
    (void)snprintf(name, sizeof(name), "%.*s", eq ? (int)(eq - word) : 0, word);
    return wrong(why, eq ? "unknown option of ldap" : "options of ldap are name=value", eq ? name : NULL);
}

PwErr ldap_options_read(HbaLexer *lx, LdapOptions **ret_options, char why[LDAP_OPTIONS_WHY])
{
    LdapOptions *o = pw_xcalloc(1, sizeof(*o));
    bool ok = true;
    pw_refs_init(&o->refs);
    while (ok && lx->kind == HBA_TOKEN_WORD) {
        ok = read_word(o, hba_lexer_word(lx), why);
        hba_lexer_next(lx);
    }
    if (ok && lx->kind != HBA_TOKEN_END)
        ok = wrong(why, "a quote does not end", NULL);
    if (!ok || !check(o, why)) {
        ldap_options_unref(o);
        return PW_ERR_SYNTAX;
    }
    *ret_options = o;
    return PW_OK;
}

PwErr ldap_options_parse(const char *text, LdapOptions **ret_options, char why[LDAP_OPTIONS_WHY])
{
    HbaLexer lx;
    hba_lexer_init_options(&lx, text, strlen(text));
    PwErr err = ldap_options_read(&lx, ret_options, why);
    hba_lexer_finish(&lx);
    return err;
}
