/* SPDX-License-Identifier: ISC */
#include "advisor/source/tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "advisor/source/fill.h"
#include "advisor/source/utf8.h"
#include "poolwise/mem.h"

#define BYTES_MAX ((size_t)32 * 1024 * 1024) /* of sample texts */
#define CACHE 4096                           /* texts whose shape is known without a fingerprint */

typedef struct Slot {
    uint64_t fingerprint; /* 0: free */
    AdvShape *shape;
} Slot;

typedef struct Known {
    uint64_t hash;
    AdvShape *shape; /* NULL: free */
} Known;

struct AdvTally {
    AdvTallyCounts counts;
    size_t n, cap; /* cap: power of two, at least a third free */
    Slot *slots;
    size_t bytes; /* of sample texts */
    Known *cache;
    AdvNotes notes;
    PwBuf filled, scratch;
};

/* Sums stay what JSON and doubles can tell: a file may claim any count. */
static inline void add(uint64_t *to, uint64_t more)
{
    *to = more > INT64_MAX || *to > INT64_MAX - more ? INT64_MAX : *to + more;
}

static const char *const origin_names[] = {[ADV_ORIGIN_LOG] = "postgres log", [ADV_ORIGIN_STATEMENTS] = "pg_stat_statements", [ADV_ORIGIN_POOLER] = "query log"};
static_assert(PW_ARRAY_LEN(origin_names) == ADV_ORIGIN_COUNT, "one name for each origin");

const char *adv_origin_name(AdvOrigin origin)
{
    return origin_names[origin];
}

AdvTally *adv_tally_create(void)
{
    AdvTally *t = pw_xcalloc(1, sizeof(*t));
    t->cap = 1024;
    t->slots = pw_xcalloc(t->cap, sizeof(*t->slots));
    t->cache = pw_xcalloc(CACHE, sizeof(*t->cache));
    pw_buf_init(&t->filled);
    pw_buf_init(&t->scratch);
    return t;
}

static void free_shape(AdvTally *t, AdvShape *shape)
{
    for (unsigned i = 0; i < shape->n_samples; i++) {
        t->bytes -= shape->samples[i].len;
        free(shape->samples[i].text);
    }
    free(shape);
}

void adv_tally_destroy(AdvTally *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].fingerprint)
            free_shape(t, t->slots[i].shape);
    free(t->slots);
    free(t->cache);
    adv_notes_finish(&t->notes);
    pw_buf_finish(&t->filled);
    pw_buf_finish(&t->scratch);
    free(t);
}

AdvTallyCounts *adv_tally_counts(AdvTally *t)
{
    return &t->counts;
}

const AdvTallyCounts *adv_tally_counts_const(const AdvTally *t)
{
    return &t->counts;
}

AdvNotes *adv_tally_notes(AdvTally *t)
{
    return &t->notes;
}

const AdvNotes *adv_tally_notes_const(const AdvTally *t)
{
    return &t->notes;
}

/* ---- the table ---- */

static Slot *slot_of(Slot *slots, size_t cap, uint64_t fingerprint)
{
    size_t i = (size_t)fingerprint & (cap - 1);
    while (slots[i].fingerprint && slots[i].fingerprint != fingerprint)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static void rehash(AdvTally *t, size_t cap)
{
    Slot *slots = pw_xcalloc(cap, sizeof(*slots));
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].fingerprint)
            *slot_of(slots, cap, t->slots[i].fingerprint) = t->slots[i];
    free(t->slots);
    t->slots = slots;
    t->cap = cap;
}

static int heavier_first(const void *a, const void *b)
{
    const AdvShape *x = *(AdvShape *const *)a, *y = *(AdvShape *const *)b;
    if (x->us != y->us)
        return x->us > y->us ? -1 : 1;
    if (x->calls != y->calls)
        return x->calls > y->calls ? -1 : 1;
    return x->fingerprint < y->fingerprint ? -1 : x->fingerprint > y->fingerprint;
}

