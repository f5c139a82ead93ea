/* SPDX-License-Identifier: ISC */
#include "pooler/auth/saslprep.h"

#include "pooler/auth/unicode_tables.h"
#include "poolwise/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Unicode standard, section 3.12: Hangul syllables are arithmetic. */
#define HANGUL_BASE 0xAC00u
#define LEAD_BASE 0x1100u
#define VOWEL_BASE 0x1161u
#define TAIL_BASE 0x11A7u
#define LEAD_COUNT 19u
#define VOWEL_COUNT 21u
#define TAIL_COUNT 28u
#define HANGUL_COUNT (LEAD_COUNT * VOWEL_COUNT * TAIL_COUNT)

typedef struct Codes {
    uint32_t *at;
    size_t n, cap; /* cap: allocated, for wiping */
} Codes;

static Codes codes_create(size_t cap)
{
    return (Codes){.at = pw_xmalloc((cap ? cap : 1) * sizeof(uint32_t)), .cap = cap};
}

static void codes_finish(Codes *codes)
{
    pw_wipe(codes->at, codes->cap * sizeof(uint32_t));
    free(codes->at);
}

/* ---- UTF-8 ---- */

/* The next code point, or false: truncated, overlong, surrogate, above U+10FFFF. */
static bool utf8_next(const uint8_t **p, uint32_t *ret_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t c = **p;
    int n = c < 0x80 ? 1 : (c & 0xE0) == 0xC0 ? 2 : (c & 0xF0) == 0xE0 ? 3 : (c & 0xF8) == 0xF0 ? 4 : 0;
    if (n == 0)
        return false;
    uint32_t code = n == 1 ? c : c & (0x7Fu >> n);
    for (int i = 1; i < n; i++) {
        if (((*p)[i] & 0xC0) != 0x80)
            return false; /* the NUL at the end stops here too */
        code = (code << 6) | ((*p)[i] & 0x3Fu);
    }
    if (code < least[n] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return false;
    *p += n;
    *ret_code = code;
    return true;
}

static size_t utf8_put(uint8_t *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | (code >> 6));
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | (code >> 12));
        out[1] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | (code >> 18));
    out[1] = (uint8_t)(0x80 | ((code >> 12) & 0x3F));
    out[2] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

/* ---- look-ups ---- */

static int order(uint32_t code, uint32_t first, uint32_t last)
{
    return code < first ? -1 : code > last;
}

static int by_range(const void *code, const void *item)
{
    const UnicodeRange *range = item;
    return order(*(const uint32_t *)code, range->first, range->last);
}

static bool in_ranges(const UnicodeRange *ranges, size_t n, uint32_t code)
{
    return bsearch(&code, ranges, n, sizeof(*ranges), by_range) != NULL;
}

static int by_class(const void *code, const void *item)
{
    const UnicodeClass *class = item;
    return order(*(const uint32_t *)code, class->first, class->last);
}

static uint8_t class_of(uint32_t code)
{
    const UnicodeClass *class = bsearch(&code, unicode_classes, unicode_n_classes, sizeof(*class), by_class);
    return class ? class->ccc : 0;
}

static int by_code(const void *code, const void *item)
{
    const UnicodeDecomposition *d = item;
    return order(*(const uint32_t *)code, d->code, d->code);
}

static const UnicodeDecomposition *decomposition_of(uint32_t code)
{
    return bsearch(&code, unicode_decompositions, unicode_n_decompositions, sizeof(UnicodeDecomposition), by_code);
}

static int by_pair(const void *pair, const void *item)
{
    const uint32_t *code = pair;
    const UnicodeComposition *c = item;
    int first = order(code[0], c->first, c->first);
    return first ? first : order(code[1], c->second, c->second);
}

/* The composition of two code points; 0: none. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    if (first - LEAD_BASE < LEAD_COUNT && second - VOWEL_BASE < VOWEL_COUNT)
        return HANGUL_BASE + ((first - LEAD_BASE) * VOWEL_COUNT + (second - VOWEL_BASE)) * TAIL_COUNT;
    if (first - HANGUL_BASE < HANGUL_COUNT && (first - HANGUL_BASE) % TAIL_COUNT == 0 && second > TAIL_BASE &&
        second < TAIL_BASE + TAIL_COUNT)
        return first + (second - TAIL_BASE);

    const uint32_t pair[] = {first, second};
    const UnicodeComposition *c = bsearch(pair, unicode_compositions, unicode_n_compositions, sizeof(*c), by_pair);
    return c ? c->composed : 0;
}

/* ---- NFKC ---- */

