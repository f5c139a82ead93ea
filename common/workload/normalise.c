/* SPDX-License-Identifier: ISC */
/* Prints canonical bytes (fingerprint_priv.h) as SQL that people and parsers read: blanks where one writes
 * them, placeholders numbered from $1 in order. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/workload/fingerprint_priv.h"
#include "common/workload/lexer_priv.h"
#include "poolwise/err.h"

/* ---- kinds ---- */

static const char *const kind_names[] = {
    [PW_SQL_OTHER] = "OTHER",     [PW_SQL_SELECT] = "SELECT",           [PW_SQL_INSERT] = "INSERT",
    [PW_SQL_UPDATE] = "UPDATE",   [PW_SQL_DELETE] = "DELETE",           [PW_SQL_MERGE] = "MERGE",
    [PW_SQL_COPY] = "COPY",       [PW_SQL_CALL] = "CALL",               [PW_SQL_EXPLAIN] = "EXPLAIN",
    [PW_SQL_FETCH] = "FETCH",     [PW_SQL_EXECUTE] = "EXECUTE",         [PW_SQL_TRANSACTION] = "TRANSACTION",
    [PW_SQL_SET] = "SET",         [PW_SQL_DDL] = "DDL",                 [PW_SQL_MAINTENANCE] = "MAINTENANCE",
    [PW_SQL_NOTIFY] = "NOTIFY",
};
static_assert(PW_ARRAY_LEN(kind_names) == PW_SQL_KIND_COUNT, "one name for each kind");

const char *pw_sql_kind_name(PwSqlKind kind)
{
    return kind_names[kind];
}

PwSqlKind pw_sql_kind_from_name(const char *name)
{
    for (unsigned i = 0; i < PW_SQL_KIND_COUNT; i++)
        if (strcmp(kind_names[i], name) == 0)
            return (PwSqlKind)i;
    return PW_SQL_OTHER;
}

static const struct {
    const char *word;
    PwSqlKind kind;
} first_words[] = {
    {"select", PW_SQL_SELECT},        {"table", PW_SQL_SELECT},         {"values", PW_SQL_SELECT},
    {"insert", PW_SQL_INSERT},        {"update", PW_SQL_UPDATE},        {"delete", PW_SQL_DELETE},
    {"merge", PW_SQL_MERGE},          {"copy", PW_SQL_COPY},            {"call", PW_SQL_CALL},
    {"do", PW_SQL_CALL},              {"explain", PW_SQL_EXPLAIN},      {"fetch", PW_SQL_FETCH},
    {"declare", PW_SQL_FETCH},        {"move", PW_SQL_FETCH},           {"close", PW_SQL_FETCH},
    {"execute", PW_SQL_EXECUTE},      {"prepare", PW_SQL_EXECUTE},      {"deallocate", PW_SQL_EXECUTE},
    {"begin", PW_SQL_TRANSACTION},    {"start", PW_SQL_TRANSACTION},    {"commit", PW_SQL_TRANSACTION},
    {"end", PW_SQL_TRANSACTION},      {"rollback", PW_SQL_TRANSACTION}, {"abort", PW_SQL_TRANSACTION},
    {"savepoint", PW_SQL_TRANSACTION}, {"release", PW_SQL_TRANSACTION}, {"set", PW_SQL_SET},
    {"reset", PW_SQL_SET},            {"show", PW_SQL_SET},             {"discard", PW_SQL_SET},
    {"create", PW_SQL_DDL},           {"alter", PW_SQL_DDL},            {"drop", PW_SQL_DDL},
    {"truncate", PW_SQL_DDL},         {"comment", PW_SQL_DDL},          {"grant", PW_SQL_DDL},
    {"revoke", PW_SQL_DDL},           {"security", PW_SQL_DDL},         {"import", PW_SQL_DDL},
    {"reassign", PW_SQL_DDL},         {"vacuum", PW_SQL_MAINTENANCE},   {"analyze", PW_SQL_MAINTENANCE},
    {"analyse", PW_SQL_MAINTENANCE},  {"reindex", PW_SQL_MAINTENANCE},  {"cluster", PW_SQL_MAINTENANCE},
    {"checkpoint", PW_SQL_MAINTENANCE}, {"refresh", PW_SQL_MAINTENANCE}, {"listen", PW_SQL_NOTIFY},
    {"notify", PW_SQL_NOTIFY},        {"unlisten", PW_SQL_NOTIFY},      {"lock", PW_SQL_NOTIFY},
};

static bool is_text(const char *p, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(p, word, n) == 0;
}

static PwSqlKind kind_of_word(const char *word, size_t n)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(first_words); i++)
        if (is_text(word, n, first_words[i].word))
            return first_words[i].kind;
    return PW_SQL_OTHER;
}

/* ---- printing ---- */

/* Words that are followed by a blank when a parenthesis comes: all others look like a function's name. Sorted. */
static const char *const keywords[] = {
    "all",    "and",     "any",    "as",      "between", "by",      "case",    "check",    "default", "do",     "else",
    "except", "exists",  "filter", "from",    "having",  "ilike",   "in",      "intersect", "into",   "is",     "join",
    "key",    "lateral", "like",   "limit",   "not",     "offset",  "on",      "or",       "over",    "returning", "select",
    "set",    "some",    "table",  "then",    "to",      "union",   "using",   "values",   "when",    "where",  "with"};