AdvShape **adv_tally_sorted(const AdvTally *t, size_t *ret_n)
{
    AdvShape **shapes = pw_xcalloc(t->n + 1, sizeof(AdvShape *));
    size_t n = 0;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].fingerprint)
            shapes[n++] = t->slots[i].shape;
    qsort(shapes, n, sizeof(AdvShape *), heavier_first);
    *ret_n = n;
    return shapes;
}

/* The lighter half goes: what is new must find a place, and what came only once or twice among so many changes no advice. */
static void forget(AdvTally *t)
{
    size_t n;
    AdvShape **shapes = adv_tally_sorted(t, &n);
    for (size_t i = n / 2; i < n; i++) {
        t->counts.forgotten++;
        add(&t->counts.forgotten_calls, shapes[i]->calls);
        add(&t->counts.forgotten_us, shapes[i]->us);
        free_shape(t, shapes[i]);
    }
    memset(t->slots, 0, t->cap * sizeof(*t->slots));
    t->n = n / 2;
    for (size_t i = 0; i < t->n; i++)
        *slot_of(t->slots, t->cap, shapes[i]->fingerprint) = (Slot){shapes[i]->fingerprint, shapes[i]};
    memset(t->cache, 0, CACHE * sizeof(*t->cache));
    free(shapes);
}

static AdvShape *find(const AdvTally *t, uint64_t fingerprint)
{
    return slot_of(t->slots, t->cap, fingerprint)->shape;
}

static AdvShape *make(AdvTally *t, uint64_t fingerprint, PwSqlKind kind)
{
    if (t->n >= ADV_TALLY_SHAPES || t->bytes > BYTES_MAX)
        forget(t);
    if (3 * (t->n + 1) > 2 * t->cap)
        rehash(t, 2 * t->cap);
    AdvShape *shape = pw_xcalloc(1, sizeof(*shape));
    shape->fingerprint = fingerprint;
    shape->kind = kind;
    *slot_of(t->slots, t->cap, fingerprint) = (Slot){fingerprint, shape};
    t->n++;
    return shape;
}

static AdvShape *find_or_make(AdvTally *t, uint64_t fingerprint, const char *text, size_t len)
{
    AdvShape *shape = find(t, fingerprint);
    if (shape)
        return shape;
    char whole[PW_QUERY_TEXT_MAX + 1]; /* the kind of WITH shows far behind */
    return make(t, fingerprint, pw_normalise(text, len, 0, whole, sizeof(whole)).kind);
}

static AdvShape *shape_of(AdvTally *t, const char *text, size_t len, uint64_t hash, uint64_t fingerprint)
{
    Known *known = &t->cache[hash & (CACHE - 1)];
    if (known->shape && known->hash == hash)
        return known->shape;
    AdvShape *shape = find_or_make(t, fingerprint ? fingerprint : pw_fingerprint(text, len, 0), text, len);
    *known = (Known){hash, shape};
    return shape;
}

AdvShape *adv_tally_shape(AdvTally *t, const char *text, size_t len)
{
    return shape_of(t, text, len, XXH3_64bits(text, len), 0);
}

/* ---- samples ---- */

static void drop_last_sample(AdvTally *t, AdvShape *s)
{
    AdvTallyText *last = &s->samples[--s->n_samples];
    t->bytes -= last->len;
    free(last->text);
}

static AdvTallyText *insert_sample(AdvTally *t, AdvShape *s, uint64_t key, const char *text, size_t len, AdvOrigin origin)
{
    if (s->n_samples == ADV_TALLY_SAMPLES) {
        if (key > s->samples[ADV_TALLY_SAMPLES - 1].key)
            return NULL;
        drop_last_sample(t, s);
    }
    unsigned at = s->n_samples++;
    for (; at > 0 && s->samples[at - 1].key > key; at--)
        s->samples[at] = s->samples[at - 1];
    s->samples[at] = (AdvTallyText){.key = key, .origin = origin, .len = (uint32_t)len, .text = pw_xstrndup(text, len)};
    t->bytes += len;
    return &s->samples[at];
}

