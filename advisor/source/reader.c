/* SPDX-License-Identifier: ISC */
#include "advisor/source/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "advisor/source/explained.h"
#include "advisor/source/prefix.h"
#include "advisor/source/words.h"
#include "poolwise/mem.h"

void adv_reader_init(AdvReader *r, const AdvFilter *filter)
{
    *r = (AdvReader){.tally = adv_tally_create(), .explained = adv_tally_create(), .filter = filter};
}

void adv_reader_finish(AdvReader *r)
{
    adv_tally_destroy(r->tally);
    adv_tally_destroy(r->explained);
    adv_pendings_finish(&r->pendings);
    pw_buf_finish(&r->message);
    pw_buf_finish(&r->detail);
    pw_buf_finish(&r->statement);
    pw_buf_finish(&r->payload);
    pw_buf_finish(&r->inner);
    pw_buf_finish(&r->line);
    pw_buf_finish(&r->pieces);
    for (size_t i = 0; i < PW_ARRAY_LEN(r->field); i++)
        pw_buf_finish(&r->field[i]);
}

/* ---- times that come on a line of their own ---- */

void adv_pendings_finish(AdvPendings *p)
{
    free(p->slots);
    *p = (AdvPendings){0};
}

static AdvPending *pending_slot(AdvPending *slots, size_t cap, uint64_t pid)
{
    size_t i = (size_t)pid & (cap - 1);
    while (slots[i].pid && slots[i].pid != pid)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static AdvPending *pending_of(AdvPendings *p, uint64_t pid)
{
    if (3 * (p->n + 1) > 2 * p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        AdvPending *slots = pw_xcalloc(cap, sizeof(*slots));
        for (size_t i = 0; i < p->cap; i++)
            if (p->slots[i].pid)
                *pending_slot(slots, cap, p->slots[i].pid) = p->slots[i];
        free(p->slots);
        p->slots = slots;
        p->cap = cap;
    }
    AdvPending *slot = pending_slot(p->slots, p->cap, pid);
    p->n += slot->pid == 0;
    slot->pid = pid;
    return slot;
}

#define PIDS_MAX 100000 /* of processes that are long gone and never told a time */

void adv_carry_block(AdvPendings *carry, AdvPendings *block, AdvTally *tally)
{
    if (carry->n > PIDS_MAX)
        adv_pendings_finish(carry);
    for (size_t i = 0; i < block->cap; i++) {
        const AdvPending *from = &block->slots[i];
        if (!from->pid)
            continue;
        AdvPending *to = pending_of(carry, from->pid);
        if (from->early && to->open)
            adv_tally_add_time(tally, to->what, from->us);
        to->open = from->open;
        to->what = from->what;
    }
    adv_pendings_finish(block);
}

static uint64_t pid_hash(AdvReader *r, const AdvEntry *e)
{
    AdvSlice pid = e->pid;
    if (!pid.p && e->prefix.p)
        pid = adv_prefix_pid(adv_filter_prefix(r->filter), e->prefix);
    return pid.n ? XXH3_64bits(pid.p, pid.n) | 1 : 0;
}

/* A statement whose time may follow, or one that took the place of it. */
static void await_time(AdvReader *r, const AdvEntry *e, bool open, AdvTallied what)
{
    uint64_t pid = pid_hash(r, e);
    if (!pid)
        return;
    AdvPending *p = pending_of(&r->pendings, pid);
    p->open = open;
    p->what = what;
}

static void take_time(AdvReader *r, const AdvEntry *e, uint64_t us)
{
    uint64_t pid = pid_hash(r, e);
    if (!pid)
        return;
    size_t before = r->pendings.n;
    AdvPending *p = pending_of(&r->pendings, pid);
    if (p->open) {
        adv_tally_add_time(r->tally, p->what, us);
        p->open = false;
    } else if (r->pendings.n > before) {
        p->early = true;
        p->us = us;
    }
}

/* ---- messages ---- */

static void take_plan(AdvReader *r, AdvSlice plan, uint64_t us)
{
    AdvSlice text, params;
    if (!adv_explained(plan, &r->field[6], &r->field[7], &text, &params))
        return;
    AdvExecution x = {.text = text.p, .len = text.n, .params = params.p, .params_len = params.n, .origin = ADV_ORIGIN_LOG, .calls = 1, .us = us, .rows = -1};
    adv_tally_add(r->explained, &x);
}

static void take_statement(AdvReader *r, const AdvEntry *e, const AdvTelling *t)
{
    AdvSlice params = e->detail.p ? adv_parameters(e->detail) : (AdvSlice){0};
    AdvExecution x = {.text = t->text.p, .len = t->text.n, .params = params.p, .params_len = params.n, .origin = ADV_ORIGIN_LOG, .calls = 1,
                      .us = t->us, .rows = -1};
    AdvTallied what = adv_tally_add(r->tally, &x);
    if (!t->timed)
        await_time(r, e, true, what);
    else if (r->pendings.n > 0)
        await_time(r, e, false, what);
}

/* What costs more than its own time is told of with the statement that did it. */
static void take_trouble(AdvReader *r, const AdvEntry *e, const AdvTelling *t)
{
    AdvTallyCounts *counts = adv_tally_counts(r->tally);
    AdvShape *shape = e->statement.n ? adv_tally_shape(r->tally, e->statement.p, e->statement.n) : NULL;
    bool file = t->what == ADV_TOLD_TEMP_FILE;
    counts->temp_files += file;
    counts->temp_bytes += t->bytes;
    counts->lock_waits += !file;
    if (!shape)
        return;
    shape->temp_files += file;
    shape->temp_bytes += t->bytes;
    shape->lock_waits += !file;
}

static void note_time(AdvTallyCounts *counts, AdvEntry *e)
{
    if (!e->time.p && e->prefix.p)
        adv_prefix_guess(e->prefix, e);
    char text[sizeof(counts->first)] = {0};
    static_assert(sizeof(text) > ADV_TIME_MAX, "with a NUL");
    if (adv_time_text(e->time, text) == 0)
        return;
    if (!counts->first[0] || strcmp(text, counts->first) < 0)
        memcpy(counts->first, text, sizeof(text));
    if (strcmp(text, counts->last) > 0)
        memcpy(counts->last, text, sizeof(text));
}

#define NOTE_TIME 256 /* of so many messages one is looked at; more would cost more than the answer is worth */

void adv_reader_message(AdvReader *r, const AdvEntry *entry)
{
    AdvTallyCounts *counts = adv_tally_counts(r->tally);
    AdvEntry e = *entry;
    if (r->n_messages++ % NOTE_TIME == 0)
        note_time(counts, &e);
    if (adv_filter_asks_entries(r->filter)) {
        AdvWanted wanted = adv_filter_entry(r->filter, &e);
        r->unplaced += wanted == ADV_UNPLACED;
        if (wanted != ADV_WANTED)
            return;
    }
    counts->messages++;
    counts->errors += e.severity == ADV_PART_ERROR;
    if (e.severity != ADV_PART_LOG)
        return;
    AdvTelling t = adv_tell(e.message);
    switch (t.what) {
    case ADV_TOLD_STATEMENT:
        take_statement(r, &e, &t);
        break;
    case ADV_TOLD_DURATION:
        take_time(r, &e, t.us);
        break;
    case ADV_TOLD_PLAN:
        take_plan(r, t.text, t.us);
        break;
    case ADV_TOLD_TEMP_FILE:
    case ADV_TOLD_LOCK_WAIT:
        take_trouble(r, &e, &t);
        break;
    case ADV_TOLD_NOTHING:
        break;
    }
}

/* ---- forms ---- */

const AdvForm *adv_form_of(const char *head, size_t len)
{
    /* The surest first. */
    static const AdvForm *const forms[] = {&adv_form_summary, &adv_form_query_log, &adv_form_json_array, &adv_form_json, &adv_form_csv, &adv_form_statements,
                                          &adv_form_container, &adv_form_syslog, &adv_form_stderr};
    while (len > 0 && (*head == '\n' || *head == '\r' || *head == ' ')) {
        head++;
        len--;
    }
    for (size_t i = 0; i < PW_ARRAY_LEN(forms); i++)
        if (len > 0 && forms[i]->is(head, len))
            return forms[i];
    return NULL;
}
