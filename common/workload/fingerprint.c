/* SPDX-License-Identifier: ISC */
/* One pass over the text writes the canonical bytes (fingerprint_priv.h) into a buffer on the stack, whose hash is
 * the fingerprint. Words, the bulk of every text, are folded and copied in this file; other tokens come
 * from the lexer. What folds looks back into the buffer only:
 *
 *   in ( $ , $             at each ',' and at the end of a list the element just written is compared with the
 *        ^     ^           one before it and taken back when they are equal
 *     prev    elem
 *
 * A buffer that is full is hashed into the seed of the next one and everything that looks back forgets what it saw:
 * texts of more than 16 KiB canonical bytes may so have a list folded in two parts. */
#include "poolwise/fingerprint.h"

#include <string.h>
#include <xxhash.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/workload/fingerprint_priv.h"
#include "common/workload/lexer_priv.h"
#include "poolwise/err.h"

#define MAX_DEPTH 64      /* deeper parentheses are copied, not folded */
#define ROOM 512          /* free bytes in the buffer whenever a token starts */
#define PIECE (ROOM - 32) /* longest piece of a token written at once */
#define PADDED_MAX 1024   /* texts up to here are copied, see pw_canonicalise */
#define NONE UINT32_MAX

typedef enum ListKind { LIST_NONE, LIST_ELEMENTS, LIST_VALUES } ListKind;

/* One open bracket; level[0] is the statement. Offsets into the buffer, NONE after it was flushed. */
typedef struct Level {
    uint32_t prev_start, prev_end; /* the last element kept */
    uint32_t elem_start;
    ListKind list;
    bool row;    /* a row of VALUES: null, true and false are values like others */
    bool typmod; /* varchar( ... ) */
    bool by;     /* after ORDER BY or GROUP BY */
} Level;

/* What the last token was, as far as the next one must know. */
typedef enum Last {
    LAST_WORD,   /* at word_start .. */
    LAST_VALUE,  /* placeholder, number, "..." */
    LAST_START,
    LAST_OP,     /* operators, also :: */
    LAST_MINUS,  /* a minus that has no left operand, at minus_start .. */
    LAST_OPEN,   /* ( [ , ; : */
    LAST_CLOSE,  /* ) ] */
    LAST_DOT,
} Last;

typedef struct Canon {
    uint32_t n;
    Last last, minus_last; /* minus_last: before the LAST_MINUS */
    uint32_t word_start;
    uint32_t minus_start;
    Level *top;       /* the innermost one open, in level[] */
    unsigned ignored; /* brackets open beyond MAX_DEPTH */
    uint64_t seed;
    bool flushed;
    CanonSink sink;
    void *sink_arg;
    Level level[MAX_DEPTH];
    char out[PW_QUERY_TEXT_MAX];
} Canon;

static bool is_text(const char *p, size_t n, const char *word)
{
    return p[0] == word[0] && strlen(word) == n && memcmp(p, word, n) == 0;
}

static bool is_among(const char *p, size_t n, const char *const *words, size_t n_words)
{
    for (size_t i = 0; i < n_words; i++)
        if (is_text(p, n, words[i]))
            return true;
    return false;
}

static void flush(Canon *c)
{
    if (!c->flushed && c->sink != NULL)
        c->sink(c->sink_arg, c->out, c->n, true);
    c->flushed = true;
    c->seed = XXH3_64bits_withSeed(c->out, c->n, c->seed);
    c->n = 0;
    c->word_start = c->minus_start = NONE;
    for (Level *l = c->level; l <= c->top; l++)
        l->prev_start = l->prev_end = l->elem_start = NONE;
}

static inline void make_room(Canon *c)
{
    if (PW_UNLIKELY(c->n > PW_QUERY_TEXT_MAX - ROOM))
        flush(c);
}

static inline void put(Canon *c, char byte)
{
    c->out[c->n++] = byte;
}

static void put_bytes(Canon *c, const char *p, size_t n)
{
    while (n > 0) {
        make_room(c);
        size_t piece = n < PIECE ? n : PIECE;
        memcpy(c->out + c->n, p, piece);
        c->n += (uint32_t)piece;
        p += piece;
        n -= piece;
    }
}

static inline void put_blank_after_word(Canon *c)
{
    if (c->last <= LAST_VALUE)
        put(c, ' ');
}