/* Writes the decomposition of a code point when out is not NULL; returns its length. */
static size_t decompose(uint32_t code, uint32_t *out)
{
    uint32_t parts[3];
    const uint32_t *from = parts;
    size_t n = 1;
    uint32_t hangul = code - HANGUL_BASE;
    const UnicodeDecomposition *d;
    if (hangul < HANGUL_COUNT) {
        parts[0] = LEAD_BASE + hangul / (VOWEL_COUNT * TAIL_COUNT);
        parts[1] = VOWEL_BASE + hangul / TAIL_COUNT % VOWEL_COUNT;
        parts[2] = TAIL_BASE + hangul % TAIL_COUNT;
        n = hangul % TAIL_COUNT ? 3 : 2;
    } else if ((d = decomposition_of(code)) != NULL) {
        from = &unicode_pool[d->at];
        n = d->n;
    } else {
        parts[0] = code;
    }
    if (out)
        memcpy(out, from, n * sizeof(*out));
    return n;
}

/* Puts a run of combining marks in the order of their classes, equal ones as they stood. A counting sort: a
 * password of 30,000 marks must not cost their square. `scratch` has room for n. */
static void order_run(uint32_t *run, size_t n, uint32_t *scratch)
{
    size_t start[257] = {0};
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++)
        start[class_of(run[i]) + 1]++;
    for (size_t c = 1; c <= 256; c++)
        start[c] += start[c - 1];
    for (size_t i = 0; i < n; i++)
        scratch[start[class_of(run[i])]++] = run[i];
    memcpy(run, scratch, n * sizeof(*run));
}

static void order_marks(Codes *codes)
{
    Codes scratch = codes_create(codes->n);
    for (size_t i = 0; i < codes->n;) {
        size_t end = i;
        while (end < codes->n && class_of(codes->at[end]) != 0)
            end++;
        order_run(codes->at + i, end - i, scratch.at);
        i = end + 1;
    }
    codes_finish(&scratch);
}

/* Canonical composition, in place: a mark joins the last starter unless one of its class stands between. */
static void compose_all(Codes *codes)
{
    size_t starter = SIZE_MAX, n = 0;
    int last_class = -1; /* of what stands after the starter; -1: nothing does */
    for (size_t i = 0; i < codes->n; i++) {
        uint32_t code = codes->at[i];
        int ccc = class_of(code);
        uint32_t composed = 0;
        if (starter != SIZE_MAX && last_class < ccc)
            composed = compose(codes->at[starter], code);
        if (composed) {
            codes->at[starter] = composed;
            continue;
        }
        if (ccc == 0) {
            starter = n;
            last_class = -1;
        } else {
            last_class = ccc;
        }
        codes->at[n++] = code;
    }
    codes->n = n;
}

static Codes nfkc(const Codes *in)
{
    size_t size = 0;
    for (size_t i = 0; i < in->n; i++)
        size += decompose(in->at[i], NULL);
    Codes out = codes_create(size);
    for (size_t i = 0; i < in->n; i++)
        out.n += decompose(in->at[i], out.at + out.n);
    order_marks(&out);
    compose_all(&out);
    return out;
}

/* ---- the profile ---- */

/* RFC 3454, section 6: text with a right-to-left character has no left-to-right one and starts and ends with
 * a right-to-left one. */
static bool bidi_ok(const Codes *codes)
{
    bool right = false, left = false;
    for (size_t i = 0; i < codes->n; i++) {
        right |= in_ranges(unicode_right_to_left, unicode_n_right_to_left, codes->at[i]);
        left |= in_ranges(unicode_left_to_right, unicode_n_left_to_right, codes->at[i]);
    }
    if (!right)
        return true;
    return !left && in_ranges(unicode_right_to_left, unicode_n_right_to_left, codes->at[0]) &&
           in_ranges(unicode_right_to_left, unicode_n_right_to_left, codes->at[codes->n - 1]);
}

static bool allowed(const Codes *codes)
{
    for (size_t i = 0; i < codes->n; i++) {
        if (in_ranges(unicode_forbidden, unicode_n_forbidden, codes->at[i]))
            return false;
    }
    return codes->n > 0 && bidi_ok(codes);
}

static char *to_utf8(const Codes *codes)
{
    char *out = pw_xmalloc(codes->n * 4 + 1);
    size_t n = 0;
    for (size_t i = 0; i < codes->n; i++)
        n += utf8_put((uint8_t *)out + n, codes->at[i]);
    out[n] = '\0';
    return out;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text >= 0x80)
            return false;
    }
    return true;
}

char *saslprep(const char *password)
{
    if (is_ascii(password))
        return pw_xstrdup(password);

    char *result = NULL;
    Codes mapped = codes_create(strlen(password));
    for (const uint8_t *p = (const uint8_t *)password; *p;) {
        uint32_t code;
        if (!utf8_next(&p, &code))
            goto done;
        if (in_ranges(unicode_spaces, unicode_n_spaces, code))
            mapped.at[mapped.n++] = ' ';
        else if (!in_ranges(unicode_dropped, unicode_n_dropped, code))
            mapped.at[mapped.n++] = code;
    }
    Codes normal = nfkc(&mapped);
    if (allowed(&normal))
        result = to_utf8(&normal);
    codes_finish(&normal);
done:
    codes_finish(&mapped);
    return result ? result : pw_xstrdup(password);
}