static AdvTallyText *find_sample(AdvShape *s, uint64_t key)
{
    for (unsigned i = 0; i < s->n_samples; i++)
        if (((s->samples[i].key ^ key) & ~ADV_TEXT_OPEN) == 0)
            return &s->samples[i];
    return NULL;
}

/* The text goes to t->scratch with as many of its values as can be; returns whether some are missing. Nothing is copied that is too long anyway. */
static bool fill_in(AdvTally *t, const AdvExecution *e)
{
    PwBuf *out = &t->scratch, *filled = &t->filled;
    filled->off = filled->len = 0;
    bool has_values = e->params_len > 0 && e->params_len <= PW_QUERY_TEXT_MAX;
    if (has_values && adv_fill(filled, e->text, e->len, e->params, e->params_len) && filled->len <= PW_QUERY_TEXT_MAX) {
        adv_append_utf8(out, (const char *)filled->data, filled->len);
        return e->open;
    }
    adv_append_utf8(out, e->text, e->len);
    return e->open || adv_has_parameter(e->text, e->len);
}

/* The text as it is kept, in t->scratch; returns whether values are missing. One that is too long is kept as the query log would have it. */
static bool make_text(AdvTally *t, const AdvExecution *e)
{
    PwBuf *out = &t->scratch;
    out->off = out->len = 0;
    bool open = e->len > PW_QUERY_TEXT_MAX || fill_in(t, e);
    if (e->len <= PW_QUERY_TEXT_MAX && out->len <= PW_QUERY_TEXT_MAX && !(out->len > 0 && memchr(out->data, '\0', out->len)))
        return open;
    char *normalised = pw_xmalloc(PW_QUERY_TEXT_MAX + 1);
    PwNormalised n = pw_normalise(e->text, e->len, 0, normalised, PW_QUERY_TEXT_MAX + 1);
    out->len = 0;
    if (!n.truncated)
        adv_append_utf8(out, normalised, n.len);
    free(normalised);
    if (out->len > PW_QUERY_TEXT_MAX) /* as UTF-8 */
        out->len = 0;
    return true;
}

/* The sample of this execution, new or not; NULL when other texts are kept. */
static AdvTallyText *sample_of(AdvTally *t, AdvShape *s, const AdvExecution *e, uint64_t key)
{
    AdvTallyText *found = find_sample(s, key);
    if (found)
        return found;
    bool full = s->n_samples == ADV_TALLY_SAMPLES;
    if (full && key > s->samples[ADV_TALLY_SAMPLES - 1].key)
        return NULL; /* most executions end here: nothing is copied */
    if (full && e->open && !(s->samples[ADV_TALLY_SAMPLES - 1].key & ADV_TEXT_OPEN))
        return NULL;
    if (make_text(t, e))
        key |= ADV_TEXT_OPEN;
    if (t->scratch.len == 0)
        return NULL;
    return insert_sample(t, s, key, (const char *)t->scratch.data, t->scratch.len, e->origin);
}

static bool is_advisable(PwSqlKind kind)
{
    return kind == PW_SQL_SELECT || kind == PW_SQL_INSERT || kind == PW_SQL_UPDATE || kind == PW_SQL_DELETE || kind == PW_SQL_MERGE;
}