static void put_value(Canon *c)
{
    put_blank_after_word(c);
    put(c, '$');
    c->last = LAST_VALUE;
}

static inline size_t word_len(const Canon *c)
{
    return c->word_start == NONE ? 0 : c->n - c->word_start;
}

/* ---- lists ---- */

/* The element of a list that ends here: kept, or taken back when it equals the one before. */
static void fold_element(Canon *c, Level *l)
{
    uint32_t start = l->elem_start, n = c->n;
    if (start != NONE && l->prev_start != NONE && n - start == l->prev_end - l->prev_start &&
        memcmp(c->out + start, c->out + l->prev_start, n - start) == 0) {
        c->n = l->prev_end;
        return;
    }
    l->prev_start = start;
    l->prev_end = start == NONE ? NONE : n;
}

static void start_list(Canon *c, Level *l, ListKind kind)
{
    l->list = kind;
    l->elem_start = c->n;
    l->prev_start = l->prev_end = NONE;
}

static void end_list(Canon *c, Level *l)
{
    if (l->list != LIST_NONE)
        fold_element(c, l);
    l->list = LIST_NONE;
}

/* Types whose modifiers the grammar wants as plain integers (and whose relatives are few and tell queries apart). */
static const char *const typmod_words[] = {"varchar", "char",    "character", "varying", "nchar",    "timestamp", "time",
                                           "float",   "numeric", "decimal",   "dec",     "interval", "bit",       "second"};

static void open_bracket(Canon *c, char bracket)
{
    Level *outer = c->top;
    ListKind kind = LIST_NONE;
    bool typmod = false;
    bool row = outer->list == LIST_VALUES && outer->elem_start == c->n;
    if (c->last == LAST_WORD) {
        const char *word = c->out + c->word_start;
        size_t n = word_len(c);
        if (bracket == '[')
            kind = is_text(word, n, "array") ? LIST_ELEMENTS : LIST_NONE;
        else if (n == 2)
            kind = word[0] == 'i' && word[1] == 'n' ? LIST_ELEMENTS : LIST_NONE;
        else
            typmod = n >= 3 && n <= 9 && is_among(word, n, typmod_words, PW_ARRAY_LEN(typmod_words));
    } else if (bracket == '[' && c->last == LAST_OPEN && outer->list == LIST_ELEMENTS) {
        kind = LIST_ELEMENTS; /* array[[1, 2], [3, 4]] */
    }
    put(c, bracket);
    c->last = LAST_OPEN;
    if (PW_UNLIKELY(c->top == &c->level[MAX_DEPTH - 1])) {
        c->ignored++;
        return;
    }
    Level *l = ++c->top;
    l->row = row;
    l->typmod = typmod;
    l->by = false;
    start_list(c, l, kind);
}

static void close_bracket(Canon *c, char bracket)
{
    if (c->ignored > 0) {
        c->ignored--;
    } else {
        end_list(c, c->top);
        if (c->top > c->level)
            c->top--;
    }
    put(c, bracket);
    c->last = LAST_CLOSE;
}

static inline void put_comma(Canon *c)
{
    Level *l = c->top;
    bool list = l->list != LIST_NONE && c->ignored == 0;
    if (list)
        fold_element(c, l);
    put(c, ',');
    if (list)
        l->elem_start = c->n;
    c->last = LAST_OPEN;
}

/* ---- words ---- */

static bool ends_item(const char *p, const char *end)
{
    PwLexer look = {.p = p, .end = end};
    pw_lex_skip_space(&look);
    return look.p < end && (*look.p == ',' || *look.p == ')');
}

/* A row of VALUES holds null, true or false at word_start: as good as a constant when it is a whole item. */
static __attribute__((noinline)) void notice_row_word(Canon *c, const char *p, const char *end)
{
    const char *word = c->out + c->word_start;
    size_t n = word_len(c);
    if ((is_text(word, n, "null") || is_text(word, n, "true") || is_text(word, n, "false")) && ends_item(p, end)) {
        c->n = c->word_start;
        put(c, '$');
        c->last = LAST_VALUE;
    }
}

