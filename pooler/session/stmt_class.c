/* SPDX-License-Identifier: ISC */
#include "pooler/session/stmt_class.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "poolwise/err.h"
#include "poolwise/lexer.h"

/* The walk over one text. Tokens are looked at in threes: a name counts as a function when "(" follows it. */
typedef struct Walk {
    PwLexer lexer;
    unsigned class;
    unsigned depth;        /* of parentheses */
    uint64_t distinct_on;  /* a bit for each depth: these are the parentheses of DISTINCT ON (...) */
    unsigned n;            /* tokens of this statement so far */
    PwToken first;         /* of this statement */
    PwToken before, last;  /* the last two */
    PwToken in_front;      /* of the name a or a.b that ends with `last` */
    PwToken qualifier;     /* its a */
    bool updates;          /* UPDATE or MERGE was seen */
} Walk;

/* Words that stand before "(" without calling anything. Key words that may name a function are here only where they often stand so: by,
 * conflict, cube, materialized, rollup, set, sets, varying, zone. Behind ")" and as the first word of a statement none is needed. */
static const char *const plain_words[] = {
    "all", "analyze", "and", "any", "array", "as", "asymmetric", "between", "bit", "by", "case", "cast", "char",
    "character", "check", "coalesce", "conflict", "cube", "dec", "decimal", "default", "distinct", "else", "end",
    "except", "exists", "extract", "float", "from", "greatest", "group", "grouping", "having", "ilike", "in",
    "intersect", "interval", "into", "is", "join", "lateral", "least", "like", "limit", "materialized", "nchar",
    "normalize", "not", "nullif", "numeric", "offset", "on", "only", "or", "overlay", "position", "returning",
    "rollup", "row", "select", "set", "sets", "some", "substring", "symmetric", "table", "then", "time", "timestamp",
    "to", "treat", "trim", "union", "unique", "using", "values", "varbit", "varchar", "varying", "when", "where",
    "window", "with", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlparse", "xmlpi", "xmlroot",
    "xmlserialize", "xmltable", "zone",
};

/* Built-in functions that do touch the session. */
static const struct {
    const char *name;
    unsigned class;
} stateful[] = {
    {"cursor_to_xml", CLASS_UNKNOWN},
    {"cursor_to_xmlschema", CLASS_UNKNOWN},
    {"pg_backup_start", CLASS_LOAD},
    {"pg_copy_logical_replication_slot", CLASS_LOAD},
    {"pg_copy_physical_replication_slot", CLASS_LOAD},
    {"pg_create_logical_replication_slot", CLASS_LOAD},
    {"pg_create_physical_replication_slot", CLASS_LOAD},
    {"pg_start_backup", CLASS_LOAD},
    {"pg_advisory_lock", CLASS_PIN},
    {"pg_advisory_lock_shared", CLASS_PIN},
    {"pg_advisory_unlock", CLASS_UNPIN},
    {"pg_advisory_unlock_all", CLASS_UNPIN},
    {"pg_advisory_unlock_shared", CLASS_UNPIN},
    {"pg_replication_origin_session_reset", CLASS_LOAD},
    {"pg_replication_origin_session_setup", CLASS_LOAD},
    {"pg_try_advisory_lock", CLASS_PIN},
    {"pg_try_advisory_lock_shared", CLASS_PIN},
    {"query_to_xml", CLASS_UNKNOWN},
    {"query_to_xml_and_xmlschema", CLASS_UNKNOWN},
    {"query_to_xmlschema", CLASS_UNKNOWN},
    {"set_config", CLASS_TRACK},
    {"ts_rewrite", CLASS_UNKNOWN},
    {"ts_stat", CLASS_UNKNOWN},
};

