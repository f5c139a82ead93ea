/* SPDX-License-Identifier: ISC */
/* hba_parse.c - lines of an access file into rules. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "pooler/config/hba_lexer.h"
#include "pooler/config/hba_priv.h"
#include "pooler/config/ldap_options.h"
#include "poolwise/mem.h"
#include "poolwise/str.h"

#define NAME_FILE_DEPTH 10          /* @files in @files, as %include in the ini */
#define NAMES_MAX       (1u << 20)  /* names of one line, its @files included */

typedef struct Parser {
    const HbaSource *source;
    PwDiag *diags;
    Hba *hba;
    int line;
    char why[200]; /* what is wrong with the line */
} Parser;

typedef struct Word {
    const char *text;
    int value;
} Word;

static const Word conn_types[] = {
    {"local", HBA_CONN_LOCAL},
    {"host", HBA_CONN_HOST},
    {"hostssl", HBA_CONN_HOSTSSL},
    {"hostnossl", HBA_CONN_HOSTNOSSL},
};

static const Word methods[] = {
    {"trust", AUTH_TYPE_TRUST}, {"reject", AUTH_TYPE_REJECT}, {"md5", AUTH_TYPE_MD5},
    {"password", AUTH_TYPE_PLAIN}, {"peer", AUTH_TYPE_PEER}, {"cert", AUTH_TYPE_CERT},
    {"scram-sha-256", AUTH_TYPE_SCRAM_SHA_256},
#ifdef HAVE_LDAP
    {"ldap", AUTH_TYPE_LDAP},
#endif
#ifdef HAVE_PAM
    {"pam", AUTH_TYPE_PAM},
#endif
};

static bool wrong(Parser *parser, const char *fmt, ...) PW_PRINTF(2, 3);

static bool wrong(Parser *parser, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(parser->why, sizeof(parser->why), fmt, ap);
    va_end(ap);
    return false;
}

static void warn(Parser *parser, const char *hint, const char *text)
{
    pw_diag_add(parser->diags, PW_DIAG_WARNING, parser->source->name, parser->line, hint, "%s", text);
}

static bool missing(Parser *parser, const HbaLexer *lx, const char *what)
{
    if (lx->kind == HBA_TOKEN_BAD)
        return wrong(parser, "a quote does not end");
    return wrong(parser, "%s expected", what);
}

static bool eat_word(HbaLexer *lx, const Word *words, size_t n, int *ret_value)
{
    for (size_t i = 0; i < n; i++) {
        if (hba_lexer_eat(lx, words[i].text)) {
            *ret_value = words[i].value;
            return true;
        }
    }
    return false;
}

/* ---- names ---- */

static bool read_names(Parser *parser, HbaLexer *lx, HbaNames *names, bool databases, const char *file, int depth);

/* Every line of an @file is a list; blank lines and comments are fine. */
static bool read_name_file(Parser *parser, const char *name, HbaNames *names, bool databases, const char *parent,
                           int depth)
{
    const char *slash = strrchr(parent, '/');
    char *path = name[0] == '/' || !slash ? pw_xstrdup(name)
                                          : pw_xasprintf("%.*s/%s", (int)(slash - parent), parent, name);
    PwBuf text;
    pw_buf_init(&text);
    bool ok = true;
    if (depth >= NAME_FILE_DEPTH)
        ok = wrong(parser, "@%.100s: files within files more than %d deep", name, NAME_FILE_DEPTH);
    else if (!parser->source->read || !parser->source->read(parser->source->arg, path, &text))
        ok = wrong(parser, "cannot read \"%.150s\"", path);
    const char *p = (const char *)pw_buf_head(&text), *end = p ? p + pw_buf_unread(&text) : p;
    while (ok && p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((eol ? eol : end) - p);
        HbaLexer lx;
        hba_lexer_init(&lx, p, len);
        if (lx.kind != HBA_TOKEN_END) {
            ok = read_names(parser, &lx, names, databases, path, depth + 1);
            if (ok && lx.kind != HBA_TOKEN_END)
                ok = wrong(parser, "\"%.150s\": names are separated by commas or lines", path);
        }
        hba_lexer_finish(&lx);
        p += len + (eol ? 1 : 0);
    }
    pw_buf_finish(&text);
    free(path);
    return ok;
}

static bool read_name(Parser *parser, HbaLexer *lx, HbaNames *names, bool databases, const char *file, int depth)
{
    const char *word = hba_lexer_word(lx);
    if (!lx->quoted) {
        if (strcmp(word, "all") == 0) {
            names->all = true;
            return true;
        }
        if (databases && strcmp(word, "sameuser") == 0) {
            names->same_user = true;
            return true;
        }
        if (databases && strcmp(word, "replication") == 0) {
            names->replication = true;
            return true;
        }
        if (databases && (strcmp(word, "samerole") == 0 || strcmp(word, "samegroup") == 0))
            return wrong(parser, "%s is not supported", word);
        if (word[0] == '+')
            return wrong(parser, "groups (%.100s) are not supported", word);
        if (word[0] == '@' && word[1])
            return read_name_file(parser, word + 1, names, databases, file, depth);
    }
    if (names->list.n >= NAMES_MAX)
        return wrong(parser, "more than %u names", NAMES_MAX);
    pw_str_list_add(&names->list, word, strlen(word));
    return true;
}