/* The word at c->word_start is written; p is after it. `before` is what stood before it. */
static inline void notice_word(Canon *c, const char *p, const char *end, Last before)
{
    Level *l = c->top;
    const char *word = c->out + c->word_start;
    size_t n = c->n - c->word_start;
    if (n == 6) {
        if (word[0] == 's' && memcmp(word, "select", 6) == 0) {
            l->by = false;
            l->list = LIST_NONE;
        } else if (word[0] == 'v' && memcmp(word, "values", 6) == 0) {
            l->by = false;
            start_list(c, l, LIST_VALUES);
        }
    } else if (n == 2) {
        if (word[0] == 'b' && word[1] == 'y')
            l->by = true;
    } else if (PW_UNLIKELY(l->row) && before == LAST_OPEN && (n == 4 || n == 5)) {
        notice_row_word(c, p, end);
    }
}

/* Words of any length, and those near the end of what may be read. */
static __attribute__((noinline)) const char *put_word_slowly(Canon *c, const char *p, const char *end)
{
    for (;;) {
        make_room(c);
        char *out = c->out + c->n;
        const char *stop = (size_t)(end - p) < PIECE ? end : p + PIECE;
        uint8_t folded;
        while (p < stop && (folded = pw_lex_fold[(uint8_t)*p]) != 0) {
            *out++ = (char)folded;
            p++;
        }
        c->n = (uint32_t)(out - c->out);
        if (p < stop || p == end)
            return p;
    }
}

#ifdef __SSE2__
/* Folds 16 bytes from p to `to`; returns how many of them, from the first, belong to a word. Words are most of every
 * text, so this is what counts. */
static inline unsigned fold_16(const char *p, char *to)
{
    const __m128i case_bit = _mm_set1_epi8(0x20);
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i lower = _mm_or_si128(bytes, case_bit);
    /* Comparisons are signed: bytes from 0x80 up are negative, and always part of a word. */
    __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
    __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(bytes, _mm_set1_epi8('9' + 1)));
    __m128i other = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('$')));
    __m128i inside = _mm_or_si128(_mm_or_si128(letter, digit), _mm_or_si128(other, bytes));
    _mm_storeu_si128((__m128i *)(void *)to, _mm_or_si128(bytes, _mm_and_si128(letter, case_bit)));
    return (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(inside));
}
#endif

/* `readable` is `end` or, when bytes that belong to no word follow it, later. */
static inline __attribute__((always_inline)) const char *put_word(Canon *c, const char *p, const char *end,
                                                                 const char *readable)
{
    if (PW_UNLIKELY(c->top->list == LIST_VALUES && c->ignored == 0))
        end_list(c, c->top); /* values (1), (2) returning ... */
    put_blank_after_word(c);
    Last before = c->last;
    c->last = LAST_WORD;
    c->word_start = c->n;
#ifdef __SSE2__
    if (PW_LIKELY(readable - p >= 16)) {
        unsigned n = fold_16(p, c->out + c->n);
        c->n += n;
        p += n;
        if (PW_UNLIKELY(n == 16))
            p = put_word_slowly(c, p, end);
    } else
#endif
        p = put_word_slowly(c, p, end);
    (void)readable;
    if (c->word_start != NONE)
        notice_word(c, p, end, before);
    return p;
}

/* ---- constants ---- */

/* Words after which an operand starts, so that a minus there has no left operand. */
static const char *const operand_follows[] = {
    "all",  "and",   "any",    "between", "by",     "case",  "default", "distinct",  "else",  "for",  "from", "having",
    "if",   "ilike", "in",     "is",      "like",   "limit", "not",     "offset",    "on",    "or",   "over", "return",
    "returning",     "select", "set",     "some",   "then",  "to",      "using",     "values", "when", "where"};

static void put_operator(Canon *c, const PwToken *token)
{
    bool minus = token->len == 1 && token->text[0] == '-';
    if (minus) {
        bool prefix = c->last == LAST_START || c->last == LAST_OP || c->last == LAST_OPEN || c->last == LAST_MINUS;
        if (c->last == LAST_WORD && c->word_start != NONE)
            prefix = is_among(c->out + c->word_start, word_len(c), operand_follows, PW_ARRAY_LEN(operand_follows));
        minus = prefix;
        c->minus_start = c->n;
        c->minus_last = c->last;
    }
    if (c->last == LAST_OP || c->last == LAST_MINUS || (c->n > 0 && c->out[c->n - 1] == ':'))
        put(c, ' ');
    if (token->len == 1)
        put(c, token->text[0]);
    else if (token->len == 2 && token->text[0] == '!' && token->text[1] == '=')
        put_bytes(c, "<>", 2);
    else
        put_bytes(c, token->text, token->len);
    c->last = minus ? LAST_MINUS : LAST_OP;
}

