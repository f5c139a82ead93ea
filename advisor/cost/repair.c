/* SPDX-License-Identifier: ISC */
/* repair.c - finds the types of parameters by trial: the server says what is wrong and where.
 *
 * An unknown parameter begins as '1', which fits most types and tells the wanted type when it does not. Two parameters that
 * stand in the same surroundings (GROUP BY x / $1 of SELECT x / $2) are twins and always have the same value,
 * since otherwise the server does not take the two for one expression. */
#include <ctype.h>

#include "advisor/cost/bind.h"

#define CONTEXT 12 /* characters on either side that make twins */

/* What is tried in turn when nothing else is known. */
static const char *const guesses[] = {"'1'",      "1",    "'1 day'::interval",   "'2000-01-01'::date", "'a'::text",
                                      "'{}'::text[]", "true", "'2000-01-01'::timestamptz", "'{}'::jsonb", "1.5::float8"};
static const char *const quoted_guesses[] = {"'1'", "'1 day'", "'2000-01-01'", "'00:00:00'", "'a'", "'{}'"};

static size_t byte_of_character(const char *text, int position)
{
    size_t i = 0;
    for (int n = 1; text[i] && n < position; n++) {
        i++;
        while (((unsigned char)text[i] & 0xc0) == 0x80)
            i++;
    }
    return i;
}

static size_t distance_to(const AdvSlot *slot, size_t at)
{
    return at < slot->start ? slot->start - at : at >= slot->end ? at - slot->end : 0;
}

static AdvSlot *slot_around(const AdvBinding *b, size_t at)
{
    for (int i = 0; i < b->n_slots; i++)
        if (at >= b->slots[i].start && at < b->slots[i].end)
            return &b->slots[i];
    return NULL;
}

/* The guessed value nearest to the error; one that is known only when no guess is left. */
static AdvSlot *nearest_slot(const AdvBinding *b, size_t at)
{
    AdvSlot *best = NULL;
    for (int i = 0; i < b->n_slots; i++) {
        AdvSlot *slot = &b->slots[i];
        if (slot->exhausted)
            continue;
        if (!best || (best->known && !slot->known) ||
            (best->known == slot->known && distance_to(slot, at) < distance_to(best, at)))
            best = slot;
    }
    return best;
}

static bool same_text_before(const char *text, size_t a, size_t b)
{
    for (int i = 0; i < CONTEXT; i++) {
        if (a == 0 || b == 0)
            return a == b;
        if (text[--a] != text[--b])
            return isdigit((unsigned char)text[a]) && isdigit((unsigned char)text[b]);
    }
    return true;
}

static bool same_text_after(const char *text, size_t a, size_t b)
{
    a++;
    b++;
    while (isdigit((unsigned char)text[a]))
        a++;
    while (isdigit((unsigned char)text[b]))
        b++;
    for (int i = 0; i < 3 && text[a] == text[b] && text[a] && text[a] != ')' && text[a] != ','; i++) {
        a++;
        b++;
    }
    return text[a] == text[b] || text[a] == ')' || text[a] == ',' || text[b] == ')' || text[b] == ',';
}

static bool are_twins(const AdvBinding *b, const AdvSlot *x, const AdvSlot *y)
{
    const AdvParam *p = &b->query->facts->params[x->param], *q = &b->query->facts->params[y->param];
    return p->number == q->number || (same_text_before(b->query->text, (size_t)p->location, (size_t)q->location) &&
                                      same_text_after(b->query->text, (size_t)p->location, (size_t)q->location));
}

static void set_value(AdvBinding *b, AdvSlot *slot, const char *value, bool known)
{
    for (int i = 0; i < b->n_slots; i++) {
        AdvSlot *other = &b->slots[i];
        if (other != slot && (other->quoted != slot->quoted || !are_twins(b, slot, other)))
            continue;
        other->value = value;
        other->known = known;
        other->guess = slot->guess;
        other->exhausted = slot->exhausted;
    }
    adv_binding_build(b);
}

/* "invalid input syntax for type date: ..." -> a date */
static const char *sample_for_message(AdvArena *arena, const char *message)
{
    const char *at = strstr(message, "for type ");
    if (strstr(message, "malformed range literal"))
        return "'empty'";
    if (strstr(message, "malformed array literal"))
        return "'{}'";
    if (!at)
        return NULL;
    at += 9;
    const char *end = strchr(at, ':');
    return adv_type_sample(adv_arena_strndup(arena, at, end ? (size_t)(end - at) : strlen(at)));
}

/* Some errors have no position: then the value that the message quotes tells which it may be. */
static AdvSlot *slot_with(const AdvBinding *b, const char *message)
{
    for (int i = 0; i < b->n_slots; i++) {
        AdvSlot *slot = &b->slots[i];
        size_t n = strlen(slot->value);
        if (slot->known || slot->exhausted || n < 3 || slot->value[0] != '\'')
            continue;
        if (strstr(message, adv_arena_printf(b->arena, "\"%.*s\"", (int)n - 2, slot->value + 1)))
            return slot;
    }
    return NULL;
}

static bool is_wrong_form(const char *sqlstate)
{
    return strcmp(sqlstate, "22P02") == 0 || strcmp(sqlstate, "22007") == 0 || strcmp(sqlstate, "22P03") == 0;
}

static bool use_named_type(AdvBinding *b, size_t at, const char *message)
{
    const char *sample = sample_for_message(b->arena, message);
    AdvSlot *slot = slot_around(b, at);
    if (!slot)
        slot = slot_with(b, message);
    /* Known values are wrong at times as well: of the column's type, but compared with another one. */
    if (!sample || !slot || slot->exhausted || strcmp(sample, slot->value) == 0)
        return false;
    if (slot->quoted && sample[0] != '\'')
        sample = adv_arena_printf(b->arena, "'%s'", sample);
    slot->guess++;
    slot->exhausted = slot->guess >= (int)PW_ARRAY_LEN(guesses);
    set_value(b, slot, sample, true);
    return true;
}

bool adv_binding_repair(AdvBinding *b, const char *sqlstate, const char *message, int position)
{
    size_t at = byte_of_character(b->text, position);
    if (is_wrong_form(sqlstate) && use_named_type(b, at, message))
        return true;
    AdvSlot *slot = nearest_slot(b, at);
    if (!slot)
        return false;
    const char *const *list = slot->quoted ? quoted_guesses : guesses;
    int n = slot->quoted ? (int)PW_ARRAY_LEN(quoted_guesses) : (int)PW_ARRAY_LEN(guesses);
    slot->guess++;
    slot->exhausted = slot->guess >= n;
    set_value(b, slot, list[slot->exhausted ? 0 : slot->guess], false);
    return true;
}
