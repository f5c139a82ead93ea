/* SPDX-License-Identifier: ISC */
/* Constants with their type in front. */
#include <string.h>

#include "common/workload/fingerprint_priv.h"
#include "common/workload/lexer_priv.h"
#include "poolwise/err.h"

/* Types that may stand before their constant: date '2024-01-31'. */
static const char *const typed_words[] = {
    "bigint",  "bit",   "bool",    "boolean", "box",  "bytea", "cidr",     "circle",  "date",      "daterange",   "decimal",
    "float4",  "float8", "inet",   "int",     "int2", "int4",  "int4range", "int8",   "int8range", "integer",     "interval",
    "json",    "jsonb", "jsonpath", "line",   "lseg", "macaddr", "money",  "numeric", "numrange",  "oid",         "path",
    "point",   "polygon", "real",  "regclass", "regtype", "smallint", "text", "time",  "timestamp", "timestamptz", "timetz",
    "tsquery", "tsrange", "tstzrange", "tsvector", "uuid", "varbit", "varchar", "xml"};

static const char *const typed_phrases[] = {"timestamp with time zone", "timestamp without time zone",
                                            "time with time zone", "time without time zone"};

static bool is_text(const char *p, size_t n, const char *word)
{
    return p[0] == word[0] && strlen(word) == n && memcmp(p, word, n) == 0;
}

bool pw_typed_start(const char *out, size_t n, size_t word_start, size_t *ret_start)
{
    const char *word = out + word_start;
    size_t len = n - word_start;
    bool found = false;
    for (size_t i = 0; i < PW_ARRAY_LEN(typed_words) && !found; i++)
        found = is_text(word, len, typed_words[i]);
    size_t start = word_start;
    for (size_t i = 0; i < PW_ARRAY_LEN(typed_phrases) && !found && is_text(word, len, "zone"); i++) {
        size_t phrase = strlen(typed_phrases[i]);
        if (n < phrase || memcmp(out + n - phrase, typed_phrases[i], phrase) != 0)
            continue;
        start = n - phrase;
        found = start == 0 || pw_lex_fold[(uint8_t)out[start - 1]] == 0;
    }
    if (!found || (start > 0 && out[start - 1] == '.'))
        return false;
    *ret_start = start;
    return true;
}