/* Is this integer the name of a column (ORDER BY 1) or of a type's size? p is after it. */
static bool keep_integer(const Canon *c, const PwToken *token, const char *p, const char *end)
{
    const Level *l = c->top;
    if (!l->by && !l->typmod)
        return false;
    bool starts = c->last == LAST_OPEN;
    if (c->last == LAST_WORD && c->word_start != NONE)
        starts = is_text(c->out + c->word_start, word_len(c), "by");
    if (!starts || token->len > 9)
        return false;
    for (size_t i = 0; i < token->len; i++)
        if (token->text[i] < '0' || token->text[i] > '9')
            return false;
    PwLexer look = {.p = p, .end = end};
    pw_lex_skip_space(&look);
    unsigned next = look.p < end ? pw_lex_class[(uint8_t)*look.p] : PW_LEX_SPC;
    return next == PW_LEX_PUN || next == PW_LEX_WRD || next == PW_LEX_PFX || next == PW_LEX_SPC;
}

static void put_number(Canon *c, const PwToken *token, const char *p, const char *end)
{
    if (c->last == LAST_MINUS && c->minus_start != NONE) {
        c->n = c->minus_start;
        c->last = c->minus_last;
    } else if (keep_integer(c, token, p, end)) {
        put_blank_after_word(c);
        put_bytes(c, token->text, token->len);
        c->last = LAST_VALUE;
        return;
    }
    put_value(c);
}

static void put_string(Canon *c)
{
    size_t start = c->n;
    if (c->last == LAST_WORD && c->word_start != NONE && pw_typed_start(c->out, c->n, c->word_start, &start)) {
        memmove(c->out + start + 3, c->out + start, c->n - start);
        memcpy(c->out + start, "$::", 3);
        c->n += 3;
        c->word_start += 3;
        return; /* last stays the word: interval '1' day */
    }
    if (c->last == LAST_WORD && c->word_start != NONE && c->word_start >= 2 && is_text(c->out + c->word_start, word_len(c), "uescape") &&
        c->out[c->word_start - 2] == '$') {
        c->n = c->word_start - 1; /* U&'...' UESCAPE '!' is one constant */
        c->last = LAST_VALUE;
        return;
    }
    put_value(c);
}

static void put_quoted(Canon *c, const PwToken *token)
{
    if (c->last != LAST_OPEN && c->last != LAST_DOT && c->last != LAST_START)
        put(c, ' ');
    const char *p = token->text, *end = p + token->len, *zero;
    while ((zero = memchr(p, '\0', (size_t)(end - p))) != NULL) { /* no server accepts it; the text stays a C string */
        put_bytes(c, p, (size_t)(zero - p));
        put(c, '\\');
        p = zero + 1;
    }
    put_bytes(c, p, (size_t)(end - p));
    if (token->open)
        put(c, '"');
    c->last = LAST_VALUE;
}

/* ---- the pass ---- */

static inline void put_punct(Canon *c, char byte)
{
    if (byte == '(' || byte == '[') {
        open_bracket(c, byte);
    } else if (byte == ')' || byte == ']') {
        close_bracket(c, byte);
    } else if (byte == ',') {
        put_comma(c);
    } else {
        if (byte == ';') {
            Level *l = c->top;
            end_list(c, l);
            l->by = false;
        } else if (c->n > 0 && c->out[c->n - 1] == ':') {
            put(c, ' ');
        }
        put(c, byte);
        c->last = byte == '.' ? LAST_DOT : LAST_OPEN;
    }
}

