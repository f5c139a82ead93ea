/* SPDX-License-Identifier: ISC */
#include "pooler/auth/scram_text.h"

#include <string.h>

ScramText scram_text(const uint8_t *bytes, size_t n)
{
    const char *p = (const char *)bytes;
    return (ScramText){.p = p, .end = p + n, .bad = n && memchr(p, '\0', n) != NULL};
}

char scram_text_peek(const ScramText *t)
{
    if (t->bad || t->end - t->p < 2 || t->p[1] != '=')
        return 0;
    char c = t->p[0];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? c : 0;
}

ScramSpan scram_text_take(ScramText *t, char name)
{
    if (name == 0 || scram_text_peek(t) != name) {
        t->bad = true;
        return (ScramSpan){.at = "", .n = 0};
    }
    ScramSpan span = {.at = t->p + 2};
    const char *comma = memchr(span.at, ',', (size_t)(t->end - span.at));
    span.n = (size_t)((comma ? comma : t->end) - span.at);
    t->p = comma ? comma + 1 : t->end;
    if (comma && t->p == t->end)
        t->bad = true; /* a comma promises another attribute */
    return span;
}

void scram_text_expect(ScramText *t, char c)
{
    if (t->bad || t->p == t->end || *t->p != c)
        t->bad = true;
    else
        t->p++;
}

uint32_t scram_span_number(ScramSpan span)
{
    uint64_t value = 0;
    if (span.n == 0 || span.n > 10)
        return 0;
    for (size_t i = 0; i < span.n; i++) {
        if (span.at[i] < '0' || span.at[i] > '9')
            return 0;
        value = value * 10 + (uint64_t)(span.at[i] - '0');
    }
    return value > INT32_MAX ? 0 : (uint32_t)value;
}

bool scram_span_is_nonce(ScramSpan span)
{
    for (size_t i = 0; i < span.n; i++) {
        if (span.at[i] < 0x21 || span.at[i] > 0x7E || span.at[i] == ',')
            return false;
    }
    return span.n > 0;
}
