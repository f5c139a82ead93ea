/* SPDX-License-Identifier: ISC */
#include "advisor/source/pour.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "advisor/text.h"

#define SHAPES_MAX 3000 /* that are parsed and planned; what is beyond has next to no share in the work of the server */

typedef struct Pour {
    AdvWorkload *w;
    void (*on_note)(void *arg, const char *note);
    void *arg;
    uint64_t us;          /* of all shapes */
    uint64_t left, left_calls, left_us; /* shapes beyond SHAPES_MAX */
} Pour;

static bool is_advisable(PwSqlKind kind)
{
    return kind == PW_SQL_SELECT || kind == PW_SQL_INSERT || kind == PW_SQL_UPDATE || kind == PW_SQL_DELETE || kind == PW_SQL_MERGE;
}

/* The calls of texts that were not kept are shared out evenly; the samples are as good as drawn from them. */
static void pour_samples(AdvWorkload *w, const AdvShape *s)
{
    uint64_t known = 0;
    for (unsigned i = 0; i < s->n_samples; i++)
        known += s->samples[i].calls;
    double rest = s->calls > known ? (double)(s->calls - known) / s->n_samples : 0;
    for (unsigned i = 0; i < s->n_samples; i++) {
        const AdvTallyText *sample = &s->samples[i];
        AdvQuery *q = adv_workload_append(w, sample->text, adv_origin_name(sample->origin), s->fingerprint);
        q->calls = (double)sample->calls + rest;
        q->total_ms = s->calls ? (double)s->us / 1000 * q->calls / (double)s->calls : 0;
        q->from_log = (sample->key & ADV_TEXT_OPEN) != 0;
        if (s->rows_calls)
            q->rows_per_call = (double)s->rows / (double)s->rows_calls;
    }
    w->measured = w->measured || s->us > 0;
}

static void pour_shape(Pour *p, const AdvShape *s, int *n)
{
    if (s->calls == 0)
        return; /* only failed, or told of by a temporary file */
    if (!is_advisable(s->kind)) {
        p->w->utility += (double)s->calls;
    } else if (s->n_samples == 0) {
        p->w->unlogged_calls += (double)s->calls;
    } else if ((*n)++ < SHAPES_MAX) {
        pour_samples(p->w, s);
    } else {
        p->left++;
        p->left_calls += s->calls;
        p->left_us += s->us;
    }
}

void adv_tell_notes(const AdvTally *tally, void (*on_note)(void *arg, const char *note), void *arg)
{
    const AdvNotes *notes = adv_tally_notes_const(tally);
    const AdvTallyCounts *c = adv_tally_counts_const(tally);
    char text[160];
    for (size_t i = 0; i < notes->n; i++)
        on_note(arg, notes->items[i]);
    snprintf(text, sizeof(text), "%" PRIu64 " more notes on the logs were left out", notes->more);
    if (notes->more > 0)
        on_note(arg, text);
    snprintf(text, sizeof(text), "%" PRIu64 " files were passed over since they hold the same log in another form (.csv is preferred, then .json)", c->twins);
    if (c->twins > 0)
        on_note(arg, text);
}

static void note_left(Pour *p, const AdvTallyCounts *c)
{
    uint64_t shapes = p->left + c->forgotten, calls = p->left_calls + c->forgotten_calls, us = p->left_us + c->forgotten_us;
    if (shapes == 0)
        return;
    p->us += c->forgotten_us;
    const char *share = p->us ? adv_arena_printf(p->w->arena, " (%.1f %% of the time)", 100 * (double)us / (double)p->us) : "";
    p->on_note(p->arg, adv_arena_printf(p->w->arena, "%" PRIu64 " kinds of statements with %" PRIu64 " calls%s are so many that the lightest of them were left out", shapes,
                                        calls, share));
}

/* The statement that did most of it. */
static const AdvShape *most(AdvShape *const *shapes, size_t n, bool locks)
{
    const AdvShape *found = NULL;
    for (size_t i = 0; i < n; i++) {
        uint64_t own = locks ? shapes[i]->lock_waits : shapes[i]->temp_bytes;
        if (own > 0 && (!found || own > (locks ? found->lock_waits : found->temp_bytes)))
            found = shapes[i];
    }
    return found;
}

static const char *text_of(AdvArena *arena, const AdvShape *s)
{
    if (!s || s->n_samples == 0)
        return "";
    char *buffer = adv_arena_alloc(arena, 201);
    PwNormalised n = pw_normalise(s->samples[0].text, s->samples[0].len, 0, buffer, 201);
    return adv_arena_printf(arena, ", most of them for %s%s", buffer, n.truncated ? " ..." : "");
}

static void note_troubles(Pour *p, const AdvTallyCounts *c, AdvShape *const *shapes, size_t n)
{
    AdvArena *arena = p->w->arena;
    if (c->temp_files)
        p->on_note(p->arg, adv_arena_printf(arena, "%" PRIu64 " temporary files of %s together were written%s; where an index does not save the sort, more work_mem does",
                                            c->temp_files, adv_format_bytes(arena, (double)c->temp_bytes), text_of(arena, most(shapes, n, false))));
    if (c->lock_waits)
        p->on_note(p->arg, adv_arena_printf(arena, "%" PRIu64 " waits for locks were longer than deadlock_timeout%s; their time is counted as the statements' own", c->lock_waits,
                                            text_of(arena, most(shapes, n, true))));
}

void adv_pour(AdvWorkload *w, const AdvTally *tally, const AdvFilter *filter, void (*on_note)(void *arg, const char *note), void *arg)
{
    Pour p = {.w = w, .on_note = on_note, .arg = arg};
    const AdvTallyCounts *c = adv_tally_counts_const(tally);
    size_t n_shapes;
    int n = 0;
    AdvShape **shapes = adv_tally_sorted(tally, &n_shapes);
    w->read = *c;
    w->statements += (double)c->statements;
    w->unlogged_calls += (double)c->unlogged;
    for (size_t i = 0; i < n_shapes; i++) {
        p.us += shapes[i]->us;
        if (adv_filter_shape(filter, shapes[i]))
            pour_shape(&p, shapes[i], &n);
    }
    adv_tell_notes(tally, on_note, arg);
    note_left(&p, c);
    note_troubles(&p, c, shapes, n_shapes);
    free(shapes);
}