static int compare_word(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static bool is_keyword(const char *p, size_t n)
{
    char word[16];
    if (n >= sizeof(word))
        return false;
    memcpy(word, p, n);
    word[n] = '\0';
    return bsearch(word, keywords, PW_ARRAY_LEN(keywords), sizeof(keywords[0]), compare_word) != NULL;
}

typedef enum Piece { PIECE_START, PIECE_WORD, PIECE_VALUE, PIECE_OP, PIECE_CAST, PIECE_PUNCT } Piece;

typedef struct Printer {
    char *out;
    size_t cap;
    PwNormalised *result;
    Piece last;
    char last_byte;
    bool last_keyword; /* the last word is one of `keywords` */
    bool kind_known, with;
    int depth;
} Printer;

static bool wants_blank(const Printer *p, Piece piece, char first)
{
    if (p->last == PIECE_START || p->last == PIECE_CAST || piece == PIECE_CAST)
        return false;
    if (p->last == PIECE_PUNCT && strchr("([.:", p->last_byte) != NULL)
        return false;
    if (piece == PIECE_PUNCT && strchr(",)].;:[", first) != NULL)
        return first == '[' && (p->last == PIECE_OP || p->last_keyword);
    if (piece == PIECE_PUNCT && first == '(')
        return !(p->last == PIECE_WORD && !p->last_keyword) && !(p->last == PIECE_VALUE && p->last_byte == '"');
    return true;
}

/* WITH ... tells its kind by the first verb outside parentheses. */
static void learn_kind(Printer *p, const char *word, size_t n)
{
    if (p->kind_known)
        return;
    PwSqlKind kind = kind_of_word(word, n);
    if (!p->with) {
        p->with = is_text(word, n, "with");
        p->kind_known = !p->with;
        p->depth = 0;
    } else {
        if (p->depth > 0 || kind < PW_SQL_SELECT || kind > PW_SQL_MERGE)
            return;
        p->kind_known = true;
    }
    p->result->kind = kind;
}

/* False when it does not fit: nothing was written. */
static bool print_piece(Printer *p, Piece piece, const char *bytes, size_t n)
{
    size_t blank = wants_blank(p, piece, bytes[0]) ? 1 : 0;
    if (p->result->truncated || n + blank >= p->cap - p->result->len) {
        p->result->truncated = true;
        return false;
    }
    char *at = p->out + p->result->len;
    if (blank != 0)
        *at++ = ' ';
    memcpy(at, bytes, n);
    p->result->len += n + blank;
    p->last = piece;
    p->last_byte = bytes[n - 1];
    p->last_keyword = piece == PIECE_WORD && is_keyword(bytes, n);
    return true;
}

static bool print_placeholder(Printer *p)
{
    char text[12] = "$";
    unsigned value = p->result->params + 1;
    char digits[10];
    size_t n = 0, len = 1;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0)
        text[len++] = digits[--n];
    if (!print_piece(p, PIECE_VALUE, text, len))
        return false;
    p->result->params++;
    return true;
}

static const char *quoted_end(const char *q, const char *end)
{
    q = memchr(q, '"', (size_t)(end - q)); /* the opening one */
    for (q = q == NULL ? end : q + 1; q < end; q++) {
        if (*q != '"')
            continue;
        if (end - q >= 2 && q[1] == '"')
            q++;
        else
            return q + 1;
    }
    return end;
}

/* End of the canonical token at q, and what it is. */
static const char *piece_end(const char *q, const char *end, Piece *ret_piece)
{
    const char *start = q;
    unsigned kind = pw_lex_class[(uint8_t)*q];
    if (kind == PW_LEX_DQU || ((*q == 'u' || *q == 'U') && end - q >= 3 && q[1] == '&' && q[2] == '"')) {
        *ret_piece = PIECE_VALUE;
        return quoted_end(q, end);
    }
    if (pw_lex_fold[(uint8_t)*q] != 0) {
        *ret_piece = kind == PW_LEX_DIG ? PIECE_VALUE : PIECE_WORD;
        while (q < end && pw_lex_fold[(uint8_t)*q] != 0)
            q++;
        return q;
    }
    if (kind == PW_LEX_OPR) {
        *ret_piece = PIECE_OP;
        while (q < end && pw_lex_class[(uint8_t)*q] == PW_LEX_OPR)
            q++;
        return q;
    }
    *ret_piece = PIECE_PUNCT;
    q++;
    if (q < end && *start == ':' && (*q == ':' || *q == '=')) {
        *ret_piece = *q == ':' ? PIECE_CAST : PIECE_OP;
        q++;
    } else if (q < end && *start == '.' && *q == '.') {
        *ret_piece = PIECE_OP;
        q++;
    }
    return q;
}

static void print(void *arg, const char *q, size_t n, bool cut)
{
    Printer *p = arg;
    const char *end = q + n;
    while (q < end && !p->result->truncated) {
        if (*q == ' ') {
            q++;
            continue;
        }
        if (*q == '$') {
            if (!print_placeholder(p))
                break;
            q++;
            continue;
        }
        Piece piece;
        const char *next = piece_end(q, end, &piece);
        if (cut && next == end)
            break; /* the token may go on beyond what we were given */
        if (!print_piece(p, piece, q, (size_t)(next - q)))
            break;
        if (piece == PIECE_WORD)
            learn_kind(p, q, (size_t)(next - q));
        else if (piece == PIECE_PUNCT)
            p->depth += *q == '(' ? 1 : *q == ')' ? -1 : 0;
        q = next;
    }
    p->result->truncated |= cut;
}

PwNormalised pw_normalise(const char *sql, size_t len, unsigned flags, char *out, size_t cap)
{
    PwNormalised result = {.kind = PW_SQL_OTHER};
    Printer printer = {.out = out, .cap = cap, .result = &result};
    result.fingerprint = pw_canonicalise(sql, len, flags, print, &printer);
    out[result.len] = '\0';
    return result;
}
