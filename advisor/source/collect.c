/* SPDX-License-Identifier: ISC */
#include "advisor/source/collect.h"

#include <stdlib.h>

#include "advisor/text.h"
#include "poolwise/fingerprint.h"

#define SAMPLES 4
#define PARAMS_MAX 1000

typedef struct Shape {
    uint64_t fingerprint; /* 0: free slot */
    int n;
    int turn;             /* whose calls come next, once there are enough samples */
    AdvQuery *samples[SAMPLES];
    double calls, rows;   /* with a known number of rows */
} Shape;

struct AdvCollector {
    AdvWorkload *workload;
    const char *origin;
    size_t n, cap; /* cap: power of two, at least a third free */
    Shape *shapes;
};

AdvCollector *adv_collector_create(AdvWorkload *workload, const char *origin)
{
    AdvCollector *c = calloc(1, sizeof(*c));
    if (!c)
        abort();
    c->workload = workload;
    c->origin = origin;
    c->cap = 1024;
    c->shapes = calloc(c->cap, sizeof(*c->shapes));
    if (!c->shapes)
        abort();
    return c;
}

void adv_collector_destroy(AdvCollector *c)
{
    if (!c)
        return;
    free(c->shapes);
    free(c);
}

static Shape *slot(Shape *shapes, size_t cap, uint64_t fingerprint)
{
    size_t i = (size_t)fingerprint & (cap - 1);
    while (shapes[i].fingerprint && shapes[i].fingerprint != fingerprint)
        i = (i + 1) & (cap - 1);
    return &shapes[i];
}

static Shape *find(AdvCollector *c, uint64_t fingerprint)
{
    Shape *s = slot(c->shapes, c->cap, fingerprint);
    if (s->fingerprint)
        return s;
    if (3 * (c->n + 1) > 2 * c->cap) {
        Shape *larger = calloc(2 * c->cap, sizeof(*larger));
        if (!larger)
            abort();
        for (size_t i = 0; i < c->cap; i++)
            if (c->shapes[i].fingerprint)
                *slot(larger, 2 * c->cap, c->shapes[i].fingerprint) = c->shapes[i];
        free(c->shapes);
        c->shapes = larger;
        c->cap *= 2;
        s = slot(c->shapes, c->cap, fingerprint);
    }
    s->fingerprint = fingerprint;
    c->n++;
    return s;
}

/* The value at p: 'it''s', NULL; *ret_end after it. False when it is cut ("'abc...'" is how the server shortens). */
static bool read_value(const char *p, const char **ret_end)
{
    if (strncmp(p, "NULL", 4) == 0) {
        *ret_end = p + 4;
        return true;
    }
    if (*p != '\'')
        return false;
    for (p++; *p; p++) {
        if (*p != '\'')
            continue;
        if (p[1] != '\'') {
            *ret_end = p + 1;
            return strncmp(p - 3, "...", 3) != 0;
        }
        p++;
    }
    return false;
}

const char *adv_fill_parameters(AdvArena *arena, const char *text, const char *params)
{
    const char *starts[PARAMS_MAX] = {NULL};
    int lengths[PARAMS_MAX] = {0};
    for (const char *p = params; (p = strchr(p, '$'));) {
        char *end;
        long n = strtol(p + 1, &end, 10);
        if (end == p + 1 || n < 1 || n >= PARAMS_MAX || strncmp(end, " = ", 3) != 0)
            return NULL;
        const char *after;
        if (!read_value(end + 3, &after))
            return NULL;
        starts[n] = end + 3;
        lengths[n] = (int)(after - end - 3);
        p = after;
    }
    AdvText filled;
    adv_text_init(&filled, arena);
    PwLexer lexer = pw_lexer(text, strlen(text), 0);
    PwToken token;
    const char *done = text;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        if (token.type != PW_TOK_PARAM)
            continue;
        long n = strtol(token.text + 1, NULL, 10);
        if (n < 1 || n >= PARAMS_MAX || !starts[n])
            return NULL;
        adv_text_add_n(&filled, done, (size_t)(token.text - done));
        adv_text_add_n(&filled, starts[n], (size_t)lengths[n]);
        done = token.text + token.len;
    }
    adv_text_add(&filled, done);
    return adv_text_get(&filled);
}

static bool is_advisable(PwSqlKind kind)
{
    return kind == PW_SQL_SELECT || kind == PW_SQL_INSERT || kind == PW_SQL_UPDATE || kind == PW_SQL_DELETE || kind == PW_SQL_MERGE;
}

/* A sample with this text; there is room for one more. */
static AdvQuery *sample_for(AdvCollector *c, Shape *s, const char *text, size_t len, const char *params)
{
    AdvWorkload *w = c->workload;
    const char *own = adv_arena_strndup(w->arena, text, len);
    const char *filled = params ? adv_fill_parameters(w->arena, own, params) : NULL;
    const char *wanted = filled ? filled : own;
    AdvQuery *q = NULL;
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->samples[i]->text, wanted) == 0)
            return s->samples[i];
    q = adv_workload_add(w, wanted, c->origin, s->fingerprint, 0);
    q->from_log = !filled && strchr(own, '$');
    for (int i = 0; i < s->n; i++)
        if (s->samples[i] == q)
            return q;
    return s->samples[s->n++] = q;
}

static bool has_text(const Shape *s, const char *text, size_t len, AdvQuery **ret_query)
{
    for (int i = 0; i < s->n; i++)
        if (strncmp(s->samples[i]->text, text, len) == 0 && s->samples[i]->text[len] == '\0') {
            *ret_query = s->samples[i];
            return true;
        }
    return false;
}

void adv_collect(AdvCollector *c, const char *text, size_t len, const char *params, double calls, double ms, double rows)
{
    char head[64];
    AdvWorkload *w = c->workload;
    w->statements += calls;
    PwNormalised n = pw_normalise(text, len, 0, head, sizeof(head));
    if (!is_advisable(n.kind)) {
        w->utility += calls;
        return;
    }
    Shape *s = find(c, n.fingerprint);
    AdvQuery *q;
    /* Once there are enough samples each gets calls in turn and nothing is copied: memory does not grow with the log. */
    if (params || !has_text(s, text, len, &q))
        q = s->n < SAMPLES ? sample_for(c, s, text, len, params) : s->samples[s->turn = (s->turn + 1) % s->n];
    q->calls += calls;
    q->total_ms += ms;
    w->measured = w->measured || ms > 0;
    if (rows < 0)
        return;
    s->calls += calls;
    s->rows += rows;
    for (int i = 0; i < s->n; i++)
        s->samples[i]->rows_per_call = s->rows / s->calls;
}