static bool read_names(Parser *parser, HbaLexer *lx, HbaNames *names, bool databases, const char *file, int depth)
{
    for (;;) {
        if (lx->kind != HBA_TOKEN_WORD)
            return missing(parser, lx, databases ? "a database" : "a user");
        if (!read_name(parser, lx, names, databases, file, depth))
            return false;
        hba_lexer_next(lx);
        if (lx->kind != HBA_TOKEN_COMMA)
            return true;
        hba_lexer_next(lx);
    }
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(HbaNames *names)
{
    if (names->list.n > 1)
        qsort(names->list.items, names->list.n, sizeof(char *), compare_items);
}

/* ---- addresses ---- */

static bool parse_bits(const char *text, int family, uint8_t mask[16])
{
    unsigned bits = 0, max = family == AF_INET ? 32 : 128;
    size_t n = strlen(text);
    if (n == 0 || n > 3)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        bits = bits * 10 + (unsigned)(*text - '0');
    }
    if (bits > max)
        return false;
    for (unsigned i = 0; i < bits; i++)
        mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
    return true;
}

static bool parse_ip(const char *text, int *ret_family, uint8_t addr[16])
{
    *ret_family = inet_pton(AF_INET, text, addr) == 1 ? AF_INET : inet_pton(AF_INET6, text, addr) == 1 ? AF_INET6 : 0;
    return *ret_family != 0;
}

static bool read_address(Parser *parser, HbaLexer *lx, HbaRule *rule)
{
    char text[64];
    if (hba_lexer_eat(lx, "all")) {
        rule->family = AF_UNSPEC;
        return true;
    }
    if (lx->kind != HBA_TOKEN_WORD)
        return missing(parser, lx, "an address");
    if (snprintf(text, sizeof(text), "%s", hba_lexer_word(lx)) >= (int)sizeof(text))
        return wrong(parser, "not an address: \"%.60s\"", text);
    hba_lexer_next(lx);
    char *bits = strchr(text, '/');
    if (bits)
        *bits++ = '\0';
    if (!parse_ip(text, &rule->family, rule->addr))
        return wrong(parser, "not an address: \"%s\" (names of hosts, samehost and samenet are not supported)", text);
    if (bits) {
        if (!parse_bits(bits, rule->family, rule->mask))
            return wrong(parser, "not a number of bits: \"%s\"", bits);
    } else {
        int family;
        if (lx->kind != HBA_TOKEN_WORD)
            return missing(parser, lx, "a mask");
        if (!parse_ip(hba_lexer_word(lx), &family, rule->mask) || family != rule->family)
            return wrong(parser, "not a mask for %s: \"%.60s\"", text, hba_lexer_word(lx));
        hba_lexer_next(lx);
    }
    bool outside = false;
    for (size_t i = 0; i < sizeof(rule->addr); i++)
        outside = outside || (rule->addr[i] & ~rule->mask[i]);
    if (outside) /* as in PgBouncer such a rule stays, and fits no address */
        warn(parser, "clear the bits of the address that the mask does not cover",
             "address does not match mask: this rule matches nobody");
    return true;
}

/* ---- lines ---- */

static bool read_ldap(Parser *parser, HbaLexer *lx, HbaRule *rule)
{
    char why[LDAP_OPTIONS_WHY] = "";
    LdapOptions *ldap;
    if (ldap_options_read(lx, &ldap, why) != PW_OK)
        return wrong(parser, "%s", why);
    rule->answer.ldap = ldap;
    return true;
}

static bool read_options(Parser *parser, HbaLexer *lx, HbaRule *rule)
{
    if (rule->answer.method == AUTH_TYPE_LDAP)
        return read_ldap(parser, lx, rule);
    if (lx->kind == HBA_TOKEN_WORD) {
        const char *word = hba_lexer_word(lx);
        if (strncmp(word, "map=", 4) != 0)
            return wrong(parser, "unsupported option \"%.60s\"", word);
        rule->answer.map = ident_find(parser->hba->ident, word + 4);
        if (!rule->answer.map)
            return wrong(parser, "there is no map \"%.60s\" in the ident file", word + 4);
        hba_lexer_next(lx);
    }
    if (lx->kind == HBA_TOKEN_BAD)
        return wrong(parser, "a quote does not end");
    if (lx->kind != HBA_TOKEN_END)
        return wrong(parser, "there is more behind the line's last option");
    return true;
}