AdvTallied adv_tally_add(AdvTally *t, const AdvExecution *e)
{
    uint64_t hash = XXH3_64bits(e->text, e->len), key = hash;
    if (e->params)
        key = XXH3_64bits_withSeed(e->params, e->params_len, hash);
    key &= ~ADV_TEXT_OPEN;
    if (t->bytes > BYTES_MAX) /* longer texts have taken the places of shorter ones */
        forget(t);
    AdvShape *s = shape_of(t, e->text, e->len, hash, e->fingerprint);
    add(&t->counts.statements, e->calls);
    add(&t->counts.kinds[s->kind], e->calls);
    add(&t->counts.us, e->us);
    add(&t->counts.timed, e->us ? e->calls : 0);
    add(&s->calls, e->calls);
    add(&s->us, e->us);
    if (e->rows >= 0) {
        add(&s->rows, (uint64_t)e->rows);
        add(&s->rows_calls, e->calls);
    }
    AdvTallyText *sample = is_advisable(s->kind) ? sample_of(t, s, e, key) : NULL;
    if (sample)
        add(&sample->calls, e->calls);
    return (AdvTallied){s->fingerprint, s->kind};
}

void adv_tally_add_time(AdvTally *t, AdvTallied what, uint64_t us)
{
    AdvShape *s = find(t, what.fingerprint);
    if (!s)
        s = make(t, what.fingerprint, what.kind);
    add(&s->us, us);
    add(&t->counts.us, us);
    t->counts.timed++;
}

void adv_tally_add_unlogged(AdvTally *t, uint64_t calls)
{
    add(&t->counts.statements, calls);
    add(&t->counts.unlogged, calls);
}

/* ---- merging ---- */

void adv_tally_add_shape(AdvTally *t, const AdvShape *from)
{
    if (t->bytes > BYTES_MAX)
        forget(t);
    AdvShape *s = find(t, from->fingerprint);
    if (!s)
        s = make(t, from->fingerprint, from->kind);
    add(&s->calls, from->calls);
    add(&s->us, from->us);
    add(&s->rows, from->rows);
    add(&s->rows_calls, from->rows_calls);
    add(&s->temp_files, from->temp_files);
    add(&s->temp_bytes, from->temp_bytes);
    add(&s->lock_waits, from->lock_waits);
    for (unsigned i = 0; i < from->n_samples; i++) {
        const AdvTallyText *more = &from->samples[i];
        AdvTallyText *sample = find_sample(s, more->key);
        if (!sample)
            sample = insert_sample(t, s, more->key, more->text, more->len, more->origin);
        if (!sample)
            continue;
        add(&sample->calls, more->calls);
        if (more->origin < sample->origin)
            sample->origin = more->origin;
    }
}

void adv_tally_add_counts(AdvTally *t, const AdvTallyCounts *from)
{
    AdvTallyCounts *into = &t->counts;
    add(&into->messages, from->messages);
    add(&into->statements, from->statements);
    for (int i = 0; i < PW_SQL_KIND_COUNT; i++)
        add(&into->kinds[i], from->kinds[i]);
    add(&into->us, from->us);
    add(&into->timed, from->timed);
    add(&into->unlogged, from->unlogged);
    add(&into->forgotten, from->forgotten);
    add(&into->forgotten_calls, from->forgotten_calls);
    add(&into->forgotten_us, from->forgotten_us);
    add(&into->errors, from->errors);
    add(&into->temp_files, from->temp_files);
    add(&into->temp_bytes, from->temp_bytes);
    add(&into->lock_waits, from->lock_waits);
    add(&into->bad, from->bad);
    add(&into->twins, from->twins);
    if (from->first[0] && (!into->first[0] || strcmp(from->first, into->first) < 0))
        memcpy(into->first, from->first, sizeof(into->first));
    if (strcmp(from->last, into->last) > 0)
        memcpy(into->last, from->last, sizeof(into->last));
}

void adv_tally_merge(AdvTally *into, const AdvTally *from)
{
    adv_tally_add_counts(into, &from->counts);
    adv_notes_append(&into->notes, &from->notes);
    for (size_t i = 0; i < from->cap; i++)
        if (from->slots[i].fingerprint)
            adv_tally_add_shape(into, from->slots[i].shape);
}