static const char *put_token(Canon *c, const char *p, const char *end, unsigned flags)
{
    PwLexer lexer = pw_lexer(p, (size_t)(end - p), flags);
    PwToken token;
    switch (pw_lex_next(&lexer, &token)) {
    case PW_TOK_END:
        break;
    case PW_TOK_WORD:
        return put_word(c, token.text, end, end);
    case PW_TOK_QUOTED:
        put_quoted(c, &token);
        break;
    case PW_TOK_STRING:
        put_string(c);
        break;
    case PW_TOK_NUMBER:
        put_number(c, &token, lexer.p, end);
        break;
    case PW_TOK_PARAM:
        put_value(c);
        break;
    case PW_TOK_OP:
    case PW_TOK_CAST:
        put_operator(c, &token);
        break;
    case PW_TOK_PUNCT:
        put_punct(c, token.text[0]);
        break;
    case PW_TOK_BAD:
        put(c, '\\');
        c->last = LAST_OPEN;
        break;
    case PW_TOK_COUNT:
        break;
    }
    return lexer.p;
}

/* An integer that nothing may continue, an operator of one character, or a dot: 0 when p starts something else. */
static inline size_t plain_length(unsigned kind, const char *p, const char *end)
{
    const char *q = p + 1;
    if (kind == PW_LEX_DIG) {
        while (q < end && *q >= '0' && *q <= '9')
            q++;
        return q < end && (*q == '.' || pw_lex_fold[(uint8_t)*q] != 0) ? 0 : (size_t)(q - p);
    }
    unsigned next = q < end ? pw_lex_class[(uint8_t)*q] : PW_LEX_SPC;
    if (kind == PW_LEX_OPR)
        return next == PW_LEX_OPR ? 0 : 1;
    return kind == PW_LEX_DOT && next != PW_LEX_DIG && next != PW_LEX_DOT ? 1 : 0;
}

static inline const char *put_plain(Canon *c, unsigned kind, const char *p, size_t n, const char *end)
{
    PwToken token = {.text = p, .len = n};
    if (kind == PW_LEX_DIG)
        put_number(c, &token, p + n, end);
    else if (kind == PW_LEX_OPR)
        put_operator(c, &token);
    else
        put_punct(c, '.');
    return p + n;
}

static inline void run(Canon *c, const char *p, const char *end, const char *readable, unsigned flags)
{
    while (p < end) {
        unsigned kind = pw_lex_class[(uint8_t)*p];
        if (kind == PW_LEX_SPC) {
            p++;
            continue;
        }
        make_room(c);
        size_t n;
        if (kind == PW_LEX_WRD || (kind == PW_LEX_PFX && !(end - p >= 2 && (p[1] == '\'' || p[1] == '&'))))
            p = put_word(c, p, end, readable);
        else if (kind == PW_LEX_PUN)
            put_punct(c, *p++);
        else if ((n = plain_length(kind, p, end)) > 0)
            p = put_plain(c, kind, p, n, end);
        else
            p = put_token(c, p, end, flags);
    }
    for (; c->top > c->level; c->top--) /* brackets that the text leaves open */
        end_list(c, c->top);
    end_list(c, c->top);
    while (c->n > 0 && c->out[c->n - 1] == ';')
        c->n--;
}

uint64_t pw_canonicalise(const char *sql, size_t len, unsigned flags, CanonSink sink, void *arg)
{
    Canon c; /* not zeroed: `out` is large, levels are filled when they open */
    c.n = 0;
    c.last = c.minus_last = LAST_START;
    c.word_start = c.minus_start = NONE;
    c.ignored = 0;
    c.top = c.level;
    c.seed = 0;
    c.flushed = false;
    c.sink = sink;
    c.sink_arg = arg;
    c.level[0] = (Level){.prev_start = NONE, .prev_end = NONE, .elem_start = NONE, .list = LIST_NONE};
    if (len <= PADDED_MAX) {
        /* Most texts: with bytes of no word behind them they can be read 16 bytes at a time to their end. */
        char padded[PADDED_MAX + 16];
        if (len > 0)
            memcpy(padded, sql, len);
        memset(padded + len, 0, 16);
        run(&c, padded, padded + len, padded + len + 16, flags);
    } else {
        run(&c, sql, sql + len, sql + len, flags);
    }
    if (sink != NULL && !c.flushed)
        sink(arg, c.out, c.n, false);
    uint64_t hash = XXH3_64bits_withSeed(c.out, c.n, c.seed);
    return hash != 0 ? hash : 1;
}

uint64_t pw_fingerprint(const char *sql, size_t len, unsigned flags)
{
    return pw_canonicalise(sql, len, flags, NULL, NULL);
}