static bool fold(const PwToken *t, char *out, size_t cap)
{
    if (t->len >= cap)
        return false;
    for (size_t i = 0; i < t->len; i++) {
        uint8_t c = (uint8_t)t->text[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    out[t->len] = '\0';
    return true;
}

static int by_word(const void *word, const void *item)
{
    return strcmp(word, *(const char *const *)item);
}

static bool is_plain_word(const char *word)
{
    return bsearch(word, plain_words, PW_ARRAY_LEN(plain_words), sizeof(plain_words[0]), by_word) != NULL;
}

static bool is_punct(const PwToken *t, char c)
{
    return t->type == PW_TOK_PUNCT && t->text[0] == c;
}

static bool is_name(const PwToken *t)
{
    return t->type == PW_TOK_WORD || t->type == PW_TOK_QUOTED;
}

/* The name before "(" at hand: a list of columns or an alias, as INSERT INTO t (a), AS t(a), WITH t(a), ) t(a)? */
static bool opens_columns(const Walk *w)
{
    const PwToken *t = &w->in_front;
    return is_punct(t, ')') || pw_token_is(t, "into") || pw_token_is(t, "as") || pw_token_is(t, "recursive") ||
           pw_token_is(t, "tablesample") || pw_token_is(t, "execute") || pw_token_is(t, "prepare") || (pw_token_is(t, "with") && pw_token_is(&w->first, "with")) ||
           (pw_token_is(t, "copy") && w->first.text == t->text) || pw_token_is(t, "references");
}

/* "(" stands behind w->last. The first word of a statement calls nothing: COPY (, EXPLAIN (. */
enum { FIRST_CALL = 2 };
static unsigned class_of_call(const Walk *w)
{
    char name[64];
    if (!is_name(&w->last) || w->n == FIRST_CALL || opens_columns(w))
        return 0;
    bool qualified = is_punct(&w->before, '.');
    if (w->last.type == PW_TOK_QUOTED || !fold(&w->last, name, sizeof(name)))
        return CLASS_UNKNOWN;
    if (!qualified && is_plain_word(name))
        return 0;
    if (qualified && !pw_token_is(&w->qualifier, "pg_catalog"))
        return CLASS_UNKNOWN;
    for (size_t i = 0; i < PW_ARRAY_LEN(stateful); i++)
        if (strcmp(stateful[i].name, name) == 0)
            return stateful[i].class;
    return builtin_is_harmless(name, strlen(name)) ? 0 : CLASS_UNKNOWN;
}

/* Statements that matter by their first word alone. */
static const struct {
    const char *word;
    unsigned class;
} first_words[] = {
    {"call", CLASS_UNKNOWN},  {"close", CLASS_UNPIN},    {"deallocate", CLASS_NAMES},
    {"discard", CLASS_TRACK | CLASS_UNPIN | CLASS_NAMES}, {"do", CLASS_UNKNOWN},
    {"drop", CLASS_UNPIN},    {"execute", CLASS_NAMES},  {"listen", CLASS_PIN | CLASS_LISTEN | CLASS_TRACK},
    {"load", CLASS_LOAD},     {"prepare", CLASS_NAMES},  {"release", CLASS_TRACK},
    {"reset", CLASS_TRACK},   {"savepoint", CLASS_TRACK}, {"set", CLASS_TRACK},
    {"unlisten", CLASS_UNPIN | CLASS_TRACK},
};

static unsigned class_of_first(const PwToken *t)
{
    char word[16];
    if (t->type != PW_TOK_WORD || !fold(t, word, sizeof(word)))
        return 0;
    for (size_t i = 0; i < PW_ARRAY_LEN(first_words); i++)
        if (strcmp(first_words[i].word, word) == 0)
            return first_words[i].class;
    return 0;
}

static bool is_temp(const PwToken *t)
{
    return pw_token_is(t, "temp") || pw_token_is(t, "temporary");
}

/* The view with a rule that calls set_config. */
static bool is_settings_view(const PwToken *t)
{
    return pw_token_is(t, "pg_settings") || (t->type == PW_TOK_QUOTED && t->len == 13 && memcmp(t->text, "\"pg_settings\"", 13) == 0);
}

/* What a token means beyond the first word. */
static unsigned class_of_token(const Walk *w, const PwToken *t)
{
    if (w->updates && is_settings_view(t))
        return CLASS_UNKNOWN;
    if (t->type == PW_TOK_QUOTED) /* U&"..." may spell anything */
        return t->text[0] != '"' || (t->len > 8 && strncmp(t->text, "\"pg_temp", 8) == 0) ? CLASS_PIN : 0;
    if (t->type != PW_TOK_WORD)
        return 0;
    if (t->len >= 7 && strncasecmp(t->text, "pg_temp", 7) == 0)
        return CLASS_PIN;
    bool scope = pw_token_is(&w->last, "local") || pw_token_is(&w->last, "global");
    const PwToken *verb = scope ? &w->before : &w->last; /* what TEMP belongs to */
    if (is_temp(t) && (pw_token_is(verb, "create") || pw_token_is(verb, "replace") || pw_token_is(verb, "into")))
        return CLASS_PIN;
    if (pw_token_is(t, "hold") && pw_token_is(&w->last, "with"))
        return CLASS_PIN;
    if (pw_token_is(t, "execute") && (pw_token_is(&w->first, "explain") || pw_token_is(&w->last, "as")))
        return CLASS_NAMES;
    /* ROLLBACK TO a savepoint; ROLLBACK alone is told by its tag */
    if (pw_token_is(t, "to") && pw_token_is(&w->first, "rollback"))
        return CLASS_TRACK;
    return 0;
}

static void set_bit(uint64_t *bits, unsigned at, bool value)
{
    uint64_t bit = 1ull << (at & 63);
    *bits = value ? *bits | bit : *bits & ~bit;
}

static void token(Walk *w, const PwToken *t)
{
    if (w->depth == 0 && is_punct(t, ';')) {
        w->n = 0;
        memset(&w->first, 0, sizeof(w->first));
        memset(&w->last, 0, sizeof(w->last));
        memset(&w->before, 0, sizeof(w->before));
        return;
    }
    if (w->n == 1 && pw_token_is(t, "transaction") && pw_token_is(&w->first, "prepare"))
        w->class &= ~(unsigned)CLASS_NAMES; /* two-phase commit */
    if (w->n == 0) {
        w->first = *t;
        w->class |= class_of_first(t);
    } else {
        w->class |= class_of_token(w, t);
    }
    w->updates |= pw_token_is(t, "update") || pw_token_is(t, "merge");
    w->n++;
    bool item_follows = false; /* behind DISTINCT ON (...): no alias, though it stands behind ")" */
    if (is_punct(t, '(')) {
        w->class |= class_of_call(w);
        w->depth++;
        set_bit(&w->distinct_on, w->depth, pw_token_is(&w->last, "on") && pw_token_is(&w->before, "distinct"));
    } else if (is_punct(t, ')') && w->depth > 0) {
        item_follows = w->distinct_on >> (w->depth & 63) & 1;
        w->depth--;
    }
    if (is_punct(t, '.'))
        w->qualifier = w->last;
    else if (!is_punct(&w->last, '.'))
        w->in_front = w->last;
    w->before = w->last;
    w->last = *t;
    if (item_follows)
        w->last.type = PW_TOK_OP;
}

unsigned stmt_classify(const char *sql, size_t len, unsigned lex_flags, bool whole)
{
    Walk w = {.lexer = pw_lexer(sql, len, lex_flags), .class = CLASS_SEEN};
    PwToken t;
    while (pw_lex_next(&w.lexer, &t) != PW_TOK_END)
        token(&w, &t);
    if (!whole)
        w.class |= CLASS_UNKNOWN;
    return w.class;
}

unsigned stmt_classify_function(uint32_t oid)
{
    /* pg_proc.dat: fixed for ever. What libpq's lo_*() call, and the locks; whatever else, the server is asked */
    static const uint16_t large_objects[] = {715, 764, 765, 767, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172};
    enum { LOCK_FIRST = 2880, LOCK_LAST = 2892 };
    if (oid >= LOCK_FIRST && oid <= LOCK_LAST)
        return CLASS_SEEN | CLASS_PIN;
    for (size_t i = 0; i < PW_ARRAY_LEN(large_objects); i++)
        if (large_objects[i] == oid)
            return CLASS_SEEN;
    return CLASS_SEEN | CLASS_UNKNOWN;
}