static bool read_rule(Parser *parser, HbaLexer *lx, HbaRule *rule)
{
    int value;
    if (!eat_word(lx, conn_types, PW_ARRAY_LEN(conn_types), &value))
        return wrong(parser, "unknown type of connection \"%.60s\"", hba_lexer_word(lx));
    rule->type = (HbaConnType)value;
    if (!read_names(parser, lx, &rule->databases, true, parser->source->name, 0) ||
        !read_names(parser, lx, &rule->users, false, parser->source->name, 0))
        return false;
    if (rule->type != HBA_CONN_LOCAL && !read_address(parser, lx, rule))
        return false;
    if (lx->kind != HBA_TOKEN_WORD)
        return missing(parser, lx, "a method");
    lx->commas = strcmp(hba_lexer_word(lx), "ldap") != 0; /* distinguished names have commas */
    if (!eat_word(lx, methods, PW_ARRAY_LEN(methods), &value))
        return wrong(parser, "unsupported method \"%.60s\"", hba_lexer_word(lx));
    rule->answer.method = (AuthType)value;
    rule->answer.line = parser->line;
    if (!read_options(parser, lx, rule))
        return false;
    if (rule->answer.method == AUTH_TYPE_PEER && rule->type != HBA_CONN_LOCAL)
        warn(parser, "use it on local lines", "peer needs a unix socket: this rule lets nobody in");
    return true;
}

static void read_line(Parser *parser, const char *text, size_t n)
{
    HbaLexer lx;
    HbaRule rule = {0};
    hba_lexer_init(&lx, text, n);
    if (lx.kind == HBA_TOKEN_END) {
        hba_lexer_finish(&lx);
        return;
    }
    if (read_rule(parser, &lx, &rule)) {
        Hba *hba = parser->hba;
        sort_names(&rule.databases);
        sort_names(&rule.users);
        if (hba->n == hba->cap) {
            hba->cap = hba->cap ? 2 * hba->cap : 16;
            hba->rules = pw_xrealloc(hba->rules, hba->cap * sizeof(*hba->rules));
        }
        hba->rules[hba->n++] = rule;
    } else {
        pw_diag_add(parser->diags, PW_DIAG_WARNING, parser->source->name, parser->line, NULL,
                    "could not parse hba config line %d: %s", parser->line, parser->why);
        pw_str_list_finish(&rule.databases.list);
        pw_str_list_finish(&rule.users.list);
        ldap_options_unref(rule.answer.ldap);
    }
    hba_lexer_finish(&lx);
}

Hba *hba_parse(const HbaSource *source, PwDiag *diags)
{
    Hba *hba = pw_xcalloc(1, sizeof(*hba));
    pw_refs_init(&hba->refs);
    hba->ident = source->ident;
    Parser parser = {.source = source, .diags = diags, .hba = hba};
    const char *p = source->text, *end = p + source->n;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((eol ? eol : end) - p);
        parser.line++;
        read_line(&parser, p, len);
        p += len + (eol ? 1 : 0);
    }
    return hba;
}

/* ---- files ---- */

static bool read_file(void *arg, const char *path, PwBuf *ret_text)
{
    (void)arg;
    uint8_t piece[8192];
    size_t got;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while ((got = fread(piece, 1, sizeof(piece), file)) > 0 && pw_buf_unread(ret_text) <= HBA_FILE_MAX)
        pw_buf_append(ret_text, piece, got);
    bool ok = !ferror(file) && pw_buf_unread(ret_text) <= HBA_FILE_MAX;
    if (pw_buf_unread(ret_text))
        pw_buf_consume(ret_text, pw_str_bom((const char *)pw_buf_head(ret_text), pw_buf_unread(ret_text)));
    int saved = ok || ferror(file) ? errno : EFBIG;
    (void)fclose(file);
    errno = saved;
    return ok;
}

static Ident *load_ident(const char *path, bool *ret_ok, PwDiag *diags)
{
    PwBuf text;
    Ident *ident = NULL;
    *ret_ok = true;
    if (!path || !path[0])
        return NULL;
    pw_buf_init(&text);
    *ret_ok = read_file(NULL, path, &text);
    if (*ret_ok)
        ident = ident_parse(path, (const char *)pw_buf_head(&text), pw_buf_unread(&text), diags);
    else
        pw_diag_add(diags, PW_DIAG_WARNING, path, 0, NULL, "could not open ident config file: %s", strerror(errno));
    pw_buf_finish(&text);
    return ident;
}

Hba *hba_load(const char *hba_path, const char *ident_path, PwDiag *diags)
{
    PwBuf text;
    bool has_maps, has_rules = true;
    pw_buf_init(&text);
    HbaSource source = {.name = hba_path ? hba_path : "", .ident = load_ident(ident_path, &has_maps, diags), .read = read_file};
    if (!hba_path || !hba_path[0])
        pw_diag_add(diags, PW_DIAG_WARNING, NULL, 0, "set auth_hba_file",
                    "auth_type is hba and there is no auth_hba_file: nobody can log in");
    else if (!(has_rules = read_file(NULL, hba_path, &text)))
        pw_diag_add(diags, PW_DIAG_WARNING, hba_path, 0, "without rules nobody can log in", "could not open hba config file: %s",
                    strerror(errno));
    source.text = (const char *)pw_buf_head(&text);
    source.n = source.text ? pw_buf_unread(&text) : 0;
    if (!source.text)
        source.text = "";
    Hba *hba = hba_parse(&source, diags);
    hba->incomplete = !has_rules || !has_maps;
    pw_buf_finish(&text);
    return hba;
}
