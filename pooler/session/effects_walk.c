/* SPDX-License-Identifier: ISC */
/* effects_walk.c - the tokens of a text, one after the other, and the list of what its statements do. The statements themselves are in
 * effects.c, effects_config.c and effects_listen.c. */
#include <stdlib.h>
#include <string.h>

#include "pooler/session/effects_priv.h"
#include "poolwise/mem.h"

/* ---- tokens ---- */

PwTok effects_next(EffectsWalk *w)
{
    pw_lex_next(&w->lexer, &w->t);
    w->saw_config |= effects_at(w, "set_config") || (w->t.type == PW_TOK_QUOTED && w->t.len == 12 && memcmp(w->t.text, "\"set_config\"", 12) == 0);
    return w->t.type;
}

bool effects_at(const EffectsWalk *w, const char *word)
{
    return pw_token_is(&w->t, word);
}

bool effects_accept(EffectsWalk *w, const char *word)
{
    if (!effects_at(w, word))
        return false;
    effects_next(w);
    return true;
}

bool effects_at_punct(const EffectsWalk *w, char c)
{
    return w->t.type == PW_TOK_PUNCT && w->t.text[0] == c;
}

bool effects_at_end(const EffectsWalk *w)
{
    return w->t.type == PW_TOK_END || effects_at_punct(w, ';');
}

bool effects_identifier(EffectsWalk *w, PwBuf *out)
{
    const PwToken *t = &w->t;
    if (t->type == PW_TOK_WORD) {
        for (size_t i = 0; i < t->len; i++) {
            uint8_t c = (uint8_t)t->text[i];
            pw_buf_append_u8(out, (uint8_t)(c >= 'A' && c <= 'Z' ? c | 32 : c));
        }
    } else if (t->type == PW_TOK_QUOTED && t->text[0] == '"' && !t->open) {
        for (size_t i = 1; i + 1 < t->len; i++) {
            pw_buf_append_u8(out, (uint8_t)t->text[i]);
            if (t->text[i] == '"')
                i++;
        }
    } else {
        return false;
    }
    effects_next(w);
    return true;
}

char *effects_string_value(EffectsWalk *w)
{
    size_t n = pw_token_string(&w->t, w->lexer.flags, NULL, 0);
    if (w->t.type != PW_TOK_STRING || n == SIZE_MAX)
        return NULL;
    char *value = pw_xmalloc(n + 1);
    pw_token_string(&w->t, w->lexer.flags, value, n + 1);
    return value;
}

/* ---- the list ---- */

static size_t put_text(EffectsWalk *w, const char *text)
{
    size_t at = pw_buf_unread(&w->text);
    pw_buf_append_cstr(&w->text, text);
    return at;
}

/* name and value hold offsets + 1 into w->text until the list is finished. */
void effects_add(EffectsWalk *w, EffectKind kind, const char *name, const char *value, bool flat)
{
    Effect e = {.kind = (uint8_t)kind, .flat = flat, .statement = w->statement};
    if (name)
        e.name = (const char *)(uintptr_t)(put_text(w, name) + 1);
    if (value)
        e.value = (const char *)(uintptr_t)(put_text(w, value) + 1);
    if (kind == EFFECT_PREPARE)
        e.class = w->inner_class;
    pw_buf_append(&w->list, &e, sizeof(e));
}

Effects *effects_finish(EffectsWalk *w)
{
    size_t n = pw_buf_unread(&w->list) / sizeof(Effect), text = pw_buf_unread(&w->text);
    Effects *e = pw_xmalloc(sizeof(*e) + n * sizeof(Effect) + text);
    e->refs = 1;
    e->n = (unsigned)n;
    e->statements = w->statement;
    if (n)
        memcpy(e->list, pw_buf_head(&w->list), n * sizeof(Effect));
    char *arena = (char *)&e->list[n];
    if (text)
        memcpy(arena, pw_buf_head(&w->text), text);
    for (size_t i = 0; i < n; i++) {
        Effect *at = &e->list[i];
        at->name = at->name ? arena + ((uintptr_t)at->name - 1) : NULL;
        at->value = at->value ? arena + ((uintptr_t)at->value - 1) : NULL;
    }
    pw_buf_finish(&w->text);
    pw_buf_finish(&w->list);
    return e;
}

/* ---- what was found ---- */

Effects *effects_ref(Effects *e)
{
    if (e)
        e->refs++;
    return e;
}

void effects_unref(Effects *e)
{
    if (e && --e->refs == 0)
        free(e);
}

Effects *effects_about(const char *name)
{
    EffectsWalk w = {.statement = 0};
    effects_add(&w, EFFECT_DEALLOCATE, name, NULL, false);
    return effects_finish(&w);
}

Effects *effects_prepared(const char *name, const char *text, unsigned class)
{
    EffectsWalk w = {.inner_class = class};
    effects_add(&w, EFFECT_PREPARE, name, text, false);
    return effects_finish(&w);
}

bool effects_have(const Effects *e, EffectKind kind)
{
    for (unsigned i = 0; e && i < e->n; i++)
        if (e->list[i].kind == kind)
            return true;
    return false;
}

bool effect_fits_tag(const Effect *effect, const char *tag)
{
    static const char *const tags[] = {
        [EFFECT_UNKNOWN] = "",          [EFFECT_SET] = "SET",         [EFFECT_RESET] = "RESET",
        [EFFECT_RESET_ALL] = "RESET",   [EFFECT_AUTH] = "SET",        [EFFECT_DISCARD_ALL] = "DISCARD ALL",
        [EFFECT_SAVEPOINT] = "SAVEPOINT", [EFFECT_RELEASE] = "RELEASE", [EFFECT_ROLLBACK_TO] = "ROLLBACK",
        [EFFECT_PREPARE] = "PREPARE",   [EFFECT_EXECUTE] = "",        [EFFECT_DEALLOCATE] = "DEALLOCATE",
        [EFFECT_DEALLOCATE_ALL] = "DEALLOCATE ALL", [EFFECT_LISTEN] = "LISTEN", [EFFECT_UNLISTEN] = "UNLISTEN",
    };
    _Static_assert(PW_ARRAY_LEN(tags) == EFFECT_KIND_COUNT, "one tag a kind");
    const char *wanted = tags[effect->kind];
    if (!*wanted || strcmp(tag, wanted) == 0)
        return true;
    if ((effect->kind == EFFECT_SET || effect->kind == EFFECT_AUTH) && effect->flat)
        return strncmp(tag, "SELECT ", 7) == 0;
    return (effect->kind == EFFECT_RESET && strcmp(tag, "SET") == 0) || (effect->kind == EFFECT_AUTH && strcmp(tag, "RESET") == 0);
}
