/* SPDX-License-Identifier: ISC */
/* effects_config.c - SELECT set_config(name, value, is_local): followed when it is all that the SELECT does and its
 * arguments are constants, or parameters whose values the Bind at hand has. */
#include <stdlib.h>
#include <string.h>

#include "pooler/session/effects_priv.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* Value of $number, as it stands in a Bind: text and its binary form are the same bytes, for a bool see is_true. */
static bool bound_value(const EffectsBind *bind, unsigned number, EffectsArg *ret)
{
    if (!bind || number == 0)
        return false;
    PwCursor c = pw_cursor(bind->payload, bind->len);
    pw_cursor_cstr(&c);
    pw_cursor_cstr(&c);
    pw_cursor_bytes(&c, (size_t)pw_cursor_be16(&c) * 2);
    unsigned n = pw_cursor_be16(&c);
    for (unsigned i = 1; i <= n && !c.bad; i++) {
        uint32_t len = pw_cursor_be32(&c);
        if (len == UINT32_MAX) {
            if (i == number)
                return false; /* NULL */
            continue;
        }
        const uint8_t *bytes = pw_cursor_bytes(&c, len);
        if (c.bad)
            return false;
        if (i == number) {
            ret->text = pw_xstrndup((const char *)bytes, len);
            ret->known = memchr(bytes, 0, len) == NULL || len == 1; /* a binary bool may be a zero byte */
            return ret->known;
        }
    }
    return false;
}

/* $12 -> 12; the text behind the token may not be there. */
static unsigned number_of(const PwToken *t)
{
    unsigned n = 0;
    for (size_t i = 1; i < t->len && n < 100000; i++)
        n = n * 10 + (unsigned)(t->text[i] - '0');
    return n;
}

/* Past "::text" and the like. False: a cast that may change the value. */
static bool skip_cast(EffectsWalk *w)
{
    while (w->t.type == PW_TOK_CAST) {
        effects_next(w);
        if (!effects_accept(w, "text") && !effects_accept(w, "varchar") && !effects_accept(w, "bool") && !effects_accept(w, "boolean"))
            return false;
    }
    return true;
}

bool effects_argument(EffectsWalk *w, EffectsArg *ret)
{
    *ret = (EffectsArg){NULL, false};
    if (w->t.type == PW_TOK_STRING) {
        ret->text = effects_string_value(w);
        ret->known = ret->text != NULL;
    } else if (w->t.type == PW_TOK_PARAM) {
        bound_value(w->bind, number_of(&w->t), ret);
    } else if (effects_at(w, "true") || effects_at(w, "false")) {
        ret->text = pw_xstrdup(effects_at(w, "true") ? "t" : "f");
        ret->known = true;
    }
    effects_next(w);
    if (!skip_cast(w))
        ret->known = false;
    return ret->known && (effects_at_punct(w, ',') || effects_at_punct(w, ')'));
}

/* A bool as text or in its binary form. -1: neither. */
static int truth(const char *text)
{
    static const char *const yes[] = {"t", "true", "on", "yes", "1", "y", "\1"};
    static const char *const no[] = {"f", "false", "off", "no", "0", "n", ""};
    for (size_t i = 0; i < PW_ARRAY_LEN(yes); i++) {
        if (strcmp(text, yes[i]) == 0)
            return 1;
        if (strcmp(text, no[i]) == 0)
            return 0;
    }
    return -1;
}

/* "(" is at hand. False: cannot be followed. */
static bool call(EffectsWalk *w)
{
    EffectsArg arg[3] = {{0}};
    bool ok = true;
    for (int i = 0; i < 3; i++) {
        if (!effects_at_punct(w, i == 0 ? '(' : ',')) {
            ok = false;
            break;
        }
        effects_next(w);
        ok = effects_argument(w, &arg[i]) && ok; /* the others may be unknown when it is local */
    }
    int local = arg[2].known ? truth(arg[2].text) : -1;
    if (local == 1 && effects_at_punct(w, ')')) {
        ok = true;
    } else if (ok && local == 0 && effects_at_punct(w, ')')) {
        char *name = settings_name(arg[0].text);
        if (strcmp(name, "session_authorization") == 0)
            effects_add(w, EFFECT_AUTH, NULL, arg[1].text, true);
        else if (!settings_name_passes(name))
            effects_add(w, EFFECT_SET, name, arg[1].text, true);
        free(name);
    } else {
        ok = false;
    }
    effects_next(w);
    for (int i = 0; i < 3; i++)
        free(arg[i].text);
    return ok;
}

static bool item(EffectsWalk *w)
{
    if (effects_accept(w, "pg_catalog")) {
        if (!effects_at_punct(w, '.'))
            return false;
        effects_next(w);
    }
    if (!effects_accept(w, "set_config") || !call(w))
        return false;
    if (!skip_cast(w))
        return false;
    if (effects_accept(w, "as") || w->t.type == PW_TOK_QUOTED || (w->t.type == PW_TOK_WORD && !effects_at(w, "from") &&
        !effects_at(w, "where") && !effects_at(w, "union") && !effects_at(w, "limit") && !effects_at(w, "into")))
        effects_next(w);
    return true;
}

/* Behind the "(" of a set_config: is its name a constant, or is what it sets gone with its transaction? */
static bool is_named_or_local(EffectsWalk *w)
{
    bool named = w->t.type == PW_TOK_STRING || (w->t.type == PW_TOK_PARAM && w->bind);
    PwToken last = {0};
    unsigned depth = 1, n = 0;
    for (; !effects_at_end(w); n++) {
        depth += effects_at_punct(w, '(');
        depth -= effects_at_punct(w, ')');
        if (depth == 0)
            break;
        if (n == 1)
            named = named && (effects_at_punct(w, ',') || w->t.type == PW_TOK_CAST);
        last = w->t;
        effects_next(w);
    }
    return named || pw_token_is(&last, "true");
}

void effects_unknown_config(EffectsWalk *w)
{
    bool can_be_asked_for = true;
    w->lexer.p = w->start;
    effects_next(w);
    while (!effects_at_end(w)) {
        bool config = effects_at(w, "set_config");
        effects_next(w);
        if (!config || !effects_at_punct(w, '('))
            continue;
        effects_next(w);
        can_be_asked_for = is_named_or_local(w) && can_be_asked_for;
    }
    effects_add(w, EFFECT_UNKNOWN, NULL, NULL, !can_be_asked_for);
}

void effects_set_config(EffectsWalk *w)
{
    w->saw_config = false;
    bool ok = item(w);
    while (ok && effects_at_punct(w, ',')) {
        effects_next(w);
        ok = item(w);
    }
    w->saw_config = !(ok && effects_at_end(w));
    if (!w->saw_config)
        return;
    /* not that alone: does the rest use it at all? The caller looks at every token of the statement. */
    w->saw_config = false;
    w->lexer.p = w->start;
    effects_next(w);
}
